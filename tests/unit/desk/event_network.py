"""A county, two towns and their villages, whose towns handle events and whose villages settle."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from huying.common.effects import Append, Appended, AppendReceipt, DraftEntry, Operate, Operated
from huying.node import logs
from huying.node.desk import events as desk
from huying.node.events import event_keeper
from huying.node.events.event_keeper import Settler
from huying.node.store.event_queries import EventHandlingRow
from huying.wire.v1 import events_pb2, feed_pb2, records_pb2
from tests.support.tiny_network import (
    COUNTY,
    GRID,
    TOWN,
    VILLAGE,
    TinyNetwork,
    identity,
    put,
)

OTHER = "370830108202"  # a sibling of VILLAGE
SECOND_TOWN = "370830109000"
FAR = "370830109201"  # a village of SECOND_TOWN
EVERYBODY = (COUNTY, TOWN, VILLAGE, OTHER, SECOND_TOWN, FAR)

EVENT, HANDLING = feed_pb2.RECORD_TYPE_EVENT, feed_pb2.RECORD_TYPE_EVENT_HANDLING
TAKEN = events_pb2.EVENT_HANDLING_STATUS_TAKEN
SETTLED = events_pb2.EVENT_HANDLING_STATUS_SETTLED
ASSIGNED = events_pb2.EVENT_HANDLING_STATUS_ASSIGNED
REPORTED, CALLED = records_pb2.EVENT_STATUS_REPORTED, records_pb2.EVENT_STATUS_CALLED
ENDED = records_pb2.EVENT_STATUS_SETTLED
PHONE = "13900001234"


class _Runtime:
    """`Runtime` over one engine; what it writes has travelled when it returns."""

    def __init__(self, network: EventNetwork, code: str) -> None:
        self._network, self._code = network, code
        self.between: list[Any] = []  # called once each, between a look and the writing

    async def append(self, drafts: Any) -> tuple[AppendReceipt, ...]:
        answer = self._network.step(self._code, Append(object(), tuple(drafts)))
        return tuple(answer.receipts)

    async def operate(self, operation: Any) -> Any:
        while self.between and not isinstance(operation, event_keeper.MayWrite):
            self.between.pop()()
        return self._network.step(self._code, Operate(object(), operation)).result

    async def wait_change(self, seen: int) -> int:
        engine = self._network.engines[self._code]
        while engine.change_count == seen:  # noqa: ASYNC110  # the test's loop alone moves it
            await asyncio.sleep(0)
        return engine.change_count


class EventNetwork(TinyNetwork):
    """The tiny network, with the desk of each node, and the settler of each village."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        async def here(function: Any, *values: Any) -> Any:
            return function(*values)

        patch.setattr(asyncio, "to_thread", here)  # the stores belong to this thread
        self.said: list[str] = []
        patch.setattr(logs, "say", lambda event, **_values: self.said.append(event))
        super().__init__(also=(OTHER, SECOND_TOWN, FAR))
        self.runtimes = {code: _Runtime(self, code) for code in EVERYBODY}
        self.desks: dict[str, Any] = {
            code: SimpleNamespace(
                config=SimpleNamespace(node=SimpleNamespace(code=code)),
                runtime=self.runtimes[code],
                reader=self.stores[code],
            )
            for code in EVERYBODY
        }
        self._requests = iter(range(1, 1_000))
        self.settlers = {code: self.settler(code) for code in (VILLAGE, OTHER, FAR)}

    def step(self, code: str, one: Append | Operate) -> Any:
        """One input at a node, and all that comes of it. Raises what it was refused with."""
        self.clock.seconds += 1
        effects = self.engines[code].step([one])
        (answer,) = (each for each in effects if isinstance(each, Appended | Operated))
        self._effects(code, [each for each in effects if each is not answer])
        self.run()
        if answer.error is not None:
            raise answer.error
        return answer

    def settler(self, code: str) -> Settler:
        """A village's settler, as after a start."""
        return Settler(code, self.stores[code], self.runtimes[code])

    def settle(self, code: str = VILLAGE) -> int:
        """One round at a village: how many events it settled."""
        return asyncio.run(self.settlers[code].round(self.clock.seconds))

    def report(self, code: str = VILLAGE, record: bytes = b"", **fields: Any) -> bytes:
        """A version of an event of a village; its record id."""
        values: dict[str, Any] = {
            "category": "道路", "grid": GRID.replace(VILLAGE, code), "status": REPORTED,
            "reported_micros": 5, "description_full": f"路灯不亮 {PHONE}",
            "description_public": "路灯不亮 〔手机号〕", "reporter_phone": PHONE,
        } | fields  # fmt: skip
        draft = put(EVENT, records_pb2.Event(**values), record)
        return self.step(code, Append(object(), (draft,))).receipts[0].record

    def drop(self, record: bytes, code: str = VILLAGE) -> None:
        """The event is deleted."""
        kind = feed_pb2.KIND_DELETE
        self.step(code, Append(object(), (DraftEntry(kind, EVENT, records_pb2.Event(), record),)))

    def say(
        self, record: bytes, status: int, text: str = "", **fields: Any
    ) -> events_pb2.HandleEventResponse:
        """The town's word, by a person who saw its last one; `at` is the node that is asked."""
        at = fields.pop("at", TOWN)
        return asyncio.run(self.saying(record, status, text, at=at, **fields))

    async def saying(
        self, record: bytes, status: int, text: str = "", *, at: str = TOWN, **fields: Any
    ) -> events_pb2.HandleEventResponse:
        """The same, within a running loop."""
        home = fields.pop("home", VILLAGE)
        last = self.word(record, at=at, home=home)
        values: dict[str, Any] = {
            "home": home, "record": record, "status": status, "text": text, "actor": "镇-办-01",
            "request_id": next(self._requests).to_bytes(16, "big"),
            "seen_number": last.number if last is not None else 0,
        } | fields  # fmt: skip
        request = events_pb2.HandleEventRequest(**values)
        return await desk.handle_event(self.desks[at], request)

    def word(
        self, record: bytes, *, at: str = VILLAGE, home: str = VILLAGE
    ) -> events_pb2.EventHandling | None:
        """The town's last word as a node knows it."""
        row = self.row(record, at=at, home=home)
        return None if row is None else row.handling

    def row(
        self, record: bytes, *, at: str = VILLAGE, home: str = VILLAGE
    ) -> EventHandlingRow | None:
        return self.stores[at].event_handling(home, record)

    def event(self, record: bytes, *, at: str = VILLAGE, home: str = VILLAGE) -> records_pb2.Event:
        """The event as a node knows it."""
        row = self.stores[at].get_event(home, record)
        assert row is not None
        return row.event

    def size(self, code: str = VILLAGE) -> int:
        """How many entries a node's own feed has."""
        feed = self.stores[code].feed(self.engines[code].identity.origin)
        assert feed is not None
        return feed.size


def handling(record: bytes, **fields: Any) -> events_pb2.EventHandling:
    """A word that settles the first event of the village, as its town might write it."""
    values: dict[str, Any] = {
        "event": record, "event_home": VILLAGE, "status": SETTLED, "text": "已修", "number": 1,
        "version_origin": identity(VILLAGE).origin,
    } | fields  # fmt: skip
    return events_pb2.EventHandling(**values)


def version(network: EventNetwork, record: bytes, status: int) -> records_pb2.Event:
    """The village's event as it stands, in another status."""
    event = records_pb2.Event()
    event.CopyFrom(network.event(record))
    event.status = status  # type: ignore[assignment]
    return event
