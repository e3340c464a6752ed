"""The rows of an order table that its check refused, kept as a workbook to mend.

They are read from the table once more, when it is known which they are. The workbook holds callers'
contacts as the table does, so it lies beside it and goes with the file's page.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from huying.common.errors import Code, HuyingError
from huying.common.limits import FAULTY_ROWS_MAX
from huying.hub.hotline_import import ErrorFile
from huying.hub.hotline_mapping import Mapping
from huying.node.sheets import FaultyRows, RowError, SheetError, read_sheet, write_faulty

__all__ = ["NotedErrors"]


class NotedErrors(ErrorFile):
    """Every error as a line of a CSV file, and those of the first FAULTY_ROWS_MAX rows at hand."""

    def __init__(self, path: Path | None) -> None:
        super().__init__(path)
        self._errors: list[RowError] = []
        self._rows: set[int] = set()

    def add(self, error: RowError) -> None:
        """Raises as `ErrorFile`."""
        super().add(error)
        if len(self._rows) < FAULTY_ROWS_MAX or error.number in self._rows:
            self._rows.add(error.number)
            self._errors.append(error)

    def write_rows(self, table: Path, mapping: Mapping, path: Path) -> None:
        """The workbook of the rows that were noted; none, where none was. Blocks.

        Raises HuyingError(STORE_FAILED) where the disk does not take it.
        """
        if not self._errors:
            return
        # A table that ends in disorder has a line in the errors, and no row to give back.
        with contextlib.suppress(SheetError):
            sheet = read_sheet(table, encoding=mapping.encoding, sheet=mapping.sheet)
            faulty = FaultyRows.of(sheet, self._errors)
            try:
                write_faulty(path, faulty, self._errors)
            except OSError as error:
                raise HuyingError(
                    Code.STORE_FAILED, f"the import's folder: {error.strerror}"
                ) from None
