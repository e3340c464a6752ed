"""How long lists and measures of calls take at the size of a county, beside two plain designs.

The readings go over connections that read only, as those of the API; each question is asked of
every department, or month, in turn. `first` is the first question after the file was opened.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, Final

from huying.common.limits import LIST_ENTRIES_DEFAULT
from huying.common.months import month_span
from huying.hub.bench import rival
from huying.hub.bench.call_store import COUNTY, NOW_MICROS, Size, build
from huying.hub.desk.measures import measured
from huying.node.store.database import sqlite_url
from huying.node.store.reader import FileReader
from huying.wire.v1 import measures_pb2

__all__ = ["measure_calls"]

MONTHS: Final = ("2026-04", "2026-05", "2026-06", "2026-07", "2026-08")
_UTC_OFFSET_MINUTES: Final = 480
Say = Callable[[str], None]


def measure_calls(folder: Path, size: Size, rounds: int, say: Say) -> dict[str, object]:
    """Build the database unless it is there, and ask. Seconds by name of the question."""
    say(f"呼叫库 · a database of {size.calls} calls, in {folder}")
    started = time.perf_counter()
    file, is_new = build(folder, size)
    if is_new:
        say(f"  {time.perf_counter() - started:.0f} s")
    result: dict[str, object] = {
        "calls": size.calls,
        "calls_departments": size.departments,
        "calls_towns": size.towns,
        "calls_database_bytes": file.stat().st_size,
    }
    departments = [size.department(number) for number in range(size.departments)]
    reader = FileReader(sqlite_url(file))
    plain = sqlite3.connect(f"file:{file}?mode=ro", uri=True)
    with contextlib.closing(reader), contextlib.closing(plain):
        with reader.connection() as connection:
            counted = connection.exec_driver_sql(
                "SELECT (SELECT count(*) FROM call_steps), (SELECT count(*) FROM call_turns),"
                " (SELECT count(*) FROM calls WHERE open = 1)"
            ).one()
        result |= dict(zip(("calls_steps", "calls_turns", "calls_open"), counted, strict=True))

        def ours(department: str) -> list[bytes]:
            page = reader.list_calls(department=department, order="deadline")
            return [row.call for row in page.rows]

        limit = LIST_ENTRIES_DEFAULT
        lists: dict[str, Callable[[str], list[bytes]]] = {
            "list_by_deadline": ours,
            "rival_state_list_by_deadline": lambda d: rival.list_by_state(plain, d, limit),
            "rival_history_list_by_deadline": lambda d: rival.list_by_history(plain, d, limit),
        }
        for name, ask in lists.items():
            say(f"列表 · {name}")
            result |= _times(name, ask, departments * (rounds if name in _FAST else 1))
        _check_same(lists.values(), departments[:3])
        whole: dict[str, Callable[[int], object]] = {
            "count_open_by_department": lambda _: reader.call_loads(COUNTY),
            "due_timers": lambda _: reader.due_timers(COUNTY, NOW_MICROS, 100),
        }
        for name, count in whole.items():
            result |= _times(name, count, range(20))
        for by in ("department", "town", "category"):
            kind = measures_pb2.MeasureBy.Value(f"MEASURE_BY_{by.upper()}")
            say(f"指标 · a month's measures by {by}")
            result |= _times(f"measures_by_{by}", partial(_measure, reader, kind), MONTHS)
        result |= _times(
            "rival_history_measures_by_department",
            lambda month: rival.history_measures(plain, *month_span(month, _UTC_OFFSET_MINUTES)),
            MONTHS,
        )
    return result


_FAST: Final = ("list_by_deadline", "rival_state_list_by_deadline")


def _measure(reader: FileReader, kind: Any, month: str) -> Any:
    found = measured(reader, COUNTY, measures_pb2.MeasureRequest(month=month, by=kind))
    assert found.rows, f"nothing was counted in {month}"
    return found


def _times(name: str, ask: Callable[[Any], Any], about: Iterable[Any]) -> dict[str, float]:
    took = []
    for one in about:
        started = time.perf_counter()
        ask(one)
        took.append(time.perf_counter() - started)
    ordered = sorted(took)
    return {
        f"{name}_first_seconds": round(took[0], 5),
        f"{name}_p50_seconds": round(ordered[len(ordered) // 2], 5),
        f"{name}_p99_seconds": round(ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))], 5),
    }


def _check_same(asks: Iterable[Callable[[str], list[bytes]]], departments: list[str]) -> None:
    """A rival that answers something else is none."""
    for department in departments:
        first, *others = (ask(department) for ask in asks)
        assert first, f"{department} has no open call"
        assert all(found == first for found in others), f"the lists of {department} differ"
