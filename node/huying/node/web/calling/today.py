"""What waits for a town or a village today: a few numbers, each with the page that it leads to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from huying.common.codes import Level
from huying.node.store.order_queries import OrderWish
from huying.node.store.reader import Reader
from huying.node.web.access.roles import Permission
from huying.node.web.calling.calling_reads import count_awaiting_caller, count_drafts
from huying.node.web.events.event_search import count_nobodys
from huying.node.web.events.handling_words import Standing
from huying.node.web.page import Ask
from huying.wire.v1 import calls_pb2, hotline_pb2, records_pb2

__all__ = ["Waiting", "what_waits"]

COUNTED_MAX: Final = 100  # orders, or events that are nobody's; more of them are "100+"


@dataclass(frozen=True, slots=True)
class Waiting:
    """One number of the strip."""

    zh: str
    en: str
    count: int
    url: str
    more: bool = False  # there are more than were counted
    is_urgent: bool = False


async def what_waits(ask: Ask) -> list[Waiting]:
    """The numbers for whoever asks; none for a tier that has pages of its own for it."""
    if ask.node.level < Level.TOWN:
        return []
    area, code = ask.scope.area, ask.node.code
    now_micros = int(ask.now() * 1e6)

    def read(reader: Reader) -> list[Waiting]:
        return list(_numbers(ask, reader, area, code, now_micros))

    return await ask.node.read(read)


def _numbers(ask: Ask, reader: Reader, area: str, code: str, now_micros: int) -> Iterator[Waiting]:
    is_grid = len(area) > 12
    if ask.may(Permission.EVENTS_READ) and not is_grid:
        counts = reader.event_counts(area=area)
        url = ask.url("events", status="reported")
        yield Waiting(
            "待处理事件", "Events waiting", counts[records_pb2.EVENT_STATUS_REPORTED], url
        )
        if ask.may(Permission.EVENTS_HANDLE):
            count, more = count_nobodys(reader, area, COUNTED_MAX)
            url = ask.url("events", town=Standing.NOBODY.value)
            yield Waiting("其中没人接的", "of them nobody's yet", count, url, more)
    if ask.may(Permission.CALLS_CALLER):
        if "calls" in ask.site.pages:
            waiting = count_awaiting_caller(reader, code)
            yield Waiting("待我回应的呼叫", "Calls for our word", waiting, _calls(ask))
        count = count_drafts(reader, code, calls_pb2.DRAFT_STATE_WAITING)
        yield Waiting("待审签草稿", "Drafts to approve", count, ask.url("drafts"))
    if ask.may(Permission.ORDERS) and "orders" in ask.site.pages and not is_grid:
        yield from _orders(ask, reader, area or code, now_micros)


def _calls(ask: Ask) -> str:
    return ask.url("calls", turn="caller", order="deadline")


def _orders(ask: Ask, reader: Reader, handler: str, now_micros: int) -> Iterator[Waiting]:
    names: tuple[tuple[str, str, str, int], ...] = (
        ("热线工单在办", "Orders open", "open", hotline_pb2.ORDER_FILTER_OPEN),
        ("其中超期", "of them overdue", "overdue", hotline_pb2.ORDER_FILTER_OVERDUE),
    )
    for zh, en, key, number in names:
        wish = OrderWish(handler=handler, filter=number, now_micros=now_micros)
        page = reader.list_orders(wish, limit=COUNTED_MAX)
        url = ask.url("orders", show=key)
        yield Waiting(
            zh, en, len(page.rows), url, bool(page.next_token), key == "overdue" and bool(page.rows)
        )
