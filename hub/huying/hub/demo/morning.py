"""What a working day begins with: events and calls that wait for people at the demo's desks.

The stream's calls are all closed by then. These are left in every stage of a call's life, so that
each desk has something to do; matters and people are made up, and say so.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from huying.common.errors import Code, HuyingError
from huying.common.limits import RECORD_ID_BYTES
from huying.hub.demo.accounts import DEPARTMENT
from huying.hub.demo.plan import COUNTY, TOWNS
from huying.hub.desk import HUB_TOPICS
from huying.hub.fleet import Fleet
from huying.node.api.client import Client
from huying.node.desk import topic
from huying.wire.v1 import (
    api_pb2,
    calls_pb2,
    events_pb2,
    feed_pb2,
    hotline_pb2,
    policy_pb2,
    provision_pb2,
    records_pb2,
)

__all__ = ["leave_work"]

_MARK: Final = "（演示）"
_SECONDS_MAX: Final = 30.0
_POLL_SECONDS: Final = 0.1
_DESK_SECONDS: Final = 30.0
_DAY_MICROS: Final = 86_400 * 1_000_000


class _Matter(NamedTuple):
    category: str
    title: str
    text: str
    department: str


_MATTERS: Final[Sequence[_Matter]] = (
    _Matter(
        "供水",
        "村西管网夜间爆裂,三十户停水",
        "主管道接口处渗漏已两日,昨夜爆裂,需抢修并临时送水。",
        "水务局",
    ),
    _Matter(
        "危房",
        "连阴雨后老屋山墙开裂,住有独居老人",
        "山墙裂缝约两指宽,已劝离,请求鉴定并安排周转住处。",
        DEPARTMENT,
    ),
    _Matter(
        "道路",
        "生产路桥面塌陷,农机无法通行",
        "桥面塌陷约一米见方,正值秋收,请求限行标志和抢修。",
        "交通运输局",
    ),
    _Matter(
        "电力",
        "变压器过载,傍晚反复跳闸",
        "近一周傍晚用电高峰跳闸四次,影响机井灌溉。",
        "发展和改革局",
    ),
    _Matter(
        "环境", "河道漂浮大片死鱼,有异味", "约两百米河段,疑上游排放,已取水样留存。", "生态环境局"
    ),
    _Matter(
        "住房",
        "老旧小区外墙脱落,砸坏车辆",
        "三号楼北墙保温层脱落,已拉警戒线,请求排查整楼。",
        DEPARTMENT,
    ),
    _Matter("燃气", "液化气站违规充装,群众担忧", "夜间充装无人值守,请求联合检查。", DEPARTMENT),
    _Matter(
        "教育",
        "村小学校车线路取消,二十名学生绕行",
        "取消后需步行四公里,请求恢复或调整。",
        "教育和体育局",
    ),
    _Matter("医疗", "卫生室停诊两周,慢病取药不便", "驻村医生调离未补,请求安排巡诊。", "卫生健康局"),
    _Matter(
        "物业", "小区二次供水水箱多年未清洗", "物业推诿,水质发黄,请求检测并督促清洗。", DEPARTMENT
    ),
    _Matter(
        "市容",
        "集镇夜市占道,消防通道堵塞",
        "每晚占道两百米,劝导无效,请求联合整治。",
        "综合行政执法局",
    ),
    _Matter(
        "养老", "敬老院锅炉故障,冬季供暖无着", "锅炉超期,维修报价超出镇级权限,请求支持。", "民政局"
    ),
)
_EVENTS: Final = (
    ("道路", "村口路灯三盏不亮", "晚上放学路段没有灯"),
    ("环境", "沟渠边倾倒建筑垃圾", "约两车,夜间倾倒"),
    ("矛盾纠纷", "两户因排水沟走向争执", "已初步劝解,需再调解"),
    ("安全隐患", "废弃机井无盖板", "井口直径约半米,靠近小路"),
    ("民生服务", "独居老人家中断电", "线路老化,家中无人会修"),
)
# What the town says about the village's events: which, how, in words.
_HANDLED: Final = (
    (1, events_pb2.EVENT_HANDLING_STATUS_ASSIGNED, "请村里先围挡,镇里明天派车清运"),
    (2, events_pb2.EVENT_HANDLING_STATUS_TAKEN, ""),
    (4, events_pb2.EVENT_HANDLING_STATUS_SETTLED, "已请电工更换老化线路,恢复供电"),
)
# What became of each call, by its number.
_UNTIL: Final = (
    *("received", "received", "dispatched", "handling", "handling", "dispatched", "admitted"),
    *("handling", "supplement", "objected", "review", "answered", "dispatched", "handling"),
    *("unresolved", "extension", "received", "handling", "dispatched", "answered", "handling"),
    *("dispatched", "review", "handling"),
)


_DRAFTS: Final = 2  # that wait for the principal


def leave_work(fleet: Fleet) -> None:
    """Write all of it. Raises HuyingError where a node refuses, or UNREACHABLE."""
    town = next(iter(TOWNS))
    village = TOWNS[town][0]
    with (
        fleet[COUNTY].client() as county,
        fleet[town].client() as clerk,
        fleet[village].client() as worker,
    ):
        events = _report(worker, village)
        calls = [_raise(clerk, TOWNS[town][number % 2], number) for number in range(len(_UNTIL))]
        for number, call in enumerate(calls):
            _await_stage(county, call, api_pb2.CALL_STAGE_RECEIVED)
            _bring(county, clerk, call, number)
        for number in range(_DRAFTS):
            _draft(clerk, village, len(_MATTERS) - 1 - number)
        _ask_for_number(county, events[0])
        _handle(clerk, village, events)
        _import_orders(county, village)


def _report(worker: Client, village: str) -> list[bytes]:
    now = int(time.time() * 1e6)
    drafts = [
        api_pb2.Draft(
            kind=feed_pb2.KIND_PUT,
            type=feed_pb2.RECORD_TYPE_EVENT,
            record=_id(),
            request_id=_id(),
            message=records_pb2.Event(
                category=category,
                descriptor=title,
                grid=f"{village}001",
                status=records_pb2.EVENT_STATUS_REPORTED,
                reported_micros=now - number * 40 * 60_000_000,
                description_public=f"{text}{_MARK}",
                source="网格巡查",
                address="义桥村中心街",
                description_full=f"{text},反映人住中心街北侧{_MARK}",
                reporter_name="生成甲",
                reporter_phone="13900000000",
            ).SerializeToString(),
        )
        for number, (category, title, text) in enumerate(_EVENTS)
    ]
    worker.append(api_pb2.AppendRequest(drafts=drafts))
    return [draft.record for draft in drafts]


def _draft(clerk: Client, village: str, number: int) -> bytes:
    matter = _MATTERS[number % len(_MATTERS)]
    urgencies = (policy_pb2.URGENCY_ROUTINE, policy_pb2.URGENCY_URGENT)
    draft = calls_pb2.CallDraft(
        sequencer=COUNTY,
        category=matter.category,
        title=matter.title if number < len(_MATTERS) else f"再报:{matter.title}",
        description=f"{matter.text}{_MARK}",
        grid=f"{village}001",
        village=village,
        actor="镇-经办-01",
        urgency=policy_pb2.URGENCY_CRITICAL if number == 4 else urgencies[number % 5 == 0],
        contact_name="生成乙",
        contact_phone="13800000000",
    )
    return clerk.draft_call(api_pb2.DraftCallRequest(draft=draft, request_id=_id())).call


def _raise(clerk: Client, village: str, number: int) -> bytes:
    drafted = _draft(clerk, village, number)
    clerk.decide_draft(
        api_pb2.DecideDraftRequest(
            draft=drafted, approved=True, decided_by="镇-主要-01", request_id=_id()
        )
    )
    return drafted


def _bring(county: Client, clerk: Client, call: bytes, number: int) -> None:
    """Take a call's steps as far as it is to come."""
    until = _UNTIL[number]
    department = _MATTERS[number % len(_MATTERS)].department
    if until == "received":
        return
    if until == "admitted":
        _step(county, call, "县-呼应-03", admit={"note": "属实,受理"})
        return
    _step(county, call, "县-呼应-03", dispatch={"department": department})
    if until == "dispatched":
        return
    if until == "objected":
        objection = {"department": department, "reason": "管辖属园区管委会,请改派"}
        _step(county, call, "县-部门-11", objection=objection)
        return
    _step(county, call, "县-部门-11", accept={"department": department})
    if until == "handling":
        note = {"department": department, "text": "已联系镇里,今日到现场"}
        _step(county, call, "县-部门-11", note=note)
    elif until == "supplement":
        asked = {"department": department, "text": "请补充渗漏位置照片和影响户数"}
        _step(county, call, "县-部门-11", supplement_request=asked)
    elif until == "extension":
        asked = {"department": department, "reason": "需采购配件,三日后到货"}
        _step(county, call, "县-部门-11", extension_request=asked)
    else:
        _answer(county, clerk, call, department, until)


def _answer(county: Client, clerk: Client, call: bytes, department: str, until: str) -> None:
    text = "已到现场核实,完成临时处置,彻底整改列入本周计划。"
    _step(county, call, "县-部门-11", answer={"department": department, "text": text})
    if until == "review":
        return
    _step(county, call, "县-呼应-03", review={"sent": True})
    if until == "unresolved":
        _await_stage(clerk, call, api_pb2.CALL_STAGE_ANSWERED)
        said = {"resolved": False, "satisfaction": 2, "comment": "仍未解决,请再到现场"}
        _step(clerk, call, "镇-经办-01", confirm=said)


def _handle(clerk: Client, village: str, events: list[bytes]) -> None:
    """The town's word about some of the village's events; the village's node settles the last."""
    for number, status, text in _HANDLED:
        request = events_pb2.HandleEventRequest(
            home=village,
            record=events[number],
            status=status,
            text=text,
            actor="镇-经办-01",
            request_id=_id(),
        )
        _ask_once_there(clerk, "EventDesk", "HandleEvent", request)


def _ask_for_number(county: Client, event: bytes) -> None:
    request = provision_pb2.RequestProvisionRequest(
        record=event,
        fields=["reporter_phone"],
        purpose="联系反映人核实路灯位置",
        department=DEPARTMENT,
        actor="县-部门-11",
        lasts_micros=2 * _DAY_MICROS,
    )
    _ask_once_there(county, "Provisions", "RequestProvision", request)


def _ask_once_there(client: Client, desk: str, method: str, request: Any) -> None:
    """Ask about an event that may still be on its way."""
    deadline = time.monotonic() + _SECONDS_MAX
    while True:
        try:
            client.ask_desk(topic(desk), method, request, _DESK_SECONDS)
        except HuyingError as error:
            if error.code is not Code.NOT_FOUND or time.monotonic() > deadline:
                raise
            time.sleep(_POLL_SECONDS)
        else:
            return


def _import_orders(county: Client, village: str) -> None:
    desk = next(one for one in HUB_TOPICS if one.name == "HotlineDesk")
    now = int(time.time() * 1e6)
    rows = [
        hotline_pb2.ImportOrdersRequest.Row(
            number=number + 2,
            order=hotline_pb2.Order(
                source="12345",
                source_id=f"DEMO{number:04}",
                handler=village,
                category=category,
                descriptor=title,
                description=f"来电反映:{text}{_MARK}",
                created_micros=now - (number + 1) * 3_600_000_000,
                due_micros=now + (number - 1) * _DAY_MICROS,
                contact_name="生成丙",
                contact_phone="13700000000",
                contact_address="义桥村中心街",
            ),
        )
        for number, (category, title, text) in enumerate(_EVENTS)
    ]
    request = hotline_pb2.ImportOrdersRequest(rows=rows, all_or_nothing=True)
    county.ask_desk(desk, "ImportOrders", request, _DESK_SECONDS)


def _step(client: Client, call: bytes, actor: str, **step: Any) -> None:
    message = calls_pb2.CallStep(call=call, actor=actor, **step)
    client.take_call_step(api_pb2.TakeCallStepRequest(step=message, request_id=_id()))


def _await_stage(client: Client, call: bytes, stage: int) -> None:
    deadline = time.monotonic() + _SECONDS_MAX
    while True:
        try:
            if client.get_call(api_pb2.GetCallRequest(call=call)).stage == stage:
                return
        except HuyingError as error:
            if error.code is not Code.NOT_FOUND:
                raise
        if time.monotonic() > deadline:
            raise HuyingError(Code.UNREACHABLE, f"call {call.hex()} did not come so far")
        time.sleep(_POLL_SECONDS)


def _id() -> bytes:
    return secrets.token_bytes(RECORD_ID_BYTES)
