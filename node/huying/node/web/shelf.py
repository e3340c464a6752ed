"""Figures that take longer to count than a person waits: counted aside, and kept with their time.

A page gets what is on the shelf at once, with the moment it was counted; what is older than a
minute is counted again meanwhile. What was never counted is worth a short wait, and then the page
says that it is being counted, and comes back.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from huying.common.errors import Code, HuyingError
from huying.common.ports import Clock

__all__ = ["Counted", "Shelf"]

T = TypeVar("T")
_FRESH_SECONDS: Final = 60.0
_WAIT_SECONDS: Final = 0.12
_KEPT_MAX: Final = 64
_WAITING_MAX: Final = 16  # to be counted, one after the other: each may take a second


@dataclass(frozen=True, slots=True)
class Counted(Generic[T]):
    """A result, and when it was counted, in unix seconds."""

    value: T
    at: float


class Shelf:
    """For one event loop. At most one counting runs for a key, and one at a time in all."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept: OrderedDict[Hashable, Counted[object]] = OrderedDict()
        self._running: dict[Hashable, asyncio.Task[None]] = {}
        self._failed: dict[Hashable, Exception] = {}
        self._turn = asyncio.Lock()

    async def get(self, key: Hashable, count: Callable[[], Awaitable[T]]) -> Counted[T] | None:
        """The newest result; None where the first one is still being counted.

        Raises what the counting failed with, once; HuyingError(BUSY) where too many wait.
        """
        found = self._kept.get(key)
        if found is None or self._clock.now() - found.at >= _FRESH_SECONDS:
            task = self._running.get(key)
            if task is None:
                if len(self._running) >= _WAITING_MAX:
                    if found is not None:
                        return found  # type: ignore[return-value]  # as below
                    raise HuyingError(Code.BUSY, "too many figures wait to be counted")
                task = asyncio.create_task(self._count(key, count))
                self._running[key] = task
            if found is None:
                await asyncio.wait((task,), timeout=_WAIT_SECONDS)
                found = self._kept.get(key)
        if failed := self._failed.pop(key, None):
            raise failed
        return found  # type: ignore[return-value]  # what is kept under a key is its count's

    async def _count(self, key: Hashable, count: Callable[[], Awaitable[object]]) -> None:
        try:
            async with self._turn:
                at = self._clock.now()
                self._kept[key] = Counted(await count(), at)
                self._kept.move_to_end(key)
                while len(self._kept) > _KEPT_MAX:
                    self._kept.popitem(last=False)
        except Exception as error:  # noqa: BLE001  # a defect, too, is met by the page that asks
            self._failed[key] = error
            while len(self._failed) > _KEPT_MAX:  # nobody asked for them again
                self._failed.pop(next(iter(self._failed)))
        finally:
            self._running.pop(key, None)
