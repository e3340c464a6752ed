"""The way back of a node that does not write, as its operator sees it, and the last resort."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from huying.common.errors import Code, HuyingError
from huying.common.integrity.last_resort import BeginEpoch, ShowRecovery, check_may_begin
from huying.node import keys
from huying.node.admin import AdminNode
from huying.wire.v1 import admin_pb2, trust_pb2

if TYPE_CHECKING:
    from huying.common.engine import Engine
    from huying.common.integrity.last_resort import RecoveryView
    from huying.common.membership.trust import Rotated

__all__ = ["begin_epoch", "show_recovery"]


async def show_recovery(
    node: AdminNode, _request: admin_pb2.ShowRecoveryRequest
) -> admin_pb2.ShowRecoveryResponse:
    """What is held, what is needed, who was asked, and what nobody held."""
    view: RecoveryView = await node.runtime.operate(ShowRecovery())
    response = admin_pb2.ShowRecoveryResponse(
        origin=view.origin,
        state=view.state,
        reason=view.reason,
        held_size=view.held_size,
        has_mark=view.mark_size is not None,
        mark_size=view.mark_size or 0,
        needed_size=view.needed_size,
        lost=[
            trust_pb2.IndexRange(start=one.start, stop=one.stop, slots=one.slots)
            for one in view.lost
        ],
    )
    for one in view.neighbours:
        response.neighbours.add(
            code=one.code,
            connected=one.connected,
            heard=one.heard,
            shown_size=one.shown_size,
            answered=one.answered,
        )
    if view.unreachable is not None:
        start, stop = view.unreachable
        response.unreachable.CopyFrom(trust_pb2.IndexRange(start=start, stop=stop))
    return response


async def begin_epoch(
    node: AdminNode, request: admin_pb2.BeginEpochRequest
) -> admin_pb2.RotateKeyResponse:
    """Give the present epoch up, and go on in the next under another key.

    Raises HuyingError(INVALID_ARGUMENT) without a reason, WRONG_STAGE for a node that is well, KEY.
    """
    if not request.reason.strip():
        raise HuyingError(Code.INVALID_ARGUMENT, "reason: missing; it is signed, for all to read")
    config = node.config
    place = config.keys_dir, config.node.network, config.node.code
    epoch: int = await node.runtime.operate(_PresentEpoch())
    signer = await asyncio.to_thread(keys.create_feed_key, *place, epoch + 1)
    done: Rotated = await node.runtime.operate(BeginEpoch(signer, request.reason))
    await asyncio.to_thread(keys.retire_feed_keys, *place, epoch + 1)
    return admin_pb2.RotateKeyResponse(
        origin=done.origin,
        closed_origin=done.closed_origin,
        closed_size=done.closed_size,
        state="waiting" if config.parent is not None else "done",
    )


class _PresentEpoch:
    """Reads the number of the own epoch, on the engine's thread, where it may be given up."""

    def run(self, engine: Engine) -> int:
        """Raises HuyingError(WRONG_STAGE)."""
        check_may_begin(engine)
        return engine.identity.epoch
