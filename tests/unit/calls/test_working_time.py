"""Working time: worked examples from the calendar of 2026, and laws that hold for any calendar."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from huying.common.limits import INTEGER_MAX
from huying.common.policies import shipped_calendar
from huying.common.working_time import (
    DAY_MICROS,
    HOUR_MICROS,
    WorkingTime,
    after,
    day_start,
    is_weekend,
    parse_date,
    period_end,
    remaining,
    working_time,
)
from huying.wire.v1 import policy_pb2

CHINA = timezone(timedelta(hours=8))
CALENDAR = working_time(shipped_calendar())  # 08:30-12:00 and 13:30-17:30, 7.5 hours a day
UNITS = {
    "h": policy_pb2.PERIOD_UNIT_HOUR,
    "d": policy_pb2.PERIOD_UNIT_DAY,
    "wh": policy_pb2.PERIOD_UNIT_WORKING_HOUR,
    "wd": policy_pb2.PERIOD_UNIT_WORKING_DAY,
}


def at(text: str) -> int:
    """Unix microseconds of a local time, as 2026-02-12 10:00."""
    return int(datetime.fromisoformat(text).replace(tzinfo=CHINA).timestamp()) * 1_000_000


def shown(micros: int) -> str:
    return datetime.fromtimestamp(micros / 1e6, UTC).astimezone(CHINA).strftime("%Y-%m-%d %H:%M")


def period(text: str) -> policy_pb2.Period:
    """As 5wd."""
    amount = text.rstrip("hdw")
    return policy_pb2.Period(amount=int(amount), unit=UNITS[text[len(amount) :]])


@pytest.mark.parametrize(
    ("start", "length", "end"),
    [
        # An ordinary week: Monday 2026-03-02 is worked, so is the rest of the week.
        ("2026-03-02 10:00", "5wd", "2026-03-09 17:30"),
        ("2026-03-02 23:59", "5wd", "2026-03-09 17:30"),  # the day of receipt does not count
        ("2026-03-06 10:00", "1wd", "2026-03-09 17:30"),  # a Friday: the weekend lies between
        ("2026-03-07 10:00", "1wd", "2026-03-09 17:30"),  # a Saturday counts no more than a Friday
        # Spring Festival: the 15th to the 23rd are off, Saturdays the 14th and the 28th are worked.
        ("2026-02-12 10:00", "2wd", "2026-02-14 17:30"),
        ("2026-02-13 10:00", "2wd", "2026-02-24 17:30"),
        ("2026-02-13 10:00", "5wd", "2026-02-27 17:30"),
        ("2026-02-13 10:00", "6wd", "2026-02-28 17:30"),
        ("2026-02-13 10:00", "7wd", "2026-03-02 17:30"),
        # New Year: Sunday the 4th is worked.
        ("2025-12-31 09:00", "1wd", "2026-01-04 17:30"),
        # Qingming, Labour Day (Saturday the 9th is worked), Dragon Boat.
        ("2026-04-03 09:00", "1wd", "2026-04-07 17:30"),
        ("2026-04-30 09:00", "4wd", "2026-05-09 17:30"),
        ("2026-06-18 09:00", "1wd", "2026-06-22 17:30"),
        # Mid-Autumn and National Day: Sunday September 20th and Saturday October 10th are worked.
        ("2026-09-18 09:00", "1wd", "2026-09-20 17:30"),
        ("2026-09-24 09:00", "4wd", "2026-10-08 17:30"),
        ("2026-09-30 09:00", "3wd", "2026-10-10 17:30"),
        # A year without data counts weekends alone.
        ("2027-02-05 09:00", "1wd", "2027-02-08 17:30"),
        # Working hours: over noon, over the night, over a weekend, from outside the hours.
        ("2026-03-02 11:30", "1wh", "2026-03-02 14:00"),
        ("2026-03-02 09:00", "3wh", "2026-03-02 12:00"),  # not 13:30: the first such instant
        ("2026-03-02 16:30", "4wh", "2026-03-03 11:30"),
        ("2026-03-06 17:00", "4wh", "2026-03-09 12:00"),
        ("2026-03-07 03:00", "4wh", "2026-03-09 14:00"),
        ("2026-02-13 16:30", "9wh", "2026-02-24 09:00"),  # 1 h, Saturday's 7.5 h, half an hour
        # Natural time asks no calendar; days end at midnight.
        ("2026-02-13 16:30", "24h", "2026-02-14 16:30"),
        ("2026-02-13 16:30", "1d", "2026-02-15 00:00"),
        ("2026-02-13 00:00", "30d", "2026-03-16 00:00"),
        ("2028-02-28 12:00", "1d", "2028-03-01 00:00"),  # a leap year
    ],
)
def test_a_period_ends_as_reckoned_by_hand(start: str, length: str, end: str) -> None:
    """Every deadline on a call is one of these sums; the examples were reckoned on paper."""
    assert shown(period_end(CALENDAR, at(start), period(length))) == end


@pytest.mark.parametrize(
    ("start", "due", "hours"),
    [
        ("2026-03-02 10:00", "2026-03-02 12:00", 2.0),
        ("2026-03-02 10:00", "2026-03-02 13:00", 2.0),  # noon is no working time
        ("2026-03-02 10:00", "2026-03-09 17:30", 6.0 + 5 * 7.5),
        ("2026-02-13 17:30", "2026-02-24 08:30", 7.5),  # the make-up Saturday alone
        ("2026-10-01 00:00", "2026-10-08 00:00", 0.0),
        ("2026-03-02 10:00", "2026-03-02 09:00", 0.0),  # past: nothing is left, not less
    ],
)
def test_what_is_left_counts_working_hours_alone(start: str, due: str, hours: float) -> None:
    """A clock that stands still keeps this number, and goes on with it."""
    left = remaining(CALENDAR, at(start), at(due), working=True)
    assert left / HOUR_MICROS == hours


def test_the_days_of_2026_are_those_of_the_notice() -> None:
    """33 days of holidays and 6 worked weekend days make 248 working days of the year."""
    shipped = shipped_calendar()
    assert (len(shipped.holidays), len(shipped.workdays)) == (33, 6)
    first, last = parse_date("2026-01-01"), parse_date("2027-01-01")
    assert first is not None
    assert last is not None
    assert CALENDAR.days_before(last) - CALENDAR.days_before(first) == 248


def test_a_day_begins_at_its_own_midnight() -> None:
    """The offset is the calendar's, whatever zone the machine is in."""
    assert shown(day_start(CALENDAR, date(2026, 3, 2))) == "2026-03-02 00:00"
    assert CALENDAR.day_of(at("2026-03-02 00:00")) - CALENDAR.day_of(at("2026-03-01 23:59")) == 1


def test_a_calendar_that_makes_no_sense_still_counts() -> None:
    """It stands in a feed for good; no step of a call may fail for it."""
    odd = working_time(
        policy_pb2.Calendar(
            holidays=["2026-13-01", "", "2026-03-02"],
            workdays=["2026-03-02", "tomorrow"],
            hours=[
                policy_pb2.DayPart(start_minute=600, stop_minute=600),
                policy_pb2.DayPart(start_minute=600, stop_minute=5000),
            ],
            utc_offset_minutes=2**31 - 1,
        )
    )
    assert odd.parts == ((0, DAY_MICROS),)
    assert (odd.days_off, odd.days_on) == ((), ())  # a holiday that is worked is none
    assert odd.offset_micros == DAY_MICROS


def test_the_longest_period_stays_within_what_a_database_holds() -> None:
    """A due time that overflowed would be due at once."""
    far = INTEGER_MAX - 1
    for length in ("10000h", "10000d", "10000wh", "10000wd"):
        assert period_end(CALENDAR, far, period(length)) == INTEGER_MAX
    assert after(CALENDAR, 0, INTEGER_MAX, working=True) == INTEGER_MAX


# --- laws ----------------------------------------------------------------------------------------


@st.composite
def calendars(draw: st.DrawFn) -> WorkingTime:
    """Any offset, one to three parts of the day, any holidays and worked weekends of some years."""
    days = st.sets(st.integers(20000, 21200), max_size=60)
    marks = draw(st.sets(st.integers(0, 1440), min_size=2, max_size=6).map(sorted))
    parts = tuple(
        (start * 60_000_000, stop * 60_000_000)
        for start, stop in zip(marks[::2], marks[1::2], strict=False)
    )
    return WorkingTime(
        offset_micros=draw(st.integers(-720, 840)) * 60_000_000,
        parts=parts,
        days_off=tuple(sorted(day for day in draw(days) if not is_weekend(day))),
        days_on=tuple(sorted(day for day in draw(days) if is_weekend(day))),
    )


instants = st.integers(20050 * DAY_MICROS, 21150 * DAY_MICROS)
spans = st.integers(1, 400 * DAY_MICROS)


@settings(max_examples=300, deadline=None)
@given(calendars(), instants, spans, st.booleans())
def test_what_is_left_after_adding_is_what_was_added(
    calendar: WorkingTime, start: int, micros: int, working: bool
) -> None:
    """Pause and resume, however often, neither give nor take a microsecond."""
    due = after(calendar, start, micros, working=working)
    assert remaining(calendar, start, due, working=working) == micros
    # And it is the first such instant.
    assert remaining(calendar, start, due - 1, working=working) == micros - 1


@settings(max_examples=200, deadline=None)
@given(calendars(), instants, instants, instants)
def test_working_time_adds_up_and_never_runs_faster_than_time(
    calendar: WorkingTime, one: int, two: int, three: int
) -> None:
    """Else the order in which a clock is paused and looked at would matter."""
    first, second, third = sorted((one, two, three))
    parts = [
        remaining(calendar, start, stop, working=True)
        for start, stop in ((first, second), (second, third), (first, third))
    ]
    assert parts[0] + parts[1] == parts[2]
    assert 0 <= parts[2] <= third - first


@settings(max_examples=200, deadline=None)
@given(
    calendars(),
    instants,
    st.integers(0, 30 * DAY_MICROS),
    st.integers(1, 60),
    st.sampled_from("hd"),
)
def test_who_starts_later_is_due_no_earlier(
    calendar: WorkingTime, start: int, later: int, amount: int, unit: str
) -> None:
    """In all four units: nobody gains by being received later."""
    for working in ("", "w"):
        length = policy_pb2.Period(amount=amount, unit=UNITS[working + unit])
        assert period_end(calendar, start, length) <= period_end(calendar, start + later, length)
        assert period_end(calendar, start, length) > start


@settings(max_examples=100, deadline=None)
@given(calendars(), st.integers(20050, 20900), st.integers(1, 60))
def test_working_days_are_counted_as_one_by_one(
    calendar: WorkingTime, day: int, count: int
) -> None:
    """The closed formula against the plain walk."""
    on, off = set(calendar.days_on), set(calendar.days_off)
    walked, left = day, count
    while left:
        walked += 1
        left -= walked in on if is_weekend(walked) else walked not in off
    assert calendar.nth_day_after(day, count) == walked
