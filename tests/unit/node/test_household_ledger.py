"""Visits, events and the household ledger: what each tier reads of them, page by page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from sqlalchemy import event as sqlalchemy_event

from huying.common.effects import DraftEntry
from huying.common.errors import Code, HuyingError
from huying.common.late.requests import EraseRecord
from huying.common.limits import LEDGER_SCAN_RECORDS_MAX
from huying.common.records.evidence_parts import JPEG, Picture, parts_of
from huying.common.records.registry import check_write
from huying.node.admin.related import evidence_spans, related
from huying.node.store.database import sqlite_url
from huying.node.store.evidence_queries import EvidenceState
from huying.node.store.projection_check import check_projections
from huying.node.store.store import SqlStore
from huying.wire.v1 import evidence_pb2, feed_pb2, records_pb2
from tests.support.late_network import EVERYBODY, LateNetwork, late_network
from tests.support.tiny_network import COUNTY, GRID, TOWN, VILLAGE, TinyNetwork, event, put
from tests.unit.calls.test_call_life_tables import migrate_to

EVENT, RESIDENT = int(feed_pb2.RECORD_TYPE_EVENT), int(feed_pb2.RECORD_TYPE_RESIDENT)
HOUSEHOLD, VISIT = int(feed_pb2.RECORD_TYPE_HOUSEHOLD), int(feed_pb2.RECORD_TYPE_VISIT)
EVIDENCE = int(feed_pb2.RECORD_TYPE_EVIDENCE)
OTHER = "370830108202"
OTHER_GRID = OTHER + "001"
HOME = b"h" * 16


def visit(number: int, household: bytes = HOME, grid: str = GRID) -> records_pb2.Visit:
    return records_pb2.Visit(
        grid=grid,
        visited_micros=number + 1,
        kind=records_pb2.VISIT_KIND_HOUSEHOLD,
        household=household,
        actor="村-01",
        text=f"KANARI {number}",
    )


def person(number: int, key_population: str = "") -> records_pb2.Resident:
    return records_pb2.Resident(
        grid=GRID,
        household=HOME if number < 3 else b"i" * 16,
        name=f"张{number}",
        key_population=key_population,
        generated=True,
    )


def house(number: int) -> records_pb2.Household:
    return records_pb2.Household(grid=GRID, number=str(number), head_name=f"张{number}")


@pytest.fixture(scope="module")
def network() -> Iterator[TinyNetwork]:
    """A village with a ledger, and another with a few events."""
    network = TinyNetwork(also=[OTHER])
    network.append(VILLAGE, *(put(EVENT, event(n, status=1 + n % 2)) for n in range(9)))
    elsewhere = event(100)
    elsewhere.grid = OTHER_GRID
    network.append(OTHER, put(EVENT, elsewhere), put(VISIT, visit(50, grid=OTHER_GRID)))
    network.append(VILLAGE, *(put(VISIT, visit(n)) for n in range(7)))
    meeting = records_pb2.Visit(grid=GRID, visited_micros=90, kind=records_pb2.VISIT_KIND_MEETING)
    network.append(VILLAGE, put(VISIT, meeting))
    people = (person(n, "空巢老人" if n % 4 == 0 else "") for n in range(20))
    network.append(VILLAGE, *(put(RESIDENT, one) for one in people))
    network.append(VILLAGE, put(HOUSEHOLD, house(1), HOME), put(HOUSEHOLD, house(2), b"i" * 16))
    yield network
    network.close()


def walked(read: Any, **wish: Any) -> list[Any]:
    """Every row, by pages of three."""
    rows: list[Any] = []
    token = b""
    for _ in range(50):
        page = read(limit=3, page_token=token, **wish)
        assert len(page.rows) <= 3
        rows += page.rows
        token = page.next_token
        if not token:
            return rows
    raise AssertionError("a list that never ends")


# Visits.


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("grid", OTHER_GRID),
        ("grid", ""),
        ("visited_micros", 0),
        ("kind", 9),
        ("kind", 0),
        ("household", b"short"),
        ("text", "x" * 4001),
    ],
)
def test_a_visit_that_says_nonsense_is_not_written(field: str, value: Any) -> None:
    """What stands in a feed stands for ever, so the rules come first."""
    message = visit(1)
    check_write(VISIT, feed_pb2.KIND_PUT, message, VILLAGE)
    setattr(message, field, value)
    with pytest.raises(HuyingError) as caught:
        check_write(VISIT, feed_pb2.KIND_PUT, message, VILLAGE)
    assert caught.value.code is Code.INVALID_ARGUMENT
    with pytest.raises(HuyingError) as caught:
        check_write(VISIT, feed_pb2.KIND_PUT, visit(1), TOWN)
    assert caught.value.code is Code.TYPE_NOT_ALLOWED


def test_town_and_county_see_that_there_was_a_visit_and_nothing_of_it(
    network: TinyNetwork,
) -> None:
    """Whom it was to, by whom and what was said concerns the village alone."""
    for code in (TOWN, COUNTY):
        for row in network.stores[code].list_visits(area=VILLAGE).rows:
            seen = records_pb2.Visit.FromString(row.message)
            assert (seen.grid, bool(seen.visited_micros), bool(seen.kind)) == (GRID, True, True)
            assert (seen.household, seen.actor, seen.text) == (b"", "", "")
        assert network.stores[code].visits_of(HOME).rows == ()
        feeds = network.stores[code].feeds()
        entries = [
            row for feed in feeds for row in network.stores[code].changes(feed.origin, 0, 99)[0]
        ]
        assert not any(b"KANARI" in row.message for row in entries)
    (newest, *_) = network.stores[VILLAGE].visits_of(HOME).rows
    assert records_pb2.Visit.FromString(newest.message).text == "KANARI 6"


def test_visits_are_listed_from_the_newest_on_and_counted(network: TinyNetwork) -> None:
    """The clerk looks for the last one; the county for how many there were."""
    village, county = network.stores[VILLAGE], network.stores[COUNTY]
    of_home = walked(lambda **wish: village.visits_of(HOME, **wish))
    times = [records_pb2.Visit.FromString(row.message).visited_micros for row in of_home]
    assert times == [7, 6, 5, 4, 3, 2, 1]
    assert len(walked(village.list_visits)) == 8
    assert len(walked(village.list_visits, since_micros=6)) == 3
    assert len(walked(county.list_visits)) == 9
    assert len(walked(county.list_visits, area=OTHER)) == 1
    assert len(walked(county.list_visits, grid=GRID)) == 8
    assert county.visit_counts() == {(VILLAGE, 1): 7, (VILLAGE, 3): 1, (OTHER, 1): 1}
    assert county.visit_counts(area=VILLAGE, since_micros=60) == {(VILLAGE, 3): 1}


# Events.


def test_events_are_listed_from_the_newest_on_within_what_is_asked(network: TinyNetwork) -> None:
    """A town's desk begins with what came last."""
    county = network.stores[COUNTY]

    def times(**wish: Any) -> list[int]:
        return [row.event.reported_micros for row in walked(county.list_events, **wish)]

    assert times() == [101, 9, 8, 7, 6, 5, 4, 3, 2, 1]
    assert times(status=1) == [101, 9, 7, 5, 3, 1]
    assert times(area=VILLAGE, status=2) == [8, 6, 4, 2]
    assert times(area=TOWN) == times()
    assert times(area=OTHER) == times(grid=OTHER_GRID) == [101]
    assert times(grid=GRID, since_micros=8) == [9, 8]
    assert times(area="370831000000") == []
    assert county.event_counts() == {0: 0, 1: 6, 2: 4, 3: 0}
    assert county.event_counts(area=OTHER) == {0: 0, 1: 1, 2: 0, 3: 0}
    row = county.list_events(limit=1).rows[0]
    assert county.get_event(row.home, row.record) == row
    assert county.get_event(VILLAGE, b"none" * 4) is None


def test_an_event_that_ended_is_in_no_list() -> None:
    """It was entered by mistake, and would be counted for ever."""
    network = TinyNetwork()
    (receipt,) = network.append(VILLAGE, put(EVENT, event(1)))
    empty = records_pb2.Event()
    network.append(VILLAGE, DraftEntry(feed_pb2.KIND_DELETE, EVENT, empty, receipt.record))
    county = network.stores[COUNTY]
    assert county.list_events().rows == ()
    assert county.get_event(VILLAGE, receipt.record) is None
    assert sum(county.event_counts().values()) == 0
    network.close()


# Households and residents.


def test_residents_are_found_by_what_only_the_village_knows(network: TinyNetwork) -> None:
    """Who lives alone is what a grid worker opens the ledger for."""
    village = network.stores[VILLAGE]

    def names(**wish: Any) -> set[str]:
        rows = walked(lambda **more: village.list_residents(VILLAGE, **more), **wish)
        found = [records_pb2.Resident.FromString(row.message).name for row in rows]
        assert len(set(found)) == len(found)
        return set(found)

    assert len(names()) == 20
    assert names(key_population="空巢老人") == {"张0", "张4", "张8", "张12", "张16"}
    assert names(any_population=True) == names(key_population="空巢老人")
    assert names(key_population="残疾人") == set()
    assert names(words="张1") == {"张1", *(f"张1{n}" for n in range(10))}
    assert names(grid=GRID, words="张7") == {"张7"}
    assert names(grid=VILLAGE + "002") == set()
    lives_there = village.residents_of(VILLAGE, HOME)
    assert {records_pb2.Resident.FromString(r.message).name for r in lives_there} == {
        "张0",
        "张1",
        "张2",
    }
    for code in (TOWN, COUNTY):
        upper = network.stores[code]
        assert upper.list_residents(VILLAGE, any_population=True).rows == ()
        assert upper.residents_of(VILLAGE, HOME) == []
    with pytest.raises(HuyingError) as caught:
        village.list_residents(VILLAGE, page_token=b"\1nonsense")
    assert caught.value.code is Code.INVALID_ARGUMENT


def test_households_are_found_by_number_address_and_name(network: TinyNetwork) -> None:
    """A card is found by whatever somebody remembers of it."""
    village = network.stores[VILLAGE]
    for words in ("2", "张2"):
        (row,) = village.list_households(VILLAGE, words=words).rows
        assert row.record == b"i" * 16
    assert len(village.list_households(VILLAGE, grid=GRID).rows) == 2
    assert village.list_households(OTHER).rows == ()


def test_a_narrowed_list_reads_no_more_than_its_limit_at_once(network: TinyNetwork) -> None:
    """A page that has to read a whole village for one name is a page nobody waits for."""
    more = LEDGER_SCAN_RECORDS_MAX + 300
    network.append(VILLAGE, *(put(HOUSEHOLD, house(n)) for n in range(100, 100 + more // 2)))
    network.append(VILLAGE, *(put(HOUSEHOLD, house(n)) for n in range(9000, 9000 + more // 2)))
    village = network.stores[VILLAGE]
    first = village.list_households(VILLAGE, words="nobody has this")
    assert first.rows == ()
    assert first.next_token
    second = village.list_households(VILLAGE, words="nobody", page_token=first.next_token)
    assert (second.rows, second.next_token) == ((), b"")
    assert len(walked(lambda **wish: village.list_households(VILLAGE, **wish), words="9001")) == 1


def test_every_list_goes_by_an_index(network: TinyNetwork) -> None:
    """At a county's size a scan of a table takes seconds."""
    asked: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, bound: Any, *_: Any) -> None:
        if statement.startswith("SELECT"):
            asked.append((statement, bound))

    with network.stores[VILLAGE].snapshot() as store, store.connection() as connection:
        sqlalchemy_event.listen(connection, "before_cursor_execute", note)
        try:
            store.list_events(status=1, since_micros=1)
            store.list_events(grid=GRID)
            store.event_counts(area=TOWN)
            store.list_visits(since_micros=1)
            store.visits_of(HOME)
            store.visit_counts(since_micros=1)
            store.residents_of(VILLAGE, HOME)
            store.list_residents(VILLAGE, words="x")
            store.evidence_of(HOME)
            store.evidence_by_digest(b"d" * 32)
            store.evidence_stands(VILLAGE, b"d" * 32)
            store.evidence_counts([HOME])
        finally:
            sqlalchemy_event.remove(connection, "before_cursor_execute", note)
        plans = [
            [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {asked_for}", bound)]
            for asked_for, bound in asked
        ]
    assert len(plans) >= 12
    tables = ("events", "visits", "residents", "evidence")
    for steps in plans:
        assert not any(f"SCAN {table}" in step for step in steps for table in tables), steps


# Erasure, and what belongs to what.


def test_an_event_is_erased_with_its_pictures_in_all_their_versions(tmp_path: Path) -> None:
    """Whoever asks for an event to be erased means the photo first of all."""
    with late_network(tmp_path) as network:
        (receipt,) = network.append(VILLAGE, put(EVENT, event(1)))
        (kept,) = network.append(VILLAGE, put(EVENT, event(2)))
        canary = b"KANARI-PIXELS" * 1000
        for of in (receipt.record, receipt.record, kept.record):
            picture = Picture(of, EVENT, "a.jpg", JPEG)
            network.append(VILLAGE, *parts_of(picture, canary + of))
        spans = evidence_spans(network.stores[VILLAGE], VILLAGE, receipt.record)
        assert len(spans) == 4
        found = list(related(network.stores[VILLAGE], EVENT, receipt.record))
        assert {one.type for one in found} == {EVIDENCE}
        assert len(found) == 2
        network.operate(VILLAGE, EraseRecord(receipt.record, (), "a request", spans))
        network.wait()
        for code in EVERYBODY:
            assert network.stores[code].evidence_of(receipt.record) == []
            (row,) = network.stores[code].evidence_of(kept.record)
            assert row.state is EvidenceState.WHOLE
        network.check()


def test_a_households_residents_and_visits_are_told_with_it(network: TinyNetwork) -> None:
    """Who asks what is held of a household means the people in it, and who came to see them."""
    found = list(related(network.stores[VILLAGE], HOUSEHOLD, HOME))
    assert [one.type for one in found].count(RESIDENT) == 3
    assert [one.type for one in found].count(VISIT) == 7
    assert list(related(network.stores[VILLAGE], RESIDENT, HOME)) == []
    assert list(related(network.stores[COUNTY], HOUSEHOLD, HOME)) == []


def test_an_erased_visit_leaves_no_trace_of_the_household(tmp_path: Path) -> None:
    """The column that it is found by follows from the entry, and goes with it."""
    with late_network(tmp_path) as network:
        (receipt,) = network.append(VILLAGE, put(VISIT, visit(1)))
        network.erase(receipt.record)
        network.wait()
        assert network.stores[VILLAGE].visits_of(HOME).rows == ()
        for code in EVERYBODY:
            assert network.on_disk(code, "KANARI 1") == []
        network.check()


# An upgrade.


def test_a_database_of_the_release_before_finds_its_residents_by_household(
    tmp_path: Path,
) -> None:
    """The new column is filled, and entries of types it did not know count from then on."""
    path = tmp_path / "node.db"
    network = LateNetwork(tmp_path)
    network.append(VILLAGE, put(RESIDENT, person(1)), put(VISIT, visit(1)))
    (receipt,) = network.append(VILLAGE, put(EVENT, event(1)))
    network.append(VILLAGE, *parts_of(Picture(receipt.record, EVENT, "a.jpg", JPEG), b"photo"))
    network.close()
    network.files[VILLAGE].rename(path)
    migrate_to(path, "0007", command.downgrade)
    store = SqlStore.open(sqlite_url(path))
    assert len(store.residents_of(VILLAGE, HOME)) == 1
    assert len(store.visits_of(HOME).rows) == 1
    assert [row.data for row in store.evidence_of(receipt.record)] == [b"photo"]
    notes: list[Any] = []
    check_projections(store, lambda *note: notes.append(note))
    assert notes == []
    store.close()


def test_a_delete_of_evidence_may_be_empty() -> None:
    """The wrong photo is taken back without its bytes being sent again."""
    check_write(EVIDENCE, feed_pb2.KIND_DELETE, evidence_pb2.Evidence(), COUNTY)
