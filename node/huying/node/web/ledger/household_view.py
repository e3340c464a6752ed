"""One household: who lives there, and when somebody visited.

ID and phone numbers are masked, and health is not shown at all, until somebody asks for them by a
form; that is written into the audit trail, as is every look at a household.
"""

from __future__ import annotations

from typing import Any, Final

from starlette.responses import Response

from huying.node.web.access.roles import Permission
from huying.node.web.ledger.ledger_book import open_book, populations
from huying.node.web.ledger.ledger_records import (
    Found,
    find_household,
    find_resident,
    masked,
    residents_of,
)
from huying.node.web.ledger.move_pages import moves_of
from huying.node.web.ledger.visit_reads import visits_shown
from huying.node.web.page import Ask, Page

__all__ = ["PAGES", "household_page"]


async def household(ask: Ask) -> Response:
    """One household."""
    found = await find_household(ask, ask.path("household"))
    await ask.audit("household-view", found.record.hex())
    return await household_page(ask, found)


_NUMBERS: Final = ("id_number", "phone")


async def show(ask: Ask) -> Response:
    """The household's page with the numbers or the health of one record on it, this once."""
    found = await find_household(ask, ask.path("household"))
    form = await ask.form()
    of = form.text("of", 32)
    what = "health" if form.text("what", 16) == "health" else "numbers"
    if of != found.record.hex():
        resident = await find_resident(ask, of)
        of = resident.record.hex() if resident.message.household == found.record else ""
    if not of:
        return ask.redirect("household", household=found.record.hex())
    # Written down first: what can't be written down is not shown.
    await ask.audit(f"show-{what}", of, detail=f"household {found.record.hex()}")
    return await household_page(ask, found, shown=(of, what))


async def household_page(
    ask: Ask,
    found: Found,
    *,
    shown: tuple[str, str] = ("", ""),
    more: dict[str, Any] | None = None,
    status: int = 200,
) -> Response:
    """The page of a household. `shown`: of which record, `numbers` or `health` is shown."""
    book = await open_book(ask.node)
    people = [
        {**_person(one, shown), "moves": await moves_of(ask, one.record)}
        for one in await residents_of(ask, found.record)
    ]
    one = found.message
    return await ask.render(
        "household.html",
        {
            "record": found.record.hex(),
            "household": one,
            "phone": _number(one.phone, found.record.hex(), shown),
            "phone_is_shown": shown == (found.record.hex(), "numbers"),
            "people": people,
            "grid_name": book.grid_names.get(one.grid, one.grid),
            "error": None,
            "faults": {},
            "typed": {},
            **await visits_shown(ask, found.record),
            **(more or {}),
        },
        status=status,
    )


def _number(value: str, record: str, shown: tuple[str, str]) -> str:
    return value if shown == (record, "numbers") else masked(value)


def _person(found: Found, shown: tuple[str, str]) -> dict[str, Any]:
    """A resident as the page has them; what is not shown is not in it."""
    one, record = found.message, found.record.hex()
    return {
        "record": record,
        "name": one.name,
        "sex": one.sex,
        "birth_date": one.birth_date,
        "populations": populations(one.key_population),
        "numbers": {name: _number(getattr(one, name), record, shown) for name in _NUMBERS},
        "numbers_shown": shown == (record, "numbers"),
        "has_health": bool(one.health),
        "health": one.health if shown == (record, "health") else "",
        "generated": one.generated,
    }


PAGES: Final = (
    Page("/ledger/households/{household}", "household", household, Permission.LEDGER),
    Page(
        "/ledger/households/{household}/show",
        "household-show",
        show,
        Permission.LEDGER,
        ("POST",),
    ),
)
