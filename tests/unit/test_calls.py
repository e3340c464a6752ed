"""The life of a call, step by step: who may do what when, what it changes, and why not."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huying.common.calls import (
    OWN_STEPS,
    PROPOSALS,
    CallStage,
    CallState,
    Place,
    Proposal,
    Role,
    SequencedStep,
    Verdict,
    VoidReason,
    advance,
    allowed_steps,
    check_own_step,
    check_proposal,
    fold,
    judge,
)
from huying.common.calls.call_drafts import raise_draft, step_draft
from huying.common.calls.call_moves import own_changes
from huying.common.calls.call_state import ENDED_STAGES, CallTerms, ClockKind, ClockStatus
from huying.common.errors import Code, HuyingError
from huying.common.limits import ENTRY_BYTES_MAX, TEXT_CHARACTERS_MAX
from huying.common.policies import shipped_policy
from huying.wire.v1 import api_pb2, calls_pb2
from tests.unit.call_desk import (
    COUNTY,
    HELPER,
    LEAD,
    ONE,
    OTHER_TOWN,
    SECOND,
    THIRD_TOWN,
    TOWN,
    TWO,
    VILLAGE,
    Desk,
    call_of,
    feed_of,
    step_of,
)

S = CallStage
ANSWER = {"department": LEAD, "text": "已修复"}
ANSWERED_BY_LEAD = step_of(answer=ANSWER)
OBJECTION = {"department": LEAD, "reason": "不属本部门职责"}
RESOLVED = step_of(confirm={"resolved": True})

# How to bring a call to each stage by the shortest way.
WAYS = {
    S.RAISED: (),
    S.RECEIVED: ("raise",),
    S.ADMITTED: ("raise", "admit"),
    S.DISPATCHED: ("raise", "dispatch"),
    S.OBJECTED: ("raise", "dispatch", "objection"),
    S.HANDLING: ("raise", "dispatch", "accept"),
    S.REVIEW: ("raise", "dispatch", "answer"),
    S.ANSWERED: ("raise", "dispatch", "answer"),
    S.CONFIRMED: ("raise", "dispatch", "answer", "resolved"),
    S.UNRESOLVED: ("raise", "dispatch", "answer", "unresolved"),
    S.CLOSED: ("raise", "dispatch", "answer", "resolved", "close"),
    S.DECLINED: ("raise", "decline"),
    S.WITHDRAWN: ("raise", "withdraw"),
    S.MERGED: ("raise", "merge"),
}


def at(stage: CallStage, **terms) -> Desk:
    """A desk with a call brought to the stage; `terms` are the policy's."""
    policy = shipped_policy()
    policy.review_required = stage is S.REVIEW
    for name, value in terms.items():
        setattr(policy, name, value)
    desk = Desk(policy)
    acts: dict[str, Callable[[], Any]] = {
        "raise": desk.raise_,
        "admit": lambda: desk.do(admit={}),
        "dispatch": lambda: desk.do(dispatch={"department": LEAD, "co_handlers": [HELPER]}),
        "objection": lambda: desk.do(objection=OBJECTION),
        "accept": lambda: desk.do(accept={"department": LEAD}),
        "answer": lambda: desk.do(answer=ANSWER),
        "resolved": lambda: desk.propose(confirm={"resolved": True}),
        "unresolved": lambda: desk.propose(confirm={"resolved": False}),
        "close": lambda: desk.do(closure={"reason": calls_pb2.CLOSURE_REASON_CONFIRMED}),
        "decline": lambda: desk.do(decline={"reason": calls_pb2.DECLINE_REASON_DUPLICATE}),
        "withdraw": lambda: desk.propose(withdraw={}),
        "merge": lambda: (
            desk.raise_(TWO),
            desk.do(merge={"into": TWO, "into_caller": TOWN}),
        ),
    }
    for act in WAYS[stage]:
        acts[act]()
    assert desk.state().stage is stage
    return desk


def refused(desk: Desk, **kind) -> HuyingError:
    """A step that must be refused, at the desk; and it counts for nothing in the fold either."""
    before = desk.state()
    with pytest.raises(HuyingError) as e:
        desk.do(**kind)
    assert desk.state() == before
    void = advance(before, SequencedStep(99, step_of(**kind)))
    assert void.void_count == before.void_count + 1
    assert void.stage is before.stage
    return e.value


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


# --- who may not -----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["accept", "objection", "answer"])
def test_only_the_lead_department_takes_the_leads_steps(kind):
    """首接负责: who was assigned answers for it."""
    error = (
        refused(at(S.DISPATCHED), **{kind: {"department": HELPER, "reason": "不属"}})
        if (kind == "objection")
        else refused(at(S.DISPATCHED), **{kind: {"department": HELPER}})
    )
    assert error.code is Code.NOT_A_PARTY
    assert LEAD in error.detail


@pytest.mark.parametrize(
    ("stage", "kind", "code", "says"),
    [
        (S.HANDLING, {"reply": {"department": LEAD, "text": "好"}}, Code.NOT_A_PARTY, HELPER),
        (S.HANDLING, {"note": {"department": SECOND, "text": "好"}}, Code.NOT_A_PARTY, LEAD),
        (
            S.HANDLING,
            {"card": {"colour": 1, "department": SECOND}},
            Code.NOT_A_PARTY,
            LEAD,
        ),
        (S.HANDLING, {"card": {"colour": 7, "department": LEAD}}, Code.INVALID_ARGUMENT, "YELLOW"),
        (S.RECEIVED, {"card": {"colour": 1}}, Code.WRONG_STAGE, "no department"),
        (S.RECEIVED, {"decline": {}}, Code.INVALID_ARGUMENT, "LEGAL_ROUTE"),
        (S.RECEIVED, {"dispatch": {}}, Code.INVALID_ARGUMENT, "lead"),
        (
            S.RECEIVED,
            {"dispatch": {"department": LEAD, "co_handlers": [LEAD]}},
            Code.INVALID_ARGUMENT,
            "not the lead",
        ),
        (S.OBJECTED, {"ruling": {}}, Code.INVALID_ARGUMENT, "upheld"),
        (
            S.OBJECTED,
            {"ruling": {"upheld": True, "department": LEAD}},
            Code.INVALID_ARGUMENT,
            "upheld",
        ),
        (S.CONFIRMED, {"closure": {"reason": 3}}, Code.WRONG_STAGE, "CONFIRMED"),
        (S.UNRESOLVED, {"closure": {"reason": 2}}, Code.WRONG_STAGE, "EXHAUSTED"),
        (S.RECEIVED, {"merge": {"into": b"x"}}, Code.INVALID_ARGUMENT, "16 bytes"),
        (
            S.RECEIVED,
            {"merge": {"into": ONE, "into_caller": TOWN}},
            Code.INVALID_ARGUMENT,
            "another call",
        ),
        (S.RECEIVED, {"party": {"code": TOWN, "role": 1}}, Code.WRONG_STAGE, "already"),
        (S.RECEIVED, {"party": {"code": OTHER_TOWN}}, Code.INVALID_ARGUMENT, "CO_HANDLER"),
        (S.RECEIVED, {"supervise": {}}, Code.INVALID_ARGUMENT, "ROUTINE"),
        (S.RECEIVED, {"timeout": {"clock": 5, "generation": 1}}, Code.WRONG_STAGE, "not run"),
        (S.RECEIVED, {"timeout": {"clock": 1, "generation": 2}}, Code.WRONG_STAGE, "not run"),
        (S.RECEIVED, {"timeout": {"clock": 99, "generation": 1}}, Code.WRONG_STAGE, "not run"),
        (S.ANSWERED, {"confirm": {"resolved": True}}, Code.INVALID_ARGUMENT, "answering node"),
    ],
)
def test_a_step_that_does_not_count_is_refused_with_what_to_do(stage, kind, code, says):
    """The message must say what is allowed and to whom; and the fold must agree with it."""
    error = refused(at(stage), **kind)
    assert (error.code, says in error.detail) == (code, True), error.detail


def test_the_refusal_names_the_stage_and_what_is_allowed_to_whom():
    """An answer before a dispatch: the message must say what comes first."""
    error = refused(at(S.RECEIVED), answer={"department": LEAD, "text": "好"})
    assert error.code is Code.WRONG_STAGE
    assert error.detail.startswith("answer: not allowed while the call is RECEIVED; allowed now: ")
    assert "centre: admit, decline, off_list, dispatch, " in error.detail
    assert "caller: withdraw, urge" in error.detail


@pytest.mark.parametrize("stage", list(CallStage))
@pytest.mark.parametrize("kind", list(OWN_STEPS))
def test_a_step_outside_its_stages_is_refused_at_every_one(stage, kind):
    """The table is the law: what is not in it changes nothing, at the desk and in the fold."""
    if stage in OWN_STEPS[kind].stages:
        return
    error = refused(at(stage), **{kind: {}})
    assert error.code is Code.WRONG_STAGE
    assert stage.name in error.detail


def test_an_answer_says_something():
    """An empty answer would start the town's window for nothing."""
    state = at(S.DISPATCHED).state()
    with pytest.raises(HuyingError, match=r"answer\.text"):
        check_own_step(state, step_of(answer={"department": LEAD}))
    with pytest.raises(HuyingError, match="unreviewed_text"):
        check_own_step(state, step_of(accept={"department": LEAD}, unreviewed_text="藏"))
    with pytest.raises(HuyingError, match=r"answer\.text"):
        check_own_step(state, step_of(answer={"department": LEAD}, unreviewed_text="藏"))


def test_what_a_role_may_do_now_is_what_would_not_be_refused():
    """The screen offers what works."""
    assert allowed_steps(at(S.OBJECTED).state(), Role.CENTRE)[:1] == ("ruling",)
    handling = allowed_steps(at(S.HANDLING).state(), "department")
    assert handling == ("note", "supplement_request", "reply", "extension_request", "answer")
    assert allowed_steps(at(S.ANSWERED).state(), "caller") == (
        "confirm",
        "rate",
        "withdraw",
        "urge",
    )
    assert allowed_steps(at(S.MERGED).state(), "centre") == ()
    assert allowed_steps(at(S.MERGED).state(), "caller") == ()


# --- proposals -----------------------------------------------------------------------------------


@given(st.permutations([{"resolved": True}, {"resolved": False}, {"resolved": True, "manner": 5}]))
def test_of_those_who_act_at_once_exactly_one_wins_and_the_others_are_told_why(acts):
    """Two windows at once: the sequencer's order decides, both stay visible."""
    desk = at(S.ANSWERED)
    for act in acts:
        desk.arrive(TOWN, step_of(confirm=act))
    tooks = desk.take_all()
    assert [took.accepted for took in tooks] == [True, False, False]
    assert {took.reason for took in tooks[1:]} == {VoidReason.WRONG_STAGE}
    assert desk.state().void_count == 2


def test_a_call_raised_twice_is_received_once():
    """A clerk who sends again must not open a second case, and learns that it was a repetition."""
    desk = at(S.RECEIVED)
    assert desk.raise_().reason == VoidReason.DUPLICATE
    assert desk.state().stage is S.RECEIVED


def test_a_call_that_was_not_received_may_be_withdrawn():
    """A raise that was refused leaves a call that nobody works on; its caller may put it away."""
    policy = shipped_policy()
    policy.approval_required = True
    desk = Desk(policy)
    desk.raise_()
    assert desk.propose(withdraw={}).accepted
    assert (desk.state().stage, desk.state().caller) == (S.WITHDRAWN, TOWN)
    assert desk.raise_(approved_by="镇长").reason == VoidReason.DUPLICATE


@pytest.mark.parametrize(
    ("home", "proposal", "reason"),
    [
        (OTHER_TOWN, RESOLVED, VoidReason.NOT_A_PARTY),
        (VILLAGE, RESOLVED, VoidReason.NOT_A_PARTY),
        (TOWN, ANSWERED_BY_LEAD, VoidReason.NOT_A_PARTY),
        (TOWN, step_of(dispatch={"department": LEAD}), VoidReason.NOT_A_PARTY),
        (TOWN, step_of(took={}), VoidReason.NOT_A_PARTY),
        (TOWN, step_of(), VoidReason.MALFORMED),
        (TOWN, calls_pb2.CallStep(confirm=calls_pb2.Confirm()), VoidReason.MALFORMED),
        (TOWN, step_of(confirm={"satisfaction": 6}), VoidReason.MALFORMED),
        (TOWN, step_of(rate={"comment": "好"}), VoidReason.MALFORMED),
        (TOWN, step_of(reopen={}), VoidReason.MALFORMED),
        (
            TOWN,
            step_of(confirm={"comment": "好" * (TEXT_CHARACTERS_MAX + 1)}),
            VoidReason.MALFORMED,
        ),
        (TOWN, step_of(confirm={"comment": "𠮷" * TEXT_CHARACTERS_MAX}), VoidReason.MALFORMED),
        (TOWN, call_of(sequencer=""), VoidReason.MALFORMED),
        (TOWN, step_of(reopen={"reason": "又"}), VoidReason.WRONG_STAGE),
        (TOWN, step_of(supplement={"text": "又"}), VoidReason.WRONG_STAGE),
        (
            TOWN,
            calls_pb2.CallStep.FromString(step_of().SerializeToString() + b"\x9a\x06\x00"),
            VoidReason.MALFORMED,
        ),
    ],
)
def test_a_proposal_that_does_not_count_is_void_with_its_reason(home, proposal, reason):
    """Another's confirmation, a county's step from a town, a step of a kind yet unknown."""
    desk = at(S.ANSWERED)
    verdict = judge(desk.state(), home, proposal)
    assert verdict == Verdict(accepted=False, reason=reason)
    desk.arrive(home, proposal)
    assert desk.take_all()[0].reason == reason
    assert desk.state().stage is S.ANSWERED
    assert desk.state().void_count == (reason is not VoidReason.NOT_A_PARTY)


def test_a_proposal_taken_before_is_a_duplicate():
    """A segment delivered twice must not confirm twice."""
    verdict = judge(at(S.ANSWERED).state(), TOWN, RESOLVED, already_taken=True)
    assert verdict.reason is VoidReason.DUPLICATE


def test_one_proposal_counts_once_even_where_a_sequencer_takes_it_twice():
    """An old 'not resolved', taken again after the next answer, would send the call back again."""
    desk = at(S.UNRESOLVED)
    repeated = desk.written[-1].message
    desk.do(answer=ANSWER)
    state = advance(desk.state(), SequencedStep(99, repeated))
    assert (state.stage, state.void_count) == (S.ANSWERED, 1)


def test_an_accepted_proposal_is_always_small_enough_to_be_repeated():
    """A took that can't be written would stop the sequencer at that proposal for ever."""
    desk = at(S.ANSWERED)
    assert desk.propose(confirm={"resolved": True, "comment": "好" * TEXT_CHARACTERS_MAX}).accepted
    assert desk.written[-1].message.ByteSize() < ENTRY_BYTES_MAX - 1024


@pytest.mark.parametrize(
    ("stage", "code", "step", "expected"),
    [
        (S.DISPATCHED, TOWN, RESOLVED, Code.WRONG_STAGE),
        (S.ANSWERED, OTHER_TOWN, RESOLVED, Code.NOT_A_PARTY),
        (S.ANSWERED, TOWN, step_of(confirm={"satisfaction": 9}), Code.INVALID_ARGUMENT),
        (S.RECEIVED, TOWN, step_of(admit={}), Code.NOT_A_PARTY),
    ],
)
def test_a_party_learns_before_it_writes_that_a_proposal_would_be_void(stage, code, step, expected):
    """A void step stays in the feed for ever; better refused at the desk."""
    with pytest.raises(HuyingError) as e:
        check_proposal(at(stage).state(), code, step)
    assert e.value.code is expected


def test_whoever_is_too_late_or_too_often_is_told_so_before_it_writes():
    """'Not allowed' alone would send the clerk to ask why."""
    desk = at(S.ANSWERED)
    desk.run_out(ClockKind.CONFIRM)
    with pytest.raises(HuyingError, match="confirm: its window is closed"):
        check_proposal(desk.state(), TOWN, RESOLVED)
    desk = at(S.CONFIRMED, reopens_max=0)
    with pytest.raises(HuyingError, match="as often as the call's terms allow"):
        check_proposal(desk.state(), TOWN, step_of(reopen={"reason": "又"}))


# --- the fold --------------------------------------------------------------------------------


def took_raise(ref, accepted):
    took = calls_pb2.Took(ref=ref, accepted=accepted)
    getattr(took, "raise").village = VILLAGE
    return took


def any_step():
    """Steps of a sequencer that may be faulty, or of a newer version."""
    texts = st.sampled_from(["", LEAD, SECOND])
    numbers = st.integers(0, 9)
    refs = st.builds(calls_pb2.EntryRef, origin=st.just(feed_of(TOWN)), index=st.integers(0, 3))
    confirms = st.builds(
        calls_pb2.Confirm, resolved=st.booleans(), satisfaction=st.integers(0, 2**32 - 1)
    )
    tooks = st.one_of(
        st.builds(calls_pb2.Took, ref=refs, accepted=st.booleans(), confirm=confirms),
        st.builds(took_raise, refs, st.booleans()),
        st.builds(calls_pb2.Took, ref=refs, accepted=st.booleans()),
        st.builds(
            lambda ref, reason: calls_pb2.Took(ref=ref, reason=reason), refs, st.integers(0, 9)
        ),
    )
    marks = st.lists(
        st.builds(
            calls_pb2.ClockMark,
            clock=st.integers(0, 12),
            generation=st.integers(0, 3),
            event=st.integers(0, 9),
            due_micros=st.integers(0, 2**64 - 1),
        ),
        max_size=3,
    )
    bare = st.sampled_from(
        [{kind: {}} for kind in OWN_STEPS]
        + [{"timeout": {"clock": clock, "generation": 1}} for clock in range(10)]
        + [{"party": {"code": OTHER_TOWN, "role": 1}}, {"confirm": {"resolved": True}}]
    )
    one = st.one_of(
        st.builds(
            lambda took, number: step_of(took=took, number=number), tooks, st.integers(0, 2**32 - 1)
        ),
        st.builds(lambda text: step_of(dispatch={"department": text}), texts),
        st.builds(lambda text: step_of(answer={"department": text}), texts),
        st.builds(
            lambda kind, number, clocks: step_of(**kind, number=number, clocks=clocks),
            bare,
            numbers,
            marks,
        ),
        st.just(calls_pb2.CallStep(internal_note="备注")),
        st.just(calls_pb2.CallStep.FromString(b"\x9a\x06\x02hi")),
    )
    return st.lists(one, max_size=12)


@given(any_step(), st.randoms(use_true_random=False))
def test_any_arrival_order_and_any_repetition_fold_to_one_state(steps, rng: random.Random):
    """The same state at every tier: nothing else makes a call one conversation."""
    log = [SequencedStep(index, step) for index, step in enumerate(steps)]
    arrived = [*log, *(rng.choice(log) for _ in log)]
    rng.shuffle(arrived)
    state = CallState()
    for step in log:
        state = advance(state, step)
    assert fold(arrived) == fold(log) == state
    assert state.void_count <= len(log)
    assert state.missing_count <= state.step_count


@given(any_step(), any_step())
def test_a_later_epoch_folds_after_an_earlier_one(before, after):
    """Indexes begin again in a new epoch; the call goes on where it stood."""
    first = [SequencedStep(index, step, 1) for index, step in enumerate(before)]
    second = [SequencedStep(index, step, 2) for index, step in enumerate(after)]
    both = [SequencedStep(index, step) for index, step in enumerate([*before, *after])]
    assert fold([*second, *first]).stage is fold(both).stage


def test_what_happens_at_the_same_index_of_two_epochs_is_told_apart():
    """Whoever confirmed the first answer must see that there is another."""
    desk = at(S.UNRESOLVED)
    first = desk.state().answered_at
    assert first is not None
    log = desk.sequenced_steps(COUNTY, TOWN, ONE)
    again = fold([*log, SequencedStep(first.index, step_of(answer=ANSWER), first.epoch + 1)])
    assert again.stage is S.ANSWERED
    assert again.answered_at == Place(first.epoch + 1, first.index)


def test_numbers_that_are_not_here_are_counted():
    """A party that lacks a step of its call must see that it does."""
    log = at(S.CLOSED).sequenced_steps(COUNTY, TOWN, ONE)
    state = fold([log[0], log[3]])
    assert (state.step_count, state.missing_count) == (4, 2)


def test_a_step_of_a_newer_program_changes_nothing_but_the_counts():
    """An older village must not guess what a newer county means."""
    before = at(S.HANDLING).state()
    unknown = calls_pb2.CallStep.FromString(
        step_of(
            number=before.step_count + 1,
            clocks=[{"clock": 3, "generation": 1, "event": calls_pb2.CLOCK_EVENT_STOPPED}],
        ).SerializeToString()
        + b"\x9a\x06\x02hi"
    )
    after = advance(before, SequencedStep(99, unknown))
    assert (after.void_count, after.step_count) == (1, before.step_count + 1)
    assert after.clocks == before.clocks
    assert after.stage is before.stage


def test_a_fold_costs_the_same_for_each_step():
    """A caller that proposes thousands of times must not stop the county's sequencer."""
    took = step_of(took={"ref": {"origin": feed_of(TOWN), "index": 0}})
    log = at(S.RECEIVED).sequenced_steps(COUNTY, TOWN, ONE)
    for index in range(1, 20_000):
        step = calls_pb2.CallStep()
        step.CopyFrom(took)
        step.took.ref.index = index + 1
        step.number = index + 1
        log.append(SequencedStep(index, step))
    state = fold(log)
    assert (state.void_count, len(state.taken), state.missing_count) == (19_999, 20_000, 0)


def test_terms_that_an_older_sequencer_does_not_print_are_mild():
    """A took without terms is of the first program; its calls need no review and no item."""
    step = step_of(took=took_raise(calls_pb2.EntryRef(origin=feed_of(TOWN)), accepted=True))
    assert fold([SequencedStep(0, step)]).terms == CallTerms()


# --- drafts ------------------------------------------------------------------------------------


def test_drafts_are_addressed_to_the_parties_below_their_writer():
    """The town and the village hear what the county says; nobody else's node does."""
    assert raise_draft(TOWN, call_of()).to == (f"={VILLAGE}",)
    state = at(S.RECEIVED).state()
    step = step_of(dispatch={"department": LEAD})
    assert step_draft(COUNTY, COUNTY, state, step).to == (f"={TOWN}", f"={VILLAGE}")
    back = step_draft(TOWN, COUNTY, at(S.ANSWERED).state(), RESOLVED)
    assert back.to == (f"={VILLAGE}",)
    desk = at(S.RECEIVED)
    desk.do(party={"code": THIRD_TOWN, "role": calls_pb2.PARTY_ROLE_CO_HANDLER})
    assert f"={THIRD_TOWN}" in step_draft(COUNTY, COUNTY, desk.state(), step).to


def test_a_step_by_another_node_than_the_sequencer_is_a_proposal():
    """The API takes any step from any node: which rules apply follows from who writes."""
    state = at(S.ANSWERED).state()
    assert step_draft(TOWN, COUNTY, state, RESOLVED).message == RESOLVED
    with pytest.raises(HuyingError) as e:
        step_draft(TOWN, COUNTY, state, step_of(answer=ANSWER))
    assert e.value.code is Code.NOT_A_PARTY


def test_a_proposal_names_where_it_stands():
    """A took is worth nothing if nobody can tell what it speaks of."""
    desk = at(S.ANSWERED)
    proposal = desk.arrive(TOWN, RESOLVED)
    assert isinstance(proposal, Proposal)
    (took,) = desk.take_all()
    assert (took.ref.origin, took.ref.index) == (proposal.origin, proposal.index)
