"""What the parts that run beside the API have in common: a task that goes on, and ends with them.

A task that raised would be gone without a word until the node's next start, and with it the nightly
erasure, the console or the certificates' renewal.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Final

from huying.node import logs

__all__ = ["end_task", "keep_up"]

AGAIN_SECONDS: Final = 10.0


async def keep_up(part: str, work: Callable[[], Awaitable[None]]) -> None:
    """Run `work`, and again `AGAIN_SECONDS` after each fault; returns where it does.

    A fault is logged with the name of the part and the kind of the error: its words stay out of the
    log, since they may quote a record.
    """
    while True:
        try:
            return await work()
        except Exception as error:  # noqa: BLE001  # whatever it is, the part is needed
            logs.say("part_failed", part=part, kind=type(error).__name__, again=AGAIN_SECONDS)
        await asyncio.sleep(AGAIN_SECONDS)


async def end_task(task: asyncio.Task[None] | None) -> None:
    """Cancel a task and wait until it has ended; None is one that never began."""
    if task is not None:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
