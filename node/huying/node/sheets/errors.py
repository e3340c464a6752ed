"""What is wrong with a table: one row of it, or the file as a whole.

Texts are in two languages with ` · ` between, Chinese first. No text repeats the value of a cell:
it may be a person's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from huying.common.errors import ADVICE, Advice, Code, HuyingError

__all__ = ["RowError", "SheetError"]


@dataclass(frozen=True, slots=True)
class RowError:
    """One thing that is wrong with one row."""

    number: int  # as the spreadsheet shows it, from 1
    column: str  # the header's name, or a letter where it has none; "" for the row as a whole
    what: str  # what it is and what to do: "中文 · English"

    def __str__(self) -> str:
        zh, _, en = self.what.partition(" · ")
        named = f"「{self.column}」" if self.column else ""
        place = f"row {self.number}, {self.column}" if self.column else f"row {self.number}"
        return f"第 {self.number} 行{named}:{zh} · {place}: {en or zh}"


class SheetError(HuyingError):
    """A table that can't be used: INVALID_ARGUMENT, with a line for each row that is at fault.

    `what` is in both languages; the Chinese takes the place of the code's general advice.
    """

    def __init__(self, what: str, errors: Sequence[RowError] = ()) -> None:
        zh, _, en = what.partition(" · ")
        super().__init__(Code.INVALID_ARGUMENT, "\n".join([en or zh, *map(str, errors)]))
        self.zh = zh
        self.errors = tuple(errors)

    @property
    def advice(self) -> Advice:
        """What to do about it, in this table's own words."""
        general = ADVICE[self.code]
        return Advice(general.grpc_status, general.exit_code, self.zh, general.en)
