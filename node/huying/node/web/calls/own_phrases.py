"""A person's own phrases, beside those that come with the program; nobody else sees them.

A phrase is what stands in an answer's form, kept under a name, by the store of saved views. The
form comes back as it was, since what was typed is kept as its draft.
"""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from huying.common.errors import Code, HuyingError
from huying.common.limits import NAME_CHARACTERS_MAX, VIEW_QUERY_CHARACTERS_MAX
from huying.node.web.access.roles import Permission
from huying.node.web.calls.call_access import load_call
from huying.node.web.calls.call_files import BODY_BYTES_MAX
from huying.node.web.calls.call_pages import PHRASES_PAGE, call_page, keep_draft
from huying.node.web.page import NOT_KEPT, Ask, Page

__all__ = ["PAGES"]

_STEP: Final = "answer"
_FIELDS: Final = frozenset({"phrase_name", "phrase"})


async def change(ask: Ask) -> Response:
    """Keep what stands in the answer's form as a phrase, or remove one; and back to the form."""
    loaded = await load_call(ask, ask.path("call"))
    if ask.request.method != "POST":  # a refused form's address, loaded again
        return ask.redirect("call", call=loaded.hex)
    form = await ask.form()
    left_out = NOT_KEPT | _FIELDS
    typed = {name: value for name, value in form.values().items() if name not in left_out}
    await keep_draft(ask, loaded.hex, _STEP, typed)
    what, _, phrase = form.text("phrase", 64).partition(":")
    person, views = ask.person.id, ask.site.views
    try:
        if what == "save":
            text = form.required("text", VIEW_QUERY_CHARACTERS_MAX)
            name = form.text("phrase_name", NAME_CHARACTERS_MAX) or text[:12].replace("\n", " ")
            now = ask.now()
            await ask.site.on_thread(lambda: views.save(person, PHRASES_PAGE, name, text, now))
        elif what == "drop":
            await ask.site.on_thread(lambda: views.drop(person, phrase))
        else:
            raise HuyingError(Code.INVALID_ARGUMENT, "phrase: save or drop")
    except HuyingError as error:
        return await call_page(ask, loaded, step=_STEP, typed=typed, error=error)
    return ask.redirect("call", call=loaded.hex, notice="saved")


PAGES: Final[tuple[Page, ...]] = (
    Page(
        "/calls/{call}/phrases",
        "call-phrases",
        change,
        Permission.CALLS_DEPARTMENT,
        ("GET", "POST"),
        body_bytes_max=BODY_BYTES_MAX,
    ),
)
