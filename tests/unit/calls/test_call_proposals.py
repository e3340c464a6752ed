"""Proposals: of those who act at once one wins, and whoever loses is told why."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huying.common.calls import (
    Proposal,
    SequencedStep,
    Verdict,
    VoidReason,
    advance,
    check_proposal,
    judge,
)
from huying.common.calls.call_drafts import raise_draft, step_draft
from huying.common.calls.call_state import ClockKind
from huying.common.errors import Code, HuyingError
from huying.common.limits import ENTRY_BYTES_MAX, TEXT_CHARACTERS_MAX
from huying.common.policies import shipped_policy
from huying.wire.v1 import calls_pb2
from tests.support.call_desk import (
    COUNTY,
    LEAD,
    OTHER_TOWN,
    THIRD_TOWN,
    TOWN,
    VILLAGE,
    Desk,
    call_of,
    step_of,
)
from tests.unit.calls.call_cases import ANSWER, S, at

ANSWERED_BY_LEAD = step_of(answer=ANSWER)


RESOLVED = step_of(confirm={"resolved": True})


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
