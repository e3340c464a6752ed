"""Checkpoints: an origin's signed word on the size and root of its feed, and its witnesses'.

The formats are c2sp.org/tlog-checkpoint and c2sp.org/tlog-cosignature (cosignature/v1).

    wenshang.example/feed/370830100201/e1                            origin, also the key's name
    8                                                                entries
    XcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQyg=                     root

Extension lines are not written and not accepted. A cosignature promises that its witness holds the
whole feed up to that size and saw it only ever grow; whether to give one is decided elsewhere, here
are the bytes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from huying.common.codes import parse_origin
from huying.common.errors import Code, HuyingError
from huying.common.feed.canonical import decode_base64, decode_decimal, encode_base64
from huying.common.feed.merkle import EMPTY_ROOT, HASH_BYTES
from huying.common.feed.note import (
    KeyType,
    Note,
    NoteSignature,
    Signer,
    VerifierKey,
    cosignature_message,
    cosignature_time,
    format_note,
    line_bytes,
    parse_note,
    verify,
)
from huying.common.limits import NOTE_BYTES_MAX, NOTE_SIGNATURES_MAX, TREE_SIZE_MAX

__all__ = [
    "Checkpoint",
    "Opened",
    "cosign",
    "cosignatures",
    "merge_signatures",
    "open_checkpoint",
    "parse_checkpoint",
    "sign_checkpoint",
]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The state of a feed: its name, how many entries it has, and the root over them."""

    origin: str
    size: int
    root: bytes  # 32 bytes

    def body(self) -> bytes:
        """The text that is signed: three lines."""
        return b"%b\n%d\n%b\n" % (self.origin.encode(), self.size, encode_base64(self.root))


@dataclass(frozen=True, slots=True)
class Opened:
    """A checkpoint whose origin's signature was verified, with the note it came in."""

    checkpoint: Checkpoint
    note: Note


def parse_checkpoint(text: bytes) -> Checkpoint:
    """Read the text of a checkpoint note, verifying nothing.

    Raises HuyingError(BAD_NOTE): not exactly three lines, an origin that is no feed's name, a size
    over TREE_SIZE_MAX, a root that is not 32 bytes, or any of them not in its one spelling.
    """
    lines = text.split(b"\n")
    if len(lines) != 4 or lines[3]:
        raise HuyingError(Code.BAD_NOTE, "checkpoint: not three lines")
    try:
        origin = lines[0].decode("ascii")
        parse_origin(origin)
    except (UnicodeDecodeError, HuyingError):
        raise HuyingError(Code.BAD_NOTE, "checkpoint: origin: not a feed's name") from None
    size = decode_decimal(lines[1], TREE_SIZE_MAX, Code.BAD_NOTE, "checkpoint: size")
    root = decode_base64(lines[2], Code.BAD_NOTE, "checkpoint: root")
    if len(root) != HASH_BYTES:
        raise HuyingError(Code.BAD_NOTE, f"checkpoint: root: not {HASH_BYTES} bytes")
    if size == 0 and root != EMPTY_ROOT:
        raise HuyingError(Code.BAD_NOTE, "checkpoint: root: not that of an empty tree")
    return Checkpoint(origin, size, root)


def sign_checkpoint(signer: Signer, checkpoint: Checkpoint) -> bytes:
    """The note with the origin's signature alone.

    Raises HuyingError(KEY) for a key of another name or type, and HuyingError(BAD_NOTE) for a
    checkpoint that would not parse.
    """
    if signer.type is not KeyType.ORIGIN or signer.name != checkpoint.origin:
        raise HuyingError(Code.KEY, f"signer {signer.name}: does not sign for {checkpoint.origin}")
    text = checkpoint.body()
    parse_checkpoint(text)
    line = NoteSignature(signer.name, signer.key.key_id, signer.sign_raw(text))
    return format_note(Note(text, (line,)))


def open_checkpoint(
    data: bytes, origin_key: VerifierKey, witness_keys: Iterable[VerifierKey] = ()
) -> Opened:
    """Parse a checkpoint note and verify what is known of it.

    Raises HuyingError(BAD_NOTE) for bytes out of form, and HuyingError(BAD_SIGNATURE) where the
    origin's own signature is missing, or that of any key given does not verify.
    """
    note = parse_note(data)
    checkpoint = parse_checkpoint(note.text)
    if checkpoint.origin != origin_key.name or origin_key.type is not KeyType.ORIGIN:
        raise HuyingError(
            Code.BAD_SIGNATURE,
            f"origin {checkpoint.origin}: not the one that {origin_key.name} signs",
        )
    verified = verify(note, (origin_key, *witness_keys))
    if not any(line.identity == (origin_key.name, origin_key.key_id) for line in verified):
        raise HuyingError(Code.BAD_SIGNATURE, f"origin {checkpoint.origin}: did not sign this")
    return Opened(checkpoint, note)


def cosign(signer: Signer, data: bytes, time_seconds: int) -> bytes:
    """The note with this witness's cosignature added, or its older one replaced.

    `time_seconds` is unix time. Where the note is full, the last line of another witness gives
    way. Raises HuyingError(BAD_NOTE), and HuyingError(KEY) for a key that is no witness's.
    """
    if signer.type is not KeyType.COSIGNATURE:
        raise HuyingError(Code.KEY, f"signer {signer.name}: not a witness key")
    note = parse_note(data)
    parse_checkpoint(note.text)
    message = cosignature_message(time_seconds, note.text)
    blob = time_seconds.to_bytes(8, "big") + signer.sign_raw(message)
    own = NoteSignature(signer.name, signer.key.key_id, blob)
    lines = {line.identity: line for line in note.signatures}
    lines[own.identity] = own
    return _assemble(note.text, list(lines.values()), own)


def merge_signatures(
    ours: bytes, theirs: bytes, keys: Iterable[VerifierKey] | None = None
) -> bytes:
    """One note with the signatures of both, the newest cosignature of each witness.

    Both must be notes of one text, and `ours` verified. With `keys`, only those lines of `theirs`
    are taken that these keys signed: without them a stranger's line could push out a good one.
    Raises HuyingError(BAD_NOTE) for two texts, and HuyingError(BAD_SIGNATURE) as `verify` does.
    """
    note, other = parse_note(ours), parse_note(theirs)
    if note.text != other.text:
        raise HuyingError(Code.BAD_NOTE, "merge: the notes are of two texts")
    parse_checkpoint(note.text)
    offered = other.signatures if keys is None else verify(other, keys)
    lines = {line.identity: line for line in note.signatures}
    for line in offered:
        held = lines.setdefault(line.identity, line)
        if _time(line) > _time(held):
            lines[line.identity] = line
    return _assemble(note.text, list(lines.values()), None)


def cosignatures(note: Note, witness_keys: Iterable[VerifierKey]) -> list[tuple[str, int]]:
    """(key name, unix seconds) of every cosignature by these keys, in the note's order.

    Raises HuyingError(BAD_SIGNATURE) where one of them does not verify.
    """
    keys = [key for key in witness_keys if key.type is KeyType.COSIGNATURE]
    return [(line.name, _time(line)) for line in verify(note, keys)]


def _time(line: NoteSignature) -> int:
    """When a line was cosigned; -1 for one that has not the form of a cosignature."""
    time_seconds = cosignature_time(line.signature)
    return -1 if time_seconds is None else time_seconds


def _assemble(text: bytes, lines: list[NoteSignature], own: NoteSignature | None) -> bytes:
    """A note of as many lines as the limits allow; the origin's and one's own are never dropped.

    Junk that somebody appended may fill a note. It must not keep a witness from signing.
    """
    origin = text.split(b"\n", 1)[0].decode()
    ranked = sorted(
        range(len(lines)), key=lambda at: (lines[at].name != origin, lines[at] is not own, at)
    )
    room = NOTE_BYTES_MAX - len(text) - 1
    kept: set[int] = set()
    for at in ranked:
        length = line_bytes(lines[at])
        if len(kept) < NOTE_SIGNATURES_MAX and length <= room:
            kept.add(at)
            room -= length
    return format_note(Note(text, tuple(line for at, line in enumerate(lines) if at in kept)))
