"""One state everywhere, one winner, and a reason for everybody else."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huying.common.call_drafts import (
    answer_draft,
    confirm_draft,
    dispatch_draft,
    raise_draft,
    step_draft,
    took_draft,
)
from huying.common.calls import (
    CallStage,
    CallState,
    Place,
    Proposal,
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
from huying.common.errors import Code, HuyingError
from huying.common.limits import ENTRY_BYTES_MAX, TEXT_CHARACTERS_MAX
from huying.wire.v1 import api_pb2, calls_pb2

COUNTY = "370830000000"
TOWN = "370830108000"
OTHER_TOWN = "370830101000"
VILLAGE = "370830108201"
CALL_ID = bytes(range(16))
FEED = f"wenshang.example/feed/{TOWN}/e1"


def call(**fields):
    return calls_pb2.Call(**{"sequencer": COUNTY, "category": "供水", "village": VILLAGE, **fields})


def confirm(resolved=True, **fields):
    return calls_pb2.CallStep(
        call=CALL_ID, caller=TOWN, confirm=calls_pb2.Confirm(resolved=resolved, **fields)
    )


def dispatch(department="水务局"):
    return calls_pb2.CallStep(
        call=CALL_ID, caller=TOWN, dispatch=calls_pb2.Dispatch(department=department)
    )


def answer(department="水务局"):
    return calls_pb2.CallStep(
        call=CALL_ID, caller=TOWN, answer=calls_pb2.Answer(department=department, text="已修复")
    )


class Desk:
    """A sequencer with its log: judges proposals and takes its own steps."""

    def __init__(self):
        self.log = []

    @property
    def state(self):
        return fold(self.log)

    def write(self, step):
        self.log.append(SequencedStep(len(self.log), step))

    def take(self, index, message, home=TOWN):
        proposal = Proposal(f"x/feed/{home}/e1", index, home, CALL_ID, TOWN, message)
        verdict = judge(self.state, home, message)
        self.write(took_draft(COUNTY, self.state, proposal, verdict).message)
        return verdict


def at(stage):
    """A desk with a call brought to the stage by the shortest way."""
    desk = Desk()
    way = [
        lambda: desk.take(0, call()),
        lambda: desk.write(dispatch()),
        lambda: desk.write(answer()),
        lambda: desk.take(1, confirm(resolved=stage is CallStage.CONFIRMED)),
    ]
    for act in way:
        if desk.state.stage is stage:
            break
        act()
    assert desk.state.stage is stage
    return desk


def test_the_numbers_are_those_of_the_wire():
    """The stage is stored and sent as a number; two tables must not drift apart."""
    assert {f"CALL_STAGE_{stage.name}": int(stage) for stage in CallStage} == {
        name: number for name, number in api_pb2.CallStage.items() if number
    }
    assert [int(reason) for reason in VoidReason] == [n for _, n in calls_pb2.VoidReason.items()]


def test_the_shortest_honest_life():
    """Raise, dispatch, answer, confirm: the whole path, with which entry made it so."""
    state = at(CallStage.CONFIRMED).state
    assert (state.received_at, state.dispatched_at) == (Place(1, 0), Place(1, 1))
    assert (state.answered_at, state.confirmed_at) == (Place(1, 2), Place(1, 3))
    assert state.department == "水务局"
    assert state.parties == (TOWN, VILLAGE)
    assert state.resolved is True
    assert not state.is_open
    assert state.void_count == 0


def test_an_unresolved_call_is_answered_again_and_confirmed_again():
    """回访 is worth something only where 'not resolved' sends the call back."""
    desk = at(CallStage.UNRESOLVED)
    assert desk.state.department == "水务局"
    desk.write(answer())
    assert desk.state.stage is CallStage.ANSWERED
    assert desk.state.resolved is None
    assert desk.take(2, confirm(satisfaction=4)).accepted
    assert (desk.state.stage, desk.state.satisfaction) == (CallStage.CONFIRMED, 4)


@pytest.mark.parametrize("stage", list(CallStage))
def test_every_stage_but_the_last_has_a_way_to_the_end(stage):
    """A call that nobody can move any more would stay open for ever."""
    if stage is CallStage.CONFIRMED:
        assert allowed_steps(stage) == ()
        return
    desk = at(stage)
    for _ in range(len(CallStage)):
        names = allowed_steps(desk.state.stage)
        if "raise" in names:
            desk.take(10, call())
        elif "answer" in names:
            desk.write(answer())
        elif "dispatch" in names:
            desk.write(dispatch())
        elif "confirm" in names:
            desk.take(11, confirm())
    assert desk.state.stage is CallStage.CONFIRMED


@given(st.permutations([confirm(), confirm(resolved=False), confirm(satisfaction=5)]))
def test_of_those_who_act_at_once_exactly_one_wins_and_the_others_are_told_why(acts):
    """Two windows at once: the sequencer's order decides, both stay visible."""
    desk = at(CallStage.ANSWERED)
    verdicts = [desk.take(20 + index, act) for index, act in enumerate(acts)]
    assert [verdict.accepted for verdict in verdicts] == [True, False, False]
    assert {verdict.reason for verdict in verdicts[1:]} == {VoidReason.WRONG_STAGE}
    assert desk.state.void_count == 2


def test_a_call_raised_twice_is_received_once():
    """A clerk who sends again must not open a second case, and learns that it was a repetition."""
    desk = at(CallStage.RECEIVED)
    assert desk.take(7, call()) == Verdict(accepted=False, reason=VoidReason.DUPLICATE)
    assert desk.state.stage is CallStage.RECEIVED


@pytest.mark.parametrize(
    ("home", "proposal", "reason"),
    [
        (OTHER_TOWN, confirm(), VoidReason.NOT_A_PARTY),
        (VILLAGE, confirm(), VoidReason.NOT_A_PARTY),
        (TOWN, answer(), VoidReason.NOT_A_PARTY),
        (TOWN, dispatch(), VoidReason.NOT_A_PARTY),
        (TOWN, calls_pb2.CallStep(call=CALL_ID, caller=TOWN), VoidReason.MALFORMED),
        (TOWN, calls_pb2.CallStep(confirm=calls_pb2.Confirm()), VoidReason.MALFORMED),
        (TOWN, confirm(satisfaction=6), VoidReason.MALFORMED),
        (TOWN, confirm(comment="好" * (TEXT_CHARACTERS_MAX + 1)), VoidReason.MALFORMED),
        (TOWN, confirm(comment="𠮷" * TEXT_CHARACTERS_MAX), VoidReason.MALFORMED),
        (TOWN, call(sequencer=""), VoidReason.MALFORMED),
        (
            TOWN,
            calls_pb2.CallStep.FromString(
                calls_pb2.CallStep(call=CALL_ID, caller=TOWN).SerializeToString() + b"\x9a\x06\x00"
            ),
            VoidReason.MALFORMED,
        ),
    ],
)
def test_a_proposal_that_does_not_count_is_void_with_its_reason(home, proposal, reason):
    """Another's confirmation, a county's step from a town, a step of a kind yet unknown."""
    desk = at(CallStage.ANSWERED)
    assert desk.take(30, proposal, home) == Verdict(accepted=False, reason=reason)
    assert desk.state.stage is CallStage.ANSWERED
    assert desk.state.void_count == 1


def test_a_proposal_taken_before_is_a_duplicate():
    """A segment delivered twice must not confirm twice."""
    verdict = judge(at(CallStage.ANSWERED).state, TOWN, confirm(), already_taken=True)
    assert verdict.reason is VoidReason.DUPLICATE


def test_one_proposal_counts_once_even_where_a_sequencer_takes_it_twice():
    """An old 'not resolved', taken again after the next answer, would send the call back again."""
    desk = at(CallStage.UNRESOLVED)
    repeated = desk.log[-1].call_step
    desk.write(answer())
    desk.write(repeated)
    assert desk.state.stage is CallStage.ANSWERED
    assert desk.state.void_count == 1


def test_an_accepted_proposal_is_always_small_enough_to_be_repeated():
    """A took that can't be written would stop the sequencer at that proposal for ever."""
    largest = confirm(comment="好" * TEXT_CHARACTERS_MAX)
    desk = at(CallStage.ANSWERED)
    assert desk.take(31, largest).accepted
    assert desk.log[-1].call_step.ByteSize() < ENTRY_BYTES_MAX - 1024


def took_raise(ref, accepted):
    took = calls_pb2.Took(ref=ref, accepted=accepted)
    getattr(took, "raise").village = VILLAGE
    return took


def any_step():
    """Steps of a sequencer that may be faulty, or of a newer version."""
    texts = st.sampled_from(["", "水务局", "住建局"])
    refs = st.builds(calls_pb2.EntryRef, origin=st.just(FEED), index=st.integers(0, 3))
    confirms = st.builds(
        calls_pb2.Confirm, resolved=st.booleans(), satisfaction=st.integers(0, 2**32 - 1)
    )
    tooks = st.one_of(
        st.builds(calls_pb2.Took, ref=refs, accepted=st.booleans(), confirm=confirms),
        st.builds(took_raise, refs, st.booleans()),
        st.builds(calls_pb2.Took, ref=refs, accepted=st.booleans()),
    )
    one = st.one_of(
        st.builds(lambda took: calls_pb2.CallStep(took=took, caller=TOWN), tooks),
        st.builds(dispatch, texts),
        st.builds(answer, texts),
        st.just(confirm()),
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


@given(any_step(), any_step())
def test_a_later_epoch_folds_after_an_earlier_one(before, after):
    """Indexes begin again in a new epoch; the call goes on where it stood."""
    first = [SequencedStep(index, step, 1) for index, step in enumerate(before)]
    second = [SequencedStep(index, step, 2) for index, step in enumerate(after)]
    both = [SequencedStep(index, step) for index, step in enumerate([*before, *after])]
    assert fold([*second, *first]).stage is fold(both).stage


def test_what_happens_at_the_same_index_of_two_epochs_is_told_apart():
    """Whoever confirmed the first answer must see that there is another."""
    desk = at(CallStage.UNRESOLVED)
    first = desk.state.answered_at
    again = fold([*desk.log, SequencedStep(first.index, answer(), first.epoch + 1)])
    assert again.stage is CallStage.ANSWERED
    assert again.answered_at == Place(first.epoch + 1, first.index)


def test_the_sequencer_is_told_what_it_may_do_now():
    """An answer before a dispatch: the message must say what comes first."""
    state = at(CallStage.RECEIVED).state
    with pytest.raises(HuyingError, match="answer is not allowed while the call is RECEIVED") as e:
        check_own_step(state, answer())
    assert e.value.code is Code.WRONG_STAGE
    assert "allowed: dispatch" in e.value.detail


def test_only_the_lead_department_answers():
    """首接负责: who was assigned answers for it."""
    with pytest.raises(HuyingError) as e:
        check_own_step(at(CallStage.DISPATCHED).state, answer("住建局"))
    assert e.value.code is Code.NOT_A_PARTY


def test_the_sequencer_proposes_nothing_to_itself():
    """A confirm in the county's feed would be the county rating itself."""
    with pytest.raises(HuyingError) as e:
        check_own_step(at(CallStage.ANSWERED).state, confirm())
    assert e.value.code is Code.INVALID_ARGUMENT


@pytest.mark.parametrize(
    ("stage", "code", "step", "expected"),
    [
        (CallStage.DISPATCHED, TOWN, confirm(), Code.WRONG_STAGE),
        (CallStage.ANSWERED, OTHER_TOWN, confirm(), Code.NOT_A_PARTY),
        (CallStage.ANSWERED, TOWN, confirm(satisfaction=9), Code.INVALID_ARGUMENT),
    ],
)
def test_a_party_learns_before_it_writes_that_a_proposal_would_be_void(stage, code, step, expected):
    """A void step stays in the feed for ever; better refused at the desk."""
    with pytest.raises(HuyingError) as e:
        check_proposal(at(stage).state, code, step)
    assert e.value.code is expected


def test_drafts_are_addressed_to_the_parties_below_their_writer():
    """The town and the village hear what the county says; nobody else's node does."""
    raised = raise_draft(TOWN, call())
    assert raised.to == (f"={VILLAGE}",)
    state = at(CallStage.RECEIVED).state
    sent = dispatch_draft(COUNTY, state, CALL_ID, department="水务局")
    assert sent.to == (f"={TOWN}", f"={VILLAGE}")
    answered = answer_draft(COUNTY, at(CallStage.DISPATCHED).state, CALL_ID, text="已修复")
    assert isinstance(answered.message, calls_pb2.CallStep)
    assert answered.message.answer.department == "水务局"
    back = confirm_draft(
        TOWN, COUNTY, at(CallStage.ANSWERED).state, CALL_ID, calls_pb2.Confirm(resolved=True)
    )
    assert back.to == (f"={VILLAGE}",)


def test_whoever_proposes_in_vain_is_told_even_as_a_stranger():
    """'The other is told why' needs an address."""
    desk = at(CallStage.ANSWERED)
    proposal = Proposal("x/feed/o/e1", 3, OTHER_TOWN, CALL_ID, TOWN, confirm(comment="私语"))
    verdict = judge(desk.state, OTHER_TOWN, proposal.message)
    draft = took_draft(COUNTY, desk.state, proposal, verdict)
    assert draft.to == (f"={TOWN}", f"={VILLAGE}", f"={OTHER_TOWN}")
    assert isinstance(draft.message, calls_pb2.CallStep)
    assert draft.message.took.HasField("confirm")
    assert not draft.message.took.confirm.comment


def test_a_step_by_another_node_than_the_sequencer_is_a_proposal():
    """The API takes any step from any node: which rules apply follows from who writes."""
    state = at(CallStage.ANSWERED).state
    assert step_draft(TOWN, COUNTY, state, confirm()).message == confirm()
    with pytest.raises(HuyingError) as e:
        step_draft(TOWN, COUNTY, state, answer())
    assert e.value.code is Code.NOT_A_PARTY
