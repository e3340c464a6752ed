"""Reading a table: the kind of file by its content, the header, rows with named cells."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Final

from huying.common import limits
from huying.node.sheets.csv_rows import read_csv
from huying.node.sheets.errors import RowError, SheetError
from huying.node.sheets.header import find_header
from huying.node.sheets.raw_rows import RawRow, RawTable, column_letter
from huying.node.sheets.workbook_rows import read_workbook

__all__ = ["Sheet", "SheetRow", "read_sheet"]

_TEXT: Final = frozenset({".csv", ".tsv", ".txt"})
_ZIP: Final = frozenset({".xlsx", ".xlsm", ".ods"})
_OLE: Final = frozenset({".xls", ".et"})
_OLE_MAGIC: Final = bytes.fromhex("d0cf11e0a1b11ae1")
_NAMELESS: Final = (
    "有内容,但表头没有列名;请补上列名(合并的表头请拆开)"
    " · has a value below no name: name the column (split merged header cells)"
)


@dataclass(frozen=True, slots=True)
class SheetRow:
    """One row below the header. A row with errors has no cells: nobody takes half of it."""

    number: int  # as the spreadsheet shows it, from 1
    cells: Mapping[str, str]  # by the header's names; "" for an empty cell
    errors: tuple[RowError, ...] = ()
    raw: tuple[str, ...] = ()  # as they stand, by place; what can't be shown is ""


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table: names of columns, and rows that are read while they are taken."""

    header: tuple[str, ...]  # columns without a name are left out
    rows: Iterator[SheetRow]
    header_row: int = 1  # its number
    encoding: str = ""  # found or given, of a text file
    sheet: str = ""  # the name of a workbook's sheet
    columns: tuple[str, ...] = ()  # all of them by place, "" for one without a name


def read_sheet(
    path: Path,
    *,
    encoding: str = "",
    sheet: str = "",
    rows_max: int = limits.SHEET_ROWS_MAX,
    known: Collection[str] = (),
) -> Sheet:
    """The table in a CSV file or a workbook.

    `encoding` is of a text file ("": found), `sheet` names one of a workbook ("": the first),
    `known` are names that columns go by, to tell the header from a title of several cells.
    A formula counts as the value that was last shown for it. Raises SheetError, also from the rows'
    iterator, for what makes the whole file unusable; what is wrong with one row is in its `errors`.
    """
    _check_file(path)
    if path.suffix.lower() in _TEXT:
        table, raw = read_csv(path, encoding)
    else:
        table, raw = read_workbook(path, sheet)
    header, names, rest = find_header(table, raw, known)
    return Sheet(
        header=tuple(filter(None, names)),
        rows=_named(table, names, chain(rest, raw), rows_max),
        header_row=header.number,
        encoding=table.encoding,
        sheet=table.sheet,
        columns=names,
    )


def _check_file(path: Path) -> None:
    """Refuse what is too large, and what its ending belies, before anything is decoded."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(512)
    except OSError as error:
        raise SheetError(f"读不了文件 · the file can't be read: {error.strerror}") from None
    if size > limits.SHEET_BYTES_MAX:
        most = limits.SHEET_BYTES_MAX >> 20
        raise SheetError(f"文件超过 {most} MiB,请拆分 · the file is over {most} MiB: split it")
    if not start.strip():
        raise SheetError("文件是空的 · the file is empty")
    _check_ending(path.suffix.lower(), start)


def _check_ending(ending: str, start: bytes) -> None:
    is_zip, is_ole = start.startswith(b"PK"), start.startswith(_OLE_MAGIC)
    if ending in _ZIP and is_ole:
        raise SheetError(
            "工作簿有密码,或是旧格式 .xls 改了后缀;请去掉密码,另存为 .xlsx"
            " · encrypted, or an .xls by another name: save it as .xlsx without a password"
        )
    if ending not in _TEXT | _ZIP | _OLE:
        raise SheetError(
            "只能读取 .csv、.xlsx、.xls、.ods 文件 · only .csv, .xlsx, .xls and .ods can be read"
        )
    fits = is_zip if ending in _ZIP else is_ole if ending in _OLE else not (is_zip or is_ole)
    if not fits or start.lstrip().lower().startswith((b"<html", b"<table", b"<!doctype", b"<?xml")):
        raise SheetError(
            f"文件内容与后缀 {ending} 不符,请用表格软件打开后另存为 .xlsx 或 .csv"
            f" · the content is not what {ending} says: open it, and save it as .xlsx or .csv"
        )


def _named(
    table: RawTable, names: tuple[str, ...], rows: Iterator[RawRow], rows_max: int
) -> Iterator[SheetRow]:
    """Rows with their cells by name; those that no name covers are errors of the row."""
    for count, row in enumerate(rows, start=1):
        if count > rows_max:
            raise SheetError(f"超过 {rows_max} 行,请拆分文件 · more than {rows_max} rows: split it")
        errors = [RowError(row.number, _name(table, names, at), what) for at, what in row.faults]
        errors += [
            RowError(row.number, column_letter(table.first_column + place), _NAMELESS)
            for place, cell in enumerate(row.cells)
            if cell and not (place < len(names) and names[place])
        ]
        if errors:
            yield SheetRow(row.number, {}, tuple(errors), row.cells)
            continue
        cells = dict.fromkeys(filter(None, names), "")
        cells.update({name: cell for name, cell in zip(names, row.cells, strict=False) if name})
        yield SheetRow(row.number, cells, (), row.cells)


def _name(table: RawTable, names: tuple[str, ...], place: int) -> str:
    if place < 0:
        return ""
    if place < len(names) and names[place]:
        return names[place]
    return column_letter(table.first_column + place)
