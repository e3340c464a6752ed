"""The sequencer's judgement: what counts, and what is said to whoever acted in vain.

`judge` decides over a party's proposal; `check_own_step` and `check_proposal` tell a person, before
anything is written, what would not count and why.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

from huying.common.calls.call_rules import PROPOSALS, refusal_of, void_reason_of, wrong_stage
from huying.common.calls.call_state import CallStage, CallState, VoidReason
from huying.common.errors import Code, HuyingError
from huying.common.limits import PROPOSAL_BYTES_MAX, RECORD_ID_BYTES, SATISFACTION_STARS_MAX
from huying.common.records.record_rules import check_fields
from huying.wire.v1 import calls_pb2

__all__ = ["Proposal", "Verdict", "check_own_step", "check_proposal", "judge"]


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


def _verdict(reason: VoidReason) -> Verdict:
    return Verdict(reason is VoidReason.NONE, reason)


def judge(
    state: CallState,
    proposal_origin_code: str,
    proposal: calls_pb2.Call | calls_pb2.CallStep,
    *,
    already_taken: bool = False,
    approval_required: bool = False,
) -> Verdict:
    """Whether a proposal counts in this state, and if not, why. Total: it raises nothing.

    `proposal_origin_code` is the division code of the feed that the proposal stands in;
    `already_taken` says that this very entry was judged before; `approval_required` that a raise
    needs the town principal's approval, by the policy in force.
    """
    if already_taken:
        return _verdict(VoidReason.DUPLICATE)
    if isinstance(proposal, calls_pb2.Call):
        return _verdict(_raise_reason(state, proposal, approval_required=approval_required))
    kind = proposal.WhichOneof("step")
    if kind is None or len(proposal.call) != RECORD_ID_BYTES or not proposal.caller:
        return _verdict(VoidReason.MALFORMED)
    if kind not in PROPOSALS or proposal_origin_code != proposal.caller:
        # The other kinds are the sequencer's own to write; and only the caller proposes.
        return _verdict(VoidReason.NOT_A_PARTY)
    if not _can_be_repeated(proposal, proposal_origin_code):
        return _verdict(VoidReason.MALFORMED)
    return _verdict(void_reason_of(state, kind))


def _raise_reason(state: CallState, call: calls_pb2.Call, *, approval_required: bool) -> VoidReason:
    if not call.sequencer or not (call.category or call.title):
        return VoidReason.MALFORMED
    if state.stage is not CallStage.RAISED:
        return VoidReason.DUPLICATE
    if approval_required and not call.approved_by:
        return VoidReason.NOT_APPROVED
    return void_reason_of(state, "raise")


def _can_be_repeated(proposal: calls_pb2.CallStep, code: str) -> bool:
    """Whether the sequencer could write what it would accept: its took repeats the proposal."""
    try:
        check_fields(proposal, code)
    except HuyingError:
        return False
    if not _says_something(proposal):
        return False
    return proposal.ByteSize() <= PROPOSAL_BYTES_MAX


def _says_something(proposal: calls_pb2.CallStep) -> bool:
    if proposal.HasField("rate"):
        rate = proposal.rate
        return bool(rate.satisfaction or rate.response or rate.manner)
    if proposal.HasField("supplement"):
        return bool(proposal.supplement.text)
    return bool(proposal.reopen.reason) if proposal.HasField("reopen") else True


def check_own_step(state: CallState, step: calls_pb2.CallStep) -> None:
    """Let a step of the sequencer's own pass, if it counts in this state.

    Raises HuyingError: WRONG_STAGE naming the stage and what is allowed to whom; NOT_A_PARTY for
    the step of a department that does not lead, or does not help; INVALID_ARGUMENT for content,
    and for a kind that is not the sequencer's to write.
    """
    refusal = refusal_of(state, step)
    if refusal is not None:
        raise HuyingError(refusal.code, refusal.detail)
    if step.unreviewed_text and not step.HasField("answer"):
        raise HuyingError(Code.INVALID_ARGUMENT, "unreviewed_text: only an answer has one")
    if step.HasField("answer"):
        under_review = step.unreviewed_text if state.terms.review_required else ""
        if not (step.answer.text or under_review):
            raise HuyingError(Code.INVALID_ARGUMENT, "answer.text: missing; it is required")


_IN_VAIN: Final = {
    VoidReason.TOO_LATE: "its window is closed",
    VoidReason.TOO_OFTEN: "as often as the call's terms allow, already",
}


def check_proposal(state: CallState, code: str, step: calls_pb2.CallStep) -> None:
    """Let a party's own proposal pass, if the sequencer would accept it in the state seen here.

    A courtesy before writing: the sequencer decides. Raises HuyingError: WRONG_STAGE naming the
    stage and what is allowed, NOT_A_PARTY, or INVALID_ARGUMENT.
    """
    reason = judge(state, code, step).reason
    if reason is VoidReason.NONE:
        return
    kind = step.WhichOneof("step") or "this"
    if reason in _IN_VAIN:
        raise HuyingError(Code.WRONG_STAGE, f"{kind}: {_IN_VAIN[reason]}; {wrong_stage(state)}")
    if reason is VoidReason.WRONG_STAGE:
        raise HuyingError(Code.WRONG_STAGE, f"{kind}: {wrong_stage(state)}")
    if reason is VoidReason.NOT_A_PARTY:
        proposals = ", ".join(one for one in PROPOSALS if one != "raise")
        raise HuyingError(
            Code.NOT_A_PARTY,
            f"{kind}: {code} may not take this step; the caller may {proposals}, the rest is the "
            "answering node's",
        )
    raise HuyingError(
        Code.INVALID_ARGUMENT,
        f"{kind}: the call's id of {RECORD_ID_BYTES} bytes, its caller, ratings from 1 to "
        f"{SATISFACTION_STARS_MAX}, a reason or text where the step needs one, "
        f"no phone or ID number in it, and at most {PROPOSAL_BYTES_MAX} bytes in all are needed",
    )
