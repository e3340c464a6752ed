"""A new call of a town: the form, and what becomes of it.

Where the county's policy asks for the principal's approval, the form writes a draft, which stays in
the town; else it raises the call. Numbers of people don't leave the town: where a title or a
description holds one, the page shows how the text will travel, and asks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

from starlette.responses import Response

from huying.common.codes import Level, level
from huying.common.errors import Code, HuyingError
from huying.node.api.reads import StoreReads
from huying.node.desk import Topic
from huying.node.store.reader import Reader
from huying.node.web.access.roles import Permission
from huying.node.web.app import error_status
from huying.node.web.calling.call_uploads import (
    BODY_BYTES_MAX,
    FILES_MAX,
    kept_files,
    raised,
    take_files,
)
from huying.node.web.calling.calling_reads import draft as read_draft
from huying.node.web.calling.draft_form import (
    FIELDS,
    URGENCIES,
    Attachable,
    CallWords,
    attachables,
    from_draft,
    from_event,
    from_form,
    from_order,
    from_saved,
)
from huying.node.web.calling.order_pages import LoadedOrder, load_order
from huying.node.web.events.event_pages import LoadedEvent, load_event, record_id
from huying.node.web.page import Ask, Page
from huying.wire.v1 import api_pb2, calls_pb2, duty_pb2

__all__ = ["PAGES"]

_DUTY: Final = Topic("Duty", "duty", "")  # asked here; a tier with children serves it
_SUGGESTIONS: Final = 3
_NO_WORDS: Final = CallWords({})


@dataclass(frozen=True, slots=True)
class _Basis:
    """What the call comes of: an event, a hotline order, a refused draft, or nothing."""

    source: LoadedEvent | None
    redo: bytes  # the draft that is put right
    before: Sequence[calls_pb2.Attachment] = ()  # what that draft had attached
    words: CallWords = _NO_WORDS
    order: LoadedOrder | None = None

    @property
    def key(self) -> str:
        """The form's own key among the person's drafts."""
        event = self.source.row.record.hex() if self.source is not None else ""
        order = f"order-{self.order.hex}" if self.order is not None else ""
        return ":".join(filter(None, ("call-new", event, order, self.redo.hex())))

    @property
    def pictures(self) -> list[Attachable]:
        """What may be attached."""
        return attachables(self.source.evidence if self.source else (), self.before)


async def new_call(ask: Ask) -> Response:
    """The form, filled in with what there is; what the person typed before comes first."""
    basis = await _basis(ask, ask.query("event"), ask.query("draft"), ask.query("order"))
    person = ask.person.id
    kept = None
    if not ask.query("fresh"):
        kept = await ask.site.on_thread(lambda: ask.site.drafts.find(person, basis.key))
    words = basis.words if kept is None else from_saved(kept.fields, basis.words.event)
    files = await kept_files(ask, kept.fields) if kept else []
    seconds = kept.saved_seconds if kept else 0.0
    return await _form_page(ask, basis, words, files=files, kept_seconds=seconds)


async def send_call(ask: Ask) -> Response:
    """Write the draft, or raise the call; a refusal gives the form back as it was."""
    form = await ask.form()
    names = form.text("event", 32), form.text("redo", 32), form.text("order", 32)
    basis = await _basis(ask, *names)
    words = from_form(form, basis.words.event)
    files: Sequence[Attachable] = ()
    try:
        request_id = form.id()
        files = await take_files(ask, form)
        if words.masked() and not words.masks:
            return await _form_page(ask, basis, words, files=files)  # a question, and no refusal
        draft = words.draft(ask.person.actor, basis.pictures, files)
        _check_scope(ask, draft)
        approval = form.text("route", 20) == "approve" or await _needs_approval(ask)
        method, request = _request(draft, request_id, approval=approval)
        response = await ask.node.ask(method, request)
    except HuyingError as error:
        files = files or await kept_files(ask, form.values())
        status = error_status(error.code)
        return await _form_page(ask, basis, words, files=files, error=error, status=status)
    call, person = response.call.hex(), ask.person.id
    uploads = [one.sha256 for one in draft.attachments]
    bind = partial(ask.site.uploads.originals.bind, person, uploads, response.call, basis.redo)
    await ask.site.on_thread(bind)
    await ask.site.on_thread(lambda: ask.site.drafts.drop(person, basis.key))
    await ask.audit("call-drafted" if approval else "call-raised", call)
    if approval:
        return ask.redirect("draft", draft=call, notice="drafted")
    return await raised(ask, response.call, draft, request_id)


def _request(
    draft: calls_pb2.CallDraft, request_id: bytes, *, approval: bool
) -> tuple[str, api_pb2.DraftCallRequest | api_pb2.RaiseCallRequest]:
    if approval:
        return "DraftCall", api_pb2.DraftCallRequest(draft=draft, request_id=request_id)
    call = calls_pb2.Call(attachments=draft.attachments)
    for name in (*FIELDS, "event", "actor"):
        setattr(call, name, getattr(draft, name))
    return "RaiseCall", api_pb2.RaiseCallRequest(call=call, request_id=request_id)


# --- what the form is made of -----------------------------------------------------------------


async def _basis(ask: Ask, event: str, redo: str, order: str) -> _Basis:
    """Raises HuyingError(NOT_FOUND) for what is not here, or is not the person's to see."""
    if redo:
        own, record = ask.node.code, record_id(redo)
        row = await ask.node.read(lambda reader: read_draft(reader, own, record))
        message = row.message
        ask.scope.call(caller=own, village=message.village, grid=message.grid, department="")
        source = await _event(ask, message.event) if message.event else None
        return _Basis(source, record, tuple(message.attachments), from_draft(message))
    if order:
        loaded = await load_order(ask, order)
        words = from_order(loaded.view.order, ask.node.code)
        return _Basis(None, b"", words=words, order=loaded)
    if not event:
        return _Basis(None, b"")
    source = await _event(ask, record_id(event))
    village = source.row.home if source.row.home != ask.node.code else ""
    words = from_event(source.event, source.row.record, village)
    ticked = frozenset(one.field for one in attachables(source.evidence))
    return _Basis(source, b"", words=replace(words, ticked=ticked))


async def _event(ask: Ask, record: bytes) -> LoadedEvent:
    def home_of(reader: Reader) -> str:
        reads = StoreReads(reader)
        own = ask.node.code
        return reads.event_home(record, [own, *reads.divisions_below(own)])

    # An event that is nowhere is looked for at home, where it is not either.
    return await load_event(ask, await ask.node.read(home_of) or ask.node.code, record)


async def _needs_approval(ask: Ask) -> bool:
    county = ask.node.county
    policy = await ask.node.read(lambda reader: reader.policy(county))
    return policy.approval_required


def _check_scope(ask: Ask, draft: calls_pb2.CallDraft) -> None:
    """Raises HuyingError(INVALID_ARGUMENT) for a call that its writer could not see."""
    own = ask.node.code
    if not ask.scope.sees_call(
        caller=own, village=draft.village, grid=draft.grid, department=""
    ) or not all(ask.scope.sees_record(one) for one in filter(None, [draft.village])):
        raise HuyingError(
            Code.INVALID_ARGUMENT, "village: your account is limited to an area; choose one of it"
        )


async def _form_page(
    ask: Ask,
    basis: _Basis,
    words: CallWords,
    *,
    files: Sequence[Attachable] = (),
    error: HuyingError | None = None,
    kept_seconds: float = 0.0,
    status: int = 200,
) -> Response:
    names = await ask.node.names()
    villages = sorted(
        (code, name)
        for code, name in names.items()
        if level(code) is Level.VILLAGE and ask.scope.sees_record(code)
    )
    chosen = words.text("village")
    if chosen and chosen not in dict(villages):
        villages.append((chosen, names.get(chosen, chosen)))
    return await ask.render(
        "call_new.html",
        {"error": error, "basis": basis, "words": words, "kept_seconds": kept_seconds},
        status=status,
        villages=villages,
        urgencies=list(URGENCIES),
        masked=words.masked(),
        files=files,
        files_left=FILES_MAX - len(files),
        approval=await _needs_approval(ask),
        duty=await _duty(ask, words),
    )


async def _duty(ask: Ask, words: CallWords) -> list[Any]:
    """The items of the county's duty list that fit: a hint, so that no answer is none."""
    request = duty_pb2.SuggestDutyRequest(
        category=words.text("category"),
        title=words.text("title"),
        description=words.text("description"),
        home=ask.node.county,
        limit=_SUGGESTIONS,
    )
    if not (request.category or request.title or request.description):
        return []
    try:
        response = await ask.node.desk(_DUTY, "SuggestDuty", request)
    except HuyingError:
        return []
    return list(response.suggestions)


_CALLER: Final = Permission.CALLS_CALLER
PAGES: Final = (
    Page("/calls/new", "call-new", new_call, _CALLER, body_bytes_max=BODY_BYTES_MAX),
    Page("/calls/new", "call-send", send_call, _CALLER, ("POST",), body_bytes_max=BODY_BYTES_MAX),
)
