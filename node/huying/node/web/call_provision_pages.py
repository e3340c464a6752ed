"""From a call: asking for what is withheld, and looking at what was given.

The request and every look are written by the node, as entries; a value is shown once, on a page
that no cache keeps.
"""

from __future__ import annotations

import re
from typing import Any, Final

from starlette.responses import Response

from huying.common.errors import Code, HuyingError
from huying.common.limits import NAME_CHARACTERS_MAX, TEXT_CHARACTERS_MAX
from huying.node.api.types import message_class
from huying.node.desk import topic
from huying.node.web.call_access import load_call
from huying.node.web.call_matter import FIELD_NAMES, may_look, read_matter
from huying.node.web.call_pages import call_page
from huying.node.web.page import NOT_KEPT, Ask, Page
from huying.node.web.roles import Permission
from huying.wire.v1 import calls_pb2
from huying.wire.v1 import provision_pb2 as wire

__all__ = ["PAGES"]

_PROVISIONS: Final = topic("Provisions")
_HOUR_MICROS: Final = 3_600_000_000
_HOURS_MAX: Final = 168
_RECORD: Final = re.compile(r"[0-9a-f]{32}")
_KEY: Final = re.compile(r"ask-(?:call|event)-[0-9]{1,3}")


async def ask_fields(ask: Ask) -> Response:
    """Ask whoever keeps them for the fields of one compartment."""
    loaded = await load_call(ask, ask.path("call"))
    form = await ask.form()
    which = form.text("which", 40)
    typed = {name: value for name, value in form.values().items() if name not in NOT_KEPT}
    matter = await read_matter(ask, loaded.view)
    number, origin = form.text("index", 20), form.text("origin")
    wanted = {
        f"ask-{each.of}-{at}": each
        for at, each in enumerate(matter.not_shown, 1)
        if each.may_ask and (each.origin, str(each.index)) == (origin, number)
    }.get(which)
    try:
        if wanted is None:
            raise HuyingError(Code.WRONG_STAGE, "fields: asked for already, or not to be asked for")
        department = ask.person.department or form.required("department", NAME_CHARACTERS_MAX)
        request = wire.RequestProvisionRequest(
            entry=calls_pb2.EntryRef(origin=wanted.origin, index=wanted.index),
            fields=wanted.fields,
            purpose=form.required("purpose", TEXT_CHARACTERS_MAX),
            department=department,
            actor=ask.person.actor,
            lasts_micros=form.number("hours", 1, _HOURS_MAX) * _HOUR_MICROS,
            call=loaded.view.call,
        )
        await ask.node.desk(_PROVISIONS, "RequestProvision", request)
    except HuyingError as error:
        await ask.audit("provision-ask", loaded.hex, outcome="refused", detail=error.code.name)
        step = which if _KEY.fullmatch(which) else ""
        return await call_page(
            ask, await load_call(ask, loaded.hex), step=step, typed=typed, error=error
        )
    await ask.audit("provision-ask", loaded.hex, detail=", ".join(wanted.fields))
    return ask.redirect("call", call=loaded.hex, notice="asked")


async def look(ask: Ask) -> Response:
    """The value that was given, once."""
    loaded = await load_call(ask, ask.path("call"))
    text = ask.path("record")
    found = None
    if _RECORD.fullmatch(text):
        record = bytes.fromhex(text)
        found = await ask.node.read(lambda reader: reader.get_provision(record))
    known = {loaded.view.call, loaded.view.event.record} - {b""}
    if found is None or found.request.record not in known or not may_look(ask, found.request):
        raise HuyingError(Code.NOT_FOUND, "there is no such request here, or it is not yours")
    request = wire.OpenProvisionRequest(
        record=found.record, department=found.request.department, actor=ask.person.actor
    )
    # Before it is shown: a look that could not be written down does not happen.
    await ask.audit("provision-look", text, detail=", ".join(found.request.fields))
    opened: wire.OpenProvisionResponse = await ask.node.desk(_PROVISIONS, "OpenProvision", request)
    made = message_class(opened.record_type)
    message: Any = made.FromString(opened.message) if made is not None else None
    response = await ask.render(
        "call_looked.html",
        {
            "hex": loaded.hex,
            "call": loaded.view,
            "found": found,
            "values": [(name, getattr(message, name, "")) for name in opened.fields],
            "until_micros": opened.expires_micros,
            "receipt": opened.receipt,
            "field_names": FIELD_NAMES,
        },
    )
    response.headers["Cache-Control"] = "no-store"
    return response


PAGES: Final[tuple[Page, ...]] = (
    Page("/calls/{call}/ask", "call-ask", ask_fields, Permission.PROVISIONS_ASK, ("POST",)),
    Page(
        "/calls/{call}/provisions/{record}/look",
        "call-look",
        look,
        Permission.PROVISIONS_ASK,
        ("POST",),
    ),
)
