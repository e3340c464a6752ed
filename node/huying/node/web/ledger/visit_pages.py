"""走访: visits to a household, and the village's visits and meetings.

A visit names who made it by the pseudonym that is written into the feed.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Final

from starlette.responses import Response

from huying.common.errors import Code, HuyingError
from huying.node.web.access.roles import Permission
from huying.node.web.field_faults import Faults, field_faults
from huying.node.web.forms import Form
from huying.node.web.ledger.household_view import household_page
from huying.node.web.ledger.ledger_book import open_book
from huying.node.web.ledger.ledger_forms import VISIT_LABELS
from huying.node.web.ledger.ledger_records import (
    append,
    draft,
    find_household,
    village_only,
    was_taken,
)
from huying.node.web.ledger.visit_reads import KINDS, LOCAL_TIME, visit_shown
from huying.node.web.page import Ask, Page
from huying.node.web.render import local_time
from huying.wire.v1 import feed_pb2, records_pb2

__all__ = ["PAGES"]

_VISIT: Final = feed_pb2.RECORD_TYPE_VISIT
_ROWS: Final = 20
_TOKEN: Final = re.compile(r"(?:[0-9a-f]{2}){1,64}")
_EARLY_SECONDS: Final = 3600.0  # a visit may be written down so long before its time


async def visits(ask: Ask) -> Response:
    """The visits and meetings of the village, or of the person's grid, newest first."""
    return await _visits_page(ask)


async def _visits_page(
    ask: Ask, *, error: HuyingError | None = None, typed: dict[str, str] | None = None
) -> Response:
    home = village_only(ask)
    book = await open_book(ask.node)
    grids = [grid for grid in book.grids() if ask.scope.sees_record(home, grid)]
    # Who is bound to a grid has no other to choose; the village's own page may be narrowed to one.
    only = ask.scope.area if len(ask.scope.area) > len(home) else ask.query("grid")
    grid = only if only in grids else ask.scope.area if len(ask.scope.area) > len(home) else ""
    token = ask.query("page")
    page = await ask.node.read(
        lambda reader: reader.list_visits(
            area=home,
            grid=grid,
            limit=_ROWS,
            page_token=bytes.fromhex(token) if _TOKEN.fullmatch(token) else b"",
        )
    )
    offset = await ask.node.offset_minutes()
    numbers = {line.record.hex(): line.number or line.head_name for line in book.lines}
    following = page.next_token.hex()
    return await ask.render(
        "visits.html",
        {
            "visits": [visit_shown(ask, row) for row in page.rows],
            "numbers": numbers,
            "grids": [(one, book.grid_names.get(one, one)) for one in grids],
            "grid": grid,
            "next_url": ask.url("visits", grid=grid, page=following) if following else "",
            "visit_now": local_time(int(ask.now() * 1e6), offset).strftime(LOCAL_TIME),
            "error": error,
            "faults": field_faults(ask, error, VISIT_LABELS),
            "typed": typed or {},
        },
        status=400 if error else 200,
    )


async def save_visit(ask: Ask) -> Response:
    """A visit to a household."""
    found = await find_household(ask, ask.path("household"))
    form = await ask.form()
    try:
        await _write(ask, form, found.message.grid, found.record)
    except HuyingError as error:
        faults = field_faults(ask, error, VISIT_LABELS)
        more = {"error": error, "faults": faults, "typed": form.values()}
        return await household_page(ask, found, more=more, status=400)
    return ask.redirect("household", household=found.record.hex(), notice="sent")


async def save_meeting(ask: Ask) -> Response:
    """A meeting of residents, of which no household is told."""
    home = village_only(ask)
    form = await ask.form()
    try:
        grid = form.required("grid", 15)
        ask.scope.record(home, grid)
        await _write(ask, form, grid, b"")
    except HuyingError as error:
        if error.code is Code.NOT_FOUND:
            raise
        return await _visits_page(ask, error=error, typed=form.values())
    return ask.redirect("visits", notice="sent")


async def _write(ask: Ask, form: Form, grid: str, household: bytes) -> None:
    """A visit to a household; without one, a meeting. Raises HuyingError."""
    request_id = form.id()
    if await was_taken(ask, request_id):
        return
    offset, now = await ask.node.offset_minutes(), ask.now()
    faults = Faults()
    message = records_pb2.Visit(grid=grid, household=household, actor=ask.person.actor)
    with faults.at("kind"):
        message.kind = _kind(form.text("kind", 20)) if household else records_pb2.VISIT_KIND_MEETING
    with faults.at("visited"):
        message.visited_micros = _micros(form.required("visited", 20), offset, now)
    with faults.at("text"):
        message.text = form.required("text")
    faults.refuse()
    await append(ask, [draft(_VISIT, message, b"", request_id)])


def _kind(key: str) -> records_pb2.VisitKind.ValueType:
    """How somebody visited. Raises HuyingError(INVALID_ARGUMENT)."""
    found = {key: number for number, key, _ in KINDS[:2]}.get(key)
    if found is None:
        raise HuyingError(Code.INVALID_ARGUMENT, "kind: choose how")
    return found


def _micros(text: str, offset_minutes: int, now: float) -> int:
    """Unix microseconds of a local time as browsers send it. Raises INVALID_ARGUMENT."""
    try:
        at = datetime.strptime(text, LOCAL_TIME).replace(
            tzinfo=timezone(timedelta(minutes=offset_minutes))
        )
        seconds = (at - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()
    except (ValueError, OverflowError):
        raise HuyingError(
            Code.INVALID_ARGUMENT, "visited: a date and a time, as 2026-01-31T09:30"
        ) from None
    if not 0 < seconds <= now + _EARLY_SECONDS:
        raise HuyingError(Code.INVALID_ARGUMENT, "visited: lies ahead; write down what was")
    return int(seconds * 1e6)


PAGES: Final = (
    Page("/ledger/visits", "visits", visits, Permission.LEDGER),
    Page("/ledger/visits/meeting", "meeting-save", save_meeting, Permission.LEDGER, ("POST",)),
    Page(
        "/ledger/households/{household}/visits",
        "visit-save",
        save_visit,
        Permission.LEDGER,
        ("POST",),
    ),
)
