"""Rows of a table before anybody knows which of them is the header."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Final

from huying.common.limits import SHEET_CELL_CHARACTERS_MAX, SHEET_COLUMNS_MAX
from huying.node.sheets.writing import restored

__all__ = ["RawRow", "RawTable", "column_letter", "raw_row"]

# Blanks that `str.strip` leaves: a byte order mark in mid-file, and spaces without width.
_NO_WIDTH: Final = "\ufeff\u200b\u200c\u200d\u2060"
_NUL: Final = "含有空字符(NUL)或控制字符,请删除 · holds NUL or a control character: remove it"
_LONG: Final = (
    f"超过 {SHEET_CELL_CHARACTERS_MAX} 个字符,请缩短"
    f" · longer than {SHEET_CELL_CHARACTERS_MAX} characters: shorten it"
)
_WIDE: Final = (
    f"超过 {SHEET_COLUMNS_MAX} 列,请删除多余的列"
    f" · more than {SHEET_COLUMNS_MAX} columns: delete those that are not needed"
)


@dataclass(frozen=True, slots=True)
class RawRow:
    """One row: its cells as clean text, and what is wrong with some of them."""

    number: int  # as the spreadsheet shows it, from 1
    cells: tuple[str, ...]
    faults: tuple[tuple[int, str], ...] = ()  # (place of the cell, what); -1 for the whole row


@dataclass(frozen=True, slots=True)
class RawTable:
    """What is known of a table beside its rows."""

    encoding: str = ""  # of a text file
    sheet: str = ""  # the name of a workbook's sheet
    first_column: int = 0  # left of it there is nothing, and no cell is handed out
    # (first row, first column, last row, last column), counted from 0, near the top.
    merged: tuple[tuple[int, int, int, int], ...] = ()


def raw_row(number: int, cells: list[str], faults: tuple[tuple[int, str], ...] = ()) -> RawRow:
    """The row with its cells trimmed and judged."""
    found = list(faults)
    if len(cells) > SHEET_COLUMNS_MAX and any(cells[SHEET_COLUMNS_MAX:]):
        found.append((-1, _WIDE))
    clean = []
    for place, cell in enumerate(cells[:SHEET_COLUMNS_MAX]):
        text = cell.strip().strip(_NO_WIDTH).strip()
        if text and not text.isprintable() and any(map(_is_control, text)):
            found.append((place, _NUL))
            text = ""
        if len(text) > SHEET_CELL_CHARACTERS_MAX:
            found.append((place, _LONG))
            text = ""
        clean.append(restored(text))
    return RawRow(number, tuple(clean), tuple(found))


def column_letter(place: int) -> str:
    """The name that spreadsheets give a column, counted from 0: A, B, …, Z, AA."""
    letters = ""
    place += 1
    while place:
        place, rest = divmod(place - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters


def _is_control(char: str) -> bool:
    return unicodedata.category(char) in ("Cc", "Cs") and char not in "\t\n\r"
