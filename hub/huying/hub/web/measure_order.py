"""Which figure a table of measures is ordered and charted by: what needs somebody stands first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from huying.common.errors import Code, HuyingError
from huying.hub.measure_table import By, Column, columns_of, value_of
from huying.wire.v1 import measures_pb2

__all__ = ["asked_column", "is_good", "ranked"]

# Less of these is better; of any other rate, and of the score, more is.
_BAD: Final = frozenset({"returned", "reworked", "reopened", "declined", "supplement_late"})
_COUNTS: Final = frozenset({"duties", "calls", "calls_per_10000"})


def asked_column(by: By, name: str) -> Column | None:
    """The column of that name in the table; None for no name.

    Raises HuyingError(INVALID_ARGUMENT).
    """
    if not name:
        return None
    columns = columns_of(by, brief=True)
    for column in columns:
        if column.name == name:
            return column
    known = ", ".join(column.name for column in columns)
    raise HuyingError(Code.INVALID_ARGUMENT, f"sort: one of {known}")


def is_good(name: str) -> bool:
    """Whether more of a rate is better."""
    return name not in _BAD


def ranked(
    rows: Sequence[measures_pb2.MeasureRow], column: Column
) -> list[measures_pb2.MeasureRow]:
    """The worst first, for a count the most; of two that are the same, the one with more of it.

    Rows whose figure is not known stand last.
    """
    rising = is_good(column.name) and column.name not in _COUNTS

    def place(row: measures_pb2.MeasureRow) -> tuple[bool, float, int]:
        value, ratio = value_of(row, column)
        of = ratio.denominator if ratio is not None else 0
        known = value is not None
        return not known, (value if rising else -value) if known else 0.0, -of

    return sorted(rows, key=place)
