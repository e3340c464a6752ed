"""Lists of calls for people: a queue by the clock that matters, filters, and search in the text.

Every list goes by one index, which the filter's narrowest part chooses, and pages by its key. What
a call says stands in its opening alone, so a search reads one call after the other: the open ones
first, then the newest, and it ends after CALL_SCAN_ROWS_MAX of them, or CALL_SCAN_SECONDS_MAX.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Select, and_, case, func, literal_column, select, text

from huying.common.limits import CALL_SCAN_ROWS_MAX, CALL_SCAN_SECONDS_MAX
from huying.node.store.call_queries import CallRow, call_of_row, select_calls
from huying.node.store.call_schema import CALLS, LANE_OURS
from huying.node.store.desk_filter import (
    CallFilter,
    Key,
    Order,
    conditions,
    key_of,
    lane_key,
    not_ours,
    off_index,
    pack,
    page_of,
    unpack,
)
from huying.node.store.paused_clocks import paused_rest
from huying.node.store.queries import Queries, page_limit
from huying.node.store.schema import ENTRIES, stands_at

__all__ = ["DeskQueries", "FoundCalls", "QueueCounts"]

_HEX: Final = frozenset("0123456789abcdef")
_ID_DIGITS_MIN: Final = 4  # of a call's id, to look it up by
_ID_DIGITS: Final = 32
_CHUNK: Final = 200
_ID_ROWS_MAX: Final = 20
_C: Final = CALLS.c
# Says of a row whether the person may see it: the query narrows, this decides.
Sees = Callable[[CallRow], bool]


@dataclass(frozen=True, slots=True)
class FoundCalls:
    """One page of a list."""

    rows: tuple[CallRow, ...]
    next_token: str  # goes on after the page; empty at the end
    looked_count: int  # of a search: calls whose text was read for this page
    looked_micros: int  # and when the last of them was raised; 0 where all were read
    is_searched: bool = False
    is_among_open: bool = False  # the search ended among the open calls; the others come after

    @property
    def is_cut(self) -> bool:
        """Whether the search ended at its bound, before the list did."""
        return self.is_searched and bool(self.next_token)


class QueueCounts(NamedTuple):
    """Open calls by the clock that matters, in the order of a queue."""

    overdue: int
    today: int
    week: int
    later: int
    paused: int
    caller: int
    none: int

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self)


class DeskQueries(Queries):
    """What an answer desk, a dispatch centre and their wall ask."""

    def find_calls(
        self, wanted: CallFilter, *, order: Order, limit: int, token: str, sees: Sees
    ) -> FoundCalls:
        """A page of calls.

        Raises HuyingError(INVALID_ARGUMENT) for a token that is not ours, or of another order.
        """
        most = page_limit(limit)
        if not wanted.words:
            return self._page(wanted, order, most, token, sees)
        found = self._search(wanted, order, most, token, sees)
        if token:
            return found
        by_id = tuple(row for row in self._by_id(wanted) if sees(row))
        known = {(row.call, row.caller) for row in by_id}
        rows = (*by_id, *(row for row in found.rows if (row.call, row.caller) not in known))
        return replace(found, rows=rows)

    def count_calls(self, wanted: CallFilter) -> int:
        """How many calls there are; for filters that an index holds, without words."""
        query = select(func.count()).select_from(CALLS).where(*conditions(wanted))
        with self._reading() as connection:
            return connection.execute(query).scalar_one()

    def queue_counts(
        self, wanted: CallFilter, now_micros: int, today_micros: int, week_micros: int
    ) -> QueueCounts:
        """The open calls of a department, a helper or an area, by the clock that matters.

        `today_micros` and `week_micros`: when they end. Of the filter just `department`, `helper`
        and `area` count. Reads one entry of an index for each call, where `area` is no village.
        """
        place = CallFilter(
            department=wanted.department, helper=wanted.helper, area=wanted.area, is_open=True
        )
        lane = lane_key(place)[0]
        ours = lane == literal_column(str(LANE_OURS))
        group = case(
            *(
                (and_(ours, _C.due_micros < end), number)
                for number, end in enumerate((now_micros, today_micros, week_micros))
            ),
            else_=lane + literal_column("2"),  # later is lane 1: so the groups are in their order
        )
        query = select(group, func.count()).where(*conditions(place), lane > 0).group_by(group)
        with self._reading() as connection:
            found = {int(number): int(count) for number, count in connection.execute(query)}
        return QueueCounts(*(found.get(number, 0) for number in range(len(QueueCounts._fields))))

    def call_categories(self, limit: int) -> list[str]:
        """The categories that calls have, in their order; each costs one look into an index."""
        return self._distinct("category", limit)

    def call_departments(self, limit: int) -> list[str]:
        """The departments that lead calls, in the same way."""
        return self._distinct("department", limit)

    def _distinct(self, column: str, limit: int) -> list[str]:
        query = text(
            f"WITH RECURSIVE one (name) AS (SELECT min({column}) FROM calls UNION ALL"  # noqa: S608  # ours
            f" SELECT (SELECT min({column}) FROM calls WHERE {column} > one.name) FROM one"
            " WHERE one.name IS NOT NULL)"
            " SELECT name FROM one WHERE name <> '' LIMIT :most"
        )
        with self._reading() as connection:
            return [str(row[0]) for row in connection.execute(query, {"most": limit})]

    def paused_rests(self, rows: Iterable[CallRow]) -> dict[tuple[bytes, str], int]:
        """What the answer clocks of these calls that stand still have left, by (call, caller).

        In microseconds of each clock's own time. Calls whose clock runs are passed over. Raises
        HuyingError(CORRUPT).
        """
        with self._reading() as connection:
            rests = {
                (row.call, row.caller): paused_rest(connection, row.call, row.caller, row.sequencer)
                for row in rows
                if row.paused
            }
        return {key: rest for key, rest in rests.items() if rest is not None}

    def calls_by_hour(self, sequencer: str, since_micros: int, hours: int) -> list[tuple[int, int]]:
        """(received, answered) in each of the hours from `since_micros` on.

        `answered` counts the newest answer of a call, as it was sent to the caller.
        """
        counts = [[0, 0] for _ in range(hours)]
        until = since_micros + hours * _HOUR_MICROS
        with self._reading() as connection:
            for at, column in enumerate((_C.received_micros, _C.answered_micros)):
                hour = (column - since_micros) // _HOUR_MICROS
                query = (
                    select(hour, func.count())
                    .where(column >= since_micros, column < until, column > 0)
                    .where(off_index(_C.sequencer) == sequencer)
                    .group_by(hour)
                )
                for number, count in connection.execute(query):
                    counts[int(number)][at] += int(count)
        return [(received, answered) for received, answered in counts]

    # --- pages ---------------------------------------------------------------------------------

    def _page(
        self, wanted: CallFilter, order: Order, most: int, token: str, sees: Sees
    ) -> FoundCalls:
        """Rows by an index; those that the person may not see are passed over."""
        rows: list[CallRow] = []
        after = unpack(token, order) if token else None
        looked = 0
        with self._reading() as connection:
            while True:
                query = page_of(select_calls(), wanted, order, after, most + 1)
                found = connection.execute(query).fetchall()
                for raw in found:
                    if len(rows) == most:
                        return FoundCalls(tuple(rows), pack(after, order), 0, 0)
                    after = key_of(raw, order)
                    row = call_of_row(raw)
                    if sees(row):
                        rows.append(row)
                looked += len(found)
                if len(found) <= most:
                    return FoundCalls(tuple(rows), "", 0, 0)
                if looked >= CALL_SCAN_ROWS_MAX:
                    return FoundCalls(tuple(rows), pack(after, order), 0, 0)

    # --- search --------------------------------------------------------------------------------

    def _by_id(self, wanted: CallFilter) -> list[CallRow]:
        """Calls whose id begins as the words do."""
        start = wanted.words.lower()
        if not _ID_DIGITS_MIN <= len(start) <= _ID_DIGITS or not _HEX.issuperset(start):
            return []
        low = bytes.fromhex(start.ljust(_ID_DIGITS, "0"))
        high = bytes.fromhex(start.ljust(_ID_DIGITS, "f"))
        query = (
            select_calls()
            .where(_C.record >= low, _C.record <= high)
            .where(*conditions(wanted, unindexed=True))
            .order_by(_C.record, _C.home)
            .limit(_ID_ROWS_MAX)
        )
        with self._reading() as connection:
            return [call_of_row(row) for row in connection.execute(query)]

    def _search(
        self, wanted: CallFilter, order: Order, most: int, token: str, sees: Sees
    ) -> FoundCalls:
        """Reads openings in the order of the list, within the bound."""
        words = [word.lower().encode() for word in wanted.words.split()]
        phases = _phases(wanted, order)
        phase, after = _unpack_phase(token, order, len(phases)) if token else (0, None)
        rows: list[CallRow] = []
        read = looked = micros = 0
        began = time.perf_counter()
        with self._reading() as connection:
            while phase < len(phases):
                query = page_of(_texts(), phases[phase], order, after, _CHUNK)
                found = connection.execute(query).fetchall()
                for raw in found:
                    after, micros, read = key_of(raw, order), raw.time_micros, read + 1
                    if phase and raw.open:
                        continue  # the phase before had it
                    looked += 1
                    if _says(raw.openings, words):
                        rows += self._seen(connection, raw, words, sees)
                        if len(rows) == most:
                            break
                if len(rows) < most and len(found) < _CHUNK:
                    phase, after = phase + 1, None
                    continue
                spent = time.perf_counter() - began
                if (
                    len(rows) == most
                    or read >= CALL_SCAN_ROWS_MAX
                    or spent >= CALL_SCAN_SECONDS_MAX
                ):
                    next_token = f"{phase}.{pack(after, order)}"
                    among_open = len(phases) > phase + 1
                    return FoundCalls(tuple(rows), next_token, looked, micros, True, among_open)
        return FoundCalls(tuple(rows), "", looked, 0, True)

    def _seen(
        self, connection: Connection, raw: Any, words: list[bytes], sees: Sees
    ) -> list[CallRow]:
        """The whole row of a hit, where it is one: the openings hold more than what is shown."""
        query = select_calls().where(_C.record == raw.record, _C.home == raw.home)
        rows = [call_of_row(one) for one in connection.execute(query)]
        return [row for row in rows if sees(row) and _says(row.message, words)]


_HOUR_MICROS: Final = 3600 * 10**6


def _says(text: bytes, words: list[bytes]) -> bool:
    lowered = text.lower()
    return all(word in lowered for word in words)


def _texts() -> Select[Any]:
    """The least that a search reads of each call."""
    columns = [_C[name] for name in ("record", "home", "time_micros", "lane", "due_micros", "open")]
    query = select(*columns, ENTRIES.c.openings)
    return query.select_from(CALLS).join(ENTRIES, stands_at(CALLS))


def _phases(wanted: CallFilter, order: Order) -> list[CallFilter]:
    """Open calls are what somebody most likely looks for; all the others come after them."""
    if wanted.is_open or order == "lane" or wanted.helper:
        return [wanted]
    return [replace(wanted, is_open=True), wanted]


def _unpack_phase(token: str, order: Order, phases: int) -> tuple[int, Key]:
    phase, _, rest = token.partition(".")
    if phase not in [str(number) for number in range(phases)]:
        raise not_ours()
    return int(phase), unpack(rest, order)
