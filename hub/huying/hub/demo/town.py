"""The town's clerk: settles most events, calls the county for some, confirms its answers."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any, Final

from huying.hub.demo.api import NodeApi
from huying.hub.demo.canary import Canaries
from huying.hub.demo.fates import Fates
from huying.hub.demo.people import fake_name, fake_phone
from huying.hub.demo.plan import COUNTY, Duties, share
from huying.hub.demo.requests import draft_of
from huying.hub.demo.story import Story
from huying.wire.v1 import api_pb2, calls_pb2, feed_pb2, records_pb2

__all__ = ["TownClerk"]

_WHO: Final = "值班员"
_PRINCIPAL: Final = "镇长"
_VISIT_SECONDS: Final = 1.5  # at most, from seeing an event to having dealt with it
_FOLLOW_UP_SECONDS: Final = 0.6
_MARKED_SHARE: Final = 0.2

# Tells the worker of a village by telephone: (village, event).
Telephone = Callable[[str, bytes], Coroutine[Any, Any, None]]


class TownClerk:
    """Works at one town's node, by its API alone; `telephone` reaches the town's villages."""

    def __init__(
        self,
        api: NodeApi,
        story: Story,
        canaries: Canaries,
        duties: Duties,
        fates: Fates,
        telephone: Telephone,
    ) -> None:
        self._api = api
        self._story = story
        self._canaries = canaries
        self._duties = duties
        self._fates = fates
        self._telephone = telephone
        self._rng = Random(f"{api.code}/clerk")
        self._answers: Counter[bytes] = Counter()  # by call
        self._reopened: set[bytes] = set()

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
                    if step.HasField("review") and step.review.sent:
                        tasks.create_task(self._confirm(step))
                    elif step.HasField("supplement_request"):
                        tasks.create_task(self._supplement(step))
                    elif step.took.accepted and step.took.confirm.resolved:
                        tasks.create_task(self._reopen(step))

    async def _handle(self, record: api_pb2.RecordView, event: records_pb2.Event) -> None:
        """办理 or 呼叫: deal with one event of a village."""
        event_id = record.record
        await asyncio.sleep(_VISIT_SECONDS * share(event_id, "visit"))
        if not self._duties.is_called(event.category, event_id):
            await self._telephone(record.home, event_id)
            return
        draft = draft_of(event, event_id, village=record.home, sequencer=COUNTY, actor="镇-017")
        draft.contact_name = fake_name(self._rng)
        draft.contact_phone = fake_phone(self._rng)
        if share(event_id, "mark") < _MARKED_SHARE:
            self._canaries.plant_contact(draft, self._api.code)
        drafted = await self._api.draft_call(draft)
        self._say(event_id, "拟稿 drafts a call")
        await self._api.approve(drafted.call, _PRINCIPAL)
        self._story.count("raised")
        withheld = sum(one.state == api_pb2.SLOT_STATE_WITHHELD for one in record.slots)
        self._say(
            event_id,
            f"审签,呼叫县里 calls the county ({withheld} 项留在村里 compartments stay at home)",
            _PRINCIPAL,
        )

    async def _confirm(self, step: calls_pb2.CallStep) -> None:
        """回访: ask the person who reported, and tell the county what the answer was worth."""
        call = await self._api.get_call(step.call)
        if call.caller != self._api.code:
            return
        event = call.content.event
        self._answers[step.call] += 1
        resolved = self._answers[step.call] > 1 or event not in self._fates.unresolved
        await asyncio.sleep(_FOLLOW_UP_SECONDS * share(event, "follow-up"))
        stars = 3 + int(3 * share(event, "stars")) if resolved else 1
        confirm = calls_pb2.CallStep(
            call=step.call,
            actor="镇-017",
            confirm=calls_pb2.Confirm(
                resolved=resolved,
                satisfaction=stars,
                comment=f"第 {self._answers[step.call]} 次回访:"
                + ("已解决" if resolved else "现场仍未解决,请再处理"),
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

    async def _supplement(self, step: calls_pb2.CallStep) -> None:
        """补充: what the department asked for."""
        call = await self._api.get_call(step.call)
        if call.caller != self._api.code:
            return
        supplement = calls_pb2.Supplement(text="位置已在台账标注,照片已拍摄留存")
        await self._api.take_step(
            calls_pb2.CallStep(call=step.call, actor="镇-017", supplement=supplement)
        )
        self._say(call.content.event, "补充 supplements")

    async def _reopen(self, step: calls_pb2.CallStep) -> None:
        """重办: it was settled for a day."""
        call = await self._api.get_call(step.call)
        event = call.content.event
        if call.caller != self._api.code or event not in self._fates.reopened:
            return
        if step.call in self._reopened:
            return
        self._reopened.add(step.call)
        await self._api.take_step(
            calls_pb2.CallStep(
                call=step.call,
                actor="镇-017",
                reopen=calls_pb2.Reopen(reason="问题反复,请重新办理"),
            )
        )
        self._say(event, "重办 reopens: 问题反复 it came back")

    def _say(self, event: bytes, text: str, who: str = _WHO) -> None:
        self._story.say(event, self._api.code, who, text)
