"""Drafts for the steps of a call, from what the API is asked.

The checks are a courtesy to the person at the screen, on the state seen here; whether a proposal
counts is for the call's sequencer to say (docs/CALLS.md).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from huying.common.calls import SequencedStep, allowed_steps
from huying.common.effects import DraftEntry
from huying.common.errors import Code, HuyingError
from huying.common.limits import RECORD_ID_BYTES
from huying.common.ports import Clock
from huying.common.records.registry import check_write
from huying.node.api.call_book import CallBook, KnownCall
from huying.node.api.call_raising import Raising, check_request
from huying.node.api.call_steps import companions, complete, step_entry
from huying.wire.v1 import api_pb2, calls_pb2, feed_pb2

__all__ = ["Calls"]

# What time and receipt do is the sequencer's own, never a person's.
_NEVER: Final = ("took", "timeout", "outage")
_PROPOSALS: Final = ("confirm", "supplement", "rate", "reopen", "withdraw", "urge")
# A second one of these would come too late, whatever the sequencer says of the first.
_ONE_AT_A_TIME: Final = ("confirm", "supplement", "reopen", "withdraw")
# Steps that say something and move nothing.
_REMARKS: Final = ("note", "reply", "urge", "supervise", "card", "party", "outage")


class Calls:
    """`CallService` of the node `code`: the caller's steps, and the answering node's."""

    def __init__(self, code: str, clock: Clock, book: CallBook) -> None:
        self._code = code
        self._book = book
        self._raising = Raising(code, clock, book)

    def raise_call(self, call: calls_pb2.Call, request_id: bytes) -> DraftEntry:
        """See `Raising.raise_call`."""
        return self._raising.raise_call(call, request_id)

    def draft_call(self, draft: calls_pb2.CallDraft, request_id: bytes) -> DraftEntry:
        """See `Raising.draft_call`."""
        return self._raising.draft_call(draft, request_id)

    def decide_draft(self, request: api_pb2.DecideDraftRequest) -> tuple[DraftEntry, ...]:
        """See `Raising.decide`."""
        return self._raising.decide(request)

    def step(self, step: calls_pb2.CallStep, request_id: bytes) -> tuple[DraftEntry, ...]:
        """The draft of a step, addressed to the parties below this node, and what goes with it.

        A step of no kind is an internal note: it stays with the own office.

        Raises HuyingError(NOT_FOUND, WRONG_STAGE, NOT_A_PARTY or INVALID_ARGUMENT).
        """
        check_request(request_id)
        if len(step.call) != RECORD_ID_BYTES:
            raise HuyingError(Code.INVALID_ARGUMENT, f"step.call: {RECORD_ID_BYTES} bytes")
        kind = step.WhichOneof("step")
        if kind is None and step.internal_note:
            return (self._internal_note(step, request_id),)
        if kind is None or kind in _NEVER:
            raise HuyingError(
                Code.INVALID_ARGUMENT, f"step: one that a person takes; {kind or 'none'} is not"
            )
        known = self._book.known_call(step.call)
        self._check_role(known, kind)
        message = calls_pb2.CallStep()
        message.CopyFrom(step)
        for printed in ("number", "clocks"):  # by the sequencer, in the same transaction
            message.ClearField(printed)
        complete(self._book, known, message)
        entry = step_entry(self._code, known, message, request_id)
        return entry, *companions(self._book, self._code, known, message)

    def _internal_note(self, step: calls_pb2.CallStep, request_id: bytes) -> DraftEntry:
        """A note to the own office, at any stage: addressed to nobody, and no proposal."""
        known = self._book.known_call(step.call)
        message = calls_pb2.CallStep(
            call=known.call,
            caller=known.caller,
            actor=step.actor,
            internal_note=step.internal_note,
        )
        kind, type_ = feed_pb2.KIND_STEP, feed_pb2.RECORD_TYPE_CALL_STEP
        check_write(type_, kind, message, self._code)
        return DraftEntry(kind, type_, message, request_id=request_id)

    def explained(self, error: HuyingError, call: bytes) -> HuyingError:
        """The refusal of a step, with who moved the call before and how."""
        if error.code not in (Code.WRONG_STAGE, Code.NOT_A_PARTY):
            return error
        try:
            known = self._book.known_call(call)
        except HuyingError:
            return error
        moved = [
            (step, micros)
            for _, step, micros in known.steps
            if step.call_step.WhichOneof("step") not in (None, *_REMARKS)
        ]
        if not moved:
            return error
        return HuyingError(error.code, f"{error.detail}; before it: {_told(*moved[-1])}")

    def _check_role(self, known: KnownCall, kind: str) -> None:
        if self._code == known.sequencer:
            if kind in _PROPOSALS and kind != "urge":
                raise self._refused(known, kind)
            return
        if kind not in _PROPOSALS or self._code not in (known.caller, *known.state.parties):
            raise self._refused(known, kind)
        if kind not in _ONE_AT_A_TIME:
            return
        for one in known.pending:
            if (one.home, one.kind) == (self._code, kind):
                by = f" by {one.actor}" if one.actor else ""
                raise HuyingError(
                    Code.WRONG_STAGE,
                    f"a {kind} was sent{by} at {_utc(one.time_micros)} and {known.sequencer} has"
                    " not received it yet",
                )

    def _refused(self, known: KnownCall, kind: str) -> HuyingError:
        """Says the stage, what is allowed in it, and by whom."""
        state = known.state
        by = (
            (f"the centre of {known.sequencer}", "centre"),
            (f"its department {state.department}".rstrip(), "department"),
            (f"the caller {known.caller}", "caller"),
        )
        allowed = "; ".join(
            f"{who}: {', '.join(steps)}"
            for who, role in by
            if (steps := allowed_steps(state, role))
        )
        return HuyingError(
            Code.NOT_A_PARTY,
            f"{kind} is not for {self._code} to take; the call is {state.stage.name}, allowed now:"
            f" {allowed or 'nothing more'}",
        )


def _told(step: SequencedStep, micros: int) -> str:
    """Who took a step and when, e.g. `accept by 水务局 p-07 at 2026-10-08T01:12:03Z (step 4)`."""
    message = step.call_step
    kind: str = message.WhichOneof("step") or "step"
    content = getattr(message, kind)
    who = [getattr(content, "department", ""), message.actor]
    if kind == "took":
        kind = f"{content.WhichOneof('proposal')}, received"
        who = []
    by = " ".join(filter(None, who))
    return f"{kind}{f' by {by}' if by else ''} at {_utc(micros)} (step {message.number})"


def _utc(micros: int) -> str:
    try:
        return f"{datetime.fromtimestamp(micros / 1e6, UTC):%Y-%m-%dT%H:%M:%SZ}"
    except (OverflowError, ValueError, OSError):
        return f"{micros} µs"
