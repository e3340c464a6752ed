"""What the running node knows to be wrong with feeds and keys, with the evidence it has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from huying.common.limits import TROUBLE_ROWS_MAX
from huying.common.membership.roster import EpochStatus
from huying.node.monitoring.trouble import stored_trouble
from huying.wire.v1 import admin_pb2, trust_pb2

if TYPE_CHECKING:
    from huying.common.engine import Engine
    from huying.node.admin import AdminNode

__all__ = ["show_trouble"]


async def show_trouble(
    node: AdminNode, _request: admin_pb2.ShowTroubleRequest
) -> admin_pb2.ShowTroubleResponse:
    """Forks, gaps, losses, keys that wait, and what was alarmed since the start."""
    response: admin_pb2.ShowTroubleResponse = await node.runtime.operate(_Assemble())
    alarms = node.runtime.alarms.most_common(TROUBLE_ROWS_MAX)
    for (code, origin, peer), count in alarms:
        response.alarms.add(code=code, origin=origin, peer=peer, count=count)
    return response


class _Assemble:
    """Reads what the engine knows, on its thread; changes nothing."""

    def run(self, engine: Engine) -> admin_pb2.ShowTroubleResponse:
        replica = engine.replica
        response = stored_trouble(replica.feeds.values(), replica.missing)
        _mark_withheld(engine, response)
        for origin in replica.feeds:
            for one in engine.losses.ranges(origin)[:TROUBLE_ROWS_MAX]:
                span = trust_pb2.IndexRange(start=one.start, stop=one.stop, slots=one.slots)
                response.lost.add(origin=origin, range=span)
        _observed(engine, response)
        for waiting in engine.roster.waiting():
            response.waiting_keys.add(
                code=waiting.pin.code,
                origin=waiting.pin.origin,
                name=engine.roster.name(waiting.pin.code),
                state=EpochStatus.WAITING.value,
                feed_key=waiting.pin.feed_key,
                detail=f"named by {waiting.writer}, without the word of the key before it",
            )
        for code, claim in engine.claims.heard.items():
            response.claims.add(
                code=code,
                closed_origin=claim.origin,
                feed_key=claim.feed_key,
                detail=claim.detail,
            )
        return response


def _mark_withheld(engine: Engine, response: admin_pb2.ShowTroubleResponse) -> None:
    now, grace = engine.clock.now(), engine.settings.withheld_grace_seconds
    vain = {
        (origin, row.start, row.stop, row.slots, row.first)
        for origin, seen in engine.observations.items()
        if seen.withheld  # as the feed's state says it: a loss may have explained the rest
        for row in engine.wants.withheld(origin, now, grace)
    }
    for one in response.missing:
        one.withheld = (one.origin, one.start, one.stop, one.slots, one.first) in vain


def _observed(engine: Engine, response: admin_pb2.ShowTroubleResponse) -> None:
    """Tails that are cut, and heads that are shown again."""
    for origin, seen in engine.observations.items():
        if seen.tail_cut:
            since = seen.ahead.since or 0.0
            response.feeds.add(
                origin=origin, state="tail_cut", detail=seen.tail(), since_seconds=since
            )
        if seen.replayed:
            since = seen.old_checkpoints.since or seen.old_pulses.since or 0.0
            response.feeds.add(
                origin=origin,
                state="replayed",
                detail="old heads are shown in place of the newest",
                since_seconds=since,
            )
