"""Opening fields of a record of this node to others, for a purpose and a time."""

from __future__ import annotations

from huying.common.errors import Code, HuyingError
from huying.common.late.requests import DiscloseRecord
from huying.common.limits import DISCLOSURE_READERS_MAX, RECORD_ID_BYTES
from huying.node.admin import AdminNode
from huying.wire.v1 import admin_pb2

__all__ = ["disclose"]


async def disclose(
    node: AdminNode, request: admin_pb2.DiscloseRequest
) -> admin_pb2.OperationResponse:
    """Write the disclosure; the readers fetch what it opens.

    Raises HuyingError: INVALID_ARGUMENT naming the field, NOT_FOUND, NOT_ALONE, or as the engine
    refuses to write.
    """
    if len(request.record) != RECORD_ID_BYTES:
        raise HuyingError(Code.INVALID_ARGUMENT, f"record: {RECORD_ID_BYTES} bytes")
    if not 1 <= len(request.readers) <= DISCLOSURE_READERS_MAX:
        raise HuyingError(Code.INVALID_ARGUMENT, f"readers: 1 to {DISCLOSURE_READERS_MAX}")
    origin, index = await node.runtime.operate(
        DiscloseRecord(
            record=request.record,
            fields=tuple(request.fields),
            readers=tuple(dict.fromkeys(request.readers)),
            purpose=request.purpose,
            expires_micros=request.expires_micros,
            authority=request.authority,
        )
    )
    return admin_pb2.OperationResponse(origin=origin, index=index, state="done")
