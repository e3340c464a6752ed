"""The answering node's part in a call: every proposal is judged, every own step completed.

The engine asks for drafts inside the transaction that applied the proposals, and appends them in
the same one, so a proposal is stored and judged together or not at all. A step that the node's own
people take is completed there, too: of two who act at once the second meets the state that the
first left. What time does to a call is reckoned here, once, and printed in the step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final, Protocol

from huying.common.calls import (
    PROPOSALS,
    CallStage,
    CallState,
    Folding,
    Proposal,
    SequencedStep,
    check_own_step,
    is_aside,
    judge,
)
from huying.common.calls.call_clock import Rules, clock_marks, is_due, terms_of
from huying.common.calls.call_drafts import took_draft
from huying.common.calls.call_parties import complete_party
from huying.common.effects import DraftEntry
from huying.common.errors import Code, HuyingError
from huying.common.ports import Clock
from huying.common.records.registry import default_to
from huying.wire.v1 import calls_pb2, feed_pb2, policy_pb2

__all__ = ["CallSequencer", "ProposalStore"]

_CallKey = tuple[str, bytes]  # caller and id
_NUMBER_MAX: Final = 2**32 - 1  # one that an intruder wrote with this node's key can't stop it
_NOT_PLACED: Final = -1  # an index is given when a step is appended; nothing here depends on it


class ProposalStore(Protocol):
    """What the sequencer asks of the store, inside the engine's transaction."""

    def pending_proposals(self, sequencer: str, limit: int) -> list[Proposal]:
        """Proposals of calls whose sequencer is that node, on which it has written no `took`.

        At most `limit`; those of one feed in the order of their indexes.
        """
        ...

    def sequenced_steps(self, sequencer: str, caller: str, call: bytes) -> list[SequencedStep]:
        """Everything the sequencer wrote about that call, by epoch and index."""
        ...

    def folding(self, sequencer: str, caller: str, call: bytes) -> Folding:
        """The fold over those steps, for the caller to go on with."""
        ...

    def received_micros(self, sequencer: str, caller: str, call: bytes) -> int:
        """When the sequencer took the call, by its own clock; 0 where it has not."""
        ...

    def policy(self, sequencer: str, version: int | None = None) -> policy_pb2.Policy:
        """That version of its policy, or the one in force for None; version 0 is the shipped one.

        A version that is not there is answered by the newest one below it.
        """
        ...

    def calendar(self, sequencer: str) -> policy_pb2.Calendar:
        """Its newest calendar; the shipped one where none was written."""
        ...


class CallSequencer:
    """Judges what is pending and completes what is taken. Holds no state: all is in the feeds."""

    def __init__(self, code: str, store: ProposalStore, clock: Clock) -> None:
        self._code = code
        self._store = store
        self._clock = clock

    def take(self, limit: int) -> list[DraftEntry]:
        """A `took` for each pending proposal, at most `limit`, in the order to be appended.

        The caller appends them in the transaction it is in. A proposal that an earlier took names
        gets none: it has its answer.
        """
        pending = self._store.pending_proposals(self._code, limit)
        if not pending:
            return []
        desk = _Desk(self._code, self._store, self._clock)
        drafts: list[DraftEntry] = []
        for proposal in pending:
            call = desk.call(proposal.caller, proposal.call)
            if call.folding.has_judged(proposal.origin, proposal.index):
                continue
            state = call.folding.latest
            approval = desk.in_force.approval_required
            verdict = judge(state, proposal.home, proposal.message, approval_required=approval)
            draft = took_draft(self._code, state, proposal, verdict, terms_of(desk.in_force))
            assert isinstance(draft.message, calls_pb2.CallStep)
            if not is_aside(state, draft.message):
                desk.print(call, draft.message)
            call.add(draft.message)
            drafts.append(draft)
        return drafts

    def complete(
        self, draft: DraftEntry, before: Sequence[DraftEntry] = ()
    ) -> tuple[DraftEntry, ...]:
        """See `huying.common.ports.Sequencer`."""
        step = draft.message
        if not isinstance(step, calls_pb2.CallStep):
            return (draft,)
        kind = step.WhichOneof("step")
        if kind is None or (kind in PROPOSALS and step.caller == self._code):
            return (draft,)  # a note to the own office, or a proposal to another sequencer
        desk = _Desk(self._code, self._store, self._clock)
        call = desk.call(step.caller, step.call, before)
        state = call.folding.latest
        check_own_step(state, step)
        if kind == "timeout" and not is_due(state, step.timeout, desk.now_micros):
            raise HuyingError(Code.WRONG_STAGE, "timeout.clock: not due yet; it runs on")
        message = calls_pb2.CallStep()
        message.CopyFrom(step)
        _complete_texts(call, message)
        parties, further = state.parties, tuple[DraftEntry, ...]()
        if kind == "merge":
            _check_target(desk, message.merge, before)
        elif kind == "party":
            further = _join(self._code, call, message)
            parties = (*parties, message.party.code)
        desk.print(call, message)
        to = default_to(feed_pb2.RECORD_TYPE_CALL_STEP, self._code, message, parties)
        return (replace(draft, message=message, to=to), *further)


class _Call:
    """One call, as far as it is written or about to be."""

    def __init__(self, folding: Folding, written: Callable[[], list[SequencedStep]]) -> None:
        self.folding = folding
        self.unplaced: list[SequencedStep] = []
        self.received_micros: int | None = None  # read when it is needed
        self._written = written

    def steps(self) -> list[SequencedStep]:
        """All of them: read just where the state does not tell."""
        return [*self._written(), *self.unplaced]

    def add(self, message: calls_pb2.CallStep) -> None:
        step = SequencedStep(_NOT_PLACED, message)
        self.unplaced.append(step)
        self.folding.add(step)


class _Desk:
    """What is read once for all steps of one transaction."""

    def __init__(self, code: str, store: ProposalStore, clock: Clock) -> None:
        self._code = code
        self._store = store
        self.now_micros = int(clock.now() * 1e6)
        self._calls: dict[_CallKey, _Call] = {}
        self._policies: dict[int | None, policy_pb2.Policy] = {}
        self._calendar: policy_pb2.Calendar | None = None

    @property
    def in_force(self) -> policy_pb2.Policy:
        """The policy for calls that are received now."""
        return self._policy(None)

    def call(self, caller: str, call: bytes, before: Sequence[DraftEntry] = ()) -> _Call:
        """A call, with those of the drafts `before` that speak of it."""
        key = (caller, call)
        if key not in self._calls:
            place = self._code, caller, call
            found = _Call(self._store.folding(*place), lambda: self._store.sequenced_steps(*place))
            for message in _about(before, key):
                found.add(message)
            self._calls[key] = found
        return self._calls[key]

    def print(self, call: _Call, step: calls_pb2.CallStep) -> None:
        """Number a step that comes next, and print what it does to the call's clocks."""
        state = call.folding.latest
        is_raise = step.took.HasField("raise")
        if is_raise:
            call.received_micros = self.now_micros
        elif call.received_micros is None:
            received = self._store.received_micros(self._code, step.caller, step.call)
            call.received_micros = received
        version = None if is_raise else state.terms.policy_version
        marks = clock_marks(
            state,
            step,
            Rules(self._policy(version), self._days()),
            received_micros=0 if is_raise else call.received_micros,
            now_micros=self.now_micros,
        )
        step.number = min(state.step_count + 1, _NUMBER_MAX)
        del step.clocks[:]
        step.clocks.extend(marks)
        if step.HasField("dispatch") and not step.dispatch.deadline_micros:
            for mark in marks:
                if (mark.clock, mark.event) == _ANSWER_STARTS:
                    step.dispatch.deadline_micros = mark.due_micros

    def _policy(self, version: int | None) -> policy_pb2.Policy:
        found = self._policies.get(version)
        if found is None:
            found = self._policies[version] = self._store.policy(self._code, version)
        return found

    def _days(self) -> policy_pb2.Calendar:
        if self._calendar is None:
            self._calendar = self._store.calendar(self._code)
        return self._calendar


_ANSWER_STARTS: Final = (calls_pb2.CLOCK_ANSWER, calls_pb2.CLOCK_EVENT_STARTED)


def _about(drafts: Sequence[DraftEntry], key: _CallKey) -> list[calls_pb2.CallStep]:
    return [
        draft.message
        for draft in drafts
        if isinstance(draft.message, calls_pb2.CallStep)
        and (draft.message.caller, draft.message.call) == key
    ]


def _complete_texts(call: _Call, step: calls_pb2.CallStep) -> None:
    """An answer under review stays here; the review that sends it says it, if nobody changed it."""
    if step.HasField("answer") and call.folding.state.terms.review_required:
        if step.answer.text:
            step.unreviewed_text = step.answer.text
            step.answer.ClearField("text")
    elif step.HasField("review") and step.review.sent and not step.review.text:
        answers = (one.call_step for one in call.steps() if one.call_step.HasField("answer"))
        *_, answer = answers  # in REVIEW there is one
        if not answer.unreviewed_text:
            raise HuyingError(
                Code.INVALID_ARGUMENT,
                "review.text: the answer's own text was erased or lost here; say it, or return it",
            )
        step.review.text = answer.unreviewed_text


def _check_target(desk: _Desk, merge: calls_pb2.Merge, before: Sequence[DraftEntry]) -> None:
    """Raises HuyingError: NOT_FOUND, or WRONG_STAGE for a call that does not go on."""
    target = desk.call(merge.into_caller, merge.into, before)
    state = target.folding.latest
    if not target.steps():
        raise HuyingError(Code.NOT_FOUND, "merge.into: this node answers no such call")
    if not _goes_on(state):
        raise HuyingError(
            Code.WRONG_STAGE,
            f"merge.into: that call is {state.stage.name}; merge into one that goes on",
        )


def _goes_on(state: CallState) -> bool:
    return state.is_open and state.stage is not CallStage.RAISED


def _join(code: str, call: _Call, step: calls_pb2.CallStep) -> tuple[DraftEntry, ...]:
    if call.unplaced:
        raise HuyingError(
            Code.INVALID_ARGUMENT, "party: other steps of this call belong in another request"
        )
    return complete_party(code, step, call.steps())
