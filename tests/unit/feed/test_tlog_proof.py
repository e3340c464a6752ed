"""A proof file convinces somebody who has nothing but the keys, years later."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huying.common.errors import Code, HuyingError
from huying.common.feed.checkpoint import Checkpoint, cosign, sign_checkpoint
from huying.common.feed.merkle import (
    EMPTY_RANGE,
    SubtreeReader,
    append,
    leaf_hash,
    leaf_hashes,
    root,
)
from huying.common.feed.merkle_proof import inclusion_proof
from huying.common.feed.note import KeyType, Signer
from huying.common.feed.tlog_proof import (
    TlogProof,
    format_proof,
    pack_extra,
    parse_proof,
    unpack_extra,
    verify_proof,
)
from huying.common.limits import COMPARTMENTS_MAX, ENTRY_BYTES_MAX

NAME = "wenshang.example/feed/370830100201/e1"
ORIGIN = Signer.from_seed(NAME, KeyType.ORIGIN, b"o" * 32)
TOWN = Signer.from_seed("wenshang.example/witness/370830100000", KeyType.COSIGNATURE, b"t" * 32)
LEAVES = [b"leaf %d" % number for number in range(37)]
HASHES = leaf_hashes(LEAVES)


def proof_of(index: int, size: int, extra: bytes = b"") -> TlogProof:
    reader = SubtreeReader(lambda start, stop: HASHES[start:stop], lambda *_: [])
    checkpoint = Checkpoint(NAME, size, root(append(EMPTY_RANGE, HASHES[:size])[0]))
    note = cosign(TOWN, sign_checkpoint(ORIGIN, checkpoint), 1_700_000_000)
    return TlogProof(index, tuple(inclusion_proof(index, size, reader)), note, extra)


FILE = format_proof(proof_of(5, 37, pack_extra(LEAVES[5], [b"opening"])))


def test_the_file_has_the_lines_of_the_specification() -> None:
    """c2sp.org/tlog-proof@v1: header, extra, index, hashes, blank line, note."""
    lines = FILE.decode().split("\n")
    assert lines[0] == "c2sp.org/tlog-proof@v1"
    assert lines[1].startswith("extra ")
    assert lines[2] == "index 5"
    assert [len(line) for line in lines[3:9]] == [44] * 6
    assert lines[9:12] == ["", NAME, "37"]
    bare = format_proof(proof_of(0, 1))
    assert bare.startswith(b"c2sp.org/tlog-proof@v1\nindex 0\n\nwenshang.example/feed/")


def test_every_entry_of_small_feeds_proves_itself_and_no_other() -> None:
    """Also in a feed of one entry, whose proof has no hashes."""
    for size in range(1, 38):
        for index in range(size):
            proof = proof_of(index, size)
            assert parse_proof(format_proof(proof)) == proof
            verified = verify_proof(proof, HASHES[index], ORIGIN.key, [TOWN.key])
            assert verified.checkpoint.size == size
            assert verified.cosignatures == ((TOWN.name, 1_700_000_000),)
            with pytest.raises(HuyingError) as caught:
                verify_proof(proof, leaf_hash(b"another"), ORIGIN.key)
            assert caught.value.code == Code.BAD_PROOF


def test_the_leaf_that_travels_in_extra_is_the_one_that_is_proven() -> None:
    """`extra` is not trusted for standing in the file, but for its hash."""
    proof = parse_proof(FILE)
    leaf, openings = unpack_extra(proof.extra)
    assert (leaf, openings) == (LEAVES[5], (b"opening",))
    verify_proof(proof, leaf_hash(leaf), ORIGIN.key)


def test_a_false_index_hash_note_or_key_has_its_own_error() -> None:
    """The reader learns what is wrong with the file that somebody handed over."""
    proof = parse_proof(FILE)
    other = Signer.from_seed(NAME, KeyType.ORIGIN, b"x" * 32)
    note = proof.checkpoint_note
    cases = [
        (replace(proof, index=6), ORIGIN, Code.BAD_PROOF),
        (replace(proof, index=37), ORIGIN, Code.BAD_PROOF),
        (replace(proof, proof=proof.proof[::-1]), ORIGIN, Code.BAD_PROOF),
        (replace(proof, proof=proof.proof[1:]), ORIGIN, Code.BAD_PROOF),
        (
            replace(proof, checkpoint_note=note.replace(b"\n37\n", b"\n38\n")),
            ORIGIN,
            Code.BAD_SIGNATURE,
        ),
        (replace(proof, checkpoint_note=note[:-1]), ORIGIN, Code.BAD_NOTE),
        (proof, other, Code.BAD_SIGNATURE),
    ]
    for altered, signer, code in cases:
        with pytest.raises(HuyingError) as caught:
            verify_proof(altered, HASHES[5], signer.key)
        assert caught.value.code == code


def test_no_flipped_bit_goes_unnoticed() -> None:
    """Every byte of the file is either proven or refused; `extra` is the leaf it must hash to."""
    for at in range(len(FILE)):
        altered = FILE[:at] + bytes([FILE[at] ^ 1]) + FILE[at + 1 :]
        try:
            proof = parse_proof(altered)
            leaf, openings = unpack_extra(proof.extra)
            verified = verify_proof(proof, leaf_hash(leaf), ORIGIN.key, [TOWN.key])
            # What is left: the opening, which its commitment guards, and the witness's name or
            # key id, which make it the line of a stranger.
            noticed = openings != (b"opening",) or not verified.cosignatures
        except HuyingError as error:
            noticed = error.code in (Code.BAD_PROOF, Code.BAD_NOTE, Code.BAD_SIGNATURE)
        assert noticed, f"byte {at}"


HASH = FILE.split(b"\n")[3]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        FILE[: FILE.index(b"\n\n")],
        FILE[: FILE.index(b"\n\n") + 2],
        FILE[1:],
        b"\n" + FILE,
        FILE.replace(b"@v1", b"@v2"),
        FILE.replace(b"\n", b"\r\n"),
        FILE.replace(b"extra ", b"Extra "),
        FILE.replace(b"index 5", b"index 05"),
        FILE.replace(b"index 5", b"index +5"),
        FILE.replace(b"index 5", b"index  5"),
        FILE.replace(b"index 5", b"index -5"),
        FILE.replace(b"index 5", b"index 281474976710656"),
        FILE.replace(b"index 5\n", b""),
        FILE.replace(b"index 5\n", b"index 5\nindex 5\n"),
        FILE.replace(HASH, HASH[:-4]),
        FILE.replace(HASH, HASH + b"\n\n"),
        FILE.replace(HASH, b" " + HASH),
        FILE.replace(HASH, b"\n".join([HASH] * 49)),
        FILE.replace(FILE.split(b"\n")[1], b"extra "),
        FILE.replace(FILE.split(b"\n")[1], b"extra AA"),
        FILE.replace(FILE.split(b"\n")[1], b"extra AAAA\nextra AAAA"),
        FILE + b"x" * 128 * 1024,
    ],
)
def test_a_file_out_of_form_is_refused(data: bytes) -> None:
    """Refused when it is read, or, where the note is cut, when it is verified."""
    with pytest.raises(HuyingError) as caught:
        verify_proof(parse_proof(data), HASHES[5], ORIGIN.key)
    assert caught.value.code in (Code.BAD_PROOF, Code.BAD_NOTE)


@given(st.binary(max_size=300) | st.binary(max_size=100).map(lambda tail: FILE[:60] + tail))
def test_whatever_parses_formats_back_to_itself(data: bytes) -> None:
    """And whatever does not is refused with the one code."""
    try:
        sound = format_proof(parse_proof(data)) == data
    except HuyingError as error:
        sound = error.code == Code.BAD_PROOF
    assert sound


@given(st.binary(), st.lists(st.binary(max_size=500), max_size=COMPARTMENTS_MAX))
def test_leaf_and_openings_read_back(leaf: bytes, openings: list[bytes]) -> None:
    """Empty parts too: an addressed entry may carry an empty compartment."""
    assert unpack_extra(pack_extra(leaf, openings)) == (leaf, tuple(openings))


@pytest.mark.parametrize(
    "extra",
    [
        b"",
        b"\x00",
        b"\x00\x02a",
        b"\x00\x01a\x00",
        b"\x00\x01a\x00\x05abcd",
        b"\x00\x00" * (COMPARTMENTS_MAX + 2),
        b"\xff\xff" + b"x" * 65535,
    ],
)
def test_an_extra_out_of_form_is_refused(extra: bytes) -> None:
    """Lengths in a file are chosen by whoever wrote it."""
    with pytest.raises(HuyingError) as caught:
        unpack_extra(extra)
    assert caught.value.code == Code.BAD_PROOF


def test_an_entry_over_the_limit_is_not_packed() -> None:
    """What could not be unpacked is not written."""
    for leaf, openings in [(b"x" * (ENTRY_BYTES_MAX + 1), []), (b"", [b""] * 17)]:
        with pytest.raises(HuyingError) as caught:
            pack_extra(leaf, openings)
        assert caught.value.code == Code.INVALID_ARGUMENT
    with pytest.raises(HuyingError):
        format_proof(replace(proof_of(0, 1), proof=(b"short",)))
