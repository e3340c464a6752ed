"""The calling side: drafts, the town principal's approval, and the call itself.

A draft stays in the town. Approving it appends the call, with the draft's record id, and the
draft's new state in one commit, so neither is ever there without the other.
"""

from __future__ import annotations

from dataclasses import replace

from huying.common import codes
from huying.common.calls.call_drafts import raise_draft
from huying.common.effects import DraftEntry
from huying.common.errors import Code, HuyingError
from huying.common.limits import RECORD_ID_BYTES
from huying.common.ports import Clock
from huying.common.records.registry import check_write
from huying.node.api.call_book import CallBook
from huying.wire.v1 import api_pb2, calls_pb2, feed_pb2

__all__ = ["Raising", "check_request"]

# Of a draft, what becomes of the call, under the same names.
_CARRIED = (
    "category",
    "title",
    "description",
    "grid",
    "village",
    "event",
    "actor",
    "contact_name",
    "contact_phone",
    "urgency",
    "sequencer",
)
_STATES = {
    calls_pb2.DRAFT_STATE_WAITING: "waits for approval",
    calls_pb2.DRAFT_STATE_APPROVED: "was approved",
    calls_pb2.DRAFT_STATE_REFUSED: "was refused",
}


class Raising:
    """Makes the entries of the caller `code`."""

    def __init__(self, code: str, clock: Clock, book: CallBook) -> None:
        self._code = code
        self._clock = clock
        self._book = book

    def raise_call(self, call: calls_pb2.Call, request_id: bytes) -> DraftEntry:
        """The draft of a new call, addressed to the village it concerns.

        What is not named is filled in: the county above answers, the village is that of the event,
        and it is raised now. Raises HuyingError(TYPE_NOT_ALLOWED, NOT_FOUND or INVALID_ARGUMENT).
        """
        check_request(request_id)
        message = calls_pb2.Call()
        message.CopyFrom(call)
        self._complete(message)
        policy = self._book.policy(message.sequencer)
        if policy.approval_required and not message.approved_by:
            raise HuyingError(
                Code.INVALID_ARGUMENT,
                f"approved_by: version {policy.version} of the policy of {message.sequencer} asks"
                " for the town principal's approval: use `call draft` and `call approve`, or"
                " `call raise --approved-by`",
            )
        return raise_draft(self._code, message, request_id=request_id)

    def draft_call(self, draft: calls_pb2.CallDraft, request_id: bytes) -> DraftEntry:
        """The entry of a new draft, which waits. Raises as `raise_call`."""
        check_request(request_id)
        call = _call_of(draft)
        self._complete(call)
        raise_draft(self._code, call)  # what could not be raised must not wait for an approval
        message = calls_pb2.CallDraft()
        message.CopyFrom(draft)
        for name in ("sequencer", "village", "grid"):
            setattr(message, name, getattr(call, name))
        message.state = calls_pb2.DRAFT_STATE_WAITING
        message.ClearField("decided_by")
        message.ClearField("reason")
        return self._draft_entry(message, b"", request_id)

    def decide(self, request: api_pb2.DecideDraftRequest) -> tuple[DraftEntry, ...]:
        """Approved: the call and the draft's new state. Refused: the new state alone.

        The first entry carries the request's id. Raises HuyingError: NOT_FOUND; WRONG_STAGE, saying
        who decided before; INVALID_ARGUMENT.
        """
        check_request(request.request_id)
        if len(request.draft) != RECORD_ID_BYTES:
            raise HuyingError(Code.INVALID_ARGUMENT, f"draft: {RECORD_ID_BYTES} bytes")
        if not request.decided_by:
            raise HuyingError(Code.INVALID_ARGUMENT, "decided_by: say which principal decides")
        found = self._book.record(feed_pb2.RECORD_TYPE_CALL_DRAFT, self._code, request.draft)
        message = calls_pb2.CallDraft.FromString(found.message)
        if message.state != calls_pb2.DRAFT_STATE_WAITING:
            said = _STATES.get(message.state, f"is in state {message.state}")
            raise HuyingError(
                Code.WRONG_STAGE, f"draft: it {said} by {message.decided_by} before; nothing to do"
            )
        call = _call_of(message)
        message.decided_by = request.decided_by
        message.reason = request.reason
        if not request.approved:
            message.state = calls_pb2.DRAFT_STATE_REFUSED
            return (self._draft_entry(message, request.draft, request.request_id),)
        message.state = calls_pb2.DRAFT_STATE_APPROVED
        call.approved_by = request.decided_by
        self._complete(call)
        raised = raise_draft(self._code, call, request_id=request.request_id)
        decided = self._draft_entry(message, request.draft, b"")
        return replace(raised, record=request.draft), decided

    def _draft_entry(
        self, message: calls_pb2.CallDraft, record: bytes, request_id: bytes
    ) -> DraftEntry:
        kind, type_ = feed_pb2.KIND_PUT, feed_pb2.RECORD_TYPE_CALL_DRAFT
        check_write(type_, kind, message, self._code)
        return DraftEntry(kind, type_, message, record=record, request_id=request_id)

    def _complete(self, call: calls_pb2.Call) -> None:
        if not call.sequencer:
            for code in codes.ancestors(self._code):
                if codes.level(code) == codes.Level.COUNTY:
                    call.sequencer = code
        if not call.raised_micros:
            call.raised_micros = int(self._clock.now() * 1e6)
        if len(call.event) == RECORD_ID_BYTES and not call.village:
            self._fill_from_event(call)

    def _fill_from_event(self, call: calls_pb2.Call) -> None:
        homes = [self._code, *self._book.divisions_below(self._code)]
        home = self._book.event_home(call.event, homes)
        if not home:
            raise HuyingError(
                Code.NOT_FOUND,
                "event: no such event of this town or of a village below it has arrived here;"
                " name its village with --village, or look with: huying record list event",
            )
        if home != self._code:
            call.village = home


def _call_of(draft: calls_pb2.CallDraft) -> calls_pb2.Call:
    call = calls_pb2.Call()
    for name in _CARRIED:
        setattr(call, name, getattr(draft, name))
    call.attachments.extend(draft.attachments)
    return call


def check_request(request_id: bytes) -> None:
    """Raises HuyingError(INVALID_ARGUMENT) for a request's id that is none."""
    if request_id and len(request_id) != RECORD_ID_BYTES:
        raise HuyingError(Code.INVALID_ARGUMENT, f"request_id: {RECORD_ID_BYTES} bytes, or none")
