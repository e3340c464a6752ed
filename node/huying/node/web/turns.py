"""One after the other: deeds that look at what stands, and then write what follows from it.

A record is written whole, so of two people who saved the same one at once the second would undo
what the first had written, though each form says which version it was filled in on: both would have
looked before either wrote. The pages of a node are one process, so a lock in it is enough for them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import wraps
from weakref import WeakValueDictionary

from starlette.responses import Response

from huying.node.web.page import Ask, Handler

__all__ = ["Turns", "alone"]


class Turns:
    """Locks by what they are for, each as long as somebody holds it or waits for it."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def of(self, what: str) -> asyncio.Lock:
        """The lock of that."""
        lock = self._locks.get(what)
        if lock is None:
            lock = self._locks[what] = asyncio.Lock()
        return lock


def alone(what: Callable[[Ask], str]) -> Callable[[Handler], Handler]:
    """A handler whose forms are taken one after the other, of those with the same `what`."""

    def made(handler: Handler) -> Handler:
        @wraps(handler)
        async def in_turn(ask: Ask) -> Response:
            if ask.request.method != "POST":
                return await handler(ask)
            await ask.form()  # before its turn: nobody waits for another one's slow line
            async with ask.site.turns.of(what(ask)):
                return await handler(ask)

        return in_turn

    return made
