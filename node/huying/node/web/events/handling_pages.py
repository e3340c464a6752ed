"""A town's steps on a village's event: taken on, settled, handed to the village.

The town writes a word of its own and never the event, of which it sees a part; the village's node
settles the event where the town's word says so.
"""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from huying.common.errors import Code, HuyingError
from huying.node.desk import topic
from huying.node.web.access.roles import Permission
from huying.node.web.app import error_status
from huying.node.web.events.event_pages import event_page, load_event, record_id
from huying.node.web.events.handling_forms import STEPS, drop_draft, may_handle, words_of_form
from huying.node.web.page import Ask, Page
from huying.wire.v1 import events_pb2

__all__ = ["PAGES"]

_DESK: Final = topic("EventDesk")
_NUMBER_MAX: Final = 2**32 - 1  # as the wire has it


async def take_step(ask: Ask) -> Response:
    """Write the town's word; a form that is sent twice is written once."""
    form = await ask.form()
    loaded = await load_event(ask, ask.path("home"), record_id(ask.path("event")))
    row, step = loaded.row, STEPS.get(ask.path("step"))
    if step is None:
        raise HuyingError(Code.NOT_FOUND, "there is no such step")
    typed = {name: form.values().get(name, "") for name in step.fields}
    try:
        if not may_handle(ask, row):
            raise HuyingError(
                Code.NOT_A_PARTY,
                f"home: just the town above {row.home} handles its events,"
                f" and this is {ask.node.code}",
            )
        request = events_pb2.HandleEventRequest(
            home=row.home,
            record=row.record,
            status=step.status,  # type: ignore[arg-type]  # an open enum
            text=words_of_form(form, step, ask, await ask.node.offset_minutes()),
            actor=ask.person.actor,
            request_id=form.id(),
            seen_number=form.number("seen_number", 0, _NUMBER_MAX),
        )
        known = await ask.node.read(lambda reader: reader.request(request.request_id))
        answer = await ask.node.desk(_DESK, "HandleEvent", request)
    except HuyingError as error:
        await ask.audit(step.action, row.record.hex(), outcome="refused", detail=error.code.name)
        status = error_status(error.code)
        return await event_page(ask, error, status, refused=step, typed=typed)
    await drop_draft(ask, row, step)
    # A second press finds the first one's word, and is nothing that anybody did.
    if known is None and not answer.unchanged:
        await ask.audit(step.action, row.record.hex())
    notice = "unchanged" if answer.unchanged else "masked" if answer.masked else "sent"
    return ask.redirect("event", home=row.home, event=row.record.hex(), notice=notice)


PAGES: Final = (
    Page(
        "/events/{home}/{event}/handle/{step}",
        "event-handle",
        take_step,
        Permission.EVENTS_HANDLE,
        ("POST",),
    ),
)
