"""fsck finds whatever was changed behind the node's back, and nothing in a store that is well."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from huying.node.integrity import fsck
from huying.node.integrity.fsck_report import FsckReport
from huying.node.store import database
from huying.node.store.store import SqlStore
from huying.wire.v1 import calls_pb2, feed_pb2
from tests.support.tiny_network import (
    COUNTY,
    TOWN,
    VILLAGE,
    TinyNetwork,
    event,
    identity,
    put,
    raise_call,
    resident,
    step,
)

VILLAGE_FEED = identity(VILLAGE).origin
KEYS = {identity(code).origin: identity(code).feed_signer.key for code in (COUNTY, TOWN, VILLAGE)}


@pytest.fixture(scope="module")
def images() -> dict[str, bytes]:
    """The three nodes' databases after 300 events, two residents and a call."""
    network = TinyNetwork()
    for start in range(0, 300, 50):
        drafts = [put(feed_pb2.RECORD_TYPE_EVENT, event(i)) for i in range(start, start + 50)]
        network.append(VILLAGE, *drafts)
    network.append(VILLAGE, *(put(feed_pb2.RECORD_TYPE_RESIDENT, resident(i)) for i in range(2)))
    call = raise_call(network)
    dispatch = calls_pb2.Dispatch(department="住建局", deadline_micros=99)
    parties = (f"={TOWN}", f"={VILLAGE}")
    network.append(COUNTY, replace(step(call, dispatch=dispatch), to=parties))
    images = {code: store.image() for code, store in network.stores.items()}
    network.close()
    return images


@pytest.fixture
def store(images) -> Iterator[SqlStore]:
    """The county's store, which holds the village's feed in part."""
    store = SqlStore.open(template=images[COUNTY])
    yield store
    store.close()


def tamper(store: SqlStore, sql: str) -> FsckReport:
    """Change the database as a fault or an intruder would, and check it."""
    with store.reading() as connection:
        assert database.raw_connection(connection).execute(sql).rowcount == 1
    return check(store)


@pytest.mark.parametrize("code", [COUNTY, TOWN, VILLAGE])
def test_a_store_that_is_well_has_no_problem(images, code):
    """A false alarm would teach people to ignore the true one."""
    store = SqlStore.open(template=images[code])
    report = check(store, code)
    assert report.problems == []
    assert report.ok
    assert report.feeds == 3
    assert report.entries_checked == sum(feed.size for feed in store.feeds())
    assert report.openings_checked > report.entries_checked
    assert report.checkpoints_checked >= 8
    assert report.signatures_checked >= report.checkpoints_checked
    assert report.rows_checked > 300
    store.close()


def test_an_empty_store_is_well():
    """A node is checked before it has written anything, too."""
    store = SqlStore.open()
    assert check(store).ok
    store.close()


WITNESSES = [identity(code).witness_signer.key for code in (COUNTY, TOWN, VILLAGE)]


def check(store: SqlStore, code: str = COUNTY) -> FsckReport:
    return fsck.check(store, KEYS, WITNESSES, code)


IN_FEED = f"feed_id = (SELECT feed_id FROM feeds WHERE origin = '{VILLAGE_FEED}')"
FEED_ID = f"(SELECT feed_id FROM feeds WHERE origin = '{VILLAGE_FEED}')"
FIRST_ENTRY = f"place = {FEED_ID} << 40"
ENTRY_17 = f"place = ({FEED_ID} << 40) + 17"
IN_FEED_ENTRIES = f"place >> 40 = {FEED_ID}"
FEED_ROW = f"origin = '{VILLAGE_FEED}'"
ONE_EVENT = "record = (SELECT min(record) FROM events)"
FLIPPED = "CAST(substr({0}, 1, 20) || x'5a' || substr({0}, 22) AS BLOB)"


def flip(column: str) -> str:
    return f"{column} = {FLIPPED.format(column)}"


@pytest.mark.parametrize(
    ("sql", "found"),
    [
        (f"UPDATE entries SET {flip('leaf')} WHERE {ENTRY_17}", "another root"),
        (
            f"UPDATE entries SET {flip('openings')} WHERE {ENTRY_17}",
            "not the one signed",
        ),
        (f"UPDATE entries SET openings = x'0005' WHERE {ENTRY_17}", "do not parse"),
        (f"UPDATE entries SET openings = x'' WHERE {ENTRY_17}", "openings held"),
        (f"UPDATE entries SET leaf = 7 WHERE {ENTRY_17}", "is not bytes"),
        (f"UPDATE entries SET openings = 'x' WHERE {ENTRY_17}", "is not bytes"),
        (f"UPDATE feeds SET rest = 5 WHERE {FEED_ROW}", "list of feeds can't be read"),
        ("UPDATE calls SET stage = 'x'", "differs in stage"),
        (f"DELETE FROM entries WHERE {ENTRY_17}", "1 entries of [0, 302) are gone"),
        (f"UPDATE feeds SET size = size - 1 WHERE {FEED_ROW}", "past the size"),
        (f"UPDATE feeds SET {flip('frontier')} WHERE {FEED_ROW}", "frontier is not"),
        (f"UPDATE feeds SET {flip('head_root')} WHERE {FEED_ROW}", "signed root"),
        (f"UPDATE feeds SET {flip('head_note')} WHERE {FEED_ROW}", "the note of size 302"),
        (f"UPDATE feeds SET {flip('cosigned_root')} WHERE origin LIKE '%{TOWN}%'", "another root"),
        (f"UPDATE feeds SET openings_withheld = 0 WHERE {FEED_ROW}", "openings withheld"),
        (f"UPDATE feeds SET entries_hidden = 9 WHERE {FEED_ROW}", "entries hidden"),
        (f"UPDATE feeds SET classes = zeroblob(17) WHERE {FEED_ROW}", "class  stands at"),
        (f"UPDATE subtrees SET {flip('hash')} WHERE {IN_FEED}", "a subtree of level 8"),
        (f"DELETE FROM subtrees WHERE {IN_FEED}", "a subtree of level 8"),
        (
            f"UPDATE checkpoints SET {flip('root')} WHERE {IN_FEED} AND size = 100",
            "the checkpoint of size 100",
        ),
        (
            f"UPDATE checkpoints SET {flip('note')} WHERE {IN_FEED} AND size = 100",
            "the note of size 100",
        ),
        (f"UPDATE events SET status = 2 WHERE {ONE_EVENT}", "differs in status"),
        (f"UPDATE events SET slots = x'0001' WHERE {ONE_EVENT}", "differs in slots"),
        (f"DELETE FROM events WHERE {ONE_EVENT}", "events does not know of it"),
        (f"UPDATE events SET idx = 9000 WHERE {ONE_EVENT}", "differs in idx"),
        ("DELETE FROM call_steps WHERE step = 'raise'", "call_steps does not know of it"),
        ("UPDATE calls SET department = '公安局'", "calls has a row that differs in department"),
        ("UPDATE calls SET stage = 5", "differs in stage"),
        ("UPDATE calls SET sequencer = home", "differs in sequencer"),
    ],
)
def test_every_change_is_found_and_named(store, sql, found):
    """P9: corruption is found before it is served, and the operator is told where."""
    report = tamper(store, sql)
    assert not report.ok
    assert any(found in problem for problem in report.problems), report.problems


def test_one_damaged_feed_does_not_hide_another(store):
    """The walk along one feed ends where entries are gone; the others are still checked."""
    tamper(store, f"DELETE FROM entries WHERE {FIRST_ENTRY}")
    report = tamper(store, f"UPDATE feeds SET {flip('head_root')} WHERE origin LIKE '%{TOWN}%'")
    assert {VILLAGE_FEED, identity(TOWN).origin} <= {p.split(": ")[0] for p in report.problems}


def test_a_wrong_key_is_a_problem_of_every_checkpoint(store):
    """Nothing here trusts the keys that the store itself holds."""
    strange = {VILLAGE_FEED: identity(TOWN).feed_signer.key}
    report = fsck.check(store, strange)
    assert report.problem_count >= 7


def test_problems_are_counted_beyond_those_kept(store, monkeypatch):
    """A store damaged all over must not fill the memory with its complaints."""
    monkeypatch.setattr("huying.node.integrity.fsck_report.PROBLEMS_SHOWN_MAX", 3)
    with store.reading() as connection:
        raw = database.raw_connection(connection)
        raw.execute(f"UPDATE entries SET {flip('openings')} WHERE {IN_FEED_ENTRIES}")
    report = check(store)
    assert len(report.problems) == 3
    assert report.problem_count > 300
