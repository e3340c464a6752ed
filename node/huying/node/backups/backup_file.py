r"""The backup file: a clear header, and behind it a compressed, encrypted stream of named parts.

    "huying-backup/v1\n" ‖ u16 length ‖ header (JSON) ‖ SHA-256 of all before
    chunk ‖ chunk ‖ … ‖ last chunk

A chunk is 64 KiB of the payload under ChaCha20-Poly1305, 16 bytes longer; the last may be shorter.
Its nonce is its number (11 bytes, big-endian) and a byte that is 1 on the last one, as in the
STREAM construction (Hoang, Reyhanitabar, Rogaway and Vizár, 2015; used so by age): chunks that are
left out, moved, repeated or cut off fail to open. The key is HKDF-SHA256 of the period key, salted
by 32 random bytes of the header, with the digest of the header in its info: so the header can be
read by anybody and altered by nobody.

The payload is one zstd frame of `u8 name length ‖ name ‖ u64 length ‖ bytes` for each part, ended
by a zero byte.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from hashlib import sha256
from typing import Any, BinaryIO, Final, cast

import zstandard
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from huying.common import codes
from huying.common.errors import Code, HuyingError
from huying.common.limits import BACKUP_HEADER_BYTES_MAX, TREE_SIZE_MAX

__all__ = ["CHUNK_BYTES", "MAGIC", "SALT_BYTES", "Header", "Part", "PartReader", "PartWriter"]

MAGIC: Final = b"huying-backup/v1\n"
SALT_BYTES: Final = 32
CHUNK_BYTES: Final = 64 * 1024
_TAG_BYTES: Final = 16
_KEY_BYTES: Final = 32
_COUNTER_BYTES: Final = 11
_LEVEL: Final = 3  # of zstd: the disk and the cipher are slower than this
_WINDOW_BYTES_MAX: Final = 8 * 1024 * 1024  # level 3 needs 2 MiB; a reader allocates no more
_INFO: Final = b"huying/backup/v1\n"
_NAME: Final = re.compile(
    r"[a-z]{1,16}(/[A-Za-z0-9][A-Za-z0-9._-]{0,79})?|node\.(toml|db)|pin\.toml|console\.db"
)
_PERIOD: Final = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])")
_HEX: Final = re.compile(r"[0-9a-f]*")


@dataclass(frozen=True, slots=True)
class Header:
    """What a backup says of itself to anybody."""

    network: str
    code: str
    origin: str
    size: int  # of the own feed
    created: int  # unix seconds
    period: str  # of its key: 2026-11
    key_id: str  # 16 hex digits, of the period key
    keys: str  # the folder the key lay in; a hint, and no more
    salt: str  # 64 hex digits

    def encode(self) -> bytes:
        """Magic, length, JSON, checksum."""
        text = json.dumps(asdict(self), sort_keys=True, separators=(",", ":")).encode("ascii")
        assert len(text) <= BACKUP_HEADER_BYTES_MAX, "paths are clipped by whoever makes a header"
        body = MAGIC + len(text).to_bytes(2, "big") + text
        return body + sha256(body).digest()

    @classmethod
    def read(cls, file: BinaryIO) -> Header:
        """The header at the start of `file`, which then stands at the first chunk.

        Raises HuyingError(BACKUP_DAMAGED) for one that is cut short, altered or of another version.
        """
        start = _exactly(file, len(MAGIC) + 2, "the header")
        if not start.startswith(MAGIC):
            raise _damaged("not a backup of this version")
        length = int.from_bytes(start[len(MAGIC) :], "big")
        if length > BACKUP_HEADER_BYTES_MAX:
            raise _damaged("the header is too long")
        text = _exactly(file, length, "the header")
        if _exactly(file, 32, "the header") != sha256(start + text).digest():
            raise _damaged("the header was altered")
        header = cls._parse(text)
        if header.encode() != start + text + sha256(start + text).digest():
            raise _damaged("the header is not in its one form")
        return header

    @classmethod
    def _parse(cls, text: bytes) -> Header:
        try:
            table: Any = json.loads(text)
            kinds = {field.name: int if field.type == "int" else str for field in fields(cls)}
            if not isinstance(table, dict) or table.keys() != kinds.keys():
                raise _damaged("the header has other fields")
            if any(type(table[name]) is not kind for name, kind in kinds.items()):
                raise _damaged("the header has fields of another kind")
            header = cls(**table)
            origin = codes.parse_origin(header.origin)
        except (ValueError, HuyingError):
            raise _damaged("the header can't be read") from None
        fits = (
            (origin.network, origin.code) == (header.network, header.code)
            and 0 <= header.size <= TREE_SIZE_MAX
            and 0 <= header.created < 2**40
            and _PERIOD.fullmatch(header.period)
            and len(header.key_id) == 16
            and _HEX.fullmatch(header.key_id)
            and len(header.salt) == 2 * SALT_BYTES
            and _HEX.fullmatch(header.salt)
        )
        if not fits:
            raise _damaged("the header does not fit together")
        return header


@dataclass(frozen=True, slots=True)
class Part:
    """One named part of a payload; `size` bytes follow."""

    name: str  # node.toml, node.db, keys/witness.key, …
    size: int


class PartWriter:
    """Writes the header at once, then parts; nothing is whole before `close`."""

    def __init__(self, file: BinaryIO, header: Header, key: bytes) -> None:
        file.write(header.encode())
        self._chunks = _ChunkWriter(file, _cipher(header, key))
        # Any object that writes will do, whatever the library's stubs say.
        sink = cast("BinaryIO", self._chunks)
        self._stream = zstandard.ZstdCompressor(level=_LEVEL).stream_writer(sink, closefd=False)
        self._left = 0

    def begin(self, name: str, size: int) -> None:
        """Start a part; `write` must then be given exactly `size` bytes."""
        assert not self._left, "the part before is not whole"
        assert _NAME.fullmatch(name), name
        data = name.encode("ascii")
        self._stream.write(bytes([len(data)]) + data + size.to_bytes(8, "big"))
        self._left = size

    def write(self, data: bytes) -> None:
        """The next bytes of the part."""
        self._left -= len(data)
        assert self._left >= 0, "more than the part's size"
        self._stream.write(data)

    def close(self) -> None:
        """Write the end and the last chunk. The file is the caller's to sync and to close."""
        assert not self._left, "the last part is not whole"
        self._stream.write(b"\x00")
        self._stream.close()  # type: ignore[no-untyped-call]  # the stubs forgot
        self._chunks.close()


class PartReader:
    """Reads parts in their order. Everything raises HuyingError(BACKUP_DAMAGED) alone."""

    def __init__(self, file: BinaryIO, header: Header, key: bytes) -> None:
        """`file` stands behind the header."""
        self._chunks = _ChunkReader(file, _cipher(header, key))
        unpacker = zstandard.ZstdDecompressor(max_window_size=_WINDOW_BYTES_MAX)
        self._stream = unpacker.stream_reader(cast("BinaryIO", self._chunks), closefd=False)
        self._left = 0

    def parts(self) -> Iterator[Part]:
        """Each part; what of it was not read by `read` is passed over."""
        while (length := self._exactly(1)[0]) != 0:
            name = self._exactly(length).decode("ascii", "replace")
            if not _NAME.fullmatch(name):
                raise _damaged("a part has a name that none has")
            size = int.from_bytes(self._exactly(8), "big")
            self._left = size
            yield Part(name, size)
            while self.read():
                pass
        if self._next(1):
            raise _damaged("something follows the end")
        self._chunks.end()

    def read(self) -> bytes:
        """The next bytes of this part, empty at its end."""
        data = self._exactly(min(self._left, CHUNK_BYTES))
        self._left -= len(data)
        return data

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            more = self._next(count - len(data))
            if not more:
                raise _damaged("it ends within a part")
            data += more
        return data

    def _next(self, count: int) -> bytes:
        try:
            return self._stream.read(count)
        except zstandard.ZstdError:
            raise _damaged("what is inside can't be unpacked") from None


class _ChunkWriter:
    """A stream that encrypts what is written to it; it holds one chunk back, to mark the last."""

    def __init__(self, file: BinaryIO, cipher: ChaCha20Poly1305) -> None:
        self._file = file
        self._cipher = cipher
        self._buffer = bytearray()
        self._number = 0

    def write(self, data: bytes) -> int:
        self._buffer += data
        while len(self._buffer) > CHUNK_BYTES:
            self._put(bytes(self._buffer[:CHUNK_BYTES]), last=False)
            del self._buffer[:CHUNK_BYTES]
        return len(data)

    def flush(self) -> None:
        """The compressor asks for it; a chunk is written when it is full."""

    def close(self) -> None:
        self._put(bytes(self._buffer), last=True)
        self._buffer.clear()

    def _put(self, chunk: bytes, *, last: bool) -> None:
        self._file.write(self._cipher.encrypt(_nonce(self._number, last), chunk, None))
        self._number += 1


class _ChunkReader:
    """The plaintext of the chunks, each checked before a byte of it is seen."""

    def __init__(self, file: BinaryIO, cipher: ChaCha20Poly1305) -> None:
        self._file = file
        self._cipher = cipher
        self._ahead = file.read(CHUNK_BYTES + _TAG_BYTES)
        self._buffer = b""
        self._number = 0
        self._ended = False

    def read(self, count: int) -> bytes:
        if not self._buffer and not self._ended:
            self._take()
        data, self._buffer = self._buffer[:count], self._buffer[count:]
        return data

    def end(self) -> None:
        """Refuse a file that goes on behind its payload."""
        if self._buffer or not self._ended:
            raise _damaged("something follows the end")

    def _take(self) -> None:
        sealed, self._ahead = self._ahead, self._file.read(CHUNK_BYTES + _TAG_BYTES)
        self._ended = not self._ahead
        try:
            self._buffer = self._cipher.decrypt(_nonce(self._number, self._ended), sealed, None)
        except InvalidTag:
            where = f"chunk {self._number}" + (", the last here" if self._ended else "")
            raise _damaged(f"{where}: altered, or the file is cut short") from None
        self._number += 1


def _nonce(number: int, last: bool) -> bytes:
    return number.to_bytes(_COUNTER_BYTES, "big") + bytes([last])


def _cipher(header: Header, key: bytes) -> ChaCha20Poly1305:
    info = _INFO + sha256(header.encode()).digest()
    hkdf = HKDF(SHA256(), _KEY_BYTES, bytes.fromhex(header.salt), info)
    return ChaCha20Poly1305(hkdf.derive(key))


def _exactly(file: BinaryIO, count: int, what: str) -> bytes:
    data = file.read(count)
    if len(data) < count:
        raise _damaged(f"{what} is cut short")
    return data


def _damaged(why: str) -> HuyingError:
    return HuyingError(Code.BACKUP_DAMAGED, why)
