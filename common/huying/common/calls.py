"""乡呼县应: the life of a call, as a fold of its sequencer's entries.

Every call has one sequencer, the node that answers. Another party's step is a *proposal* in that
party's own feed; it counts when the sequencer writes a `took` that accepts it, and is *void*, with
a reason, when the took refuses it. The state is folded from the sequencer's entries alone, in the
order of their indexes, and reads no timestamp: so it is the same on every node, whatever arrives
when, and of two parties who act at once exactly one wins and the other is told why.

    RAISED --took raise--> RECEIVED --dispatch--> DISPATCHED --answer--> ANSWERED
    ANSWERED --took confirm, resolved--> CONFIRMED
    ANSWERED --took confirm, not resolved--> UNRESOLVED --answer--> ANSWERED
                                             UNRESOLVED --dispatch--> DISPATCHED

A call is known by its caller and its id together: nobody can speak for another's call by using its
id. A sequencer's own step that is out of place changes nothing and is counted, so a faulty
sequencer confuses no reader. docs/CALLS.md has the whole life that this grows to.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import reduce
from typing import Final, NamedTuple

from google.protobuf.unknown_fields import UnknownFieldSet

from huying.common.call_state import CallStage, CallState, Place, VoidReason
from huying.common.errors import Code, HuyingError
from huying.common.limits import PROPOSAL_BYTES_MAX, RECORD_ID_BYTES, SATISFACTION_STARS_MAX
from huying.common.record_rules import check_fields
from huying.wire.v1 import calls_pb2

__all__ = [
    "CallStage",
    "CallState",
    "Place",
    "Proposal",
    "SequencedStep",
    "Verdict",
    "VoidReason",
    "advance",
    "allowed_steps",
    "check_own_step",
    "check_proposal",
    "fold",
    "judge",
]


class _Action(enum.Enum):
    """What moves a call on; the value is the step's name on the wire."""

    RAISE = "raise"
    DISPATCH = "dispatch"
    ANSWER = "answer"
    RESOLVED = "confirm"
    NOT_RESOLVED = "confirm (not resolved)"


# The whole life. A pair that is not here is a step out of place.
_TRANSITIONS: Final[dict[tuple[CallStage, _Action], CallStage]] = {
    (CallStage.RAISED, _Action.RAISE): CallStage.RECEIVED,
    (CallStage.RECEIVED, _Action.DISPATCH): CallStage.DISPATCHED,
    (CallStage.DISPATCHED, _Action.ANSWER): CallStage.ANSWERED,
    (CallStage.ANSWERED, _Action.RESOLVED): CallStage.CONFIRMED,
    (CallStage.ANSWERED, _Action.NOT_RESOLVED): CallStage.UNRESOLVED,
    (CallStage.UNRESOLVED, _Action.DISPATCH): CallStage.DISPATCHED,
    (CallStage.UNRESOLVED, _Action.ANSWER): CallStage.ANSWERED,
}


class SequencedStep(NamedTuple):
    """One entry of the sequencer about one call. Epoch and index order them."""

    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody calls
    call_step: calls_pb2.CallStep
    epoch: int = 1

    @property
    def place(self) -> Place:
        """Its epoch and index."""
        return Place(self.epoch, self.index)


class Proposal(NamedTuple):
    """A party's step that waits for the sequencer, with the entry it stands in."""

    origin: str  # of the feed
    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody calls
    home: str  # division code of the origin
    call: bytes  # the call's id: of a raise, the record id of its entry
    caller: str  # division code; of a raise, the home itself
    message: calls_pb2.Call | calls_pb2.CallStep


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the sequencer says of a proposal; `reason` is NONE just where it is accepted."""

    accepted: bool
    reason: VoidReason = VoidReason.NONE


_ACCEPTED: Final = Verdict(accepted=True)


def _void(reason: VoidReason) -> Verdict:
    return Verdict(accepted=False, reason=reason)


def _confirm_action(confirm: calls_pb2.Confirm) -> _Action:
    return _Action.RESOLVED if confirm.resolved else _Action.NOT_RESOLVED


# --- the fold --------------------------------------------------------------------------------


def fold(steps: Iterable[SequencedStep]) -> CallState:
    """The state of one call. Takes the sequencer's entries about it, in any order, any often.

    Total: whatever the steps hold, it returns a state.
    """
    unique = {step.place: step for step in steps}
    return reduce(advance, (unique[place] for place in sorted(unique)), CallState())


def advance(state: CallState, step: SequencedStep) -> CallState:
    """The state after the sequencer's next entry. `fold` is this, over all of them in order."""
    message = step.call_step
    kind = message.WhichOneof("step")
    if kind == "took":
        return _advance_took(state, step)
    if kind == "dispatch":
        following = _TRANSITIONS.get((state.stage, _Action.DISPATCH))
        if following is not None:
            dispatch = message.dispatch
            return replace(
                state,
                stage=following,
                department=dispatch.department,
                co_handlers=tuple(dispatch.co_handlers),
                deadline_micros=dispatch.deadline_micros,
                dispatched_at=step.place,
            )
    if kind == "answer":
        following = _TRANSITIONS.get((state.stage, _Action.ANSWER))
        if following is not None:
            return replace(
                state,
                stage=following,
                answered_at=step.place,
                confirmed_at=None,
                resolved=None,
                satisfaction=0,
            )
    if kind is None and not len(UnknownFieldSet(message)):
        return state  # an internal note
    # Out of place, or of a kind that this program does not know.
    return replace(state, void_count=state.void_count + 1)


def _advance_took(state: CallState, step: SequencedStep) -> CallState:
    """What the sequencer's word on a proposal changes."""
    took = step.call_step.took
    ref = (took.ref.origin, took.ref.index)
    void = replace(state, void_count=state.void_count + 1, taken=state.taken | {ref})
    if ref in state.taken or not took.accepted:
        return void
    kind = took.WhichOneof("proposal")
    if kind == "raise":
        following = _TRANSITIONS.get((state.stage, _Action.RAISE))
        if following is None:
            return void
        return replace(
            state,
            stage=following,
            caller=step.call_step.caller,
            village=getattr(took, "raise").village,
            received_at=step.place,
            taken=state.taken | {ref},
        )
    if kind == "confirm":
        confirm = took.confirm
        following = _TRANSITIONS.get((state.stage, _confirm_action(confirm)))
        if following is None:
            return void
        rated = confirm.satisfaction if confirm.satisfaction <= SATISFACTION_STARS_MAX else 0
        return replace(
            state,
            stage=following,
            confirmed_at=step.place,
            resolved=confirm.resolved,
            satisfaction=rated,
            taken=state.taken | {ref},
        )
    return void


# --- the sequencer's judgement ---------------------------------------------------------------


def judge(
    state: CallState,
    proposal_origin_code: str,
    proposal: calls_pb2.Call | calls_pb2.CallStep,
    *,
    already_taken: bool = False,
) -> Verdict:
    """Whether a proposal counts in this state, and if not, why. Total: it raises nothing.

    `proposal_origin_code` is the division code of the feed that the proposal stands in;
    `already_taken` says that this very entry was judged before.
    """
    if already_taken:
        return _void(VoidReason.DUPLICATE)
    if isinstance(proposal, calls_pb2.Call):
        return _judge_raise(state, proposal_origin_code, proposal)
    kind = proposal.WhichOneof("step")
    if kind is None or len(proposal.call) != RECORD_ID_BYTES or not proposal.caller:
        return _void(VoidReason.MALFORMED)
    if kind != "confirm" or proposal_origin_code != proposal.caller:
        # The other kinds are the sequencer's own to write; and only the caller confirms.
        return _void(VoidReason.NOT_A_PARTY)
    if not _can_be_repeated(proposal, proposal_origin_code):
        return _void(VoidReason.MALFORMED)
    if (state.stage, _confirm_action(proposal.confirm)) not in _TRANSITIONS:
        return _void(VoidReason.WRONG_STAGE)
    return _ACCEPTED


def _can_be_repeated(proposal: calls_pb2.CallStep, code: str) -> bool:
    """Whether the sequencer could write what it would accept: its took repeats the proposal."""
    try:
        check_fields(proposal, code)
    except HuyingError:
        return False
    return proposal.ByteSize() <= PROPOSAL_BYTES_MAX


def _judge_raise(state: CallState, code: str, call: calls_pb2.Call) -> Verdict:
    if not call.sequencer or not (call.category or call.title):
        return _void(VoidReason.MALFORMED)
    if state.stage is CallStage.RAISED:
        return _ACCEPTED
    return _void(VoidReason.DUPLICATE if code == state.caller else VoidReason.NOT_A_PARTY)


def allowed_steps(stage: CallStage) -> tuple[str, ...]:
    """The names of the steps that move a call on from this stage; empty at its end."""
    return tuple(action.value for (here, action) in _TRANSITIONS if here is stage)


def _wrong_stage(state: CallState, kind: str) -> HuyingError:
    allowed = ", ".join(allowed_steps(state.stage)) or "nothing more"
    return HuyingError(
        Code.WRONG_STAGE,
        f"{kind} is not allowed while the call is {state.stage.name}; allowed: {allowed}",
    )


def check_own_step(state: CallState, step: calls_pb2.CallStep) -> None:
    """Let the sequencer's own dispatch or answer pass, if it moves the call on.

    Raises HuyingError: WRONG_STAGE naming the stage and what is allowed; NOT_A_PARTY for an answer
    by another department than the lead; INVALID_ARGUMENT for any other kind of step.
    """
    kind = step.WhichOneof("step")
    if kind not in ("dispatch", "answer"):
        raise HuyingError(
            Code.INVALID_ARGUMENT, "step: the answering node writes dispatch or answer"
        )
    if (state.stage, _Action(kind)) not in _TRANSITIONS:
        raise _wrong_stage(state, kind)
    if kind == "dispatch" and not step.dispatch.department:
        raise HuyingError(Code.INVALID_ARGUMENT, "dispatch.department: name the lead department")
    if kind == "answer" and step.answer.department != state.department:
        raise HuyingError(
            Code.NOT_A_PARTY,
            f"answer.department: {state.department} leads this call, so it answers",
        )


def check_proposal(state: CallState, code: str, step: calls_pb2.CallStep) -> None:
    """Let a party's own proposal pass, if the sequencer would accept it in the state seen here.

    A courtesy before writing: the sequencer decides. Raises HuyingError: WRONG_STAGE naming the
    stage and what is allowed, NOT_A_PARTY, or INVALID_ARGUMENT.
    """
    reason = judge(state, code, step).reason
    if reason is VoidReason.WRONG_STAGE:
        raise _wrong_stage(state, step.WhichOneof("step") or "this")
    if reason is VoidReason.NOT_A_PARTY:
        raise HuyingError(Code.NOT_A_PARTY, f"{code} may not take this step; the caller confirms")
    if reason is not VoidReason.NONE:
        raise HuyingError(
            Code.INVALID_ARGUMENT,
            f"step: a confirm with the call's id of {RECORD_ID_BYTES} bytes, its caller, "
            f"satisfaction from 0 to {SATISFACTION_STARS_MAX}, and at most {PROPOSAL_BYTES_MAX} "
            "bytes, is needed",
        )
