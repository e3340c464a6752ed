"""`huying measure`: how departments and towns did in a month, on the screen or as a table."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

import typer

from huying.common.errors import Code, HuyingError
from huying.node.cli.context import JsonOption

if TYPE_CHECKING:
    from huying.node.sheets import Cell
    from huying.wire.v1 import measures_pb2

__all__ = ["By", "measure"]

NONE: Final = "—"  # a rate of nothing


class By(enum.StrEnum):
    """What there is one row for."""

    DEPARTMENT = "department"
    TOWN = "town"
    CATEGORY = "category"
    MONTH = "month"


class _Column(NamedTuple):
    part: str  # the field of MeasureRow: service or callers
    name: str  # the field of it
    heading: str
    brief: bool  # on the screen, too
    ratio: bool = False  # a rate, with the two numbers that it comes from


_COLUMNS: Final = (
    _Column("service", "duties", "承办 · duties", brief=True),
    _Column("service", "undecided", "未定 · undecided", brief=False),
    _Column("service", "response", "响应率 · response", brief=True, ratio=True),
    _Column("service", "on_time", "按时办结率 · on time", brief=True, ratio=True),
    _Column("service", "resolved", "解决率 · resolved", brief=True, ratio=True),
    _Column("service", "satisfied", "满意率 · satisfied", brief=True, ratio=True),
    _Column("service", "returned", "退单率 · returned", brief=True, ratio=True),
    _Column("service", "returned_upheld", "退单成立 · upheld", brief=False),
    _Column("service", "reworked", "返工率 · reworked", brief=False, ratio=True),
    _Column("service", "reopened", "重办率 · reopened", brief=True, ratio=True),
    _Column("service", "yellow_cards", "黄牌 · yellow cards", brief=False),
    _Column("service", "red_cards", "红牌 · red cards", brief=False),
    _Column("service", "score", "得分 · score", brief=True),
    _Column("callers", "calls", "呼叫 · calls", brief=True),
    _Column("callers", "residents", "人口 · residents", brief=False),
    _Column("callers", "calls_per_10000", "每万人呼叫 · per 10,000", brief=True),
    _Column("callers", "declined", "不予受理率 · declined", brief=True, ratio=True),
    _Column("callers", "withdrawn", "撤回率 · withdrawn", brief=False, ratio=True),
    _Column("callers", "merged", "并案 · merged", brief=False),
    _Column("callers", "supplement_late", "补充逾期率 · supplement late", brief=True, ratio=True),
    _Column(
        "callers", "confirm_in_window", "按时回访率 · confirm in window", brief=True, ratio=True
    ),
)


def measure(
    ctx: typer.Context,
    month: Annotated[str, typer.Option(metavar="YYYY-MM", help="月份,当地时间 · Local time.")],
    by: Annotated[
        By, typer.Option(help="按部门、乡镇、类别或月份 · A row for each of these.")
    ] = By.DEPARTMENT,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="写成 .csv 或 .xlsx · Write it."),
    ] = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """考核指标:响应率、按时办结率、解决率、满意率等 · Measures of a month, both sides."""
    from huying.hub.desk import MEASURES
    from huying.node.cli.administer import ask_desk
    from huying.node.cli.output import count, print_json, print_note
    from huying.wire.v1 import measures_pb2

    wanted = measures_pb2.MeasureBy.Value(f"MEASURE_BY_{by.name}")
    request = measures_pb2.MeasureRequest(month=month, by=wanted)
    found = ask_desk(ctx, MEASURES, "Measure", request)
    if output is not None:
        _write(output, found, by)
        rows = count(len(found.rows))
        print_note(f"已写入 {output},{rows} 行", f"{rows} rows written")
    if as_json:
        print_json(_document(found, by))
    elif output is None:
        _print(found, by)


def _value(row: measures_pb2.MeasureRow, column: _Column) -> tuple[Any, Any]:
    """(what is measured, its numerator and denominator or None); None: not known."""
    part: Any = getattr(row, column.part)
    value = getattr(part, column.name)
    if column.ratio:
        rate = value.numerator / value.denominator if value.denominator else None
        return rate, value
    if column.name in ("score", "calls_per_10000") and not part.HasField(column.name):
        return None, None
    return (None if column.name == "residents" and not value else value), None


def _columns(by: By, *, brief: bool) -> list[_Column]:
    """A town has no score, and a department no callers."""
    return [
        column
        for column in _COLUMNS
        if (column.brief or not brief)
        and (column.part == "service" or by is not By.DEPARTMENT)
        and (column.name != "score" or by is By.DEPARTMENT)
    ]


def _document(found: measures_pb2.MeasureResponse, by: By) -> dict[str, Any]:
    rows = []
    for row in found.rows:
        shown: dict[str, Any] = {by.value: row.key}
        if by is By.TOWN:
            shown["name"] = row.name
        for column in _columns(by, brief=False):
            value, ratio = _value(row, column)
            shown[column.name] = value
            if ratio is not None:
                shown[column.name] = {
                    "rate": value,
                    "numerator": ratio.numerator,
                    "denominator": ratio.denominator,
                }
        rows.append(shown)
    return {
        "month": found.month,
        "by": by.value,
        "sequencer": found.sequencer,
        "policy_version": found.policy_version,
        "satisfied_stars_min": found.satisfied_stars_min,
        "rating_weight_percent": found.rating_weight_percent,
        "utc_offset_minutes": found.utc_offset_minutes,
        "rows": rows,
    }


def _text(value: Any, ratio: Any) -> str:
    if value is None:
        return NONE
    if ratio is not None:
        return f"{value:.1%} ({ratio.numerator}/{ratio.denominator})"
    return f"{value:.1f}" if isinstance(value, float) else str(value)


def _print(found: measures_pb2.MeasureResponse, by: By) -> None:
    from huying.node.cli.output import print_note, print_tables

    columns = _columns(by, brief=True)
    headings = [_heading(by), *(column.heading for column in columns)]
    rows = [
        [f"{row.key} {row.name}".strip() or NONE, *(_text(*_value(row, c)) for c in columns)]
        for row in found.rows
    ]
    if not rows:
        print_note(f"{found.sequencer} 在 {found.month} 没有可计的呼叫", "nothing to count here")
        return
    print_tables(headings, rows)
    stars, weight = found.satisfied_stars_min, found.rating_weight_percent
    print_note(
        f"满意为 {stars} 星及以上,评价占 {weight}%,规则第 {found.policy_version} 版",
        f"satisfied is {stars} stars or more, ratings weigh {weight}%, by policy version"
        f" {found.policy_version}",
    )


def _heading(by: By) -> str:
    return {
        By.DEPARTMENT: "部门 · department",
        By.TOWN: "乡镇 · town",
        By.CATEGORY: "类别 · category",
        By.MONTH: "月份 · month",
    }[by]


def _write(output: Path, found: measures_pb2.MeasureResponse, by: By) -> None:
    """As a table: each rate with the two numbers that it comes from."""
    from huying.node.sheets import write_table

    columns = _columns(by, brief=False)
    header = [_heading(by), *(["名称 · name"] if by is By.TOWN else [])]
    for column in columns:
        header.append(column.heading)
        if column.ratio:
            header += [f"{column.heading} 分子 · of it", f"{column.heading} 分母 · of all"]
    rows: list[list[Cell]] = []
    for row in found.rows:
        cells: list[Cell] = [row.key, *([row.name] if by is By.TOWN else [])]
        for column in columns:
            value, ratio = _value(row, column)
            cells.append(NONE if value is None else value)
            if ratio is not None:
                cells += [ratio.numerator, ratio.denominator]
        rows.append(cells)
    try:
        write_table(output, header, rows, sheet=found.month)
    except OSError as error:
        why = f"{output}: can't be written: {error.strerror}"
        raise HuyingError(Code.INVALID_ARGUMENT, why) from None
