"""Importing hotline orders, and assigning them: what only a tier with children does.

Orders go to their handlers through the feed. The keys that contacts are sealed to are those that
the handlers' parents named last, as the roster has them; a key that was revoked is none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from huying.common.codes import is_within, parse_code
from huying.common.effects import AppendReceipt, DraftEntry
from huying.common.errors import Code, HuyingError
from huying.common.late.requests import EraseRecord
from huying.common.limits import COMMIT_ENTRIES_MAX, ORDER_BATCH_BYTES_MAX
from huying.common.masking import mask
from huying.common.membership.roster import EpochStatus
from huying.common.membership.trust import check_may_write
from huying.hub.desk.order_plan import Place, chunks, order_draft, plan_batch, with_contact
from huying.node import logs
from huying.node.admin import AdminNode
from huying.node.desk.hotline import find_order, order_view
from huying.wire.v1 import hotline_pb2

if TYPE_CHECKING:
    from huying.common.engine import Engine

__all__ = ["assign_order", "import_orders", "list_handlers"]

_ASSIGNED = "the order was given to another handler"
# Whoever reads a version and writes the next one goes alone. By node, as tests run several.
_ALONE: WeakKeyDictionary[object, asyncio.Lock] = WeakKeyDictionary()


async def list_handlers(
    node: AdminNode, _request: hotline_pb2.ListHandlersRequest
) -> hotline_pb2.ListHandlersResponse:
    """The nodes below this one, by code."""
    known: _Known = await node.runtime.operate(_Ask())
    response = hotline_pb2.ListHandlersResponse(code=node.config.node.code)
    for code, name in sorted(known.names.items()):
        response.handlers.add(code=code, name=name, has_key=code in known.keys)
    return response


async def import_orders(
    node: AdminNode, request: hotline_pb2.ImportOrdersRequest
) -> hotline_pb2.ImportOrdersResponse:
    """Write what is new or changed in one batch.

    Raises HuyingError: INVALID_ARGUMENT for a batch that is empty or too large, or as the engine
    refuses to write. What is wrong with a row is said of the row.
    """
    if not 1 <= len(request.rows) <= COMMIT_ENTRIES_MAX:
        raise HuyingError(Code.INVALID_ARGUMENT, f"rows: 1 to {COMMIT_ENTRIES_MAX} in one request")
    if request.ByteSize() > ORDER_BATCH_BYTES_MAX:
        raise HuyingError(
            Code.LIMIT_EXCEEDED, f"rows: over {ORDER_BATCH_BYTES_MAX} bytes in one request"
        )
    async with _alone(node):
        place = await _place(node)
        plan = await asyncio.to_thread(plan_batch, node.reader, place, request)
        refused = any(
            row.outcome == hotline_pb2.IMPORT_OUTCOME_REFUSED for row in plan.response.rows
        )
        if request.dry_run or (refused and request.all_or_nothing):
            return plan.response
        for some in chunks(plan.drafts, COMMIT_ENTRIES_MAX):
            await node.runtime.append(some)
        for draft in plan.moved:
            await node.runtime.operate(_HandOver((draft,)))
        plan.response.written = True
    return plan.response


async def assign_order(
    node: AdminNode, request: hotline_pb2.AssignOrderRequest
) -> hotline_pb2.OrderStepResponse:
    """Give an order that this node imported to another handler.

    The contact is sealed to the new handler's key; what was sealed to the old one is erased, in the
    same transaction. Raises HuyingError: INVALID_ARGUMENT, NOT_FOUND, NOT_A_PARTY where another
    node imported it, or as the engine refuses to write.
    """
    own = node.config.node.code
    handler = parse_code(request.handler, "handler")
    if handler == own or not is_within(handler, own):
        raise HuyingError(Code.INVALID_ARGUMENT, f"handler: must lie below this node, {own}")
    async with _alone(node):
        row = await asyncio.to_thread(find_order, node.reader, request.record)
        if row.home != own:
            raise HuyingError(Code.NOT_A_PARTY, f"the order was imported by {row.home}")
        known: _Known = await node.runtime.operate(_Ask())
        if handler not in known.names:
            what = "no node of that code is enrolled below; see huying roster list"
            raise HuyingError(Code.INVALID_ARGUMENT, f"handler: {what}")
        place = Place(node.config.node.network, own, known.keys)
        order = hotline_pb2.Order()
        order.CopyFrom(row.order)
        named = row.order.imported_handler or row.order.handler
        order.handler, order.imported_handler = handler, "" if handler == named else named
        without = with_contact(place, row.record, order, row)
        unchanged = order == row.order
        if not unchanged:
            draft = order_draft(row.record, order, row)
            moved = row.order.handler != handler
            reason = mask(request.reason).text or _ASSIGNED
            await (
                node.runtime.operate(_HandOver((draft,), reason))
                if moved
                else node.runtime.append([draft])
            )
            logs.say(
                "order_assigned",
                order=row.record.hex(),
                before=row.order.handler,
                handler=handler,
                actor=mask(request.actor).text,
            )
            row = await asyncio.to_thread(find_order, node.reader, request.record, own)
    return hotline_pb2.OrderStepResponse(
        order=order_view(row, 0), unchanged=unchanged, without_contact=without
    )


def _alone(node: AdminNode) -> asyncio.Lock:
    return _ALONE.setdefault(node.runtime, asyncio.Lock())


async def _place(node: AdminNode) -> Place:
    known: _Known = await node.runtime.operate(_Ask())
    return Place(node.config.node.network, node.config.node.code, known.keys)


@dataclass(frozen=True, slots=True)
class _Known:
    """The nodes below, by code: what each is called, and its HPKE key where one counts."""

    names: dict[str, str]
    keys: dict[str, bytes]


class _Ask:
    """Runs on the engine's thread; changes nothing."""

    def run(self, engine: Engine) -> _Known:
        own, roster = engine.identity.code, engine.roster
        below = [pin for pin in roster.pins() if pin.code != own and is_within(pin.code, own)]
        keys = {}
        for pin in below:
            newest = roster.epoch(pin.origin)
            revoked = newest is not None and newest.status is EpochStatus.REVOKED
            if pin.hpke_key and not revoked:
                keys[pin.code] = pin.hpke_key
        return _Known({pin.code: pin.name for pin in below}, keys)


@dataclass(frozen=True, slots=True)
class _HandOver:
    """Erase what was sealed to the handler before, and write the version for the next one."""

    drafts: Sequence[DraftEntry]
    reason: str = _ASSIGNED

    def run(self, engine: Engine) -> tuple[AppendReceipt, ...]:
        """One transaction: either both happen or neither."""
        check_may_write(engine)
        for draft in self.drafts:
            try:
                EraseRecord(draft.record, ("sealed_contact",), self.reason).run(engine)
            except HuyingError as error:
                if error.code is not Code.NOT_FOUND:  # it never had a contact
                    raise
        return engine.replica.append(tuple(self.drafts))
