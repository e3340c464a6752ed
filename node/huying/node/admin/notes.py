"""Notes that other readers were shown, held beside what is held here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from huying.common.integrity.comparison import CompareNote
from huying.wire.v1 import admin_pb2

if TYPE_CHECKING:
    from huying.common.integrity.comparison import Compared
    from huying.node.admin import AdminNode

__all__ = ["compare_note"]


async def compare_note(
    node: AdminNode, request: admin_pb2.CompareNoteRequest
) -> admin_pb2.CompareNoteResponse:
    """Compare one note. Raises as `CompareNote.run`."""
    found: Compared = await node.runtime.operate(CompareNote(request.note))
    response = admin_pb2.CompareNoteResponse(
        origin=found.origin, size=found.size, held=found.held, is_held=found.is_held
    )
    if found.evidence is not None:
        response.first = found.evidence.first
        response.second = found.evidence.second
    return response
