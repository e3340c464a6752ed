"""Lists page without gaps, use an index, and show no more of a record than is held."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event as sqlalchemy_event

from huying.common.errors import Code, HuyingError
from huying.common.limits import LIST_ENTRIES_MAX
from huying.node.store.queries import pack_token, unpack_token
from huying.node.store.schema import CALLS, METADATA, RECORDS
from huying.node.store.store import SqlStore
from huying.wire.v1 import api_pb2, feed_pb2, records_pb2
from tests.contracts.store_contract import applied_entry, stored
from tests.support.tiny_network import (
    COUNTY,
    GRID,
    TOWN,
    VILLAGE,
    TinyNetwork,
    event,
    identity,
    put,
    raise_call,
    resident,
)

EVENT, RESIDENT = feed_pb2.RECORD_TYPE_EVENT, feed_pb2.RECORD_TYPE_RESIDENT
PRESENT, WITHHELD = api_pb2.SLOT_STATE_PRESENT, api_pb2.SLOT_STATE_WITHHELD


@pytest.fixture(scope="module")
def network():
    network = TinyNetwork()
    network.append(VILLAGE, *(put(EVENT, event(i)) for i in range(25)))
    network.append(VILLAGE, *(put(RESIDENT, resident(i)) for i in range(3)))
    for title in ("一", "二", "三"):
        raise_call(network, title)
    yield network
    network.close()


def fill(store: SqlStore, rows: list[tuple[str, str, bytes]]) -> None:
    """Events from (home, grid, record)."""
    with store.transaction():
        feeds = {
            home: store.create_feed(identity(home).origin).feed_id
            for home in dict.fromkeys(row[0] for row in rows)
        }
        sizes = dict.fromkeys(feeds, 0)
        for home, grid, record in rows:
            message = records_pb2.Event(grid=grid)
            one = applied_entry(feeds[home], sizes[home], EVENT, message, record=record, home=home)
            store.add_entries(feeds[home], sizes[home], [stored(one)])
            store.apply([one])
            sizes[home] += 1


def all_pages(list_page, limit: int) -> list:
    rows, token = [], b""
    while True:
        page = list_page(limit=limit, page_token=token)
        assert len(page.rows) <= limit
        rows += page.rows
        token = page.next_token
        if not token:
            return rows


# What is shown.


def test_the_home_sees_the_whole_record_and_the_county_its_part(network):
    """The same signed entry; what a tier may not read is named as withheld."""
    home = network.stores[VILLAGE].list_records(EVENT).rows[0]
    away = network.stores[COUNTY].get_record(EVENT, VILLAGE, home.record)
    assert records_pb2.Event.FromString(home.message).reporter_phone == "13800000000"
    seen = records_pb2.Event.FromString(away.message)
    assert seen.category == "道路"
    assert seen.description_full == seen.reporter_phone == ""
    states = dict(zip(away.slots[::2], away.slots[1::2], strict=True))
    assert states[0x03] == PRESENT
    assert {state for slot, state in states.items() if slot & 7 == 5} == {WITHHELD}
    assert set(home.slots[1::2]) == {PRESENT}
    assert (away.home, away.origin, away.index) == (VILLAGE, home.origin, home.index)


def test_no_projection_has_a_column_for_a_person(network):
    """Erasing a person touches one table; so no other may hold the person."""
    allowed = {"name", "number"}  # of a division, in `members`; of an item or a turn, from 1
    calls = METADATA.tables["call_steps"], METADATA.tables["call_turns"]
    for table in (*RECORDS.values(), CALLS, *calls):
        for column in table.c:
            for word in ("name", "phone", "number", "birth", "health", "address", "description"):
                assert word not in column.name or column.name in allowed, f"{table}.{column}"
    store = network.stores[VILLAGE]
    with store.reading() as connection:
        for table in METADATA.tables.values():
            if table.name == "entries":
                continue
            for row in connection.execute(table.select()):
                assert not any("person" in str(value) or "138" in str(value) for value in row)


def test_a_newer_put_replaces_and_an_older_one_does_not():
    """Order is (epoch, index), whatever arrives when: a late opening re-applies an old entry."""
    store = SqlStore.open()
    record = b"r" * 16
    with store.transaction():
        old_feed = store.create_feed(identity(VILLAGE).origin).feed_id
        new_feed = store.create_feed(identity(VILLAGE).origin.replace("/e1", "/e2")).feed_id
        versions = [
            applied_entry(feed, index, EVENT, event(0, status), record=record, epoch=epoch)
            for feed, epoch, index, status in (
                (old_feed, 1, 5, 1),
                (old_feed, 1, 9, 2),
                (new_feed, 2, 0, 3),
            )
        ]
        for version in versions:
            store.add_entries(version.feed_id, version.index, [stored(version)])
        for version in (versions[2], versions[0], versions[1]):
            store.apply([version])
    found = store.get_record(EVENT, VILLAGE, record)
    assert found is not None
    assert records_pb2.Event.FromString(found.message).status == 3
    assert found.origin.endswith("/e2")


def test_a_deleted_record_leaves_the_lists_and_can_still_be_asked_for():
    """Who holds a reference to it must learn that it has ended."""
    store = SqlStore.open()
    record = b"r" * 16
    with store.transaction():
        feed = store.create_feed(identity(VILLAGE).origin).feed_id
        entries = [
            applied_entry(feed, 0, EVENT, event(0), record=record),
            applied_entry(feed, 1, EVENT, records_pb2.Event(), record=record, delete=True),
        ]
        store.add_entries(feed, 0, [stored(one) for one in entries])
        store.apply(entries)
    assert store.list_records(EVENT).rows == ()
    found = store.get_record(EVENT, VILLAGE, record)
    assert found is not None
    assert found.kind == feed_pb2.KIND_DELETE


def test_what_is_not_there_is_none_and_what_can_not_be_asked_is_refused(network):
    """Nothing by that name, and no such question, are two answers."""
    store = network.stores[COUNTY]
    assert store.get_record(EVENT, VILLAGE, b"x" * 16) is None
    assert store.get_call(b"x" * 16) is None
    for ask in (
        lambda: store.get_record(12345, VILLAGE, b"x" * 16),
        lambda: store.list_records(feed_pb2.RECORD_TYPE_DIVISION, grid=GRID),
        lambda: store.list_records(EVENT, grid="12"),
        lambda: store.list_records(EVENT, limit=-1),
    ):
        with pytest.raises(HuyingError) as caught:
            ask()
        assert caught.value.code is Code.INVALID_ARGUMENT


def test_changes_pass_over_what_was_not_applied(network):
    """A watcher goes on from where it was told, however little of a stretch it may see."""
    store = network.stores[COUNTY]
    origin = identity(VILLAGE).origin
    with store.transaction():
        store.quarantine(store.feed(origin).feed_id, 3, Code.BAD_HEAD, "", 0.0)
    rows, following = store.changes(origin, 0, 10)
    assert [row.index for row in rows] == [0, 1, 2, 4, 5, 6, 7, 8, 9]
    assert following == 10
    rows, following = store.changes(origin, 20, 100, types=[RESIDENT])
    assert [(row.index, row.type) for row in rows] == [(i, RESIDENT) for i in (25, 26, 27)]
    assert following == 28
    assert store.changes(origin, 28, 10) == ([], 28)
    with pytest.raises(HuyingError) as caught:
        store.changes("unknown", 0, 10)
    assert caught.value.code is Code.NOT_FOUND


# Pages.


@given(
    numbers=st.sets(st.integers(0, 2**20), max_size=30),
    limit=st.integers(1, 12),
    grid_only=st.booleans(),
)
def test_pages_give_every_record_once(numbers, limit, grid_only):
    """Of any records of three tiers, in pages of any size, with and without a grid."""
    store = SqlStore.open()
    rows = [
        ((VILLAGE, TOWN, VILLAGE[:-1] + "9")[n % 3], f"{VILLAGE}00{n % 2}", n.to_bytes(16, "big"))
        for n in numbers
    ]
    fill(store, rows)
    grid = GRID if grid_only else ""
    found = all_pages(lambda **page: store.list_records(EVENT, grid=grid, **page), limit)
    # A grid's records come from its own village and the divisions above it.
    expected = [
        (home, record)
        for home, of_grid, record in rows
        if not grid or (of_grid == grid and home in (VILLAGE, TOWN))
    ]
    assert [(row.home, row.record) for row in found] == sorted(expected)
    store.close()


def test_calls_come_newest_first_and_page_by_page(network):
    """The desk works from the newest; the page goes on where it was left."""
    store = network.stores[COUNTY]
    calls = all_pages(store.list_calls, 2)
    assert len(calls) == 3
    times = [call.time_micros for call in calls]
    assert times == sorted(times, reverse=True)
    assert [row.call for row in store.list_calls(open_only=True).rows] == [c.call for c in calls]
    assert store.list_calls(stage=api_pb2.CALL_STAGE_RECEIVED).rows == tuple(calls)
    assert store.list_calls(department="住建局").rows == ()


def test_a_page_has_a_greatest_size(network):
    """A limit on everything."""
    store = network.stores[VILLAGE]
    assert len(store.list_records(EVENT, limit=10**9).rows) == 25 < LIST_ENTRIES_MAX


@given(
    place=st.integers(0, 2**63 - 1),
    home=st.text("0123456789", max_size=15),
    record=st.binary(min_size=1, max_size=16),
)
def test_a_page_token_reads_back(place, home, record):
    """It is the key of the last row, whatever the key."""
    assert unpack_token(pack_token(place, home, record)) == (place, home, record)


@given(token=st.binary(min_size=1, max_size=60))
def test_any_other_bytes_are_no_page_token(token):
    """Clients send them back; some send something else."""
    with suppress(HuyingError):
        assert pack_token(*unpack_token(token)) == token


# Plans.


def plans(store: SqlStore, ask) -> list[str]:
    """What SQLite says it will do for each query that `ask` makes."""
    queries: list[tuple[str, tuple]] = []
    engine = store._engine

    def listen(_connection, _cursor, statement, parameters, *_):
        queries.append((statement, parameters))

    sqlalchemy_event.listen(engine, "before_cursor_execute", listen)
    ask()
    sqlalchemy_event.remove(engine, "before_cursor_execute", listen)
    with store.reading() as connection:
        return [
            " | ".join(
                row[3] for row in connection.exec_driver_sql("EXPLAIN QUERY PLAN " + sql, values)
            )
            for sql, values in queries
            if sql.startswith("SELECT")
        ]


TOKEN = pack_token(5, VILLAGE, b"r" * 16)
DUE_TOKEN = pack_token(5, VILLAGE, b"r" * 16, ascending=True)


@pytest.mark.parametrize(
    "ask",
    [
        lambda s: s.get_record(EVENT, VILLAGE, b"r" * 16),
        lambda s: s.list_records(EVENT, home=VILLAGE),
        lambda s: s.list_records(EVENT, home=VILLAGE, page_token=TOKEN),
        lambda s: s.list_records(EVENT, grid=GRID),
        lambda s: s.list_records(EVENT, page_token=TOKEN),
        lambda s: s.list_calls(department="住建局", page_token=TOKEN),
        lambda s: s.list_calls(open_only=True, page_token=TOKEN),
        lambda s: s.list_calls(stage=2, page_token=TOKEN),
        lambda s: s.list_calls(caller=TOWN, page_token=TOKEN),
        lambda s: s.list_calls(category="道路", page_token=TOKEN),
        lambda s: s.list_calls(department="住建局", open_only=True, page_token=TOKEN),
        lambda s: s.list_calls(order="deadline", page_token=DUE_TOKEN),
        lambda s: s.list_calls(order="deadline", department="住建局"),
        lambda s: s.list_calls(order="deadline", department="住建局", page_token=DUE_TOKEN),
        lambda s: s.list_calls(order="deadline", overdue_before_micros=5),
        lambda s: s.list_calls(order="deadline", department="住建局", overdue_before_micros=5),
        lambda s: s.due_timers(COUNTY, 5, 10),
        lambda s: s.get_call(b"r" * 16),
        lambda s: s.sequenced_steps(COUNTY, TOWN, b"r" * 16),
        lambda s: s.pending_proposals(COUNTY, 10),
        lambda s: s.entries(1, 5, 9),
        lambda s: s.checkpoints(1, 5, 9, newest_first=True, limit=3),
        lambda s: s.changes(identity(VILLAGE).origin, 0, 9),
    ],
)
def test_every_query_of_the_api_goes_by_an_index(network, ask):
    """A district has a quarter of a million events; a list must not read them all."""
    store = network.stores[COUNTY]
    found = plans(store, lambda: ask(store))
    assert found
    for plan in found:
        for line in plan.split(" | "):
            small = line.startswith(("SCAN feeds", "LIST SUBQUERY", "SCAN call_steps USING"))
            assert line.startswith("SEARCH") or small or "TEMP B-TREE" in line, plan
        assert "TEMP B-TREE" not in plan or "call_steps" in plan, plan


def test_a_list_of_everything_walks_the_key(network):
    """The first page of all records, or of all calls, sorts nothing."""
    store = network.stores[COUNTY]

    def ask() -> None:
        store.list_records(EVENT)
        store.list_calls()
        store.list_calls(open_only=True)
        store.list_calls(order="deadline")

    for plan in plans(store, ask):
        assert "TEMP B-TREE" not in plan


def test_loads_read_an_index_of_open_calls_alone(network):
    """It is asked by every scrape of the metrics; the table is not touched."""
    store = network.stores[COUNTY]
    (plan,) = plans(store, lambda: store.call_loads(COUNTY))
    assert plan == "SEARCH calls USING COVERING INDEX ix_calls_open_loads (sequencer=?)"
