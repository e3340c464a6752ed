"""Lag and disk over the last day, in memory: one sample a minute, and no more than that.

A page that is opened must show at once how things went, and a scrape may have nobody who keeps it.
So the node remembers by itself, in a ring of four-byte numbers a feed, some 6 KB each; a village
follows five. A restart forgets it, and the page says since when there is anything. Unknown lag is
kept as unknown, never as zero.
"""

from __future__ import annotations

import asyncio
import itertools
import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from huying.common.limits import HISTORY_FEEDS_MAX, HISTORY_SAMPLES, HISTORY_SECONDS
from huying.node.background import end_task, keep_up
from huying.node.monitoring.disk_use import DiskUse, disk_use

if TYPE_CHECKING:
    from huying.common.status import NodeStatus
    from huying.node.services import Node

__all__ = ["History", "HistoryKeeper", "LagLine", "Timeline"]

N = TypeVar("N", int, float)
_COUNT_MAX: Final = 65_535  # that fits a ring of two bytes each
_UNKNOWN: Final = math.nan
_NOBODY_KNOWS: Final = (
    -1.0
)  # in a ring of lags: less than any, so that the worst is a plain maximum


@dataclass(frozen=True, slots=True)
class LagLine:
    """One feed, point by point."""

    lag_seconds_max: tuple[float, ...]  # not a number: nobody knew
    unknown_samples: tuple[int, ...]  # of the samples of each point


@dataclass(frozen=True, slots=True)
class Timeline:
    """What is remembered, oldest first, in points of several samples each."""

    ends: tuple[float, ...]  # unix seconds of the last sample of each point
    samples: tuple[int, ...]
    worst_lag_seconds_max: tuple[float, ...]  # over all feeds; not a number: none was known
    unknown_feeds_max: tuple[int, ...]  # most feeds whose lag nobody knew at one time
    feeds: dict[str, LagLine]  # by origin
    disk_free: tuple[float, ...]  # bytes at the end of each point; not a number: unknown
    database: tuple[float, ...]


class History:
    """The ring. Not for two threads at once."""

    def __init__(self) -> None:
        self._count = 0  # samples ever taken
        self._times = array("d", [0.0]) * HISTORY_SAMPLES
        self._free = array("d", [_UNKNOWN]) * HISTORY_SAMPLES
        self._database = array("d", [_UNKNOWN]) * HISTORY_SAMPLES
        self._worst = array("f", [_NOBODY_KNOWS]) * HISTORY_SAMPLES
        self._unknown = array("H", [0]) * HISTORY_SAMPLES
        self._lags: dict[str, array[float]] = {}
        self.feeds_left_out = 0

    def add(self, now: float, status: NodeStatus, disk: DiskUse | None) -> None:
        """Take a sample; `now` is unix seconds. The own feed has no lag."""
        at = self._count % HISTORY_SAMPLES
        self._count += 1
        self._times[at] = now
        self._free[at] = _UNKNOWN if disk is None else disk.free
        self._database[at] = _UNKNOWN if disk is None else disk.database
        for line in self._lags.values():
            line[at] = _NOBODY_KNOWS
        self.feeds_left_out = unknown = 0
        worst = _NOBODY_KNOWS
        for feed in status.feeds:
            if feed.origin == status.origin:
                continue
            lag = _NOBODY_KNOWS if feed.lag_seconds is None else feed.lag_seconds
            unknown += feed.lag_seconds is None
            worst = max(worst, lag)
            found = self._line(feed.origin)
            if found is None:
                self.feeds_left_out += 1
            else:
                found[at] = lag
        self._worst[at] = worst
        self._unknown[at] = min(unknown, _COUNT_MAX)

    def _line(self, origin: str) -> array[float] | None:
        """The feed's ring; None where there are too many feeds."""
        line = self._lags.get(origin)
        if line is None and len(self._lags) < HISTORY_FEEDS_MAX:
            line = self._lags[origin] = array("f", [_NOBODY_KNOWS]) * HISTORY_SAMPLES
        return line

    def timeline(self, points_max: int, origins: Sequence[str] = ()) -> Timeline:
        """At most so many points, each of as many samples as the others but the first.

        A point's lag is the worst that was known in it. `origins` are the feeds to be shown.
        """
        held = min(self._count, HISTORY_SAMPLES)
        width = max(1, math.ceil(held / max(1, points_max)))
        first = held % width or width
        cuts = [0, *range(first, held + 1, width)] if held else [0]
        spans = list(itertools.pairwise(cuts))
        lasts = [stop - 1 for _, stop in spans]
        times, free, database = map(self._ordered, (self._times, self._free, self._database))
        unknown = self._ordered(self._unknown)
        return Timeline(
            ends=tuple(times[last] for last in lasts),
            samples=tuple(stop - start for start, stop in spans),
            worst_lag_seconds_max=_thinned(self._ordered(self._worst), spans).lag_seconds_max,
            unknown_feeds_max=tuple(max(unknown[start:stop]) for start, stop in spans),
            feeds={
                origin: _thinned(self._ordered(self._lags[origin]), spans)
                for origin in origins
                if origin in self._lags
            },
            disk_free=tuple(free[last] for last in lasts),
            database=tuple(database[last] for last in lasts),
        )

    def _ordered(self, ring: array[N]) -> array[N]:
        """What a ring holds, oldest first."""
        at = self._count % HISTORY_SAMPLES
        return ring[:at] if self._count < HISTORY_SAMPLES else ring[at:] + ring[:at]


def _thinned(line: array[float], spans: Sequence[tuple[int, int]]) -> LagLine:
    worst, unknown = [], []
    for start, stop in spans:
        part = line[start:stop]
        known = max(part)
        worst.append(_UNKNOWN if known == _NOBODY_KNOWS else known)
        unknown.append(part.count(_NOBODY_KNOWS))
    return LagLine(tuple(worst), tuple(unknown))


class HistoryKeeper:
    """Takes the samples while the node serves."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """The first sample is taken at once."""
        self._task = asyncio.create_task(keep_up("history", self._keep))

    async def stop(self) -> None:
        """What was kept is forgotten with the process."""
        await end_task(self._task)

    async def _keep(self) -> None:
        node = self._node
        while True:
            node.history.add(node.clock.now(), node.runtime.status(), disk_use(node.config))
            await asyncio.sleep(HISTORY_SECONDS)
