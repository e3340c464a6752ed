"""Feeds and neighbours as rows of the operations pages, the worst first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from huying.common.codes import parse_origin
from huying.node.web.operations.operations_source import Look, place_of
from huying.wire.v1 import admin_pb2

__all__ = ["RUNBOOK", "STATE_KINDS", "FeedLine", "PeerLine", "feed_lines", "peer_lines"]

# How a state is coloured, the worst first.
STATE_KINDS: Final[Mapping[str, str]] = {
    "forked": "bad",
    "down": "bad",
    "recovering": "bad",
    "replayed": "bad",
    "withheld": "bad",
    "tail_cut": "bad",
    "unknown": "warn",
    "unconfirmed": "warn",
    "unwitnessed": "warn",
    "catching_up": "act",
    "live": "good",
    "revoked": "",
    "closed": "",
}
_LASTING: Final = frozenset({"forked", "closed", "revoked"})
_WORST_FIRST: Final = {state: place for place, state in enumerate(STATE_KINDS)}
# What to read about a state.
RUNBOOK: Final[Mapping[str, str]] = {
    "forked": "HuyingFeedForked",
    "down": "HuyingNodeDown",
    "recovering": "HuyingFeedRecovering",
    "replayed": "HuyingFeedReplayed",
    "withheld": "HuyingFeedWithheld",
    "tail_cut": "HuyingFeedTailCut",
    "unknown": "HuyingChildNoContact",
    "unconfirmed": "HuyingParentNoContact",
    "unwitnessed": "HuyingParentNoContact",
    "catching_up": "HuyingFeedBehind",
    "revoked": "revoke",
}


@dataclass(frozen=True, slots=True)
class FeedLine:
    """One feed. Times are unix seconds; None is what nobody knows, and never zero."""

    origin: str
    code: str
    label: str
    place: Mapping[str, str]  # of its page
    own: bool
    state: str
    reason: str
    size: int
    remote_head_size: int | None
    behind: int | None
    lag_seconds: float | None
    last_success: float | None  # 0: not since the node started
    cosigned_size: int
    quarantined: int
    missing: int

    @property
    def kind(self) -> str:
        """The colour of the state."""
        return STATE_KINDS.get(self.state, "warn")

    @property
    def is_ended(self) -> bool:
        """Whether the feed's epoch is over, and all of it is here."""
        return self.state in ("closed", "revoked")


@dataclass(frozen=True, slots=True)
class PeerLine:
    """One neighbour."""

    code: str
    direction: str  # up, down
    connected: bool | None  # None: nobody knows
    last_contact: float  # unix seconds; 0: never
    retry_next: float | None
    clock_offset_seconds: float | None
    sent_bytes: float
    received_bytes: float


def feed_lines(look: Look) -> list[FeedLine]:
    """Every feed: those with something wrong first, then by code and epoch."""
    lines = [_feed_line(look, feed) for feed in look.feeds]
    return sorted(
        lines, key=lambda one: (_WORST_FIRST.get(one.state, 0), not one.own, one.code, one.origin)
    )


def _feed_line(look: Look, feed: admin_pb2.FigureFeed) -> FeedLine:
    label = feed.label
    remote = look.figures.get("remote_head_size", feed=label)
    behind = look.figures.get("entries_behind", feed=label) if look.is_live else None
    return FeedLine(
        origin=feed.origin,
        code=parse_origin(feed.origin).code,
        label=label,
        place=place_of(feed.origin),
        own=feed.own,
        state=_state(look, feed),
        reason=feed.reason if look.is_live else "",
        size=_count(look, "feed_size", label),
        remote_head_size=None if remote is None else int(remote),
        behind=None if behind is None else int(behind),
        lag_seconds=feed.lag_seconds if feed.lag_known and look.is_live else None,
        last_success=look.figures.get("last_success_timestamp_seconds", feed=label),
        cosigned_size=_count(look, "cosigned_size", label),
        quarantined=_count(look, "quarantined_entries", label),
        missing=_count(look, "missing_openings", label),
    )


def _state(look: Look, feed: admin_pb2.FigureFeed) -> str:
    """The state; of a node that is away, what lasts of it. A feed that was live then may not be."""
    if look.is_live or feed.state in _LASTING:
        return feed.state
    return "down" if feed.own else "unknown"


def _count(look: Look, name: str, label: str) -> int:
    return int(look.figures.get(name, feed=label) or 0)


def peer_lines(look: Look) -> list[PeerLine]:
    """Every neighbour: the parent first, then those who are not there, then by code."""
    lines = []
    for labels, heard in look.figures.all("last_contact_timestamp_seconds"):
        connected = look.figures.get("peer_connected", **labels)
        lines.append(
            PeerLine(
                code=labels["peer"],
                direction=labels["direction"],
                connected=None if connected is None else bool(connected),
                last_contact=heard,
                retry_next=look.figures.get("retry_next_timestamp_seconds", peer=labels["peer"]),
                clock_offset_seconds=look.figures.get("peer_clock_offset_seconds", **labels),
                sent_bytes=look.figures.get("peer_sent_bytes_total", **labels) or 0.0,
                received_bytes=look.figures.get("peer_received_bytes_total", **labels) or 0.0,
            )
        )
    return sorted(lines, key=lambda one: (one.direction != "up", bool(one.connected), one.code))
