"""An import of rows of which some are wrong: keep the good ones, or none, as the user chose."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from huying.common.limits import ROW_ERRORS_MAX
from huying.node.on_error import OnError
from huying.node.sheets.errors import RowError, SheetError
from huying.node.sheets.reading import Sheet, SheetRow

__all__ = ["Import", "OnError"]

_STOPPED: Final = "表格有误,没有导入任何内容 · rows are at fault; nothing was imported"
_NOTHING: Final = "没有一行可以导入 · there is no row that could be imported"


class Import:
    """Collects what is wrong; `finish` decides. The caller writes only after that.

    Under STOP reading goes on after the first error, so that all of them are mended at once; it
    ends at `errors_max`. Under SKIP all rows are read and counted, and the first errors are kept.
    """

    def __init__(
        self, on_error: OnError = OnError.STOP, *, errors_max: int = ROW_ERRORS_MAX
    ) -> None:
        self.on_error = on_error
        self.errors: list[RowError] = []  # the first `errors_max` of them
        self.accepted = 0  # rows
        self.rejected = 0  # rows
        self._errors_max = errors_max
        self._rejected_now: int | None = None

    def rows(self, sheet: Sheet) -> Iterator[SheetRow]:
        """Rows that could be read; each counts as accepted unless `reject` names it.

        Raises SheetError for what makes the file unusable, whatever was chosen.
        """
        for row in sheet.rows:
            if row.errors:
                for error in row.errors:
                    self.reject(error.number, error.column, error.what)
                continue
            self.accepted += 1
            yield row
            if self._rejected_now == row.number:
                self.accepted -= 1

    def reject(self, number: int, column: str, what: str) -> None:
        """Say what is wrong with a row, as often as something is."""
        if self._rejected_now != number:
            self.rejected += 1
            self._rejected_now = number
        if len(self.errors) < self._errors_max:
            self.errors.append(RowError(number, column, what))
        if self.on_error is OnError.STOP and len(self.errors) >= self._errors_max:
            raise SheetError(_STOPPED, self.errors)

    def is_rejected(self, number: int) -> bool:
        """Whether the row at hand was found wrong."""
        return self._rejected_now == number

    def finish(self) -> None:
        """Raise SheetError where the rows must not be written: all together, or for want of any."""
        if self.errors and self.on_error is OnError.STOP:
            raise SheetError(_STOPPED, self.errors)
        if not self.accepted:
            raise SheetError(_NOTHING, self.errors)
