"""The ledger as a table for a spreadsheet, the template that is filled in, and an import's errors.

No cell becomes a formula (`huying.node.sheets.writing`). ID and phone numbers are masked unless
they were asked for in so many words.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from starlette.responses import Response

from huying.node.sheets import Cell, RowError, write_table
from huying.node.web.ledger.ledger_book import Book
from huying.node.web.ledger.ledger_columns import (
    COLUMNS,
    HOUSEHOLD_COLUMNS,
    NUMBER_COLUMNS,
    SAMPLE,
)
from huying.node.web.ledger.ledger_holdings import Holdings
from huying.node.web.ledger.ledger_records import masked
from huying.wire.v1 import records_pb2

__all__ = [
    "CONTENT_TYPES",
    "USUAL",
    "download",
    "errors_file",
    "export_rows",
    "table_file",
    "template_file",
]

CONTENT_TYPES: Final = {
    ".csv": "text/csv; charset=utf-8",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
# What an export has unless somebody ticks more.
USUAL: Final = ("grid", "number", "head_name", "address", "name", "sex", "key_population")
_SAMPLE_ROW: Final = {
    "grid": "第一网格",
    "number": f"{SAMPLE}001",
    "head_name": "王某某",
    "address": "某村某巷 1 号",
    "household_phone": "0537-0000000",
    "resident_count": "2",
    "name": "王某某",
    "sex": "男",
    "birth_date": "1950-01-31",
    "id_number": "",
    "phone": "",
    "key_population": "空巢老人、低保",
    "health": "",
}
_NOTES: Final = (
    "一行填一个人;同一户的每一行,户号要一样。",
    "户号必填;合并单元格里的,下面各行算同一户。姓名空着的行,只登记这一户。",
    "网格填名称或 15 位编码;本村只有一个网格时可不填。",
    "出生日期写成 1950-01-31。性别填 男 或 女。填了 18 位身份证号,这两列可不填。",
    "身份证号、电话请先把该列设为“文本”再填,不然表格软件会改掉数字。",
    "重点人群可填多个,用“、”隔开。",
    f"户号以“{SAMPLE}”开头的行是样例,导入时跳过。",
    "台账里已有的户和人不会重复登记。",
    "One row a person; rows of one household share its number. The sample row is passed over.",
)


def export_rows(
    holdings: Holdings, book: Book, grids: Collection[str], chosen: Sequence[str], *, whole: bool
) -> Iterator[tuple[Cell, ...]]:
    """A row for each person of these grids, and for a household of which nobody is entered.

    `chosen`: keys of COLUMNS; `whole`: ID and phone numbers in full.
    """
    people: dict[bytes, list[Any]] = {}
    for _, _, one in holdings.residents:
        if one.grid in grids:
            people.setdefault(one.household, []).append(one)
    for record, fields in holdings.households.values():
        house = records_pb2.Household.FromString(fields)
        if house.grid not in grids:
            continue
        lodgers = sorted(people.get(record, []), key=lambda one: (one.birth_date, one.name))
        for person in lodgers or [records_pb2.Resident()]:
            yield tuple(_cell(key, house, person, book, whole=whole) for key in chosen)


def _cell(key: str, house: Any, person: Any, book: Book, *, whole: bool) -> Cell:
    if key == "grid":
        return str(book.grid_names.get(house.grid, house.grid))
    if key == "household_phone":
        return str(house.phone if whole else masked(house.phone))
    if key == "resident_count":
        return int(house.resident_count)
    if key in HOUSEHOLD_COLUMNS:
        return str(getattr(house, key))
    value = str(getattr(person, key))
    return masked(value) if key in NUMBER_COLUMNS and not whole else value


def table_file(ending: str, chosen: Sequence[str], rows: Iterable[Sequence[Cell]]) -> bytes:
    """The table as a file. Blocks. Raises SheetError for another ending than .csv and .xlsx."""
    return _file(ending, [COLUMNS[key][0] for key in chosen], rows)


def errors_file(errors: Iterable[RowError]) -> bytes:
    """What is wrong with a sheet, row by row, as CSV. Blocks."""
    header = ("行 row", "列 column", "问题和改法 what to do")
    return _file(".csv", header, [(one.number, one.column, one.what) for one in errors])


def _file(ending: str, header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> bytes:
    # In a folder of its own, its owner's alone, and gone with it.
    with tempfile.TemporaryDirectory(prefix="huying-table-") as folder:
        path = Path(folder) / f"table{ending}"
        write_table(path, header, rows, sheet="台账")
        return path.read_bytes()


def template_file() -> bytes:
    """The workbook to fill in: the columns as text, a sample row, and notes. Blocks."""
    import xlsxwriter

    data = io.BytesIO()
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    with xlsxwriter.Workbook(data, options) as book:
        page = book.add_worksheet("台账")
        bold = book.add_format({"bold": True, "bg_color": "#E3EDF7", "border": 1})
        # As text, so that an ID number keeps its digits.
        text = book.add_format({"num_format": "@"})
        grey = book.add_format({"num_format": "@", "font_color": "#4A5867", "italic": True})
        page.freeze_panes(1, 0)
        for column, (key, names) in enumerate(COLUMNS.items()):
            page.set_column(column, column, 22 if key == "id_number" else 14, text)
            page.write_string(0, column, names[0], bold)
            page.write_string(1, column, _SAMPLE_ROW[key], grey)
        notes = book.add_worksheet("填写说明")
        notes.set_column(0, 0, 90)
        for row, note in enumerate(_NOTES):
            notes.write_string(row, 0, note)
    return data.getvalue()


def download(data: bytes, ending: str, name: str, shown: str = "") -> Response:
    """A file, as a browser keeps it: under `shown`, or where it has no Chinese under `name`."""
    named = f'attachment; filename="{name}{ending}"'
    if shown:
        named += f"; filename*=UTF-8''{quote(shown + ending, safe='')}"  # RFC 6266
    return Response(data, media_type=CONTENT_TYPES[ending], headers={"Content-Disposition": named})
