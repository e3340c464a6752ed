"""重新打开: a settled event of this node's own is open again, with the reason.

A town may have settled what is not done, and what was done may come back. The village has the last
word on its own event, and its reason goes to the town with it.
"""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from huying.common.errors import Code, HuyingError
from huying.node.events.event_ends import reopened_event
from huying.node.web.access.roles import Permission
from huying.node.web.app import error_status
from huying.node.web.events.event_pages import LoadedEvent, event_page, load_event, record_id
from huying.node.web.events.event_parts import is_whole
from huying.node.web.page import Ask, Page
from huying.node.web.turns import alone
from huying.wire.v1 import api_pb2, feed_pb2, records_pb2

__all__ = ["PAGES"]

_WHY_CHARACTERS_MAX: Final = 500


@alone(lambda ask: f"event:{ask.path('event')}")
async def reopen_event(ask: Ask) -> Response:
    """The event's next version: open, and why; a form that is sent twice is written once."""
    form = await ask.form()
    home, record = ask.path("home"), record_id(ask.path("event"))
    loaded = await load_event(ask, home, record)
    try:
        request_id, seen = form.id(), form.text("version", 300)
        if await ask.node.read(lambda reader: reader.request(request_id)) is None:
            why = form.required("why", _WHY_CHARACTERS_MAX)
            _check(ask, loaded, seen)
            draft = api_pb2.Draft(
                kind=feed_pb2.KIND_PUT,
                type=feed_pb2.RECORD_TYPE_EVENT,
                record=record,
                message=reopened_event(loaded.event, why).SerializeToString(),
                request_id=request_id,
            )
            await ask.node.ask("Append", api_pb2.AppendRequest(drafts=[draft]))
            await ask.audit("event-reopened", record.hex())
    except HuyingError as error:
        typed = {"why": form.values().get("why", "")}
        return await event_page(ask, error, error_status(error.code), typed=typed)
    return ask.redirect("event", home=home, event=record.hex(), notice="sent")


def _check(ask: Ask, loaded: LoadedEvent, seen: str) -> None:
    """Raises HuyingError: NOT_A_PARTY for another node's event, WRONG_STAGE."""
    row = loaded.row
    if row.home != ask.node.code:
        raise HuyingError(Code.NOT_A_PARTY, f"the event is that of {row.home}; it opens it again")
    if loaded.event.status != records_pb2.EVENT_STATUS_SETTLED:
        raise HuyingError(Code.WRONG_STAGE, "这件没有办结,不用重新打开 · it is open as it stands")
    if seen != loaded.version:
        raise HuyingError(
            Code.WRONG_STAGE, "这件刚被别人改过,请看过再决定 · somebody changed it; look again"
        )
    if not is_whole(row):
        # Writing it back would turn what is missing here into what was never there.
        raise HuyingError(Code.WRONG_STAGE, "a part of the event is missing here; repair the store")


PAGES: Final = (
    Page(
        "/events/{home}/{event}/reopen",
        "event-reopen",
        reopen_event,
        Permission.EVENTS_REPORT,
        ("POST",),
    ),
)
