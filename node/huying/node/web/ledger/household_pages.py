"""Entering, changing and ending households.

Whoever leaves is ended: the record stays in the feed, and no list shows it. To take away what the
feed says about a person is an erasure, which a technician does with `huying erase`.
"""

from __future__ import annotations

from typing import Any, Final

from starlette.responses import Response

from huying.common.errors import Code, HuyingError
from huying.common.limits import INTEGER_MAX
from huying.node.web.access.roles import Permission
from huying.node.web.field_faults import field_faults
from huying.node.web.forms import Form
from huying.node.web.ledger.ledger_book import open_book
from huying.node.web.ledger.ledger_forms import (
    HOUSEHOLD_LABELS,
    fill_household,
    shown_household,
    status_of,
    typed,
)
from huying.node.web.ledger.ledger_pages import seen_grids
from huying.node.web.ledger.ledger_records import (
    Found,
    append,
    derived_id,
    draft,
    find_household,
    masked,
    one_at_a_time,
    refuse_stale,
    residents_of,
    village_only,
    was_taken,
)
from huying.node.web.page import Ask, Page
from huying.wire.v1 import api_pb2, feed_pb2, records_pb2

__all__ = ["PAGES", "end_page"]

_HOUSEHOLD: Final = feed_pb2.RECORD_TYPE_HOUSEHOLD
_RESIDENT: Final = feed_pb2.RECORD_TYPE_RESIDENT


@one_at_a_time
async def new_household(ask: Ask) -> Response:
    """The form of a new household, and what it sends."""
    village_only(ask)
    if ask.request.method == "GET":
        return await _household_form(ask, None, {})
    form = await ask.form()
    message = records_pb2.Household()
    try:
        record = await was_taken(ask, form.id())
        if not record:
            await _fill_household(ask, message, form)
            (receipt,) = await append(ask, [draft(_HOUSEHOLD, message, b"", form.id())])
            record = receipt.record
            await ask.audit("household-add", record.hex())
    except HuyingError as error:
        return await _household_form(ask, None, typed(form), error=error)
    return ask.redirect("household", household=record.hex(), notice="sent")


@one_at_a_time
async def edit_household(ask: Ask) -> Response:
    """The form of a household that there is, and what it sends."""
    found = await find_household(ask, ask.path("household"))
    if ask.request.method == "GET":
        await ask.audit("household-view", found.record.hex(), detail="to change it")
        return await _household_form(ask, found, shown_household(found.message))
    form = await ask.form()
    try:
        if not await was_taken(ask, form.id()):
            refuse_stale(found, form.number("version", 0, INTEGER_MAX))
            before = found.message.SerializeToString()
            await _fill_household(ask, found.message, form)
            if found.message.SerializeToString() == before:
                return ask.redirect("household", household=found.record.hex(), notice="unchanged")
            drafts = [draft(_HOUSEHOLD, found.message, found.record, form.id())]
            await append(ask, drafts + await _people_along(ask, found, form.id()))
            await ask.audit("household-change", found.record.hex())
    except HuyingError as error:
        return await _household_form(ask, found, typed(form), error=error)
    return ask.redirect("household", household=found.record.hex(), notice="sent")


async def _people_along(ask: Ask, home: Found, request_id: bytes) -> list[api_pb2.Draft]:
    """A household that goes to another grid takes its people along: who sees them follows it."""
    drafts = []
    for one in await residents_of(ask, home.record, everybody=True):
        if one.message.grid != home.message.grid:
            one.message.grid = home.message.grid
            again = derived_id(request_id, one.record.hex())
            drafts.append(draft(_RESIDENT, one.message, one.record, again))
    return drafts


async def _fill_household(ask: Ask, message: Any, form: Form) -> None:
    """Change the household; its grid and number must be good. Raises INVALID_ARGUMENT."""
    faults = fill_household(message, form)
    book = await open_book(ask.node)
    with faults.at("grid"):
        if message.grid not in _grids(ask, book.grids()):
            raise HuyingError(Code.INVALID_ARGUMENT, "grid: choose one of yours")
    with faults.at("number"):
        if not message.number and not message.address:
            raise HuyingError(Code.INVALID_ARGUMENT, "number: give a number or an address")
    faults.refuse()


def _grids(ask: Ask, grids: list[str]) -> list[str]:
    """The grids a person may enter a household in; one of their own that is empty still, too."""
    found = [grid for grid in grids if ask.scope.sees_record(ask.node.code, grid)]
    if not found and len(ask.scope.area) > len(ask.node.code):
        return [ask.scope.area]
    return found


@one_at_a_time
async def end_household(ask: Ask) -> Response:
    """Whether the household is to end; and its end. Nobody may live there any more."""
    if ask.request.method == "POST" and await was_taken(ask, (await ask.form()).id()):
        return ask.redirect("ledger", notice="sent")
    found = await find_household(ask, ask.path("household"))
    people = await residents_of(ask, found.record, everybody=True)
    if ask.request.method == "GET":
        return await end_page(ask, found, "household", bool(people))
    form = await ask.form()
    if people:
        return await end_page(ask, found, "household", is_blocked=True)
    await append(ask, [draft(_HOUSEHOLD, None, found.record, form.id())])
    await ask.audit("household-end", found.record.hex())
    return ask.redirect("ledger", notice="sent")


async def _household_form(
    ask: Ask, found: Found | None, values: dict[str, Any], *, error: HuyingError | None = None
) -> Response:
    book = await open_book(ask.node)
    codes = _grids(ask, seen_grids(ask, book))
    return await ask.render(
        "household_form.html",
        {
            "record": found.record.hex() if found else "",
            "entry": found.version if found else 0,
            "values": values,
            "grids": [(code, book.grid_names.get(code, code)) for code in codes],
            "phone": masked(found.message.phone) if found else "",
            "error": error,
            "faults": field_faults(ask, error, HOUSEHOLD_LABELS),
        },
        status=status_of(error),
    )


async def end_page(ask: Ask, found: Found, kind: str, is_blocked: bool) -> Response:
    """The page that asks whether a `resident` or a `household` is to end; or why it can't."""
    one = found.message
    name = one.name if kind == "resident" else one.head_name
    back = one.household.hex() if kind == "resident" else found.record.hex()
    return await ask.render(
        "ledger_end.html",
        kind=kind,
        record=found.record.hex(),
        name=name,
        back=ask.url("household", household=back) if back else ask.url("ledger"),
        is_blocked=is_blocked,
    )


_BOTH: Final = ("GET", "POST")
PAGES: Final = (
    Page("/ledger/new", "household-new", new_household, Permission.LEDGER, _BOTH),
    Page(
        "/ledger/households/{household}/edit",
        "household-edit",
        edit_household,
        Permission.LEDGER,
        _BOTH,
    ),
    Page(
        "/ledger/households/{household}/end",
        "household-end",
        end_household,
        Permission.LEDGER,
        _BOTH,
    ),
)
