"""Reading hotline orders: lists, one order with its handler's word, and what an import compares.

Where an order stands is what the node that it is addressed to now wrote of it last; the results of
those who had it before are passed over.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf.message import DecodeError
from sqlalchemy import ColumnElement, Select, and_, bindparam, func, literal, select, tuple_

from huying.common.errors import Code, HuyingError
from huying.node.store.content import message_bytes
from huying.node.store.desk_schema import ORDER_RESULTS, ORDERS
from huying.node.store.event_queries import within
from huying.node.store.queries import Page, Queries, pack_token, page_limit, unpack_token
from huying.node.store.schema import ENTRIES, FEEDS, stands_at
from huying.wire.v1 import api_pb2, feed_pb2, hotline_pb2

__all__ = ["OrderQueries", "OrderRow", "OrderWish"]

_RECORDS_AT_ONCE: Final = 500
_SETTLED: Final = int(hotline_pb2.ORDER_STATUS_SETTLED)
_SENT: Final = int(hotline_pb2.ORDER_STATUS_SENT)
_RESULTS: Final[Any] = ORDER_RESULTS.alias("result")
_RESULT_ENTRIES: Final = ENTRIES.alias("result_entry")
_AT_RESULT: Final[Any] = stands_at(_RESULTS)  # the place of an entry, on the right of an equation
_RESULT_PLACE: Final = _AT_RESULT.right
_BY_HANDLER: Final = and_(_RESULTS.c.record == ORDERS.c.record, _RESULTS.c.home == ORDERS.c.handler)


@dataclass(frozen=True, slots=True)
class OrderRow:
    """An order, and the newest word of its present handler."""

    home: str
    record: bytes
    origin: str
    index: int
    time_micros: int
    slots: bytes  # pairs (slot, api_pb2.SlotState), one byte each
    order: hotline_pb2.Order  # as far as it is visible here
    result: hotline_pb2.OrderResult | None
    result_micros: int

    @property
    def status(self) -> int:
        """hotline_pb2.OrderStatus."""
        return _SENT if self.result is None else self.result.status or _SENT

    def is_erased(self, slot: int) -> bool:
        """Whether a compartment of the newest version was erased."""
        return (slot, api_pb2.SLOT_STATE_ERASED) in zip(
            self.slots[::2], self.slots[1::2], strict=True
        )


@dataclass(frozen=True, slots=True)
class OrderWish:
    """Which orders are listed; what is empty or 0 does not narrow."""

    handler: str = ""
    area: str = ""  # a division: of the handlers
    source: str = ""
    status: int = 0  # hotline_pb2.OrderStatus
    filter: int = 0  # hotline_pb2.OrderFilter
    since_micros: int = 0  # results written since
    now_micros: int = 0  # for what is overdue


class OrderQueries(Queries):
    """Lists go from the newest order to the oldest, by when each was created at its source."""

    def list_orders(
        self, wish: OrderWish, *, limit: int = 0, page_token: bytes = b""
    ) -> Page[OrderRow]:
        """One page. Raises HuyingError(INVALID_ARGUMENT) for a token that is not ours."""
        wanted = page_limit(limit)
        key = (ORDERS.c.created_micros, ORDERS.c.home, ORDERS.c.record)  # as the indexes go
        # The keys first: an order that is passed over costs no entry.
        keys = select(*key).where(_present(ORDERS), *_conditions(wish)).limit(wanted + 1)
        keys = keys.select_from(ORDERS).outerjoin(_RESULTS, _BY_HANDLER)
        keys = keys.order_by(*(column.desc() for column in key))
        if page_token:
            place, home, record = unpack_token(page_token)
            keys = keys.where(tuple_(*key) < tuple_(place, home, record))
        chosen = keys.subquery("chosen")
        query = _orders().join(
            chosen, and_(ORDERS.c.home == chosen.c.home, ORDERS.c.record == chosen.c.record)
        )
        query = query.order_by(*(chosen.c[column.name].desc() for column in key))
        with self._reading() as connection:
            found = [_order_row(row) for row in connection.execute(query)]
        rows = tuple(found[:wanted])
        if len(found) <= wanted:
            return Page(rows, b"")
        last = rows[-1]
        return Page(rows, pack_token(last.order.created_micros, last.home, last.record))

    def find_orders(self, record: bytes) -> list[OrderRow]:
        """The order of that id, by its home: more than one only where somebody forged one."""
        query = _orders().where(ORDERS.c.record == record).order_by(ORDERS.c.home)
        with self._reading() as connection:
            return [_order_row(row) for row in connection.execute(query)]

    def newest_results(
        self, record: bytes, handlers: Collection[str]
    ) -> list[tuple[str, str, int, int]]:
        """(home, origin, index, unix µs) of the newest word of each of these about an order."""
        query = (
            select(_RESULTS.c.home, FEEDS.c.origin, _RESULTS.c.idx, _RESULTS.c.time_micros)
            .join(FEEDS, FEEDS.c.feed_id == _RESULTS.c.feed_id)
            .where(_RESULTS.c.record == record, _RESULTS.c.home.in_(sorted(handlers)))
            .order_by(_RESULTS.c.time_micros.desc(), _RESULTS.c.home)
        )
        with self._reading() as connection:
            return [tuple(row) for row in connection.execute(query)]

    def orders_of(self, home: str, records: Sequence[bytes]) -> dict[bytes, OrderRow]:
        """Those of these orders that `home` wrote before, by record id."""
        found = {}
        with self._reading() as connection:
            for at in range(0, len(records), _RECORDS_AT_ONCE):
                some = records[at : at + _RECORDS_AT_ONCE]
                query = _orders().where(ORDERS.c.home == home, ORDERS.c.record.in_(some))
                for row in connection.execute(query):
                    order = _order_row(row)
                    found[order.record] = order
        return found

    def orders_between(
        self, home: str, category: str, start_micros: int, stop_micros: int, limit: int
    ) -> list[OrderRow]:
        """The newest of a category that were created in [start, stop], at most `limit`."""
        bound = {
            "of_home": home,
            "of_category": category,
            "start": max(start_micros, 0),
            "stop": stop_micros,
            "most": limit,
        }
        with self._reading() as connection:
            return [_order_row(row) for row in connection.execute(_BETWEEN, bound)]


def _present(table: Any) -> ColumnElement[bool]:
    present: ColumnElement[bool] = table.c.kind != feed_pb2.KIND_DELETE
    return present


def _orders() -> Select[*tuple[Any, ...]]:
    """Orders with their entry, and their present handler's result where there is one."""
    return (
        select(
            ORDERS.c.home,
            ORDERS.c.record,
            FEEDS.c.origin,
            ORDERS.c.idx,
            ORDERS.c.time_micros,
            ORDERS.c.slots,
            ENTRIES.c.openings,
            _RESULTS.c.time_micros,
            _RESULT_ENTRIES.c.openings,
        )
        .select_from(ORDERS)
        .join(ENTRIES, stands_at(ORDERS))
        .join(FEEDS, FEEDS.c.feed_id == ORDERS.c.feed_id)
        .outerjoin(_RESULTS, _BY_HANDLER)
        .outerjoin(_RESULT_ENTRIES, _RESULT_ENTRIES.c.place == _RESULT_PLACE)
        .where(_present(ORDERS))
    )


# Built once: an import asks this for every category of a batch.
_BETWEEN: Final = (
    _orders()
    .where(
        ORDERS.c.category == bindparam("of_category"),
        ORDERS.c.created_micros.between(bindparam("start"), bindparam("stop")),
        ORDERS.c.home == bindparam("of_home"),
    )
    .order_by(ORDERS.c.created_micros.desc())
    .limit(bindparam("most"))
)


def _conditions(wish: OrderWish) -> list[ColumnElement[bool]]:
    status = func.coalesce(func.nullif(_RESULTS.c.status, 0), literal(_SENT))
    is_open = and_(status != _SETTLED, ORDERS.c.source_closed_micros == 0)
    found: list[ColumnElement[bool]] = []
    if wish.handler:
        found.append(ORDERS.c.handler == wish.handler)
    found += within(ORDERS.c.handler, wish.area)
    if wish.source:
        found.append(ORDERS.c.source == wish.source)
    if wish.status:
        found.append(status == wish.status)
    if wish.filter == hotline_pb2.ORDER_FILTER_OPEN:
        found.append(is_open)
    elif wish.filter == hotline_pb2.ORDER_FILTER_OVERDUE:
        found.append(and_(is_open, ORDERS.c.due_micros.between(1, wish.now_micros - 1)))
    elif wish.filter == hotline_pb2.ORDER_FILTER_NEAR_DUPLICATE:
        found.append(func.length(ORDERS.c.near_duplicate_of) > 0)
    elif wish.filter == hotline_pb2.ORDER_FILTER_RESULT:
        found.append(_RESULTS.c.record.is_not(None))
    if wish.since_micros:
        found.append(_RESULTS.c.time_micros >= wish.since_micros)
    return found


def _order_row(row: Any) -> OrderRow:
    home, record, origin, index, time_micros, slots, openings, result_micros, result = row
    return OrderRow(
        home=home,
        record=record,
        origin=origin,
        index=index,
        time_micros=time_micros,
        slots=slots,
        order=_parse(hotline_pb2.Order, openings),
        result=None if result is None else _parse(hotline_pb2.OrderResult, result),
        result_micros=result_micros or 0,
    )


def _parse(message_class: Any, openings: bytes) -> Any:
    try:
        return message_class.FromString(message_bytes(openings))
    except DecodeError:
        raise HuyingError(Code.CORRUPT, "a stored order does not parse") from None
