"""上报: an event in three taps, with photos and a place; and what became of one's own reports.

The form works without script. With it, `static/outbox.js` keeps a report in the handset until the
node has it, and sends it here as JSON is asked for: the same handler, the same rules. A report is
written in one append under an id that follows from the person and the form's request id, so it is
written once, however often it is sent.
"""

from __future__ import annotations

from typing import Any, Final

from starlette.responses import JSONResponse, Response

from huying.common.codes import Level
from huying.common.errors import Code, HuyingError
from huying.common.limits import MIB, PHOTO_BYTES_MAX
from huying.node.store.reader import Reader
from huying.node.web.access.roles import Permission
from huying.node.web.events.report_choices import Grid, Matter, grids_of, matters_of
from huying.node.web.events.report_event import (
    FIELDS,
    REPORT_CHARACTERS_MAX,
    Report,
    event_record,
    read_report,
)
from huying.node.web.events.report_fates import fates_of
from huying.node.web.events.report_photos import PHOTOS_MAX, photo_drafts
from huying.node.web.events.report_shell import SHELL_PAGES
from huying.node.web.ledger.ledger_book import open_book
from huying.node.web.originals import kept_originals
from huying.node.web.page import Ask, Nav, Page
from huying.node.web.refusals import plain
from huying.wire.v1 import api_pb2, feed_pb2

__all__ = ["PAGES", "REPORT_BYTES_MAX"]

REPORT_BYTES_MAX: Final = PHOTOS_MAX * PHOTO_BYTES_MAX + MIB  # photos as the camera took them
_DRAFT: Final = "report"
_DEED: Final = "report-event"
_MINE_MAX: Final = 50
_EVENT: Final = feed_pb2.RECORD_TYPE_EVENT


async def show(ask: Ask) -> Response:
    """The form, with what was kept of it when a session ended in mid-answer."""
    kept = await ask.site.on_thread(lambda: ask.site.drafts.find(ask.person.id, _DRAFT))
    return await _form(ask, dict(kept.fields) if kept else {})


async def send(ask: Ask) -> Response:
    """Write the event and its photos, all or nothing, once."""
    form = await ask.form()
    wants_json = "application/json" in ask.request.headers.get("accept", "")
    try:
        written = await _write(ask)
    except HuyingError as error:
        if wants_json:
            return _refused(error)
        return await _form(ask, form.values(), error)
    if wants_json:
        return JSONResponse(written)
    return ask.redirect("report-done", event=written["event"], again=written["repeated"] or None)


async def _write(ask: Ask) -> dict[str, Any]:
    form = await ask.form()
    person = form.text("person", 64)
    if person and person != ask.person.id:
        # A handset is lent: nobody reports under the name of whoever is signed in just now.
        raise HuyingError(Code.WRONG_STAGE, "person: filled in by somebody else, who is to sign in")
    request_id = form.id()
    record = event_record(ask.person.id, request_id)
    grids, known = await ask.node.read(
        lambda reader: (
            grids_of(reader, ask.node.code, ask.person),
            reader.get_event(ask.node.code, record),
        )
    )
    report = read_report(form, [grid.code for grid in grids])
    ask.scope.record(ask.node.code, report.grid)
    repeated = known is not None or await _append(ask, report, record, request_id)
    await _note(ask, record)
    await ask.site.on_thread(lambda: ask.site.drafts.drop(ask.person.id, _DRAFT))
    return {
        "state": "written",
        "event": record.hex(),
        "repeated": repeated,
        "public": report.public_text if known is None else known.event.description_public,
        "url": ask.url("report-done", event=record.hex()),
    }


async def _append(ask: Ask, report: Report, record: bytes, request_id: bytes) -> bool:
    """Append the event with its photos; whether it had been written before."""
    form = await ask.form()
    event = report.event(ask.now())
    drafts = [
        api_pb2.Draft(
            kind=feed_pb2.KIND_PUT,
            type=_EVENT,
            record=record,
            message=event.SerializeToString(),
            request_id=event_record(ask.person.id + "/request", request_id),
        ),
        *await photo_drafts(
            ask,
            form.files("photo"),
            record,
            stay=report.photos_stay,
            keep_metadata=report.keep_metadata,
        ),
    ]
    answer = await ask.node.ask("Append", api_pb2.AppendRequest(drafts=drafts))
    return bool(answer.receipts[0].repeated_request)


async def _note(ask: Ask, record: bytes) -> None:
    """Have the report in the audit trail once: the feed names nobody, so it tells whose it is."""
    login, what = ask.person.login, record.hex()
    noted = await ask.site.on_thread(
        lambda: ask.site.audit.page(actor=login, action=_DEED, object_=what, count=1)
    )
    if not noted:
        await ask.audit(_DEED, what)


async def _form(ask: Ask, typed: dict[str, str], error: HuyingError | None = None) -> Response:
    def query(reader: Reader) -> tuple[tuple[Matter, ...], tuple[Grid, ...]]:
        home = ask.node.code
        return matters_of(reader, home), grids_of(reader, home, ask.person)

    matters, grids = await ask.node.read(query)
    return await ask.render(
        "report.html",
        {
            "matters": matters,
            "grids": grids,
            "typed": {name: typed.get(name, "") for name in FIELDS},
            "photos_max": PHOTOS_MAX,
            "text_max": REPORT_CHARACTERS_MAX,
            "error": error,
            "is_village": ask.node.level is Level.VILLAGE,
            "shell": False,
        },
        status=400 if error else 200,
    )


def _refused(error: HuyingError) -> Response:
    """A refusal for the handset: whether to try again is in the status."""
    again = error.code in (Code.UNREACHABLE, Code.BUSY, Code.DRAINING, Code.DISK_FULL)
    status = 503 if again else 409 if error.code is Code.WRONG_STAGE else 400
    if error.code is Code.NOT_FOUND:
        status = 404
    text = {"code": error.code.name, "zh": plain(error, "zh"), "en": plain(error, "en")}
    return JSONResponse(text, status_code=status)


async def done(ask: Ask) -> Response:
    """What was written, and what of it the tiers above see."""
    record = _record(ask.path("event"))

    def query(reader: Reader) -> Any:
        home = ask.node.code
        row = reader.get_event(home, record)
        photos = [] if row is None else reader.evidence_of(record, home=home)
        return row, photos

    row, photos = await ask.node.read(query)
    if row is None:
        raise HuyingError(Code.NOT_FOUND, "there is no such event here, or it is not yours to see")
    ask.scope.record(row.home, row.event.grid)
    return await ask.render(
        "report_done.html",
        {
            "event": row.event,
            "photos": photos,
            "originals": await kept_originals(ask, photos),
            "again": bool(ask.query("again")),
            "grid_names": (await open_book(ask.node)).grid_names,
        },
    )


def _record(text: str) -> bytes:
    """An id from an address. Raises HuyingError(NOT_FOUND)."""
    try:
        record = bytes.fromhex(text)
    except ValueError:
        record = b""
    if len(record) != 16:
        raise HuyingError(Code.NOT_FOUND, "there is no such event here, or it is not yours to see")
    return record


async def mine(ask: Ask) -> Response:
    """The person's own reports, newest first, and what became of each."""
    trail = await ask.site.on_thread(
        lambda: ask.site.audit.page(actor=ask.person.login, action=_DEED, count=_MINE_MAX)
    )
    records = [bytes.fromhex(row.object_) for row in trail]
    fates = await ask.node.read(lambda reader: fates_of(reader, ask.node.code, records))
    shown = [fate for fate in fates if ask.scope.sees_record(ask.node.code, fate.event.grid)]
    return await ask.render("report_mine.html", {"fates": shown})


async def preview(ask: Ask) -> Response:
    """The text as town and county would see it."""
    form = await ask.form()
    report = Report(
        "", "", form.text("text", REPORT_CHARACTERS_MAX), "", "", "", "", False, False, 0
    )
    return JSONResponse({"public": report.public_text})


_NEEDS: Final = Permission.EVENTS_REPORT
PAGES: Final = (
    Page(
        "/report",
        "report",
        show,
        _NEEDS,
        nav=Nav("上报", "Report", 22),
        body_bytes_max=REPORT_BYTES_MAX,
    ),
    Page("/report", "report-send", send, _NEEDS, ("POST",), body_bytes_max=REPORT_BYTES_MAX),
    Page("/report/mine", "report-mine", mine, _NEEDS),
    Page("/report/preview", "report-preview", preview, _NEEDS, ("POST",)),
    *SHELL_PAGES,
    Page("/report/{event}", "report-done", done, _NEEDS),
)
