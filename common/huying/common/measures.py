"""What departments and towns are measured by, from what was counted; and in which month.

Pure arithmetic. docs/MEASURES.md defines each measure: which turns and calls are in its denominator
and which of those in its numerator. A rate of nothing is None, never 0 and never 1.

>>> spring = month_span("2026-03", 480)
>>> Ratio(3, 4).rate, Ratio(0, 0).rate
(0.75, None)
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from huying.common.errors import Code, HuyingError

__all__ = [
    "DepartmentMeasures",
    "Ratio",
    "TownMeasures",
    "month_span",
    "months_up_to",
    "score",
]

_MONTH: Final = re.compile(r"(\d{4})-(\d{2})", re.ASCII)
_YEAR_MIN: Final = 1971  # so that no boundary lies before the unix epoch, whatever the offset
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Ratio:
    """So many of so many."""

    numerator: int = 0
    denominator: int = 0

    @property
    def rate(self) -> float | None:
        """From 0 to 1; None of nothing."""
        return self.numerator / self.denominator if self.denominator else None


@dataclass(frozen=True, slots=True)
class DepartmentMeasures:
    """How calls were served."""

    duties: int = 0  # turns of departments that began
    undecided: int = 0  # answers due whose clock was neither met nor late, yet
    response: Ratio = Ratio()  # 响应率: accepted or objected in time
    on_time: Ratio = Ratio()  # 按时办结率: answered in time
    resolved: Ratio = Ratio()  # 解决率
    satisfied: Ratio = Ratio()  # 满意率
    returned: Ratio = Ratio()  # 退单率: dispatches that were objected to
    returned_upheld: int = 0  # of them, those that the centre took back
    reworked: Ratio = Ratio()  # 返工率: answers that the review had returned
    reopened: Ratio = Ratio()  # 重办率: answers after which the town reopened the call
    yellow_cards: int = 0
    red_cards: int = 0


@dataclass(frozen=True, slots=True)
class TownMeasures:
    """How calls were made, and followed up."""

    calls: int = 0  # received
    residents: int = 0  # 0: not known
    declined: Ratio = Ratio()  # 不予受理率
    withdrawn: Ratio = Ratio()  # 撤回率
    merged: int = 0
    supplement_late: Ratio = Ratio()  # 补充逾期率
    confirm_in_window: Ratio = Ratio()  # 按时回访率

    @property
    def calls_per_10000(self) -> float | None:
        """Calls per 10,000 residents; None where it is not known how many there are."""
        return self.calls * 10_000 / self.residents if self.residents else None


def score(measures: DepartmentMeasures, rating_weight_percent: int) -> float | None:
    """A department's score, 0 to 100: the towns' rating, by its weight, and the other rates.

    The rating is the satisfied rate; the rest is the mean of those of the response, on-time and
    resolved rates that are there. None without a valid rating, or without any of the three: what
    was not rated has no score that could stand beside another's.
    """
    rating = measures.satisfied.rate
    others = [
        ratio.rate
        for ratio in (measures.response, measures.on_time, measures.resolved)
        if ratio.rate is not None
    ]
    if rating is None or not others:
        return None
    weight = rating_weight_percent / 100
    return 100 * (weight * rating + (1 - weight) * sum(others) / len(others))


def month_span(month: str, utc_offset_minutes: int) -> tuple[int, int]:
    """[start, stop) of a month such as "2026-10", local time, in unix microseconds.

    Raises HuyingError(INVALID_ARGUMENT).
    """
    year, number = _parse_month(month)
    following = (year + number // 12, number % 12 + 1)
    return _start(year, number, utc_offset_minutes), _start(*following, utc_offset_minutes)


def months_up_to(month: str, count: int) -> list[str]:
    """The `count` months that end with this one, oldest first. Raises as `month_span`."""
    year, number = _parse_month(month)
    last = year * 12 + number - 1
    return [f"{at // 12:04d}-{at % 12 + 1:02d}" for at in range(last - count + 1, last + 1)]


def _parse_month(month: str) -> tuple[int, int]:
    found = _MONTH.fullmatch(month)
    year, number = (int(found[1]), int(found[2])) if found else (0, 0)
    if not _YEAR_MIN <= year < 9999 or not 1 <= number <= 12:
        raise HuyingError(
            Code.INVALID_ARGUMENT, f"month: a year from {_YEAR_MIN} and a month, as 2026-10"
        )
    return year, number


def _start(year: int, number: int, utc_offset_minutes: int) -> int:
    start = datetime(year, number, 1, tzinfo=UTC) - timedelta(minutes=utc_offset_minutes)
    return (start - _EPOCH) // timedelta(microseconds=1)
