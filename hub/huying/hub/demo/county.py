"""The county's centre, which rules, dispatches and reviews, and its departments, by a script.

They are people at one node, and act on what it wrote: each step of a call is somebody's cue.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Coroutine
from typing import Any, Final

from huying.common.errors import Code, HuyingError
from huying.common.policies import shipped_policy
from huying.hub.demo.api import NodeApi
from huying.hub.demo.canary import Canaries
from huying.hub.demo.fates import Fates
from huying.hub.demo.plan import Duties, share
from huying.hub.demo.story import Story
from huying.hub.desk import DUTY, POLICIES
from huying.hub.duty_example import TITLE, example_items
from huying.node.desk import topic
from huying.wire.v1 import (
    api_pb2,
    calls_pb2,
    duty_pb2,
    feed_pb2,
    policy_desk_pb2,
    provision_pb2,
    records_pb2,
)

__all__ = ["CountyCentre", "prepare_county"]

_CENTRE: Final = "呼应中心"
_CLERK: Final = "县-呼应-03"
_RESPONDER: Final = "县-部门-11"
_OVERDUE_MICROS: Final = 2_000_000  # the deadline of the call that is to be late
_PROVISION_MICROS: Final = 2 * 86_400 * 1_000_000
_HANDLING_SECONDS: Final = 1.0  # at most
_ANSWERS: Final = (
    "已派员到场核实,问题属实,当日处理完毕。",
    "已联系反映人说明情况,列入本周处理计划并先行采取临时措施。",
    "经核查已整改到位,后续加强巡查。",
)
_LATER_ANSWERS: Final = (
    "已再次到场,更换处理办法,现场确认解决。",
    "已会同乡镇复查,落实长效措施,问题不再反复。",
)
_TYPES: Final = (feed_pb2.RECORD_TYPE_CALL_STEP, feed_pb2.RECORD_TYPE_PROVISION_DECISION)


class CountyCentre:
    """Works at the county's node, by its API alone."""

    def __init__(
        self, api: NodeApi, story: Story, canaries: Canaries, duties: Duties, fates: Fates
    ) -> None:
        self._api = api
        self._story = story
        self._canaries = canaries
        self._duties = duties
        self._fates = fates
        self._answers: Counter[bytes] = Counter()  # by call
        self._confirmed: set[bytes] = set()
        self._reopened: set[bytes] = set()
        self._looking: dict[bytes, asyncio.Event] = {}  # provisions, by record id
        self._tasks: asyncio.TaskGroup | None = None

    async def prepare(self) -> None:
        """See `prepare_county`."""
        await prepare_county(self._api)

    async def work(self) -> None:
        """For ever: act on what the node, which judges every proposal, has written."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            async for record in self._api.watch(*_TYPES):
                if record.type == feed_pb2.RECORD_TYPE_PROVISION_DECISION:
                    self._looking.setdefault(record.record, asyncio.Event()).set()
                elif record.home == self._api.code:  # else a proposal: its `took` follows
                    self._cue(calls_pb2.CallStep.FromString(record.message))

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        assert self._tasks is not None
        self._tasks.create_task(work)

    def _cue(self, step: calls_pb2.CallStep) -> None:
        """Who acts next, and how."""
        call = step.call
        match step.WhichOneof("step"):
            case "took" if step.took.accepted:
                self._cue_of_caller(call, step.took)
            case "dispatch":
                self._story.count("dispatched")
                self._do(self._receive(call))
            case "objection":
                self._story.count("returned")
                self._do(self._rule(call))
            case "ruling" if not step.ruling.upheld:
                self._story.count("ruled")
                self._do(self._accept(call))
            case "accept":
                self._do(self._handle(call))
            case "timeout" if step.timeout.clock == calls_pb2.CLOCK_ANSWER:
                self._story.count("breached")
                self._do(self._answer(call))
            case "answer":
                self._do(self._review(call))
            case "closure":
                self._story.count("closed")

    def _cue_of_caller(self, call: bytes, took: calls_pb2.Took) -> None:
        match took.WhichOneof("proposal"):
            case "raise":
                self._story.count("received")
                self._do(self._dispatch(call))
            case "supplement":
                self._story.count("supplemented")
                self._do(self._answer(call))
            case "confirm" if took.confirm.resolved:
                if call not in self._confirmed:
                    self._confirmed.add(call)
                    self._story.count("confirmed")
                self._do(self._close(call))
            case "confirm":
                self._story.count("unresolved")
                self._do(self._answer(call))
            case "reopen":
                self._story.count("reopened")
                self._reopened.add(call)
                self._do(self._answer(call))

    async def _dispatch(self, call_id: bytes) -> None:
        """派单, as the duty list suggests; some go to the wrong department first."""
        call = await self._api.get_call(call_id)
        event = call.content.event
        found = await self._api.ask(
            DUTY, "SuggestDuty", duty_pb2.SuggestDutyRequest(call=call_id, limit=1)
        )
        dispatch = calls_pb2.Dispatch(department=self._duties.department(call.content.category))
        if found.suggestions:
            item = found.suggestions[0].item
            dispatch.department = item.lead
            dispatch.co_handlers.extend(item.co_handlers)
            dispatch.duty_item = item.number
            dispatch.duty_version = found.list.version
        else:
            off_list = calls_pb2.OffList(
                approved_by="县-主任-01", reason="清单未列明,按首接负责办理"
            )
            await self._step(call_id, off_list=off_list)
        cited = f", 依据 by {dispatch.duty_item}" if dispatch.duty_item else ""
        if event in self._fates.objected:
            dispatch.department = _wrong(dispatch.department)
            del dispatch.co_handlers[:]
        if event in self._fates.overdue:
            dispatch.deadline_micros = int(time.time() * 1e6) + _OVERDUE_MICROS
        await self._step(call_id, dispatch=dispatch)
        self._say(event, _CENTRE, f"派单 dispatches to {dispatch.department}{cited}")

    async def _receive(self, call_id: bytes) -> None:
        """签收, or 异议 where it is another department's duty."""
        call = await self._api.get_call(call_id)
        event = call.content.event
        if event not in self._fates.objected:
            await self._accept(call_id)
            return
        reason = "该事项不在本部门职责清单内,请改派"
        await self._step(
            call_id, objection=calls_pb2.Objection(department=call.department, reason=reason)
        )
        self._say(event, call.department, f"异议 objects: {reason}")

    async def _rule(self, call_id: bytes) -> None:
        """裁决: the department whose duty it is, which may not return it."""
        call = await self._api.get_call(call_id)
        event = call.content.event
        department = self._duties.department(call.content.category)
        reason = "按职责清单指定办理,不得退回"
        await self._step(call_id, ruling=calls_pb2.Ruling(department=department, reason=reason))
        self._say(event, _CENTRE, f"裁决 rules: {department}, 不得退回 no further return")

    async def _accept(self, call_id: bytes) -> None:
        call = await self._api.get_call(call_id)
        await self._step(call_id, accept=calls_pb2.Accept(department=call.department))
        self._say(call.content.event, call.department, "签收 accepts")

    async def _handle(self, call_id: bytes) -> None:
        """办理: look into it; ask for what is missing, where something is."""
        call = await self._api.get_call(call_id)
        event = call.content.event
        await asyncio.sleep(_HANDLING_SECONDS * share(event, "handling"))
        if event in self._fates.provided:
            await self._look_up(call)
        if event in self._fates.supplemented:
            request = calls_pb2.SupplementRequest(
                department=call.department, text="请补充现场位置和照片"
            )
            await self._step(call_id, supplement_request=request)
            self._say(event, call.department, "请求补充,停表 asks for more; the clock stands still")
        elif event not in self._fates.overdue:
            await self._answer(call_id)

    async def _look_up(self, call: api_pb2.CallView) -> None:
        """数据提供: the reporter's number, which stays in the village, for this one purpose."""
        event = call.content.event
        asked = await self._api.ask(
            topic("Provisions"),
            "RequestProvision",
            provision_pb2.RequestProvisionRequest(
                record=event,
                fields=["reporter_phone"],
                purpose="联系反映人核实现场情况",
                department=call.department,
                actor=_RESPONDER,
                lasts_micros=_PROVISION_MICROS,
                call=call.call,
            ),
        )
        self._say(event, call.department, "申请查看反映人电话 asks for the reporter's number")
        await self._looking.setdefault(asked.record, asyncio.Event()).wait()
        opened = await self._api.ask(
            topic("Provisions"),
            "OpenProvision",
            provision_pb2.OpenProvisionRequest(
                record=asked.record, department=call.department, actor=_RESPONDER
            ),
        )
        number = records_pb2.Event.FromString(opened.message).reporter_phone
        if not number:
            raise HuyingError(Code.CORRUPT, "a provision that was approved holds no number")
        self._story.count("provided")
        self._say(
            event,
            call.department,
            f"看到号码 sees it: {number[:3]}…{number[-2:]}, 与原承诺相符 matches its commitment",
        )

    async def _answer(self, call_id: bytes) -> None:
        """答复: the scripted responder of the department."""
        call = await self._api.get_call(call_id)
        event = call.content.event
        again = self._answers[call_id]
        text = _ANSWERS[int(len(_ANSWERS) * share(event, "answer"))]
        if again:
            text = _LATER_ANSWERS[again - 1]
        step = calls_pb2.CallStep(
            call=call_id,
            actor=_RESPONDER,
            answer=calls_pb2.Answer(department=call.department, text=text),
            internal_note="现场照片已存档",
        )
        if not again:
            self._canaries.plant(step, self._api.code)
        await self._api.take_step(step)
        self._answers[call_id] += 1
        self._story.count("answered_again" if again else "answered")
        self._say(event, call.department, f"答复 answers: {text}")

    async def _review(self, call_id: bytes) -> None:
        """审核: what was done is what was asked for, so it goes out."""
        call = await self._api.get_call(call_id)
        if call.stage != api_pb2.CALL_STAGE_REVIEW:
            return  # the policy lets answers out at once
        await self._step(call_id, review=calls_pb2.Review(sent=True))
        self._say(call.content.event, _CENTRE, "审核通过 reviews it and sends it")

    async def _close(self, call_id: bytes) -> None:
        """办结, unless the town is about to find that nothing was settled."""
        call = await self._api.get_call(call_id)
        event = call.content.event
        if event in self._fates.reopened and call_id not in self._reopened:
            return
        if call.stage != api_pb2.CALL_STAGE_CONFIRMED:
            return  # the town was quicker
        closure = calls_pb2.Closure(reason=calls_pb2.CLOSURE_REASON_CONFIRMED)
        await self._step(call_id, closure=closure)
        self._say(event, _CENTRE, "办结 closes the call")

    async def _step(self, call_id: bytes, **step: Any) -> None:
        await self._api.take_step(calls_pb2.CallStep(call=call_id, actor=_CLERK, **step))

    def _say(self, event: bytes, who: str, text: str) -> None:
        self._story.say(event, self._api.code, who, text)


async def prepare_county(api: NodeApi, *, approval_required: bool = False) -> None:
    """Enter the duty list, the departments with their keys, and the county's own policy.

    Raises HuyingError as the node refuses.
    """
    items = example_items()
    await api.ask(DUTY, "ImportDutyList", duty_pb2.ImportDutyListRequest(title=TITLE, items=items))
    for name in dict.fromkeys(item.lead for item in items if item.lead):
        request = provision_pb2.AddDepartmentRequest(name=name)
        await api.ask(topic("Departments"), "AddDepartment", request)
    policy = shipped_policy()
    policy.version = 1
    policy.title = "演示县的规则:答复先经中心审核"
    policy.review_required = True
    policy.approval_required = approval_required
    await api.ask(POLICIES, "SetPolicy", policy_desk_pb2.SetPolicyRequest(policy=policy))


def _wrong(department: str) -> str:
    """A department whose duty it is not."""
    return "市场监督管理局" if department != "市场监督管理局" else "水务局"
