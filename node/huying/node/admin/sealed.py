"""Sealed copies that the operator's key opened, back into the own feed."""

from __future__ import annotations

from huying.common.copies.sealing import PutBack, PutBackReport
from huying.node.admin import AdminNode
from huying.wire.v1 import admin_pb2

__all__ = ["put_back"]


async def put_back(node: AdminNode, request: admin_pb2.PutBackRequest) -> admin_pb2.PutBackResponse:
    """One copy. What in it is not what was signed, or was erased since, is refused.

    Raises HuyingError: NOT_FOUND for a copy that is not waiting, FRAME_MALFORMED, LIMIT_EXCEEDED.
    """
    report: PutBackReport = await node.runtime.operate(
        PutBack(request.origin, request.start, request.opened)
    )
    return admin_pb2.PutBackResponse(
        entries=report.entries, repeated=report.repeated, refused=report.refused
    )
