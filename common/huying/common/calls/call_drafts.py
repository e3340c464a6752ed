"""The entries that take a call through its life, ready to append.

A draft is addressed to the parties below its writer: the sequencer's to the caller and the village,
the caller's to the village. Upward a call's fields travel by their level, so the sequencer needs no
selector.
"""

from __future__ import annotations

from typing import Final

from huying.common.calls import (
    CallState,
    Proposal,
    Verdict,
    VoidReason,
    check_own_step,
    check_proposal,
)
from huying.common.effects import DraftEntry
from huying.common.records.registry import check_write, default_to
from huying.wire.v1 import calls_pb2, feed_pb2, policy_pb2

__all__ = [
    "raise_draft",
    "step_draft",
    "took_draft",
]


def raise_draft(code: str, call: calls_pb2.Call, *, request_id: bytes = b"") -> DraftEntry:
    """The call itself, written by the town `code`; the record id drawn for it is the call's id.

    Raises HuyingError as `check_write` does.
    """
    check_write(feed_pb2.RECORD_TYPE_CALL, feed_pb2.KIND_PUT, call, code)
    return DraftEntry(
        kind=feed_pb2.KIND_PUT,
        type=feed_pb2.RECORD_TYPE_CALL,
        message=call,
        to=default_to(feed_pb2.RECORD_TYPE_CALL, code, call),
        request_id=request_id,
    )


def step_draft(
    code: str,
    sequencer: str,
    state: CallState,
    step: calls_pb2.CallStep,
    *,
    village: str = "",
    request_id: bytes = b"",
) -> DraftEntry:
    """A step that the node `code` takes: its own where it is the sequencer, else a proposal.

    `state` is the call's as seen here; `village` the call's, for a caller whose raise is not taken
    yet. Raises HuyingError: WRONG_STAGE, NOT_A_PARTY, INVALID_ARGUMENT, or as `check_write` does.
    """
    check_write(feed_pb2.RECORD_TYPE_CALL_STEP, feed_pb2.KIND_STEP, step, code)
    if code == sequencer:
        check_own_step(state, step)
    else:
        check_proposal(state, code, step)
    parties = (step.caller, village or state.village, *state.joined)
    return _step_entry(code, step, parties, request_id)


def took_draft(
    code: str,
    state: CallState,
    proposal: Proposal,
    verdict: Verdict,
    terms: policy_pb2.Terms | None = None,
) -> DraftEntry:
    """The sequencer's word on a proposal: for the parties, or for a stranger alone.

    An accepted one repeats the proposal, so that the fold needs no other feed; of a void one only
    the kind is repeated. `terms` are what a call that is received now is held to.
    """
    took = calls_pb2.Took(
        ref=calls_pb2.EntryRef(origin=proposal.origin, index=proposal.index),
        accepted=verdict.accepted,
        reason=calls_pb2.VoidReason.ValueType(verdict.reason),
    )
    message = proposal.message
    village = state.village
    if isinstance(message, calls_pb2.Call):
        raised = getattr(took, "raise")
        raised.SetInParent()
        if verdict.accepted:
            raised.village = village = message.village
            if message.urgency in policy_pb2.Urgency.values():  # a newer caller may have others
                raised.urgency = message.urgency
            if terms is not None:
                raised.terms.CopyFrom(terms)
    else:
        kind = message.WhichOneof("step") or ""
        if kind in _REPEATED:
            repeated = getattr(took, kind)
            repeated.SetInParent()
            if verdict.accepted:
                repeated.CopyFrom(getattr(message, kind))
                took.DiscardUnknownFields()  # a newer caller's; nothing unknown is written
    step = calls_pb2.CallStep(call=proposal.call, caller=proposal.caller, took=took)
    if verdict.reason is VoidReason.NOT_A_PARTY:
        return _step_entry(code, step, (proposal.home,), b"")
    parties = (state.caller or proposal.caller, village, *state.joined)
    return _step_entry(code, step, parties, b"")


# The proposals that a took repeats.
_REPEATED: Final = frozenset(one.name for one in calls_pb2.Took.DESCRIPTOR.oneofs[0].fields)


def _step_entry(
    code: str, step: calls_pb2.CallStep, parties: tuple[str, ...], request_id: bytes
) -> DraftEntry:
    known = tuple(party for party in parties if party)
    return DraftEntry(
        kind=feed_pb2.KIND_STEP,
        type=feed_pb2.RECORD_TYPE_CALL_STEP,
        message=step,
        to=default_to(feed_pb2.RECORD_TYPE_CALL_STEP, code, step, known),
        request_id=request_id,
    )
