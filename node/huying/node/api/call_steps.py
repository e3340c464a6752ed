"""Completing a step before it is written: what a person left out, and what goes along with it.

A department's name, the lead that the duty list names, the summary for a party that joins late: all
of it stands here already, so nobody types it again. What the sequencer prints it fills in itself.
"""

from __future__ import annotations

from typing import Any, Final

from huying.common.calls.call_drafts import step_draft
from huying.common.calls.call_parties import summary
from huying.common.calls.call_state import CallStage
from huying.common.effects import DraftEntry
from huying.common.errors import Code, HuyingError
from huying.common.limits import SELECTORS_MAX
from huying.node.api.call_book import CallBook, KnownCall
from huying.wire.v1 import calls_pb2

__all__ = ["companions", "complete", "step_entry"]

# The steps that a department takes, which name it: by default the lead.
_BY_DEPARTMENT: Final = frozenset(
    {"accept", "objection", "supplement_request", "resume", "extension_request", "answer", "card"}
)
_CLOSURES: Final = {
    CallStage.CONFIRMED: calls_pb2.CLOSURE_REASON_CONFIRMED,
    CallStage.UNRESOLVED: calls_pb2.CLOSURE_REASON_EXHAUSTED,
}


def complete(book: CallBook, known: KnownCall, step: calls_pb2.CallStep) -> None:
    """Fill in what the call says already. Raises HuyingError(NOT_FOUND or INVALID_ARGUMENT)."""
    kind = step.WhichOneof("step") or ""
    step.caller = known.caller
    if kind in _BY_DEPARTMENT:
        chosen: Any = getattr(step, kind)
        chosen.department = chosen.department or known.state.department
    if kind == "closure" and not step.closure.reason:
        step.closure.reason = _CLOSURES.get(known.state.stage, calls_pb2.CLOSURE_REASON_UNSPECIFIED)
    elif kind == "dispatch" and step.dispatch.duty_item and not step.dispatch.duty_version:
        _complete_dispatch(book, known, step.dispatch)
    elif kind == "merge":
        _complete_merge(book, known, step.merge)
    elif kind == "party":
        step.party.CopyFrom(summary(step.party.code, step.party.role, known.content))


def companions(
    book: CallBook, code: str, known: KnownCall, step: calls_pb2.CallStep
) -> tuple[DraftEntry, ...]:
    """What goes into the feed along with the step, in one commit.

    The caller of a call that is merged joins the call that goes on, where there is room for another
    party.
    """
    if step.WhichOneof("step") != "merge":
        return ()
    other = book.known_call(step.merge.into)
    parties = other.state.parties
    if known.caller in parties or len(parties) >= SELECTORS_MAX:
        return ()
    party = summary(known.caller, calls_pb2.PARTY_ROLE_MERGED_CALLER, other.content)
    joined = calls_pb2.CallStep(call=other.call, caller=other.caller, actor=step.actor, party=party)
    return (step_entry(code, other, joined, b""),)


def step_entry(
    code: str, known: KnownCall, step: calls_pb2.CallStep, request_id: bytes
) -> DraftEntry:
    """The entry of a step, addressed to the parties. Raises as `step_draft`."""
    return step_draft(
        code,
        known.sequencer,
        known.state,
        step,
        village=known.content.village,
        request_id=request_id,
    )


def _complete_dispatch(book: CallBook, known: KnownCall, dispatch: calls_pb2.Dispatch) -> None:
    """The item of the duty list that is cited says who leads and who helps."""
    item = book.duty_item(known.sequencer, dispatch.duty_item)
    dispatch.duty_item = item.number  # as the list writes it
    dispatch.duty_version = item.version
    if dispatch.department in ("", item.lead):  # another lead picks its own helpers
        dispatch.department = item.lead
        if not dispatch.co_handlers:
            dispatch.co_handlers.extend(item.co_handlers)


def _complete_merge(book: CallBook, known: KnownCall, merge: calls_pb2.Merge) -> None:
    if merge.into == known.call:
        raise HuyingError(Code.INVALID_ARGUMENT, "merge.into: another call than this one")
    other = book.known_call(merge.into)
    if other.sequencer != known.sequencer:
        raise HuyingError(
            Code.INVALID_ARGUMENT,
            f"merge.into: it is answered by {other.sequencer}; a call is merged into one of the"
            " same answering node",
        )
    if not other.state.is_open:
        raise HuyingError(
            Code.WRONG_STAGE,
            f"merge.into: that call is {other.state.stage.name}; name one that goes on",
        )
    merge.into_caller = other.caller
