"""The list of hotline orders as a file, narrowed as on the screen; no caller's contact is in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from starlette.responses import Response

from huying.common.errors import Code, HuyingError
from huying.common.limits import LIST_EXPORT_ROWS_MAX
from huying.node.desk.hotline import order_view
from huying.node.sheets import Cell
from huying.node.store.order_queries import OrderRow
from huying.node.store.reader import Reader
from huying.node.web.access.roles import Permission
from huying.node.web.calling.order_pages import GRID_DIGITS, order_wish
from huying.node.web.page import Ask, Page
from huying.node.web.table_file import local_minute, table_answer, table_format
from huying.node.web.words import word
from huying.wire.v1 import hotline_pb2

__all__ = ["PAGES"]

_HEADER: Final = (
    ("来源", "Source"),
    ("工单编号", "Its number there"),
    ("来电时间", "Created"),
    ("类别", "Category"),
    ("标题", "Title"),
    ("诉求", "What it is"),
    ("承办单位", "Handler"),
    ("办理时限", "Due"),
    ("超期", "Overdue"),
    ("状态", "Status"),
    ("办理结果", "Result"),
    ("办理时间", "Written"),
)
_CHUNK: Final = 500


async def export_orders(ask: Ask) -> Response:
    """The newest orders that fit, LIST_EXPORT_ROWS_MAX at most."""
    table_format(ask)
    if len(ask.scope.area) == GRID_DIGITS:
        raise HuyingError(Code.NOT_FOUND, "there is no such thing here, or it is not yours to see")
    _, wish = order_wish(ask)

    def read(reader: Reader) -> list[hotline_pb2.OrderView]:
        rows: list[OrderRow] = []
        token = b""
        while len(rows) < LIST_EXPORT_ROWS_MAX:
            limit = min(_CHUNK, LIST_EXPORT_ROWS_MAX - len(rows))
            page = reader.list_orders(wish, limit=limit, page_token=token)
            rows += page.rows
            token = page.next_token
            if not token:
                break
        return [order_view(row, wish.now_micros) for row in rows]

    views = await ask.node.read(read)
    seen = [view for view in views if ask.scope.sees_record(view.order.handler)]
    names, offset = await ask.node.names(), await ask.node.offset_minutes()
    await ask.audit("orders-export", wish.handler or wish.area, detail=f"{len(seen)} rows")
    cells = (_cells(ask, view, names, offset) for view in seen)
    return await table_answer(ask, "orders", [ask.t(*one) for one in _HEADER], cells)


def _cells(
    ask: Ask, view: hotline_pb2.OrderView, names: Mapping[str, str], offset: int
) -> tuple[Cell, ...]:
    order = view.order
    return (
        order.source,
        order.source_id,
        local_minute(order.created_micros, offset),
        order.category,
        order.descriptor,
        order.description,
        names.get(order.handler, order.handler),
        local_minute(order.due_micros, offset),
        ask.t("是", "yes") if view.overdue else "",
        word("order", view.status, ask.language),
        view.text,
        local_minute(view.result_micros, offset),
    )


PAGES: Final = (
    Page("/orders/export", "orders-export", export_orders, Permission.ORDERS, costly=True),
)
