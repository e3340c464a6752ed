"""Policies and calendars as TOML: what `huying policy show` prints and `huying policy set` reads.

What is printed reads back to the same message. Every fault of a file is named by line and field,
all of them at once. docs/POLICY.md describes the files.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from typing import Any, Final

from huying.common.errors import Code, HuyingError
from huying.common.limits import CALENDAR_DATES_MAX, PERIOD_UNITS_MAX
from huying.common.policy_checks import URGENCY_NAMES, Fault, check_calendar, check_policy
from huying.common.working_time import parse_date
from huying.hub.toml_lines import line_of
from huying.wire.v1 import policy_pb2

__all__ = ["PERIOD_UNITS", "format_calendar", "format_policy", "parse_calendar", "parse_policy"]

PERIOD_UNITS: Final[dict[str, policy_pb2.PeriodUnit.ValueType]] = {
    "hours": policy_pb2.PERIOD_UNIT_HOUR,
    "days": policy_pb2.PERIOD_UNIT_DAY,
    "working_hours": policy_pb2.PERIOD_UNIT_WORKING_HOUR,
    "working_days": policy_pb2.PERIOD_UNIT_WORKING_DAY,
}
_UNIT_NAMES: Final = {int(unit): name for name, unit in PERIOD_UNITS.items()}
_PERIOD: Final = re.compile(r"([0-9]{1,6}) (hour|day|working_hour|working_day)s?")
_HOURS: Final = re.compile(r"([0-9]{2}):([0-5][0-9])-([0-9]{2}):([0-5][0-9])")
_RANGE: Final = ".."
_CLOCKS: Final = ("admit", "accept", "answer")
_WINDOWS: Final = ("supplement", "confirm", "reopen", "extension", "yellow", "red")
_NUMBERS: Final = (
    "objections_max",
    "extensions_max",
    "reopens_max",
    "satisfied_stars_min",
    "rating_weight_percent",
)
_SWITCHES: Final = ("approval_required", "review_required", "item_required")
_UINT32_MAX: Final = 2**32 - 1
_SINT32_MAX: Final = 2**31 - 1


def parse_policy(text: str, name: str) -> policy_pb2.Policy:
    """The policy that a file holds; `name` is the file's, for what is said of its faults.

    Raises HuyingError(INVALID_ARGUMENT) with a line for every fault.
    """
    source = _Source(text, name)
    table = source.table
    policy = policy_pb2.Policy(version=source.number(table, "version"))
    policy.title = source.text(table, "title")
    limits = source.section(table, "limits")
    for urgency, word in URGENCY_NAMES.items():
        if word in limits:
            found = source.section(limits, word, "limits.")
            one = policy.limits.add(urgency=policy_pb2.Urgency.ValueType(urgency))
            for clock in _CLOCKS:
                source.period(found, clock, getattr(one, clock), f"limits.{word}.")
            source.known(found, _CLOCKS, f"limits.{word}.")
    source.known(limits, URGENCY_NAMES.values(), "limits.")
    for window in _WINDOWS:
        source.period(table, window, getattr(policy, window))
    for number in _NUMBERS:
        setattr(policy, number, source.number(table, number))
    for switch in _SWITCHES:
        setattr(policy, switch, source.switch(table, switch))
    source.known(table, ("version", "title", "limits", *_WINDOWS, *_NUMBERS, *_SWITCHES))
    source.finish(check_policy(policy))
    return policy


def parse_calendar(text: str, name: str) -> policy_pb2.Calendar:
    """The calendar that a file holds, as `parse_policy`."""
    source = _Source(text, name)
    table = source.table
    calendar = policy_pb2.Calendar(
        version=source.number(table, "version"),
        title=source.text(table, "title"),
        utc_offset_minutes=source.number(
            table, "utc_offset_minutes", low=-_SINT32_MAX, high=_SINT32_MAX
        ),
        holidays=source.dates(table, "holidays"),
        workdays=source.dates(table, "workdays"),
    )
    for written in source.items(table, "hours"):
        found = _HOURS.fullmatch(written) if isinstance(written, str) else None
        if found is None:
            source.fault("hours", "a part of the day reads as 08:30-12:00", written)
        else:
            start, stop = (int(found[at]) * 60 + int(found[at + 1]) for at in (1, 3))
            calendar.hours.add(start_minute=start, stop_minute=stop)
    source.known(table, ("version", "title", "utc_offset_minutes", "hours", "holidays", "workdays"))
    source.finish(check_calendar(calendar))
    return calendar


class _Source:
    """One file, and what was found wrong with it so far."""

    def __init__(self, text: str, name: str) -> None:
        self._text = text
        self._name = name
        self._faults: list[Fault] = []
        try:
            self.table: dict[str, Any] = tomllib.loads(text)
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            raise HuyingError(Code.INVALID_ARGUMENT, f"{name}: not valid TOML: {error}") from None

    def fault(self, field: str, why: str, value: object = "") -> None:
        """Note a fault; `value` is the item of a list that is meant."""
        self._faults.append(Fault(field, why, str(value)))

    def known(self, table: Mapping[str, Any], names: Iterable[str], prefix: str = "") -> None:
        """Note every key that is none of these."""
        for key in table.keys() - set(names):
            self.fault(prefix + key, "unknown; correct the spelling or remove it")

    def finish(self, found: Iterable[Fault]) -> None:
        """Raise what was noted, and of what a check found that of other fields."""
        noted = {fault.field for fault in self._faults}
        faults = self._faults + [fault for fault in found if fault.field not in noted]
        if not faults:
            return
        placed = [(line_of(self._text, fault.field, fault.value), fault) for fault in faults]
        placed.sort(key=lambda one: (one[0], one[1]))
        lines = (f"{self._name}:{line}: {fault}" for line, fault in placed)
        raise HuyingError(Code.INVALID_ARGUMENT, "\n".join(lines))

    def number(
        self, table: Mapping[str, Any], key: str, *, low: int = 0, high: int = _UINT32_MAX
    ) -> int:
        """A whole number; a missing one is noted."""
        value = table.get(key)
        if key not in table:
            self.fault(key, "missing; add it")
        elif not isinstance(value, int) or isinstance(value, bool):
            self.fault(key, "must be a whole number")
        elif not low <= value <= high:
            self.fault(key, f"{value} is out of range")
        else:
            return value
        return 0

    def text(self, table: Mapping[str, Any], key: str) -> str:
        """A text, or none."""
        value = table.get(key, "")
        if isinstance(value, str) and all(letter.isprintable() for letter in value):
            return value
        self.fault(key, "must be a text without control characters")
        return ""

    def switch(self, table: Mapping[str, Any], key: str) -> bool:
        """True or false; a missing one is noted."""
        value = table.get(key)
        if not isinstance(value, bool):
            self.fault(key, "must be true or false" if key in table else "missing; add it")
        return value is True

    def section(self, table: Mapping[str, Any], key: str, prefix: str = "") -> dict[str, Any]:
        """A section; empty where there is none."""
        value = table.get(key, {})
        if isinstance(value, dict):
            return value
        self.fault(prefix + key, f"must be a section, [{prefix}{key}]")
        return {}

    def period(
        self, table: Mapping[str, Any], key: str, period: policy_pb2.Period, prefix: str = ""
    ) -> None:
        """Fill in a period, as "5 working_days"."""
        value = table.get(key)
        found = _PERIOD.fullmatch(value) if isinstance(value, str) else None
        if found is not None and int(found[1]) <= PERIOD_UNITS_MAX:
            period.amount, period.unit = int(found[1]), PERIOD_UNITS[f"{found[2]}s"]
            period.SetInParent()
        elif key in table:
            units = ", ".join(PERIOD_UNITS)
            self.fault(prefix + key, f"must read as 5 working_days; the units are {units}")
        else:
            self.fault(prefix + key, "missing; add it")

    def items(self, table: Mapping[str, Any], key: str) -> list[Any]:
        """A list; a missing one is noted."""
        value = table.get(key)
        if isinstance(value, list):
            return value
        self.fault(key, "must be a list" if key in table else "missing; add it, or [] for none")
        return []

    def dates(self, table: Mapping[str, Any], key: str) -> list[str]:
        """Days as ISO 8601, those of a range "2026-02-15..2026-02-23" one by one."""
        days: list[str] = []
        for item in self.items(table, key):
            written = item.isoformat() if isinstance(item, date) else item
            found = _days(written) if isinstance(written, str) else None
            if found is None:
                self.fault(key, "a day reads as 2026-01-31, or 2026-02-15..2026-02-23", written)
            elif len(days) <= CALENDAR_DATES_MAX:
                days += found
        return days


def _days(written: str) -> list[str] | None:
    """The days of one item; None where it is none, and no more than a calendar holds and one."""
    first, _, last = written.partition(_RANGE)
    try:
        start, stop = date.fromisoformat(first), date.fromisoformat(last or first)
    except ValueError:
        return None
    if start > stop or (start.isoformat(), stop.isoformat()) != (first, last or first):
        return None
    count = min((stop - start).days, CALENDAR_DATES_MAX) + 1
    return [(start + timedelta(days=number)).isoformat() for number in range(count)]


def format_policy(policy: policy_pb2.Policy) -> str:
    """A policy as a file."""
    lines = [f"version = {policy.version}", f"title = {_quoted(policy.title)}", ""]
    lines += [f"{window} = {_period(getattr(policy, window))}" for window in _WINDOWS]
    lines += ["", *(f"{number} = {getattr(policy, number)}" for number in _NUMBERS), ""]
    lines += [f"{switch} = {str(getattr(policy, switch)).lower()}" for switch in _SWITCHES]
    for limits in policy.limits:
        lines += ["", f"[limits.{URGENCY_NAMES.get(limits.urgency, limits.urgency)}]"]
        lines += [f"{clock} = {_period(getattr(limits, clock))}" for clock in _CLOCKS]
    return "\n".join(lines) + "\n"


def format_calendar(calendar: policy_pb2.Calendar) -> str:
    """A calendar as a file; days that follow each other stand as a range."""
    hours = [f"{_time(part.start_minute)}-{_time(part.stop_minute)}" for part in calendar.hours]
    lines = [
        f"version = {calendar.version}",
        f"title = {_quoted(calendar.title)}",
        f"utc_offset_minutes = {calendar.utc_offset_minutes}",
        f"hours = [{', '.join(map(_quoted, hours))}]",
        *_list("holidays", _ranges(calendar.holidays)),
        *_list("workdays", _ranges(calendar.workdays)),
    ]
    return "\n".join(lines) + "\n"


def _list(key: str, items: Sequence[str]) -> list[str]:
    return [f"{key} = [", *(f"    {_quoted(item)}," for item in items), "]"]


def _ranges(days: Iterable[str]) -> list[str]:
    """The days, those that follow each other as one; what is no date stands as it is."""
    spans: list[list[str]] = []  # first and last
    before: int | None = None
    for day in days:
        number = parse_date(day)
        if number is not None and before is not None and number == before + 1:
            spans[-1][1] = day
        else:
            spans.append([day, day])
        before = number
    return [first if first == last else f"{first}{_RANGE}{last}" for first, last in spans]


def _period(period: policy_pb2.Period) -> str:
    unit = _UNIT_NAMES.get(period.unit, "hours")
    return _quoted(f"{period.amount} {unit if period.amount != 1 else unit[:-1]}")


def _time(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
