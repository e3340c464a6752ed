"""The life of a call, step by step: who may do what when, what it changes, and why not."""

from __future__ import annotations

import re
from pathlib import Path

from huying.common.calls import (
    OWN_STEPS,
    PROPOSALS,
    CallStage,
    CallState,
    Place,
    Role,
    VoidReason,
)
from huying.common.calls.call_moves import own_changes
from huying.common.calls.call_state import ENDED_STAGES, ClockKind, ClockStatus
from huying.common.errors import Code
from huying.wire.v1 import api_pb2, calls_pb2
from tests.support.call_desk import (
    HELPER,
    LEAD,
    OTHER_TOWN,
    SECOND,
    TOWN,
    TWO,
    VILLAGE,
    step_of,
)
from tests.unit.calls.call_cases import ANSWER, OBJECTION, S, at, refused


def test_the_numbers_are_those_of_the_wire():
    """The stage is stored and sent as a number; two tables must not drift apart."""
    assert {f"CALL_STAGE_{stage.name}": int(stage) for stage in CallStage} == {
        name: number for name, number in api_pb2.CallStage.items() if number
    }
    assert [int(reason) for reason in VoidReason] == [n for _, n in calls_pb2.VoidReason.items()]
    assert [int(kind) for kind in ClockKind] == [n for _, n in calls_pb2.Clock.items() if n]


def test_every_step_on_the_wire_has_a_rule_and_a_move():
    """A step without a rule would be void at every node, and nobody would know why."""
    on_wire = {one.name for one in calls_pb2.CallStep.DESCRIPTOR.oneofs[0].fields}
    assert on_wire == {*OWN_STEPS, *PROPOSALS, "took"} - {"raise"}
    assert {one.name for one in calls_pb2.Took.DESCRIPTOR.oneofs[0].fields} == set(PROPOSALS)
    for kind in OWN_STEPS:
        step = step_of(**{kind: {}})
        if kind == "timeout":
            step.timeout.clock = calls_pb2.CLOCK_ADMIT
        assert isinstance(own_changes(CallState(), step, Place(1, 1)), dict)


def test_the_page_on_calls_says_who_may_do_what_when():
    """docs/CALLS.md is what a county agrees to; it must be what the program does."""
    page = Path("docs/CALLS.md").read_text(encoding="utf-8")
    rows = {
        match[1]: (match[2], match[3])
        for match in re.finditer(
            r"^\| `(\w+)` \|[^|]*\| ([^|]+?) \| ([^|]+?) \|", page, re.MULTILINE
        )
    }

    def stages(found: frozenset[CallStage]) -> str:
        return " ".join(f"`{stage.name}`" for stage in sorted(found))

    for kind, rule in OWN_STEPS.items():
        said, when = rows[kind]
        expected = {*rule.roles} | ({Role.CALLER} if kind in PROPOSALS else set())
        assert {word.strip() for word in said.split(",")} == expected, kind
        assert when in (_ABBREVIATED.get(rule.stages), stages(rule.stages)), kind
    for kind, one in PROPOSALS.items():
        if kind not in OWN_STEPS:
            assert rows[kind][0] == "caller", kind
            assert rows[kind][1] in (_ABBREVIATED.get(one.stages), stages(one.stages)), kind


_OPEN = frozenset(CallStage) - ENDED_STAGES


_ABBREVIATED = {
    _OPEN: "every open one",
    _OPEN - {S.RAISED}: "every open one from `RECEIVED` on",
    frozenset(CallStage) - {S.RAISED}: "every one from `RECEIVED` on",
}


# --- the life ----------------------------------------------------------------------------------


def test_the_shortest_honest_life():
    """Raise, dispatch, answer, confirm: the whole path, with which entry made it so."""
    state = at(S.CONFIRMED).state()
    assert (state.received_at, state.dispatched_at) == (Place(1, 0), Place(1, 1))
    assert (state.answered_at, state.confirmed_at) == (Place(1, 2), Place(1, 3))
    assert (state.admitted_at, state.accepted_at) == (Place(1, 1), Place(1, 2))
    assert (state.department, state.co_handlers) == (LEAD, (HELPER,))
    assert state.parties == (TOWN, VILLAGE)
    assert state.resolved is True
    assert (state.is_open, state.ended_at) == (False, Place(1, 3))
    assert (state.void_count, state.step_count, state.missing_count) == (0, 4, 0)


def test_the_longest_honest_life():
    """Every step there is, in one call: returned and ruled, supplemented, extended, reopened."""
    desk = at(S.ADMITTED, review_required=True, item_required=True)
    desk.do(off_list={"approved_by": "县委书记", "reason": "清单外任务"})
    desk.do(dispatch={"department": LEAD})
    desk.do(objection=OBJECTION)
    desk.do(ruling={"upheld": True})
    assert (desk.state().stage, desk.state().department) == (S.ADMITTED, "")
    desk.do(dispatch={"department": SECOND, "co_handlers": [HELPER], "duty_item": "12"})
    desk.do(objection={"department": SECOND, "reason": "属乡镇职责"})
    desk.do(ruling={"department": SECOND, "reason": "首接负责"})
    assert (desk.state().stage, desk.state().assigned) == (S.DISPATCHED, True)
    desk.do(accept={"department": SECOND})
    desk.do(note={"department": HELPER, "text": "已现场查看"})
    desk.do(supplement_request={"department": SECOND, "text": "请提供管线图"})
    assert desk.propose(supplement={"text": "管线图编号3"}).accepted
    desk.do(reply={"department": HELPER, "text": "水质合格"})
    desk.do(extension_request={"department": SECOND, "reason": "需停水施工"})
    desk.do(extension_decision={"granted": True})
    desk.do(urge={"reason": "群众再次来电"})
    assert desk.propose(urge={}).accepted
    desk.do(supervise={"supervision_level": calls_pb2.SUPERVISION_LEVEL_LISTED})
    desk.do(card={"colour": calls_pb2.CARD_COLOUR_YELLOW, "department": SECOND, "reason": "推诿"})
    desk.do(party={"code": OTHER_TOWN, "role": calls_pb2.PARTY_ROLE_CO_HANDLER})
    desk.do(answer={"department": SECOND, "text": "已换管"})
    desk.do(review={"sent": True})
    assert desk.propose(confirm={"resolved": True, "satisfaction": 3}).accepted
    assert desk.propose(rate={"response": 4, "manner": 5}).accepted
    assert desk.propose(reopen={"reason": "又停水"}).accepted
    desk.do(dispatch={"department": SECOND, "duty_item": "12"})
    assert desk.state().assigned  # whom a ruling bound stays bound
    desk.do(answer={"department": SECOND, "text": "已更换阀门"})
    desk.do(review={"sent": True})
    assert desk.propose(confirm={"resolved": False}).accepted
    desk.do(closure={"reason": calls_pb2.CLOSURE_REASON_EXHAUSTED})
    state = desk.state()
    assert (state.stage, state.resolved, state.void_count) == (S.CLOSED, False, 0)
    assert (state.objected, state.replied) == ((LEAD, SECOND), ())
    assert (state.extensions, state.reopens, state.urges) == (1, 1, 2)
    assert (state.supervision, state.card) == (2, 1)
    assert state.joined == (OTHER_TOWN,)
    assert state.step_count == len([one for one in desk.written if "CallStep" in str(type(one[1]))])
    assert state.missing_count == 0


def test_an_unresolved_call_is_answered_again_and_confirmed_again():
    """回访 is worth something only where 'not resolved' sends the call back."""
    desk = at(S.UNRESOLVED)
    first = desk.state().first_answered_at
    desk.do(answer=ANSWER)
    assert (desk.state().stage, desk.state().resolved) == (S.ANSWERED, None)
    assert desk.propose(confirm={"resolved": True, "satisfaction": 4, "manner": 2}).accepted
    state = desk.state()
    assert (state.stage, state.satisfaction, state.response, state.manner) == (S.CONFIRMED, 4, 0, 2)
    assert state.first_answered_at == first != state.answered_at


def test_an_upheld_objection_frees_the_department_and_a_ruling_binds_it():
    """首接负责 until the ruling; 被指定的部门不得再退."""
    desk = at(S.OBJECTED)
    assert desk.state().department == LEAD
    desk.do(ruling={"department": HELPER})
    state = desk.state()
    assert (state.department, state.co_handlers, state.assigned) == (HELPER, (), True)
    error = refused(desk, objection={"department": HELPER, "reason": "不属"})
    assert error.code is Code.WRONG_STAGE
    assert "may not return" in error.detail


def test_a_department_objects_once_and_a_call_is_objected_to_a_few_times():
    """A call that everybody may push on lands nowhere."""
    desk = at(S.OBJECTED, objections_max=3)
    desk.do(ruling={"upheld": True})
    desk.do(dispatch={"department": LEAD})
    assert "objected once" in refused(desk, objection=OBJECTION).detail
    desk = at(S.OBJECTED, objections_max=1)
    desk.do(ruling={"upheld": True})
    desk.do(dispatch={"department": SECOND})
    error = refused(desk, objection={"department": SECOND, "reason": "不属"})
    assert "as often as its terms allow" in error.detail


def test_an_objection_after_its_time_is_refused():
    """签收 or 异议 within the hours that the policy gives, and then it is accepted or answered."""
    desk = at(S.DISPATCHED)
    desk.run_out(ClockKind.ACCEPT)
    assert "time to accept or object is over" in refused(desk, objection=OBJECTION).detail
    desk.do(accept={"department": LEAD})
    accept = desk.state().clock(ClockKind.ACCEPT)
    assert accept is not None
    assert accept.breaches == 1


def test_a_task_on_no_list_needs_an_item_or_an_approval():
    """准入: nobody hands a task down that is on no list, unless the leader lets it through."""
    desk = at(S.RECEIVED, item_required=True)
    assert refused(desk, dispatch={"department": LEAD}).code is Code.INVALID_ARGUMENT
    desk.do(off_list={"approved_by": "分管县长", "reason": "应急"})
    desk.do(dispatch={"department": LEAD})
    assert desk.state().off_list
    desk = at(S.RECEIVED, item_required=True)
    desk.do(dispatch={"department": LEAD, "duty_item": "3.7"})
    assert desk.state().duty_item == "3.7"


def test_a_supplement_pauses_the_answer_clock_and_its_arrival_goes_on():
    """The county's time stands still while it is the town's turn."""
    desk = at(S.HANDLING)
    desk.do(supplement_request={"department": LEAD, "text": "位置?"})
    answer, wait = (desk.state().clock(k) for k in (ClockKind.ANSWER, ClockKind.SUPPLEMENT))
    assert answer is not None
    assert wait is not None
    assert (answer.status, wait.status) == (ClockStatus.PAUSED, ClockStatus.RUNNING)
    assert (
        "awaited already"
        in refused(desk, supplement_request={"department": LEAD, "text": "?"}).detail
    )
    assert desk.propose(supplement={"text": "村口"}).accepted
    assert not desk.state().awaiting_supplement
    assert desk.propose(supplement={"text": "再补"}).reason == VoidReason.WRONG_STAGE
    error = refused(desk, resume={"department": LEAD})
    assert "no supplement is awaited" in error.detail


def test_a_supplement_after_its_window_is_too_late():
    """Late if and only if it is taken after the timeout, whatever the town's clock says."""
    desk = at(S.HANDLING)
    desk.do(supplement_request={"department": LEAD, "text": "位置?"})
    desk.run_out(ClockKind.SUPPLEMENT)
    assert not desk.state().awaiting_supplement
    answer = desk.state().clock(ClockKind.ANSWER)
    assert answer is not None
    assert answer.status is ClockStatus.RUNNING
    assert desk.propose(supplement={"text": "村口"}).reason == VoidReason.TOO_LATE
    desk.do(supplement_request={"department": LEAD, "text": "还是要"})
    assert desk.propose(supplement={"text": "村口"}).accepted


def test_an_extension_is_asked_once_at_a_time_as_often_as_allowed_and_in_time():
    """延期: with reason, before the deadline, granted or refused by the centre."""
    desk = at(S.HANDLING, extensions_max=1)
    ask = {"department": LEAD, "reason": "汛期"}
    assert "no extension was asked" in refused(desk, extension_decision={"granted": True}).detail
    due = desk.state().deadline_micros
    desk.do(extension_request=ask)
    assert "already" in refused(desk, extension_request=ask).detail
    desk.do(extension_decision={"granted": False})
    assert desk.state().deadline_micros == due
    desk.do(extension_request=ask)
    desk.do(extension_decision={"granted": True})
    assert desk.state().deadline_micros > due
    assert "as many as" in refused(desk, extension_request=ask).detail


def test_what_was_breached_is_not_extended():
    """A breach is decided once; nothing that is granted afterwards undoes it."""
    desk = at(S.HANDLING)
    desk.do(extension_request={"department": LEAD, "reason": "汛期"})
    desk.run_out(ClockKind.ANSWER)
    assert "refuse it" in refused(desk, extension_decision={"granted": True}).detail
    desk.do(extension_decision={"granted": False})
    assert (
        "run out" in refused(desk, extension_request={"department": LEAD, "reason": "汛期"}).detail
    )


def test_a_breach_is_decided_once_and_the_cards_follow():
    """红黄牌: by thresholds from the breach on, each at most once for a generation."""
    desk = at(S.HANDLING)
    desk.run_out(ClockKind.ANSWER)
    answer = desk.state().clock(ClockKind.ANSWER)
    assert answer is not None
    assert (answer.status, answer.breaches) == (ClockStatus.EXPIRED, 1)
    again = {"clock": int(ClockKind.ANSWER), "generation": answer.generation}
    assert refused(desk, timeout=again).code is Code.WRONG_STAGE
    desk.run_out(ClockKind.YELLOW)
    assert desk.state().card == calls_pb2.CARD_COLOUR_YELLOW
    desk.run_out(ClockKind.RED)
    assert desk.state().card == calls_pb2.CARD_COLOUR_RED
    desk.do(answer=ANSWER)
    assert desk.state().stage is S.ANSWERED


def test_silence_closes_and_says_so_and_a_late_confirmation_is_too_late():
    """逾期未回访: the call ends, unresolved by nobody's word, and may still be reopened."""
    desk = at(S.ANSWERED)
    desk.run_out(ClockKind.CONFIRM)
    state = desk.state()
    assert (state.stage, state.resolved, state.confirmed_at) == (S.CLOSED, None, None)
    assert desk.propose(confirm={"resolved": True}).reason == VoidReason.TOO_LATE
    assert desk.propose(rate={"satisfaction": 2}).accepted
    assert desk.propose(reopen={"reason": "没修好"}).accepted
    assert (desk.state().stage, desk.state().resolved) == (S.UNRESOLVED, False)


def test_a_confirmed_call_closes_when_it_may_be_reopened_no_more():
    """重办 has a window; past it the call is at rest, and so are its ratings."""
    desk = at(S.CONFIRMED)
    ended = desk.state().ended_at
    desk.run_out(ClockKind.REOPEN)
    assert (desk.state().stage, desk.state().ended_at) == (S.CLOSED, ended)
    assert desk.propose(reopen={"reason": "又坏了"}).reason == VoidReason.TOO_LATE
    assert desk.propose(rate={"satisfaction": 1}).reason == VoidReason.TOO_LATE


def test_a_call_is_reopened_as_often_as_its_terms_allow():
    """A call without an end is no call; the terms it was received by say how often."""
    desk = at(S.CONFIRMED, reopens_max=1)
    assert desk.propose(reopen={"reason": "又停水"}).accepted
    assert desk.state().ended_at is None
    desk.do(answer=ANSWER)
    desk.propose(confirm={"resolved": True})
    assert desk.propose(reopen={"reason": "又停水"}).reason == VoidReason.TOO_OFTEN


def test_a_declined_call_may_be_appealed():
    """不予受理 is not the county's last word, where the window and the terms allow."""
    desk = at(S.DECLINED)
    assert desk.propose(reopen={"reason": "不是重复"}).accepted
    state = desk.state()
    assert (state.stage, state.admitted_at, state.reopens) == (S.RECEIVED, None, 1)
    desk.do(dispatch={"department": LEAD})
    desk = at(S.DECLINED)
    desk.run_out(ClockKind.REOPEN)
    assert desk.state().stage is S.DECLINED
    assert desk.propose(reopen={"reason": "不是重复"}).reason == VoidReason.TOO_LATE


def test_a_merged_call_says_where_it_went_on():
    """并案: the duplicate's clocks stop, and whoever asks is led to the other call."""
    state = at(S.MERGED).state()
    assert state.merged_into == (TOWN, TWO)
    assert all(clock.status is not ClockStatus.RUNNING for clock in state.clocks)


def test_an_outage_moves_the_windows_and_nothing_else():
    """A county that was away for two days must not make the town late."""
    desk = at(S.ANSWERED)
    before = desk.state()
    start = int(desk.clock.seconds * 1e6)
    desk.do(outage={"from_micros": start, "until_micros": start + 2 * 86_400_000_000})
    after = desk.state()
    confirm = [state.clock(ClockKind.CONFIRM) for state in (before, after)]
    assert confirm[0] is not None
    assert confirm[1] is not None
    assert confirm[1].due_micros > confirm[0].due_micros
    assert (after.stage, after.void_count) == (before.stage, before.void_count)
    assert refused(desk, outage={"from_micros": 2, "until_micros": 1}).code is Code.INVALID_ARGUMENT


def test_a_card_and_a_supervision_only_ever_rise():
    """What was held against a department is not taken back by a milder step."""
    desk = at(S.HANDLING)
    for level, colour in ((3, 2), (1, 1)):
        desk.do(supervise={"supervision_level": level})
        desk.do(card={"colour": colour, "department": LEAD, "reason": "推诿"})
    assert (desk.state().supervision, desk.state().card) == (3, 2)
