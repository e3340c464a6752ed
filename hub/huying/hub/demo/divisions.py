"""The real divisions of 汶上县, from the file beside this module."""

from __future__ import annotations

import csv
from importlib import resources
from io import StringIO
from typing import NamedTuple

from huying.common.codes import level

__all__ = ["DivisionRow", "read_divisions"]


class DivisionRow(NamedTuple):
    """One division, as the National Bureau of Statistics listed it in 2016."""

    code: str  # 12 digits
    name: str
    level: int  # 3 county, 4 town, 5 village
    parent: str  # code


def read_divisions() -> dict[str, DivisionRow]:
    """By code: the county, its 15 towns and their 495 villages, in the order of codes."""
    source = resources.files("huying.hub.demo") / "data" / "divisions_370830.csv"
    with StringIO(source.read_text(encoding="utf-8")) as file:
        rows = [
            DivisionRow(
                code=row["code"],
                name=row["name"],
                level=int(level(row["code"])),
                parent=row["parent"],
            )
            for row in csv.DictReader(file)
        ]
    return {row.code: row for row in sorted(rows)}
