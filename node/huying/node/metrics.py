"""What Prometheus scrapes. docs/METRICS.md has a heading for each name, held by a test.

Three rules. Timestamps, not ages: the rule computes `time() - x`, so a stuck exporter can't look
fresh. Unknown is absent, or the timestamp 0 for "never", and never a lag of 0. Labels are bounded
by the roster (`peer`, `feed`, `direction`) and by closed lists (`state`, `reason`): no person and
no call is ever a label.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
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

from huying.common.errors import Code
from huying.common.status import (
    DELAY_BOUNDS_SECONDS,
    DelayHistogram,
    FeedHealth,
    FeedStatus,
    NodeStatus,
)

__all__ = ["METRIC_NAMES", "NodeMetrics", "Observed", "feed_label"]

# Every sixth bound: a ratio of about 3, twenty buckets, from 1 ms to 11 days.
_THINNING: Final = 6
_APPEND_SECONDS: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
_COMMIT_ENTRIES: Final = tuple(2**k for k in range(11))
# A feed that was paused by an operator comes with a later release; the other states are health's.
_STATES: Final = tuple(health.value for health in FeedHealth)

_FEED = ("feed",)
_PEER = ("peer", "direction")

# Name without the prefix, help. The order is the order of docs/METRICS.md.
_GAUGES: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    "feed_size": ("Entries of the feed held here.", _FEED),
    "remote_head_size": ("Newest size of the feed that a peer announced.", _FEED),
    "applied_size": ("Entries of the feed applied to the queryable tables.", _FEED),
    "cosigned_size": ("Newest size of the feed that another node, or this one, cosigned.", _FEED),
    "remote_head_observed_timestamp_seconds": (
        "Unix time when the newest announced size was observed; 0: never.",
        _FEED,
    ),
    "last_success_timestamp_seconds": (
        "Unix time when an entry of the feed was last applied; 0: never.",
        _FEED,
    ),
    "oldest_unapplied_timestamp_seconds": (
        "Unix time since when an announced entry is not applied here; absent: none, or unknown.",
        _FEED,
    ),
    "entries_behind": (
        "Announced entries not applied here; absent where none is known and lag is unknown.",
        _FEED,
    ),
    "feed_state": ("1 for the state the feed is in, 0 for the others.", ("feed", "state")),
    "quarantined_entries": ("Entries of the feed kept opaque.", _FEED),
    "missing_openings": ("Gaps and openings asked for and not yet given.", _FEED),
    "last_contact_timestamp_seconds": (
        "Unix time when the peer was last heard from; 0: never. Every expected peer has one.",
        _PEER,
    ),
    "peer_connected": ("1 where a session with the peer is open.", _PEER),
    "retry_next_timestamp_seconds": ("Unix time of the next attempt to dial the peer.", ("peer",)),
    "peer_clock_offset_seconds": (
        "The peer's clock minus this one's, as last observed; absent: unknown.",
        _PEER,
    ),
    "certificate_expiry_timestamp_seconds": (
        "Unix time when the TLS certificate of the node, or of a peer, expires.",
        ("peer",),
    ),
    "erasures_pending": ("Erasures of which a receipt is still outstanding.", ()),
    "erasures_pending_oldest_timestamp_seconds": (
        "Unix time of the oldest erasure of which a receipt is outstanding; absent: none.",
        (),
    ),
    "provisions_waiting": (
        "Requests for fields kept here that this node has to decide; absent: not counted yet.",
        (),
    ),
    "disk_free_bytes": ("Bytes free where the database lies.", ()),
    "offline_window_start_timestamp_seconds": (
        "Unix time when the planned offline window that is open, or the next, begins.",
        (),
    ),
    "offline_window_end_timestamp_seconds": ("Unix time when that window ends.", ()),
}
_COUNTERS: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    "withheld_gaps": ("Gaps that an origin or a relay did not fill within the grace.", ()),
    "join_refusals": ("Attempts to join with a token that were refused.", ()),
    "alarms": ("Alarms raised, by code; each code has a series from the start.", ("code",)),
    "breaches": ("Openings dropped because this node must not have them.", ()),
    "verify_failures": ("Segments, entries or openings refused.", ("peer", "reason")),
    "peer_sent_bytes": ("Bytes of frames sent to the peer.", _PEER),
    "peer_received_bytes": ("Bytes of frames received from the peer.", _PEER),
}
# What an operator is told of; a series that is there at 0 lets a rule see the first one.
_ALARMS: Final = (
    Code.FORK,
    Code.WITHHELD,
    Code.TAIL_CUT,
    Code.HEAD_REPLAYED,
    Code.KEY_CHANGED,
    Code.REVOKED,
    Code.LOST,
    Code.BREACH,
    Code.RECOVERING,
    Code.FORKED,
)
_DELAY: Final = "replication_delay_seconds"
_APPEND: Final = "append_seconds"
_COMMIT: Final = "commit_entries"
_BUILD: Final = "build"

# As they stand in the exposition.
METRIC_NAMES: Final[tuple[str, ...]] = tuple(
    f"huying_{name}"
    for name in (
        *_GAUGES,
        *(f"{name}_total" for name in _COUNTERS),
        _DELAY,
        _APPEND,
        _COMMIT,
        f"{_BUILD}_info",
    )
)


@dataclass(frozen=True, slots=True)
class Observed:
    """One look at the node: what a scrape turns into samples."""

    status: NodeStatus
    retry_next: Mapping[str, float]  # unix seconds, by peer code
    certificates: Mapping[str, float]  # expiry in unix seconds, by code
    disk_free_bytes: int | None = None  # None: the folder can't be asked
    offline_window: tuple[float, float] | None = None  # start and end, unix seconds
    refused_attempts: int = 0  # to join, since the start
    provisions_waiting: int | None = None  # None: not counted yet


def feed_label(origin: str) -> str:
    """`370830100201/e1` for `wenshang.example/feed/370830100201/e1`: one network, one label."""
    return "/".join(origin.split("/")[-2:])


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
        gauges = {
            name: GaugeMetricFamily(f"huying_{name}", text, labels=labels)
            for name, (text, labels) in _GAUGES.items()
        }
        counters = {
            name: CounterMetricFamily(f"huying_{name}", text, labels=labels)
            for name, (text, labels) in _COUNTERS.items()
        }
        delay = HistogramMetricFamily(
            f"huying_{_DELAY}",
            "Seconds from the origin's commit to being applied here, by the two clocks.",
            labels=_FEED,
        )
        for feed in observed.status.feeds:
            _add_feed(gauges, feed)
            if feed.delay is not None:
                buckets, total = _thin(feed.delay)
                delay.add_metric([feed_label(feed.origin)], buckets, total)
        _add_peers(gauges, counters, observed)
        _add_node(gauges, observed)
        _add_failures(counters, observed.status)
        counters["join_refusals"].add_metric([], observed.refused_attempts)
        yield from gauges.values()
        yield from counters.values()
        yield delay
        yield InfoMetricFamily(f"huying_{_BUILD}", "The release that runs.", value=self._build)


def _add_feed(gauges: Mapping[str, GaugeMetricFamily], feed: FeedStatus) -> None:
    label = [feed_label(feed.origin)]
    gauges["feed_size"].add_metric(label, feed.size)
    # Entries are applied in the transaction that stores them, so the two sizes are one here.
    gauges["applied_size"].add_metric(label, feed.size)
    gauges["cosigned_size"].add_metric(label, feed.cosigned_size)
    gauges["remote_head_size"].add_metric(label, feed.remote_head_size)
    observed = feed.remote_head_observed or 0.0
    gauges["remote_head_observed_timestamp_seconds"].add_metric(label, observed)
    gauges["last_success_timestamp_seconds"].add_metric(label, feed.last_success or 0.0)
    if feed.oldest_unapplied is not None:
        gauges["oldest_unapplied_timestamp_seconds"].add_metric(label, feed.oldest_unapplied)
    behind = max(0, feed.remote_head_size - feed.size)
    # What is known to be outstanding is said even while nobody answers; a 0 just when it is known.
    if behind or feed.lag_seconds is not None:
        gauges["entries_behind"].add_metric(label, behind)
    for state in _STATES:
        gauges["feed_state"].add_metric([*label, state], float(state == feed.health.value))
    gauges["quarantined_entries"].add_metric(label, feed.quarantined)
    gauges["missing_openings"].add_metric(label, feed.missing)


def _add_peers(
    gauges: Mapping[str, GaugeMetricFamily],
    counters: Mapping[str, CounterMetricFamily],
    observed: Observed,
) -> None:
    for peer in observed.status.peers:
        label = [peer.code, peer.direction.value]
        gauges["last_contact_timestamp_seconds"].add_metric(label, peer.last_contact or 0.0)
        gauges["peer_connected"].add_metric(label, float(peer.connected))
        if peer.clock_offset_seconds is not None:
            gauges["peer_clock_offset_seconds"].add_metric(label, peer.clock_offset_seconds)
        counters["peer_sent_bytes"].add_metric(label, peer.sent_bytes)
        counters["peer_received_bytes"].add_metric(label, peer.received_bytes)
    for code, at in observed.retry_next.items():
        gauges["retry_next_timestamp_seconds"].add_metric([code], at)
    for code, at in observed.certificates.items():
        gauges["certificate_expiry_timestamp_seconds"].add_metric([code], at)


def _add_node(gauges: Mapping[str, GaugeMetricFamily], observed: Observed) -> None:
    status = observed.status
    gauges["erasures_pending"].add_metric([], status.erasures_pending)
    if status.erasure_oldest is not None:
        gauges["erasures_pending_oldest_timestamp_seconds"].add_metric([], status.erasure_oldest)
    if observed.provisions_waiting is not None:
        gauges["provisions_waiting"].add_metric([], observed.provisions_waiting)
    if observed.disk_free_bytes is not None:
        gauges["disk_free_bytes"].add_metric([], observed.disk_free_bytes)
    if observed.offline_window is not None:
        start, end = observed.offline_window
        gauges["offline_window_start_timestamp_seconds"].add_metric([], start)
        gauges["offline_window_end_timestamp_seconds"].add_metric([], end)


def _add_failures(counters: Mapping[str, CounterMetricFamily], status: NodeStatus) -> None:
    counters["withheld_gaps"].add_metric([], status.withheld_gaps)
    counters["breaches"].add_metric([], status.breaches)
    failures = dict(status.failures)  # a copy first: the engine's thread may add a key meanwhile
    for (peer, code), count in failures.items():
        counters["verify_failures"].add_metric([peer, code.name.lower()], count)
    for alarm in _ALARMS:
        count = sum(count for (_, code), count in failures.items() if code is alarm)
        counters["alarms"].add_metric([alarm.name.lower()], count)


def _thin(delay: DelayHistogram) -> tuple[list[tuple[str, float]], float]:
    """Cumulative buckets at every sixth bound and +Inf, and the sum in seconds."""
    cumulated = list(accumulate(tuple(delay.counts)))
    buckets = [
        (f"{DELAY_BOUNDS_SECONDS[at]:.6g}", float(cumulated[at]))
        for at in range(0, len(DELAY_BOUNDS_SECONDS), _THINNING)
    ]
    buckets.append(("+Inf", float(cumulated[-1])))
    return buckets, delay.total_seconds
