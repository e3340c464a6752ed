"""12345 hotline orders at every tier: the list, one order, and what its handler does with it.

The caller's contact is shown just where somebody presses for it, by a request of its own that is
written into the audit trail before the node opens the seal; no link and no reload brings it back.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from starlette.responses import Response

from huying.common.codes import Level, parse_code
from huying.common.errors import Code, HuyingError
from huying.common.limits import TEXT_CHARACTERS_MAX
from huying.node.desk import topic
from huying.node.desk.hotline import find_order, order_view
from huying.node.store.event_queries import EventRow
from huying.node.store.order_queries import OrderRow, OrderWish
from huying.node.store.reader import Reader
from huying.node.store.text_scan import Scanned
from huying.node.web.access.roles import Permission
from huying.node.web.app import error_status
from huying.node.web.calling.order_calls import calls_about, may_call_about
from huying.node.web.calling.order_search import orders_page
from huying.node.web.calling.today import what_waits
from huying.node.web.events.event_pages import record_id
from huying.node.web.events.event_wish import page_token
from huying.node.web.page import Ask, Nav, Page
from huying.node.web.words import key_of
from huying.wire.v1 import hotline_pb2

__all__ = ["GRID_DIGITS", "PAGES", "LoadedOrder", "load_order", "order_wish"]

_HOTLINE: Final = topic("Hotline")
_OWN_EVENTS: Final = 30  # of the handler's own, offered to be linked
_DIVISION_DIGITS: Final = 12
GRID_DIGITS: Final = 15
_FILTERS: Final[Mapping[str, int]] = {
    "open": hotline_pb2.ORDER_FILTER_OPEN,
    "overdue": hotline_pb2.ORDER_FILTER_OVERDUE,
    "near": hotline_pb2.ORDER_FILTER_NEAR_DUPLICATE,
}
_STATUSES: Final[Mapping[str, int]] = {
    key_of("order", number): number
    for number in hotline_pb2.OrderStatus.values()
    if number != hotline_pb2.ORDER_STATUS_UNSPECIFIED
}
_STEPS: Final[Mapping[str, str]] = {
    "take": "TakeOrder",
    "settle": "SettleOrder",
    "return": "ReturnOrder",
}
_CONTACT: Final[Mapping[int, tuple[str, str]]] = {
    hotline_pb2.CONTACT_STATE_NONE: ("这张工单没有联系方式", "the order came without a contact"),
    hotline_pb2.CONTACT_STATE_NO_KEY: (
        "写入时不知道承办单位的密钥,没有随单",
        "nobody knew the handler's key when it was written",
    ),
    hotline_pb2.CONTACT_STATE_WITHHELD: (
        "加密给别的单位,或只留在导入单位",
        "sealed to another node, or kept by the one that imported it",
    ),
    hotline_pb2.CONTACT_STATE_ERASED: ("联系方式已删除", "the contact was erased"),
    hotline_pb2.CONTACT_STATE_UNOPENED: ("本级没有能打开它的密钥", "no key here opens it"),
    hotline_pb2.CONTACT_STATE_NODE_DOWN: (
        "节点没有运行,无法留痕,所以不显示",
        "the node is down, so nothing would say who looked",
    ),
}


# --- the list ---------------------------------------------------------------------------------


async def show_orders(ask: Ask) -> Response:
    """The orders that the person may see, narrowed as they wish."""
    params, wish = order_wish(ask)
    token = page_token(ask)
    now_micros = wish.now_micros

    is_grid = len(ask.scope.area) > _DIVISION_DIGITS
    found: Scanned[OrderRow] = Scanned((), b"", 0, 0)
    if not is_grid:
        found = await ask.node.read(lambda reader: orders_page(reader, wish, params["q"], token))
    orders = [order_view(row, now_micros) for row in found.rows]
    following = found.next_token
    names = await ask.node.names()
    handlers = sorted(
        (code, name)
        for code, name in names.items()
        if code != ask.node.code and ask.scope.sees_record(code)
    )
    return await ask.render(
        "orders.html",
        orders=orders,
        found=found,
        params=params,
        is_narrowed=any(params[name] for name in ("q", "show", "status", "handler")),
        is_grid=is_grid,
        statuses=list(_STATUSES),
        handlers=handlers,
        waiting=await what_waits(ask),
        next_url=ask.url("orders", **params, page=following.hex()) if following else "",
    )


def order_wish(ask: Ask) -> tuple[dict[str, str], OrderWish]:
    """What the address asks for: as it has it, and as a wish within the scope.

    Raises HuyingError: INVALID_ARGUMENT for what is malformed, NOT_FOUND beyond the scope.
    """
    params = {name: ask.query(name) for name in ("q", "whose", "show", "status", "handler")}
    if ask.node.level >= Level.TOWN and not params["handler"]:
        params["whose"] = params["whose"] or "mine"
    known: Collection[str]
    for name, known in (("show", _FILTERS), ("status", _STATUSES), ("whose", ("mine", "all"))):
        if params[name] and params[name] not in known:
            raise HuyingError(Code.INVALID_ARGUMENT, f"{name}: one of {', '.join(known)}")
    area = ask.scope.area if len(ask.scope.area) <= _DIVISION_DIGITS else ""
    handler = params["handler"]
    if handler:
        ask.scope.record(parse_code(handler, "handler"))
    elif params["whose"] == "mine":
        handler = area or ask.node.code
    return params, OrderWish(
        handler=handler,
        area=area,
        status=_STATUSES.get(params["status"], 0),
        filter=_FILTERS.get(params["show"], 0),
        now_micros=int(ask.now() * 1e6),
    )


# --- one order --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LoadedOrder:
    """An order that the person may see."""

    view: hotline_pb2.OrderView
    near: hotline_pb2.OrderView | None  # the earlier one that it looks like, where that is here
    events: list[EventRow]  # the handler's own newest ones

    @property
    def hex(self) -> str:
        """The order's id."""
        return self.view.record.hex()


async def load_order(ask: Ask, order_hex: str) -> LoadedOrder:
    """Raises HuyingError(NOT_FOUND) for one that is not here, or is not the person's to see."""
    record, now_micros = record_id(order_hex), int(ask.now() * 1e6)

    def read(reader: Reader) -> LoadedOrder:
        row = find_order(reader, record)
        view = order_view(row, now_micros)
        near = None
        if row.order.near_duplicate_of and row.order.near_duplicate_of != record:
            found = reader.orders_of(row.home, [row.order.near_duplicate_of])
            near = found.get(row.order.near_duplicate_of)
        events: list[EventRow] = []
        if view.order.handler == ask.node.code:
            events = list(reader.list_events(area=ask.node.code, limit=_OWN_EVENTS).rows)
        shown = [one for one in events if ask.scope.sees_record(one.home, one.event.grid)]
        return LoadedOrder(view, None if near is None else order_view(near, now_micros), shown)

    loaded = await ask.node.read(read)
    ask.scope.record(loaded.view.order.handler)
    if loaded.near is not None and not ask.scope.sees_record(loaded.near.order.handler):
        return LoadedOrder(loaded.view, None, loaded.events)
    return loaded


async def show_order(ask: Ask) -> Response:
    """One order, without the contact."""
    return await _order_page(ask, await load_order(ask, ask.path("order")))


async def _order_page(ask: Ask, loaded: LoadedOrder, *, status: int = 200, **more: Any) -> Response:
    person, key = ask.person.id, _draft_key(loaded)
    kept = await ask.site.on_thread(lambda: _kept(ask, person, key))
    order = loaded.view.order
    values = {
        "error": None,
        "contact": None,
        "contact_state": "",
        "typed": kept,
        **more,
    }
    return await ask.render(
        "order.html",
        values,
        status=status,
        loaded=loaded,
        order=order,
        draft_key=key,
        may_call=may_call_about(ask),
        about=await calls_about(ask, order),
        event_choices=[(row.record.hex(), _event_name(row)) for row in loaded.events],
        is_handler=order.handler == ask.node.code,
        # Who may ask for it: the handler, and the node that imported it. The node judges again.
        may_see_contact=loaded.view.has_contact
        and ask.node.code in (order.handler, loaded.view.home),
        may_assign=loaded.view.home == ask.node.code
        and "order-assign" in ask.site.pages
        and ask.may_have(ask.site.pages["order-assign"]),
    )


async def show_contact(ask: Ask) -> Response:
    """The same page with the caller's contact: asked for by a person, and written down first."""
    loaded = await load_order(ask, ask.path("order"))
    await ask.audit("order-contact", loaded.hex)
    request = hotline_pb2.ShowOrderRequest(record=loaded.view.record, actor=ask.person.actor)
    try:
        response = await ask.node.desk(_HOTLINE, "ShowOrder", request)
    except HuyingError as error:
        return await _order_page(ask, loaded, error=error, status=error_status(error.code))
    if response.contact_state == hotline_pb2.CONTACT_STATE_SHOWN:
        return await _order_page(ask, loaded, contact=response.contact)
    told = ask.t(*_CONTACT.get(response.contact_state, ("不能显示", "not shown")))
    return await _order_page(ask, loaded, contact_state=told)


async def take_step(ask: Ask) -> Response:
    """Take, settle or return the order; the same words twice are written once."""
    form = await ask.form()
    loaded = await load_order(ask, ask.path("order"))
    step = ask.path("step")
    if step not in _STEPS:
        raise HuyingError(Code.NOT_FOUND, "there is no such step")
    typed = {name: form.values().get(name, "") for name in ("text", "reason", "event")}
    try:
        request = hotline_pb2.OrderStepRequest(
            record=loaded.view.record,
            text=form.text("reason" if step == "return" else "text", TEXT_CHARACTERS_MAX),
            actor=ask.person.actor,
            event=form.id("event") if form.text("event", 32) else b"",
        )
        response = await ask.node.desk(_HOTLINE, _STEPS[step], request)
    except HuyingError as error:
        await ask.audit(f"order-{step}", loaded.hex, outcome="refused", detail=error.code.name)
        status = error_status(error.code)
        return await _order_page(ask, loaded, error=error, typed=typed, status=status)
    person, key = ask.person.id, _draft_key(loaded)
    for form_key in _form_keys(key):
        await ask.site.on_thread(partial(ask.site.drafts.drop, person, form_key))
    if not response.unchanged:
        await ask.audit(f"order-{step}", loaded.hex)
    notice = "unchanged" if response.unchanged else "masked" if response.masked else "sent"
    return ask.redirect("order", order=loaded.hex, notice=notice)


def _event_name(row: EventRow) -> str:
    """What a person chooses an event by."""
    told = row.event.descriptor or row.event.description_public or row.event.category
    return " · ".join(filter(None, (row.event.category, told[:30])))


def _draft_key(loaded: LoadedOrder) -> str:
    return f"order:{loaded.hex}"


def _form_keys(key: str) -> tuple[str, str]:
    """Of the two forms of one order: its result, and why it is returned."""
    return key, f"{key}:return"


def _kept(ask: Ask, person: str, key: str) -> dict[str, str]:
    """What the person typed into either and has not sent. Blocks."""
    found: dict[str, str] = {}
    for form_key in _form_keys(key):
        kept = ask.site.drafts.find(person, form_key)
        found |= kept.fields if kept else {}
    return found


PAGES: Final = (
    Page(
        "/orders",
        "orders",
        show_orders,
        Permission.ORDERS,
        nav=Nav("热线工单", "Hotline orders", 60, topic="orders"),
    ),
    Page("/orders/{order}", "order", show_order, Permission.ORDERS),
    Page("/orders/{order}/contact", "order-contact", show_contact, Permission.ORDERS, ("POST",)),
    Page("/orders/{order}/steps/{step}", "order-step", take_step, Permission.ORDERS, ("POST",)),
)
