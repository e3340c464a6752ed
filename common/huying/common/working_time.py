"""Working time: exact arithmetic over a calendar, in whole microseconds of unix time.

A calendar has one offset from UTC (no summer time), the parts of a day that are worked, weekends,
holidays, and weekend days that are worked to make up for them. Whatever a period is counted in, it
is reckoned once, here:

    HOUR           that many times 60 minutes after the start
    DAY            24:00 of the last day; the day of the start is not counted
    WORKING_HOUR   that much time inside working hours
    WORKING_DAY    the end of the hours of the last working day; the day of the start is not counted

That the first day is not counted, and that the last one ends with the hours of business, is how the
Civil Code of the PRC counts periods (articles 201 and 203); no period here moves because its last
natural day is a holiday. How long a period is, is local policy.

A clock that stands still keeps what was left *in its own time*: working time for the two working
units, plain time for the others (`remaining`, `after`). Adding and then asking what is left gives
the same number back, always:

>>> hours = WorkingTime(offset_micros=0, parts=((9 * HOUR_MICROS, 17 * HOUR_MICROS),))
>>> friday_16 = day_start(hours, date(2026, 1, 30)) + 16 * HOUR_MICROS
>>> due = after(hours, friday_16, 2 * HOUR_MICROS, working=True)      # Monday, 10:00
>>> (due - friday_16) // HOUR_MICROS, remaining(hours, friday_16, due, working=True) // HOUR_MICROS
(66, 2)
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Final

from huying.common.limits import INTEGER_MAX
from huying.wire.v1 import policy_pb2

__all__ = [
    "DAY_MICROS",
    "DAY_MINUTES",
    "HOUR_MICROS",
    "MINUTE_MICROS",
    "WORKING_UNITS",
    "WorkingTime",
    "after",
    "day_start",
    "is_weekend",
    "parse_date",
    "period_end",
    "remaining",
    "working_time",
]

MINUTE_MICROS: Final = 60 * 1_000_000
HOUR_MICROS: Final = 60 * MINUTE_MICROS
DAY_MICROS: Final = 24 * HOUR_MICROS
DAY_MINUTES: Final = 24 * 60
_WEEK_DAYS: Final = 7
_WORKED_DAYS: Final = 5  # Monday to Friday
_UNIX_DAY: Final = date(1970, 1, 1).toordinal()
_UNIX_WEEKDAY: Final = 3  # 1970-01-01 was a Thursday; Monday is 0

WORKING_UNITS: Final = frozenset(
    {policy_pb2.PERIOD_UNIT_WORKING_HOUR, policy_pb2.PERIOD_UNIT_WORKING_DAY}
)


@dataclass(frozen=True, slots=True)
class WorkingTime:
    """A calendar made ready to count by. A day is its number since 1970-01-01, local time."""

    offset_micros: int = 8 * HOUR_MICROS  # local time minus UTC
    # Start and stop in microseconds of the local day, half open, ascending, none empty.
    parts: tuple[tuple[int, int], ...] = ((0, DAY_MICROS),)
    days_off: tuple[int, ...] = ()  # Mondays to Fridays that are not worked, ascending
    days_on: tuple[int, ...] = ()  # Saturdays and Sundays that are worked, ascending
    version: int = 0

    @property
    def day_micros(self) -> int:
        """Working time of one working day."""
        return sum(stop - start for start, stop in self.parts)

    def day_of(self, instant: int) -> int:
        """The local day of an instant."""
        return (instant + self.offset_micros) // DAY_MICROS

    def is_working(self, day: int) -> bool:
        """Whether the day is worked."""
        return self.days_before(day + 1) > self.days_before(day)

    def days_before(self, day: int) -> int:
        """Working days in [1970-01-01, day); negative before that. Takes the same time always."""
        weeks, rest = divmod(day + _UNIX_WEEKDAY, _WEEK_DAYS)
        weekdays = weeks * _WORKED_DAYS + min(rest, _WORKED_DAYS) - _UNIX_WEEKDAY
        return weekdays + bisect_left(self.days_on, day) - bisect_left(self.days_off, day)

    def nth_day_after(self, day: int, count: int) -> int:
        """The `count`-th working day after `day`, which is not counted itself; count >= 1."""
        return self._day_of_count(self.days_before(day + 1) + count)

    def _day_of_count(self, count: int) -> int:
        """The first day with which `days_before` of the next one is so much."""
        # A week holds five working days, more or less what the calendar names.
        low = ((count - len(self.days_on)) // _WORKED_DAYS - 2) * _WEEK_DAYS
        high = ((count + len(self.days_off)) // _WORKED_DAYS + 2) * _WEEK_DAYS
        while low < high:
            middle = (low + high) // 2
            if self.days_before(middle + 1) >= count:
                high = middle
            else:
                low = middle + 1
        return low

    def worked(self, instant: int) -> int:
        """Working time from 1970-01-01 to the instant. Grows, and never by more than time does."""
        day, in_day = divmod(instant + self.offset_micros, DAY_MICROS)
        micros = self.days_before(day) * self.day_micros
        if self.is_working(day):
            micros += sum(min(max(in_day, start), stop) - start for start, stop in self.parts)
        return micros

    def when_worked(self, micros: int) -> int:
        """The first instant at which `worked` is so much."""
        whole, rest = divmod(micros - 1, self.day_micros)
        day, rest = self._day_of_count(whole + 1), rest + 1
        for start, stop in self.parts:
            if rest <= stop - start:
                return day * DAY_MICROS + start + rest - self.offset_micros
            rest -= stop - start
        raise AssertionError("the rest lies within one working day")


def day_start(calendar: WorkingTime, day: date) -> int:
    """The instant at which a day begins there."""
    return (day.toordinal() - _UNIX_DAY) * DAY_MICROS - calendar.offset_micros


def after(calendar: WorkingTime, start: int, micros: int, *, working: bool) -> int:
    """The first instant that is so much time after `start`; INTEGER_MAX where it is later still."""
    if micros <= 0:
        return start
    due = calendar.when_worked(calendar.worked(start) + micros) if working else start + micros
    return min(due, INTEGER_MAX)


def remaining(calendar: WorkingTime, start: int, due: int, *, working: bool) -> int:
    """How much time lies between the two; 0 where `due` is not after `start`."""
    if due <= start:
        return 0
    return calendar.worked(due) - calendar.worked(start) if working else due - start


def period_end(calendar: WorkingTime, start: int, period: policy_pb2.Period) -> int:
    """When a period that begins at `start` is over; see the module. INTEGER_MAX at the latest."""
    amount, day = period.amount, calendar.day_of(start)
    if period.unit == policy_pb2.PERIOD_UNIT_WORKING_HOUR:
        return after(calendar, start, amount * HOUR_MICROS, working=True)
    if not amount:
        return start
    if period.unit == policy_pb2.PERIOD_UNIT_DAY:
        end = (day + amount + 1) * DAY_MICROS - calendar.offset_micros
    elif period.unit == policy_pb2.PERIOD_UNIT_WORKING_DAY:
        last = calendar.nth_day_after(day, amount)
        end = last * DAY_MICROS + calendar.parts[-1][1] - calendar.offset_micros
    else:
        end = start + amount * HOUR_MICROS
    return min(end, INTEGER_MAX)


def parse_date(text: str) -> int | None:
    """The day of an ISO 8601 date such as 2026-01-31; None where it is none."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day.toordinal() - _UNIX_DAY if day.isoformat() == text else None


def working_time(calendar: policy_pb2.Calendar) -> WorkingTime:
    """A calendar as it stands in a feed, made ready.

    Total: what is no date, or no part of a day after the parts before it, is passed over, and a
    calendar that names no hours at all works around the clock on its working days. What is written
    by `huying calendar set` was checked (`huying.common.policy_checks`).
    """
    parts: list[tuple[int, int]] = []
    for part in calendar.hours:
        follows = not parts or part.start_minute * MINUTE_MICROS >= parts[-1][1]
        if follows and part.start_minute < part.stop_minute <= DAY_MINUTES:
            parts.append((part.start_minute * MINUTE_MICROS, part.stop_minute * MINUTE_MICROS))
    on = _days(calendar.workdays)
    off = _days(calendar.holidays) - on
    offset = calendar.utc_offset_minutes * MINUTE_MICROS
    return WorkingTime(
        offset_micros=max(-DAY_MICROS, min(offset, DAY_MICROS)),
        parts=tuple(parts) or ((0, DAY_MICROS),),
        days_off=tuple(sorted(day for day in off if not is_weekend(day))),
        days_on=tuple(sorted(day for day in on if is_weekend(day))),
        version=calendar.version,
    )


def _days(texts: Iterable[str]) -> set[int]:
    found = (parse_date(text) for text in texts)
    return {day for day in found if day is not None}


def is_weekend(day: int) -> bool:
    """Whether the day is a Saturday or a Sunday."""
    return (day + _UNIX_WEEKDAY) % _WEEK_DAYS >= _WORKED_DAYS
