"""The county's centre, which dispatches, and its departments, which answer by a script."""

from __future__ import annotations

import asyncio
import time
from typing import Final

from huying.hub.demo.api import NodeApi
from huying.hub.demo.canary import Canaries
from huying.hub.demo.plan import Duties, share
from huying.hub.demo.story import Story
from huying.wire.v1 import calls_pb2, feed_pb2

__all__ = ["CountyCentre"]

_CENTRE: Final = "呼应中心"
_DEADLINE_MICROS: Final = 5 * 86_400 * 1_000_000  # five days; the working calendar comes later
_HANDLING_SECONDS: Final = 1.0  # at most
_ANSWERS: Final = (
    "已派员到场核实,问题属实,当日处理完毕。",
    "已联系报告人说明情况,列入本周处理计划并先行采取临时措施。",
    "经核查已整改到位,后续加强巡查。",
)
_SECOND_ANSWER: Final = "已再次到场,更换处理办法,现场确认解决。"


class CountyCentre:
    """Works at the county's node, by its API alone."""

    def __init__(self, api: NodeApi, story: Story, canaries: Canaries, duties: Duties) -> None:
        self._api = api
        self._story = story
        self._canaries = canaries
        self._duties = duties
        self._answered: set[bytes] = set()

    async def work(self) -> None:
        """For ever: act on what the node, which judges every proposal, has taken."""
        async with asyncio.TaskGroup() as tasks:
            async for record in self._api.watch(feed_pb2.RECORD_TYPE_CALL_STEP):
                if record.home != self._api.code:
                    continue  # a proposal: its `took` follows
                step = calls_pb2.CallStep.FromString(record.message)
                match step.WhichOneof("step"):
                    case "dispatch":
                        tasks.create_task(self._answer(step.call))
                    case "took" if step.took.accepted:
                        if step.took.WhichOneof("proposal") == "raise":
                            self._story.count("received")
                            tasks.create_task(self._dispatch(step.call))
                        elif step.took.confirm.resolved:
                            self._story.count("confirmed")
                        else:
                            self._story.count("unresolved")
                            tasks.create_task(self._answer(step.call))

    async def _dispatch(self, call_id: bytes) -> None:
        """派单: the department that leads by the duty list."""
        call = await self._api.get_call(call_id)
        department = self._duties.department(call.content.category)
        deadline = int(time.time() * 1e6) + _DEADLINE_MICROS
        dispatch = calls_pb2.Dispatch(department=department, deadline_micros=deadline)
        await self._api.take_step(
            calls_pb2.CallStep(call=call_id, actor="县-呼应-03", dispatch=dispatch)
        )
        self._story.count("dispatched")
        self._story.say(
            call.content.event,
            self._api.code,
            _CENTRE,
            f"受理,派单 receives it, dispatches to {department}",
        )

    async def _answer(self, call_id: bytes) -> None:
        """答复: the scripted responder of the department."""
        call = await self._api.get_call(call_id)
        event = call.content.event
        await asyncio.sleep(_HANDLING_SECONDS * share(event, "handling"))
        again = call_id in self._answered
        text = _SECOND_ANSWER if again else _ANSWERS[int(len(_ANSWERS) * share(event, "answer"))]
        step = calls_pb2.CallStep(
            call=call_id,
            actor="县-部门-11",
            answer=calls_pb2.Answer(department=call.department, text=text),
            internal_note="现场照片已存档",
        )
        if not again:
            self._canaries.plant(step, self._api.code)
        await self._api.take_step(step)
        self._answered.add(call_id)
        self._story.count("answered_again" if again else "answered")
        self._story.say(event, self._api.code, call.department, f"答复 answers: {text}")
