"""Two who act at once: the sequencer lets exactly one win, and tells the other.

Departments, the centre and the caller work on one call at many desks. Whatever the order and the
batches in which their steps come, each is judged once, by the state that it meets.
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from huying.common.calls import CallStage, VoidReason
from huying.common.effects import DraftEntry
from huying.common.errors import Code, HuyingError
from huying.wire.v1 import calls_pb2, feed_pb2
from tests.support.call_desk import LEAD, ONE, OTHER_TOWN, TOWN, TWO, Desk, call_of, step_of


def test_two_proposals_in_one_batch_are_judged_in_order():
    """Both are pending at once after an outage: the second meets what the first left."""
    desk = Desk()
    desk.arrive(TOWN, call_of())
    desk.arrive(TOWN, call_of())
    tooks = desk.take_all()
    assert [took.accepted for took in tooks] == [True, False]
    assert tooks[1].reason == VoidReason.DUPLICATE


_AT_ONCE = [
    ("accept", {"department": LEAD}, "accept", {"department": LEAD}),
    ("accept", {"department": LEAD}, "objection", {"department": LEAD, "reason": "不属职责"}),
    ("objection", {"department": LEAD, "reason": "不属职责"}, "accept", {"department": LEAD}),
    (
        "answer",
        {"department": LEAD, "text": "已修复"},
        "answer",
        {"department": LEAD, "text": "已换管"},
    ),
]


@pytest.mark.parametrize(("first", "says", "second", "replies"), _AT_ONCE)
@pytest.mark.parametrize("together", [False, True])
def test_of_two_who_act_at_once_exactly_one_wins(first, says, second, replies, together):
    """Both looked at the same call; the second is told, in one request or in two."""
    desk = Desk()
    desk.raise_()
    desk.do(dispatch={"department": LEAD})
    steps = [step_of(**{first: says}), step_of(**{second: replies})]
    completed = desk.sequencer.complete(
        DraftEntry(feed_pb2.KIND_STEP, feed_pb2.RECORD_TYPE_CALL_STEP, steps[0])
    )
    if not together:
        desk.append(*completed)
    with pytest.raises(HuyingError) as e:
        desk.write(steps[1], *(completed if together else ()))
    assert e.value.code is Code.WRONG_STAGE
    assert second in e.value.detail


def test_steps_of_one_request_are_numbered_one_after_the_other():
    """They are written together, so none of them is in the store when the next is completed."""
    desk = Desk()
    desk.raise_()
    completed: list[DraftEntry] = []
    kind, type_ = feed_pb2.KIND_STEP, feed_pb2.RECORD_TYPE_CALL_STEP
    for step in (step_of(admit={}), step_of(dispatch={"department": LEAD})):
        completed.extend(desk.sequencer.complete(DraftEntry(kind, type_, step), completed))
    desk.append(*completed)
    assert (desk.state().stage, desk.state().step_count) == (CallStage.DISPATCHED, 3)


def test_a_withdrawal_taken_first_leaves_nothing_to_merge_and_the_other_way_round():
    """The sequencer's order decides, and both stay visible."""
    desk = Desk()
    desk.raise_()
    desk.raise_(TWO)
    desk.propose(withdraw={"reason": "已自行解决"})
    with pytest.raises(HuyingError, match="merge: not allowed while the call is WITHDRAWN"):
        desk.do(merge={"into": TWO, "into_caller": TOWN})
    desk.raise_(bytes([3]) * 16)
    desk.do(bytes([3]) * 16, merge={"into": TWO, "into_caller": TOWN})
    took = desk.propose(bytes([3]) * 16, withdraw={})
    assert took.reason == VoidReason.WRONG_STAGE
    assert desk.state(bytes([3]) * 16).void_count == 1


def test_the_county_closes_while_the_town_reopens():
    """Closing does not end the window: the town still has it, and a closure after it is refused."""
    desk = Desk()
    desk.raise_()
    desk.do(dispatch={"department": LEAD})
    desk.do(answer={"department": LEAD, "text": "已修复"})
    desk.propose(confirm={"resolved": True})
    closure = step_of(closure={"reason": calls_pb2.CLOSURE_REASON_CONFIRMED})
    desk.write(closure)
    assert desk.propose(reopen={"reason": "又停水"}).accepted
    assert (desk.state().stage, desk.state().reopens) == (CallStage.UNRESOLVED, 1)
    with pytest.raises(HuyingError, match="EXHAUSTED while the call is UNRESOLVED"):
        desk.write(closure)


def test_a_call_is_merged_only_into_one_that_goes_on():
    """A duplicate merged into nothing would be lost without an answer."""
    desk = Desk()
    desk.raise_()
    with pytest.raises(HuyingError) as e:
        desk.do(merge={"into": TWO, "into_caller": OTHER_TOWN})
    assert e.value.code is Code.NOT_FOUND
    desk.raise_(TWO, OTHER_TOWN)
    desk.propose(TWO, OTHER_TOWN, withdraw={})
    with pytest.raises(HuyingError, match="that call is WITHDRAWN") as e:
        desk.do(merge={"into": TWO, "into_caller": OTHER_TOWN})
    assert e.value.code is Code.WRONG_STAGE


def test_two_calls_cannot_be_merged_into_each_other_in_one_request():
    """Each would be the other's end, and nobody would answer either."""
    desk = Desk()
    desk.raise_()
    desk.raise_(TWO)
    kind, type_ = feed_pb2.KIND_STEP, feed_pb2.RECORD_TYPE_CALL_STEP
    first = DraftEntry(kind, type_, step_of(ONE, merge={"into": TWO, "into_caller": TOWN}))
    completed = desk.sequencer.complete(first)
    with pytest.raises(HuyingError, match="that call is MERGED"):
        desk.write(step_of(TWO, merge={"into": ONE, "into_caller": TOWN}), *completed)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from([ONE, TWO]), st.sampled_from("rcuw")), max_size=12),
    st.integers(1, 4),
)
def test_every_proposal_is_taken_exactly_once_whatever_the_batches(acts, limit):
    """Batches are an accident of timing: they must change neither the verdicts nor the state."""
    desks = []
    for size in (limit, 100):
        desk = Desk()
        for call, act in acts:
            message = {
                "r": call_of(),
                "c": step_of(call, confirm={"resolved": True}),
                "u": step_of(call, urge={}),
                "w": step_of(call, withdraw={}),
            }[act]
            desk.arrive(TOWN, message, call)
        seconds = desk.clock.seconds
        while drafts := desk.sequencer.take(size):
            assert len(drafts) <= size
            desk.append(*drafts)
        assert desk.clock.seconds == seconds
        desks.append(desk)
    assert [one.message for one in desks[0].written] == [one.message for one in desks[1].written]
    assert len(desks[0].written) == len(acts)
    assert desk.state(ONE).void_count + desk.state(TWO).void_count == sum(
        not one.message.took.accepted and one.message.number > 0 for one in desk.written
    )
