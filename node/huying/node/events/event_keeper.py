"""The village's own part in what its town settles: it writes the event's end, while it serves.

A town's words arrive as entries. One that settles an event is acted on once: the request id follows
from the word, and `later_ends` tells from the village's own feed whether the event ended since the
version that the town had read. So neither a restart, nor a word that comes again,
undoes what the village wrote later.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from huying.common.codes import parse_origin
from huying.common.effects import AppendReceipt, DraftEntry, Operation
from huying.common.errors import Code, HuyingError
from huying.common.membership.trust import check_may_write
from huying.common.records.record_keys import keyed
from huying.node import logs
from huying.node.background import end_task, keep_up
from huying.node.events.event_ends import settled_by_town
from huying.node.events.later_ends import LaterEnds
from huying.node.store.content import peek_head
from huying.node.store.event_queries import EventHandlingRow
from huying.node.store.reader import Reader
from huying.wire.v1 import api_pb2, feed_pb2

if TYPE_CHECKING:
    from huying.common.engine import Engine
    from huying.node.services import Node

__all__ = ["EventKeeper", "MayWrite", "Settler", "acted_request"]

GATHER_SECONDS: Final = 0.2  # entries come many at a time
RETRY_SECONDS: Final = 1.0  # a start waits about as long for the parent's word
TRIES_MAX: Final = 5  # of one event, while others write it
# What concerns one event alone, and does not keep the others waiting.
_OF_ONE: Final = frozenset({Code.INVALID_ARGUMENT, Code.ENTRY_TOO_LARGE, Code.CORRUPT})


class Operates(Protocol):
    """What of the runtime is used here."""

    async def operate(self, operation: Operation) -> Any:
        """Run one operation in a transaction of its own."""
        ...


def acted_request(origin: str, index: int, record: bytes) -> bytes:
    """The request id of the version that the word at a place of a town's feed brings about.

    Not by the word's number: a town whose feed begins a new epoch may count from 1 again.
    """
    return keyed("event-handling", origin, index, record)


@dataclass(frozen=True, slots=True)
class MayWrite:
    """Raises while the node may not write its own feed, which then is not all here yet."""

    def run(self, engine: Engine) -> None:
        """Raises HuyingError as `check_may_write`."""
        check_may_write(engine)


@dataclass(frozen=True, slots=True)
class _WriteEnd:
    """Write the version, if nobody wrote another one since `size` entries of the feed were read."""

    draft: DraftEntry
    origin: str
    size: int

    def run(self, engine: Engine) -> AppendReceipt | None:
        """None where the event, or the feed's epoch, changed meanwhile: to be read again."""
        check_may_write(engine)
        engine.replica.flush()
        feed = engine.replica.feeds.get(engine.identity.origin)
        if feed is None or feed.origin != self.origin:
            return None
        newer = engine.replica.store.entries(feed.feed_id, self.size, feed.size)
        if any(peek_head(entry.openings).record == self.draft.record for entry in newer):
            return None
        (receipt,) = engine.replica.append((self.draft,))
        return receipt


class Settler:
    """One village's rounds. `reader` blocks, so it is asked on a thread."""

    def __init__(self, own: str, reader: Reader, runtime: Operates) -> None:
        """`own` is the village's division code."""
        self.own = own
        self.reader = reader
        self.runtime = runtime
        self._ends = LaterEnds()
        self._judged: set[tuple[str, int]] = set()  # places of words that are done with

    async def round(self, now: float) -> int:
        """Write the ends that are due; how many. `now` is unix seconds.

        Raises as the engine refuses to write.
        """
        words = await asyncio.to_thread(self.reader.settled_for, self.own)
        self._judged &= {(word.origin, word.index) for word in words}
        due = [word for word in words if (word.origin, word.index) not in self._judged]
        if due:
            # Of an event, or a version, that recovery has yet to bring back nothing is judged.
            await self.runtime.operate(MayWrite())
        count = 0
        for word in due:
            count += await self._settle(word, now)
            self._judged.add((word.origin, word.index))
        return count

    async def _settle(self, word: EventHandlingRow, now: float) -> bool:
        record = word.handling.event
        for _ in range(TRIES_MAX):
            try:
                end = await asyncio.to_thread(self._end, word, now)
                if end is None:
                    return False
                receipt = await self.runtime.operate(end)
            except HuyingError as error:
                if error.code not in _OF_ONE:
                    raise
                logs.say("event_not_settled", record=record.hex(), code=error.code.name)
                return False
            if receipt is not None:
                if not receipt.repeated:
                    logs.say("event_settled_by_town", record=record.hex(), town=word.home)
                return not receipt.repeated
        raise HuyingError(Code.BUSY, "the feed is being written to; the event is settled later")

    def _end(self, word: EventHandlingRow, now: float) -> _WriteEnd | None:
        """What to write; None where the word has nothing to say any more. Blocks."""
        handling = word.handling
        with self.reader.snapshot() as view:
            row = view.get_event(self.own, handling.event)
            if row is None or self._ends.since(view, row, word) is not False:
                return None
            if api_pb2.SLOT_STATE_WITHHELD in row.slots[1::2]:
                # Written back, what is missing here would turn into what was never there.
                logs.say("event_not_settled", record=handling.event.hex(), code=Code.CORRUPT.name)
                return None
            feed = _newest_feed(view, self.own)
        draft = DraftEntry(
            kind=feed_pb2.KIND_PUT,
            type=feed_pb2.RECORD_TYPE_EVENT,
            message=settled_by_town(row.event, handling.text, now),
            record=handling.event,
            request_id=acted_request(word.origin, word.index, handling.event),
        )
        return _WriteEnd(draft, feed[0], feed[1])


def _newest_feed(reader: Reader, own: str) -> tuple[str, int]:
    """(origin, size) of the node's newest epoch."""
    feeds = [(parse_origin(feed.origin), feed) for feed in reader.feeds()]
    _, feed = max(
        ((origin.epoch, feed) for origin, feed in feeds if origin.code == own),
        key=lambda one: one[0],
    )
    return feed.origin, feed.size


class EventKeeper:
    """Makes the rounds while a village's node serves."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._settler = Settler(node.config.node.code, node.reader, node.runtime)
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """See `services.Component`."""
        self._task = asyncio.create_task(keep_up("events", self._go_round))

    async def stop(self) -> None:
        """See `services.Component`."""
        await end_task(self._task)

    async def _go_round(self) -> None:
        reader, runtime = self._node.reader, self._node.runtime
        seen, done, said = -1, None, ""
        while True:
            try:
                mark = await asyncio.to_thread(reader.handlings_mark)
                if mark != done:
                    await self._settler.round(self._node.clock.now())
                    done, said = mark, ""
                seen = await runtime.wait_change(seen)
                await asyncio.sleep(GATHER_SECONDS)
                continue
            except HuyingError as error:
                # A node that recovers, or has just started, does it in one of the next rounds.
                if error.code.name != said:  # once, however long it lasts
                    logs.say("events_wait", code=error.code.name, detail=error.detail)
                said = error.code.name
            await asyncio.sleep(RETRY_SECONDS)
