"""What is wrong with a policy or a calendar that somebody wrote: every fault, by the field's name.

A field is named as in the file that `huying policy set` and `huying calendar set` read
(docs/POLICY.md), so that whoever reads the file can find its line.
"""

from __future__ import annotations

from collections import Counter
from typing import Final, NamedTuple

from huying.common.limits import (
    CALENDAR_DATES_MAX,
    DAY_PARTS_MAX,
    NAME_CHARACTERS_MAX,
    PERIOD_UNITS_MAX,
    SATISFACTION_STARS_MAX,
)
from huying.common.working_time import DAY_MINUTES, is_weekend, parse_date
from huying.wire.v1 import policy_pb2

__all__ = ["URGENCY_NAMES", "Fault", "check_calendar", "check_policy"]

TIMES_MAX: Final = 100  # objections, extensions, reopenings of one call
PERCENT_MAX: Final = 100
OFFSET_MINUTES_MIN: Final = -12 * 60
OFFSET_MINUTES_MAX: Final = 14 * 60
FIRST_DATE: Final = "2000-01-01"
LAST_DATE: Final = "2199-12-31"

URGENCY_NAMES: Final[dict[int, str]] = {
    policy_pb2.URGENCY_ROUTINE: "routine",
    policy_pb2.URGENCY_URGENT: "urgent",
    policy_pb2.URGENCY_CRITICAL: "critical",
}
_WINDOWS: Final = ("supplement", "confirm", "reopen", "extension", "yellow", "red")


class Fault(NamedTuple):
    """One thing that is wrong, and what to do."""

    field: str
    why: str
    value: str = ""  # of a list: the item that is meant

    def __str__(self) -> str:
        return f"{self.field}: {self.why}"


def check_policy(policy: policy_pb2.Policy) -> list[Fault]:
    """Every fault, in the order of the fields; none where it may be written."""
    faults = _check_head(policy.version, policy.title)
    counts = Counter(limits.urgency for limits in policy.limits)
    for urgency, name in URGENCY_NAMES.items():
        if counts[policy_pb2.Urgency.ValueType(urgency)] != 1:
            faults.append(Fault(f"limits.{name}", "must be there, once"))
    for limits in policy.limits:
        found = URGENCY_NAMES.get(limits.urgency)
        if found is None:
            faults.append(Fault("limits", "an urgency is routine, urgent or critical"))
            continue
        for clock in ("admit", "accept", "answer"):
            faults += _check_period(f"limits.{found}.{clock}", getattr(limits, clock))
    for window in _WINDOWS:
        faults += _check_period(window, getattr(policy, window))
    if policy.yellow.unit == policy.red.unit and 0 < policy.red.amount < policy.yellow.amount:
        faults.append(Fault("red", "comes before yellow; make it as long, or longer"))
    for field in ("objections_max", "extensions_max", "reopens_max"):
        faults += _check_number(field, getattr(policy, field), 0, TIMES_MAX)
    stars = policy.satisfied_stars_min
    faults += _check_number("satisfied_stars_min", stars, 1, SATISFACTION_STARS_MAX)
    return faults + _check_number(
        "rating_weight_percent", policy.rating_weight_percent, 0, PERCENT_MAX
    )


def check_calendar(calendar: policy_pb2.Calendar) -> list[Fault]:
    """Every fault, in the order of the fields; none where it may be written."""
    faults = _check_head(calendar.version, calendar.title)
    offset = calendar.utc_offset_minutes
    if not OFFSET_MINUTES_MIN <= offset <= OFFSET_MINUTES_MAX:
        faults.append(
            Fault(
                "utc_offset_minutes",
                f"{offset} is not from {OFFSET_MINUTES_MIN} to {OFFSET_MINUTES_MAX}",
            )
        )
    faults += _check_hours(calendar)
    count = len(calendar.holidays) + len(calendar.workdays)
    if count > CALENDAR_DATES_MAX:
        why = f"{count} days with workdays, {CALENDAR_DATES_MAX} at most; leave out past years"
        return [*faults, Fault("holidays", why)]
    worked = Counter(calendar.workdays)
    faults += _check_dates("holidays", Counter(calendar.holidays))
    faults += _check_dates("workdays", worked)
    for day in dict.fromkeys(calendar.workdays):
        number = parse_date(day)
        if day in calendar.holidays:
            faults.append(Fault("workdays", f"{day} is among the holidays, too", day))
        elif number is not None and not is_weekend(number):
            faults.append(Fault("workdays", f"{day} is no weekend day; remove it", day))
    return faults


def _check_head(version: int, title: str) -> list[Fault]:
    faults = [] if version else [Fault("version", "must be 1 or more; 0 is the shipped one")]
    if len(title) > NAME_CHARACTERS_MAX:
        why = f"{len(title)} characters, {NAME_CHARACTERS_MAX} at most; shorten it"
        faults.append(Fault("title", why))
    return faults


def _check_period(field: str, period: policy_pb2.Period) -> list[Fault]:
    if period.unit == policy_pb2.PERIOD_UNIT_UNSPECIFIED:
        return [Fault(field, "must be there, as 5 working_days")]
    return _check_number(field, period.amount, 1, PERIOD_UNITS_MAX)


def _check_number(field: str, number: int, low: int, high: int) -> list[Fault]:
    if low <= number <= high:
        return []
    return [Fault(field, f"{number} is not from {low} to {high}")]


def _check_hours(calendar: policy_pb2.Calendar) -> list[Fault]:
    if not 1 <= len(calendar.hours) <= DAY_PARTS_MAX:
        return [Fault("hours", f"{len(calendar.hours)} parts of the day, 1 to {DAY_PARTS_MAX}")]
    before = 0
    for part in calendar.hours:
        if part.start_minute >= part.stop_minute or part.stop_minute > DAY_MINUTES:
            return [Fault("hours", "a part must end after it begins, and at 24:00 at the latest")]
        if part.start_minute < before:
            return [Fault("hours", "a part begins before the one before it has ended")]
        before = part.stop_minute
    return []


def _check_dates(field: str, dates: Counter[str]) -> list[Fault]:
    faults = []
    for day, times in dates.items():
        if parse_date(day) is None:
            faults.append(Fault(field, "not a date; write it as 2026-01-31", day))
        elif not FIRST_DATE <= day <= LAST_DATE:
            faults.append(Fault(field, f"{day} is not from {FIRST_DATE} to {LAST_DATE}", day))
        elif times > 1:
            faults.append(Fault(field, f"{day} is there {times} times", day))
    return faults
