"""The answering node judges every proposal once, in one order."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from huying.common.calls import CallStage, Proposal, SequencedStep, VoidReason, fold
from huying.common.records import check_write
from huying.hub.sequencer import CallSequencer, answer_draft, dispatch_draft
from huying.wire.v1 import calls_pb2, feed_pb2
from tests.unit.tiny_network import StoppedClock

COUNTY = "370830000000"
TOWN = "370830108000"
VILLAGE = "370830108201"
FEED = f"wenshang.example/feed/{TOWN}/e1"


class Log:
    """A store of the least: proposals as they arrived, and what the sequencer wrote."""

    def __init__(self):
        self.arrived = []
        self.written = []
        self.lists_everything = False

    def pending_proposals(self, sequencer, limit):
        assert sequencer == COUNTY
        if self.lists_everything:
            return self.arrived
        taken = {(s.took.ref.origin, s.took.ref.index) for s in self.written if s.HasField("took")}
        return [one for one in self.arrived if (one.origin, one.index) not in taken][:limit]

    def sequenced_steps(self, sequencer, caller, call):
        assert sequencer == COUNTY
        return [
            SequencedStep(index, step)
            for index, step in enumerate(self.written)
            if (step.caller, step.call) == (caller, call)
        ]

    def append(self, draft):
        check_write(draft.type, draft.kind, draft.message, COUNTY)
        self.written.append(draft.message)

    def state(self, call):
        return fold(self.sequenced_steps(COUNTY, TOWN, call))


def raised(index, call):
    message = calls_pb2.Call(sequencer=COUNTY, category="供水", village=VILLAGE)
    return Proposal(FEED, index, TOWN, call, TOWN, message)


def confirmed(index, call, *, resolved):
    message = calls_pb2.CallStep(
        call=call, caller=TOWN, confirm=calls_pb2.Confirm(resolved=resolved)
    )
    return Proposal(FEED, index, TOWN, call, TOWN, message)


ONE, TWO = bytes(16), bytes([1]) * 16


def test_a_raise_is_taken_with_what_the_fold_needs_of_it():
    """The village hears of its call only because the took is addressed to it."""
    log = Log()
    log.arrived = [raised(5, ONE)]
    (draft,) = CallSequencer(COUNTY, log, StoppedClock()).take(10)
    assert draft.kind == feed_pb2.KIND_STEP
    assert draft.to == (f"={TOWN}", f"={VILLAGE}")
    assert isinstance(draft.message, calls_pb2.CallStep)
    assert draft.message.took.accepted
    assert (draft.message.took.ref.origin, draft.message.took.ref.index) == (FEED, 5)
    log.append(draft)
    assert log.state(ONE).stage is CallStage.RECEIVED
    assert log.state(ONE).parties == (TOWN, VILLAGE)


def test_two_proposals_in_one_batch_are_judged_in_order():
    """Both are pending at once after an outage: the second meets what the first left."""
    log = Log()
    log.arrived = [raised(0, ONE), raised(1, ONE)]
    drafts = CallSequencer(COUNTY, log, StoppedClock()).take(10)
    for draft in drafts:
        log.append(draft)
    tooks = [step.took for step in log.written]
    assert [took.accepted for took in tooks] == [True, False]
    assert tooks[1].reason == VoidReason.DUPLICATE


def test_the_whole_life_through_the_sequencer():
    """Raise, dispatch, answer, not resolved, answer, resolved: with the drafts as appended."""
    log = Log()
    sequencer = CallSequencer(COUNTY, log, StoppedClock())

    def take(proposal):
        log.arrived.append(proposal)
        for draft in sequencer.take(10):
            log.append(draft)

    take(raised(0, ONE))
    log.append(dispatch_draft(COUNTY, log.state(ONE), ONE, department="水务局"))
    log.append(answer_draft(COUNTY, log.state(ONE), ONE, text="已修复"))
    take(confirmed(1, ONE, resolved=False))
    assert log.state(ONE).stage is CallStage.UNRESOLVED
    log.append(answer_draft(COUNTY, log.state(ONE), ONE, text="已换管"))
    take(confirmed(2, ONE, resolved=True))
    assert log.state(ONE).stage is CallStage.CONFIRMED
    assert log.state(ONE).void_count == 0


def test_a_proposal_that_has_its_answer_gets_no_second():
    """A store that lists too much must not make the sequencer contradict itself."""
    log = Log()
    log.arrived = [raised(0, ONE)]
    sequencer = CallSequencer(COUNTY, log, StoppedClock())
    for draft in sequencer.take(10):
        log.append(draft)
    log.lists_everything = True
    assert sequencer.take(10) == []


def test_a_newer_callers_unknown_field_is_not_written():
    """The split refuses unknown fields, and one refusal would stop every other call."""
    log = Log()
    message = calls_pb2.CallStep(call=ONE, caller=TOWN)
    message.confirm.MergeFromString(b"\x08\x01\xf8\x3f\x01")
    log.arrived = [raised(0, ONE)]
    sequencer = CallSequencer(COUNTY, log, StoppedClock())
    log.append(sequencer.take(1)[0])
    log.append(dispatch_draft(COUNTY, log.state(ONE), ONE, department="水务局"))
    log.append(answer_draft(COUNTY, log.state(ONE), ONE, text="已修复"))
    log.arrived.append(Proposal(FEED, 1, TOWN, ONE, TOWN, message))
    (draft,) = sequencer.take(1)
    assert isinstance(draft.message, calls_pb2.CallStep)
    assert draft.message.took.confirm == calls_pb2.Confirm(resolved=True)


@given(
    st.lists(st.tuples(st.sampled_from([ONE, TWO]), st.sampled_from("rcu")), max_size=12),
    st.integers(1, 4),
)
def test_every_proposal_is_taken_exactly_once_whatever_the_batches(acts, limit):
    """Batches are an accident of timing: they must change neither the verdicts nor the state."""
    arrived = [
        raised(index, call) if act == "r" else confirmed(index, call, resolved=act == "c")
        for index, (call, act) in enumerate(acts)
    ]
    logs = []
    for size in (limit, 100):
        log = Log()
        log.arrived = arrived
        sequencer = CallSequencer(COUNTY, log, StoppedClock())
        while drafts := sequencer.take(size):
            assert len(drafts) <= size
            for draft in drafts:
                log.append(draft)
        logs.append(log)
    assert logs[0].written == logs[1].written
    assert len(logs[0].written) == len(arrived)
    assert log.state(ONE).void_count + log.state(TWO).void_count == sum(
        not step.took.accepted for step in log.written
    )
