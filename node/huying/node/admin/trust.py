"""Keys, as an operator decides about them: rotate, revoke, confirm, accept, and what was stranded.

A new key's file is durable before the entry that names it; the old key's file goes once the new
epoch is durable. So a crash at any moment leaves a node that can sign, in one epoch alone.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from huying.common.effects import AppendReceipt
from huying.common.errors import Code, HuyingError
from huying.common.membership.trust import Accept, Confirm, Reenter, RenewKeys, Revoke, RotateFeed
from huying.node import keys, renewal
from huying.node.admin import AdminNode
from huying.wire.v1 import admin_pb2

if TYPE_CHECKING:
    from huying.common.engine import Engine
    from huying.common.membership.trust import Rotated, Stranded

__all__ = ["accept", "confirm", "list_stranded", "revoke", "rotate_key"]


async def revoke(node: AdminNode, request: admin_pb2.RevokeRequest) -> admin_pb2.OperationResponse:
    """End a child's epoch. Raises HuyingError(NOT_FOUND), or as `check_may_write`."""
    if not request.reason.strip():
        raise HuyingError(Code.INVALID_ARGUMENT, "reason: missing")
    return _response(await node.runtime.operate(Revoke(request.code, request.reason)))


async def confirm(
    node: AdminNode, request: admin_pb2.ConfirmRequest
) -> admin_pb2.OperationResponse:
    """Confirm a key that waits. Raises HuyingError(NOT_FOUND), or as `check_may_write`."""
    return _response(await node.runtime.operate(Confirm(request.code, request.reason)))


async def accept(node: AdminNode, request: admin_pb2.AcceptRequest) -> admin_pb2.OperationResponse:
    """Accept the epoch a child claims. Raises HuyingError(NOT_FOUND), or as `check_may_write`."""
    return _response(await node.runtime.operate(Accept(request.code)))


async def rotate_key(
    node: AdminNode, request: admin_pb2.RotateKeyRequest
) -> admin_pb2.RotateKeyResponse:
    """Give the node another key. Raises HuyingError(KEY or INVALID_ARGUMENT), or as the rest."""
    if request.use == admin_pb2.KEY_USE_FEED:
        return await _rotate_feed(node)
    config = node.config
    if request.use == admin_pb2.KEY_USE_TLS:
        made = await asyncio.to_thread(renewal.prepare_tls, config.keys_dir, config.node.code)
        receipt = await node.runtime.operate(RenewKeys(certificate=made))
    elif request.use == admin_pb2.KEY_USE_DISCLOSURE:
        public_key = await asyncio.to_thread(renewal.prepare_hpke, config.keys_dir)
        receipt = await node.runtime.operate(RenewKeys(hpke_key=public_key))
        await asyncio.to_thread(renewal.switch_hpke, config.keys_dir)
    else:
        raise HuyingError(Code.INVALID_ARGUMENT, "use: feed, tls or disclosure")
    return admin_pb2.RotateKeyResponse(origin=receipt.origin, state="waiting")


async def _rotate_feed(node: AdminNode) -> admin_pb2.RotateKeyResponse:
    config = node.config
    place = config.keys_dir, config.node.network, config.node.code
    epoch: int = await node.runtime.operate(_PresentEpoch())
    signer = await asyncio.to_thread(keys.create_feed_key, *place, epoch + 1)
    done: Rotated = await node.runtime.operate(RotateFeed(signer))
    await asyncio.to_thread(keys.retire_feed_keys, *place, epoch + 1)
    return admin_pb2.RotateKeyResponse(
        origin=done.origin,
        closed_origin=done.closed_origin,
        closed_size=done.closed_size,
        state="done",
    )


async def list_stranded(
    node: AdminNode, request: admin_pb2.ListStrandedRequest
) -> admin_pb2.ListStrandedResponse:
    """What lies behind a revocation; where asked, written again. Raises as `Reenter.run`."""
    found: list[Stranded] = await node.runtime.operate(Reenter(request.reenter))
    return admin_pb2.ListStrandedResponse(
        entries=[
            admin_pb2.StrandedEntry(
                origin=one.origin,
                index=one.index,
                type=one.type,
                record=one.record,
                reentered=one.reentered,
            )
            for one in found
        ]
    )


class _PresentEpoch:
    """Reads the number of the own epoch, on the engine's thread."""

    def run(self, engine: Engine) -> int:
        return engine.identity.epoch


def _response(receipt: AppendReceipt) -> admin_pb2.OperationResponse:
    state = "repeated" if receipt.repeated else "done"
    return admin_pb2.OperationResponse(origin=receipt.origin, index=receipt.index, state=state)
