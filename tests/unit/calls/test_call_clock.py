"""The clocks of a call: worked examples, step by step, through the fold that every node uses.

Each example is a call that lives through a few steps at given times, and what is compared is what
the fold then says: a person may be blamed by it.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from huying.common.calls.call_clock import Rules, clock_marks
from huying.common.calls.call_state import CallStage, ClockKind
from huying.wire.v1 import calls_pb2, policy_pb2
from tests.unit.calls.clock_story import (
    PAUSED,
    ROAD,
    RUNNING,
    STOPPED,
    TOWN,
    WATER,
    Story,
    at,
    handling,
    shown,
)


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
