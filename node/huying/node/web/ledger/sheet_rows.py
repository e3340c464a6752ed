"""The rows of a ledger's sheet as an import takes them: notes passed over, households filled in.

Offices write more into a sheet than its table: a note below it, who filled it in, a total, the
header again on each printed page; columns of their own, with bank numbers or ticks, that nobody
named. None of that is a fault of a row. What is passed over is counted and told.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from huying.node.sheets import FaultyRows, RowError, Sheet, SheetRow, column_key
from huying.node.web.ledger.ledger_columns import HOUSEHOLD_COLUMNS, SAMPLE
from huying.node.web.ledger.sheet_above import Above

__all__ = ["LedgerRows"]

_NOTE: Final = re.compile(r"[\u4e00-\u9fff\s]{1,10}[::].*", re.DOTALL)
_TOTAL: Final = re.compile(r"(?:合|总|小|共|累)\s*计")


class LedgerRows:
    """The rows of one sheet, taken once; what was passed over, and each row as it stood."""

    def __init__(self, sheet: Sheet, names: Mapping[str, str]) -> None:
        """`names`: key of COLUMNS -> the column's name in this sheet."""
        self.passed: list[int] = []  # rows that hold nothing for the ledger
        self.above = Above()
        self._sheet = sheet
        self._names = names
        self._places = {key: sheet.columns.index(name) for key, name in names.items()}
        self._stood: dict[int, tuple[str, ...]] = {}

    def rows(self) -> Iterator[SheetRow]:
        """Each row with its cells by key; what is wrong with columns that nobody reads is not said.

        Raises SheetError as the sheet's own rows.
        """
        used = set(self._names.values())
        for row in self._sheet.rows:
            cells = self._cells(row.raw)
            errors = tuple(one for one in row.errors if one.column in used or not one.column)
            if not errors and self._is_none(row.raw, cells):
                self.passed.append(row.number)
                continue
            faulty = {one.column for one in errors}
            keys = {key for key, name in self._names.items() if name in faulty}
            if cells["number"].startswith(SAMPLE):
                keys.update(HOUSEHOLD_COLUMNS)
            cells = self.above.filled(row.number, cells, without=keys)
            self._stood[row.number] = self._filled(row.raw, cells)
            if cells["number"].startswith(SAMPLE):
                continue
            yield SheetRow(row.number, {} if errors else cells, errors, row.raw)

    def faulty(self, errors: list[RowError]) -> FaultyRows:
        """The rows that errors name, each with the household that it belongs to."""
        numbers = sorted({one.number for one in errors} & self._stood.keys())
        rows = [(number, self._stood[number]) for number in numbers]
        return FaultyRows(self._sheet.columns, self._sheet.sheet, rows)

    def _cells(self, raw: tuple[str, ...]) -> dict[str, str]:
        found = {key: raw[at] if at < len(raw) else "" for key, at in self._places.items()}
        return {"name": "", **found}

    def _filled(self, raw: tuple[str, ...], cells: Mapping[str, str]) -> tuple[str, ...]:
        """The row as it stood, with the household from the row above where it has none."""
        whole = [*raw, *[""] * (len(self._sheet.columns) - len(raw))]
        for key in HOUSEHOLD_COLUMNS:
            place = self._places.get(key)
            if place is not None and not whole[place]:
                whole[place] = cells.get(key, "")
        return tuple(whole)

    def _is_none(self, raw: tuple[str, ...], cells: Mapping[str, str]) -> bool:
        """Whether a row is none of the ledger: nothing read, a note, a total, the header again."""
        given = {key: text for key, text in cells.items() if text}
        if not given:
            return True
        if len(given) > 1 and all(
            column_key(text) == column_key(self._names[key]) for key, text in given.items()
        ):
            return True
        if cells.get("id_number") or cells.get("birth_date"):
            return False
        first = next(filter(None, raw), "")
        # A total has a count below each name; a note has others beside it, if anything.
        return bool(
            _TOTAL.fullmatch(first)
            or (_NOTE.fullmatch(first) and (not cells["name"] or _NOTE.fullmatch(cells["name"])))
        )
