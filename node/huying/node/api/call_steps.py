"""Completing a step before it is written: what a person left out, and what goes along with it.

A department's name, the text that the centre reviewed, the summary for a party that joins late:
all of it stands in the call already, so nobody types it again.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from huying.common import audience, codes
from huying.common.call_drafts import step_draft
from huying.common.call_state import CallStage
from huying.common.effects import DraftEntry
from huying.common.errors import Code, HuyingError
from huying.common.leaf import ADDRESSED
from huying.common.limits import CALL_EARLIER_MAX, SELECTORS_MAX
from huying.node.api.call_book import CallBook, KnownCall
from huying.wire.v1 import calls_pb2, feed_pb2, trust_pb2

__all__ = ["companions", "complete"]

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
    if kind == "answer" and known.state.terms.review_required and step.answer.text:
        # The parties get it when the centre sends it; till then it stays with the answering node.
        step.unreviewed_text = step.answer.text
        step.answer.ClearField("text")
    elif kind == "review" and step.review.sent and not step.review.text:
        step.review.text = _unreviewed(known)
    elif kind == "closure" and not step.closure.reason:
        step.closure.reason = _CLOSURES.get(known.state.stage, calls_pb2.CLOSURE_REASON_UNSPECIFIED)
    elif kind == "dispatch" and step.dispatch.duty_item and not step.dispatch.duty_version:
        _complete_dispatch(book, known, step.dispatch)
    elif kind == "merge":
        _complete_merge(book, known, step.merge)
    elif kind == "party":
        _complete_party(known, step.party)


def companions(
    book: CallBook, code: str, known: KnownCall, step: calls_pb2.CallStep
) -> tuple[DraftEntry, ...]:
    """What goes into the feed along with the step, in one commit.

    A party that joins may read the sequencer's earlier steps. The caller of a call that is merged
    joins the call that goes on, where there is room for another party.
    """
    kind = step.WhichOneof("step")
    if kind == "party":
        return _opened(known, step.party)
    if kind != "merge":
        return ()
    other = book.known_call(step.merge.into)
    parties = other.state.parties
    if known.caller in parties or len(parties) >= SELECTORS_MAX:
        return ()
    party = calls_pb2.Party(code=known.caller, role=calls_pb2.PARTY_ROLE_MERGED_CALLER)
    _complete_party(other, party)
    joined = calls_pb2.CallStep(call=other.call, caller=other.caller, actor=step.actor, party=party)
    return step_entry(code, other, joined, b""), *_opened(other, party)


def step_entry(
    code: str, known: KnownCall, step: calls_pb2.CallStep, request_id: bytes
) -> DraftEntry:
    """The entry of a step, addressed to the parties. Raises as `step_draft`."""
    draft = step_draft(
        code,
        known.sequencer,
        known.state,
        step,
        village=known.content.village,
        request_id=request_id,
    )
    if step.WhichOneof("step") != "party":
        return draft
    # The step that makes a party must reach it, too.
    to = dict.fromkeys((*draft.to, f"={step.party.code}"))
    return replace(draft, to=tuple(to))


def _unreviewed(known: KnownCall) -> str:
    """The text of the newest answer, where the centre has not sent it."""
    for _, step, _ in reversed(known.steps):
        if step.call_step.WhichOneof("step") == "answer":
            return step.call_step.unreviewed_text
    return ""


def _complete_dispatch(book: CallBook, known: KnownCall, dispatch: calls_pb2.Dispatch) -> None:
    """The item of the duty list that is cited says who leads and who helps."""
    item = book.duty_item(known.sequencer, dispatch.duty_item)
    dispatch.duty_version = item.version
    if not dispatch.department:
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
    if not other.state.is_open or other.state.stage is CallStage.RAISED:
        raise HuyingError(
            Code.WRONG_STAGE,
            f"merge.into: that call is {other.state.stage.name}; merge into one that goes on",
        )
    merge.into_caller = other.caller


def _complete_party(known: KnownCall, party: calls_pb2.Party) -> None:
    """The summary that a late party reads on from."""
    content = known.content
    for name in ("category", "title", "description", "grid", "village"):
        if not getattr(party, name):
            setattr(party, name, getattr(content, name))
    party.raised_micros = content.raised_micros
    del party.earlier[:]
    for origin, step, _ in known.steps[-CALL_EARLIER_MAX:]:
        party.earlier.add(origin=origin, index=step.index)


def _opened(known: KnownCall, party: calls_pb2.Party) -> tuple[DraftEntry, ...]:
    """The disclosures that open the sequencer's earlier steps to the party, one for each epoch."""
    descriptor: Any = calls_pb2.CallStep.DESCRIPTOR
    tier = int(codes.level(known.sequencer))
    slots = bytes(slot for slot in audience.fields_by_slot(descriptor, tier) if slot & ADDRESSED)
    indexes: dict[str, list[int]] = {}
    for ref in party.earlier:
        indexes.setdefault(ref.origin, []).append(ref.index)
    return tuple(
        DraftEntry(
            feed_pb2.KIND_DISCLOSE,
            feed_pb2.RECORD_TYPE_DISCLOSURE,
            trust_pb2.Disclosure(
                ranges=[
                    trust_pb2.IndexRange(start=index, stop=index + 1, slots=slots)
                    for index in found
                ],
                readers=[party.code],
                purpose="参与呼叫 · party to a call",
                authority=f"party {party.code} of call {known.call.hex()}",
                origin=origin,
            ),
            to=(f"={party.code}",),
        )
        for origin, found in indexes.items()
    )
