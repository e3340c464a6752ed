"""The answering node judges every proposal once, and completes every step of its own."""

from __future__ import annotations

import pytest

from huying.common.calls import CallStage, VoidReason
from huying.common.calls.call_drafts import step_draft
from huying.common.calls.call_state import ClockKind, ClockStatus
from huying.common.effects import DraftEntry
from huying.common.errors import Code, HuyingError
from huying.common.limits import CALL_EARLIER_STEPS_MAX, LATE_RANGES_MAX, SELECTORS_MAX
from huying.common.policies import shipped_policy
from huying.common.records.registry import check_write
from huying.wire.v1 import calls_pb2, feed_pb2, policy_pb2, records_pb2, trust_pb2
from tests.support.call_desk import (
    COUNTY,
    HELPER,
    LEAD,
    ONE,
    OTHER_TOWN,
    THIRD_TOWN,
    TOWN,
    TWO,
    VILLAGE,
    Desk,
    call_of,
    feed_of,
    step_of,
)


def test_a_raise_is_taken_with_what_the_fold_needs_of_it():
    """The village hears of its call only because the took is addressed to it."""
    desk = Desk()
    proposal = desk.arrive(TOWN, call_of(urgency=policy_pb2.URGENCY_URGENT))
    (draft,) = desk.sequencer.take(10)
    assert draft.kind == feed_pb2.KIND_STEP
    assert draft.to == (f"={TOWN}", f"={VILLAGE}")
    assert isinstance(draft.message, calls_pb2.CallStep)
    took = draft.message.took
    assert (took.accepted, draft.message.number) == (True, 1)
    assert (took.ref.origin, took.ref.index) == (feed_of(TOWN), proposal.index)
    desk.append(draft)
    state = desk.state()
    assert (state.stage, state.parties) == (CallStage.RECEIVED, (TOWN, VILLAGE))
    assert state.urgency == policy_pb2.URGENCY_URGENT
    admit = state.clock(ClockKind.ADMIT)
    assert admit is not None
    assert admit.status is ClockStatus.RUNNING


def test_a_call_keeps_the_terms_of_the_policy_in_force_when_it_was_received():
    """A policy that changes in the middle of a call must not change what was promised."""
    desk = Desk()
    desk.raise_()
    stricter = shipped_policy()
    stricter.version, stricter.review_required, stricter.reopens_max = 3, True, 0
    desk.policies.append(stricter)
    desk.raise_(TWO)
    assert (desk.state().terms.policy_version, desk.state().terms.review_required) == (0, False)
    terms = desk.state(TWO).terms
    assert (terms.policy_version, terms.review_required, terms.reopens_max) == (3, True, 0)


def test_a_call_keeps_the_time_limits_of_its_policy_to_its_end():
    """The town was told five days to confirm; nobody shortens that afterwards."""
    desk = Desk()
    desk.raise_()
    desk.do(dispatch={"department": LEAD})
    shorter = shipped_policy()
    shorter.version = 3
    shorter.confirm.CopyFrom(policy_pb2.Period(amount=1, unit=policy_pb2.PERIOD_UNIT_HOUR))
    desk.policies.append(shorter)
    desk.raise_(TWO)
    desk.do(TWO, dispatch={"department": LEAD})
    for call in (ONE, TWO):
        desk.do(call, answer={"department": LEAD, "text": "已修复"})
    kept, new = (desk.state(call).clock(ClockKind.CONFIRM) for call in (ONE, TWO))
    assert kept is not None
    assert new is not None
    day, now = 86_400_000_000, int(desk.clock.seconds * 1e6)
    assert new.due_micros - now < day < kept.due_micros - now


def test_the_first_life_through_the_sequencer():
    """Raise, dispatch, answer, not resolved, answer, resolved: with the drafts as appended."""
    desk = Desk()
    desk.raise_()
    for act in (
        {"dispatch": {"department": LEAD}},
        {"answer": {"department": LEAD, "text": "已修复"}},
        None,
        {"answer": {"department": LEAD, "text": "已换管"}},
    ):
        if act is None:
            desk.propose(confirm={"resolved": False})
            assert desk.state().stage is CallStage.UNRESOLVED
        else:
            drafted = step_draft(COUNTY, COUNTY, desk.state(), step_of(**act))
            desk.append(*desk.sequencer.complete(drafted))
    assert desk.propose(confirm={"resolved": True}).accepted
    state = desk.state()
    assert (state.stage, state.void_count) == (CallStage.CONFIRMED, 0)
    assert (state.step_count, state.missing_count) == (6, 0)


def test_a_proposal_that_has_its_answer_gets_no_second():
    """A store that lists too much must not make the sequencer contradict itself."""
    desk = Desk()
    desk.raise_()
    desk.arrive(OTHER_TOWN, step_of(withdraw={}))
    assert desk.take_all()[0].reason == VoidReason.NOT_A_PARTY
    desk.lists_everything = True
    assert desk.take_all() == []


def test_a_stranger_is_told_aside_and_the_parties_see_no_gap():
    """The word to a stranger is for the stranger alone, so it must not be a number of the call."""
    desk = Desk()
    desk.raise_()
    before = desk.state()
    desk.arrive(OTHER_TOWN, step_of(confirm={"comment": "私语"}))
    (draft,) = desk.sequencer.take(1)
    assert draft.to == (f"={OTHER_TOWN}",)
    assert isinstance(draft.message, calls_pb2.CallStep)
    assert (draft.message.number, list(draft.message.clocks)) == (0, [])
    assert not draft.message.took.confirm.comment
    desk.append(draft)
    assert desk.state() == before
    desk.do(admit={})
    assert desk.state().missing_count == 0


def test_a_newer_callers_unknown_field_is_not_written():
    """The split refuses unknown fields, and one refusal would stop every other call."""
    desk = Desk()
    desk.raise_()
    desk.do(dispatch={"department": LEAD})
    desk.do(answer={"department": LEAD, "text": "已修复"})
    message = step_of()
    message.confirm.MergeFromString(b"\x08\x01\xf8\x3f\x01")
    desk.arrive(TOWN, message)
    (draft,) = desk.sequencer.take(1)
    assert isinstance(draft.message, calls_pb2.CallStep)
    assert draft.message.took.confirm == calls_pb2.Confirm(resolved=True)
    check_write(draft.type, draft.kind, draft.message, COUNTY)


def test_a_newer_callers_urgency_does_not_stop_the_sequencer():
    """A number that this program can't write would leave the call waiting for ever."""
    desk = Desk()
    desk.arrive(TOWN, call_of(urgency=99))
    assert desk.take_all()[0].accepted
    assert desk.state().urgency == policy_pb2.URGENCY_UNSPECIFIED


def test_an_unapproved_call_is_void_where_the_policy_asks_and_may_be_raised_again():
    """审签 against careless calls; and a careless clerk must find a way out."""
    policy = shipped_policy()
    policy.approval_required = True
    desk = Desk(policy)
    assert desk.raise_().reason == VoidReason.NOT_APPROVED
    assert desk.state().stage is CallStage.RAISED
    assert desk.raise_(approved_by="镇长").accepted
    assert desk.state().stage is CallStage.RECEIVED


def test_what_the_sequencer_prints_is_its_own_to_say():
    """A person who types a number or a clock into a step changes neither."""
    desk = Desk()
    desk.raise_()
    written = desk.do(
        admit={},
        number=77,
        clocks=[{"clock": calls_pb2.CLOCK_RED, "generation": 1, "event": 1, "due_micros": 5}],
    )
    assert written.number == 2
    assert [mark.clock for mark in written.clocks] == [calls_pb2.CLOCK_ADMIT]


def test_a_dispatch_prints_its_deadline_and_the_centre_may_set_another():
    """限时办结: the deadline stands on the call, and what is printed is what runs."""
    desk = Desk()
    desk.raise_()
    printed = desk.do(dispatch={"department": LEAD})
    answer = desk.state().clock(ClockKind.ANSWER)
    assert answer is not None
    assert printed.dispatch.deadline_micros == answer.due_micros == desk.state().deadline_micros > 0
    desk.raise_(TWO)
    desk.do(TWO, dispatch={"department": LEAD, "deadline_micros": 1_900_000_000_000_000})
    assert desk.state(TWO).deadline_micros == 1_900_000_000_000_000


def reviewed_desk() -> Desk:
    policy = shipped_policy()
    policy.review_required = True
    desk = Desk(policy)
    desk.raise_()
    desk.do(dispatch={"department": LEAD})
    return desk


def test_an_answer_under_review_reaches_nobody_below_before_the_centre_sends_it():
    """What a department says in haste is the county's own until the centre stands by it."""
    desk = reviewed_desk()
    written = desk.do(answer={"department": LEAD, "text": "推给村里"})
    assert (written.answer.text, written.unreviewed_text) == ("", "推给村里")
    assert desk.state().stage is CallStage.REVIEW
    desk.do(review={"sent": False, "reason": "不能推给村里"})
    assert (desk.state().stage, desk.state().reworks) == (CallStage.HANDLING, 1)
    desk.do(answer={"department": LEAD, "text": "已修复"})
    assert desk.do(review={"sent": True}).review.text == "已修复"
    assert desk.state().stage is CallStage.ANSWERED


def test_the_centre_may_word_the_answer_anew():
    """A review that says another text keeps it."""
    desk = reviewed_desk()
    desk.do(answer={"department": LEAD, "text": "弄好了"})
    assert desk.do(review={"sent": True, "text": "已修复"}).review.text == "已修复"


def test_what_is_not_a_calls_step_or_not_this_nodes_to_order_comes_back_as_it_is():
    """A county may itself call the city, whose sequencer numbers that."""
    desk = Desk()
    division = DraftEntry(
        feed_pb2.KIND_PUT,
        feed_pb2.RECORD_TYPE_DIVISION,
        records_pb2.Division(code=COUNTY, name="汶上县"),
    )
    assert desk.sequencer.complete(division) == (division,)
    proposal = DraftEntry(
        feed_pb2.KIND_STEP, feed_pb2.RECORD_TYPE_CALL_STEP, step_of(TWO, COUNTY, withdraw={})
    )
    assert desk.sequencer.complete(proposal) == (proposal,)


def test_a_took_is_the_sequencers_word_and_no_persons():
    """Whoever could write one by hand could accept what was refused."""
    desk = Desk()
    desk.raise_()
    with pytest.raises(HuyingError) as e:
        desk.do(took={"ref": {"origin": feed_of(TOWN), "index": 9}, "accepted": True})
    assert e.value.code is Code.INVALID_ARGUMENT


def test_a_party_that_joins_late_is_given_all_that_came_before():
    """No party lacks an entry that the fold needs; a stranger's took is nobody else's."""
    desk = Desk()
    desk.raise_()
    desk.arrive(THIRD_TOWN, step_of(withdraw={}))
    desk.take_all()
    desk.do(dispatch={"department": LEAD, "co_handlers": [HELPER]})
    role = calls_pb2.PARTY_ROLE_CO_HANDLER
    step, disclosure = desk.write(
        step_of(
            party={"code": OTHER_TOWN, "role": role, "title": "停水", "description": "长" * 3000}
        )
    )
    assert f"={OTHER_TOWN}" in step.to
    assert isinstance(step.message, calls_pb2.CallStep)
    assert [ref.index for ref in step.message.party.earlier] == [0, 2]
    assert len(step.message.party.description) == 1000
    assert isinstance(disclosure.message, trust_pb2.Disclosure)
    assert disclosure.message.readers == [OTHER_TOWN]
    desk.do(accept={"department": LEAD})
    assert len(desk.held_by(OTHER_TOWN)) == 4
    assert desk.written[-1].to == (f"={TOWN}", f"={VILLAGE}", f"={OTHER_TOWN}")


def test_a_party_step_tells_no_number_that_a_newer_town_let_through():
    """The summary leaves the county; what was not masked below is masked here."""
    desk = Desk()
    desk.raise_()
    role = calls_pb2.PARTY_ROLE_CO_HANDLER
    written = desk.do(party={"code": OTHER_TOWN, "role": role, "title": "请打 13800001234"})
    assert "13800001234" not in written.party.title


def test_a_call_has_as_many_parties_as_an_entry_has_selectors():
    """Every step names all of them; one more would silently be left out."""
    desk = Desk()
    desk.raise_()
    role = calls_pb2.PARTY_ROLE_CO_HANDLER
    for code in (OTHER_TOWN, THIRD_TOWN):
        desk.do(party={"code": code, "role": role})
    assert len(desk.state().parties) == SELECTORS_MAX
    with pytest.raises(HuyingError, match="4 parties"):
        desk.do(party={"code": "370830104000", "role": role})


def test_a_party_must_lie_below_and_join_in_a_request_of_its_own():
    """A selector names nodes below; and an entry without an index can't be opened."""
    desk = Desk()
    desk.raise_()
    role = calls_pb2.PARTY_ROLE_CO_HANDLER
    with pytest.raises(HuyingError, match=r"party\.code"):
        desk.do(party={"code": COUNTY, "role": role})
    kind, type_ = feed_pb2.KIND_STEP, feed_pb2.RECORD_TYPE_CALL_STEP
    completed = desk.sequencer.complete(DraftEntry(kind, type_, step_of(admit={})))
    with pytest.raises(HuyingError, match="another request"):
        desk.write(step_of(party={"code": OTHER_TOWN, "role": role}), *completed)


def test_a_call_of_many_steps_is_opened_by_several_statements():
    """One statement names few ranges, and the step names few entries; the newcomer gets all."""
    desk = Desk()
    desk.raise_()
    kind, type_ = feed_pb2.KIND_STEP, feed_pb2.RECORD_TYPE_CALL_STEP
    for number in range(LATE_RANGES_MAX + 3):
        note = step_of(note={"text": "现场查看"}, number=number + 2)
        desk.append(DraftEntry(kind, type_, note, to=(f"={TOWN}", f"={VILLAGE}")))
    role = calls_pb2.PARTY_ROLE_CO_HANDLER
    step, *disclosures = desk.write(step_of(party={"code": OTHER_TOWN, "role": role}))
    assert isinstance(step.message, calls_pb2.CallStep)
    assert len(step.message.party.earlier) == CALL_EARLIER_STEPS_MAX
    assert len(disclosures) == 2
    assert len(desk.held_by(OTHER_TOWN)) == LATE_RANGES_MAX + 5
