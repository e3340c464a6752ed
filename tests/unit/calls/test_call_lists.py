"""Lists of calls: each once, in its order, by what is due."""

from __future__ import annotations

from functools import cache

import pytest

from huying.common.calls.call_state import CallStage, ClockKind
from huying.common.errors import HuyingError
from huying.node.store.schema import (
    CALLS,
)
from tests.support.call_desk import (
    COUNTY,
    LEAD,
    OTHER_TOWN,
    SECOND,
    TOWN,
    Desk,
)
from tests.unit.calls.call_tables import OCTOBER, Entry, entries_of, shown, told


@cache
def busy_desk() -> list[Entry]:
    """Twelve calls: two departments, two categories, a quarter of them ended or not dispatched."""
    desk = Desk()
    desk.clock.seconds = OCTOBER
    for number in range(12):
        call, caller = bytes([number + 1]) * 16, (TOWN, OTHER_TOWN)[number % 3 == 0]
        desk.raise_(call, caller, category=("供水", "道路")[number % 2], village="")
        if number % 4 == 3:
            continue
        desk.do(call, caller, dispatch={"department": (LEAD, SECOND)[number % 2]})
        if number % 4 == 2:
            desk.propose(call, caller, withdraw={"reason": "已解决"})
        desk.clock.seconds += 7200
    for number in (0, 4):
        call, caller = bytes([number + 1]) * 16, (TOWN, OTHER_TOWN)[number % 3 == 0]
        desk.run_out(ClockKind.ACCEPT, call, caller)
    return entries_of(desk)


@pytest.fixture
def busy():
    store = told(busy_desk())
    yield store
    store.close()


def pages(store, **wanted) -> list:
    rows, token = [], b""
    while True:
        page = store.list_calls(limit=2, page_token=token, **wanted)
        rows += page.rows
        token = page.next_token
        if not token:
            return rows


@pytest.mark.parametrize("order", ["newest", "deadline"])
@pytest.mark.parametrize(
    "wanted",
    [
        {},
        {"department": LEAD},
        {"stage": int(CallStage.DISPATCHED)},
        {"caller": OTHER_TOWN},
        {"category": "供水"},
        {"department": SECOND, "category": "道路", "caller": TOWN, "open_only": True},
        {"overdue_before_micros": 2**62},
    ],
)
def test_a_list_has_each_call_once_in_its_order(busy, order, wanted):
    """Page by page: nobody's call is missed between two pages, or shown twice."""
    found = pages(busy, order=order, **wanted)
    calls = [shown(busy, bytes([number]) * 16)[0] for number in range(1, 13)]

    def fits(row) -> bool:
        return (
            wanted.get("department", row.department) == row.department
            and wanted.get("stage", row.stage) == row.stage
            and wanted.get("caller", row.caller) == row.caller
            and wanted.get("category", row.category) == row.category
            and (order == "newest" or row.open == 1)
            and (not wanted.get("open_only") or row.open == 1)
            and (
                not wanted.get("overdue_before_micros")
                or bool(row.open and row.due_micros and row.due_clock in (1, 2, 3))
            )
        )

    right = [row for row in calls if fits(row)]
    if order == "deadline":
        right.sort(key=lambda row: (row.due_micros or 2**63, row.call))
    else:
        right.sort(key=lambda row: (row.time_micros, row.call), reverse=True)
    assert found == right
    assert right or "overdue_before_micros" in wanted


def test_overdue_means_due_before_that_instant(busy):
    """And what was due first stands first, for as long as somebody is late with it."""
    late = busy.list_calls(order="deadline").rows[0]
    assert (late.call, late.overdue, late.due_clock) == (b"\x01" * 16, 1, ClockKind.ACCEPT)
    at = late.due_micros
    assert busy.list_calls(overdue_before_micros=at).rows == ()
    assert [row.call for row in busy.list_calls(overdue_before_micros=at + 1).rows] == [late.call]


def test_a_token_of_the_other_order_is_refused(busy):
    """It would start somewhere, and silently skip calls."""
    token = busy.list_calls(limit=2).next_token
    with pytest.raises(HuyingError, match="page_token"):
        busy.list_calls(order="deadline", page_token=token)


def test_due_timers_name_what_is_due_oldest_first(busy):
    """The sequencer writes each as it comes due; another node's calls are not its own."""
    rows = [row for row in busy.list_calls(limit=100).rows if row.timer_micros]
    rows.sort(key=lambda row: (row.timer_micros, row.call))
    third = rows[2].timer_micros
    due = [(row.caller, row.call) for row in rows if row.timer_micros <= third]
    assert busy.due_timers(COUNTY, third, 100) == due
    assert busy.due_timers(COUNTY, third, 1) == due[:1]
    assert busy.due_timers(COUNTY, rows[0].timer_micros - 1, 100) == []
    assert busy.due_timers(TOWN, 2**62, 100) == []


def test_loads_count_the_open_calls(busy):
    """A gauge for each department; ended calls weigh on nobody."""
    calls = busy.list_calls(open_only=True, limit=100).rows
    found = busy.call_loads(COUNTY)
    assert busy.call_loads(TOWN) == []
    assert sum(load.open for load in found) == len(calls)
    assert {(load.department, load.stage): (load.open, load.overdue) for load in found} == {
        (d, s): (
            sum((c.department, c.stage) == (d, s) for c in calls),
            sum((c.department, c.stage, c.overdue) == (d, s, 1) for c in calls),
        )
        for d, s in {(c.department, c.stage) for c in calls}
    }
    assert sum(load.overdue for load in found) == 2


def test_what_a_row_says_of_deadlines_is_zero_where_nothing_is_due(busy):
    """Inside, such calls are put last by a number that nobody should see."""
    ended = [row for row in busy.list_calls(limit=100).rows if not row.open]
    assert {(row.due_clock, row.due_micros) for row in ended} == {(0, 0)}
    with busy.reading() as connection:
        kept = connection.execute(CALLS.select().where(CALLS.c.open == 0)).fetchall()
    assert {row.due_micros for row in kept} == {2**63 - 1}
