"""The village's grid worker: keeps the register, reports events, and settles them in the end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from datetime import date
from random import Random
from typing import Final

from huying.common.effects import DraftEntry
from huying.hub.demo.api import NodeApi
from huying.hub.demo.canary import Canaries
from huying.hub.demo.people import grid_codes, village_drafts
from huying.hub.demo.plan import Sizes, record_id
from huying.hub.demo.requests import Request, event_of, settled
from huying.hub.demo.story import Story
from huying.node.desk import topic
from huying.wire.v1 import calls_pb2, feed_pb2, provision_pb2, records_pb2

__all__ = ["VillageWorker", "is_marked"]

BATCH_DRAFTS: Final = 100
GRID_HOUSEHOLDS: Final = 100  # fewer than the rule's 200 to 300, so that a village has several
_MARKED_HOUSEHOLD: Final = 20  # every so many have canaries
_MARKED_EVENT: Final = 10
_WHO: Final = "网格员"
_DECIDE_SECONDS: Final = 0.5


def is_marked(number: int) -> bool:
    """Whether the request of this number has canaries in it."""
    return number % _MARKED_EVENT == 0


class VillageWorker:
    """Works at one village's node, by its API alone."""

    def __init__(
        self, api: NodeApi, story: Story, canaries: Canaries, sizes: Sizes, shift: int
    ) -> None:
        self._api = api
        self._story = story
        self._canaries = canaries
        self._sizes = sizes
        self._shift = shift  # microseconds, from the requests' time to now
        self._rng = Random(f"{api.code}/events")
        self._grids = grid_codes(api.code, sizes.households, GRID_HOUSEHOLDS)
        self._events: dict[bytes, tuple[records_pb2.Event, Request]] = {}
        self._calls: dict[bytes, bytes] = {}  # call -> event
        self._ended: set[bytes] = set()  # calls whose end came before themselves

    def register(self, today: date) -> list[DraftEntry]:
        """All grids, workers, households and residents."""
        drafts = village_drafts(
            self._api.code,
            households=self._sizes.households,
            seed=1,
            today=today,
            grid_households=GRID_HOUSEHOLDS,
        )
        return list(self._marked(drafts))

    def _marked(self, drafts: Iterator[DraftEntry]) -> Iterator[DraftEntry]:
        """With canaries in every grid worker, and in some households and their residents."""
        households = 0
        for draft in drafts:
            households += draft.type == feed_pb2.RECORD_TYPE_HOUSEHOLD
            worker = draft.type == feed_pb2.RECORD_TYPE_GRID_WORKER
            if worker or households % _MARKED_HOUSEHOLD == 1:
                self._canaries.plant(draft.message, self._api.code)
            yield draft

    async def load(self, drafts: list[DraftEntry]) -> None:
        """Write the register, in batches."""
        for start in range(0, len(drafts), BATCH_DRAFTS):
            batch = drafts[start : start + BATCH_DRAFTS]
            await self._api.append(batch)
            self._story.count("loaded", len(batch))

    async def report(self, number: int, request: Request) -> None:
        """上报: write the event as it was told."""
        event = event_of(
            request, grid=self._rng.choice(self._grids), shift=self._shift, rng=self._rng
        )
        if is_marked(number):
            self._canaries.plant(event, self._api.code)
        record = record_id("event", number)
        self._events[record] = (event, request)
        await self._put(record, event)
        self._story.count("reported")
        self._say(record, f"上报 reports: {event.category} · {event.descriptor}")

    async def settle(self, record: bytes) -> None:
        """办结: write the event's end."""
        event, request = self._events[record]
        after = settled(event, request, shift=self._shift, now_micros=int(time.time() * 1e6))
        await self._put(record, after)
        self._story.count("settled")

    async def follow_calls(self) -> None:
        """See what the town and the county write about this village's events, and note it."""
        types = (feed_pb2.RECORD_TYPE_CALL, feed_pb2.RECORD_TYPE_CALL_STEP)
        async for record in self._api.watch(*types):
            if record.type == feed_pb2.RECORD_TYPE_CALL:
                call = calls_pb2.Call.FromString(record.message)
                if call.village == self._api.code and call.event in self._events:
                    await self._called(record.record, call.event)
            else:
                step = calls_pb2.CallStep.FromString(record.message)
                if step.HasField("closure"):
                    await self._closed(step.call)

    async def _called(self, call: bytes, record: bytes) -> None:
        self._calls[call] = record
        event = records_pb2.Event()
        event.CopyFrom(self._events[record][0])
        event.status = records_pb2.EVENT_STATUS_CALLED
        await self._put(record, event)
        if call in self._ended:
            await self._closed(call)

    async def _closed(self, call: bytes) -> None:
        if call not in self._calls:  # the county's word came before the town's
            self._ended.add(call)
            return
        record = self._calls[call]
        await self.settle(record)
        self._say(record, "看到办结 sees it closed, settles the event")

    async def decide_provisions(self) -> None:
        """数据提供: say who may look at what stays here, and for what."""
        async for record in self._api.watch(feed_pb2.RECORD_TYPE_PROVISION_REQUEST):
            request = provision_pb2.ProvisionRequest.FromString(record.message)
            if request.home != self._api.code:
                continue
            await asyncio.sleep(_DECIDE_SECONDS)
            await self._api.ask(
                topic("Provisions"),
                "DecideProvision",
                provision_pb2.DecideProvisionRequest(
                    record=record.record,
                    verdict=provision_pb2.PROVISION_VERDICT_APPROVED,
                    actor="村-文书-02",
                ),
            )
            self._story.say(
                request.record,
                self._api.code,
                "村文书",
                f"同意提供给 lets {request.department} see it, 2 天 days",
            )

    async def _put(self, record: bytes, event: records_pb2.Event) -> None:
        draft = DraftEntry(
            kind=feed_pb2.KIND_PUT,
            type=feed_pb2.RECORD_TYPE_EVENT,
            message=event,
            record=record,
        )
        await self._api.append([draft])

    def _say(self, record: bytes, text: str) -> None:
        self._story.say(record, self._api.code, _WHO, text)
