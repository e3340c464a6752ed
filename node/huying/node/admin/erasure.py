"""Erasing a record of this node, everywhere it went, with the pictures that are evidence of it."""

from __future__ import annotations

import asyncio

from huying.common.errors import Code, HuyingError
from huying.common.late.requests import Erased, EraseRecord
from huying.common.late.spans import Span
from huying.common.limits import RECORD_ID_BYTES
from huying.node.admin import AdminNode
from huying.node.admin.related import evidence_spans
from huying.wire.v1 import admin_pb2

__all__ = ["erase"]


async def erase(node: AdminNode, request: admin_pb2.EraseRequest) -> admin_pb2.EraseResponse:
    """Delete it here, and have every holder delete it.

    A record that goes as a whole takes this node's evidence of it along. Raises HuyingError:
    INVALID_ARGUMENT, NOT_FOUND, NOT_ALONE, or as the engine refuses to write.
    """
    if len(request.record) != RECORD_ID_BYTES:
        raise HuyingError(Code.INVALID_ARGUMENT, f"record: {RECORD_ID_BYTES} bytes")
    pictures: tuple[Span, ...] = ()
    if not request.fields:
        own = node.config.node.code
        pictures = await asyncio.to_thread(evidence_spans, node.reader, own, request.record)
    erased: Erased = await node.runtime.operate(
        EraseRecord(request.record, tuple(request.fields), request.reason, pictures)
    )
    return admin_pb2.EraseResponse(
        index=erased.index,
        entries=erased.entries,
        openings=erased.openings,
        holders=erased.holders,
    )
