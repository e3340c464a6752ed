"""Asking for what is missing, until it comes.

Each row of what is missing is asked for at once, in windows of entries, and again with growing
pauses; nobody is asked who is not linked. A row that was asked for several times, in contact and
for longer than the grace, and still is not there, is being withheld.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from huying.common.feed.leaf import HEAD_SLOT
from huying.common.limits import (
    WANT_ENTRIES_MAX,
    WANTS_IN_FLIGHT_MAX,
    WITHHELD_BEHIND_SECONDS,
)
from huying.common.state import DAMAGED, Missing
from huying.wire.v1 import sync_pb2

__all__ = ["WantBook", "windows"]

ANSWERS_BEFORE_WITHHELD = 3
ROWS_TRACKED_MAX = 256  # of one feed: a hostile origin may leave a million, and every step looks


@dataclass(slots=True)
class _Asking:
    """How far one missing row has been asked for."""

    position: int  # start of the next window
    due: float  # monotonic seconds
    pause_seconds: float
    answers: int = 0  # whole passes answered without bringing all of it


class WantBook:
    """What is asked for, by feed and row."""

    def __init__(self, pause_seconds_min: float, pause_seconds_max: float) -> None:
        self._pause_seconds_min = pause_seconds_min
        self._pause_seconds_max = pause_seconds_max
        self._asking: dict[tuple[str, Missing], _Asking] = {}

    def due(self, origin: str, rows: Iterable[Missing], now: float) -> Iterator[sync_pb2.Want]:
        """The Wants to send now for a feed whose peer is linked."""
        rows = list(islice(rows, ROWS_TRACKED_MAX))
        live = {(origin, row) for row in rows}
        for key in [key for key in self._asking if key[0] == origin and key not in live]:
            del self._asking[key]
        places = WANTS_IN_FLIGHT_MAX
        doubtful = [row for row in rows if row.name == DAMAGED]
        for row in rows:
            if row.name != DAMAGED and any(_overlap(row, other) for other in doubtful):
                continue  # an answer is checked against the leaf, so the leaf comes first
            asking = self._asking.get((origin, row))
            if asking is None:
                if not places:
                    continue
                asking = _Asking(row.start, now, self._pause_seconds_min)
                self._asking[origin, row] = asking
            if not asking.answers:  # what was answered in vain must not keep the others waiting
                places = max(places - 1, 0)
            if now < asking.due:
                continue
            asking.due = now + asking.pause_seconds
            asking.pause_seconds = min(2 * asking.pause_seconds, self._pause_seconds_max)
            stop = min(asking.position + WANT_ENTRIES_MAX, row.stop)
            yield sync_pb2.Want(
                origin=origin,
                start=asking.position,
                stop=stop,
                slots=row.slots,
                leaves=row.name == DAMAGED,
            )

    def answered(self, origin: str, start: int, stop: int, now: float) -> None:
        """The peer has said all it has to say about a window."""
        for (name, row), asking in self._asking.items():
            if name != origin or asking.position != start:
                continue
            if stop >= row.stop:
                asking.position = row.start
                asking.answers += 1
            else:
                asking.position = stop
                asking.due = now
                asking.pause_seconds = self._pause_seconds_min

    def link_opened(self, serves: Iterable[str], now: float) -> None:
        """Ask again at once: whoever is linked now may have what the last one had not."""
        origins = set(serves)
        for (origin, _), asking in self._asking.items():
            if origin in origins:
                asking.due = now
                asking.pause_seconds = self._pause_seconds_min

    def peer_recovered(self, serves: Iterable[str], wall_seconds: float) -> None:
        """A neighbour may have got back what it could not give: its answers count from now on.

        Not of what is missing for long, or saying so again and again would put off being named.
        """
        origins = set(serves)
        for (origin, row), asking in self._asking.items():
            if origin in origins and wall_seconds - row.since < WITHHELD_BEHIND_SECONDS:
                asking.answers = 0

    def withheld(
        self, origin: str, wall_seconds: float, grace_seconds: float, *, behind: bool = False
    ) -> list[Missing]:
        """What of the feed was asked for in vain, often and for long.

        While signed entries are still to come (`behind`) one of them may be an erasure that
        explains why a body is not given; nothing explains the lack of a head, nor of an entry.
        """
        longer = max(grace_seconds, WITHHELD_BEHIND_SECONDS) if behind else grace_seconds
        return [
            row
            for (name, row), asking in self._asking.items()
            if name == origin
            and asking.answers >= ANSWERS_BEFORE_WITHHELD
            and wall_seconds - row.since >= (longer if _is_body(row) else grace_seconds)
        ]

    def forget_settled(self, missing: Collection[str]) -> None:
        """Ask no more of feeds that miss nothing; `missing` are the origins that do."""
        for key in [key for key in self._asking if key[0] not in missing]:
            del self._asking[key]

    def next_due(self, origin: str) -> float:
        """When the next Want of a feed is due; monotonic seconds."""
        dues = (asking.due for (name, _), asking in self._asking.items() if name == origin)
        return min(dues, default=float("inf"))


def _is_body(row: Missing) -> bool:
    return bool(row.slots) and HEAD_SLOT not in row.slots


def windows(origin: str, rows: Iterable[Missing]) -> Iterator[sync_pb2.Want]:
    """The Wants for all of these rows at once: who asks by file has one question a trip."""
    for row in rows:
        for start in range(row.start, row.stop, WANT_ENTRIES_MAX):
            yield sync_pb2.Want(
                origin=origin,
                start=start,
                stop=min(start + WANT_ENTRIES_MAX, row.stop),
                slots=row.slots,
                leaves=row.name == DAMAGED,
            )


def _overlap(one: Missing, other: Missing) -> bool:
    return one.start < other.stop and other.start < one.stop
