"""民情台账: the village's households, by grid, and what they are narrowed by.

The list shows no ID and no phone number, and is not searched by them: what is searched for stands
in the address.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from starlette.responses import Response

from huying.common.masking import mask
from huying.node.web.access.roles import Permission
from huying.node.web.ledger.ledger_book import Book, days_before, narrowed, open_book
from huying.node.web.ledger.ledger_records import village_only
from huying.node.web.page import Ask, Nav, Page

__all__ = ["PAGES", "seen_grids"]

_ROWS: Final = 50
_DAYS: Final = (30, 60, 90, 180, 365)
_DAYS_COUNTED: Final = 90  # the figure on a grid's tile
_TWINS_SHOWN: Final = 20  # ID numbers that are entered more than once
_PAGE_MAX: Final = 10_000


def seen_grids(ask: Ask, book: Book) -> list[str]:
    """The grids whose households the person may see, in order."""
    return [grid for grid in book.grids() if ask.scope.sees_record(ask.node.code, grid)]


async def ledger(ask: Ask) -> Response:
    """The households, by grid."""
    village_only(ask)
    book = await open_book(ask.node)
    grids = seen_grids(ask, book)
    asked = _asked(ask, grids)
    words = ask.query("q")
    # A number that was typed into the search is told what to do, and neither sought nor shown.
    is_number = bool(mask(words).hits)
    lines = (
        []
        if is_number
        else narrowed(
            book,
            grids=[asked.grid] if asked.grid else grids,
            population=asked.population,
            words=words,
            unvisited_since_micros=days_before(ask.now(), asked.days) if asked.days else 0,
        )
    )
    start = (asked.page - 1) * _ROWS
    is_more = len(lines) > start + _ROWS
    filters = {
        "q": "" if is_number else words,
        "grid": asked.grid,
        "population": asked.population,
        "days": asked.days or "",
    }
    return await ask.render(
        "ledger.html",
        lines=lines[start : start + _ROWS],
        total=len(lines),
        start=start,
        counts=book.counts(grids, days_before(ask.now(), _DAYS_COUNTED)),
        days_counted=_DAYS_COUNTED,
        found_populations=book.populations(grids),
        grid_names=book.grid_names,
        filters=filters,
        days_offered=_DAYS,
        is_number=is_number,
        twins=book.twins_of(grids)[:_TWINS_SHOWN],
        numbers={line.record: line.number for line in book.lines},
        is_narrowed=any(filters.values()),
        next_url=ask.url("ledger", **filters, page=asked.page + 1) if is_more else "",
        before_url=ask.url("ledger", **filters, page=asked.page - 1) if asked.page > 1 else "",
    )


@dataclass(frozen=True, slots=True)
class _Asked:
    grid: str
    population: str
    days: int
    page: int


def _asked(ask: Ask, grids: Collection[str]) -> _Asked:
    """The filters of the address; what makes no sense narrows nothing."""
    grid, days, page = ask.query("grid"), ask.query("days"), ask.query("page")
    return _Asked(
        grid=grid if grid in grids else "",
        population=ask.query("population"),
        days=int(days) if days in {str(one) for one in _DAYS} else 0,
        page=min(_PAGE_MAX, max(1, int(page))) if page.isascii() and page.isdigit() else 1,
    )


PAGES: Final = (
    Page("/ledger", "ledger", ledger, Permission.LEDGER, nav=Nav("台账", "Ledger", 30)),
)
