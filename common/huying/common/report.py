"""The engine's view of itself, feed by feed and peer by peer, for people and for monitoring."""

from __future__ import annotations

from typing import TYPE_CHECKING

from huying.common.codes import ancestors, is_within, parse_origin
from huying.common.membership.roster import Epoch, EpochStatus
from huying.common.state import FeedState
from huying.common.status import FeedHealth, FeedStatus, NodeStatus, PeerStatus

if TYPE_CHECKING:
    from huying.common.engine import Engine

__all__ = ["node_status"]


def node_status(engine: Engine) -> NodeStatus:
    """The node as it stands; a feed that is expected and never came is listed as unknown."""
    feeds = [_feed_status(engine, feed) for feed in engine.replica.feeds.values()]
    known = {feed.origin for feed in feeds}
    feeds.extend(
        _feed_status(engine, FeedState(0, key.name))
        for code in engine.roster.readers()
        if _is_expected(engine, code)
        for key in engine.roster.feed_keys_of(code)
        if key.name not in known
    )
    pending = engine.replica.erasures.pending()
    return NodeStatus(
        code=engine.identity.code,
        origin=engine.identity.origin,
        state=engine.state,
        feeds=tuple(feeds),
        peers=_peers(engine),
        failures=dict(engine.failures),
        withheld_gaps=engine.withheld_gaps,
        breaches=engine.breaches,
        verifier_key=str(engine.identity.feed_signer.key),
        erasures_pending=len(pending),
        erasure_oldest=min((since for since, _ in pending.values()), default=None),
    )


def _is_expected(engine: Engine, code: str) -> bool:
    own = engine.identity.code
    return code in ancestors(own) or is_within(code, own)


def _feed_status(engine: Engine, feed: FeedState) -> FeedStatus:
    now = engine.clock.now()
    own = feed.origin == engine.identity.origin
    code = parse_origin(feed.origin).code
    seen = engine.observation(feed.origin) if not own else None
    connected = engine.session_towards(code) is not None
    epoch = engine.roster.epoch(feed.origin)
    over = epoch is not None and _is_over(epoch, feed)
    if epoch is not None and over:
        health, reason = _ended_health(epoch)
    elif own:
        health, reason = _own_health(engine, feed)
    else:
        health, reason = _health(engine, feed, connected, now)
    return FeedStatus(
        origin=feed.origin,
        code=code,
        size=feed.size,
        root=engine.replica.root_at(feed, feed.size),
        health=health,
        reason=reason,
        remote_head_size=max(seen.remote_head_size, feed.size) if seen and not over else feed.size,
        remote_head_observed=seen.remote_head_observed if seen else now,
        lag_seconds=seen.lag_seconds(feed.size, connected, now, engine.settings.stale_seconds)
        if seen and not over
        else 0.0,
        oldest_unapplied=seen.oldest_unapplied if seen and not over else None,
        last_success=seen.last_success if seen else None,
        cosigned_size=_witnessed_size(feed),
        openings_held=feed.openings_held,
        openings_withheld=feed.openings_withheld,
        entries_hidden=feed.entries_hidden,
        quarantined=feed.quarantined,
        missing=len(engine.replica.missing.get(feed.origin, ())),
        delay=seen.delay if seen else None,
        name=engine.roster.name(code),
    )


def _witnessed_size(feed: FeedState) -> int:
    sizes = (point.size for point in (feed.witnessed, feed.cosigned) if point is not None)
    return max(sizes, default=0)


def _own_health(engine: Engine, feed: FeedState) -> tuple[FeedHealth, str]:
    if feed.frozen or engine.state == "forked":
        return FeedHealth.FORKED, "this node's key signed two histories; it writes nothing"
    if engine.state == "recovering":
        return FeedHealth.RECOVERING, "the store is behind its high-water mark"
    if engine.refused_as_revoked:
        return FeedHealth.REVOKED, "the parent says that this node's key is revoked"
    parent = engine.roster.parent
    if parent is not None and not engine.confirmed_by_parent:
        return FeedHealth.UNCONFIRMED, "the parent has not confirmed this feed since the start"
    if parent is not None and feed.size and feed.witnessed is None:
        return FeedHealth.UNWITNESSED, "no witness has cosigned this feed"
    return FeedHealth.LIVE, ""


def _is_over(epoch: Epoch, feed: FeedState) -> bool:
    """Whether an epoch has ended, and all of it is here: it is complete, however old its pulse."""
    if epoch.status is EpochStatus.ACTIVE or feed.frozen:
        return False
    return epoch.stop is None or feed.size >= epoch.stop


def _ended_health(epoch: Epoch) -> tuple[FeedHealth, str]:
    if epoch.status is EpochStatus.REVOKED:
        return FeedHealth.REVOKED, f"revoked at size {epoch.stop}: {epoch.reason}"
    return FeedHealth.CLOSED, "the node goes on in a later epoch"


def _health(engine: Engine, feed: FeedState, connected: bool, now: float) -> tuple[FeedHealth, str]:
    seen = engine.observation(feed.origin)
    if feed.frozen:
        return FeedHealth.FORKED, "the origin signed two histories"
    if seen.replayed:
        return FeedHealth.REPLAYED, "old heads are shown in place of the newest"
    if seen.withheld:
        return FeedHealth.WITHHELD, "asked for, and not given"
    if seen.tail_cut:
        return FeedHealth.TAIL_CUT, seen.tail()
    if not connected:
        return FeedHealth.UNKNOWN, "no contact on the line to the origin"
    if feed.size < seen.remote_head_size:
        return FeedHealth.CATCHING_UP, ""
    if not seen.is_fresh(now, engine.settings.stale_seconds):
        return FeedHealth.UNKNOWN, "no fresh pulse of the origin"
    return FeedHealth.LIVE, ""


def _peers(engine: Engine) -> tuple[PeerStatus, ...]:
    sessions = {session.peer: session for session in engine.sessions.values()}
    expected = [*([engine.roster.parent] if engine.roster.parent else []), *engine.roster.children]
    return tuple(
        PeerStatus(
            code=code,
            direction=engine.direction_of(code),
            connected=code in sessions and sessions[code].greeted,
            last_contact=engine.contacts.get(code),
            clock_offset_seconds=engine.clock_offsets.get(code),
            sent_bytes=sessions[code].sent_bytes if code in sessions else 0,
            received_bytes=sessions[code].received_bytes if code in sessions else 0,
        )
        for code in expected
    )
