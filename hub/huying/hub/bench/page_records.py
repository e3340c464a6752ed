"""What the bench's nodes hold beside calls: divisions, events, hotline orders, a village's ledger.

Each call has its event, by `event_of`; a few more wait in every village. Nobody in it is real.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final, NamedTuple, Protocol

from google.protobuf.message import Message

from huying.hub.bench.call_store import COUNTY, NOW_MICROS, Size, event_of
from huying.hub.demo.people import village_drafts
from huying.hub.fleet import Place
from huying.wire.v1 import feed_pb2, hotline_pb2, records_pb2

__all__ = ["VILLAGES", "Filler", "Record", "Shape", "fill"]

VILLAGES: Final = 10  # of each town
VISITS: Final = 2_000
_MINUTE: Final = 60 * 10**6
_SPAN: Final = 240 * 24 * 60 * _MINUTE  # eight months
_REPORTED: Final = 20  # events of each village that wait there
_EVENTS: Final = (
    ("道路", "村口路灯不亮", "晚上放学路段没有灯,已核实位置,请安排检修。"),
    ("环境", "沟渠边倾倒垃圾", "约两车,夜间倾倒,已拉警戒线。"),
    ("矛盾纠纷", "两户因排水沟走向争执", "已初步劝解,需再调解。"),
    ("安全隐患", "废弃机井无盖板", "井口直径约半米,靠近小路,已设围挡。"),
    ("民生服务", "独居老人家中断电", "线路老化,家中无人会修。"),
)


class Record(NamedTuple):
    """One record of some home."""

    type: feed_pb2.RecordType.ValueType
    record: bytes
    message: Message
    time_micros: int


@dataclass(frozen=True, slots=True)
class Shape:
    """What one node is filled with."""

    place: Place
    size: Size
    towns: int
    orders: int
    households: int = 0


class Filler(Protocol):
    """Where the records go."""

    def calls(self, village: str) -> list[tuple[bytes, int, int]]:
        """(id, when it was raised, whether it is open) of a village's calls, oldest first."""
        ...

    def add(self, home: str, records: Iterable[Record]) -> None:
        """Write them at the end of the home's feed."""
        ...


def fill(filler: Filler, shape: Shape) -> None:
    """Everything of one node, the same for the same shape."""
    chance = random.Random(shape.place.code)
    towns = [shape.size.town(number) for number in range(shape.towns)]
    villages = [f"{town[:9]}{201 + n}" for town in towns for n in range(VILLAGES)]
    for number, home in enumerate((*towns, *villages)):
        name = f"示例镇{number}" if home in towns else f"示例村{number}"
        division = records_pb2.Division(code=home, name=name)
        record = Record(
            feed_pb2.RECORD_TYPE_DIVISION, chance.randbytes(16), division, NOW_MICROS - _SPAN
        )
        filler.add(home, [record])
    for village in villages:
        filler.add(village, _events(filler, chance, village, at_home=village == shape.place.code))
    _add_orders(filler, chance, [*towns, *villages], shape)
    if shape.households:
        _add_ledger(filler, chance, shape)


def _events(
    filler: Filler, chance: random.Random, village: str, *, at_home: bool
) -> Iterator[Record]:
    """The event of each of the village's calls, and today's that nobody called about."""
    for call, at, is_open in filler.calls(village):
        called = records_pb2.EVENT_STATUS_CALLED if is_open else records_pb2.EVENT_STATUS_SETTLED
        yield _event(chance, village, event_of(call), at - 30 * _MINUTE, called, at_home=at_home)
    for number in range(_REPORTED):
        at = NOW_MICROS - (number + 1) * 40 * _MINUTE
        record, reported = chance.randbytes(16), records_pb2.EVENT_STATUS_REPORTED
        yield _event(chance, village, record, at, reported, at_home=at_home)


def _event(
    chance: random.Random, village: str, record: bytes, at: int, status: int, *, at_home: bool
) -> Record:
    category, title, text = chance.choice(_EVENTS)
    event = records_pb2.Event(
        category=category,
        descriptor=title,
        grid=f"{village}{chance.randrange(1, 5):03}",
        status=records_pb2.EventStatus.ValueType(status),
        reported_micros=at,
        settled_micros=at + 600 * _MINUTE if status == records_pb2.EVENT_STATUS_SETTLED else 0,
        description_public=text,
        source="网格巡查",
    )
    if at_home:
        event.address, event.description_full = "中心街北侧", f"{text}反映人愿意带路。"
        event.reporter_name, event.reporter_phone = "生成甲", "16000000000"
    return Record(feed_pb2.RECORD_TYPE_EVENT, record, event, at)


def _add_orders(
    filler: Filler, chance: random.Random, handlers: Sequence[str], shape: Shape
) -> None:
    orders: list[Record] = []
    results: dict[str, list[Record]] = {}
    for number in range(shape.orders):
        handler, record = chance.choice(handlers), chance.randbytes(16)
        category, title, text = chance.choice(_EVENTS)
        created = NOW_MICROS - _MINUTE - chance.randrange(_SPAN)
        order = hotline_pb2.Order(
            source="12345",
            source_id=f"HL{number:06}",
            handler=handler,
            category=category,
            descriptor=title,
            description=f"来电反映:{text}",
            agency="市热线中心",
            created_micros=created,
            due_micros=created + 5 * 24 * 60 * _MINUTE,
        )
        if orders and chance.random() < 0.03:
            order.near_duplicate_of = orders[-1].record
        orders.append(Record(feed_pb2.RECORD_TYPE_ORDER, record, order, created))
        if chance.random() < 0.9:
            settled = chance.random() < 0.93
            taken, done = hotline_pb2.ORDER_STATUS_TAKEN, hotline_pb2.ORDER_STATUS_SETTLED
            result = hotline_pb2.OrderResult(
                order=record,
                order_home=COUNTY,
                status=done if settled else taken,
                text="已到现场处理完毕,并回电告知。" if settled else "",
                actor="村-文书-01",
            )
            at = min(created + chance.randrange(6 * 24 * 60 * _MINUTE), NOW_MICROS - _MINUTE)
            told = Record(feed_pb2.RECORD_TYPE_ORDER_RESULT, record, result, at)
            results.setdefault(handler, []).append(told)
    filler.add(COUNTY, orders)
    for handler, records in results.items():
        filler.add(handler, records)


def _add_ledger(filler: Filler, chance: random.Random, shape: Shape) -> None:
    home, began = shape.place.code, NOW_MICROS - _SPAN
    drafts = village_drafts(
        home, households=shape.households, seed=1, today=date(2026, 9, 2), grid_households=250
    )
    people = [
        Record(feed_pb2.RecordType.ValueType(one.type), one.record, one.message, began)
        for one in drafts
    ]
    filler.add(home, people)
    homes = [one for one in people if one.type == feed_pb2.RECORD_TYPE_HOUSEHOLD]
    visits = []
    for at in sorted(began + chance.randrange(_SPAN) for _ in range(VISITS)):
        household = chance.choice(homes)
        visit = records_pb2.Visit(
            grid=household.message.grid,  # type: ignore[attr-defined]  # it is a Household
            visited_micros=at,
            kind=records_pb2.VISIT_KIND_HOUSEHOLD,
            household=household.record,
            actor="村-网格-01",
            text="入户走访,了解近况。",
        )
        visits.append(Record(feed_pb2.RECORD_TYPE_VISIT, chance.randbytes(16), visit, at))
    filler.add(home, visits)
