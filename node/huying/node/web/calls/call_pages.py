"""The page of one call, and what somebody can do on it.

A step that is refused shows the page again, as the call stands by now, with who was first and with
everything that was typed; that is also kept as a draft. What the node took drops the draft.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from starlette.responses import Response

from huying.common.calls.call_rules import Role
from huying.common.errors import Code, HuyingError
from huying.node.web.access.roles import Permission
from huying.node.web.access.view_notes import note_view
from huying.node.web.app import error_status
from huying.node.web.calls.answer_phrases import ANSWER_PHRASES
from huying.node.web.calls.call_access import LoadedCall, load_call, offered, part_for
from huying.node.web.calls.call_choices import read_choices
from huying.node.web.calls.call_conversation import conversation, newest_move
from huying.node.web.calls.call_files import (
    BODY_BYTES_MAX,
    FILES_MAX,
    attach,
    kept_fields,
    send_along,
    take_files,
)
from huying.node.web.calls.call_forms import FormFacts, step_of
from huying.node.web.calls.call_matter import (
    FIELD_NAMES,
    Matter,
    holds_personal,
    may_ask,
    read_matter,
)
from huying.node.web.calls.call_resend import shown_owed
from huying.node.web.calls.call_steps import STEP_FORMS, forms_for, leading
from huying.node.web.originals import kept_originals
from huying.node.web.page import NOT_KEPT, Ask, Page
from huying.node.web.provisions.provision_ask_pages import askable_departments
from huying.node.web.provisions.provision_words import LASTS, field_word
from huying.wire.v1 import api_pb2

if TYPE_CHECKING:
    from huying.node.web.drafts import Draft
    from huying.node.web.views import SavedView

__all__ = ["PAGES", "PHRASES_PAGE", "Said", "call_page", "draft_key", "keep_draft"]

PHRASES_PAGE: Final = "answer-phrases"  # of the store of views; no page has that name

_TURNS: Final = {
    api_pb2.CALL_ROLE_CENTRE: Role.CENTRE,
    api_pb2.CALL_ROLE_DEPARTMENT: Role.DEPARTMENT,
    api_pb2.CALL_ROLE_CALLER: Role.CALLER,
}


class Said(dict[str, str]):
    """What a form holds already; a field that nobody filled is empty."""

    def __missing__(self, _key: str) -> str:
        return ""


def draft_key(call_hex: str, step: str) -> str:
    """The key of a step's draft."""
    return f"call:{call_hex}:{step}"


# --- showing ---------------------------------------------------------------------------------


async def show(ask: Ask) -> Response:
    """The call."""
    loaded = await load_call(ask, ask.path("call"))
    return await call_page(ask, loaded)


async def call_page(
    ask: Ask,
    loaded: LoadedCall,
    *,
    step: str = "",
    typed: Mapping[str, str] | None = None,
    error: HuyingError | None = None,
) -> Response:
    """The page; after a refused step with what was typed and why it was refused."""
    view = loaded.view
    turns = conversation(view, loaded.signed)
    matter = await read_matter(ask, view)
    if holds_personal(view, matter):
        await note_view(ask, "call-view", loaded.hex)
    may = offered(loaded)
    owed = await shown_owed(ask, loaded, matter.pictures)
    drafts, people, own = await ask.site.on_thread(lambda: _kept(ask, loaded.hex))
    said = {kind: Said(draft.fields) for kind, draft in drafts.items()}
    if typed is not None:
        said[step] = Said(typed)
    searched = "merge" in ask.request.query_params
    merge_words = ask.query("merge")
    return await ask.render(
        "call.html",
        {
            "call": view,
            "hex": loaded.hex,
            "turns": turns,
            "matter": matter,
            "field_names": FIELD_NAMES,
            "forms": forms_for(may),
            "leading": leading(may, _TURNS.get(view.turn)),
            "said_of": lambda kind: said.get(kind, Said()),
            "drafts": drafts,
            "left_over": [
                (STEP_FORMS[kind], said[kind])
                for kind in said
                if kind in STEP_FORMS and kind not in may
            ],
            "desk": await read_choices(ask, loaded, may, merge_words if searched else None),
            "merge_words": merge_words,
            "phrases": ANSWER_PHRASES,
            "own_phrases": own,
            "people": people,
            "others": ask.site.live.others(loaded.hex, ask.person.id),
            "refused": step,
            "refusal": error,
            "asking_departments": await _asking_departments(ask, matter),
            "lasts": [(hours, ask.t(zh, en)) for hours, zh, en in LASTS],
            "field_word": lambda name: field_word(name, ask.language),
            "takes_files": FILES_MAX,
            "pictures": matter.pictures,
            "originals": await kept_originals(ask, matter.pictures),
            "owed": owed,
            "unsent": {one.attachment.sha256 for one in owed},
            "here": matter.here,
            "images": matter.images,
            "may_ask_pictures": lambda home: may_ask(ask, home),
            "first": newest_move(turns) if error and error.code is Code.WRONG_STAGE else None,
            "draft_key": draft_key,
            "rest_clock": _paused_rest(view),
        },
        status=200 if error is None else error_status(error.code),
    )


def _kept(
    ask: Ask, call_hex: str
) -> tuple[dict[str, Draft], dict[str, str], tuple[SavedView, ...]]:
    """The person's drafts in this call, by step; names by pseudonym; and the person's phrases."""
    prefix = draft_key(call_hex, "")
    site, person = ask.site, ask.person.id
    keys = [key for key in site.drafts.keys(person) if key.startswith(prefix)]
    found = {key.removeprefix(prefix): site.drafts.find(person, key) for key in keys}
    drafts = {step: draft for step, draft in found.items() if draft is not None}
    people = {one.actor: one.name for one in site.accounts.list()}
    return drafts, people, site.views.list(person, PHRASES_PAGE)


async def _asking_departments(ask: Ask, matter: Matter) -> list[tuple[str, str]]:
    """In whose name the person may ask for what is withheld: of those whose key is here."""
    if not any(each.askable for each in matter.not_shown):
        return []
    return [(name, name) for name in await askable_departments(ask)]


def _paused_rest(view: api_pb2.CallView) -> int:
    """What is left of the clock that stands still, in microseconds of its own time."""
    return next(
        (c.remaining_micros for c in view.clocks if c.status == api_pb2.CLOCK_STATUS_PAUSED), 0
    )


# --- taking a step ---------------------------------------------------------------------------


async def take(ask: Ask) -> Response:
    """One step, as the person's part in the call lets them."""
    loaded = await load_call(ask, ask.path("call"))
    if ask.request.method != "POST":  # a refused form's address, loaded again
        return ask.redirect("call", call=loaded.hex)
    kind = ask.path("step")
    part = part_for(loaded, kind)
    form = await ask.form()
    typed = {name: value for name, value in form.values().items() if name not in NOT_KEPT}
    try:
        facts = FormFacts(
            call=loaded.view.call,
            actor=ask.person.actor,
            part=part,
            offset_minutes=await ask.node.offset_minutes(),
            names=await ask.node.names(),
        )
        # Files first: what a refused step came with need not be chosen again.
        files = await take_files(ask, form, kind, loaded.view.call)
        typed |= kept_fields(files)
        step = step_of(kind, form, facts)
        request_id = form.id()
        attach(step, kind, files)
        request = api_pb2.TakeCallStepRequest(step=step, request_id=request_id)
        await ask.node.ask("TakeCallStep", request)
    except HuyingError as error:
        await keep_draft(ask, loaded.hex, kind, typed)
        await ask.audit(
            f"call-{kind}", loaded.hex, outcome="refused", detail=error.code.name.lower()
        )
        return await call_page(
            ask, await load_call(ask, loaded.hex), step=kind, typed=typed, error=error
        )
    await ask.audit(f"call-{kind}", loaded.hex)
    await _drop(ask, loaded.hex, kind)
    try:
        await send_along(ask, loaded.view, step, files, request_id)
    except HuyingError as error:  # the step stands, and says so
        await ask.audit("call-files", loaded.hex, outcome="failed", detail=error.code.name.lower())
        return ask.redirect("call", call=loaded.hex, notice="files-lost")
    proposed = part.role is Role.CALLER and step.WhichOneof("step") is not None
    return ask.redirect("call", call=loaded.hex, notice="proposed" if proposed else "sent")


async def keep_draft(ask: Ask, call_hex: str, step: str, typed: Mapping[str, str]) -> None:
    """As a draft, so that nothing typed is lost, whatever becomes of the page.

    What is too long for one, or where the disk is full, still stands on the page itself.
    """
    person, now, key = ask.person.id, ask.now(), draft_key(call_hex, step)
    if not any(value.strip() for value in typed.values()):
        return
    with contextlib.suppress(HuyingError):
        await ask.site.on_thread(lambda: ask.site.drafts.save(person, key, typed, now))


async def _drop(ask: Ask, call_hex: str, step: str) -> None:
    person, key = ask.person.id, draft_key(call_hex, step)
    await ask.site.on_thread(lambda: ask.site.drafts.drop(person, key))


async def discard(ask: Ask) -> Response:
    """Drop the draft of a step."""
    loaded = await load_call(ask, ask.path("call"))
    await _drop(ask, loaded.hex, ask.path("step"))
    return ask.redirect("call", call=loaded.hex, notice="dropped")


PAGES: Final[tuple[Page, ...]] = (
    Page("/calls/{call}", "call", show, Permission.CALLS_READ),
    Page(
        "/calls/{call}/steps/{step}",
        "call-step",
        take,
        Permission.CALLS_READ,
        ("GET", "POST"),
        body_bytes_max=BODY_BYTES_MAX,
    ),
    Page(
        "/calls/{call}/drafts/{step}/discard",
        "call-draft-discard",
        discard,
        Permission.CALLS_READ,
        ("POST",),
    ),
)
