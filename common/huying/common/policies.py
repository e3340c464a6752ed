"""The shipped policy and calendar: version 0 of both, in force until a county sets its own.

docs/POLICY.md shows them.

The periods are sensible values, not law: time limits are local policy (five working days to answer
is what Jinan set for its hotline in 2018; that the town's rating weighs 30% at least is section 18
of Shandong's township regulation of 2020).

The days off of 2026 are those of the State Council's notice on the holidays of that year. **Who
operates a county checks them against the notice**, and sets a calendar of the county's own when
the notice of the next year is out: of a year that has no data here, weekends alone count as days
off.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Final

from huying.wire.v1 import policy_pb2

__all__ = ["shipped_calendar", "shipped_policy"]

_HOUR: Final = policy_pb2.PERIOD_UNIT_HOUR
_WORKING_HOUR: Final = policy_pb2.PERIOD_UNIT_WORKING_HOUR
_WORKING_DAY: Final = policy_pb2.PERIOD_UNIT_WORKING_DAY
_DAY: Final = policy_pb2.PERIOD_UNIT_DAY

# (first day, last day) of each holiday, and the weekend days worked instead.
_DAYS_OFF_2026: Final = (
    (date(2026, 1, 1), date(2026, 1, 3)),  # 元旦
    (date(2026, 2, 15), date(2026, 2, 23)),  # 春节
    (date(2026, 4, 4), date(2026, 4, 6)),  # 清明节
    (date(2026, 5, 1), date(2026, 5, 5)),  # 劳动节
    (date(2026, 6, 19), date(2026, 6, 21)),  # 端午节
    (date(2026, 9, 25), date(2026, 9, 27)),  # 中秋节
    (date(2026, 10, 1), date(2026, 10, 7)),  # 国庆节
)
_DAYS_ON_2026: Final = (
    date(2026, 1, 4),
    date(2026, 2, 14),
    date(2026, 2, 28),
    date(2026, 5, 9),
    date(2026, 9, 20),
    date(2026, 10, 10),
)


def _period(amount: int, unit: policy_pb2.PeriodUnit.ValueType) -> policy_pb2.Period:
    return policy_pb2.Period(amount=amount, unit=unit)


def shipped_policy() -> policy_pb2.Policy:
    """Version 0, a message of the caller's own."""
    return policy_pb2.Policy(
        version=0,
        title="随程序提供的时限,由县里按本地规定修改",
        limits=(
            policy_pb2.UrgencyLimits(
                urgency=policy_pb2.URGENCY_ROUTINE,
                admit=_period(4, _WORKING_HOUR),
                accept=_period(4, _WORKING_HOUR),
                answer=_period(5, _WORKING_DAY),
            ),
            policy_pb2.UrgencyLimits(
                urgency=policy_pb2.URGENCY_URGENT,
                admit=_period(2, _WORKING_HOUR),
                accept=_period(2, _WORKING_HOUR),
                answer=_period(2, _WORKING_DAY),
            ),
            policy_pb2.UrgencyLimits(
                urgency=policy_pb2.URGENCY_CRITICAL,
                admit=_period(1, _HOUR),
                accept=_period(1, _HOUR),
                answer=_period(24, _HOUR),
            ),
        ),
        supplement=_period(3, _WORKING_DAY),
        confirm=_period(5, _WORKING_DAY),
        reopen=_period(30, _DAY),
        extension=_period(5, _WORKING_DAY),
        yellow=_period(1, _WORKING_DAY),
        red=_period(3, _WORKING_DAY),
        objections_max=2,
        extensions_max=1,
        reopens_max=2,
        approval_required=False,
        review_required=False,
        item_required=False,
        satisfied_stars_min=4,
        rating_weight_percent=30,
    )


def shipped_calendar() -> policy_pb2.Calendar:
    """Version 0, a message of the caller's own."""
    return policy_pb2.Calendar(
        version=0,
        title="2026年节假日安排,请对照国务院办公厅通知核对;没有数据的年份只按周末计算",
        holidays=[day for first, last in _DAYS_OFF_2026 for day in _days(first, last)],
        workdays=[day.isoformat() for day in _DAYS_ON_2026],
        hours=(
            policy_pb2.DayPart(start_minute=8 * 60 + 30, stop_minute=12 * 60),
            policy_pb2.DayPart(start_minute=13 * 60 + 30, stop_minute=17 * 60 + 30),
        ),
        utc_offset_minutes=8 * 60,
    )


def _days(first: date, last: date) -> Iterator[str]:
    for number in range((last - first).days + 1):
        yield (first + timedelta(days=number)).isoformat()
