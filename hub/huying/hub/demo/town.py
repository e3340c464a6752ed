"""The town's clerk: settles most events, calls the county for some, confirms its answers."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any, Final

from huying.hub.demo.api import NodeApi
from huying.hub.demo.canary import Canaries
from huying.hub.demo.people import fake_name, fake_phone
from huying.hub.demo.plan import COUNTY, Duties, share
from huying.hub.demo.requests import call_of
from huying.hub.demo.story import Story
from huying.wire.v1 import api_pb2, calls_pb2, feed_pb2, records_pb2

__all__ = ["TownClerk", "is_unresolved"]

_WHO: Final = "值班员"
_VISIT_SECONDS: Final = 1.5  # at most, from seeing an event to having dealt with it
_FOLLOW_UP_SECONDS: Final = 0.6
_UNRESOLVED_SHARE: Final = 0.15
_MARKED_SHARE: Final = 0.2

# Tells the worker of a village by telephone: (village, event).
Telephone = Callable[[str, bytes], Coroutine[Any, Any, None]]


def is_unresolved(event: bytes) -> bool:
    """Whether the first answer about this event does not settle it."""
    return share(event, "unresolved") < _UNRESOLVED_SHARE


class TownClerk:
    """Works at one town's node, by its API alone; `telephone` reaches the town's villages."""

    def __init__(
        self, api: NodeApi, story: Story, canaries: Canaries, duties: Duties, telephone: Telephone
    ) -> None:
        self._api = api
        self._story = story
        self._canaries = canaries
        self._duties = duties
        self._telephone = telephone
        self._rng = Random(f"{api.code}/clerk")
        self._answers: Counter[bytes] = Counter()  # by call

    async def work(self) -> None:
        """For ever: look at what comes up from the villages and down from the county."""
        types = (feed_pb2.RECORD_TYPE_EVENT, feed_pb2.RECORD_TYPE_CALL_STEP)
        async with asyncio.TaskGroup() as tasks:
            async for record in self._api.watch(*types):
                if record.type == feed_pb2.RECORD_TYPE_EVENT:
                    event = records_pb2.Event.FromString(record.message)
                    if event.status == records_pb2.EVENT_STATUS_REPORTED:
                        tasks.create_task(self._handle(record, event))
                else:
                    step = calls_pb2.CallStep.FromString(record.message)
                    if step.HasField("answer"):
                        tasks.create_task(self._confirm(step))

    async def _handle(self, record: api_pb2.RecordView, event: records_pb2.Event) -> None:
        """办理 or 呼叫: deal with one event of a village."""
        event_id = record.record
        await asyncio.sleep(_VISIT_SECONDS * share(event_id, "visit"))
        if not self._duties.is_called(event.category, event_id):
            await self._telephone(record.home, event_id)
            return
        call = call_of(event, event_id, village=record.home, sequencer=COUNTY, actor="镇-017")
        call.ClearField("raised_micros")  # now, by the node's clock
        call.contact_name = fake_name(self._rng)
        call.contact_phone = fake_phone(self._rng)
        if share(event_id, "mark") < _MARKED_SHARE:
            self._canaries.plant(call, self._api.code)
        await self._api.raise_call(call)
        self._story.count("raised")
        withheld = sum(one.state == api_pb2.SLOT_STATE_WITHHELD for one in record.slots)
        self._say(
            event_id,
            f"呼叫县里 calls the county ({withheld} 项留在村里 compartments stay in the village)",
        )

    async def _confirm(self, step: calls_pb2.CallStep) -> None:
        """回访: ask the person who reported, and tell the county what the answer was worth."""
        call = await self._api.get_call(step.call)
        if call.caller != self._api.code:
            return
        event = call.content.event
        self._answers[step.call] += 1
        resolved = self._answers[step.call] > 1 or not is_unresolved(event)
        await asyncio.sleep(_FOLLOW_UP_SECONDS * share(event, "follow-up"))
        stars = 3 + int(3 * share(event, "stars")) if resolved else 1
        confirm = calls_pb2.CallStep(
            call=step.call,
            actor="镇-017",
            confirm=calls_pb2.Confirm(
                resolved=resolved,
                satisfaction=stars,
                comment="已解决" if resolved else "现场仍未解决,请再处理",
            ),
            internal_note="电话回访",
        )
        if share(event, "mark") < _MARKED_SHARE:
            self._canaries.plant(confirm, self._api.code)
        await self._api.take_step(confirm)
        self._say(
            event,
            f"回访 follows up: {'已解决 resolved' if resolved else '未解决 not resolved'} "
            f"{'★' * stars}{'☆' * (5 - stars)}",
        )

    def _say(self, event: bytes, text: str) -> None:
        self._story.say(event, self._api.code, _WHO, text)
