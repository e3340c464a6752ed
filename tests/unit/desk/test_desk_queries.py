"""Queues of calls from the tables: the same as looking at every call, and by an index alone."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from alembic import command

from huying.common.calls.call_state import ClockKind
from huying.common.errors import Code, HuyingError
from huying.node.store import desk_queries
from huying.node.store.call_queries import CallRow
from huying.node.store.call_schema import (
    ASKS_EXTENSION,
    ASKS_SUPPLEMENT,
    LANE_CALLER,
    LANE_ENDED,
    LANE_NONE,
    LANE_OURS,
    LANE_PAUSED,
)
from huying.node.store.database import sqlite_url
from huying.node.store.desk_filter import CallFilter, Order
from huying.node.store.store import SqlStore
from tests.support.call_desk import COUNTY, HELPER, LEAD, OTHER_TOWN, SECOND, TOWN, VILLAGE, Desk
from tests.unit.calls.call_tables import OCTOBER, Entry, entries_of, new_store, tables, told
from tests.unit.calls.test_call_life_tables import migrate_to
from tests.unit.store.test_store_reader import plans

GRID = VILLAGE + "001"
HOURS = 24 * 90
ORDERS: tuple[Order, ...] = ("lane", "newest", "oldest")


@cache
def entries() -> list[Entry]:
    """Forty calls at every place of their lives."""
    desk, chance = Desk(), random.Random(5)
    desk.clock.seconds = OCTOBER
    for number in range(40):
        call, caller = bytes([number + 1]) * 16, chance.choice((TOWN, TOWN, OTHER_TOWN))
        here = {"village": VILLAGE, "grid": GRID} if caller == TOWN and number % 2 else {}
        category = ("供水", "道路")[number % 2]
        desk.raise_(
            call, caller, category=category, **{"village": "", "title": f"t{number}", **here}
        )
        for step in _LIVES[number % len(_LIVES)]:
            if step == "confirm":
                desk.propose(call, caller, confirm={"resolved": number % 3 == 0})
            elif step == "late":
                desk.run_out(ClockKind.ACCEPT, call, caller)
            else:
                desk.do(call, caller, **_step(step, chance))
        desk.clock.seconds += chance.randrange(30, 9000)
    return entries_of(desk)


_WORK = ("dispatch", "accept")
_LIVES: tuple[tuple[str, ...], ...] = (
    *((), ("admit",), ("decline",), ("dispatch",), ("dispatch", "late"), _WORK),
    *((*_WORK, "supplement_request"), (*_WORK, "extension_request"), (*_WORK, "supervise")),
    *((*_WORK, "answer"), (*_WORK, "answer", "confirm")),
)


def _step(kind: str, chance: random.Random) -> dict[str, Any]:
    made: dict[str, dict[str, Any]] = {
        "dispatch": {
            "department": LEAD,
            "co_handlers": chance.choice(([], [HELPER], [SECOND, HELPER])),
            "urgency": chance.choice((1, 2, 3)),
        },
        "decline": {"reason": 3, "text": "重复"},
        "supervise": {"supervision_level": 1, "reason": "督"},
        "extension_request": {"department": LEAD, "reason": "等"},
    }
    named = {} if kind == "admit" else {"department": LEAD}
    texts = {"text": "好"} if kind in ("supplement_request", "answer") else {}
    return {kind: made.get(kind, {**named, **texts})}


@pytest.fixture(scope="module")
def store() -> Iterator[SqlStore]:
    found = told(entries())
    yield found
    found.close()


def everybody(_row: CallRow) -> bool:
    return True


def listing(store: SqlStore, wanted: CallFilter, order: Order, limit: int = 7) -> list[CallRow]:
    """Every page of a list."""
    rows: list[CallRow] = []
    token = ""
    while True:
        page = store.find_calls(wanted, order=order, limit=limit, token=token, sees=everybody)
        rows += page.rows
        token = page.next_token
        if not token:
            return rows


def all_calls(store: SqlStore) -> list[CallRow]:
    return list(store.list_calls(limit=1000).rows)


FILTERS: list[tuple[CallFilter, Any]] = [
    (CallFilter(), lambda c: True),
    (CallFilter(is_open=True), lambda c: c.open),
    (CallFilter(department=LEAD), lambda c: c.department == LEAD),
    (CallFilter(helper=HELPER), lambda c: c.open and f"\n{HELPER}\n" in c.helpers),
    (CallFilter(helper=HELPER, department=LEAD), lambda c: c.open and f"\n{HELPER}\n" in c.helpers),
    (CallFilter(helper=HELPER[1:]), lambda c: False),
    (CallFilter(helper="%"), lambda c: False),
    (CallFilter(stage=9), lambda c: c.stage == 9),
    (CallFilter(stage=7, is_open=True), lambda c: c.stage == 7),
    (CallFilter(caller=OTHER_TOWN), lambda c: c.caller == OTHER_TOWN),
    (CallFilter(category="供水", is_open=True), lambda c: c.open and c.category == "供水"),
    (CallFilter(category="道路", caller=TOWN), lambda c: c.category == "道路" and c.caller == TOWN),
    (CallFilter(urgency_min=3), lambda c: c.urgency >= 3),
    (CallFilter(is_supervised=True), lambda c: c.supervision > 0),
    (CallFilter(is_supervised=False, is_open=True), lambda c: c.open and not c.supervision),
    (CallFilter(asks=ASKS_SUPPLEMENT), lambda c: c.asks & ASKS_SUPPLEMENT),
    (CallFilter(asks=ASKS_EXTENSION), lambda c: c.asks & ASKS_EXTENSION),
    (CallFilter(is_overdue=True), lambda c: c.overdue),
    (CallFilter(lanes=(LANE_PAUSED,)), lambda c: c.lane == LANE_PAUSED),
    (CallFilter(lanes=(LANE_OURS, LANE_NONE)), lambda c: c.lane in (LANE_OURS, LANE_NONE)),
    (CallFilter(area=COUNTY), lambda c: True),
    (CallFilter(area=TOWN), lambda c: c.caller == TOWN),
    (CallFilter(area=VILLAGE), lambda c: c.village == VILLAGE),
    (CallFilter(area=GRID), lambda c: c.grid == GRID),
    (CallFilter(area=VILLAGE + "002"), lambda c: False),
]


@pytest.mark.parametrize("order", ORDERS)
def test_a_list_is_what_looking_at_every_call_gives(store: SqlStore, order: Order) -> None:
    """In its order, page by page, whatever index it goes by."""
    every = all_calls(store)
    for wanted, keeps in FILTERS:
        expected = [c for c in every if keeps(c) and (order != "lane" or c.open)]
        if order == "lane":
            expected.sort(key=lambda c: (c.lane, c.due_micros or 2**63 - 1, c.call, c.caller))
        else:
            expected.sort(
                key=lambda c: (c.time_micros, c.call, c.caller), reverse=order == "newest"
            )
        found = listing(store, wanted, order)
        assert [c.call.hex() for c in found] == [c.call.hex() for c in expected], (wanted, order)
        if order != "lane":
            assert store.count_calls(wanted) == len(expected), wanted


def test_the_lives_reach_every_lane(store: SqlStore) -> None:
    """Otherwise the test above would show little."""
    every = all_calls(store)
    lanes = {c.lane for c in every}
    assert lanes == {LANE_ENDED, LANE_OURS, LANE_PAUSED, LANE_CALLER, LANE_NONE}
    assert all((c.lane == LANE_ENDED) == (not c.open) for c in every)
    assert {c.asks for c in every} == {0, ASKS_SUPPLEMENT, ASKS_EXTENSION}
    assert {c.helpers for c in every} == {"", f"\n{HELPER}\n", f"\n{SECOND}\n{HELPER}\n"}
    assert any(c.overdue for c in every)


@pytest.mark.parametrize(
    "wanted", [CallFilter(), CallFilter(department=LEAD), CallFilter(helper=HELPER),
               CallFilter(area=TOWN), CallFilter(area=VILLAGE), CallFilter(area=GRID)],
)  # fmt: skip
def test_counts_are_those_of_the_list(store: SqlStore, wanted: CallFilter) -> None:
    """By the same bounds; a call that is due just then is not overdue yet."""
    dues = sorted(c.due_micros for c in all_calls(store) if c.lane == LANE_OURS)
    now, today, week = dues[len(dues) // 4], dues[len(dues) // 2], dues[-2]
    counts = store.queue_counts(wanted, now, today, week)
    rows = listing(store, wanted, "lane")

    def between(first: int, end: int) -> int:
        return sum(1 for c in rows if c.lane == LANE_OURS and first <= c.due_micros < end)

    assert counts[:4] == (
        *(between(0, now), between(now, today), between(today, week), between(week, 2**63)),
    )
    assert counts[4:] == tuple(
        sum(1 for c in rows if c.lane == lane) for lane in (LANE_PAUSED, LANE_CALLER, LANE_NONE)
    )
    assert counts.total == len(rows)


def test_hours_count_what_was_received_and_answered(store: SqlStore) -> None:
    """Each call once, in the hour of the county's own entry."""
    every = all_calls(store)
    since = int(OCTOBER * 1e6) - 3600 * 10**6
    hours = store.calls_by_hour(COUNTY, since, HOURS)
    assert sum(received for received, _ in hours) == len(every)
    answered = [c.answered_micros for c in every if c.answered_micros]
    assert sum(count for _, count in hours) == len(answered)
    for number, (_, count) in enumerate(hours):
        assert count == sum((at - since) // (3600 * 10**6) == number for at in answered)
    assert store.calls_by_hour(TOWN, since, HOURS) == [(0, 0)] * HOURS
    assert store.calls_by_hour(COUNTY, since + HOURS * 3600 * 10**6, 4) == [(0, 0)] * 4


def test_choices_are_what_there_is(store: SqlStore) -> None:
    """Nothing that would lead to an empty list, and nothing twice."""
    assert store.call_categories(100) == ["供水", "道路"]
    assert store.call_departments(100) == [LEAD]
    assert store.call_categories(1) == ["供水"]


# --- search -----------------------------------------------------------------------------------


@pytest.mark.parametrize("chunk", [1, 3, 400])
@pytest.mark.parametrize("rows_max", [1, 5, 3000])
def test_a_search_meets_each_call_once_however_it_is_cut(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch, chunk: int, rows_max: int
) -> None:
    """Open ones first, then the others; the number looked at adds up to all."""
    monkeypatch.setattr(desk_queries, "_CHUNK", chunk)
    monkeypatch.setattr(desk_queries, "CALL_SCAN_ROWS_MAX", rows_max)
    monkeypatch.setattr(desk_queries, "CALL_SCAN_SECONDS_MAX", 60.0)
    every = {c.call: c.open for c in all_calls(store)}
    for words, expected in (("停水", 0), ("T1", 11), ("t1 供水", 5), ("T", 40)):
        token, seen, looked = "", [], 0
        while True:
            page = store.find_calls(
                CallFilter(words=words), order="newest", limit=4, token=token, sees=everybody
            )
            seen += [row.call for row in page.rows]
            looked += page.looked_count
            token = page.next_token
            if not token:
                break
        assert len(seen) == len(set(seen)) == expected, words
        assert looked == len(every)
        opens = [every[call] for call in seen]
        assert opens == sorted(opens, reverse=True)


def test_a_row_that_is_not_to_be_seen_takes_no_place(store: SqlStore) -> None:
    """A page is full of what the person sees, or goes on."""

    def sees(row: CallRow) -> bool:
        return row.caller == OTHER_TOWN

    wanted = [c.call for c in all_calls(store) if c.caller == OTHER_TOWN]
    page = store.find_calls(CallFilter(), order="newest", limit=3, token="", sees=sees)
    assert [row.call for row in page.rows] == wanted[:3]
    assert page.next_token


def test_a_token_of_another_list_is_refused(store: SqlStore) -> None:
    """It would skip calls in silence."""
    wanted = CallFilter()
    token = store.find_calls(wanted, order="newest", limit=1, token="", sees=everybody).next_token
    searched = replace(wanted, words="t")
    bad = ["lane", "n.0.1", f"9.{token}", token + "0", token.replace("n.", "l.", 1), "٣" * 9]
    cases: list[tuple[Order, str, CallFilter]] = [
        ("lane", token, wanted),
        ("newest", token, searched),
        *(("newest", each, wanted) for each in bad[:3] + bad[4:]),
    ]
    for order, given, of in cases:
        with pytest.raises(HuyingError) as caught:
            store.find_calls(of, order=order, limit=1, token=given, sees=everybody)
        assert caught.value.code is Code.INVALID_ARGUMENT, given


# --- indexes and the upgrade ------------------------------------------------------------------

BY_INDEX: list[tuple[CallFilter, Order, str]] = [
    (CallFilter(is_open=True), "lane", "ix_calls_open_lane"),
    (CallFilter(is_open=True, caller=TOWN, stage=9, category="供水"), "lane", "ix_calls_open_lane"),
    (CallFilter(urgency_min=3, has_card=True), "lane", "ix_calls_open_lane"),
    (CallFilter(department=LEAD), "lane", "ix_calls_open_department_lane"),
    (CallFilter(helper=HELPER), "lane", "ix_calls_open_helpers"),
    (CallFilter(), "newest", "ix_calls_time_micros_record"),
    (CallFilter(stage=11), "newest", "ix_calls_stage_time_micros_record"),
    (CallFilter(asks=1), "oldest", "ix_calls_asks"),
]


@pytest.mark.parametrize(("wanted", "order", "index"), BY_INDEX)
def test_the_rows_of_a_page_are_chosen_by_an_index_alone(
    store: SqlStore, wanted: CallFilter, order: Order, index: str
) -> None:
    """At a quarter of a million calls a list that reads them takes a second."""

    def ask() -> None:
        store.find_calls(wanted, order=order, limit=5, token="", sees=everybody)

    (plan,) = plans(store, ask)
    assert f"COVERING INDEX {index}" in plan, plan
    assert "SEARCH calls USING PRIMARY KEY" in plan


def test_counts_read_no_call(store: SqlStore) -> None:
    """They stand on top of the page that a desk has open all day."""
    for wanted in (CallFilter(), CallFilter(department=LEAD), CallFilter(helper=HELPER)):

        def ask(of: CallFilter = wanted) -> None:
            store.queue_counts(of, 1, 2, 3)

        (plan,) = plans(store, ask)
        assert "COVERING INDEX ix_calls_open_" in plan, plan
    (plan,) = plans(store, lambda: store.count_calls(CallFilter(is_open=True, is_overdue=True)))
    assert "COVERING INDEX" in plan


def test_a_database_of_the_schema_before_has_its_queue_after_the_upgrade(tmp_path: Any) -> None:
    """The columns follow from entries that were here already."""
    path = tmp_path / "node.db"
    made, feeds = new_store(entries(), sqlite_url(path))
    with made.transaction():
        made.apply([entry.applied(feeds[entry.origin]) for entry in entries()])
    before = tables(made)
    made.close()
    migrate_to(path, "0009", command.downgrade)
    upgraded = SqlStore.open(sqlite_url(path))
    assert tables(upgraded) == before
    upgraded.close()
