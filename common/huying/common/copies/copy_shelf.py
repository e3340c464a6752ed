"""The parent's side of sealed copies: kept for a child, and given back to nobody else.

A copy is opaque here. What a child may leave is bounded, in number and in bytes; a later generation
replaces an earlier one, and an empty one deletes it.
"""

from __future__ import annotations

from typing import Protocol

from huying.common.codes import parse_origin
from huying.common.copies.sealed import CopyState, SealedCopy, check_range
from huying.common.errors import Code, HuyingError
from huying.common.limits import (
    SEALED_BYTES_MAX,
    SEALED_CHILD_BYTES_MAX,
    SEALED_CHILD_COPIES_MAX,
    SEALED_RANGES_MAX,
)
from huying.wire.v1 import sync_pb2

__all__ = ["CopyShelf", "check_copy", "give_copy", "keep_copy", "list_copies"]


class CopyShelf(Protocol):
    """The store's sealed copies. What writes is called inside the store's transaction."""

    def copies(self, code: str) -> list[SealedCopy]:
        """Every copy of a node's feeds, by origin and start, without what is sealed."""
        ...

    def copy(self, origin: str, start: int) -> SealedCopy | None:
        """One copy, with what is sealed."""
        ...

    def load_of(self, code: str) -> tuple[int, int]:
        """(copies, bytes) kept of a node's feeds."""
        ...

    def put_copy(self, copy: SealedCopy) -> None:
        """Add a copy, or replace the one of the same origin and start."""
        ...

    def delete_copy(self, origin: str, start: int) -> None:
        """Delete a copy, and overwrite what it held."""
        ...


def check_copy(message: sync_pb2.SealedCopy, network: str, peer: str) -> None:
    """Refuse what is no copy of the peer's own feed.

    Raises HuyingError(NOT_SERVED, LIMIT_EXCEEDED or INVALID_ARGUMENT).
    """
    parsed = check_range(message.origin, message.start, message.stop, message.generation)
    if (parsed.network, parsed.code) != (network, peer):
        raise HuyingError(Code.NOT_SERVED, "a sealed copy of another node's feed")
    if len(message.sealed) > SEALED_BYTES_MAX:
        raise HuyingError(Code.LIMIT_EXCEEDED, f"a sealed copy of over {SEALED_BYTES_MAX} bytes")


def keep_copy(shelf: CopyShelf, message: sync_pb2.SealedCopy, peer: str) -> sync_pb2.SealedHeld:
    """Keep a checked copy of a child's in place of the earlier one; what is held now.

    Raises HuyingError(LIMIT_EXCEEDED) where the child has left too much already.
    """
    held = sync_pb2.SealedHeld(origin=message.origin, starts=[message.start])
    known = shelf.copy(message.origin, message.start)
    if known is not None and known.generation > message.generation:
        held.stops.append(known.stop)
        held.generations.append(known.generation)
        return held
    if message.sealed:
        _check_room(shelf, peer, known, len(message.sealed))
        shelf.put_copy(
            SealedCopy(
                message.origin,
                message.start,
                message.stop,
                message.generation,
                CopyState.KEPT,
                size_bytes=len(message.sealed),
                sealed=message.sealed,
            )
        )
    elif known is not None:
        shelf.delete_copy(message.origin, message.start)
    held.stops.append(message.stop)
    held.generations.append(message.generation)
    return held


def _check_room(shelf: CopyShelf, peer: str, known: SealedCopy | None, size_bytes: int) -> None:
    copies, kept_bytes = shelf.load_of(peer)
    if known is not None:
        copies, kept_bytes = copies - 1, kept_bytes - known.size_bytes
    if copies >= SEALED_CHILD_COPIES_MAX or kept_bytes + size_bytes > SEALED_CHILD_BYTES_MAX:
        raise HuyingError(
            Code.LIMIT_EXCEEDED,
            f"over {SEALED_CHILD_COPIES_MAX} sealed copies, or {SEALED_CHILD_BYTES_MAX} bytes",
        )


def give_copy(
    shelf: CopyShelf, want: sync_pb2.SealedWant, network: str, peer: str
) -> sync_pb2.SealedCopy:
    """The copy that a child wants of its own feed; with nothing sealed where there is none.

    Raises HuyingError(NOT_SERVED) for another node's feed.
    """
    parsed = parse_origin(want.origin)
    if (parsed.network, parsed.code) != (network, peer):
        raise HuyingError(Code.NOT_SERVED, "a sealed copy of another node's feed")
    answer = sync_pb2.SealedCopy(origin=want.origin, start=want.start)
    copy = shelf.copy(want.origin, want.start) if want.start < 2**63 else None
    if copy is not None and copy.state is CopyState.KEPT:
        answer.stop, answer.generation = copy.stop, copy.generation
        answer.sealed = copy.sealed
    return answer


def list_copies(shelf: CopyShelf, peer: str) -> list[sync_pb2.SealedHeld]:
    """All that is kept for a child; the last says so."""
    found = [sync_pb2.SealedHeld()]
    for copy in shelf.copies(peer):
        if copy.state is not CopyState.KEPT:
            continue
        if found[-1].origin != copy.origin or len(found[-1].starts) >= SEALED_RANGES_MAX:
            if found[-1].starts:
                found.append(sync_pb2.SealedHeld())
            found[-1].origin = copy.origin
        found[-1].starts.append(copy.start)
        found[-1].stops.append(copy.stop)
        found[-1].generations.append(copy.generation)
    found[-1].last = True
    return found
