"""A backup file opens whole or not at all: not cut, not altered, not put together anew."""

from __future__ import annotations

import io
import random

import pytest

from huying.common.errors import Code, HuyingError
from huying.node.backups import backup_file
from huying.node.backups.backup_file import CHUNK_BYTES, Header, PartReader, PartWriter

KEY = bytes(range(32))
HEADER = Header(
    network="wenshang.example",
    code="370830108201",
    origin="wenshang.example/feed/370830108201/e1",
    size=12,
    created=1_795_000_000,
    period="2026-11",
    key_id="00" * 8,
    keys="/srv/village/backup-keys",
    salt="5a" * 32,
)
SEALED_CHUNK = CHUNK_BYTES + 16


def write(*parts: tuple[str, bytes], header: Header = HEADER) -> bytes:
    file = io.BytesIO()
    writer = PartWriter(file, header, KEY)
    for name, data in parts:
        writer.begin(name, len(data))
        for at in range(0, len(data), 10_000):
            writer.write(data[at : at + 10_000])
    writer.close()
    return file.getvalue()


def read(data: bytes, key: bytes = KEY) -> dict[str, bytes]:
    file = io.BytesIO(data)
    reader = PartReader(file, Header.read(file), key)
    found = {}
    for part in reader.parts():
        pieces = []
        while piece := reader.read():
            pieces.append(piece)
        found[part.name] = b"".join(pieces)
        assert len(found[part.name]) == part.size
    return found


def refused(data: bytes, key: bytes = KEY) -> bool:
    try:
        read(data, key)
    except HuyingError as error:
        return error.code is Code.BACKUP_DAMAGED
    return False


NOISE = random.Random(7).randbytes(4 * CHUNK_BYTES)  # compresses to itself
SMALL = write(("node.toml", b"[node]\n"), ("keys/witness.key", b"secret"), ("node.db", b"x" * 500))
LARGE = write(("node.db", NOISE))
BODY = len(HEADER.encode())


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, 3 * CHUNK_BYTES])
def test_parts_come_back_as_they_went_in(size):
    """Also where a part fills its chunks exactly, and the last chunk is a full one."""
    parts = [("node.toml", b"[node]\n"), ("node.db", NOISE[:size]), ("keys/tls.key", b"k")]
    assert read(write(*parts)) == dict(parts)


def test_a_file_cut_anywhere_is_refused():
    """A stick pulled out too early must not look like a smaller node."""
    assert all(refused(SMALL[:length]) for length in range(len(SMALL)))
    ends = [BODY + number * SEALED_CHUNK for number in range(5)]
    assert all(refused(LARGE[:end]) for end in ends)


def test_a_bit_turned_anywhere_is_refused():
    """One flipped bit in the header, a chunk or a tag is enough."""
    for place in range(len(SMALL)):
        damaged = bytearray(SMALL)
        damaged[place] ^= 1 << (place % 8)
        assert refused(bytes(damaged)), place


def test_chunks_left_out_moved_or_repeated_are_refused():
    """Each chunk is good by itself; only its number and the last one's mark tell."""
    head, body = LARGE[:BODY], LARGE[BODY:]
    chunks = [body[at : at + SEALED_CHUNK] for at in range(0, len(body), SEALED_CHUNK)]
    assert len(chunks) >= 4
    for arrangement in (
        chunks[1:],
        chunks[:1] + chunks[2:],
        chunks[:-1],
        [chunks[1], chunks[0], *chunks[2:]],
        [*chunks, chunks[-1]],
        [*chunks, chunks[0]],
    ):
        assert refused(head + b"".join(arrangement))


def test_each_chunk_opens_in_its_own_place_alone(monkeypatch):
    """Within one part nothing but the chunk's number tells where it belongs."""
    monkeypatch.setattr(backup_file, "CHUNK_BYTES", 1000)
    whole = write(("node.db", NOISE[:20_000]))
    head, body = whole[:BODY], whole[BODY:]
    chunks = [body[at : at + 1016] for at in range(0, len(body), 1016)]
    chunks[4], chunks[5] = chunks[5], chunks[4]
    assert refused(head + b"".join(chunks))


def test_the_last_chunk_is_known_as_the_last(monkeypatch):
    """Before a byte of the payload is looked at, a missing tail shows by itself."""
    monkeypatch.setattr(backup_file, "CHUNK_BYTES", 1000)
    whole = write(("node.db", NOISE[:20_000]))
    file = io.BytesIO(whole[: BODY + 5 * 1016])
    reader = PartReader(file, Header.read(file), KEY)
    for _ in range(4):
        assert len(reader._chunks.read(1000)) == 1000
    with pytest.raises(HuyingError, match="chunk 4, the last here"):
        reader._chunks.read(1000)


def test_what_follows_the_end_is_refused():
    """A file is one backup, and nothing is smuggled behind it."""
    assert refused(SMALL + b"\x00")
    assert refused(LARGE + b"more")


def test_another_key_opens_nothing():
    """A file of one month tells the key of another month nothing."""
    assert refused(SMALL, bytes(32))


def test_an_altered_header_with_a_good_checksum_is_refused():
    """The checksum finds accidents; the key finds who rewrote the header on purpose."""
    altered = Header(**{**{name: getattr(HEADER, name) for name in HEADER.__slots__}, "size": 11})
    assert refused(altered.encode() + SMALL[BODY:])


def test_the_header_can_be_read_without_the_key():
    """An operator with a drawer of sticks must see which node, which month and which key."""
    assert Header.read(io.BytesIO(SMALL)) == HEADER
    assert b"secret" not in SMALL
