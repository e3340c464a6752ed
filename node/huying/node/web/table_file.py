"""A list as a file for a spreadsheet: Excel or CSV, no cell of which becomes a formula."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from starlette.responses import Response

from huying.common.errors import Code, HuyingError
from huying.node.sheets import Cell, write_table
from huying.node.web.page import Ask
from huying.node.web.render import local_time

__all__ = ["local_minute", "table_answer", "table_format"]

_MEDIA_TYPES: Final = {
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "csv": "text/csv; charset=utf-8",
}


def table_format(ask: Ask) -> str:
    """Which file the address asks for. Raises HuyingError(INVALID_ARGUMENT)."""
    form = ask.query("format", "xlsx")
    if form not in _MEDIA_TYPES:
        raise HuyingError(Code.INVALID_ARGUMENT, "format: xlsx or csv")
    return form


def local_minute(micros: int, offset_minutes: int) -> str:
    """A time as a person reads it, by the county's clock; empty for none."""
    if not micros:
        return ""
    try:
        return f"{local_time(micros, offset_minutes):%Y-%m-%d %H:%M}"
    except (OverflowError, ValueError):
        return ""


async def table_answer(
    ask: Ask, name: str, header: Sequence[str], rows: Iterable[Sequence[Cell]]
) -> Response:
    """The file, to be downloaded as `name` and the day. Raises as `table_format`.

    `rows` may be a generator: it is taken on the thread that writes, so that some thousand rows
    keep nobody else's page waiting.
    """
    form = table_format(ask)
    day = local_minute(int(ask.now() * 1e6), await ask.node.offset_minutes())[:10]

    def write() -> bytes:
        # In a folder of its own, its owner's alone, and gone with it.
        with tempfile.TemporaryDirectory(prefix="huying-table-") as folder:
            path = Path(folder) / f"table.{form}"
            write_table(path, header, rows, sheet=name)
            return path.read_bytes()

    return Response(
        await ask.site.on_thread(write),
        media_type=_MEDIA_TYPES[form],
        headers={"Content-Disposition": f'attachment; filename="{name}-{day}.{form}"'},
    )
