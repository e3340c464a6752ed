"""The lists of the pages go by indexes: no plan reads every call, event or order, or sorts them.

SQLite plans by the schema alone, as no statistics are kept; so an empty store has the plans of a
county's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest

from huying.common.calls.call_state import ClockKind
from huying.node.store.call_schema import ASKS_SUPPLEMENT, LANE_CALLER
from huying.node.store.desk_filter import CallFilter
from huying.node.store.order_queries import OrderWish
from huying.node.store.store import SqlStore
from huying.node.web.calling.calling_reads import calls_of_events
from huying.wire.v1 import events_pb2, hotline_pb2, records_pb2
from tests.support.tiny_network import TOWN, VILLAGE
from tests.unit.store.test_store_reader import plans

DAY: Final = 86_400 * 10**6
# A step of a plan that looks at a table without an index, or sorts more than the page's own rows.
_TABLES: Final = "calls|events|event_handlings|orders|call_turns|call_steps|visits"
_WHOLE: Final = re.compile(rf"SCAN ({_TABLES})(?! USING)")


@pytest.fixture(scope="module")
def store() -> Iterator[SqlStore]:
    made = SqlStore.open()
    yield made
    made.close()


def find(**fields: Any) -> Callable[[SqlStore], object]:
    wanted = CallFilter(**fields)
    return lambda store: store.find_calls(
        wanted, order="newest", limit=50, token="", sees=lambda _row: True
    )


def first_step(plan: str) -> str:
    """How the keys of a page are chosen, before anything of it is read."""
    return next(
        step for step in plan.split(" | ") if re.search(rf"(SCAN|SEARCH) ({_TABLES})", step)
    )


def check(plan: str) -> None:
    assert not _WHOLE.search(plan), plan
    chosen, _, rest = plan.partition("SCAN chosen")
    assert rest, f"the keys are not chosen first: {plan}"
    assert "TEMP B-TREE FOR ORDER BY" not in chosen, plan


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"category": "供水"},
        {"caller": TOWN},
        {"category": "供水", "caller": TOWN},
        {"stage": 3, "category": "供水"},
        {"is_overdue": True, "caller": TOWN},
        {"is_supervised": True, "urgency_min": 2},
        {"has_card": True, "is_reopened": True},
        {"since_micros": DAY, "until_micros": 2 * DAY, "category": "供水"},
    ],
)
def test_a_list_of_open_calls_reads_just_those_that_it_shows(
    store: SqlStore, fields: dict[str, Any]
) -> None:
    """A rare filter passes over 20,000 calls: each in the index, none as a row on a cold disk."""
    (plan,) = plans(store, lambda: find(is_open=True, **fields)(store))
    check(plan)
    assert "COVERING INDEX ix_calls_open_newest" in first_step(plan)


@pytest.mark.parametrize(
    ("fields", "index"),
    [
        ({}, "ix_calls_time_micros_record"),
        ({"category": "供水"}, "ix_calls_category_time_micros_record"),
        ({"category": "供水", "caller": TOWN}, "ix_calls_category_time_micros_record"),
        ({"department": "水务局", "caller": TOWN}, "ix_calls_department_time_micros_record"),
        ({"caller": TOWN}, "ix_calls_home_time_micros_record"),
        ({"stage": 3}, "ix_calls_stage_time_micros_record"),
        ({"since_micros": DAY, "until_micros": 2 * DAY}, "ix_calls_time_micros_record"),
    ],
)
def test_a_list_of_all_calls_goes_by_its_narrowest_index(
    store: SqlStore, fields: dict[str, Any], index: str
) -> None:
    """260,000 rows, of which a page shows fifty."""
    (plan,) = plans(store, lambda: find(**fields)(store))
    check(plan)
    assert f"COVERING INDEX {index}" in first_step(plan)


@pytest.mark.parametrize(
    "wish",
    [
        OrderWish(),
        OrderWish(status=int(hotline_pb2.ORDER_STATUS_RETURNED)),
        OrderWish(filter=int(hotline_pb2.ORDER_FILTER_OVERDUE), now_micros=DAY),
        OrderWish(handler=VILLAGE),
        OrderWish(handler=VILLAGE, filter=int(hotline_pb2.ORDER_FILTER_OPEN)),
    ],
)
def test_a_list_of_orders_reads_entries_of_its_own_rows_alone(
    store: SqlStore, wish: OrderWish
) -> None:
    """Of 20,000 orders three were returned; the others' texts are none of this page's."""
    (plan,) = plans(store, lambda: store.list_orders(wish, limit=50))
    check(plan)
    chosen, _, rest = plan.partition("SCAN chosen")
    assert "entries" not in chosen
    assert "SEARCH entries USING INTEGER PRIMARY KEY" in rest


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"category": "供水"},
        {"status": int(records_pb2.EVENT_STATUS_REPORTED)},
        {"area": TOWN},
        {"grid": f"{VILLAGE}001"},
        {"since_micros": DAY},
        {"word": 0, "status": int(records_pb2.EVENT_STATUS_REPORTED), "area": TOWN},
        {"word": int(events_pb2.EVENT_HANDLING_STATUS_TAKEN)},
    ],
)
def test_a_list_of_events_goes_by_one_index(store: SqlStore, fields: dict[str, Any]) -> None:
    """As many events as calls, and more."""
    (plan,) = plans(store, lambda: store.list_events(limit=50, **fields))
    check(plan)
    assert "COVERING INDEX ix_events_newest" in first_step(plan)


@pytest.mark.parametrize(
    "wanted",
    [
        CallFilter(asks=ASKS_SUPPLEMENT),
        CallFilter(lanes=(LANE_CALLER,), due_clocks=(int(ClockKind.CONFIRM),)),
        CallFilter(is_open=True, is_overdue=True),
    ],
)
def test_what_is_counted_goes_by_an_index(store: SqlStore, wanted: CallFilter) -> None:
    """The numbers of the dispatch centre stand on a page that is open all day."""
    (plan,) = plans(store, lambda: store.count_calls(wanted))
    assert not _WHOLE.search(plan), plan
    assert "TEMP B-TREE" not in plan


def test_the_calls_of_an_event_are_found_without_reading_the_town_s(store: SqlStore) -> None:
    """Ten thousand rows all over a cold disk would be seconds, for three calls that are shown."""
    (plan,) = plans(store, lambda: calls_of_events(store, [VILLAGE], [bytes(16)]))
    newest, _, rest = plan.partition("SCAN newest")
    assert "SEARCH calls USING COVERING INDEX ix_calls_home_time_micros_record" in newest
    assert "TEMP B-TREE" not in newest
    assert "SEARCH calls USING PRIMARY KEY" in rest
