"""The real divisions of 汶上县, from the file beside this module."""

from __future__ import annotations

import csv
from importlib import resources
from io import StringIO
from typing import NamedTuple

from huying.common.codes import level
from huying.common.effects import DraftEntry
from huying.common.records import default_to
from huying.wire.v1 import feed_pb2, records_pb2

__all__ = ["DivisionRow", "division_draft", "read_divisions"]


class DivisionRow(NamedTuple):
    """One division, as the National Bureau of Statistics listed it in 2016."""

    code: str  # 12 digits
    name: str
    level: int  # 3 county, 4 town, 5 village
    parent: str  # code
    urban_rural_code: str  # 城乡分类代码, three digits; empty but for villages


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
                urban_rural_code=row["urban_rural_code"],
            )
            for row in csv.DictReader(file)
        ]
    return {row.code: row for row in sorted(rows)}


def division_draft(row: DivisionRow) -> DraftEntry:
    """The record in which the division's node says who it is."""
    message = records_pb2.Division(
        code=row.code, name=row.name, urban_rural_code=row.urban_rural_code
    )
    kind = feed_pb2.RECORD_TYPE_DIVISION
    return DraftEntry(
        kind=feed_pb2.KIND_PUT, type=kind, message=message, to=default_to(kind, row.code, message)
    )
