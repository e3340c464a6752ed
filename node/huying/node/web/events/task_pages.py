"""我的任务: what waits for somebody in the village today, and the end of an event with a photo."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from huying.common.errors import Code, HuyingError
from huying.node.web.access.roles import Permission
from huying.node.web.events.event_pages import load_event, note_event, record_id
from huying.node.web.events.report_pages import REPORT_BYTES_MAX
from huying.node.web.events.report_photos import PHOTOS_MAX
from huying.node.web.events.task_lists import VISIT_DAYS, due_households, tasks_of
from huying.node.web.events.task_settle import DONE_CHARACTERS_MAX, settle
from huying.node.web.ledger.ledger_book import open_book
from huying.node.web.ledger.ledger_records import village_only
from huying.node.web.originals import kept_originals
from huying.node.web.page import Ask, Nav, Page
from huying.wire.v1 import records_pb2

__all__ = ["PAGES"]


async def tasks(ask: Ask) -> Response:
    """The lists of today."""
    village_only(ask)
    now = ask.now()
    found = await ask.node.read(lambda reader: tasks_of(ask, reader, int(now * 1e6)))
    book = await open_book(ask.node)
    found.households, found.households_due = due_households(ask, book, now)
    return await ask.render(
        "tasks.html", tasks=found, visit_days=VISIT_DAYS, grid_names=book.grid_names
    )


async def show_settle(ask: Ask) -> Response:
    """The form that settles one event."""
    return await _settle_page(ask)


async def send_settle(ask: Ask) -> Response:
    """Settle it, and back to the tasks."""
    village_only(ask)
    form = await ask.form()
    try:
        await settle(ask, record_id(ask.path("event")))
    except HuyingError as error:
        if error.code is Code.NOT_FOUND:
            raise
        return await _settle_page(ask, form.text("done"), error)
    key = _draft_key(ask)
    await ask.site.on_thread(lambda: ask.site.drafts.drop(ask.person.id, key))
    return ask.redirect("tasks", notice="sent")


def _draft_key(ask: Ask) -> str:
    return f"settle-{record_id(ask.path('event')).hex()}"


async def _settle_page(ask: Ask, done: str = "", error: HuyingError | None = None) -> Response:
    loaded = await load_event(ask, village_only(ask), record_id(ask.path("event")))
    await note_event(ask, loaded)
    key = _draft_key(ask)
    if error is None:
        kept = await ask.site.on_thread(lambda: ask.site.drafts.find(ask.person.id, key))
        done = kept.fields.get("done", "") if kept else ""
    status = 200 if error is None else 409 if error.code is Code.WRONG_STAGE else 400
    return await ask.render(
        "task_settle.html",
        {
            "loaded": loaded,
            "originals": await kept_originals(ask, loaded.evidence),
            "event": loaded.event,
            "grid_names": (await open_book(ask.node)).grid_names,
            "is_settled": loaded.event.status == records_pb2.EVENT_STATUS_SETTLED,
            "done": done,
            "draft_key": key,
            "done_max": DONE_CHARACTERS_MAX,
            "photos_max": PHOTOS_MAX,
            "error": error,
        },
        status=status,
    )


_SETTLE: Final = "/tasks/events/{event}"
PAGES: Final = (
    Page(
        "/tasks",
        "tasks",
        tasks,
        Permission.LEDGER,
        nav=Nav("今日任务", "Today", 10),
    ),
    Page(
        _SETTLE,
        "task-settle",
        show_settle,
        Permission.EVENTS_REPORT,
        body_bytes_max=REPORT_BYTES_MAX,
    ),
    Page(
        _SETTLE,
        "task-settle-send",
        send_settle,
        Permission.EVENTS_REPORT,
        ("POST",),
        body_bytes_max=REPORT_BYTES_MAX,
    ),
)
