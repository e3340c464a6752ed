"""What a list of calls is narrowed by: from a page's address to a filter within the scope.

An address is a person's word, so each part is checked; what the person may not see is not there,
whatever the address says.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Final

from huying.common.calls.call_state import ENDED_STAGES, CallStage, ClockKind
from huying.common.codes import Level, level, parse_code
from huying.common.errors import Code, HuyingError
from huying.common.limits import CALL_CHOICES_MAX
from huying.node.store.call_queries import CallRow
from huying.node.store.call_schema import LANE_CALLER, LANE_PAUSED
from huying.node.store.desk_filter import CallFilter, Order
from huying.node.store.reader import Reader
from huying.node.web.access.scope import Scope
from huying.node.web.page import Ask

__all__ = ["Asked", "Choices", "DayEnds", "asked", "choices", "day_ends", "helpers_of", "sees"]

_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_ORDERS: Final[Mapping[str, Order]] = {"newest": "newest", "oldest": "oldest", "deadline": "lane"}
_DAY_MICROS: Final = 86_400 * 10**6
# What runs while the caller is to speak: a supplement pauses the answer's clock.
_CALLERS_LANES: Final = (LANE_PAUSED, LANE_CALLER)
_CALLERS_CLOCKS: Final = (int(ClockKind.SUPPLEMENT), int(ClockKind.CONFIRM))


@dataclass(frozen=True, slots=True)
class Asked:
    """What an address asks for."""

    wanted: CallFilter
    order: Order
    params: Mapping[str, str]  # what was chosen, as the address has it; without the page's place
    token: str
    is_helping: bool  # the calls that the person's department helps with

    @property
    def is_narrowed(self) -> bool:
        """Whether anything was chosen."""
        return bool(self.params)


@dataclass(frozen=True, slots=True)
class Choices:
    """What the fields of a filter offer: pairs (value, text)."""

    stages: tuple[CallStage, ...]
    departments: tuple[str, ...]  # empty for who sees just one
    categories: tuple[str, ...]
    towns: tuple[tuple[str, str], ...]  # code, name


@dataclass(frozen=True, slots=True)
class DayEnds:
    """Now, and when today and this week end by the county's clock; unix microseconds."""

    now: int
    today: int
    week: int


def day_ends(now_seconds: float, offset_minutes: int) -> DayEnds:
    """A week ends on Sunday at midnight."""
    zone = timezone(timedelta(minutes=offset_minutes))
    local = datetime.fromtimestamp(now_seconds, zone)
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    today = midnight + timedelta(days=1)
    week = midnight + timedelta(days=7 - local.weekday())
    return DayEnds(
        int(now_seconds * 1e6), int(today.timestamp() * 1e6), int(week.timestamp() * 1e6)
    )


def asked(ask: Ask, query: Mapping[str, str], offset_minutes: int) -> Asked:
    """The filter of /calls. Raises HuyingError(INVALID_ARGUMENT), naming the part."""
    params = {name: value for name in _PARTS if (value := _clean(query.get(name, "")))}
    scope = ask.scope
    stage = _stage(params.get("stage", ""))
    show = _one_of("show", params.get("show", "open"), ("open", "all"))
    order = _ORDERS[_one_of("order", params.get("order", "newest"), tuple(_ORDERS))]
    is_overdue = params.get("overdue", "") == "1"
    is_helping = bool(scope.department) and params.get("tab", "") == "help"
    awaits_caller = _one_of("turn", params.get("turn", ""), ("", "caller")) == "caller"
    wanted = CallFilter(
        department="" if is_helping else scope.department or params.get("department", ""),
        helper=scope.department if is_helping else "",
        area=scope.area,
        is_open=is_overdue or order == "lane" or (show == "open" and stage not in ENDED_STAGES),
        stage=int(stage or 0),
        caller=_town(params.get("town", "")),
        category=params.get("category", ""),
        since_micros=_day("from", params.get("from", ""), offset_minutes),
        until_micros=_day("to", params.get("to", ""), offset_minutes, _DAY_MICROS),
        lanes=_CALLERS_LANES if awaits_caller else (),
        due_clocks=_CALLERS_CLOCKS if awaits_caller else (),
        is_overdue=is_overdue,
        words=params.get("q", ""),
    )
    return Asked(wanted, order, params, _clean(query.get("after", "")), is_helping)


_PARTS: Final = (
    *("stage", "show", "overdue", "department", "town", "category", "from", "to", "order"),
    *("turn", "tab", "q"),
)


def choices(ask: Ask, reader: Reader, names: Mapping[str, str]) -> Choices:
    """What may be chosen, within the scope; read from the database."""
    scope = ask.scope
    towns = [
        (code, name)
        for code, name in sorted(names.items())
        if level(code) is Level.TOWN and (scope.area == "" or scope.sees_record(code))
    ]
    departments = () if scope.department else tuple(reader.call_departments(CALL_CHOICES_MAX))
    return Choices(
        stages=tuple(CallStage),
        departments=departments,
        categories=tuple(reader.call_categories(CALL_CHOICES_MAX)),
        towns=tuple(towns),
    )


def sees(scope: Scope, row: CallRow) -> bool:
    """Whether the call is the person's to see: asked of each row, whatever the query said."""
    return scope.sees_call(
        caller=row.caller,
        village=row.village,
        grid=row.grid,
        department=row.department,
        helpers=helpers_of(row),
    )


def helpers_of(row: CallRow) -> tuple[str, ...]:
    """The co-handling departments."""
    return tuple(one for one in row.helpers.split("\n") if one)


def _clean(value: str) -> str:
    """One line without control characters, of bounded length."""
    return "".join(one for one in value.strip()[:200] if one.isprintable())


def _one_of(field: str, value: str, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise HuyingError(Code.INVALID_ARGUMENT, f"{field}: one of {', '.join(allowed)}")
    return value


def _stage(name: str) -> CallStage | None:
    if not name:
        return None
    _one_of("stage", name, tuple(stage.name.lower() for stage in CallStage))
    return CallStage[name.upper()]


def _town(code: str) -> str:
    return parse_code(code, "town") if code else ""


def _day(field: str, value: str, offset_minutes: int, more_micros: int = 0) -> int:
    """The beginning of a local day, and `more_micros`; 0 where none is given."""
    if not value:
        return 0
    wrong = HuyingError(Code.INVALID_ARGUMENT, f"{field}: a day such as 2026-10-08")
    if not _DATE.fullmatch(value):
        raise wrong
    try:
        zone = timezone(timedelta(minutes=offset_minutes))
        at = datetime.strptime(value, "%Y-%m-%d").replace(tzinfo=zone)
        return max(1, int(at.timestamp() * 1e6) + more_micros)
    except (ValueError, OverflowError):
        raise wrong from None
