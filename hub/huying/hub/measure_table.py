"""Measures as a table: their columns in both languages, their values, and the rows of a file.

The command line, the console and the files that both write show the same columns by it.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from huying.node.sheets import Cell
    from huying.wire.v1 import measures_pb2

__all__ = ["COLUMNS", "NONE", "By", "Column", "columns_of", "file_table", "heading", "value_of"]

NONE: Final = "—"  # a rate of nothing


class By(enum.StrEnum):
    """What there is one row for."""

    DEPARTMENT = "department"
    TOWN = "town"
    CATEGORY = "category"
    MONTH = "month"


class Column(NamedTuple):
    """One measure."""

    part: str  # the field of MeasureRow: service or callers
    name: str  # the field of it
    heading: str
    brief: bool  # on the screen, too
    ratio: bool = False  # a rate, with the two numbers that it comes from


COLUMNS: Final = (
    Column("service", "duties", "承办 · duties", brief=True),
    Column("service", "undecided", "未定 · undecided", brief=False),
    Column("service", "response", "响应率 · response", brief=True, ratio=True),
    Column("service", "on_time", "按时办结率 · on time", brief=True, ratio=True),
    Column("service", "resolved", "解决率 · resolved", brief=True, ratio=True),
    Column("service", "satisfied", "满意率 · satisfied", brief=True, ratio=True),
    Column("service", "returned", "退单率 · returned", brief=True, ratio=True),
    Column("service", "returned_upheld", "退单成立 · upheld", brief=False),
    Column("service", "reworked", "返工率 · reworked", brief=False, ratio=True),
    Column("service", "reopened", "重办率 · reopened", brief=True, ratio=True),
    Column("service", "yellow_cards", "黄牌 · yellow cards", brief=False),
    Column("service", "red_cards", "红牌 · red cards", brief=False),
    Column("service", "score", "得分 · score", brief=True),
    Column("callers", "calls", "呼叫 · calls", brief=True),
    Column("callers", "residents", "人口 · residents", brief=False),
    Column("callers", "calls_per_10000", "每万人呼叫 · per 10,000", brief=True),
    Column("callers", "declined", "不予受理率 · declined", brief=True, ratio=True),
    Column("callers", "withdrawn", "撤回率 · withdrawn", brief=False, ratio=True),
    Column("callers", "merged", "并案 · merged", brief=False),
    Column("callers", "supplement_late", "补充逾期率 · supplement late", brief=True, ratio=True),
    Column(
        "callers", "confirm_in_window", "按时回访率 · confirm in window", brief=True, ratio=True
    ),
)


def value_of(row: measures_pb2.MeasureRow, column: Column) -> tuple[Any, Any]:
    """(what is measured, its numerator and denominator or None); None: not known."""
    part: Any = getattr(row, column.part)
    value = getattr(part, column.name)
    if column.ratio:
        rate = value.numerator / value.denominator if value.denominator else None
        return rate, value
    if column.name in ("score", "calls_per_10000") and not part.HasField(column.name):
        return None, None
    return (None if column.name == "residents" and not value else value), None


def columns_of(by: By, *, brief: bool) -> list[Column]:
    """A town has no score, and a department no callers."""
    return [
        column
        for column in COLUMNS
        if (column.brief or not brief)
        and (column.part == "service" or by is not By.DEPARTMENT)
        and (column.name != "score" or by is By.DEPARTMENT)
    ]


def heading(by: By) -> str:
    """What there is one row for, in both languages."""
    return {
        By.DEPARTMENT: "部门 · department",
        By.TOWN: "乡镇 · town",
        By.CATEGORY: "类别 · category",
        By.MONTH: "月份 · month",
    }[by]


def file_table(found: measures_pb2.MeasureResponse, by: By) -> tuple[list[str], list[list[Cell]]]:
    """Header and rows of a file: each rate with the two numbers that it comes from."""
    columns = columns_of(by, brief=False)
    header = [heading(by), *(["名称 · name"] if by is By.TOWN else [])]
    for column in columns:
        header.append(column.heading)
        if column.ratio:
            header += [f"{column.heading} 分子 · of it", f"{column.heading} 分母 · of all"]
    rows: list[list[Cell]] = []
    for row in found.rows:
        cells: list[Cell] = [row.key, *([row.name] if by is By.TOWN else [])]
        for column in columns:
            value, ratio = value_of(row, column)
            cells.append(NONE if value is None else value)
            if ratio is not None:
                cells += [ratio.numerator, ratio.denominator]
        rows.append(cells)
    return header, rows
