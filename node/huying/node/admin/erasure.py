"""Erasing a record of this node, everywhere it went."""

from __future__ import annotations

from huying.common.errors import Code, HuyingError
from huying.common.late_requests import Erased, EraseRecord
from huying.common.limits import RECORD_ID_BYTES
from huying.node.admin import AdminNode
from huying.wire.v1 import admin_pb2

__all__ = ["erase"]


async def erase(node: AdminNode, request: admin_pb2.EraseRequest) -> admin_pb2.EraseResponse:
    """Delete it here, and have every holder delete it.

    Raises HuyingError: INVALID_ARGUMENT, NOT_FOUND, NOT_ALONE, or as the engine refuses to write.
    """
    if len(request.record) != RECORD_ID_BYTES:
        raise HuyingError(Code.INVALID_ARGUMENT, f"record: {RECORD_ID_BYTES} bytes")
    erased: Erased = await node.runtime.operate(
        EraseRecord(request.record, tuple(request.fields), request.reason)
    )
    return admin_pb2.EraseResponse(
        index=erased.index,
        entries=erased.entries,
        openings=erased.openings,
        holders=erased.holders,
    )
