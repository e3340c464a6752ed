"""What the parts that run beside the API have in common: a task that ends with the node."""

from __future__ import annotations

import asyncio
import contextlib

__all__ = ["end_task"]


async def end_task(task: asyncio.Task[None] | None) -> None:
    """Cancel a task and wait until it has ended; None is one that never began."""
    if task is not None:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
