"""Which slots of which entries of one feed: what was erased, or is opened, over ranges of entries.

A value never changes; `plus` gives the next one. So a transaction that fails goes back to the value
it began with, and a look-up among years of erasures costs one bisection.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

from huying.common.leaf import ADDRESSED, HEAD_SLOT
from huying.common.records import STATEMENT_TYPES
from huying.wire.v1 import feed_pb2

__all__ = ["NO_SPANS", "Span", "Spans", "erasable"]

# Every slot but the head's.
_ALL: Final = bytes(range(1, 256))
_CALLS: Final = frozenset({int(feed_pb2.RECORD_TYPE_CALL), int(feed_pb2.RECORD_TYPE_CALL_STEP)})


class Span(NamedTuple):
    """Slots of the entries start <= index < stop of the feed `origin`."""

    origin: str
    start: int
    stop: int
    slots: bytes  # one byte each, ascending; empty: all, the head excepted


def erasable(record_type: int, slots: bytes) -> bytes:
    """Of the slots that a leaf shows, those that an erasure takes from an entry of this type.

    Never the head. A statement stands, for what it says took effect at every node; of a call
    stands what all its parties share, for the state of the call follows from it.
    """
    if record_type in STATEMENT_TYPES:
        return b""
    if record_type in _CALLS:
        return bytes(slot for slot in slots if slot != HEAD_SLOT and not slot & ADDRESSED)
    return slots.lstrip(bytes((HEAD_SLOT,)))


@dataclass(frozen=True, slots=True)
class Spans:
    """Disjoint ranges of entries, ascending, each with its slots."""

    starts: tuple[int, ...] = ()
    stops: tuple[int, ...] = ()
    slots: tuple[bytes, ...] = ()

    def at(self, index: int) -> bytes:
        """The slots spanned of the entry at `index`, the head's never among them."""
        place = bisect_right(self.starts, index) - 1
        return self.slots[place] if place >= 0 and index < self.stops[place] else b""

    def meets(self, start: int, stop: int) -> bool:
        """Whether anything is spanned of the entries [start, stop)."""
        place = bisect_right(self.starts, stop - 1) - 1
        return place >= 0 and self.stops[place] > start

    def plus(self, added: Iterable[tuple[int, int, bytes]]) -> Spans:
        """These, and (start, stop, slots) more; empty slots mean all but the head."""
        ranges = [*zip(self.starts, self.stops, self.slots, strict=True)]
        ranges.extend((start, stop, slots or _ALL) for start, stop, slots in added if start < stop)
        edges: list[tuple[int, int, bytes]] = []
        for start, stop, slots in ranges:
            edges += ((start, 1, slots), (stop, -1, slots))
        edges.sort()
        starts: list[int] = []
        stops: list[int] = []
        chosen: list[bytes] = []
        open_: list[bytes] = []
        for place, (at, step, slots) in enumerate(edges):
            if step > 0:
                open_.append(slots)
            else:
                open_.remove(slots)
            until = edges[place + 1][0] if place + 1 < len(edges) else at
            if until == at or not open_:
                continue
            union = bytes(sorted(set().union(*open_))) if len(open_) > 1 else open_[0]
            if stops and stops[-1] == at and chosen[-1] == union:
                stops[-1] = until
            else:
                starts.append(at)
                stops.append(until)
                chosen.append(union)
        return Spans(tuple(starts), tuple(stops), tuple(chosen))


NO_SPANS: Final = Spans()
