"""The measures view: a month by department, town or category, the months before it, and the calls.

Counted by the same code as `huying measure` (docs/MEASURES.md). At the size of a county that takes
longer than a page may, so results stand on the shelf and say when they were counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from starlette.responses import Response

from huying.common.errors import Code, HuyingError
from huying.common.limits import MEASURE_MONTHS_MAX
from huying.common.months import is_month, month_span, months_up_to
from huying.hub.desk.measures import measured
from huying.hub.measure_table import By, Column, columns_of, file_table, value_of
from huying.hub.web.charts import bars, lines
from huying.hub.web.measure_order import asked_column, is_good, ranked
from huying.node.store.measure_queries import TURN_MEASURES, MeasuredTurn
from huying.node.store.reader import Reader
from huying.node.web.access.roles import Permission
from huying.node.web.page import Ask, Nav, Page
from huying.node.web.render import local_time
from huying.node.web.table_file import table_answer, table_format
from huying.wire.v1 import calls_pb2, measures_pb2

__all__ = ["PAGES"]

_TURNS_MAX: Final = 200  # shown of one figure
_BARS_MAX: Final = 20
_ONLY: Final = {"": None, "met": True, "unmet": False}
_RATES: Final = ("response", "on_time", "resolved", "satisfied")
_DIMENSIONS: Final = {
    By.DEPARTMENT: ("按部门", "by department"),
    By.TOWN: ("按乡镇", "by town"),
    By.CATEGORY: ("按类别", "by category"),
    By.MONTH: ("按月份", "by month"),
}


async def measures(ask: Ask) -> Response:
    """The table and the chart of a month."""
    month, by = await _month(ask), _by(ask)
    wish = None if by is By.MONTH else asked_column(by, ask.query("sort"))
    found = await _counted(ask, month, by)
    shown: dict[str, Any] = {
        "month": month,
        "months": await _months(ask),
        "by": by,
        "dimensions": [(one, _DIMENSIONS[one]) for one in _allowed(ask)],
        "drill": TURN_MEASURES,
        "counted": found,
    }
    if found is not None:
        rows = [row for row in found.value.rows if _sees(ask, by, row.key)]
        rows = rows if wish is None else ranked(rows, wish)
        columns = columns_of(by, brief=True)
        charted = _charted(by, wish)
        shown |= {
            "columns": [(column, ask.t(*_both(column.heading))) for column in columns],
            "rows": [_row(row, columns, month, by) for row in rows],
            "figures": found.value,
            "chart": _chart(ask, rows, by, charted),
            "charted": ask.t(*_both(charted.heading)),
            "is_good": is_good(charted.name),
            "sort": wish.name if wish is not None else "",
            "is_trend": by is By.MONTH,
        }
    return await ask.render("measures.html", shown)


async def turns(ask: Ask) -> Response:
    """The calls that one figure counts, and which of them are of the numerator."""
    month, by, key = await _month(ask), _by(ask), ask.query("key")
    measure = ask.query("measure", "duties")
    if measure not in TURN_MEASURES:
        known = ", ".join(TURN_MEASURES)
        raise HuyingError(Code.INVALID_ARGUMENT, f"measure: one of {known}")
    if (only := ask.query("only")) not in _ONLY:
        raise HuyingError(Code.INVALID_ARGUMENT, "only: met or unmet")
    if not _sees(ask, by, key):
        raise HuyingError(Code.NOT_FOUND, "there are no such figures here, or not for you")
    month_of = key if by is By.MONTH and is_month(key) else month
    sequencer = ask.node.county

    def query(reader: Reader) -> list[tuple[MeasuredTurn, str]]:
        stars = reader.policy(sequencer).satisfied_stars_min
        offset = reader.calendar(sequencer).utc_offset_minutes
        start, stop = month_span(month_of, offset)
        found = reader.measured_turns(
            sequencer,
            measure,
            "all" if by is By.MONTH else by.value,  # type: ignore[arg-type]  # By's values
            key,
            start,
            stop,
            stars,
            _TURNS_MAX,
            is_met=_ONLY[only],
        )
        return [(turn, _title(reader, turn)) for turn in found]

    async def count() -> list[tuple[MeasuredTurn, str]]:
        return await ask.node.read(query)

    found = await ask.site.shelf.get(("turns", month_of, by, key, measure, only), count)
    rows = [] if found is None else [one for one in found.value if _sees_turn(ask, one[0])]
    heading = next(c.heading for c in columns_of(By.TOWN, brief=False) if c.name == measure)
    return await ask.render(
        "measure_turns.html",
        {
            "month": month_of,
            "by": by,
            "key": key,
            "measure": measure,
            "heading": ask.t(*_both(heading)),
            "only": only,
            "is_good": is_good(measure),
            "is_rate": len(set(TURN_MEASURES[measure])) == 2,
            "counted": found,
            "rows": rows,
            "most": _TURNS_MAX,
        },
    )


async def export(ask: Ask) -> Response:
    """The table as a file for a spreadsheet: each rate beside the numbers that it comes from."""
    month, by = await _month(ask), _by(ask)
    table_format(ask)
    wanted = measures_pb2.MeasureBy.Value(f"MEASURE_BY_{by.name}")
    request = measures_pb2.MeasureRequest(month=month, by=wanted)
    found = await ask.node.read(lambda reader: measured(reader, ask.node.county, request))
    kept = [row for row in found.rows if _sees(ask, by, row.key)]
    del found.rows[:]
    found.rows.extend(kept)
    header, rows = file_table(found, by)
    # Written down before a byte of it is out.
    await ask.audit("measures-export", f"{month} {by.value}")
    return await table_answer(ask, f"measures-{month}-{by.value}", header, rows)


async def _counted(ask: Ask, month: str, by: By) -> Any:
    wanted = measures_pb2.MeasureBy.Value(f"MEASURE_BY_{by.name}")
    request = measures_pb2.MeasureRequest(month=month, by=wanted)
    sequencer = ask.node.county

    async def count() -> measures_pb2.MeasureResponse:
        return await ask.node.read(lambda reader: measured(reader, sequencer, request))

    return await ask.site.shelf.get(("measures", month, by), count)


async def _month(ask: Ask) -> str:
    asked = ask.query("month")
    if not asked:
        return (await _months(ask))[-1]
    if not is_month(asked):
        raise HuyingError(Code.INVALID_ARGUMENT, "month: a year and a month, as 2026-10")
    return asked


async def _months(ask: Ask) -> list[str]:
    """The twelve months up to now, by the county's calendar."""
    now = local_time(int(ask.now() * 1e6), await ask.node.offset_minutes())
    return months_up_to(f"{now:%Y-%m}", MEASURE_MONTHS_MAX)


def _by(ask: Ask) -> By:
    allowed = _allowed(ask)
    asked = ask.query("by", allowed[0].value)
    for one in allowed:
        if one.value == asked:
            return one
    raise HuyingError(
        Code.INVALID_ARGUMENT, f"by: one of {', '.join(one.value for one in allowed)}"
    )


def _allowed(ask: Ask) -> tuple[By, ...]:
    """Whoever is bound to a department sees its figures; to an area, those of its towns."""
    if ask.scope.department:
        return (By.DEPARTMENT,)
    if ask.scope.area:
        return (By.TOWN,)
    return tuple(By)


def _sees(ask: Ask, by: By, key: str) -> bool:
    scope = ask.scope
    if scope.department:
        return by is By.DEPARTMENT and key == scope.department
    if scope.area:
        return by is By.TOWN and bool(key) and scope.sees_record(key)
    return True


def _sees_turn(ask: Ask, turn: MeasuredTurn) -> bool:
    return ask.scope.sees_call(
        caller=turn.caller, village=turn.village, grid=turn.grid, department=turn.department
    )


def _title(reader: Reader, turn: MeasuredTurn) -> str:
    found = reader.get_call(turn.call, turn.caller)
    return "" if found is None else calls_pb2.Call.FromString(found[0].message).title


def _both(heading: str) -> tuple[str, str]:
    zh, _, en = heading.partition(" · ")
    return zh, en


def _row(
    row: measures_pb2.MeasureRow, columns: Sequence[Column], month: str, by: By
) -> dict[str, Any]:
    cells = []
    for column in columns:
        value, ratio = value_of(row, column)
        if ratio is not None:
            text = "—" if value is None else f"{value:.1%}"
            of = f"{ratio.numerator}/{ratio.denominator}"
        else:
            of = ""
            text = "—" if value is None else f"{value:.1f}" if isinstance(value, float) else value
        cells.append({"column": column, "text": text, "of": of})
    return {
        "key": row.key,
        "name": row.name or row.key,
        "cells": cells,
        "month": row.key if by is By.MONTH else month,
    }


def _charted(by: By, wish: Column | None) -> Column:
    """The rate of the bars: the one that the table is ordered by, else that of what was in time."""
    on_time = next(one for one in columns_of(by, brief=True) if one.name == "on_time")
    return wish if wish is not None and wish.ratio else on_time


def _chart(ask: Ask, rows: Sequence[measures_pb2.MeasureRow], by: By, charted: Column) -> Any:
    if by is By.MONTH:
        rates = [column for column in columns_of(by, brief=True) if column.name in _RATES]
        return lines(
            [
                (
                    ask.t(*_both(column.heading)),
                    [value_of(row, column)[0] for row in rows],
                )
                for column in rates
            ]
        )
    # The worst first, so that what is left out where there are many needs nobody.
    known = [(row, value_of(row, charted)[0]) for row in ranked(rows, charted)]
    shown = [(row.name or row.key, v, f"{v:.1%}") for row, v in known if v is not None]
    return bars([(name or _none(ask), v, text) for name, v, text in shown[:_BARS_MAX]])


def _none(ask: Ask) -> str:
    return ask.t("未派单", "not dispatched")


PAGES: Final = (
    Page(
        "/measures",
        "measures",
        measures,
        Permission.MEASURES,
        nav=Nav("考核指标", "Measures", 70),
    ),
    Page("/measures/turns", "measure-turns", turns, Permission.MEASURES),
    Page("/measures/export", "measures-export", export, Permission.MEASURES, costly=True),
)
