"""Which slots of which entries of one feed: what was erased, or is opened, over ranges of entries.

A value never changes; `plus` gives the next one. So a transaction that fails goes back to the value
it began with, and a look-up among years of erasures costs one bisection.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

from huying.common.feed.leaf import ADDRESSED, HEAD_SLOT
from huying.common.records.registry import STATEMENT_TYPES
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
        """These, and (start, stop, slots) more; empty slots mean all but the head.

        Just the ranges that one of the added touches are worked out anew.
        """
        more = sorted((start, stop, slots or _ALL) for start, stop, slots in added if start < stop)
        starts: list[int] = []
        stops: list[int] = []
        chosen: list[bytes] = []
        done = at = 0
        while at < len(more):
            ranges = [more[at]]
            low = bisect_left(self.stops, more[at][0])
            end = more[at][1]
            high = bisect_right(self.starts, end)
            end = max(end, self.stops[high - 1]) if high > low else end
            at += 1
            while at < len(more) and more[at][0] <= end:
                ranges.append(more[at])
                high = bisect_right(self.starts, max(end, more[at][1]))
                end = max(end, more[at][1], self.stops[high - 1] if high > low else 0)
                at += 1
            starts += self.starts[done:low]
            stops += self.stops[done:low]
            chosen += self.slots[done:low]
            touched = (self.starts[low:high], self.stops[low:high], self.slots[low:high])
            ranges += zip(*touched, strict=True)
            for start, stop, slots in _disjoint(ranges):
                starts.append(start)
                stops.append(stop)
                chosen.append(slots)
            done = high
        starts += self.starts[done:]
        stops += self.stops[done:]
        chosen += self.slots[done:]
        return Spans(tuple(starts), tuple(stops), tuple(chosen))


def _disjoint(ranges: Iterable[tuple[int, int, bytes]]) -> list[tuple[int, int, bytes]]:
    """The same as ranges that do not meet, ascending; neighbours of like slots as one."""
    edges: list[tuple[int, int, bytes]] = []
    for start, stop, slots in ranges:
        edges += ((start, 1, slots), (stop, -1, slots))
    edges.sort()
    found: list[tuple[int, int, bytes]] = []
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
        if found and found[-1][1] == at and found[-1][2] == union:
            found[-1] = (found[-1][0], until, union)
        else:
            found.append((at, until, union))
    return found


NO_SPANS: Final = Spans()
