"""A village's ledger as its list and its searches need it: a line for each household, in memory.

Names and key populations stand in the openings alone, where no index reaches, so a list narrowed by
them reads every household and resident of the village: some 2,000 and 6,000. That is done once for
each state of the village's own feed, and kept while nothing was written since. ID and phone numbers
are in no line.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final
from weakref import WeakKeyDictionary

from sqlalchemy import func, select, text

from huying.common.codes import parse_origin
from huying.node.store.content import message_bytes
from huying.node.store.ledger_schema import OF_HOUSEHOLD, VISITS
from huying.node.store.reader import Reader
from huying.node.store.schema import ENTRIES, RECORDS, stands_at
from huying.node.web.ledger.ledger_columns import canonical_id
from huying.node.web.node_link import NodeLink
from huying.wire.v1 import feed_pb2, records_pb2

__all__ = [
    "Book",
    "GridCount",
    "HouseholdLine",
    "Twin",
    "days_before",
    "live_messages",
    "narrowed",
    "open_book",
    "populations",
]

_HOUSEHOLD: Final = int(feed_pb2.RECORD_TYPE_HOUSEHOLD)
_RESIDENT: Final = int(feed_pb2.RECORD_TYPE_RESIDENT)
_GRID: Final = int(feed_pb2.RECORD_TYPE_GRID)
_BETWEEN: Final = re.compile(r"[、,,;;/|\s]+")
_DIGITS: Final = re.compile(r"\d+")
_DAY_MICROS: Final = 86_400_000_000


@dataclass(frozen=True, slots=True)
class HouseholdLine:
    """One household of the list."""

    record: bytes
    grid: str
    number: str
    address: str
    head_name: str
    count: int  # residents, as the household says
    populations: tuple[str, ...]  # of its residents, sorted
    visited_micros: int  # the newest visit; 0: none is written down


@dataclass(frozen=True, slots=True)
class GridCount:
    """What one grid has."""

    code: str
    name: str
    households: int
    residents: int
    key_people: int
    unvisited: int  # households without a visit since the day that was asked about


@dataclass(frozen=True, slots=True)
class Twin:
    """One of the residents that share an ID number."""

    name: str
    grid: str
    household: bytes


@dataclass(frozen=True, slots=True)
class Book:
    """The households of one village in the order of grid and number."""

    lines: tuple[HouseholdLine, ...]
    key_people: tuple[tuple[str, str], ...]  # (grid, population), one for each person and each
    grid_names: dict[str, str]
    twins: tuple[tuple[Twin, ...], ...] = ()  # residents of one ID number, two of them or more

    def grids(self, seen: Collection[str] | None = None) -> list[str]:
        """Every grid there is, or that a household names, in order; `seen`: just those of them."""
        found = set(self.grid_names) | {line.grid for line in self.lines}
        return sorted(found if seen is None else found & set(seen))

    def twins_of(self, grids: Collection[str]) -> list[tuple[Twin, ...]]:
        """Residents that share an ID number, all of them in these grids: nobody is told of others.

        People who are bound to a grid may enter whom another grid has, so this is where the village
        finds it.
        """
        return [each for each in self.twins if all(one.grid in grids for one in each)]

    def counts(self, grids: Sequence[str], since_micros: int) -> list[GridCount]:
        """The counts of these grids."""
        made = []
        for grid in grids:
            lines = [line for line in self.lines if line.grid == grid]
            made.append(
                GridCount(
                    code=grid,
                    name=self.grid_names.get(grid, grid),
                    households=len(lines),
                    residents=sum(line.count for line in lines),
                    key_people=sum(1 for of, _ in self.key_people if of == grid),
                    unvisited=sum(line.visited_micros < since_micros for line in lines),
                )
            )
        return made

    def populations(self, grids: Collection[str]) -> list[tuple[str, int]]:
        """Each key population of these grids, and how many people; the largest first."""
        found: dict[str, int] = {}
        for grid, population in self.key_people:
            if grid in grids:
                found[population] = found.get(population, 0) + 1
        return sorted(found.items(), key=lambda one: (-one[1], one[0]))


def populations(text: str) -> tuple[str, ...]:
    """The key populations that a resident's field names: there may be several."""
    return tuple(dict.fromkeys(filter(None, _BETWEEN.split(text))))


def narrowed(
    book: Book,
    *,
    grids: Collection[str],
    population: str = "",
    words: str = "",
    unvisited_since_micros: int = 0,
) -> list[HouseholdLine]:
    """The households of these grids that fit; what is empty or 0 does not narrow."""
    return [
        line
        for line in book.lines
        if line.grid in grids
        and (not population or population in line.populations)
        and (not unvisited_since_micros or line.visited_micros < unvisited_since_micros)
        and (not words or any(words in one for one in (line.number, line.head_name, line.address)))
    ]


_KEPT: Final[WeakKeyDictionary[NodeLink, tuple[object, Book]]] = WeakKeyDictionary()


async def open_book(node: NodeLink) -> Book:
    """The ledger of the node's own village as it stands now. Raises as `NodeLink.read`."""
    kept = _KEPT.get(node)

    def look(reader: Reader) -> tuple[object, Book]:
        state = tuple(
            (one.origin, one.size, one.openings_held)
            for one in reader.feeds()
            if parse_origin(one.origin).code == node.code
        )
        if kept is not None and kept[0] == state:
            return kept
        return state, _read(reader, node.code)

    found = await node.read(look)
    _KEPT[node] = found
    return found[1]


def live_messages(reader: Reader, record_type: int, home: str) -> Iterator[tuple[bytes, bytes]]:
    """(record id, visible fields) of every record that has not ended. Raises as the reader."""
    table = RECORDS[record_type]
    query = (
        select(table.c.record, ENTRIES.c.openings)
        .select_from(table)
        .join(ENTRIES, stands_at(table))
        .where(table.c.home == home, table.c.kind != feed_pb2.KIND_DELETE)
    )
    with reader.connection() as connection:
        for record, openings in connection.execute(query):
            yield record, message_bytes(openings)


def _read(reader: Reader, home: str) -> Book:
    people: dict[bytes, set[str]] = {}
    same: dict[str, list[Twin]] = {}
    key_people: list[tuple[str, str]] = []
    for _, fields in live_messages(reader, _RESIDENT, home):
        resident = records_pb2.Resident.FromString(fields)
        if resident.id_number:
            twin = Twin(resident.name, resident.grid, resident.household)
            same.setdefault(canonical_id(resident.id_number), []).append(twin)
        if resident.key_population:
            named = populations(resident.key_population)
            people.setdefault(resident.household, set()).update(named)
            key_people += [(resident.grid, one) for one in named]
    visited = _last_visits(reader, home)
    lines = []
    for record, fields in live_messages(reader, _HOUSEHOLD, home):
        one = records_pb2.Household.FromString(fields)
        lines.append(
            HouseholdLine(
                record=record,
                grid=one.grid,
                number=one.number,
                address=one.address,
                head_name=one.head_name,
                count=one.resident_count,
                populations=tuple(sorted(people.get(record, ()))),
                visited_micros=visited.get(record, 0),
            )
        )
    lines.sort(key=_place)
    grids = {}
    for _, fields in live_messages(reader, _GRID, home):
        grid = records_pb2.Grid.FromString(fields)
        grids[grid.code] = grid.name or grid.code
    twins = tuple(tuple(each) for each in same.values() if len(each) > 1)
    return Book(tuple(lines), tuple(key_people), grids, twins)


def _last_visits(reader: Reader, home: str) -> dict[bytes, int]:
    query = (
        select(VISITS.c.household, func.max(VISITS.c.visited_micros))
        .where(text(OF_HOUSEHOLD), VISITS.c.home == home, VISITS.c.kind != feed_pb2.KIND_DELETE)
        .group_by(VISITS.c.household)
    )
    with reader.connection() as connection:
        return {household: int(at) for household, at in connection.execute(query)}


def _place(line: HouseholdLine) -> tuple[Any, ...]:
    """By grid and number, as people count: 2 before 10."""
    number = _DIGITS.sub(lambda digits: digits[0].zfill(12), line.number)
    return line.grid, number, line.record


def days_before(now_seconds: float, days: int) -> int:
    """The instant so many days ago, in unix microseconds."""
    return max(0, int(now_seconds * 1e6) - days * _DAY_MICROS)
