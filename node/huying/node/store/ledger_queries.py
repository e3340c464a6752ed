"""Reading a village's ledger: households, residents and visits.

Who belongs to which key population, a name or an address stands in the openings alone, so a list
that is narrowed by them reads entries one by one: a page ends after LEDGER_SCAN_RECORDS_MAX of
them, with a token that goes on there, however few it found.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, Table, and_, func, literal_column, select, tuple_

from huying.common.codes import grid_village, parse_grid
from huying.common.errors import Code, HuyingError
from huying.common.limits import LEDGER_SCAN_RECORDS_MAX
from huying.node.store.content import message_bytes
from huying.node.store.event_queries import within
from huying.node.store.ledger_schema import OF_HOUSEHOLD, RESIDENTS, VISITS
from huying.node.store.queries import Page, Queries, pack_token, page_limit, unpack_token
from huying.node.store.record_queries import RecordRow
from huying.node.store.schema import ENTRIES, FEEDS, RECORDS, stands_at
from huying.wire.v1 import feed_pb2, records_pb2

__all__ = ["LedgerQueries"]

_HOUSEHOLD: Final = int(feed_pb2.RECORD_TYPE_HOUSEHOLD)
_RESIDENT: Final = int(feed_pb2.RECORD_TYPE_RESIDENT)
_VISIT: Final = int(feed_pb2.RECORD_TYPE_VISIT)
_SCAN_AT_ONCE: Final = 200
# As the index's own condition says it: otherwise it would not be used.
_FILLED: Final[ColumnElement[bool]] = literal_column(OF_HOUSEHOLD)
# Not "has no end": the index goes by what is equal. Visits are put and deleted, and no more.
_MADE: Final[ColumnElement[bool]] = VISITS.c.kind == feed_pb2.KIND_PUT

# Says of a record's visible fields whether it is wanted.
_Wanted = Callable[[Any], bool]


class LedgerQueries(Queries):
    """Lists of households and residents go by record id, those of visits from the newest on."""

    def list_households(
        self,
        home: str,
        *,
        grid: str = "",
        words: str = "",
        limit: int = 0,
        page_token: bytes = b"",
    ) -> Page[RecordRow]:
        """The households of a village; `words`: in its number, address or head's name.

        Raises HuyingError(INVALID_ARGUMENT) for a malformed grid, or a token that is not ours.
        """

        def wanted(one: records_pb2.Household) -> bool:
            return any(words in value for value in (one.number, one.address, one.head_name))

        keep = wanted if words else None
        return self._scan(_HOUSEHOLD, home, grid, keep, limit, page_token)

    def list_residents(
        self,
        home: str,
        *,
        grid: str = "",
        key_population: str = "",
        any_population: bool = False,
        words: str = "",
        limit: int = 0,
        page_token: bytes = b"",
    ) -> Page[RecordRow]:
        """The residents of a village.

        `key_population`: just those of that one; `any_population`: of any; `words`: in the name.
        Raises HuyingError(INVALID_ARGUMENT) for a malformed grid, or a token that is not ours.
        """

        def wanted(one: records_pb2.Resident) -> bool:
            if any_population and not one.key_population:
                return False
            return key_population in ("", one.key_population) and words in one.name

        narrowed = key_population or any_population or words
        return self._scan(_RESIDENT, home, grid, wanted if narrowed else None, limit, page_token)

    def residents_of(self, home: str, household: bytes, *, limit: int = 0) -> list[RecordRow]:
        """Who lives in a household."""
        wanted = page_limit(limit)
        query = _rows(RESIDENTS).where(RESIDENTS.c.household == household, _FILLED)
        query = query.where(RESIDENTS.c.home == home).order_by(RESIDENTS.c.record).limit(wanted)
        with self._reading() as connection:
            return [_record_row(_RESIDENT, row) for row in connection.execute(query)]

    # Visits.

    def visits_of(
        self, household: bytes, *, limit: int = 0, page_token: bytes = b""
    ) -> Page[RecordRow]:
        """The visits to a household, newest first. Raises as `list_visits`."""
        narrowed = [VISITS.c.household == household, _FILLED]
        return self._visits(narrowed, limit, page_token)

    def list_visits(
        self,
        *,
        area: str = "",
        grid: str = "",
        since_micros: int = 0,
        limit: int = 0,
        page_token: bytes = b"",
    ) -> Page[RecordRow]:
        """Visits, newest first; what is empty or 0 does not narrow.

        `area`: a division, of the villages that made them; `since_micros`: unix. Raises
        HuyingError(INVALID_ARGUMENT) for a malformed code, or a token that is not ours.
        """
        narrowed = within(VISITS.c.home, area)
        if grid:
            narrowed += [VISITS.c.home == grid_village(grid), VISITS.c.grid == grid]
        if since_micros:
            narrowed.append(VISITS.c.visited_micros >= since_micros)
        return self._visits(narrowed, limit, page_token)

    def visit_counts(self, *, area: str = "", since_micros: int = 0) -> dict[tuple[str, int], int]:
        """How many visits of each kind each village made, by its code and records_pb2.VisitKind."""
        key = VISITS.c.home, VISITS.c.visit_kind
        query = select(*key, func.count()).where(
            *within(VISITS.c.home, area), _MADE, VISITS.c.visited_micros >= since_micros
        )
        with self._reading() as connection:
            rows = connection.execute(query.group_by(*key))
            return {(home, int(kind)): int(count) for home, kind, count in rows}

    def _visits(
        self, narrowed: Sequence[ColumnElement[bool]], limit: int, page_token: bytes
    ) -> Page[RecordRow]:
        wanted = page_limit(limit)
        key = (VISITS.c.visited_micros, VISITS.c.home, VISITS.c.record)
        query = select(*key).where(_MADE, *narrowed)
        query = query.order_by(*(column.desc() for column in key)).limit(wanted + 1)
        if page_token:
            query = query.where(tuple_(*key) < tuple_(*unpack_token(page_token)))
        # By an index alone, and the rows just of those that are on the page.
        chosen = query.subquery("chosen")
        rows = _rows(VISITS).join(
            chosen, and_(VISITS.c.home == chosen.c.home, VISITS.c.record == chosen.c.record)
        )
        rows = rows.add_columns(VISITS.c.visited_micros)
        rows = rows.order_by(*(chosen.c[column.name].desc() for column in key))
        with self._reading() as connection:
            found = connection.execute(rows).fetchall()
        shown = tuple(_record_row(_VISIT, row) for row in found[:wanted])
        if len(found) <= wanted:
            return Page(shown, b"")
        last = found[wanted - 1]
        return Page(shown, pack_token(last.visited_micros, last.home, last.record))

    def _scan(
        self,
        record_type: int,
        home: str,
        grid: str,
        keep: _Wanted | None,
        limit: int,
        page_token: bytes,
    ) -> Page[RecordRow]:
        """A page of the records of one home, in the order of their ids."""
        table = RECORDS[record_type]
        most = page_limit(limit)
        after = _after(page_token, home)
        base = _rows(table).where(table.c.home == home).order_by(table.c.record)
        if grid:
            parse_grid(grid, "grid")
            base = base.where(table.c.grid == grid)
        found: list[RecordRow] = []
        scanned = 0
        count = most + 1 if keep is None else _SCAN_AT_ONCE
        with self._reading() as connection:
            while scanned < LEDGER_SCAN_RECORDS_MAX:
                query = base.where(table.c.record > after).limit(count)
                rows = connection.execute(query).fetchall()
                for row in rows:
                    one = _record_row(record_type, row)
                    if keep is None or keep(_parsed(record_type, one)):
                        if len(found) == most:
                            return Page(tuple(found), pack_token(0, home, found[-1].record))
                        found.append(one)
                    after = one.record
                scanned += len(rows)
                if len(rows) < count:
                    return Page(tuple(found), b"")
        return Page(tuple(found), pack_token(0, home, after))


def _after(page_token: bytes, home: str) -> bytes:
    """The id to go on after. Raises HuyingError(INVALID_ARGUMENT) for another list's token."""
    if not page_token:
        return b""
    _, of, record = unpack_token(page_token)
    if of != home:
        raise HuyingError(Code.INVALID_ARGUMENT, "page_token is of another list")
    return record


def _parsed(record_type: int, row: RecordRow) -> Any:
    if record_type == _HOUSEHOLD:
        return records_pb2.Household.FromString(row.message)
    return records_pb2.Resident.FromString(row.message)


def _rows(table: Table) -> Select[Any]:
    """Records that have not ended, with their origin and openings."""
    return (
        select(
            *(table.c[name] for name in ("home", "record", "idx", "time_micros", "kind", "slots")),
            FEEDS.c.origin,
            ENTRIES.c.openings,
        )
        .select_from(table)
        .join(ENTRIES, stands_at(table))
        .join(FEEDS, FEEDS.c.feed_id == table.c.feed_id)
        .where(table.c.kind != feed_pb2.KIND_DELETE)
    )


def _record_row(record_type: int, row: Any) -> RecordRow:
    return RecordRow(
        type=record_type,
        home=row.home,
        record=row.record,
        origin=row.origin,
        index=row.idx,
        time_micros=row.time_micros,
        kind=row.kind,
        slots=row.slots,
        message=message_bytes(row.openings),
    )
