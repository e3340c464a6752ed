"""What a node measures of itself: every gauge and counter, once, as plain values.

The scrape (`huying.node.monitoring.metrics`) and the operations pages (`huying.node.admin.figures`)
show what is reckoned here, so that a page and a dashboard never tell two stories. docs/METRICS.md
has a heading for each name, held by a test.

Three rules. Timestamps, not ages: the reader computes `now - x`, so a stuck exporter can't look
fresh. Unknown is absent, or the timestamp 0 for "never", and never a lag of 0. Labels are bounded
by the roster (`peer`, `feed`, `direction`) and by closed lists (`state`, `reason`): no person and
no call is ever a label.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from huying.common.errors import Code
from huying.common.status import FeedHealth, FeedStatus, NodeStatus
from huying.node.monitoring.disk_use import DiskUse

__all__ = ["COUNTERS", "GAUGES", "Figure", "Observed", "counters", "feed_label", "gauges"]

# A feed that was paused by an operator comes with a later release; the other states are health's.
_STATES: Final = tuple(health.value for health in FeedHealth)

_FEED = ("feed",)
_PEER = ("peer", "direction")

# Name without the prefix, help. The order is the order of docs/METRICS.md.
GAUGES: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
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
    "quarantined_entries": ("Entries of the feed kept opaque that nobody acknowledged.", _FEED),
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
    "database_bytes": ("Bytes of the database, without its write-ahead log.", ()),
    "database_log_bytes": ("Bytes of the write-ahead log.", ()),
    "backup_timestamp_seconds": ("Unix time of the last backup made here; 0: none known of.", ()),
    "offline_window_start_timestamp_seconds": (
        "Unix time when the planned offline window that is open, or the next, begins.",
        (),
    ),
    "offline_window_end_timestamp_seconds": ("Unix time when that window ends.", ()),
}
COUNTERS: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
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


@dataclass(frozen=True, slots=True)
class Observed:
    """One look at the node."""

    status: NodeStatus
    retry_next: Mapping[str, float]  # unix seconds, by peer code
    certificates: Mapping[str, float]  # expiry in unix seconds, by code
    disk: DiskUse | None = None  # None: the folder can't be asked
    last_backup: float | None = None  # unix seconds; None: none known of
    offline_window: tuple[float, float] | None = None  # start and end, unix seconds
    refused_attempts: int = 0  # to join, since the start
    provisions_waiting: int | None = None  # None: not counted yet
    at: float = 0.0  # when it was taken, unix seconds


def feed_label(origin: str) -> str:
    """`370830100201/e1` for `wenshang.example/feed/370830100201/e1`: one network, one label."""
    return "/".join(origin.split("/")[-2:])


class Figure(NamedTuple):
    """One value of the gauge or counter of that name, for one combination of its labels."""

    name: str  # without the prefix
    labels: tuple[str, ...]
    value: float


def gauges(observed: Observed) -> Iterator[Figure]:
    """Every gauge that has a value now."""
    for feed in observed.status.feeds:
        yield from _of_feed(feed)
    yield from _of_peers(observed)
    yield from _of_node(observed)


def counters(observed: Observed) -> Iterator[Figure]:
    """Every counter that has a value now."""
    for peer in observed.status.peers:
        label = peer.code, peer.direction.value
        yield Figure("peer_sent_bytes", label, peer.sent_bytes)
        yield Figure("peer_received_bytes", label, peer.received_bytes)
    yield from _failures(observed.status)
    yield Figure("join_refusals", (), observed.refused_attempts)


def _of_feed(feed: FeedStatus) -> Iterator[Figure]:
    label = (feed_label(feed.origin),)
    yield Figure("feed_size", label, feed.size)
    # Entries are applied in the transaction that stores them, so the two sizes are one here.
    yield Figure("applied_size", label, feed.size)
    yield Figure("cosigned_size", label, feed.cosigned_size)
    yield Figure("remote_head_size", label, feed.remote_head_size)
    observed = feed.remote_head_observed or 0.0
    yield Figure("remote_head_observed_timestamp_seconds", label, observed)
    yield Figure("last_success_timestamp_seconds", label, feed.last_success or 0.0)
    if feed.oldest_unapplied is not None:
        yield Figure("oldest_unapplied_timestamp_seconds", label, feed.oldest_unapplied)
    behind = max(0, feed.remote_head_size - feed.size)
    # What is known to be outstanding is said even while nobody answers; a 0 just when it is known.
    if behind or feed.lag_seconds is not None:
        yield Figure("entries_behind", label, behind)
    for state in _STATES:
        yield Figure("feed_state", (*label, state), float(state == feed.health.value))
    yield Figure("quarantined_entries", label, feed.quarantined)
    yield Figure("missing_openings", label, feed.missing)


def _of_peers(observed: Observed) -> Iterator[Figure]:
    for peer in observed.status.peers:
        label = peer.code, peer.direction.value
        yield Figure("last_contact_timestamp_seconds", label, peer.last_contact or 0.0)
        yield Figure("peer_connected", label, float(peer.connected))
        if peer.clock_offset_seconds is not None:
            yield Figure("peer_clock_offset_seconds", label, peer.clock_offset_seconds)
    for code, at in observed.retry_next.items():
        yield Figure("retry_next_timestamp_seconds", (code,), at)
    for code, at in observed.certificates.items():
        yield Figure("certificate_expiry_timestamp_seconds", (code,), at)


def _of_node(observed: Observed) -> Iterator[Figure]:
    status = observed.status
    yield Figure("erasures_pending", (), status.erasures_pending)
    if status.erasure_oldest is not None:
        yield Figure("erasures_pending_oldest_timestamp_seconds", (), status.erasure_oldest)
    if observed.provisions_waiting is not None:
        yield Figure("provisions_waiting", (), observed.provisions_waiting)
    if observed.disk is not None:
        yield Figure("disk_free_bytes", (), observed.disk.free)
        yield Figure("database_bytes", (), observed.disk.database)
        yield Figure("database_log_bytes", (), observed.disk.log)
    yield Figure("backup_timestamp_seconds", (), observed.last_backup or 0.0)
    if observed.offline_window is not None:
        start, end = observed.offline_window
        yield Figure("offline_window_start_timestamp_seconds", (), start)
        yield Figure("offline_window_end_timestamp_seconds", (), end)


def _failures(status: NodeStatus) -> Iterator[Figure]:
    yield Figure("withheld_gaps", (), status.withheld_gaps)
    yield Figure("breaches", (), status.breaches)
    failures = dict(status.failures)  # a copy first: the engine's thread may add a key meanwhile
    for (peer, code), count in failures.items():
        yield Figure("verify_failures", (peer, code.name.lower()), count)
    for alarm in _ALARMS:
        count = sum(count for (_, code), count in failures.items() if code is alarm)
        yield Figure("alarms", (alarm.name.lower(),), count)
