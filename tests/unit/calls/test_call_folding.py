"""Folding: the same steps end in the same state, whatever the order they arrive in."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from huying.common.calls import (
    OWN_STEPS,
    CallState,
    Place,
    SequencedStep,
    advance,
    fold,
)
from huying.common.calls.call_state import CallTerms
from huying.wire.v1 import calls_pb2
from tests.support.call_desk import (
    COUNTY,
    LEAD,
    ONE,
    OTHER_TOWN,
    SECOND,
    TOWN,
    VILLAGE,
    feed_of,
    step_of,
)
from tests.unit.calls.call_cases import ANSWER, S, at

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
