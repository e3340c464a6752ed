"""The stream of changes: every entry applied here, resumable at a cursor per feed.

The log is the truth and a notification only a hint: a watch reads the log from its cursor, and
waits for the count of applied entries to move when there is nothing more. It holds one batch, so a
slow reader slows only itself.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator
from functools import partial
from typing import Any, Final, Protocol, TypeVar

from huying.common import codes
from huying.common.errors import Code, HuyingError
from huying.common.limits import HELLO_FEEDS_MAX
from huying.node.api.ports import Reads, Runtime
from huying.wire.v1 import api_pb2

__all__ = ["Cursor", "Watch"]

BATCH_ENTRIES: Final = 100  # of one feed, then it is the next feed's turn

T = TypeVar("T")


class Cursor(dict[str, int]):
    """The next entry wanted, by origin; a feed that is not named starts at its first."""

    @classmethod
    def parse(cls, positions: Iterable[api_pb2.Position]) -> Cursor:
        """From a request. Raises HuyingError(INVALID_ARGUMENT)."""
        cursor = cls()
        for position in positions:
            codes.parse_origin(position.origin)
            if position.origin in cursor:
                raise HuyingError(Code.INVALID_ARGUMENT, "cursor: an origin is named twice")
            cursor[position.origin] = position.index
        if len(cursor) > HELLO_FEEDS_MAX:
            raise HuyingError(Code.INVALID_ARGUMENT, f"cursor: at most {HELLO_FEEDS_MAX} origins")
        return cursor


class _OnThread(Protocol):
    """Runs a read on a reading thread."""

    def __call__(self, work: Callable[[], T]) -> Coroutine[Any, Any, T]: ...


class Watch:
    """One open stream. `types` empty: all; `until_end`: it ends where it would wait."""

    def __init__(
        self,
        runtime: Runtime,
        reads: Reads,
        on_thread: _OnThread,
        cursor: Cursor,
        types: frozenset[int],
        *,
        until_end: bool = False,
    ) -> None:
        self._runtime = runtime
        self._reads = reads
        self._on_thread = on_thread
        self._cursor = cursor
        self._types = types
        self._until_end = until_end

    async def changes(self) -> AsyncIterator[api_pb2.Change]:
        """Changes, for ever unless `until_end`.

        In each feed in its order, no entry twice and none left out.
        """
        # Unequal to any count, so the first wait tells where the count stands.
        seen = await self._runtime.wait_change(-1)
        while True:
            moved = False
            for feed in await self._on_thread(self._reads.feeds):
                start = self._cursor.get(feed.origin, 0)
                if start >= feed.size:
                    continue
                read = partial(self._reads.changes, feed.origin, start, BATCH_ENTRIES, self._types)
                records, following = await self._on_thread(read)
                moved = moved or following > start
                self._cursor[feed.origin] = following
                for change in _changes(feed.origin, records, following):
                    yield change
            if not moved and self._until_end:
                return
            if not moved:
                seen = await self._runtime.wait_change(seen)


def _changes(
    origin: str, records: Iterable[api_pb2.RecordView], following: int
) -> Iterator[api_pb2.Change]:
    """A change for each record; a last one without, where the cursor moves on past what is shown.

    So a client that resumes does not make the node read again what it was not going to show.
    """
    reached = -1
    for record in records:
        reached = record.index + 1
        yield api_pb2.Change(record=record, next=api_pb2.Position(origin=origin, index=reached))
    if reached != following:
        yield api_pb2.Change(next=api_pb2.Position(origin=origin, index=following))
