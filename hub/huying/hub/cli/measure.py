"""`huying measure`: how departments and towns did in a month, on the screen or as a table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from huying.common.errors import Code, HuyingError
from huying.hub.measure_table import NONE, By, columns_of, file_table, heading, value_of
from huying.node.cli.context import JsonOption

if TYPE_CHECKING:
    from huying.wire.v1 import measures_pb2

__all__ = ["measure"]


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


def _document(found: measures_pb2.MeasureResponse, by: By) -> dict[str, Any]:
    rows = []
    for row in found.rows:
        shown: dict[str, Any] = {by.value: row.key}
        if by is By.TOWN:
            shown["name"] = row.name
        for column in columns_of(by, brief=False):
            value, ratio = value_of(row, column)
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

    columns = columns_of(by, brief=True)
    headings = [heading(by), *(column.heading for column in columns)]
    rows = [
        [f"{row.key} {row.name}".strip() or NONE, *(_text(*value_of(row, c)) for c in columns)]
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


def _write(output: Path, found: measures_pb2.MeasureResponse, by: By) -> None:
    from huying.node.sheets import write_table

    header, rows = file_table(found, by)
    try:
        write_table(output, header, rows, sheet=found.month)
    except OSError as error:
        why = f"{output}: can't be written: {error.strerror}"
        raise HuyingError(Code.INVALID_ARGUMENT, why) from None
