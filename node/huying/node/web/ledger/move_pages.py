"""迁户: a resident moves to another household of the village; the record stays the same one.

So whatever is known of them goes along, and the feed keeps where they lived before. Both households
and the resident are written in one append: nobody is counted twice, or nowhere.
"""

from __future__ import annotations

from typing import Any, Final

from starlette.responses import Response

from huying.common.errors import Code, HuyingError
from huying.common.limits import INTEGER_MAX
from huying.common.masking import mask
from huying.node.web.access.roles import Permission
from huying.node.web.ledger.ledger_book import HouseholdLine, narrowed, open_book
from huying.node.web.ledger.ledger_pages import seen_grids
from huying.node.web.ledger.ledger_records import (
    Found,
    append,
    derived_id,
    draft,
    find_household,
    find_resident,
    one_at_a_time,
    refuse_stale,
    residents_of,
    was_taken,
)
from huying.node.web.page import Ask, Page
from huying.wire.v1 import api_pb2, feed_pb2

__all__ = ["MOVED", "PAGES", "moves_of"]

MOVED: Final = "resident-move"  # in the audit trail, with both households' ids
_HOUSEHOLD: Final = feed_pb2.RECORD_TYPE_HOUSEHOLD
_RESIDENT: Final = feed_pb2.RECORD_TYPE_RESIDENT
_FOUND_MAX: Final = 20  # households that one search offers
_MOVES_SHOWN: Final = 5  # of one resident


async def choose(ask: Ask) -> Response:
    """Which household they move to: found by number, head or address."""
    found = await find_resident(ask, ask.path("resident"))
    return await _choose_page(ask, found)


async def _choose_page(ask: Ask, found: Found, error: HuyingError | None = None) -> Response:
    book = await open_book(ask.node)
    words = ask.query("q")
    lines: list[HouseholdLine] = []
    if words and not mask(words).hits:
        lines = narrowed(book, grids=seen_grids(ask, book), words=words)
    here = found.message.household
    lines = [line for line in lines if line.record != here]
    return await ask.render(
        "resident_move.html",
        {
            "record": found.record.hex(),
            "entry": found.version,
            "name": found.message.name,
            "household": here.hex(),
            "from_line": next((line for line in book.lines if line.record == here), None),
            "q": "" if mask(words).hits else words,
            "lines": lines[:_FOUND_MAX],
            "total": len(lines),
            "grid_names": book.grid_names,
            "error": error,
        },
        status=400 if error else 200,
    )


@one_at_a_time
async def move(ask: Ask) -> Response:
    """Move them. Raises what the node refuses with; sent twice, it moves once."""
    found = await find_resident(ask, ask.path("resident"))
    form = await ask.form()
    try:
        to = await find_household(ask, form.required("to", 32))
        if not await was_taken(ask, form.id()):
            refuse_stale(found, form.number("version", 0, INTEGER_MAX))
            if to.record == found.message.household:
                raise HuyingError(Code.INVALID_ARGUMENT, "to: they live there already")
            drafts = await _drafts(ask, form.id(), found, to)
            kept = f"{found.message.household.hex() or '-'} {to.record.hex()}"
            await append(ask, drafts)
            await ask.audit(MOVED, found.record.hex(), detail=kept)
    except HuyingError as error:
        if error.code is Code.NOT_FOUND:
            raise
        return await _choose_page(ask, found, error)
    return ask.redirect("household", household=to.record.hex(), notice="sent")


async def _drafts(ask: Ask, request_id: bytes, found: Found, to: Found) -> list[api_pb2.Draft]:
    """The resident in the other household, and the count of each, which the county sees."""
    drafts = []
    left = await _left(ask, found.message.household)
    if left is not None:
        people = await residents_of(ask, left.record, everybody=True)
        # Where the count is that of those entered, it goes down with them.
        if left.message.resident_count == len(people):
            left.message.resident_count -= 1
            again = derived_id(request_id, "left")
            drafts.append(draft(_HOUSEHOLD, left.message, left.record, again))
    people = await residents_of(ask, to.record, everybody=True)
    if to.message.resident_count <= len(people):
        to.message.resident_count = len(people) + 1
        again = derived_id(request_id, "reached")
        drafts.append(draft(_HOUSEHOLD, to.message, to.record, again))
    person = type(found.message)()
    person.CopyFrom(found.message)
    person.household, person.grid = to.record, to.message.grid
    # First, so that its receipt is the one that the request is known by.
    return [draft(_RESIDENT, person, found.record, request_id), *drafts]


async def _left(ask: Ask, household: bytes) -> Found | None:
    """The household that they leave; None where it has ended, or is not the person's to write."""
    try:
        return await find_household(ask, household.hex())
    except HuyingError as error:
        if error.code is not Code.NOT_FOUND:
            raise
        return None


async def moves_of(ask: Ask, resident: bytes) -> list[dict[str, Any]]:
    """When somebody moved, newest first, and from which household, as far as it is still there."""
    rows = await ask.site.on_thread(
        lambda: ask.site.audit.page(action=MOVED, object_=resident.hex(), count=_MOVES_SHOWN)
    )
    if not rows:
        return []
    book = await open_book(ask.node)
    grids = seen_grids(ask, book)
    lines = {line.record.hex(): line for line in book.lines if line.grid in grids}
    return [{"at": row.time_micros, "line": lines.get(row.detail.split(" ")[0])} for row in rows]


PAGES: Final = (
    Page("/ledger/residents/{resident}/move", "resident-move", choose, Permission.LEDGER),
    Page(
        "/ledger/residents/{resident}/move/to",
        "resident-moved",
        move,
        Permission.LEDGER,
        ("POST",),
    ),
)
