"""What departments and towns are measured by, counted by hand and by the program."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huying.common.calls.call_state import ClockStatus
from huying.common.errors import Code, HuyingError
from huying.common.measures import DepartmentMeasures, Ratio, score
from huying.common.months import month_span, months_up_to
from huying.hub.desk.measures import measured
from huying.node.store.schema import CALL_TURNS, RECORDS
from huying.wire.v1 import calls_pb2, feed_pb2, measures_pb2
from tests.support.call_desk import COUNTY, OTHER_TOWN, TOWN, Desk
from tests.support.places import ROOT
from tests.unit.calls.call_tables import entries_of, told

DOC = (ROOT / "docs" / "MEASURES.md").read_text(encoding="utf-8")
TOWNS = {"义桥镇": TOWN, "汶上街道": OTHER_TOWN}
BEIJING = timezone(timedelta(hours=8))
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def rows_under(first_heading: str, nth: int = 0) -> list[list[str]]:
    """The rows of the page's nth table whose first column has this heading."""
    found = re.findall(rf"^\| {first_heading} \|.*\n\|[-|]+\n((?:\|.*\n)+)", DOC, re.MULTILINE)
    return [
        [cell.strip() for cell in line.strip("|").split("|")] for line in found[nth].splitlines()
    ]


def play(desk: Desk, when: str, call: bytes, caller: str, step: str) -> None:
    """What people do, at this time; before it, what ran out by then runs out."""
    at = datetime.strptime(f"2026-{when}", "%Y-%m-%d %H:%M").replace(tzinfo=BEIJING).timestamp()
    run_timers(desk, at)
    desk.clock.seconds = at - 1
    what, *words = step.split()
    department = {"department": desk.state(call, caller).department}
    if what == "raise":
        desk.raise_(call, caller, category=words[0])
    elif what == "dispatch":
        desk.do(call, caller, dispatch={"department": words[0]})
    elif what == "accept":
        desk.do(call, caller, accept=department)
    elif what == "answer":
        desk.do(call, caller, answer={**department, "text": "已办理"})
    elif what == "object":
        desk.do(call, caller, objection={**department, "reason": "不属本局职责"})
    elif what == "rule":
        desk.do(call, caller, ruling={"upheld": words[0] == "upheld", "reason": "是"})
    elif what == "ask":
        desk.do(call, caller, supplement_request={**department, "text": "哪一段"})
    elif what == "decline":
        desk.do(call, caller, decline={"reason": calls_pb2.DECLINE_REASON_EMERGENCY, "text": "110"})
    elif what == "confirm":
        stars = int(words[1])
        desk.propose(
            call, caller, confirm={"resolved": words[0] == "resolved", "satisfaction": stars}
        )
    else:
        why = {"text": "村东头"} if what == "supplement" else {"reason": "已查明"}
        taken = desk.propose(call, caller, **{what: why})
        assert taken.accepted, (when, what)


def run_timers(desk: Desk, until: float) -> None:
    """What the timer writes until then, each when it is due."""
    while True:
        due = [
            (clock.due_micros, clock.kind, caller, call)
            for caller, call in {(one.caller, one.call) for one in desk.arrived}
            for clock in desk.state(call, caller).clocks
            if clock.status is ClockStatus.RUNNING and clock.due_micros < until * 1e6
        ]
        if not due:
            return
        _, kind, caller, call = min(due)
        desk.run_out(kind, call, caller)


@cache
def october_desk() -> Desk:
    desk = Desk()
    for when, call, town, step in rows_under("when"):
        play(desk, when, bytes([int(call)]) * 16, TOWNS[town], step)
    run_timers(desk, datetime(2026, 11, 1, tzinfo=BEIJING).timestamp())
    return desk


@pytest.fixture(scope="module")
def october():
    store = told(entries_of(october_desk()))
    yield store
    store.close()


def report(
    store, by: measures_pb2.MeasureBy.ValueType, month: str = "2026-10"
) -> dict[str, measures_pb2.MeasureRow]:
    request = measures_pb2.MeasureRequest(month=month, by=by)
    return {row.key: row for row in measured(store, COUNTY, request).rows}


def shown(row: measures_pb2.MeasureRow, measure: str) -> str:
    """As the page writes it."""
    parts: tuple[Any, Any] = (row.service, row.callers)
    part = next(one for one in parts if hasattr(one, measure))
    value = getattr(part, measure)
    if isinstance(value, measures_pb2.Proportion):
        return f"{value.numerator}/{value.denominator}" if value.denominator else "—"
    if measure in ("score", "calls_per_10000"):
        return f"{value:.1f}" if part.HasField(measure) else "—"
    return str(value)


@pytest.mark.parametrize(
    ("by", "nth", "columns"),
    [
        (measures_pb2.MEASURE_BY_DEPARTMENT, 0, {"水务局": 1, "住建局": 2}),
        (measures_pb2.MEASURE_BY_TOWN, 1, {TOWN: 1, OTHER_TOWN: 2}),
    ],
)
def test_the_worked_example_of_the_page_comes_out_as_counted_by_hand(october, by, nth, columns):
    """The page is what departments are told that they are measured by."""
    tables = re.findall(r"^\| measure \| (?:水务局|义桥镇) \|", DOC, re.MULTILINE)
    assert len(tables) == 2
    # The first two tables of that heading are the definitions.
    rows = rows_under("measure", 2 + nth)
    found = report(october, by)
    assert found.keys() == columns.keys()
    for measure, *cells in rows:
        name = measure.strip("`")
        for key, column in columns.items():
            assert shown(found[key], name) == cells[column - 1], (name, key)


def test_by_category_and_by_month_count_the_same_turns(october):
    """Four ways to look at one month; no call is lost on the way."""
    departments = report(october, measures_pb2.MEASURE_BY_DEPARTMENT).values()
    towns = report(october, measures_pb2.MEASURE_BY_TOWN).values()
    categories = report(october, measures_pb2.MEASURE_BY_CATEGORY)
    months = report(october, measures_pb2.MEASURE_BY_MONTH)
    assert list(months) == months_up_to("2026-10", 12)
    assert categories.keys() == {"供水", "道路", "治安"}
    for measure in ("response", "on_time", "resolved", "satisfied", "returned", "reopened"):
        sums = {
            tuple(
                sum(getattr(getattr(row.service, measure), part) for row in rows)
                for part in ("numerator", "denominator")
            )
            for rows in (departments, towns, categories.values(), [months["2026-10"]])
        }
        assert len(sums) == 1, measure
    assert sum(row.callers.calls for row in categories.values()) == months["2026-10"].callers.calls
    assert months["2026-09"].callers.calls == 1
    assert shown(months["2026-09"], "response") == "1/1"
    assert shown(months["2026-09"], "resolved") == "—"
    assert not any(row.service.HasField("score") for row in (*towns, *months.values()))


def test_a_month_without_anything_has_no_rates(october):
    """Nothing of nothing is neither 0 nor 100 %."""
    assert report(october, measures_pb2.MEASURE_BY_DEPARTMENT, "2025-05") == {}
    last = report(october, measures_pb2.MEASURE_BY_MONTH, "2025-05")["2025-05"]
    assert {shown(last, name) for name in ("response", "on_time", "resolved", "declined")} == {"—"}
    assert not last.callers.HasField("calls_per_10000")


def test_a_call_of_another_sequencer_is_not_counted(october):
    """A county's own calls go to its city, which measures its own offices by them."""
    request = measures_pb2.MeasureRequest(month="2026-10", by=measures_pb2.MEASURE_BY_TOWN)
    assert not measured(october, "370800000000", request).rows


def test_residents_are_those_of_the_households_of_the_town(october):
    """A deleted household lives nowhere; another town's does not count here."""
    households = RECORDS[feed_pb2.RECORD_TYPE_HOUSEHOLD]
    common = {"feed_id": 9, "epoch": 1, "idx": 0, "time_micros": 1, "slots": b"", "grid": ""}
    put, delete = int(feed_pb2.KIND_PUT), int(feed_pb2.KIND_DELETE)
    rows = (("370830108201", put, 1500), ("370830108202", put, 500), ("370830108202", delete, 99))
    store = told(entries_of(october_desk()))
    with store.transaction(), store.reading() as connection:
        for number, (home, kind, residents) in enumerate(rows):
            connection.execute(
                households.insert().values(
                    home=home,
                    record=bytes([number]) * 16,
                    kind=kind,
                    resident_count=residents,
                    **common,
                )
            )
    found = report(store, measures_pb2.MEASURE_BY_TOWN)
    assert (found[TOWN].callers.residents, found[TOWN].callers.calls_per_10000) == (2000, 15.0)
    assert not found[OTHER_TOWN].callers.HasField("calls_per_10000")
    store.close()


@pytest.mark.parametrize(
    ("instant", "month"),
    [
        ("2026-09-30 23:59:59.999999", "2026-09"),
        ("2026-10-01 00:00:00.000000", "2026-10"),
        ("2026-10-31 23:59:59.999999", "2026-10"),
        ("2026-11-01 00:00:00.000000", "2026-11"),
    ],
)
def test_the_first_instant_of_a_month_belongs_to_it_and_the_next_one_s_does_not(instant, month):
    """Local midnight decides, to the microsecond; each turn is counted in just one month."""
    store = told(entries_of(october_desk()))
    at = datetime.strptime(instant, "%Y-%m-%d %H:%M:%S.%f").replace(tzinfo=BEIJING)
    micros = (at - EPOCH) // timedelta(microseconds=1)
    with store.transaction(), store.reading() as connection:
        connection.execute(CALL_TURNS.delete().where(CALL_TURNS.c.call != b"\x01" * 16))
        connection.execute(CALL_TURNS.update().values(due_micros=micros))
    for other in ("2026-09", "2026-10", "2026-11"):
        row = report(store, measures_pb2.MEASURE_BY_MONTH, other)[other]
        assert row.service.on_time.denominator == int(other == month)
    store.close()


@given(st.integers(1971, 9997), st.integers(1, 12), st.integers(-840, 840))
def test_months_follow_each_other_without_gap_or_overlap(year, number, offset):
    """Else a call would be counted twice, or never."""
    month = f"{year}-{number:02d}"
    following = f"{year + number // 12}-{number % 12 + 1:02d}"
    start, stop = month_span(month, offset)
    assert stop == month_span(following, offset)[0]
    assert 28 <= (stop - start) / 86_400e6 <= 31
    assert months_up_to(following, 2) == [month, following]


def test_a_month_is_local(october):
    """Beijing's October begins at 16:00 UTC on the last day of September."""
    start, _ = month_span("2026-10", 480)
    assert start == int(datetime(2026, 10, 1, tzinfo=BEIJING).timestamp()) * 10**6


@pytest.mark.parametrize("month", ["", "2026", "2026-13", "2026-00", "26-10", "2026-1", "٢٠٢٦-10"])
def test_what_is_no_month_is_refused(october, month):
    """And says what one looks like."""
    with pytest.raises(HuyingError, match="2026-10") as caught:
        report(october, measures_pb2.MEASURE_BY_DEPARTMENT, month)
    assert caught.value.code is Code.INVALID_ARGUMENT


def test_the_rating_weighs_in_the_score_what_the_policy_says():
    """30 % and more, by Shandong's regulation; nobody is scored without a rating."""
    found = DepartmentMeasures(
        response=Ratio(1, 2), on_time=Ratio(1, 1), resolved=Ratio(0, 0), satisfied=Ratio(1, 4)
    )
    assert score(found, 30) == pytest.approx(100 * (0.3 * 0.25 + 0.7 * 0.75))
    assert score(found, 100) == pytest.approx(25)
    assert score(DepartmentMeasures(response=Ratio(1, 1)), 30) is None
    assert score(DepartmentMeasures(satisfied=Ratio(1, 1)), 30) is None
