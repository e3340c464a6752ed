"""Writing a table that people open in a spreadsheet, none of whose cells becomes a formula there.

A cell that begins with one of `=`, `+`, `-`, `@` (in either width), a tab or a line end gets an
apostrophe before it, as OWASP advises against CSV injection. So does one that begins with
apostrophes before such a character, or reading back could not tell: `restored` takes exactly one
away. Numbers are given as numbers and stay so.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from huying.common.limits import SHEET_CELL_CHARACTERS_MAX
from huying.node.sheets.errors import SheetError

__all__ = ["Cell", "neutral", "restored", "write_table"]

Cell = str | int | float | None

_DANGEROUS: Final = "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20"
_WIDTH_MAX: Final = 60  # characters of a column, where the reader may widen it


def neutral(text: str) -> str:
    """The text as no spreadsheet takes it for a formula; characters that XML has not are marked."""
    clean = "".join(char if _is_allowed(char) else "\ufffd" for char in text)
    if _is_dangerous(clean):
        clean = "'" + clean
    return clean[:SHEET_CELL_CHARACTERS_MAX]


def restored(text: str) -> str:
    """What `neutral` was given, as far as it was text that a spreadsheet can hold."""
    return text[1:] if text.startswith("'") and _is_dangerous(text) else text


def write_table(
    path: Path, header: Sequence[str], rows: Iterable[Sequence[Cell]], *, sheet: str = "Sheet1"
) -> int:
    """Write the table as the file's ending says, .csv (UTF-8 with a mark) or .xlsx.

    Returns the count of rows. Raises SheetError for another ending, OSError from the disk.
    """
    ending = path.suffix.lower()
    if ending == ".csv":
        return _write_csv(path, header, rows)
    if ending == ".xlsx":
        return _write_xlsx(path, header, rows, sheet)
    raise SheetError(
        "输出文件名须以 .csv 或 .xlsx 结尾 · the output's name must end in .csv or .xlsx"
    )


def _write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> int:
    count = 0
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        # Quoted, so that a separator of another locale does not open a cell in mid-text.
        writer = csv.writer(file, quoting=csv.QUOTE_NONNUMERIC)
        writer.writerow([neutral(name) for name in header])
        for row in rows:
            writer.writerow([neutral(cell) if isinstance(cell, str) else cell for cell in row])
            count += 1
    return count


def _write_xlsx(
    path: Path, header: Sequence[str], rows: Iterable[Sequence[Cell]], sheet: str
) -> int:
    import xlsxwriter

    options = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    count = 0
    with xlsxwriter.Workbook(str(path), options) as book:
        page = book.add_worksheet(sheet)
        bold = book.add_format({"bold": True})
        page.freeze_panes(1, 0)
        for column, name in enumerate(header):
            page.set_column(column, column, min(_WIDTH_MAX, max(12, 2 * len(name) + 2)))
            page.write_string(0, column, neutral(name), bold)
        for row in rows:
            count += 1
            for column, cell in enumerate(row):
                if isinstance(cell, str):
                    if cell:
                        page.write_string(count, column, neutral(cell))
                elif cell is not None:
                    page.write_number(count, column, cell)
    return count


def _is_dangerous(text: str) -> bool:
    """Whether the text, apostrophes before it apart, begins as a formula may."""
    return text.lstrip("'").startswith(tuple(_DANGEROUS))


def _is_allowed(char: str) -> bool:
    """What XML 1.0 can hold (section 2.2), and so what both kinds of files can."""
    code = ord(char)
    return char in "\t\n\r" or 0x20 <= code < 0xD800 or 0xE000 <= code < 0xFFFE or code > 0xFFFF
