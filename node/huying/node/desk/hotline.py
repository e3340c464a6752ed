"""12345 hotline orders at every tier: lists, one order, and what its handler does with it.

The caller's contact is opened at its handler's node alone, and shown by the node that imported it;
each time, the log says who looked at which order, and nothing of what was seen.
"""

from __future__ import annotations

import asyncio

from huying.common.codes import parse_code
from huying.common.effects import DraftEntry
from huying.common.errors import Code, HuyingError
from huying.common.feed.hpke import SealKey
from huying.common.limits import NAME_CHARACTERS_MAX, RECORD_ID_BYTES
from huying.common.masking import mask
from huying.common.orders import (
    CONTACT_FIELDS,
    OrderStep,
    contact_of,
    is_overdue,
    open_contact,
    status_after,
)
from huying.common.records.registry import default_to
from huying.node import keys, logs, renewal
from huying.node.admin import AdminNode
from huying.node.clock import SystemClock
from huying.node.store.order_queries import OrderRow, OrderWish
from huying.node.store.reader import Reader
from huying.wire.v1 import feed_pb2, hotline_pb2

__all__ = [
    "find_order",
    "list_orders",
    "order_view",
    "return_order",
    "settle_order",
    "show_order",
    "take_order",
]

_ORDER = feed_pb2.RECORD_TYPE_ORDER


async def list_orders(
    node: AdminNode, request: hotline_pb2.ListOrdersRequest
) -> hotline_pb2.ListOrdersResponse:
    """One page of the orders that are visible here. Raises HuyingError(INVALID_ARGUMENT)."""
    if request.handler:
        parse_code(request.handler, "handler")
    now_micros = _now_micros()
    wish = OrderWish(
        handler=request.handler,
        source=request.source,
        status=request.status,
        filter=request.filter,
        since_micros=request.since_micros,
        now_micros=now_micros,
    )
    page = await asyncio.to_thread(
        lambda: node.reader.list_orders(wish, limit=request.limit, page_token=request.page_token)
    )
    return hotline_pb2.ListOrdersResponse(
        orders=[order_view(row, now_micros) for row in page.rows], next_page_token=page.next_token
    )


async def show_order(
    node: AdminNode, request: hotline_pb2.ShowOrderRequest
) -> hotline_pb2.ShowOrderResponse:
    """One order, with the caller's contact where this node is its handler or imported it.

    Raises HuyingError(INVALID_ARGUMENT or NOT_FOUND).
    """
    row = await asyncio.to_thread(find_order, node.reader, request.record)
    response = hotline_pb2.ShowOrderResponse(order=order_view(row, _now_micros()))
    contact, state = await asyncio.to_thread(_contact, node, row)
    if state == hotline_pb2.CONTACT_STATE_SHOWN:
        if not logs.is_kept():
            state = hotline_pb2.CONTACT_STATE_NODE_DOWN
        else:
            response.contact.CopyFrom(contact)
            actor = mask(request.actor[:NAME_CHARACTERS_MAX]).text
            logs.say("contact_shown", order=row.record.hex(), home=row.home, actor=actor)
    response.contact_state = state
    return response


async def take_order(
    node: AdminNode, request: hotline_pb2.OrderStepRequest
) -> hotline_pb2.OrderStepResponse:
    """接收 · The handler takes the order. Raises as `_step`."""
    return await _step(node, request, OrderStep.TAKE)


async def settle_order(
    node: AdminNode, request: hotline_pb2.OrderStepRequest
) -> hotline_pb2.OrderStepResponse:
    """办结 · The handler says what was done. Raises as `_step`."""
    return await _step(node, request, OrderStep.SETTLE)


async def return_order(
    node: AdminNode, request: hotline_pb2.OrderStepRequest
) -> hotline_pb2.OrderStepResponse:
    """退回 · The handler says why it is not its own. Raises as `_step`."""
    return await _step(node, request, OrderStep.RETURN)


def find_order(reader: Reader, record: bytes, home: str = "") -> OrderRow:
    """The order of that id. Raises HuyingError(INVALID_ARGUMENT or NOT_FOUND)."""
    if len(record) != RECORD_ID_BYTES:
        raise HuyingError(Code.INVALID_ARGUMENT, f"record: {RECORD_ID_BYTES} bytes")
    rows = [row for row in reader.find_orders(record) if home in ("", row.home)]
    if not rows:
        raise HuyingError(Code.NOT_FOUND, f"no order {record.hex()} here")
    return rows[0]


def order_view(row: OrderRow, now_micros: int) -> hotline_pb2.OrderView:
    """An order as it stands, without the contact."""
    order = hotline_pb2.Order()
    order.CopyFrom(row.order)
    has_contact = bool(order.sealed_contact or contact_of(order).ByteSize())
    for name in (*CONTACT_FIELDS, "sealed_contact"):
        order.ClearField(name)
    view = hotline_pb2.OrderView(
        order=order,
        home=row.home,
        record=row.record,
        origin=row.origin,
        index=row.index,
        written_micros=row.time_micros,
        status=row.status,  # type: ignore[arg-type]  # an open enum
        result_micros=row.result_micros,
        overdue=is_overdue(order, row.status, now_micros),
        has_contact=has_contact,
    )
    if row.result is not None:
        view.text, view.actor, view.event = row.result.text, row.result.actor, row.result.event
    return view


def _now_micros() -> int:
    return int(SystemClock().now() * 1e6)


# --- the contact ------------------------------------------------------------------------------


def _contact(
    node: AdminNode, row: OrderRow
) -> tuple[hotline_pb2.HotlineContact, hotline_pb2.ContactState.ValueType]:
    """The contact, and whether it is one; runs on a thread, since it reads keys."""
    pb = hotline_pb2
    nothing, order, own = pb.HotlineContact(), row.order, node.config.node.code
    if row.home == own:
        kept = contact_of(order)
        if kept.ByteSize():
            return kept, pb.CONTACT_STATE_SHOWN
        erased = order.contact_erased or _is_erased(row)
        return nothing, pb.CONTACT_STATE_ERASED if erased else pb.CONTACT_STATE_NONE
    if order.handler != own:
        return nothing, pb.CONTACT_STATE_WITHHELD
    if not order.sealed_contact:
        return nothing, pb.CONTACT_STATE_ERASED if _is_erased(row) else pb.CONTACT_STATE_NONE
    folder = node.config.keys_dir
    own_keys = [keys.load_hpke(folder), *renewal.former_hpke(folder)]
    try:
        contact = open_contact(
            order.sealed_contact,
            [SealKey(one.private_key) for one in own_keys],
            network=node.config.node.network,
            home=row.home,
            record=row.record,
            handler=own,
        )
    except HuyingError:
        return nothing, pb.CONTACT_STATE_UNOPENED
    return contact, pb.CONTACT_STATE_SHOWN


def _is_erased(row: OrderRow) -> bool:
    """Whether a compartment that carries some of the contact was erased."""
    from huying.node.api.entries import slot_fields

    fields = slot_fields(_ORDER, row.home)
    mine = {
        slot for slot, names in fields.items() if {*names} & {*CONTACT_FIELDS, "sealed_contact"}
    }
    return any(row.is_erased(slot) for slot in mine)


# --- the handler's steps ----------------------------------------------------------------------


async def _step(
    node: AdminNode, request: hotline_pb2.OrderStepRequest, step: OrderStep
) -> hotline_pb2.OrderStepResponse:
    """Write the handler's word, unless it stands so already.

    Raises HuyingError: INVALID_ARGUMENT, NOT_FOUND, NOT_A_PARTY at another node, WRONG_STAGE.
    """
    own = node.config.node.code
    row = await asyncio.to_thread(find_order, node.reader, request.record)
    if row.order.handler != own:
        raise HuyingError(
            Code.NOT_A_PARTY,
            f"the order was given to {row.order.handler}; only that node handles it",
        )
    if request.event and not await _has_event(node, request.event):
        raise HuyingError(Code.INVALID_ARGUMENT, "event: no event of this node has that id")
    masked = mask(request.text)
    result = hotline_pb2.OrderResult(
        order=row.record,
        order_home=row.home,
        status=status_after(row.status, step, request.text),
        text=masked.text,
        actor=request.actor,
        event=request.event or (b"" if row.result is None else row.result.event),
    )
    unchanged = row.result == result
    if not unchanged:
        kind = feed_pb2.RECORD_TYPE_ORDER_RESULT
        draft = DraftEntry(
            kind=feed_pb2.KIND_PUT,
            type=kind,
            message=result,
            record=row.record,
            to=default_to(kind, own, result),
        )
        await node.runtime.append([draft])
        row = await asyncio.to_thread(find_order, node.reader, request.record, row.home)
    return hotline_pb2.OrderStepResponse(
        order=order_view(row, _now_micros()), unchanged=unchanged, masked=bool(masked.hits)
    )


async def _has_event(node: AdminNode, event: bytes) -> bool:
    """Whether this node has that event."""
    kind, own = feed_pb2.RECORD_TYPE_EVENT, node.config.node.code
    row = await asyncio.to_thread(node.reader.get_record, kind, own, event)
    return row is not None and row.kind != feed_pb2.KIND_DELETE
