"""Taking the ledger out as a spreadsheet: for a purpose, which is written down first.

Numbers are masked unless whole ones are asked for, which is written down, too.
"""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from huying.common.errors import Code, HuyingError
from huying.node.web.access.roles import Permission
from huying.node.web.field_faults import Faults
from huying.node.web.ledger.ledger_book import open_book
from huying.node.web.ledger.ledger_columns import COLUMNS
from huying.node.web.ledger.ledger_export import CONTENT_TYPES, download, export_rows, table_file
from huying.node.web.ledger.ledger_holdings import read_holdings
from huying.node.web.ledger.ledger_pages import seen_grids
from huying.node.web.ledger.ledger_records import village_only
from huying.node.web.ledger.sheet_pages import sheets_page
from huying.node.web.page import Ask, Page

__all__ = ["PAGES"]

_PURPOSE_CHARACTERS_MIN: Final = 4


async def export(ask: Ask) -> Response:
    """The ledger as a file, for a purpose that is written down."""
    home = village_only(ask)
    form = await ask.form()
    book = await open_book(ask.node)
    chosen = [key for key in COLUMNS if key in form.many("columns")]
    whole, grid = form.flag("whole"), form.text("grid", 15)
    ending = f".{form.text('format', 8)}"
    purpose, faults = "", Faults()
    with faults.at("purpose"):
        purpose = form.required("purpose", 200)
        if len(purpose) < _PURPOSE_CHARACTERS_MIN:
            raise HuyingError(Code.INVALID_ARGUMENT, "purpose: say what for, in some words")
    with faults.at("columns"):
        if not chosen:
            raise HuyingError(Code.INVALID_ARGUMENT, "columns: tick one at least")
    with faults.at("format"):
        if ending not in CONTENT_TYPES:
            raise HuyingError(Code.INVALID_ARGUMENT, "format: xlsx or csv")
    try:
        faults.refuse()
    except HuyingError as error:
        typed = {**form.values(), "columns": chosen}
        return await sheets_page(ask, error, typed)
    grids = seen_grids(ask, book)
    if grid:
        ask.scope.record(home, grid)
        grids = [one for one in grids if one == grid]
    # Written down before a byte of it is out.
    kept = f"{purpose} · {len(chosen)} columns{' · health' if 'health' in chosen else ''}"
    await ask.audit(
        "ledger-export", grid or home, detail=f"{'whole' if whole else 'masked'} · {kept}"
    )
    holdings = await ask.node.read(lambda reader: read_holdings(reader, home))
    data = await ask.site.on_thread(
        lambda: table_file(ending, chosen, export_rows(holdings, book, grids, chosen, whole=whole))
    )
    return download(data, ending, "ledger", "台账")


# Before the pages of one import, whose address it would be else.
PAGES: Final = (
    Page(
        "/ledger/sheets/export", "sheet-export", export, Permission.LEDGER, ("POST",), costly=True
    ),
)
