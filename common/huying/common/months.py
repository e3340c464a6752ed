"""Months such as "2026-10": their numbers, where they begin and end, and those before them.

>>> month_text(month_number("2026-12") + 1)
'2027-01'
>>> start, stop = month_span("2026-02", utc_offset_minutes=480)
>>> (stop - start) // (24 * 3600 * 10**6)
28
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Final

from huying.common.errors import Code, HuyingError

__all__ = ["is_month", "last_day", "month_number", "month_span", "month_text", "months_up_to"]

_MONTH: Final = re.compile(r"([0-9]{4})-(?:0[1-9]|1[0-2])")
_YEAR_MIN: Final = 1971  # so that no boundary lies before the unix epoch, whatever the offset
_YEAR_MAX: Final = 9998  # so that there is a month after it
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def is_month(text: str) -> bool:
    """Whether it is a month that can be asked about."""
    found = _MONTH.fullmatch(text)
    return found is not None and _YEAR_MIN <= int(found[1]) <= _YEAR_MAX


def month_number(month: str) -> int:
    """Months since the year 0. Raises HuyingError(INVALID_ARGUMENT)."""
    if not is_month(month):
        raise HuyingError(
            Code.INVALID_ARGUMENT, f"month: a year from {_YEAR_MIN} and a month, as 2026-10"
        )
    return int(month[:4]) * 12 + int(month[5:]) - 1


def month_text(number: int) -> str:
    """Reverse of `month_number`."""
    return f"{number // 12:04d}-{number % 12 + 1:02d}"


def month_span(month: str, utc_offset_minutes: int) -> tuple[int, int]:
    """[start, stop) of a month of local time, in unix microseconds. Raises as `month_number`."""
    number = month_number(month)
    return _start(number, utc_offset_minutes), _start(number + 1, utc_offset_minutes)


def months_up_to(month: str, count: int) -> list[str]:
    """The `count` months that end with this one, oldest first. Raises as `month_number`."""
    last = month_number(month)
    return [month_text(number) for number in range(last - count + 1, last + 1)]


def last_day(month: str) -> date:
    """The month's last day. Raises as `month_number`."""
    return _first_day(month_number(month) + 1) - timedelta(days=1)


def _first_day(number: int) -> date:
    return date(number // 12, number % 12 + 1, 1)


def _start(number: int, utc_offset_minutes: int) -> int:
    day = _first_day(number)
    local = datetime(day.year, day.month, 1, tzinfo=UTC)
    return (local - timedelta(minutes=utc_offset_minutes) - _EPOCH) // timedelta(microseconds=1)
