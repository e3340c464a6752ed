"""Reading events: lists from the newest on, how many stand where, and what towns say of them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, func, select, tuple_

from huying.common.codes import Level, ancestors, grid_village, level
from huying.common.limits import RECORD_ID_BYTES
from huying.node.store.content import message_bytes
from huying.node.store.desk_schema import EVENT_HANDLINGS
from huying.node.store.ledger_schema import EVENTS
from huying.node.store.queries import Page, Queries, pack_token, page_limit, unpack_token
from huying.node.store.schema import ENTRIES, FEEDS, stands_at
from huying.wire.v1 import events_pb2, feed_pb2, records_pb2

__all__ = ["EventHandlingRow", "EventQueries", "EventRow", "within"]

_DIGITS: Final = {
    Level.PROVINCE: 2,
    Level.PREFECTURE: 4,
    Level.COUNTY: 6,
    Level.TOWN: 9,
    Level.VILLAGE: 12,
}
_CODE_DIGITS: Final = 12
_NAMED_MAX: Final = 20  # events that one beginning of an id may mean
# Not "has no end": the index goes by what is equal. Events are put and deleted, and no more.
_STANDS: Final[ColumnElement[bool]] = EVENTS.c.kind == feed_pb2.KIND_PUT
# The words of a town by which somebody is at an event.
_AT_WORK: Final = (
    events_pb2.EVENT_HANDLING_STATUS_TAKEN,
    events_pb2.EVENT_HANDLING_STATUS_ASSIGNED,
)


@dataclass(frozen=True, slots=True)
class EventRow:
    """An event as far as it is visible here."""

    home: str
    record: bytes
    origin: str
    index: int
    time_micros: int
    slots: bytes  # pairs (slot, api_pb2.SlotState), one byte each
    event: records_pb2.Event


@dataclass(frozen=True, slots=True)
class EventHandlingRow:
    """A town's newest word about an event of a village below it, as far as it is visible here."""

    home: str  # the town
    origin: str
    index: int
    time_micros: int  # when the town wrote it, by its clock
    handling: events_pb2.EventHandling


def within(home: Any, area: str) -> list[ColumnElement[bool]]:
    """The conditions that a column of codes lies in a division; none for the empty area."""
    if not area:
        return []
    prefix = area[: _DIGITS[level(area)]]
    if len(prefix) == _CODE_DIGITS:
        return [home == area]
    rest = _CODE_DIGITS - len(prefix)
    return [home.between(prefix + "0" * rest, prefix + "9" * rest)]


class EventQueries(Queries):
    """Lists go by when an event was reported, newest first."""

    def list_events(
        self,
        *,
        area: str = "",
        grid: str = "",
        status: int = 0,
        category: str = "",
        since_micros: int = 0,
        word: int | None = None,
        limit: int = 0,
        page_token: bytes = b"",
    ) -> Page[EventRow]:
        """Events that have not ended; what is empty or 0 does not narrow.

        `area`: a division, of the nodes that wrote them; `status`: records_pb2.EventStatus;
        `since_micros`: unix; `word`: the town's newest one, events_pb2.EventHandlingStatus, where 0
        is none, or one that settled the event. Raises HuyingError(INVALID_ARGUMENT) for a malformed
        code, or a token that is not ours.
        """
        wanted = page_limit(limit)
        key = (EVENTS.c.reported_micros, EVENTS.c.home, EVENTS.c.record)
        query = select(*key).where(_STANDS, *within(EVENTS.c.home, area)).limit(wanted + 1)
        query = query.order_by(*(column.desc() for column in key))
        if grid:
            query = query.where(*_in_grid(grid))
        if status:
            query = query.where(EVENTS.c.status == status)
        if category:
            query = query.where(EVENTS.c.category == category)
        if since_micros:
            query = query.where(EVENTS.c.reported_micros >= since_micros)
        if word is not None:
            query = query.where(_says(word) if word else ~_says(*_AT_WORK))
        if page_token:
            query = query.where(tuple_(*key) < tuple_(*unpack_token(page_token)))
        # By the index alone, and the rows just of those that are on the page.
        chosen = query.subquery("chosen")
        query = _events().join(
            chosen, and_(EVENTS.c.home == chosen.c.home, EVENTS.c.record == chosen.c.record)
        )
        query = query.order_by(*(chosen.c[column.name].desc() for column in key))
        with self._reading() as connection:
            found = connection.execute(query).fetchall()
        rows = tuple(_event_row(row) for row in found[:wanted])
        if len(found) <= wanted:
            return Page(rows, b"")
        last = found[wanted - 1]
        return Page(rows, pack_token(last.reported_micros, last.home, last.record))

    def get_event(self, home: str, record: bytes) -> EventRow | None:
        """One event that has not ended."""
        query = _events().where(EVENTS.c.home == home, EVENTS.c.record == record)
        with self._reading() as connection:
            row = connection.execute(query).first()
        return None if row is None else _event_row(row)

    def events_by_id(self, beginning: str, homes: Collection[str]) -> list[EventRow]:
        """The events of these nodes whose ids begin so, in hex; a few at most."""
        low = bytes.fromhex(beginning.ljust(2 * RECORD_ID_BYTES, "0"))
        high = bytes.fromhex(beginning.ljust(2 * RECORD_ID_BYTES, "f"))
        query = _events().where(
            EVENTS.c.home.in_(sorted(homes)), EVENTS.c.record.between(low, high)
        )
        with self._reading() as connection:
            return [_event_row(row) for row in connection.execute(query.limit(_NAMED_MAX))]

    def event_homes(self, record: bytes) -> list[str]:
        """Who reported an event of that id, which stands; a few at most. A slow search."""
        query = select(EVENTS.c.home).where(EVENTS.c.record == record, _STANDS)
        with self._reading() as connection:
            return sorted(connection.execute(query.limit(_NAMED_MAX)).scalars())

    def event_handling(self, home: str, record: bytes) -> EventHandlingRow | None:
        """The town's newest word about the event that the village `home` reported."""
        return self.event_handlings([(home, record)]).get((home, record))

    def event_handlings(
        self, keys: Collection[tuple[str, bytes]]
    ) -> dict[tuple[str, bytes], EventHandlingRow]:
        """The towns' newest words about events, by (home, record) of the event, in one query."""
        wanted = set(keys)
        if not wanted:
            return {}
        query = _handlings().where(
            EVENT_HANDLINGS.c.event_home.in_(sorted({home for home, _ in wanted})),
            EVENT_HANDLINGS.c.record.in_(sorted({record for _, record in wanted})),
        )
        with self._reading() as connection:
            found = {
                (row.event_home, row.record): _handling_row(row)
                for row in connection.execute(query)
            }
        return {key: row for key, row in found.items() if key in wanted}

    def handlings_mark(self) -> tuple[int, ...]:
        """Differs once another word of a town is here, or a newer one in the place of an older."""
        columns = EVENT_HANDLINGS.c
        sums = (func.coalesce(func.sum(one), 0) for one in (columns.epoch, columns.idx))
        with self._reading() as connection:
            return tuple(connection.execute(select(func.count(), *sums)).one())

    def settled_for(self, home: str) -> list[EventHandlingRow]:
        """The towns' words that settle events of `home` which are not settled and have not ended.

        By the town, then by the event.
        """
        at_event = and_(
            EVENTS.c.home == EVENT_HANDLINGS.c.event_home,
            EVENTS.c.record == EVENT_HANDLINGS.c.record,
        )
        query = (
            _handlings()
            .join(EVENTS, at_event)
            .where(
                EVENT_HANDLINGS.c.event_home == home,
                EVENT_HANDLINGS.c.status == events_pb2.EVENT_HANDLING_STATUS_SETTLED,
                EVENTS.c.status != records_pb2.EVENT_STATUS_SETTLED,
                _STANDS,
            )
            .order_by(EVENT_HANDLINGS.c.home, EVENT_HANDLINGS.c.record)
        )
        with self._reading() as connection:
            return [_handling_row(row) for row in connection.execute(query)]

    def event_counts(self, *, area: str = "", since_micros: int = 0) -> dict[int, int]:
        """How many events that have not ended have each status, by records_pb2.EventStatus."""
        statuses = records_pb2.EventStatus.DESCRIPTOR.values_by_number
        # One pass without grouping, which would sort every event of a county.
        counted = (func.count().filter(EVENTS.c.status == number) for number in statuses)
        query = select(*counted).where(_STANDS, *within(EVENTS.c.home, area))
        if since_micros:
            query = query.where(EVENTS.c.reported_micros >= since_micros)
        with self._reading() as connection:
            return dict(zip(statuses, connection.execute(query).one(), strict=True))


def _says(*words: int) -> ColumnElement[bool]:
    """That the town's newest word about an event is one of these."""
    return (
        select(EVENT_HANDLINGS.c.record)
        .where(
            EVENT_HANDLINGS.c.event_home == EVENTS.c.home,
            EVENT_HANDLINGS.c.record == EVENTS.c.record,
            EVENT_HANDLINGS.c.status.in_(words),
        )
        .exists()
    )


def _in_grid(grid: str) -> tuple[ColumnElement[bool], ...]:
    """The grid's own village, and the divisions above it, may have written of it."""
    village = grid_village(grid)
    return EVENTS.c.home.in_((village, *ancestors(village))), EVENTS.c.grid == grid


def _events() -> Any:
    place = ("idx", "time_micros", "slots", "reported_micros")
    return (
        select(
            EVENTS.c.home,
            EVENTS.c.record,
            FEEDS.c.origin,
            *(EVENTS.c[name] for name in place),
            ENTRIES.c.openings,
        )
        .select_from(EVENTS)
        .join(ENTRIES, stands_at(EVENTS))
        .join(FEEDS, FEEDS.c.feed_id == EVENTS.c.feed_id)
        .where(_STANDS)
    )


def _event_row(row: Any) -> EventRow:
    return EventRow(
        home=row.home,
        record=row.record,
        origin=row.origin,
        index=row.idx,
        time_micros=row.time_micros,
        slots=row.slots,
        event=records_pb2.Event.FromString(message_bytes(row.openings)),
    )


def _handlings() -> Any:
    return (
        select(
            EVENT_HANDLINGS.c.home,
            EVENT_HANDLINGS.c.record,
            EVENT_HANDLINGS.c.event_home,
            FEEDS.c.origin,
            EVENT_HANDLINGS.c.idx,
            EVENT_HANDLINGS.c.time_micros,
            ENTRIES.c.openings,
        )
        .select_from(EVENT_HANDLINGS)
        .join(ENTRIES, stands_at(EVENT_HANDLINGS))
        .join(FEEDS, FEEDS.c.feed_id == EVENT_HANDLINGS.c.feed_id)
        .where(EVENT_HANDLINGS.c.kind == feed_pb2.KIND_PUT)
    )


def _handling_row(row: Any) -> EventHandlingRow:
    return EventHandlingRow(
        home=row.home,
        origin=row.origin,
        index=row.idx,
        time_micros=row.time_micros,
        handling=events_pb2.EventHandling.FromString(message_bytes(row.openings)),
    )
