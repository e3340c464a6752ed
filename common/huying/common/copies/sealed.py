r"""A sealed copy: what the parent may not read, sealed to a key that the operator keeps elsewhere.

What a village keeps to itself stands in its own database and nowhere else; when that burns, its
feed comes back from the town without it. A sealed copy rests at the town, which can't open it. It
covers entries start <= index < stop of one feed. What is sealed is a `Disclose` with, for each of
them, the leaf, and the openings that the disclosure rule keeps from the parent. Whatever a copy
says is checked against the leaves that the feed's key signed, so nobody gains by forging one.

    info = "huying/sealed/v1\n" ‖ u8 len(origin) ‖ origin ‖ u64 start ‖ u64 stop ‖ u32 generation

An erasure makes the copies of its entries anew, under a later generation; the parent then deletes
the earlier one.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

from google.protobuf.message import DecodeError

from huying.common.codes import Origin, parse_origin
from huying.common.errors import Code, HuyingError
from huying.common.feed import hpke
from huying.common.feed.leaf import leaf_slots, unpack_openings
from huying.common.late.spans import Spans
from huying.common.limits import (
    SEALED_BYTES_MAX,
    SEALED_ENTRIES_MAX,
    SEALED_PLAIN_BYTES_MAX,
    TREE_SIZE_MAX,
)
from huying.common.state import StoredEntry
from huying.common.sync.outgoing import disclosed_entry
from huying.wire.v1 import feed_pb2, sync_pb2

__all__ = [
    "GENERATION_MAX",
    "CopyState",
    "Gathered",
    "SealedCopy",
    "check_range",
    "gather",
    "is_whole",
    "key_id",
    "open_sealed",
    "parse_opened",
    "seal_range",
]

GENERATION_MAX: Final = 2**31  # far beyond any honest one, and within every database's integers
_LABEL: Final = b"huying/sealed/v1\n"


class CopyState(enum.IntEnum):
    """What a row of the store's sealed copies stands for."""

    OURS = 0  # this node sealed it, or is to seal it anew: the parent should hold it
    TOLD = 1  # the parent says that it holds it; this node has not what is in it
    FETCHED = 2  # it came back, and waits for the operator's key
    KEPT = 3  # a child's, kept for it


@dataclass(frozen=True, slots=True)
class SealedCopy:
    """One copy, or what is known of it; `sealed` is empty but where it is here."""

    origin: str
    start: int
    stop: int
    generation: int
    state: CopyState
    openings: int = 0  # sealed in it
    size_bytes: int = 0
    key: bytes = b""  # `key_id` of the recovery key it was sealed to
    sealed: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Gathered:
    """What is to be sealed of entries start <= index < stop."""

    start: int
    stop: int
    openings: int
    plain: bytes = field(repr=False)


def key_id(recovery_key: bytes) -> bytes:
    """8 bytes that tell a recovery key from another."""
    return sha256(b"huying/recovery-key-id/v1\n" + recovery_key).digest()[:8]


def check_range(origin: str, start: int, stop: int, generation: int) -> Origin:
    """The parsed origin of a range that a peer named.

    Raises HuyingError(LIMIT_EXCEEDED or INVALID_ARGUMENT), or as `parse_origin`.
    """
    if not 0 <= start < stop <= TREE_SIZE_MAX or not 0 < generation < GENERATION_MAX:
        raise HuyingError(Code.INVALID_ARGUMENT, "a sealed copy of no range, or no generation")
    if stop - start > SEALED_ENTRIES_MAX:
        raise HuyingError(
            Code.LIMIT_EXCEEDED, f"a sealed copy of over {SEALED_ENTRIES_MAX} entries"
        )
    return parse_origin(origin)


def gather(origin: str, parent: str, start: int, entries: Sequence[StoredEntry]) -> Gathered:
    """What the parent may not read of `entries`, from `start` on, up to the limits of one copy."""
    parsed = parse_origin(origin)
    message = sync_pb2.Disclose(origin=origin, start=start)
    count, size_bytes, stop = 0, 0, start
    for index, stored in enumerate(entries[:SEALED_ENTRIES_MAX], start):
        kept = _kept_back(stored, parent, parsed)
        grown = size_bytes + (kept.ByteSize() + 16 if kept is not None else 0)
        if grown > SEALED_PLAIN_BYTES_MAX:
            break
        size_bytes, stop = grown, index + 1
        if kept is not None:
            count += len(kept.openings)
            message.entries.append(sync_pb2.DisclosedEntry(index=index, entry=kept))
    message.stop = stop
    return Gathered(start, stop, count, message.SerializeToString() if count else b"")


def _kept_back(stored: StoredEntry, parent: str, origin: Origin) -> feed_pb2.Entry | None:
    """The openings that the parent may not read, with their leaf, which it may not have either."""
    held = unpack_openings(stored.openings)
    if stored.leaf is None or not held:
        return None
    try:
        given = disclosed_entry(stored, parent, origin)
    except (HuyingError, DecodeError):
        given = None  # a head that nobody reads is sealed with the rest
    shown = {opening[0] for opening in given[1]} if given is not None else set()
    openings = [opening for opening in held if opening[0] not in shown]
    if not openings:
        return None
    return feed_pb2.Entry(leaf=stored.leaf, openings=openings)


def is_whole(entries: Sequence[StoredEntry], start: int, erased: Spans) -> bool:
    """Whether every opening of `entries`, from `start` on, is held, but for what was erased."""
    for index, stored in enumerate(entries, start):
        if stored.leaf is None:
            return False
        held = {opening[0] for opening in unpack_openings(stored.openings)}
        held.update(erased.at(index))
        try:
            whole = held.issuperset(leaf_slots(stored.leaf))
        except HuyingError:
            continue  # kept opaque: nobody opens it
        if not whole:
            return False
    return True


def seal_range(recovery_key: bytes, origin: str, gathered: Gathered, generation: int) -> bytes:
    """The sealed copy; empty where there is nothing to seal. Raises HuyingError(KEY)."""
    if not gathered.openings:
        return b""
    info = _info(origin, gathered.start, gathered.stop, generation)
    return hpke.seal(gathered.plain, recovery_key, info)


def open_sealed(key: hpke.SealKey, copy: SealedCopy) -> bytes:
    """The `Disclose` in a copy, as bytes.

    Raises HuyingError(KEY) for another key, or a copy that was altered or stands for other entries;
    FRAME_MALFORMED for one that does not hold what it should.
    """
    plain = key.open(copy.sealed, _info(copy.origin, copy.start, copy.stop, copy.generation))
    parse_opened(plain, copy.origin, copy.start)
    return plain


def parse_opened(plain: bytes, origin: str, start: int) -> sync_pb2.Disclose:
    """What was in a copy. Raises HuyingError(FRAME_MALFORMED or LIMIT_EXCEEDED)."""
    if len(plain) > SEALED_BYTES_MAX:
        raise HuyingError(Code.LIMIT_EXCEEDED, "what was sealed is too long")
    try:
        message = sync_pb2.Disclose.FromString(plain)
    except DecodeError:
        raise HuyingError(Code.FRAME_MALFORMED, "what was sealed does not parse") from None
    if (message.origin, message.start) != (origin, start):
        raise HuyingError(Code.FRAME_MALFORMED, "what was sealed is of other entries")
    return message


def _info(origin: str, start: int, stop: int, generation: int) -> bytes:
    name = origin.encode("ascii")
    numbers = start.to_bytes(8, "big") + stop.to_bytes(8, "big") + generation.to_bytes(4, "big")
    return _LABEL + bytes([len(name)]) + name + numbers
