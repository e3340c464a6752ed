"""What narrows a list of calls, in which order it goes, and how its pages follow one another.

Each list goes by one index, which the narrowest part of the filter chooses; the other parts are
looked at in the index's entries where it holds them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from sqlalchemy import ColumnElement, Select, and_, func, literal_column, or_, select, tuple_

from huying.common.codes import Level, level
from huying.common.errors import Code, HuyingError
from huying.node.store.call_schema import (
    ASKS_EXTENSION,
    ASKS_SUPPLEMENT,
    CALLS,
    IS_HELPED,
    IS_OPEN,
)

__all__ = [
    "CallFilter",
    "Key",
    "Order",
    "conditions",
    "key_of",
    "lane_key",
    "not_ours",
    "off_index",
    "pack",
    "page_of",
    "unpack",
]

# By the clock that matters; from the newest; from the oldest. The first is of open calls alone.
Order = Literal["lane", "newest", "oldest"]
Key = tuple[int, int, bytes, str]  # lane (0 by time), place, record, home
_C: Final = CALLS.c
_DIVISION_DIGITS: Final = 12
_HOME_CHARACTERS_MAX: Final = 32
_ASKS_ALL: Final = ASKS_SUPPLEMENT | ASKS_EXTENSION
_TIME_KEY: Final = (_C.time_micros, _C.record, _C.home)


@dataclass(frozen=True, slots=True)
class CallFilter:
    """What narrows a list; what is empty, 0 or None does not. Times are unix microseconds."""

    department: str = ""  # that leads
    helper: str = ""  # a co-handling department; of open calls alone
    area: str = ""  # division or grid: who is bound to one sees no more
    is_open: bool = False
    stage: int = 0
    caller: str = ""
    category: str = ""
    since_micros: int = 0  # raised from then on
    until_micros: int = 0  # and before then
    lanes: tuple[int, ...] = ()
    due_clocks: tuple[int, ...] = ()  # which clock matters: ClockKind; beside lanes
    due_since_micros: int = 0
    due_until_micros: int = 0
    urgency_min: int = 0
    asks: int = 0  # one bit ASKS_…
    is_supervised: bool | None = None
    is_overdue: bool = False
    has_card: bool = False
    is_reopened: bool = False
    words: str = ""


# --- what narrows -----------------------------------------------------------------------------


def off_index(column: Any) -> Any:
    """The column's value, so that no index is chosen by it."""
    return func.coalesce(column, column)


def conditions(wanted: CallFilter, *, unindexed: bool = False) -> list[ColumnElement[bool]]:
    """What is narrowest chooses the index; the rest is looked at in its entries, or in the rows.

    `unindexed`: all of it is, for a query that has an index of its own.
    """
    found: list[Any] = []
    is_open = wanted.is_open or bool(wanted.lanes)
    if wanted.helper:
        named = _C.helpers.contains(f"\n{wanted.helper}\n", autoescape=True)
        found += [IS_HELPED, named]
    elif is_open:
        found.append(off_index(_C.open) == 1 if unindexed else IS_OPEN)
    leads = unindexed or bool(wanted.helper)
    for column, value in (
        (_C.department, wanted.department),
        (_C.category, wanted.category),
        (_C.home, wanted.caller),
        (_C.stage, wanted.stage),
    ):
        if value:
            # Of open calls alone a department chooses: the queue's index holds the other columns.
            off = leads or (is_open and column is not _C.department)
            found.append((off_index(column) if off else column) == value)
            leads = True
    found += _within(wanted.area, leads=leads or is_open)
    found += _lanes(wanted)
    if wanted.asks:
        found += [_C.asks > literal_column("0"), _C.asks.in_((wanted.asks, _ASKS_ALL))]
    for condition, value in (
        (_C.time_micros >= wanted.since_micros, wanted.since_micros),
        (_C.time_micros < wanted.until_micros, wanted.until_micros),
        (_C.urgency >= wanted.urgency_min, wanted.urgency_min),
        (_C.overdue == 1, wanted.is_overdue),
        (_C.card > 0, wanted.has_card),
        (_C.reopens > 0, wanted.is_reopened),
        (_C.supervision > 0, wanted.is_supervised is True),
        (_C.supervision == 0, wanted.is_supervised is False),
    ):
        if value:
            found.append(condition)
    return found


def _lanes(wanted: CallFilter) -> list[ColumnElement[bool]]:
    lane, due, *_ = lane_key(wanted)
    found: list[ColumnElement[bool]] = []
    if len(wanted.lanes) == 1:
        found.append(lane == wanted.lanes[0])
    elif wanted.lanes:
        found.append(lane.in_(wanted.lanes))
    if wanted.due_clocks:
        found.append(_C.due_clock.in_(wanted.due_clocks))
    if wanted.due_since_micros:
        found.append(due >= wanted.due_since_micros)
    if wanted.due_until_micros:
        found.append(due < wanted.due_until_micros)
    return found


def _within(area: str, *, leads: bool) -> list[ColumnElement[bool]]:
    """As `huying.node.web.access.scope.covers`, as far as the columns go."""
    if not area:
        return []
    home = off_index(_C.home) if leads else _C.home
    if len(area) > _DIVISION_DIGITS:
        return [home.in_((area[:_DIVISION_DIGITS], _town(area))), _C.grid == area]
    tier = level(area)
    if tier is Level.VILLAGE:
        inside = or_(_C.village == area, _C.home == area, _C.grid.startswith(area))
        return [home.in_((area, _town(area))), inside]
    if tier is Level.TOWN:
        return [home == area]
    digits = 6 if tier is Level.COUNTY else 4 if tier is Level.PREFECTURE else 2
    rest = len(area) - digits
    return [home.between(area[:digits] + "0" * rest, area[:digits] + "9" * rest)]


def _town(village: str) -> str:
    return village[:9] + "000"


# --- keys -------------------------------------------------------------------------------------


def lane_key(wanted: CallFilter) -> tuple[Any, ...]:
    """The order of a queue. The calls of a co-handler are few: they are found, then sorted."""
    lane = off_index(_C.lane) if wanted.helper else _C.lane
    return lane, _C.due_micros, _C.record, _C.home


def page_of(
    query: Select[Any], wanted: CallFilter, order: Order, after: Key | None, limit: int
) -> Select[Any]:
    """The next rows of a list.

    Their keys are chosen first, by an index alone where it holds what is filtered by: SQLite reads
    the whole row of each entry of an index otherwise, before it looks at anything.
    """
    is_lane = order == "lane"
    key = lane_key(wanted) if is_lane else _TIME_KEY
    wanted = replace(wanted, is_open=True) if is_lane else wanted
    keys = select(_C.record, _C.home).where(*conditions(wanted))
    if is_lane and not wanted.lanes:
        keys = keys.where(key[0] > 0)
    if after is not None:
        last = tuple_(*(after if is_lane else after[1:]))
        keys = keys.where(tuple_(*key) < last if order == "newest" else tuple_(*key) > last)
    by = [column.desc() if order == "newest" else column for column in key]
    chosen = keys.order_by(*by).limit(limit).subquery("chosen")
    place = and_(_C.record == chosen.c.record, _C.home == chosen.c.home)
    return query.join(chosen, place).order_by(*by)


def key_of(raw: Any, order: Order) -> Key:
    """Of a row as the database has it."""
    if order == "lane":
        return raw.lane, raw.due_micros, raw.record, raw.home
    return 0, raw.time_micros, raw.record, raw.home


def pack(key: Key | None, order: Order) -> str:
    """A key as text for an address."""
    assert key is not None, "a page that goes on has a row"
    lane, place, record, home = key
    return f"{order[0]}.{lane}.{place:x}.{home}.{record.hex()}"


def unpack(token: str, order: Order) -> Key:
    """Reverse of `pack`. Raises HuyingError(INVALID_ARGUMENT)."""
    parts = token.split(".")
    try:
        kind, lane, place, home, record = parts
        key = int(lane), int(place, 16), bytes.fromhex(record), home
    except ValueError:
        raise not_ours() from None
    sound = kind == order[0] and 0 <= key[0] <= 9 and 0 <= key[1] < 2**63 and home.isascii()
    if not sound or len(home) > _HOME_CHARACTERS_MAX or len(key[2]) > _HOME_CHARACTERS_MAX:
        raise not_ours()
    return key


def not_ours() -> HuyingError:
    """The refusal of a text that is no key of this list."""
    return HuyingError(Code.INVALID_ARGUMENT, "after: not a place in this list; open it anew")
