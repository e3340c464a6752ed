"""The clocks of a call while the world around it changes, by worked examples.

Rules and calendars change in mid-call, a town's clock is wrong, a county is away for two days: no
promise that was given may move by it, and a county's outage must not cost its departments' time.
"""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from huying.common.calls.call_clock import Rules, clock_marks, is_due
from huying.common.calls.call_state import ClockKind
from huying.common.policies import shipped_calendar, shipped_policy
from huying.common.working_time import HOUR_MICROS, period_end, working_time
from huying.wire.v1 import calls_pb2
from tests.unit.calls.clock_story import CHINA, ROAD, TOWN, Story, at, handling, shown


def test_a_policy_that_comes_in_mid_call_changes_nothing_of_it() -> None:
    """The call keeps the version of its receipt; the sequencer hands that one in."""
    story = handling()
    pinned = story.policy
    newer = shipped_policy()
    newer.version = 1
    newer.limits[0].answer.amount = 1
    assert story.state.terms.policy_version == 0
    other = Story()
    other.policy = newer
    other.receive("03-02 10:00").dispatch("03-02 14:00")
    assert other.says(ClockKind.ANSWER) == "1 RUNNING 03-03 17:30"
    assert other.state.terms.policy_version == 1
    story.policy = pinned
    story.ask("03-04 10:00").do("03-04 10:00", resume=calls_pb2.Resume(department=ROAD))
    assert story.says(ClockKind.ANSWER) == "1 RUNNING 03-09 17:30"


def test_a_new_calendar_counts_from_the_next_reckoning_on() -> None:
    """What was printed stays printed; a pause and a resume after it count the new holiday."""
    story = handling()
    assert {mark.calendar_version for mark in story.marks} <= {0}
    story.calendar.version = 1
    story.calendar.holidays.append("2026-03-09")
    assert story.says(ClockKind.ANSWER) == "1 RUNNING 03-09 17:30"
    story.ask("03-04 10:00")
    assert story.says(ClockKind.ANSWER) == "1 PAUSED 21h"  # Monday is no working day any more
    assert {mark.calendar_version for mark in story.marks} == {1}


@pytest.mark.parametrize("skew_hours", [-1, 0, 1])
def test_a_clock_that_is_wrong_at_the_town_moves_no_deadline(skew_hours: int) -> None:
    """Only the sequencer's clock counts. The transit that is shown is what it is, even negative."""
    raised = at("03-02 10:00") + skew_hours * HOUR_MICROS  # by the town's clock, one minute before
    story = Story().receive("03-02 10:01").dispatch("03-02 14:00")
    assert story.says(ClockKind.ANSWER) == "1 RUNNING 03-09 17:30"
    transit_minutes = (story.received - raised) // 60_000_000
    assert transit_minutes == 1 - 60 * skew_hours


def test_a_county_that_was_away_for_two_days_gives_them_back() -> None:
    """Down from Tuesday to Thursday noon: each running clock is due two working days later."""
    story = Story().receive("03-02 10:00").dispatch("03-03 11:00")
    assert story.says(ClockKind.ACCEPT) == "1 RUNNING 03-03 16:30"
    story.away("03-03 12:00", "03-05 12:00")
    assert story.says(ClockKind.ACCEPT) == "1 RUNNING 03-05 16:30"
    assert story.says(ClockKind.ANSWER) == "1 RUNNING 03-11 17:30"
    assert shown(story.state.deadline_micros) == "03-11 17:30"


def test_a_weekend_that_the_county_was_away_costs_working_clocks_nothing() -> None:
    """An outage counts in each clock's own time; natural days pass on weekends, too."""
    story = handling().answer("03-05 10:00").confirm("03-06 10:00", resolved=True)
    assert story.says(ClockKind.REOPEN) == "1 RUNNING 04-06 00:00"
    working = handling()
    story.away("03-06 17:30", "03-09 08:30")
    assert story.says(ClockKind.REOPEN) == "1 RUNNING 04-08 15:00"  # 63 hours
    assert working.away("03-06 17:30", "03-09 08:30").marks == ()


def test_the_callers_windows_grow_by_an_outage_too() -> None:
    """Who could not be heard is not late."""
    asked = handling().ask("03-04 10:00").away("03-06 12:00", "03-10 12:00")
    assert asked.says(ClockKind.SUPPLEMENT) == "1 RUNNING 03-11 17:30"
    assert asked.says(ClockKind.ANSWER) == "1 PAUSED 28.5h"  # it stood still as it was
    answered = handling().answer("03-05 10:00").away("03-06 12:00", "03-10 12:00")
    assert answered.says(ClockKind.CONFIRM) == "1 RUNNING 03-16 17:30"


def test_what_was_due_before_an_outage_is_not_extended_by_it() -> None:
    """The county went down after the deadline: the breach stands, and is written at the start."""
    story = handling().away("03-09 18:00", "03-11 12:00")
    assert story.marks == ()
    story.run_out("03-11 12:00", ClockKind.ANSWER)
    assert story.says(ClockKind.YELLOW) == "1 RUNNING 03-12 17:30"  # from when it was written


def test_a_timeout_is_due_just_in_its_generation_and_its_time() -> None:
    """The sequencer refuses one that was drafted before the clock moved."""
    story = handling()
    timeout = calls_pb2.Timeout(clock=calls_pb2.CLOCK_ANSWER, generation=1)
    assert not is_due(story.state, timeout, at("03-09 17:29"))
    assert is_due(story.state, timeout, at("03-09 17:30"))
    later = calls_pb2.Timeout(clock=calls_pb2.CLOCK_ANSWER, generation=2)
    assert not is_due(story.state, later, at("03-10 17:30"))
    assert not is_due(story.ask("03-04 10:00").state, timeout, at("03-10 17:30"))


def test_a_refused_proposal_moves_no_clock() -> None:
    """Nor does a step that speaks of nothing but words."""
    story = handling()
    ref = calls_pb2.EntryRef(origin=TOWN, index=99)
    refused = calls_pb2.CallStep(took=calls_pb2.Took(ref=ref, withdraw=calls_pb2.Withdraw()))
    rules = Rules(story.policy, story.calendar)
    for step in (
        refused,
        calls_pb2.CallStep(),
        calls_pb2.CallStep(note=calls_pb2.Note(text="到场")),
    ):
        assert clock_marks(story.state, step, rules, received_micros=1, now_micros=2) == ()


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(1, 20), min_size=1, max_size=6), st.integers(0, 40))
def test_pausing_and_resuming_any_often_keeps_the_working_time(
    pauses: list[int], offset_hours: int
) -> None:
    """Work done and work left add up to the whole, however the clock was interrupted."""
    calendar = working_time(shipped_calendar())
    story = handling()
    now = at("03-02 15:00") + offset_hours * HOUR_MICROS
    whole = story.clock(ClockKind.ANSWER).due_micros
    total = calendar.worked(whole) - calendar.worked(at("03-02 15:00"))
    worked, since = 0, at("03-02 15:00")
    for hours in pauses:
        clock = story.clock(ClockKind.ANSWER)
        if clock.due_micros <= now:
            break
        worked += calendar.worked(now) - calendar.worked(since)
        story.ask(datetime.fromtimestamp(now / 1e6, CHINA).strftime("%m-%d %H:%M"))
        assert worked + story.clock(ClockKind.ANSWER).remaining_micros == total
        now += hours * HOUR_MICROS
        when = datetime.fromtimestamp(now / 1e6, CHINA).strftime("%m-%d %H:%M")
        story.do(when, resume=calls_pb2.Resume(department=ROAD))
        since = now
        now += hours * HOUR_MICROS


def test_the_shipped_policy_starts_a_clock_for_every_window() -> None:
    """No state waits for ever: what has an end by a window has a length in version 0."""
    policy, calendar = shipped_policy(), working_time(shipped_calendar())
    now = at("03-02 10:00")
    for limits in policy.limits:
        for window in (limits.admit, limits.accept, limits.answer):
            assert period_end(calendar, now, window) > now
    for name in ("supplement", "confirm", "reopen", "extension", "yellow", "red"):
        assert period_end(calendar, now, getattr(policy, name)) > now
