"""What Prometheus scrapes: the node's figures, and histograms beside them.

docs/METRICS.md has a heading for each name, held by a test.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import accumulate
from typing import Final

from prometheus_client import CollectorRegistry, Histogram, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
)
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from huying.common.status import DELAY_BOUNDS_SECONDS, DelayHistogram
from huying.node.monitoring.figures import COUNTERS, GAUGES, Observed, counters, feed_label, gauges

__all__ = ["METRIC_NAMES", "NodeMetrics"]

# Every sixth bound: a ratio of about 3, twenty buckets, from 1 ms to 11 days.
_THINNING: Final = 6
_APPEND_SECONDS: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
_COMMIT_ENTRIES: Final = tuple(2**k for k in range(11))
_DELAY: Final = "replication_delay_seconds"
_APPEND: Final = "append_seconds"
_COMMIT: Final = "commit_entries"
_BUILD: Final = "build"

# As they stand in the exposition.
METRIC_NAMES: Final[tuple[str, ...]] = tuple(
    f"huying_{name}"
    for name in (
        *GAUGES,
        *(f"{name}_total" for name in COUNTERS),
        _DELAY,
        _APPEND,
        _COMMIT,
        f"{_BUILD}_info",
    )
)


class NodeMetrics:
    """The registry of one node: a collector over snapshots, and two histograms fed by the writer.

    `observe` is called at each scrape, on the scraping thread; it must not block.
    """

    def __init__(self, observe: Callable[[], Observed], version: str, code: str) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        self.registry.register(_SnapshotCollector(observe, {"version": version, "code": code}))
        ProcessCollector(registry=self.registry)
        self._append = Histogram(
            f"huying_{_APPEND}",
            "Seconds from an append request to its durable commit.",
            buckets=_APPEND_SECONDS,
            registry=self.registry,
        )
        self._commit = Histogram(
            f"huying_{_COMMIT}",
            "Entries that one commit wrote for those who asked.",
            buckets=_COMMIT_ENTRIES,
            registry=self.registry,
        )

    def observe_append(self, seconds: float) -> None:
        """One append was acknowledged `seconds` after it was asked for."""
        self._append.observe(seconds)

    def observe_commit(self, entries: int) -> None:
        """One commit wrote `entries` new entries."""
        self._commit.observe(entries)


class _SnapshotCollector(Collector):
    """Samples of one snapshot. A failing snapshot fails the scrape: the target then shows down."""

    def __init__(self, observe: Callable[[], Observed], build: dict[str, str]) -> None:
        self._observe = observe
        self._build = build

    def collect(self) -> Iterator[Metric]:
        """All families, each with help, even where it has no sample now."""
        observed = self._observe()
        families: dict[str, GaugeMetricFamily | CounterMetricFamily] = {
            name: GaugeMetricFamily(f"huying_{name}", text, labels=labels)
            for name, (text, labels) in GAUGES.items()
        }
        families |= {
            name: CounterMetricFamily(f"huying_{name}", text, labels=labels)
            for name, (text, labels) in COUNTERS.items()
        }
        for figure in (*gauges(observed), *counters(observed)):
            families[figure.name].add_metric(figure.labels, figure.value)
        delay = HistogramMetricFamily(
            f"huying_{_DELAY}",
            "Seconds from the origin's commit to being applied here, by the two clocks.",
            labels=("feed",),
        )
        for feed in observed.status.feeds:
            if feed.delay is not None:
                buckets, total = _thin(feed.delay)
                delay.add_metric([feed_label(feed.origin)], buckets, total)
        yield from families.values()
        yield delay
        yield InfoMetricFamily(f"huying_{_BUILD}", "The release that runs.", value=self._build)


def _thin(delay: DelayHistogram) -> tuple[list[tuple[str, float]], float]:
    """Cumulative buckets at every sixth bound and +Inf, and the sum in seconds."""
    cumulated = list(accumulate(tuple(delay.counts)))
    buckets = [
        (f"{DELAY_BOUNDS_SECONDS[at]:.6g}", float(cumulated[at]))
        for at in range(0, len(DELAY_BOUNDS_SECONDS), _THINNING)
    ]
    buckets.append(("+Inf", float(cumulated[-1])))
    return buckets, delay.total_seconds
