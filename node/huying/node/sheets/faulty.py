"""Rows that were refused, given back as a workbook to mend: with what is wrong beside them.

The columns stand as they stood, all as text, so that a number typed anew keeps its digits. Two
columns come before them, which an import passes over, so the mended workbook is brought as it is.
Cells at fault are coloured; none becomes a formula (`writing`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from huying.common.limits import FAULTY_ROWS_MAX
from huying.node.sheets.errors import RowError
from huying.node.sheets.raw_rows import column_letter
from huying.node.sheets.reading import Sheet
from huying.node.sheets.writing import neutral

__all__ = ["ADDED_COLUMNS", "FaultyRows", "write_faulty"]

ADDED_COLUMNS: Final = ("错误 / 怎么改", "原来的行号")
_WHAT_WIDTH, _NUMBER_WIDTH, _WIDTH = 46, 11, 18  # characters
_NAME_MAX: Final = 31  # of a workbook's sheet
_NAME_FORBIDDEN: Final = "[]:*?/\\'"


@dataclass(slots=True)
class FaultyRows:
    """The refused rows of one table."""

    columns: tuple[str, ...]  # by place, "" for one without a name
    sheet: str = ""  # the name of the workbook's sheet
    rows: list[tuple[int, tuple[str, ...]]] = field(default_factory=list)  # number, cells

    @classmethod
    def of(cls, sheet: Sheet, errors: Collection[RowError]) -> FaultyRows:
        """Those rows of a table that errors name. Blocks; raises as the table's rows."""
        wanted = {one.number for one in errors}
        found = cls(sheet.columns, sheet.sheet)
        for row in sheet.rows:
            if row.number in wanted:
                found.rows.append((row.number, row.raw))
            if len(found.rows) >= min(len(wanted), FAULTY_ROWS_MAX):
                break
        return found


def write_faulty(path: Path, faulty: FaultyRows, errors: Iterable[RowError]) -> int:
    """Write the workbook, its owner's alone; the count of its rows, FAULTY_ROWS_MAX at most.

    Whole or not at all. Blocks. Raises OSError from the disk.
    """
    said: dict[int, list[RowError]] = {}
    for one in errors:
        said.setdefault(one.number, []).append(one)
    # What an earlier workbook of this kind brought along is said anew.
    places = [place for place, name in enumerate(faulty.columns) if name not in ADDED_COLUMNS]
    # Cells beyond the header, and those of columns without a name, belong to the row as well.
    width = max([len(faulty.columns), *(len(cells) for _, cells in faulty.rows)])
    places += range(len(faulty.columns), width)
    rows = faulty.rows[:FAULTY_ROWS_MAX]
    new = path.with_suffix(".new")
    new.unlink(missing_ok=True)
    new.touch(mode=0o600)
    try:
        _write(new, faulty, places, [(no, cells, said.get(no, [])) for no, cells in rows])
        new.replace(path)
    except OSError:
        new.unlink(missing_ok=True)
        raise
    return len(rows)


def _write(
    path: Path,
    faulty: FaultyRows,
    places: Sequence[int],
    rows: Iterable[tuple[int, tuple[str, ...], list[RowError]]],
) -> None:
    import xlsxwriter
    from xlsxwriter.exceptions import FileCreateError

    options = {
        "constant_memory": True,
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "tmpdir": str(path.parent),
    }
    try:
        with xlsxwriter.Workbook(str(path), options) as book:
            page = book.add_worksheet(_sheet_name(faulty.sheet))
            bold = book.add_format({"bold": True, "num_format": "@"})
            text = book.add_format({"num_format": "@"})
            wrong = book.add_format({"num_format": "@", "bg_color": "#FFE699"})
            what = book.add_format({"num_format": "@", "text_wrap": True, "font_color": "#9C1C1C"})
            page.freeze_panes(1, 0)
            page.set_column(0, 0, _WHAT_WIDTH, what)
            page.set_column(1, 1, _NUMBER_WIDTH, text)
            if places:
                page.set_column(2, 1 + len(places), _WIDTH, text)
            names = [
                faulty.columns[place] if place < len(faulty.columns) else "" for place in places
            ]
            for column, name in enumerate([*ADDED_COLUMNS, *names]):
                page.write_string(0, column, neutral(name), bold)
            for line, (number, cells, errors) in enumerate(rows, start=1):
                page.write_string(line, 0, neutral("\n".join(map(_in_chinese, errors))), what)
                page.write_number(line, 1, number)
                named = {one.column for one in errors}
                for column, place in enumerate(places):
                    cell = cells[place] if place < len(cells) else ""
                    is_wrong = bool({names[column], column_letter(place)} & named - {""})
                    page.write_string(line, 2 + column, neutral(cell), wrong if is_wrong else text)
    except FileCreateError as error:  # the disk's own error, in the library's words
        cause = error.args[0] if error.args else None
        raise (cause if isinstance(cause, OSError) else OSError(str(error))) from error


def _in_chinese(error: RowError) -> str:
    zh = error.what.partition(" · ")[0]
    return f"{error.column}:{zh}" if error.column else zh


def _sheet_name(name: str) -> str:
    """The sheet's own name, since a mapping may ask for it, where a workbook can have it."""
    clean = "".join(char for char in name if char.isprintable() and char not in _NAME_FORBIDDEN)
    return clean[:_NAME_MAX] or "有误的行"
