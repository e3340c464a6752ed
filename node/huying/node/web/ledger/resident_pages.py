"""Entering, changing and ending residents, each in a household.

One person is entered once: an ID number that somebody has already is refused. How many live in a
household is written along, since the county sees the number.
"""

from __future__ import annotations

from typing import Any, Final

from starlette.responses import Response

from huying.common.errors import Code, HuyingError
from huying.common.limits import INTEGER_MAX
from huying.node.web.access.roles import Permission
from huying.node.web.field_faults import field_faults
from huying.node.web.ledger.household_pages import end_page
from huying.node.web.ledger.ledger_forms import (
    POPULATIONS,
    RESIDENT_LABELS,
    fill_resident,
    shown_resident,
    status_of,
    typed,
)
from huying.node.web.ledger.ledger_holdings import read_holdings
from huying.node.web.ledger.ledger_records import (
    Found,
    append,
    bound_grids,
    derived_id,
    draft,
    find_household,
    find_resident,
    masked,
    one_at_a_time,
    refuse_stale,
    residents_of,
    was_taken,
)
from huying.node.web.page import Ask, Page
from huying.wire.v1 import feed_pb2, records_pb2

__all__ = ["PAGES"]

_HOUSEHOLD: Final = feed_pb2.RECORD_TYPE_HOUSEHOLD
_RESIDENT: Final = feed_pb2.RECORD_TYPE_RESIDENT


@one_at_a_time
async def new_resident(ask: Ask) -> Response:
    """The form of a new resident of a household, and what it sends."""
    home = await find_household(ask, ask.path("household"))
    if ask.request.method == "GET":
        return await _resident_form(ask, home, None, {})
    form = await ask.form()
    message = records_pb2.Resident(grid=home.message.grid, household=home.record)
    try:
        if not await was_taken(ask, form.id()):
            faults = fill_resident(message, form)
            with faults.at("id_number"):
                await _refuse_twin(ask, message, b"")
            faults.refuse()
            people = await residents_of(ask, home.record, everybody=True)
            drafts = [draft(_RESIDENT, message, b"", form.id())]
            # The county sees how many live there; the count never falls behind those entered.
            if home.message.resident_count <= len(people):
                home.message.resident_count = len(people) + 1
                again = derived_id(form.id(), "count")
                drafts.append(draft(_HOUSEHOLD, home.message, home.record, again))
            receipt, *_ = await append(ask, drafts)
            await ask.audit("resident-add", receipt.record.hex())
    except HuyingError as error:
        return await _resident_form(ask, home, None, typed(form), error=error)
    return ask.redirect("household", household=home.record.hex(), notice="sent")


async def _refuse_twin(ask: Ask, one: Any, record: bytes) -> None:
    """Refuse an ID number that somebody else has: it is one person, entered twice.

    Somebody else whom the person may see: one who is bound to a grid enters whom another grid has,
    and the village's own people find it on the ledger's page (`ledger_twins`). A refusal would
    tell them that the number is known elsewhere. Raises HuyingError(INVALID_ARGUMENT).
    """
    if not one.id_number:
        return
    home, grids = ask.node.code, bound_grids(ask)
    holdings = await ask.node.read(lambda reader: read_holdings(reader, home, grids))
    there = holdings.by_number(one.id_number)
    if there is not None and there[0] != record:
        raise HuyingError(
            Code.INVALID_ARGUMENT,
            "id_number: somebody in the ledger has it; if they moved, move them from there",
        )


@one_at_a_time
async def edit_resident(ask: Ask) -> Response:
    """The form of a resident that there is, and what it sends."""
    found = await find_resident(ask, ask.path("resident"))
    if ask.request.method == "GET":
        await ask.audit("resident-view", found.record.hex(), detail="to change it")
        return await _resident_form(ask, None, found, shown_resident(found.message))
    form = await ask.form()
    try:
        if not await was_taken(ask, form.id()):
            refuse_stale(found, form.number("version", 0, INTEGER_MAX))
            before = found.message.SerializeToString()
            number = found.message.id_number
            faults = fill_resident(found.message, form)
            with faults.at("id_number"):
                if found.message.id_number != number:
                    await _refuse_twin(ask, found.message, found.record)
            faults.refuse()
            if found.message.SerializeToString() == before:
                return _back(ask, found, "unchanged")
            await append(ask, [draft(_RESIDENT, found.message, found.record, form.id())])
            await ask.audit("resident-change", found.record.hex())
    except HuyingError as error:
        return await _resident_form(ask, None, found, typed(form), error=error)
    return _back(ask, found, "sent")


@one_at_a_time
async def end_resident(ask: Ask) -> Response:
    """Whether a resident is to be ended; and the end."""
    if ask.request.method == "POST" and await was_taken(ask, (await ask.form()).id()):
        return ask.redirect("ledger", notice="sent")
    found = await find_resident(ask, ask.path("resident"))
    if ask.request.method == "GET":
        return await end_page(ask, found, "resident", is_blocked=False)
    form = await ask.form()
    drafts = [draft(_RESIDENT, None, found.record, form.id())]
    try:
        home = await find_household(ask, found.message.household.hex())
    except HuyingError as error:
        if error.code is not Code.NOT_FOUND:
            raise
    else:
        people = await residents_of(ask, home.record, everybody=True)
        # Where the count is that of those entered, it goes down with them.
        if home.message.resident_count == len(people):
            home.message.resident_count -= 1
            again = derived_id(form.id(), "count")
            drafts.append(draft(_HOUSEHOLD, home.message, home.record, again))
    await append(ask, drafts)
    await ask.audit("resident-end", found.record.hex())
    return _back(ask, found, "sent")


def _back(ask: Ask, found: Found, notice: str) -> Response:
    household = found.message.household.hex()
    if not household:
        return ask.redirect("ledger", notice=notice)
    return ask.redirect("household", household=household, notice=notice)


async def _resident_form(
    ask: Ask,
    home: Found | None,
    found: Found | None,
    values: dict[str, Any],
    *,
    error: HuyingError | None = None,
) -> Response:
    one = found.message if found else records_pb2.Resident()
    return await ask.render(
        "resident_form.html",
        {
            "record": found.record.hex() if found else "",
            "household": home.record.hex() if home else one.household.hex(),
            "entry": found.version if found else 0,
            "values": values,
            "offered": POPULATIONS,
            "id_number": masked(one.id_number),
            "phone": masked(one.phone),
            "has_health": bool(one.health),
            "error": error,
            "faults": field_faults(ask, error, RESIDENT_LABELS),
        },
        status=status_of(error),
    )


_BOTH: Final = ("GET", "POST")
PAGES: Final = (
    Page(
        "/ledger/households/{household}/add",
        "resident-new",
        new_resident,
        Permission.LEDGER,
        _BOTH,
    ),
    Page("/ledger/residents/{resident}", "resident-edit", edit_resident, Permission.LEDGER, _BOTH),
    Page(
        "/ledger/residents/{resident}/end", "resident-end", end_resident, Permission.LEDGER, _BOTH
    ),
)
