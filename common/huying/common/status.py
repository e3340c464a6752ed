"""What a node can say of itself: plain values for the status call, the metrics and the table."""

from __future__ import annotations

import enum
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import accumulate

from huying.common.effects import Direction
from huying.common.errors import Code

__all__ = ["DelayHistogram", "FeedHealth", "FeedStatus", "NodeStatus", "PeerStatus"]

# 1 ms to about 10 days, each bound 1.2 times the last: a quantile is at most 20 % too high.
DELAY_BOUNDS_SECONDS: tuple[float, ...] = tuple(0.001 * 1.2**k for k in range(115))


class DelayHistogram:
    """Counts delays in seconds in buckets of fixed ratio."""

    __slots__ = ("count", "counts", "total_seconds")

    def __init__(self) -> None:
        self.counts = [0] * (len(DELAY_BOUNDS_SECONDS) + 1)
        self.count = 0
        self.total_seconds = 0.0

    def observe(self, delays_seconds: Iterable[float]) -> None:
        """Count each delay; one below zero (two clocks) counts as zero."""
        counts = self.counts
        for delay in delays_seconds:
            counts[bisect_left(DELAY_BOUNDS_SECONDS, delay)] += 1
            self.count += 1
            self.total_seconds += max(0.0, delay)

    def quantile(self, q: float) -> float | None:
        """The upper bound of the bucket that holds quantile `q`, or None where nothing counted."""
        if not self.count:
            return None
        rank = q * self.count
        for position, cumulated in enumerate(accumulate(self.counts)):
            if cumulated >= rank:
                return DELAY_BOUNDS_SECONDS[min(position, len(DELAY_BOUNDS_SECONDS) - 1)]
        return DELAY_BOUNDS_SECONDS[-1]


class FeedHealth(enum.Enum):
    """The state of a feed at this node, worst reason first where several hold."""

    FORKED = "forked"
    RECOVERING = "recovering"
    REPLAYED = "replayed"  # old heads are shown in place of the newest
    WITHHELD = "withheld"  # something in what is held was asked for, and is not given
    TAIL_CUT = "tail_cut"  # the origin signed more than arrives
    UNKNOWN = "unknown"  # no contact, or no fresh pulse of the origin
    UNCONFIRMED = "unconfirmed"  # own feed, and the parent has not confirmed it since the start
    CATCHING_UP = "catching_up"
    UNWITNESSED = "unwitnessed"
    REVOKED = "revoked"  # its parent ended the epoch, and all that stands of it is here
    CLOSED = "closed"  # the node goes on in a later epoch, and all of this one is here
    LIVE = "live"


@dataclass(frozen=True, slots=True)
class FeedStatus:
    """One feed at this node. Times are unix seconds; None means it never happened."""

    origin: str
    code: str
    size: int
    root: bytes
    health: FeedHealth
    reason: str
    remote_head_size: int
    remote_head_observed: float | None
    lag_seconds: float | None  # None: unknown, never zero
    oldest_unapplied: float | None  # since when something announced is not applied here
    last_success: float | None  # when an entry was last applied
    cosigned_size: int  # newest size another node cosigned
    openings_held: int
    openings_withheld: int
    entries_hidden: int
    quarantined: int
    missing: int
    delay: DelayHistogram | None  # None for the own feed
    name: str = ""  # of the division, where the roster tells


@dataclass(frozen=True, slots=True)
class PeerStatus:
    """One neighbour in the tree, connected or not."""

    code: str
    direction: Direction
    connected: bool
    last_contact: float | None
    clock_offset_seconds: float | None
    sent_bytes: int
    received_bytes: int


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """The node as a whole. `state` is starting, live, recovering or draining."""

    code: str
    origin: str
    state: str
    feeds: tuple[FeedStatus, ...]
    peers: tuple[PeerStatus, ...]
    failures: dict[tuple[str, Code], int] = field(default_factory=dict)  # by (peer, code)
    withheld_gaps: int = 0
    breaches: int = 0
    verifier_key: str = ""  # C2SP vkey of the present epoch
    erasures_pending: int = 0  # of which a receipt is outstanding
    erasure_oldest: float | None = None  # when the oldest of them was asked for, unix seconds
