"""Which row of a table is its header, and which of its columns is which.

Offices put a title over the header, merge cells of it, and name columns each in its own way.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Final

from huying.common.limits import SHEET_TITLE_ROWS_MAX
from huying.node.sheets.errors import RowError, SheetError
from huying.node.sheets.raw_rows import RawRow, RawTable, column_letter

__all__ = ["column_key", "find_header", "match_columns"]

_REMARK: Final = re.compile(r"[(\[【].*?[)\]】]|[*::]")


def find_header(
    table: RawTable, rows: Iterator[RawRow], known: Collection[str] = ()
) -> tuple[RawRow, tuple[str, ...], list[RawRow]]:
    """(the header's last row, the names of all columns, rows below that were read on the way).

    The header is the one of the top rows that has the most names of `known`, two at least; else the
    first with two cells or more; where there is none, the table has one column, and the first row
    is it. A name is "" where a column has none. Raises SheetError for an empty table and for two
    columns of one name.
    """
    top = list(islice(rows, SHEET_TITLE_ROWS_MAX + 2))
    if not top:
        raise SheetError("表格是空的 · the table is empty")
    place = _header_place(table, top, frozenset(map(column_key, known)))
    header, rest = top[place], top[place + 1 :]
    if header.faults:
        raise SheetError(
            "表头有误 · the header is at fault",
            [RowError(header.number, "", what) for _, what in header.faults],
        )
    names = list(header.cells)
    if rest and _is_in_two_rows(table, header):
        second = rest.pop(0)
        names = _joined(table, header, second)
        header = second
    names = [_one_line(name) for name in names]
    while names and not names[-1]:
        names.pop()
    _refuse_twins(header.number, names)
    return header, tuple(names), rest


def _header_place(table: RawTable, top: Sequence[RawRow], known: Collection[str]) -> int:
    """Which of the top rows the header is, or begins with.

    A line of two cells stands above many a header: who filled it in, and when.
    """
    best, most = 0, 1
    for place, row in enumerate(top):
        names: Sequence[str] = row.cells
        if place + 1 < len(top) and _is_in_two_rows(table, row):
            names = _joined(table, row, top[place + 1])
        hits = sum(column_key(name) in known for name in names if name)
        if hits > most:
            best, most = place, hits
    if most > 1:
        return best
    wide = [place for place, row in enumerate(top) if sum(map(bool, row.cells)) > 1]
    return wide[0] if wide else 0


def _is_in_two_rows(table: RawTable, header: RawRow) -> bool:
    """Whether a cell of the header lies over several columns, whose own names stand below it."""
    row = header.number - 1
    return any(top == row == bottom and right > left for top, left, bottom, right in table.merged)


def _joined(table: RawTable, header: RawRow, second: RawRow) -> list[str]:
    """The lower name where a cell above it lies over several columns, else the upper one."""
    names = list(header.cells)
    for top, left, bottom, right in table.merged:
        if top == bottom == header.number - 1:
            for column in range(left, right + 1):
                place = column - table.first_column
                if 0 <= place < len(names):
                    names[place] = second.cells[place] if place < len(second.cells) else ""
    return names


def _refuse_twins(number: int, names: Sequence[str]) -> None:
    seen: dict[str, int] = {}
    errors = []
    for place, name in enumerate(names):
        first = seen.setdefault(column_key(name), place)
        if name and first != place:
            letters = f"{column_letter(first)}, {column_letter(place)}"
            what = f"与另一列重名({letters} 列),请改名 · columns {letters} share a name: rename one"
            errors.append(RowError(number, name, what))
    if errors:
        raise SheetError("表头有重名的列 · columns share a name", errors)


def column_key(name: str) -> str:
    """What two spellings of one column's name share: width, case, blanks and remarks apart."""
    folded = unicodedata.normalize("NFKC", name).casefold()
    return "".join(_REMARK.sub("", folded).replace("_", "").split()) or folded.strip()


def match_columns(
    header: Iterable[str],
    wanted: Mapping[str, Sequence[str]],
    *,
    required: Collection[str] = (),
    number: int = 1,
) -> dict[str, str]:
    """Which column of `header` is which: {key of `wanted`: the name that stands there}.

    `wanted` gives for each key the names that it goes by, the usual one first; `number` is the
    header's row. Raises SheetError naming every missing column of `required` and how it may be
    called, and every key that two columns claim.
    """
    keys = {column_key(name): key for key, names in wanted.items() for name in (key, *names)}
    found: dict[str, str] = {}
    errors = []
    for name in header:
        key = keys.get(column_key(name)) if name else None
        if key is None:
            continue
        if key in found:
            what = (
                f"与「{found[key]}」是同一项,请只留一列 · means the same as {found[key]}: keep one"
            )
            errors.append(RowError(number, name, what))
        found.setdefault(key, name)
    for key in wanted:
        if key in required and key not in found:
            usual, *others = wanted[key]
            or_so = f"(也可写作 {'、'.join(others)})" if others else ""
            what = f"缺少这一列{or_so} · this column is missing; it may be called {key}, too"
            errors.append(RowError(number, usual, what))
    if errors:
        raise SheetError("表头不符合要求 · the header does not fit", errors)
    return found


def _one_line(name: str) -> str:
    """A header's name without the line breaks that its cell was set in."""
    return " ".join(name.split())
