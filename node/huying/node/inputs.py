"""The bounded queue from the event loop to the engine's thread.

The loop puts, the thread takes whatever is there, up to one transaction's worth. Frames wait for
room, which stops the reading of their streams; the rare control inputs never wait. First in, first
out, over all kinds together: the engine sees a link's opening, frames and end in that order.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque

from huying.common.effects import Input, Received
from huying.common.limits import (
    ENGINE_BATCH_BYTES_MAX,
    ENGINE_BATCH_INPUTS_MAX,
    INPUT_QUEUE_BYTES_MAX,
    INPUT_QUEUE_MAX,
)

__all__ = ["InputQueue"]


class InputQueue:
    """Inputs on their way to the engine; `put` and `push` on the loop, `take` on the thread."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        count_max: int = INPUT_QUEUE_MAX,
        bytes_max: int = INPUT_QUEUE_BYTES_MAX,
    ) -> None:
        self._loop = loop
        self._count_max = count_max
        self._bytes_max = bytes_max
        self._items: deque[Input] = deque()
        self._bytes = 0
        self._condition = threading.Condition()
        self._awake = False
        self._room: deque[asyncio.Future[None]] = deque()

    async def put(self, item: Received) -> None:
        """Append a frame; wait, in turn, while the queue is full."""
        while self._full(len(item.frame)):
            waiter = self._loop.create_future()
            self._room.append(waiter)
            try:
                await waiter
            except asyncio.CancelledError:
                if waiter in self._room:
                    self._room.remove(waiter)
                self._admit()  # pass the turn on, in case it had just been given
                raise
        self.push(item)

    def push(self, item: Input) -> None:
        """Append at once, full or not: links, appends (bounded by who sends them), the drain."""
        with self._condition:
            self._items.append(item)
            self._bytes += _size(item)
            self._condition.notify()

    def wake(self) -> None:
        """Let a waiting `take` return, even with nothing."""
        with self._condition:
            self._awake = True
            self._condition.notify()

    def take(self, wait_seconds: float) -> list[Input]:
        """What is there, at most one transaction's worth; wait that long for the first of it."""
        with self._condition:
            if not self._items and not self._awake:
                self._condition.wait(max(0.0, wait_seconds))
            self._awake = False
            taken = self._cut()
        if taken:
            self._loop.call_soon_threadsafe(self._admit)
        return taken

    def _cut(self) -> list[Input]:
        taken: list[Input] = []
        taken_bytes = 0
        while self._items and len(taken) < ENGINE_BATCH_INPUTS_MAX:
            size = _size(self._items[0])
            if taken and taken_bytes + size > ENGINE_BATCH_BYTES_MAX:
                break
            taken.append(self._items.popleft())
            taken_bytes += size
        self._bytes -= taken_bytes
        return taken

    def _full(self, size: int) -> bool:
        with self._condition:
            if not self._items:
                return False
            return len(self._items) >= self._count_max or self._bytes + size > self._bytes_max

    def _admit(self) -> None:
        """Let those who wait look again. They look in the order they came."""
        waiting, self._room = self._room, deque()
        for waiter in waiting:
            if not waiter.done():
                waiter.set_result(None)


def _size(item: Input) -> int:
    return len(item.frame) if isinstance(item, Received) else 0
