"""What the cells of one row say, each read as its column is, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from huying.node.web.ledger import ledger_columns as columns
from huying.node.web.ledger.ledger_columns import MAY_BE_NOTHING, CellError

__all__ = ["read_values"]

_READERS: Final[Mapping[str, Callable[[str], Any]]] = {
    "number": columns.read_number,
    "head_name": columns.read_name,
    "name": columns.read_name,
    "birth_date": columns.read_date,
    "sex": columns.read_sex,
    "id_number": columns.read_id_number,
    "phone": columns.read_phone,
    "household_phone": columns.read_phone,
    "resident_count": columns.read_count,
}


def read_values(
    cells: Mapping[str, str], grids: Mapping[str, str], errors: list[tuple[str, str]]
) -> dict[str, Any]:
    """The values of a row by column; (column, what is wrong) is added to `errors`.

    `grids`: those of the person, code -> name. A cell that is empty has no value, except the grid:
    where there is just one, it need not be named.
    """
    values: dict[str, Any] = {}
    for key, text in {"grid": "", **cells}.items():
        given = "" if key in MAY_BE_NOTHING and columns.is_nothing(text) else text
        reader = _READERS.get(key)
        try:
            if key == "grid":
                values[key] = columns.read_grid(given, grids)
            else:
                values[key] = reader(given) if reader and given else given
        except CellError as error:
            errors.append((key, error.what))
    born = columns.born(values.get("id_number", ""))
    if columns.is_month_of(cells.get("birth_date", ""), born):
        values["birth_date"] = born
        errors[:] = [one for one in errors if one[0] != "birth_date"]
    return values
