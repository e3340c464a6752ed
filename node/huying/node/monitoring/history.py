"""Lag and disk over the last day: one sample a minute, and no more than that.

A page that is opened must show at once how things went, and a scrape may have nobody who keeps it.
So the node remembers by itself, in a ring of four-byte numbers a feed, some 6 KB each; a village
follows five. A small file carries it over a restart (`history_file`). Minutes in which the node did
not run are samples, too, of which nothing is known but that. Unknown lag is kept as unknown, never
as zero.
"""

from __future__ import annotations

import asyncio
import itertools
import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from huying.common.limits import (
    HISTORY_FEEDS_MAX,
    HISTORY_KEPT_SECONDS,
    HISTORY_SAMPLES,
    HISTORY_SECONDS,
)
from huying.node.background import end_task, keep_up
from huying.node.monitoring import history_file
from huying.node.monitoring.disk_use import DiskUse, disk_use
from huying.node.monitoring.history_file import KeptHistory

if TYPE_CHECKING:
    from huying.common.status import NodeStatus
    from huying.node.services import Node

__all__ = ["History", "HistoryKeeper", "LagLine", "Timeline"]

N = TypeVar("N", int, float)
_COUNT_MAX: Final = 65_535  # that fits a ring of two bytes each
_SAMPLES_KEPT_AT: Final = round(HISTORY_KEPT_SECONDS / HISTORY_SECONDS)
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
    missed_samples: tuple[int, ...]  # of the samples of each point: the node did not run
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
        self._missed = array("B", [0]) * HISTORY_SAMPLES
        self._lags: dict[str, array[float]] = {}
        self.feeds_left_out = 0

    def add(self, now: float, status: NodeStatus, disk: DiskUse | None) -> None:
        """Take a sample; `now` is unix seconds. The own feed has no lag.

        Minutes since the one before are filled up: nobody watched.
        """
        self._miss(now)
        at = self._next(now)
        self._missed[at] = False
        self._free[at] = _UNKNOWN if disk is None else disk.free
        self._database[at] = _UNKNOWN if disk is None else disk.database
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

    def _next(self, now: float) -> int:
        """The place of the next sample, of which nothing is known yet."""
        at = self._count % HISTORY_SAMPLES
        self._count += 1
        self._times[at] = now
        self._free[at] = self._database[at] = _UNKNOWN
        self._worst[at] = _NOBODY_KNOWS
        self._unknown[at] = 0
        self._missed[at] = True
        for line in self._lags.values():
            line[at] = _NOBODY_KNOWS
        return at

    def _miss(self, now: float) -> None:
        """Fill the minutes between the newest sample and `now`."""
        if not self._count:
            return
        before = self._times[(self._count - 1) % HISTORY_SAMPLES]
        minutes = round((now - before) / HISTORY_SECONDS)
        for back in range(min(minutes - 1, HISTORY_SAMPLES), 0, -1):
            self._next(now - back * HISTORY_SECONDS)

    def kept(self) -> KeptHistory:
        """All that is remembered, to be put back after a restart."""
        return KeptHistory(
            times=self._ordered(self._times),
            free=self._ordered(self._free),
            database=self._ordered(self._database),
            worst=self._ordered(self._worst),
            unknown=self._ordered(self._unknown),
            missed=self._ordered(self._missed),
            lags={origin: self._ordered(line) for origin, line in self._lags.items()},
        )

    def put_back(self, kept: KeptHistory) -> None:
        """Go on from what was remembered before; what is remembered now is forgotten."""
        held = len(kept.times)
        self._count = held
        self._times[:held] = kept.times
        self._free[:held] = kept.free
        self._database[:held] = kept.database
        self._worst[:held] = kept.worst
        self._unknown[:held] = kept.unknown
        self._missed[:held] = kept.missed
        self._lags = {}
        for origin, part in kept.lags.items():
            line = self._line(origin)
            if line is not None:
                line[:held] = part

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
        unknown, missed = self._ordered(self._unknown), self._ordered(self._missed)
        return Timeline(
            ends=tuple(times[last] for last in lasts),
            samples=tuple(stop - start for start, stop in spans),
            worst_lag_seconds_max=_thinned(self._ordered(self._worst), spans).lag_seconds_max,
            unknown_feeds_max=tuple(max(unknown[start:stop]) for start, stop in spans),
            missed_samples=tuple(sum(missed[start:stop]) for start, stop in spans),
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
        """What the last run kept is put back, and the first sample taken at once."""
        node = self._node
        kept = history_file.load(node.config.history_file, node.clock.now())
        if kept is not None:
            node.history.put_back(kept)
        self._task = asyncio.create_task(keep_up("history", self._keep))

    async def stop(self) -> None:
        """What is remembered is written once more."""
        await end_task(self._task)
        await self._save()

    async def _save(self) -> None:
        data = history_file.encode(self._node.history.kept())
        await asyncio.to_thread(history_file.save, self._node.config.history_file, data)

    async def _keep(self) -> None:
        node = self._node
        while True:
            for _ in range(_SAMPLES_KEPT_AT):
                node.history.add(node.clock.now(), node.runtime.status(), disk_use(node.config))
                await asyncio.sleep(HISTORY_SECONDS)
            await self._save()
