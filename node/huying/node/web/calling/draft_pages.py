"""Drafts of calls: what waits for the town principal, and the principal's word on it.

Whoever drafted a call does not approve it themselves, unless they are principal and nothing else:
then there is nobody below them who drafts. The contact stays hidden until somebody asks for it, and
each time that is written down.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from starlette.responses import Response

from huying.common.errors import Code, HuyingError
from huying.common.limits import TEXT_CHARACTERS_MAX
from huying.node.web.access.people import Person
from huying.node.web.access.roles import Permission, Role
from huying.node.web.app import error_status
from huying.node.web.calling.call_uploads import raised
from huying.node.web.calling.calling_reads import DRAFTS_SHOWN_MAX, DraftRow, drafts
from huying.node.web.calling.draft_matter import (
    event_of,
    files_of,
    load_draft,
    sees_draft,
    waiting_beside,
)
from huying.node.web.page import Ask, Nav, Page
from huying.node.web.words import key_of
from huying.wire.v1 import api_pb2, calls_pb2

__all__ = ["PAGES", "may_approve"]

_STATES: Final[Mapping[str, int]] = {
    key_of("draft", number): number
    for number in calls_pb2.DraftState.values()
    if number != calls_pb2.DRAFT_STATE_UNSPECIFIED
}


def may_approve(person: Person, draft: calls_pb2.CallDraft) -> bool:
    """Whether the person may approve that draft, once it waits."""
    if Permission.CALLS_APPROVE not in person.permissions:
        return False
    return draft.actor != person.actor or set(person.roles) == {Role.PRINCIPAL}


async def show_drafts(ask: Ask) -> Response:
    """The drafts of the town, those that wait unless others are asked for."""
    chosen = ask.query("state", "waiting")
    if chosen not in (*_STATES, "all"):
        raise HuyingError(Code.INVALID_ARGUMENT, f"state: one of {', '.join(_STATES)}, all")
    own, state = ask.node.code, _STATES.get(chosen, 0)
    rows = await ask.node.read(lambda reader: drafts(reader, own, state=state))
    seen = [row for row in rows if sees_draft(ask, row)]
    return await ask.render(
        "drafts.html",
        rows=seen,
        chosen=chosen,
        states=list(_STATES),
        is_cut=len(rows) == DRAFTS_SHOWN_MAX,
        who=await _names(ask),
    )


async def show_draft(ask: Ask) -> Response:
    """One draft, whole but for the contact."""
    return await _draft_page(ask, await load_draft(ask))


async def show_contact(ask: Ask) -> Response:
    """The same with the contact, which is written down first."""
    row = await load_draft(ask)
    await ask.audit("draft-contact-shown", row.record.hex())
    return await _draft_page(ask, row, with_contact=True)


async def decide_draft(ask: Ask) -> Response:
    """Approve it, which raises the call; or refuse it with a reason."""
    form = await ask.form()
    row = await load_draft(ask)
    approved = form.text("decision", 20) == "approve"
    reason = form.text("reason", TEXT_CHARACTERS_MAX)
    deed = "draft-approved" if approved else "draft-refused"
    try:
        if approved and not may_approve(ask.person, row.message):
            raise HuyingError(
                Code.NOT_A_PARTY, "approve: you drafted this call; another principal approves it"
            )
        if not approved and not reason:
            raise HuyingError(Code.INVALID_ARGUMENT, "reason: empty; say what to put right")
        request = api_pb2.DecideDraftRequest(
            draft=row.record,
            approved=approved,
            decided_by=ask.person.actor,
            reason="" if approved else reason,
            request_id=form.id(),
        )
        await ask.node.ask("DecideDraft", request)
    except HuyingError as error:
        await ask.audit(deed, row.record.hex(), outcome="refused", detail=error.code.name)
        status = error_status(error.code)
        return await _draft_page(
            ask, await load_draft(ask), error=error, reason=reason, status=status
        )
    await ask.audit(deed, row.record.hex())
    person, key = ask.person.id, _reason_key(row)
    await ask.site.on_thread(lambda: ask.site.drafts.drop(person, key))
    if approved:
        return await raised(ask, row.record, row.message, form.id())
    return ask.redirect("drafts", notice="refused")


def _reason_key(row: DraftRow) -> str:
    """Of what somebody typed as the reason to refuse a draft."""
    return f"draft-decide:{row.record.hex()}"


async def _draft_page(ask: Ask, row: DraftRow, *, status: int = 200, **more: Any) -> Response:
    message, person = row.message, ask.person.id
    kept = await ask.site.on_thread(lambda: ask.site.drafts.find(person, _reason_key(row)))
    reason = kept.fields.get("reason", "") if kept else ""
    waits = message.state == calls_pb2.DRAFT_STATE_WAITING
    event = await event_of(ask, message)
    may_decide = waits and ask.may(Permission.CALLS_APPROVE)
    return await ask.render(
        "draft.html",
        {"error": None, "reason": reason, "with_contact": False, **more},
        status=status,
        row=row,
        reason_key=_reason_key(row),
        draft=message,
        who=await _names(ask),
        event=event,
        files=await files_of(ask, row, event),
        others=await waiting_beside(ask, row) if ask.may(Permission.CALLS_APPROVE) else (),
        may_decide=may_decide,
        may_approve=waits and may_approve(ask.person, message),
        may_redo=message.state == calls_pb2.DRAFT_STATE_REFUSED and "call-new" in ask.site.pages,
        has_contact=bool(message.contact_name or message.contact_phone),
    )


async def _names(ask: Ask) -> dict[str, str]:
    """Names of this node's people by the pseudonyms that stand in the drafts."""
    people = await ask.site.on_thread(ask.site.accounts.list)
    return {person.actor: person.name for person in people}


_CALLER: Final = Permission.CALLS_CALLER
PAGES: Final = (
    Page(
        "/call-drafts",
        "drafts",
        show_drafts,
        _CALLER,
        nav=Nav("呼叫草稿", "Call drafts", 55, topic="calls"),
    ),
    Page("/call-drafts/{draft}", "draft", show_draft, _CALLER),
    Page("/call-drafts/{draft}/contact", "draft-contact", show_contact, _CALLER, ("POST",)),
    Page(
        "/call-drafts/{draft}/decide",
        "draft-decide",
        decide_draft,
        Permission.CALLS_APPROVE,
        ("POST",),
    ),
)
