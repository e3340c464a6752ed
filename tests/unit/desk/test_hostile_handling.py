"""Words about events that no honest town writes, and stores that lost or altered one.

A town must not reach beyond its own villages, and nobody else may speak as a town.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic import command

from huying.common.errors import Code
from huying.node.integrity.fsck import check
from huying.node.store import feed_walk
from huying.node.store.database import sqlite_url
from huying.node.store.projection_rebuild import rebuild
from huying.node.store.store import SqlStore
from huying.node.web.events.handling_versions import words_of
from huying.wire.v1 import events_pb2
from tests.support.handmade import HandmadeFeed, Host
from tests.support.late_network import refusal
from tests.support.older_program import an_older_program
from tests.support.tiny_network import COUNTY, TOWN, VILLAGE, identity, put
from tests.unit.calls.test_call_life_tables import migrate_to
from tests.unit.desk.event_network import (
    ASSIGNED,
    ENDED,
    EVERYBODY,
    FAR,
    HANDLING,
    OTHER,
    REPORTED,
    SETTLED,
    TAKEN,
    EventNetwork,
    handling,
)


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Iterator[EventNetwork]:
    made = EventNetwork(monkeypatch)
    yield made
    made.close()


RECORD = b"\x01" * 16


@pytest.mark.parametrize(
    ("writer", "fields", "code"),
    [
        (COUNTY, {}, Code.TYPE_NOT_ALLOWED),
        (TOWN, {"event_home": FAR}, Code.WRONG_REGION),
        (TOWN, {"event_home": TOWN}, Code.WRONG_REGION),
        (TOWN, {"event_home": COUNTY}, Code.WRONG_REGION),
        (TOWN, {"event": b"\x02" * 16}, Code.BAD_RECORD),
        (TOWN, {"event": b"short"}, Code.BAD_RECORD),
        (TOWN, {"version_index": 2**64 - 1}, Code.BAD_RECORD),
    ],
)
def test_a_hostile_word_is_quarantined(writer: str, fields: dict[str, Any], code: Code) -> None:
    """At the village, whoever above it wrote it: no row, no end of an event."""
    store = SqlStore.open()
    host, feed = Host(VILLAGE, store=store), HandmadeFeed(writer)
    message = handling(RECORD, **fields)
    # As at any tier that may write it, where the writer may not.
    bodies = [(0x83, message.SerializeToString())]
    feed.put(message, type_=HANDLING, record=RECORD, to=(f"={VILLAGE}",), bodies=bodies)
    link, _ = host.link(TOWN)
    host.hear(link, feed.segment(0, 1))
    assert host.size(feed) == 1
    held = host.engine.replica.feeds[feed.origin]
    assert [row[1] for row in host.store.quarantined(held.feed_id, 0, 1)] == [code]
    assert store.event_handling(VILLAGE, RECORD) is None


def test_a_word_that_an_older_program_quarantined_counts_after_the_upgrade(tmp_path: Path) -> None:
    """A village that is upgraded after its town must not miss what was said meanwhile."""
    path = tmp_path / "node.db"
    store = SqlStore.open(sqlite_url(path))
    host, feed = Host(VILLAGE, store=store), HandmadeFeed(TOWN)
    feed.put(handling(RECORD), type_=HANDLING, record=RECORD, to=(f"={VILLAGE}",))
    link, _ = host.link(TOWN)
    with an_older_program(lambda message: isinstance(message, events_pb2.EventHandling)):
        host.hear(link, feed.segment(0, 1))
    assert store.event_handling(VILLAGE, RECORD) is None
    store.close()
    migrate_to(path, "0011", command.downgrade)
    store = SqlStore.open(sqlite_url(path))
    row = store.event_handling(VILLAGE, RECORD)
    assert row is not None
    assert row.handling == handling(RECORD)
    words = words_of(store, row)
    assert [one.handling for one in words.found] == [row.handling], "its history tells it as well"
    assert words.is_whole
    assert check(store).problems == []
    store.close()


def test_a_word_that_names_no_version_of_the_event_settles_nothing(network: EventNetwork) -> None:
    """A place that is yet to come would undo every reopening that follows."""
    record, other = network.report(), network.report()
    places: list[dict[str, Any]] = [
        {"version_index": 10_000},
        {"version_origin": identity(TOWN).origin},
        {"version_origin": "not an origin"},
        {"version_index": network.size() - 1},  # the other event's
    ]
    for number, place in enumerate(places, 1):
        draft = put(HANDLING, handling(record, number=number, **place), record, (f"={VILLAGE}",))
        network.append(TOWN, draft)
        assert network.settle() == 0
    assert network.event(record).status == network.event(other).status == REPORTED


def test_words_without_end_have_the_feed_read_once(
    network: EventNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A village's small machine must not read its whole feed for each line that a town sends."""
    read: list[int] = []
    found = feed_walk.entries_about

    def counted(reader: Any, feed: Any, start: int, stop: int, record: bytes) -> Any:
        read.append(stop - start)
        return found(reader, feed, start, stop, record)

    monkeypatch.setattr("huying.node.events.later_ends.entries_about", counted)
    record = network.report()
    first, oldest = network.report(record=record), network.size() - 1
    for _ in range(20):
        network.report()
    network.report(record=record, status=ENDED)
    network.report(record=record)
    for _ in range(20):
        network.report()
    network.report(record=first)  # not the end of it yet, and far from the last end
    for number in range(1, 6):
        for index in (10_000, oldest, oldest + 1, 0):
            word = handling(record, number=number, version_index=index)
            network.append(TOWN, put(HANDLING, word, record, (f"={VILLAGE}",)))
            assert network.settle() == 0
    assert sorted(read)[-2] == 1, "just one of twenty words had more than its own place read"
    assert max(read) > 20


def test_the_id_of_a_siblings_event_serves_nobody(network: EventNetwork) -> None:
    """A village that reports another one's id can't push the town's word about that aside."""
    record = network.report()
    network.say(record, ASSIGNED, "去看")
    network.report(OTHER, record)
    error = refusal(lambda: network.say(record, TAKEN, home=OTHER))
    assert error.code is Code.INVALID_ARGUMENT
    found = network.word(record, at=COUNTY)
    assert found is not None
    assert found.text == "去看"


def test_the_table_is_the_same_when_it_is_made_again_from_the_entries(
    network: EventNetwork,
) -> None:
    """A repair of a store loses no word, and the check of a store sees one that was altered."""
    first, second = network.report(), network.report()
    network.say(first, TAKEN)
    network.say(second, SETTLED, "已修")
    network.settle()
    for code in EVERYBODY:
        store = network.stores[code]
        keys = [(VILLAGE, first), (VILLAGE, second)]
        before = store.event_handlings(keys)
        assert len(before) == (2 if code in (COUNTY, TOWN, VILLAGE) else 0)
        with store.transaction():
            rebuild(store)
        assert store.event_handlings(keys) == before
        assert check(store).problems == []
    town = network.stores[TOWN]
    with town.reading() as connection:
        connection.exec_driver_sql("UPDATE event_handlings SET number = 7")
    assert any("event_handlings" in str(one) for one in check(town).problems)
