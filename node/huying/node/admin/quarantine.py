"""Entries in quarantine: judged again, or acknowledged. Lists of them are read from the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from huying.common.integrity.quarantine import Retry, RetryOutcome, Skip
from huying.node import logs
from huying.wire.v1 import admin_pb2

if TYPE_CHECKING:
    from huying.common.integrity.quarantine import Retried
    from huying.node.admin import AdminNode

__all__ = ["retry", "skip"]


async def retry(
    node: AdminNode, request: admin_pb2.RetryQuarantinedRequest
) -> admin_pb2.RetryQuarantinedResponse:
    """Judge entries of one feed again, all in one transaction. Raises as `Retry.run`."""
    found: tuple[Retried, ...] = await node.runtime.operate(
        Retry(request.origin, tuple(request.indexes))
    )
    response = admin_pb2.RetryQuarantinedResponse()
    for one in found:
        entry = response.entries.add(index=one.index, state=one.outcome.value)
        for code, detail in one.faults:
            entry.faults.add(code=code, detail=detail)
    counts = {
        outcome.value: sum(one.outcome is outcome for one in found) for outcome in RetryOutcome
    }
    logs.say("quarantine_retried", feed=request.origin, **counts)
    return response


async def skip(
    node: AdminNode, request: admin_pb2.SkipQuarantinedRequest
) -> admin_pb2.OperationResponse:
    """Acknowledge one entry. Raises as `Skip.run`."""
    again: bool = await node.runtime.operate(
        Skip(request.origin, request.index, request.actor, request.reason)
    )
    if not again:
        # The reason is a person's own words, and stays in the database.
        logs.say("quarantine_skipped", feed=request.origin, index=request.index)
    state = "repeated" if again else "done"
    return admin_pb2.OperationResponse(origin=request.origin, index=request.index, state=state)
