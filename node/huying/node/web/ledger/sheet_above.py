"""Rows that leave their household out, since it stands in a merged cell or in the row above.

Villages write a household once and its people below it. A spreadsheet keeps a merged cell's value
in its first row alone, so the others come without a number.
"""

from __future__ import annotations

from collections.abc import Collection

from huying.node.web.ledger.ledger_columns import HOUSEHOLD_COLUMNS

__all__ = ["Above"]


class Above:
    """Remembers the household of the row above; `count` rows had theirs from there."""

    def __init__(self) -> None:
        self.count = 0
        self._row = 0
        self._cells: dict[str, str] = {}

    def filled(
        self, number: int, cells: dict[str, str], *, without: Collection[str] = ()
    ) -> dict[str, str]:
        """The cells of row `number` with the household that they belong to, as far as it is plain.

        Plain it is where a person's row stands right below, and says nothing else of a household.
        Below a blank row nobody knows whose people these are. `without`: columns that could not be
        read; a household whose own columns are among them is nobody's below.
        """
        if not cells["number"] and cells["name"] and self._cells and number == self._row + 1:
            own = {key: cells[key] for key in HOUSEHOLD_COLUMNS if cells.get(key)}
            if all(self._cells.get(key) == value for key, value in own.items()):
                self.count += 1
                cells = {**cells, **self._cells}
        self._row = number
        self._cells = {key: cells[key] for key in HOUSEHOLD_COLUMNS if key in cells}
        if not cells["number"] or not set(without).isdisjoint(HOUSEHOLD_COLUMNS):
            self._cells = {}
        return cells
