"""What came of the demo: the nodes' own words, added up and held against each other."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from huying.common.codes import is_within, parse_origin
from huying.common.status import DelayHistogram
from huying.hub.demo.api import NodeApi
from huying.hub.demo.canary import Scan
from huying.hub.demo.story import Counted
from huying.wire.v1 import api_pb2

__all__ = ["Delays", "Outcome", "converge", "delays_of", "disagreements"]

POLL_SECONDS: Final = 0.3  # over the age that a node's snapshot of itself may have

Statuses = Mapping[str, api_pb2.StatusResponse]  # by division code


@dataclass(frozen=True, slots=True)
class Delays:
    """How many delays lie in each bucket, from an entry's commit to its being applied elsewhere."""

    counts: tuple[int, ...]

    def __sub__(self, before: Delays) -> Delays:
        pairs = zip(self.counts, before.counts or (0,) * len(self.counts), strict=True)
        return Delays(tuple(now - then for now, then in pairs))

    @property
    def count(self) -> int:
        """How many were measured."""
        return sum(self.counts)

    def quantile(self, q: float) -> float | None:
        """In seconds, at most 20 % too high; None where nothing was measured."""
        histogram = DelayHistogram()
        histogram.counts[: len(self.counts)] = self.counts
        histogram.count = self.count
        return histogram.quantile(q)


def delays_of(statuses: Iterable[api_pb2.StatusResponse]) -> Delays:
    """Of all feeds at all nodes together."""
    total: list[int] = []
    for status in statuses:
        for feed in status.feeds:
            counts = feed.delay_counts
            total += [0] * (len(counts) - len(total))
            for bucket, count in enumerate(counts):
                total[bucket] += count
    return Delays(tuple(total))


def disagreements(statuses: Statuses) -> list[str]:
    """Where a node does not hold a feed on its line whole, with the size and root of its origin.

    On a node's line are its ancestors, itself and all below it.
    """
    found = []
    heads: dict[str, tuple[int, bytes]] = dict.fromkeys(statuses, (0, b""))
    for status in statuses.values():
        for feed in status.feeds:
            if feed.origin == status.origin:
                heads[status.code] = (feed.size, feed.root)
    for code, status in statuses.items():
        held = {parse_origin(feed.origin).code: feed for feed in status.feeds}
        for origin in statuses:
            if not (is_within(origin, code) or is_within(code, origin)):
                continue
            if origin not in held:
                found.append(f"{code} holds nothing of {origin}")
                continue
            feed = held[origin]
            if feed.missing or feed.size != heads[origin][0]:
                found.append(
                    f"{code} holds {feed.size} of {heads[origin][0]} entries of {origin}, "
                    f"{feed.missing} openings are missing, the feed is {feed.state} {feed.reason}"
                )
            elif feed.root != heads[origin][1]:
                found.append(f"{code} holds another root of {origin} at size {feed.size}")
    return found


async def converge(apis: Sequence[NodeApi], seconds: float) -> tuple[Statuses, bool]:
    """Wait until the nodes agree and nothing moves; the last statuses, and whether they do."""
    deadline = time.monotonic() + seconds
    before: dict[str, int] = {}
    while True:
        found = await asyncio.gather(*(api.status() for api in apis))
        statuses = {status.code: status for status in found}
        sizes = {feed.origin: feed.size for status in found for feed in status.feeds}
        if sizes == before and not disagreements(statuses):
            return statuses, True
        if time.monotonic() > deadline:
            return statuses, False
        before = sizes
        await asyncio.sleep(POLL_SECONDS)


@dataclass(frozen=True, slots=True)
class Outcome:
    """Everything that the end of the demo shows."""

    statuses: Statuses  # parents before children
    counts: Mapping[Counted, int]
    delays: Delays  # of the whole run
    live_delays: Delays  # of the stream of requests alone
    stream_seconds: float
    scan: Scan
    planted: int  # fields that carry a canary
    roots_equal: bool

    @property
    def entries(self) -> int:
        """In all feeds, each counted once."""
        return sum(
            feed.size
            for status in self.statuses.values()
            for feed in status.feeds
            if feed.origin == status.origin
        )

    @property
    def openings_withheld(self) -> int:
        """At all nodes together."""
        return sum(f.openings_withheld for s in self.statuses.values() for f in s.feeds)

    @property
    def sound(self) -> bool:
        """Whether everything is as promised; that canaries were found at home is part of it."""
        return self.roots_equal and not self.scan.leaks and self.scan.permitted > 0

    def document(self) -> dict[str, object]:
        """The JSON object that scripts read; its keys are stable."""
        return {
            "nodes": len(self.statuses),
            "entries": self.entries,
            "events": self.counts["reported"],
            "calls_raised": self.counts["raised"],
            "calls_answered": self.counts["answered"],
            "calls_answered_again": self.counts["answered_again"],
            "calls_returned": self.counts["returned"],
            "calls_ruled": self.counts["ruled"],
            "calls_supplemented": self.counts["supplemented"],
            "calls_breached": self.counts["breached"],
            "calls_confirmed": self.counts["confirmed"],
            "calls_reopened": self.counts["reopened"],
            "calls_closed": self.counts["closed"],
            "provisions_granted": self.counts["provided"],
            "events_settled": self.counts["settled"],
            "replication_delay_p50_seconds": _rounded(self.delays.quantile(0.50)),
            "replication_delay_p99_seconds": _rounded(self.delays.quantile(0.99)),
            "live_replication_delay_p50_seconds": _rounded(self.live_delays.quantile(0.50)),
            "live_replication_delay_p99_seconds": _rounded(self.live_delays.quantile(0.99)),
            "replication_delays_measured": self.delays.count,
            "stream_seconds": round(self.stream_seconds, 1),
            "openings_withheld": self.openings_withheld,
            "canaries_planted": self.planted,
            "canaries_found_at_home": self.scan.permitted,
            "canary_leaks": len(self.scan.leaks),
            "scanned_bytes": self.scan.scanned_bytes,
            "cpu_seconds": round(sum(s.cpu_seconds for s in self.statuses.values()), 1),
            "resident_bytes_max": max(s.resident_bytes for s in self.statuses.values()),
            "roots_equal": self.roots_equal,
        }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 4)
