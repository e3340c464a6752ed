"""Signed notes (c2sp.org/signed-note): text, a blank line, and one line per signature.

    wenshang.example/feed/370830100201/e1
    8
    XcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQyg=

    — wenshang.example/feed/370830100201/e1 <base64(key id ‖ signature)>

A line names its key by name and id. A line of a key that the reader does not know is ignored:
that is how further algorithms come in. A line of a key that it knows must verify, or the note is
refused. Two signature types are understood: 0x01, Ed25519 over the text, and 0x04, a witness's
timestamped cosignature/v1 (c2sp.org/tlog-cosignature). Parsing is strict: a note that parses
formats back to the very same bytes.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from huying.common.errors import Code, HuyingError
from huying.common.feed.canonical import decode_base64, encode_base64
from huying.common.feed.ed25519_keys import check_public_key
from huying.common.limits import NOTE_BYTES_MAX, NOTE_SIGNATURES_MAX

__all__ = [
    "KeyType",
    "Note",
    "NoteSignature",
    "Signer",
    "VerifierKey",
    "cosignature_message",
    "cosignature_time",
    "format_note",
    "line_bytes",
    "parse_note",
    "verify",
]

_KEY_ID_BYTES: Final = 4
_SIGNATURE_BYTES: Final = 64
_TIME_BYTES: Final = 8
_TIME_MAX: Final = 2**63 - 1  # tlog-cosignature's own limit
_DASH: Final = "— ".encode()
# One per key in the network that this process meets; a key object is about 1 KiB.
_KEYS_CACHED_MAX: Final = 4096
_CONTROL: Final = re.compile(r"[\x00-\x09\x0b-\x1f]")  # all of C0 but the line feed


class KeyType(enum.IntEnum):
    """The signature type byte of signed-note, as far as it is understood here."""

    ORIGIN = 0x01  # Ed25519 over the note's text
    COSIGNATURE = 0x04  # Ed25519 over cosignature/v1, the time and the text


@lru_cache(maxsize=_KEYS_CACHED_MAX)
def _public_key(data: bytes) -> Ed25519PublicKey:
    return Ed25519PublicKey.from_public_bytes(data)


def _check_name(name: str, code: Code) -> None:
    if not name or "+" in name or any(c.isspace() or c < " " for c in name):
        raise HuyingError(code, "key name: empty, or with a space, a plus or a control character")


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key and the name it goes by. `key_id` follows from the rest.

    Raises HuyingError(KEY) for an unusable name or a public key that must not be trusted.
    """

    name: str
    type: KeyType
    public_key: bytes  # 32 bytes
    key_id: bytes = field(init=False)  # 4 bytes

    def __post_init__(self) -> None:
        _check_name(self.name, Code.KEY)
        check_public_key(self.public_key)
        material = bytes([self.type]) + self.public_key
        digest = sha256(self.name.encode() + b"\n" + material).digest()
        object.__setattr__(self, "key_id", digest[:_KEY_ID_BYTES])

    @classmethod
    def parse(cls, text: str) -> VerifierKey:
        """From `<name>+<key id in hex>+<base64(type ‖ public key)>`.

        Raises HuyingError(KEY) unless it re-formats to `text`.
        """
        parts = text.split("+", 2)
        if len(parts) != 3 or not text.isprintable():
            raise HuyingError(Code.KEY, "verifier key: not <name>+<id>+<base64>")
        if not parts[2].isascii():
            raise HuyingError(Code.KEY, "verifier key: not base64")
        material = decode_base64(parts[2].encode(), Code.KEY, "verifier key")
        if not material or material[0] not in set(KeyType):
            raise HuyingError(Code.KEY, "verifier key: a signature type not understood here")
        key = cls(parts[0], KeyType(material[0]), material[1:])
        if str(key) != text:
            raise HuyingError(Code.KEY, "verifier key: the id does not belong to name and key")
        return key

    def __str__(self) -> str:
        material = encode_base64(bytes([self.type]) + self.public_key)
        return f"{self.name}+{self.key_id.hex()}+{material.decode()}"

    def verify_raw(self, message: bytes, signature: bytes) -> None:
        """Check this key's Ed25519 signature of exactly these bytes.

        Raises HuyingError(BAD_SIGNATURE), naming the key.
        """
        try:
            _public_key(self.public_key).verify(signature, message)
        except InvalidSignature:
            raise HuyingError(
                Code.BAD_SIGNATURE, f"signature of {self.name}: does not verify"
            ) from None


class Signer:
    """A private key and the name it signs under. It never shows the key."""

    __slots__ = ("_private_key", "key")

    key: VerifierKey

    def __init__(self, name: str, type_: KeyType, private_key: Ed25519PrivateKey) -> None:
        self._private_key = private_key
        self.key = VerifierKey(name, type_, private_key.public_key().public_bytes_raw())

    @classmethod
    def from_seed(cls, name: str, type_: KeyType, seed: bytes) -> Signer:
        """From the 32 secret bytes of RFC 8032. Raises HuyingError(KEY) for another length."""
        if len(seed) != 32:
            raise HuyingError(Code.KEY, "private key: a seed has 32 bytes")
        return cls(name, type_, Ed25519PrivateKey.from_private_bytes(seed))

    @property
    def name(self) -> str:
        """The key's name."""
        return self.key.name

    @property
    def type(self) -> KeyType:
        """What the key signs."""
        return self.key.type

    def sign_raw(self, message: bytes) -> bytes:
        """The 64 byte Ed25519 signature of exactly these bytes.

        The caller sees to it that no two kinds of message can be mistaken for one another.
        """
        return self._private_key.sign(message)

    def __repr__(self) -> str:
        return f"Signer({self.key})"


@dataclass(frozen=True, slots=True)
class NoteSignature:
    """One signature line. `signature` is what follows the key id, in its type's own form."""

    name: str
    key_id: bytes  # 4 bytes
    signature: bytes

    @property
    def identity(self) -> tuple[str, bytes]:
        """What tells the key: its name and id."""
        return self.name, self.key_id


@dataclass(frozen=True, slots=True)
class Note:
    """A parsed note. Nothing in it is to be believed before `verify`."""

    text: bytes  # with its final newline, without the blank line
    signatures: tuple[NoteSignature, ...]


def format_note(note: Note) -> bytes:
    """The note's bytes, which `parse_note` reads back.

    Raises HuyingError(BAD_NOTE) for what would not parse, such as no signature at all.
    """
    data = _format(note)
    if parse_note(data) != note:
        raise HuyingError(Code.BAD_NOTE, "note: does not read back as it was written")
    return data


def _format(note: Note) -> bytes:
    return b"%b\n%b" % (note.text, b"".join(map(_format_line, note.signatures)))


def _format_line(line: NoteSignature) -> bytes:
    blob = encode_base64(line.key_id + line.signature)
    return b"%b%b %b\n" % (_DASH, line.name.encode(), blob)


def line_bytes(line: NoteSignature) -> int:
    """How many bytes of a note the line takes."""
    return len(_format_line(line))


def parse_note(data: bytes) -> Note:
    """Split a note into its text and its signature lines, verifying nothing.

    Raises HuyingError(BAD_NOTE): over 64 KiB or 16 signatures, not UTF-8, a control character, a
    line out of form, or anything that does not format back to `data`.
    """
    if len(data) > NOTE_BYTES_MAX:
        raise HuyingError(Code.BAD_NOTE, f"note: over {NOTE_BYTES_MAX} bytes")
    try:
        decoded = data.decode()
    except UnicodeDecodeError:
        raise HuyingError(Code.BAD_NOTE, "note: not UTF-8") from None
    if _CONTROL.search(decoded):
        raise HuyingError(Code.BAD_NOTE, "note: a control character")
    blank = data.rfind(b"\n\n")
    if blank < 0 or not data.endswith(b"\n") or blank + 2 == len(data):
        raise HuyingError(Code.BAD_NOTE, "note: no text, blank line and signatures")
    lines = data[blank + 2 : -1].split(b"\n")
    if len(lines) > NOTE_SIGNATURES_MAX:
        raise HuyingError(Code.BAD_NOTE, f"note: over {NOTE_SIGNATURES_MAX} signatures")
    note = Note(data[: blank + 1], tuple(_parse_line(line) for line in lines))
    if _format(note) != data:
        raise HuyingError(Code.BAD_NOTE, "note: does not re-format to itself")
    return note


def _parse_line(line: bytes) -> NoteSignature:
    parts = line.removeprefix(_DASH).split(b" ")
    if not line.startswith(_DASH) or len(parts) != 2:
        raise HuyingError(Code.BAD_NOTE, "signature line: not — <name> <base64>")
    name = parts[0].decode()
    _check_name(name, Code.BAD_NOTE)
    blob = decode_base64(parts[1], Code.BAD_NOTE, "signature line")
    if len(blob) <= _KEY_ID_BYTES:
        raise HuyingError(Code.BAD_NOTE, "signature line: no signature after the key id")
    return NoteSignature(name, blob[:_KEY_ID_BYTES], blob[_KEY_ID_BYTES:])


def cosignature_message(time_seconds: int, text: bytes) -> bytes:
    """What a witness signs: that it saw the checkpoint `text` at that time (unix seconds)."""
    return b"cosignature/v1\ntime %d\n%b" % (time_seconds, text)


def cosignature_time(signature: bytes) -> int | None:
    """The unix seconds in a type 0x04 signature, or None for what has not that form."""
    if len(signature) != _TIME_BYTES + _SIGNATURE_BYTES:
        return None
    time_seconds = int.from_bytes(signature[:_TIME_BYTES], "big")
    return time_seconds if time_seconds <= _TIME_MAX else None


def _verify_line(key: VerifierKey, text: bytes, signature: bytes) -> None:
    if key.type is KeyType.ORIGIN:
        key.verify_raw(text, signature)
        return
    time_seconds = cosignature_time(signature)
    if time_seconds is None:
        raise HuyingError(Code.BAD_SIGNATURE, f"signature of {key.name}: not a cosignature/v1")
    key.verify_raw(cosignature_message(time_seconds, text), signature[_TIME_BYTES:])


def verify(note: Note, keys: Iterable[VerifierKey]) -> tuple[NoteSignature, ...]:
    """The lines that these keys signed, in the note's order; empty where none did.

    Lines of other keys are ignored. Raises HuyingError(BAD_SIGNATURE) where a line of one of these
    keys does not verify.
    """
    known = {(key.name, key.key_id): key for key in keys}
    verified = []
    for line in note.signatures:
        key = known.get(line.identity)
        if key is not None:
            _verify_line(key, note.text, line.signature)
            verified.append(line)
    return tuple(verified)
