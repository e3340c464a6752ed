"""The first thing a node says: which division it is. Every reader learns its name from that."""

from __future__ import annotations

import asyncio
from hashlib import sha256

from huying.common.effects import DraftEntry
from huying.common.errors import HuyingError
from huying.node import logs
from huying.node.background import end_task
from huying.node.runtime import Runtime
from huying.node.settings import NodeSection
from huying.wire.v1 import feed_pb2, records_pb2

__all__ = ["Introduction", "introduction_draft"]


def introduction_draft(node: NodeSection) -> DraftEntry:
    """The division's own record: one id for ever, one request for each name it has had."""
    return DraftEntry(
        kind=feed_pb2.KIND_PUT,
        type=feed_pb2.RECORD_TYPE_DIVISION,
        message=records_pb2.Division(code=node.code, name=node.name),
        record=sha256(f"division {node.code}".encode()).digest()[:16],
        request_id=sha256(f"division {node.code} {node.name}".encode()).digest()[:16],
    )


class Introduction:
    """Appends the record as soon as the node may write, which a recovering node may not."""

    def __init__(self, node: NodeSection, runtime: Runtime) -> None:
        self._node = node
        self._runtime = runtime
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin; returns at once."""
        self._task = asyncio.create_task(self._append())

    async def stop(self) -> None:
        """Give up waiting for the answer."""
        await end_task(self._task)

    async def _append(self) -> None:
        try:
            await self._runtime.append([introduction_draft(self._node)])
        except HuyingError as error:
            logs.say("not_introduced", code=error.code.name, detail=error.detail)
