"""The clocks of a call: worked examples, step by step, through the fold that every node uses.

Each example is a call that lives through a few steps at given times. The marks are reckoned as the
sequencer does, printed in the step, and folded; what is compared is what the fold then says.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from huying.common.calls import SequencedStep, advance
from huying.common.calls.call_clock import Rules, clock_marks, is_due, step_name, terms_of
from huying.common.calls.call_state import CallStage, CallState, ClockKind, ClockState, ClockStatus
from huying.common.policies import shipped_calendar, shipped_policy
from huying.common.working_time import HOUR_MICROS, period_end, working_time
from huying.wire.v1 import calls_pb2, policy_pb2

CHINA = timezone(timedelta(hours=8))
TOWN = "370830100000"
COUNTY = "370830000000"
CALL = bytes(range(16))
RUNNING, PAUSED = ClockStatus.RUNNING, ClockStatus.PAUSED
STOPPED, EXPIRED = ClockStatus.STOPPED, ClockStatus.EXPIRED
ROAD, WATER = "交通局", "水务局"


def at(text: str) -> int:
    """Unix microseconds of a local time of 2026, as 03-02 10:00."""
    return int(datetime.fromisoformat(f"2026-{text}").replace(tzinfo=CHINA).timestamp()) * 10**6


def shown(micros: int) -> str:
    return datetime.fromtimestamp(micros / 1e6, UTC).astimezone(CHINA).strftime("%m-%d %H:%M")


class Story:
    """One call at its sequencer; `policy` and `calendar` may be changed on the way."""

    def __init__(self, **changes: Any) -> None:
        self.policy = shipped_policy()
        for name, value in changes.items():
            setattr(self.policy, name, value)
        self.calendar = shipped_calendar()
        self.state = CallState()
        self.received = 0
        self.marks: tuple[calls_pb2.ClockMark, ...] = ()

    def do(self, when: str, **step: Any) -> Story:
        """One step of the sequencer, at a local time."""
        message = calls_pb2.CallStep(call=CALL, caller=TOWN, **step)
        now = at(when)
        rules = Rules(self.policy, self.calendar)
        message.number = self.state.step_count + 1
        self.marks = clock_marks(
            self.state, message, rules, received_micros=self.received, now_micros=now
        )
        message.clocks.extend(self.marks)
        before = self.state
        self.state = advance(before, SequencedStep(message.number, message))
        assert self.state.void_count == before.void_count, f"{step_name(message)} is out of place"
        return self

    def took(self, when: str, **proposal: Any) -> Story:
        """A proposal of the town that is accepted."""
        ref = calls_pb2.EntryRef(origin=TOWN, index=self.state.step_count)
        return self.do(when, took=calls_pb2.Took(ref=ref, accepted=True, **proposal))

    def receive(self, when: str, urgency: int = 0) -> Story:
        raised = calls_pb2.Raise(
            terms=terms_of(self.policy), urgency=policy_pb2.Urgency.ValueType(urgency)
        )
        self.took(when, **{"raise": raised})
        self.received = at(when)
        return self

    def dispatch(self, when: str, department: str = ROAD, **more: Any) -> Story:
        return self.do(when, dispatch=calls_pb2.Dispatch(department=department, **more))

    def accept(self, when: str) -> Story:
        return self.do(when, accept=calls_pb2.Accept(department=self.state.department))

    def ask(self, when: str) -> Story:
        request = calls_pb2.SupplementRequest(department=self.state.department, text="照片")
        return self.do(when, supplement_request=request)

    def answer(self, when: str) -> Story:
        return self.do(when, answer=calls_pb2.Answer(department=self.state.department, text="已修"))

    def confirm(self, when: str, *, resolved: bool) -> Story:
        return self.took(when, confirm=calls_pb2.Confirm(resolved=resolved))

    def run_out(self, when: str, kind: ClockKind) -> Story:
        """The timer's step; the clock must be due by then."""
        timeout = calls_pb2.Timeout(
            clock=calls_pb2.Clock.ValueType(kind), generation=self.clock(kind).generation
        )
        assert is_due(self.state, timeout, at(when)), f"{kind.name}: {self.says(kind)}"
        return self.do(when, timeout=timeout)

    def away(self, since: str, until: str) -> Story:
        outage = calls_pb2.Outage(from_micros=at(since), until_micros=at(until))
        return self.do(until, outage=outage)

    def clock(self, kind: ClockKind) -> ClockState:
        found = self.state.clock(kind)
        assert found is not None, f"{kind.name} never ran"
        return found

    def says(self, kind: ClockKind) -> str:
        """As "1 RUNNING 03-09 17:30", "1 PAUSED 7.5h", "never"."""
        clock = self.state.clock(kind)
        if clock is None:
            return "never"
        status = f"{clock.generation} {clock.status.name}"
        if clock.status is PAUSED:
            return f"{status} {clock.remaining_micros / HOUR_MICROS:g}h"
        return f"{status} {shown(clock.due_micros)}"


def handling(**changes: Any) -> Story:
    """Received on Monday March 2nd at 10:00, with the department from 15:00 on."""
    return Story(**changes).receive("03-02 10:00").dispatch("03-02 14:00").accept("03-02 15:00")


# --- the life, step by step ----------------------------------------------------------------------


def test_the_answer_is_reckoned_from_the_receipt_and_not_from_the_dispatch() -> None:
    """What the centre takes to hand the call on is the county's time, not the caller's."""
    story = Story().receive("03-02 10:00")
    assert story.says(ClockKind.ADMIT) == "1 RUNNING 03-02 15:30"  # 2 h, noon, 2 h
    story.do("03-02 11:00", admit=calls_pb2.Admit())
    assert story.says(ClockKind.ADMIT) == "1 STOPPED 03-02 15:30"
    story.dispatch("03-04 16:00")
    assert story.says(ClockKind.ACCEPT) == "1 RUNNING 03-05 11:00"  # 1.5 h and 2.5 h
    assert story.says(ClockKind.ANSWER) == "1 RUNNING 03-09 17:30"  # five days after Monday
    assert shown(story.state.deadline_micros) == "03-09 17:30"


def test_an_urgent_call_has_the_limits_of_its_urgency() -> None:
    """The centre's word counts over the caller's, from the dispatch on."""
    story = Story().receive("03-02 10:00", policy_pb2.URGENCY_URGENT)
    assert story.says(ClockKind.ADMIT) == "1 RUNNING 03-02 12:00"
    story.dispatch("03-02 11:00", urgency=policy_pb2.URGENCY_CRITICAL)
    assert story.says(ClockKind.ACCEPT) == "1 RUNNING 03-02 12:00"
    assert story.says(ClockKind.ANSWER) == "1 RUNNING 03-03 10:00"  # 24 natural hours


def test_a_deadline_that_the_centre_names_is_the_answers() -> None:
    """The policy says what holds where nobody says otherwise."""
    story = (
        Story().receive("03-02 10:00").dispatch("03-02 11:00", deadline_micros=at("03-04 12:00"))
    )
    assert story.says(ClockKind.ANSWER) == "1 RUNNING 03-04 12:00"


def test_accepting_stops_the_window_for_objections() -> None:
    """Past it nobody may object; who accepted has no need to."""
    assert handling().says(ClockKind.ACCEPT) == "1 STOPPED 03-03 09:00"
    assert handling().says(ClockKind.ANSWER) == "1 RUNNING 03-09 17:30"


def test_a_supplement_gives_back_what_was_left_of_the_answer() -> None:
    """Asked on Wednesday at 10:00, given on Friday at 15:00: two days and five hours later."""
    story = handling().ask("03-04 10:00")
    # 6 h of Wednesday, and Thursday, Friday, Monday.
    assert story.says(ClockKind.ANSWER) == "1 PAUSED 28.5h"
    assert story.says(ClockKind.SUPPLEMENT) == "1 RUNNING 03-09 17:30"
    story.took("03-06 15:00", supplement=calls_pb2.Supplement(text="见附件"))
    assert story.says(ClockKind.SUPPLEMENT) == "1 STOPPED 03-09 17:30"
    assert story.says(ClockKind.ANSWER) == "1 RUNNING 03-12 12:00"


def test_a_pause_over_a_month_end_and_a_holiday_counts_working_time_alone() -> None:
    """Asked before Spring Festival, due on March 2nd in the end: no working hour is lost."""
    story = Story().receive("02-12 09:00").dispatch("02-12 10:00").accept("02-12 11:00")
    assert story.says(ClockKind.ANSWER) == "1 RUNNING 02-26 17:30"  # 13, 14, 24, 25, 26
    story.ask("02-13 17:30")
    assert story.says(ClockKind.ANSWER) == "1 PAUSED 30h"  # the 14th, 24th, 25th, 26th
    assert story.says(ClockKind.SUPPLEMENT) == "1 RUNNING 02-25 17:30"  # 14, 24, 25
    story.do("02-25 12:00", resume=calls_pb2.Resume(department=ROAD))
    # Half a day of the 25th, the 26th, the 27th, Saturday the 28th, half a day of March 2nd.
    assert story.says(ClockKind.ANSWER) == "1 RUNNING 03-02 12:00"


def test_a_caller_who_does_not_supplement_in_time_lets_the_department_go_on() -> None:
    """The window is the caller's; when it closes the answer's clock runs again."""
    story = handling().ask("03-04 10:00").run_out("03-10 08:30", ClockKind.SUPPLEMENT)
    assert story.says(ClockKind.SUPPLEMENT) == "1 EXPIRED 03-09 17:30"
    assert story.says(ClockKind.ANSWER) == "1 RUNNING 03-13 16:00"
    assert not story.state.awaiting_supplement


def test_an_extension_is_added_to_the_deadline() -> None:
    """Five working days more, in working days."""
    story = handling().do(
        "03-06 10:00", extension_request=calls_pb2.ExtensionRequest(department=ROAD, reason="待料")
    )
    granted = calls_pb2.ExtensionDecision(granted=True)
    story.do("03-06 11:00", extension_decision=granted)
    assert story.says(ClockKind.ANSWER) == "1 RUNNING 03-16 17:30"
    assert shown(story.state.deadline_micros) == "03-16 17:30"


def test_a_refused_extension_moves_nothing() -> None:
    """Nor does asking for one."""
    request = calls_pb2.ExtensionRequest(department=ROAD, reason="待料")
    story = handling().do("03-06 10:00", extension_request=request)
    story.do("03-06 11:00", extension_decision=calls_pb2.ExtensionDecision(reason="不准"))
    assert story.says(ClockKind.ANSWER) == "1 RUNNING 03-09 17:30"


def test_an_extension_counts_the_same_before_and_after_the_supplement() -> None:
    """Granted while the clock stands still, it adds to what is left."""
    request = calls_pb2.ExtensionRequest(department=ROAD, reason="待料")
    granted = calls_pb2.ExtensionDecision(granted=True)
    while_paused = handling().ask("03-04 10:00").do("03-04 10:00", extension_request=request)
    while_paused.do("03-04 10:00", extension_decision=granted)
    assert while_paused.says(ClockKind.ANSWER) == "1 PAUSED 66h"
    while_paused.do("03-04 10:00", resume=calls_pb2.Resume(department=ROAD))
    assert while_paused.says(ClockKind.ANSWER) == "1 RUNNING 03-16 17:30"


def test_nothing_revives_an_answer_that_ran_out() -> None:
    """A breach is decided once; an extension that comes later does not undo it."""
    request = calls_pb2.ExtensionRequest(department=ROAD, reason="待料")
    story = handling().do("03-09 17:00", extension_request=request)
    story.run_out("03-09 17:30", ClockKind.ANSWER)
    granted = calls_pb2.CallStep(extension_decision=calls_pb2.ExtensionDecision(granted=True))
    rules, now = Rules(story.policy, story.calendar), at("03-10 09:00")
    assert clock_marks(story.state, granted, rules, received_micros=1, now_micros=now) == ()
    assert story.says(ClockKind.ANSWER) == "1 EXPIRED 03-09 17:30"
    assert story.clock(ClockKind.ANSWER).breaches == 1


def test_a_breach_starts_the_cards_and_the_answer_stops_them() -> None:
    """黄牌 one working day after the breach, 红牌 after three, by the shipped policy."""
    story = handling().run_out("03-09 17:30", ClockKind.ANSWER)
    assert story.says(ClockKind.YELLOW) == "1 RUNNING 03-10 17:30"
    assert story.says(ClockKind.RED) == "1 RUNNING 03-12 17:30"
    story.run_out("03-10 17:30", ClockKind.YELLOW)
    assert story.state.card == calls_pb2.CARD_COLOUR_YELLOW
    story.answer("03-11 09:00")
    assert story.says(ClockKind.RED) == "1 STOPPED 03-12 17:30"
    assert story.says(ClockKind.CONFIRM) == "1 RUNNING 03-18 17:30"


def test_under_review_the_answers_clock_stands_still() -> None:
    """The department has done its part; returned for rework, it has what it had left."""
    story = handling(review_required=True).answer("03-05 10:00")
    assert story.says(ClockKind.ANSWER) == "1 PAUSED 21h"
    assert story.says(ClockKind.CONFIRM) == "never"
    story.do("03-09 10:00", review=calls_pb2.Review(reason="无照片"))
    assert story.says(ClockKind.ANSWER) == "1 RUNNING 03-11 17:30"
    story.answer("03-11 10:00").do("03-12 10:00", review=calls_pb2.Review(sent=True, text="已修"))
    assert story.clock(ClockKind.ANSWER).status is STOPPED
    assert story.says(ClockKind.CONFIRM) == "1 RUNNING 03-19 17:30"


def test_late_and_under_review_no_card_comes_meanwhile() -> None:
    """YELLOW and RED stand still and go on with the answer's clock."""
    story = handling(review_required=True).run_out("03-09 17:30", ClockKind.ANSWER)
    story.answer("03-10 12:00")
    assert story.says(ClockKind.YELLOW) == "1 PAUSED 4h"
    story.do("03-12 08:30", review=calls_pb2.Review(reason="无照片"))
    assert story.says(ClockKind.YELLOW) == "1 RUNNING 03-12 14:00"


def test_a_ruling_gives_the_assigned_department_a_clock_of_its_own() -> None:
    """Assigned: from the ruling on, in another generation, and no objection any more."""
    story = Story().receive("03-02 10:00").dispatch("03-02 14:00")
    story.do("03-02 15:00", objection=calls_pb2.Objection(department=ROAD, reason="非我职责"))
    assert story.says(ClockKind.ACCEPT) == "1 STOPPED 03-03 09:00"
    assert story.says(ClockKind.ANSWER) == "1 RUNNING 03-09 17:30"  # 首接负责: it runs on
    story.do("03-04 10:00", ruling=calls_pb2.Ruling(department=WATER, reason="职责清单"))
    assert story.says(ClockKind.ACCEPT) == "2 RUNNING 03-04 15:30"
    assert story.says(ClockKind.ANSWER) == "2 RUNNING 03-11 17:30"


def test_a_dispatch_after_an_upheld_objection_starts_the_answer_anew() -> None:
    """Upheld: nobody's clock runs until the call is dispatched again."""
    story = Story().receive("03-02 10:00").dispatch("03-02 14:00")
    story.do("03-02 15:00", objection=calls_pb2.Objection(department=ROAD, reason="非我职责"))
    story.do("03-03 10:00", ruling=calls_pb2.Ruling(upheld=True, reason="确非"))
    assert story.says(ClockKind.ANSWER) == "1 STOPPED 03-09 17:30"
    story.dispatch("03-04 10:00", WATER)
    assert story.says(ClockKind.ANSWER) == "2 RUNNING 03-11 17:30"
    assert story.says(ClockKind.ACCEPT) == "2 RUNNING 03-04 15:30"


def test_unresolved_begins_another_answer_and_resolved_opens_the_window_to_reopen() -> None:
    """Each answer has a clock of its own, and the breaches of all of them are counted."""
    story = handling().answer("03-05 10:00").confirm("03-06 10:00", resolved=False)
    assert story.says(ClockKind.CONFIRM) == "1 STOPPED 03-12 17:30"
    assert story.says(ClockKind.ANSWER) == "2 RUNNING 03-13 17:30"
    story.run_out("03-13 17:31", ClockKind.ANSWER).answer("03-16 10:00")
    story.confirm("03-17 10:00", resolved=True)
    assert story.says(ClockKind.REOPEN) == "1 RUNNING 04-17 00:00"  # 30 days, to midnight
    story.took("04-01 10:00", reopen=calls_pb2.Reopen(reason="又漏水"))
    assert story.says(ClockKind.REOPEN) == "1 STOPPED 04-17 00:00"
    assert story.says(ClockKind.ANSWER) == "3 RUNNING 04-09 17:30"  # over Qingming
    assert story.clock(ClockKind.ANSWER).breaches == 1


def test_silence_past_the_window_closes_and_may_still_be_reopened() -> None:
    """The caller's turn ended; closing does not take the other window away."""
    story = handling().answer("03-05 10:00").run_out("03-12 17:30", ClockKind.CONFIRM)
    assert story.state.stage is CallStage.CLOSED
    assert story.says(ClockKind.REOPEN) == "1 RUNNING 04-12 00:00"
    story.run_out("04-12 00:00", ClockKind.REOPEN)
    assert not [clock for clock in story.state.clocks if clock.status is RUNNING]


def test_closing_a_confirmed_call_leaves_its_window_as_it_is() -> None:
    """Else the centre could shorten, or lengthen, the caller's window."""
    story = handling().answer("03-05 10:00").confirm("03-06 10:00", resolved=True)
    opened = story.says(ClockKind.REOPEN)
    confirmed = calls_pb2.CLOSURE_REASON_CONFIRMED
    story.do("03-20 10:00", closure=calls_pb2.Closure(reason=confirmed))
    assert story.says(ClockKind.REOPEN) == opened


def test_an_appeal_is_received_anew() -> None:
    """Declined, reopened, admitted after all: the first answer is not late from the start."""
    story = Story().receive("03-02 10:00")
    reason = calls_pb2.DECLINE_REASON_BEYOND_DUTY
    story.do("03-02 11:00", decline=calls_pb2.Decline(reason=reason))
    assert story.says(ClockKind.ADMIT) == "1 STOPPED 03-02 15:30"
    assert story.says(ClockKind.REOPEN) == "1 RUNNING 04-02 00:00"
    story.took("03-20 10:00", reopen=calls_pb2.Reopen(reason="属职责清单第8项"))
    assert story.says(ClockKind.ADMIT) == "2 RUNNING 03-20 15:30"
    story.dispatch("03-20 11:00")
    assert story.says(ClockKind.ANSWER) == "1 RUNNING 03-27 17:30"


ENDS: dict[str, Callable[[Story], Story]] = {
    "withdrawn": lambda story: story.took("03-05 10:00", withdraw=calls_pb2.Withdraw()),
    "merged": lambda story: story.do(
        "03-05 10:00", merge=calls_pb2.Merge(into=bytes(16), into_caller=TOWN, reason="同一事")
    ),
}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("before", ["handling", "waiting", "late"])
def test_an_end_stops_every_clock(end: str, before: str) -> None:
    """The duplicate's clock stops, whatever it did; nothing runs out in a call that is over."""
    story = handling()
    if before == "waiting":
        story.ask("03-04 10:00")
    elif before == "late":
        story.run_out("03-09 17:30", ClockKind.ANSWER)
    ENDS[end](story)
    assert not [clock for clock in story.state.clocks if clock.status in (RUNNING, PAUSED)]


# --- rules that change, clocks that disagree, a county that is away ---------------------------


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
