"""A damaged store is mended from what stands in it, and the rest comes from a peer."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from huying.common.errors import Code
from huying.common.state import DAMAGED
from huying.node.integrity.salvage import is_readable, salvage
from huying.wire.v1 import calls_pb2, feed_pb2
from tests.support.tiny_network import (
    COUNTY,
    TOWN,
    VILLAGE,
    TinyNetwork,
    event,
    put,
    raise_call,
    resident,
    step,
)
from tests.unit.integrity.repair_cases import (
    CODES,
    EVENTS,
    FEED_ID,
    FEED_ROW,
    IN_FEED,
    VILLAGE_FEED,
    content,
    entries,
    entry,
    leaves,
    mend,
    network_in,
    roots,
    run_again,
    tamper,
    verdict,
)
from tests.unit.integrity.test_fsck import flip


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three databases after two blocks of events and a bit, two residents and a call."""
    folder = tmp_path_factory.mktemp("sound")
    network = network_in(folder)
    for start in range(0, EVENTS, 40):
        drafts = [put(feed_pb2.RECORD_TYPE_EVENT, event(i)) for i in range(start, start + 40)]
        network.append(VILLAGE, *drafts)
    network.append(VILLAGE, *(put(feed_pb2.RECORD_TYPE_RESIDENT, resident(i)) for i in range(2)))
    call = raise_call(network)
    dispatch = calls_pb2.Dispatch(department="住建局", deadline_micros=99)
    parties = (f"={TOWN}", f"={VILLAGE}")
    network.append(COUNTY, replace(step(call, dispatch=dispatch), to=parties))
    network.close()
    return folder


@pytest.fixture
def folder(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "nodes"))


# What is told again or derived: mended without anybody's help, to the last byte.
ALONE = {
    "frontier": (f"UPDATE feeds SET {flip('frontier')} WHERE {FEED_ROW}",),
    "size": (f"UPDATE feeds SET size = size - 3 WHERE {FEED_ROW}",),
    "head root": (f"UPDATE feeds SET {flip('head_root')} WHERE {FEED_ROW}",),
    "head note": (f"UPDATE feeds SET {flip('head_note')} WHERE {FEED_ROW}",),
    "name": (f"UPDATE feeds SET origin = replace(origin, 'e1', 'e3') WHERE {FEED_ROW}",),
    "code": (f"UPDATE feeds SET code = '370830108209', epoch = 4 WHERE {FEED_ROW}",),
    "counters": (f"UPDATE feeds SET openings_held = 7, entries_hidden = 9 WHERE {FEED_ROW}",),
    "classes": (f"UPDATE feeds SET classes = zeroblob(17) WHERE {FEED_ROW}",),
    "unreadable row": (f"UPDATE feeds SET rest = x'00' WHERE {FEED_ROW}",),
    "a subtree": (f"UPDATE subtrees SET {flip('hash')} WHERE {IN_FEED} AND idx = 1",),
    "all subtrees": (f"DELETE FROM subtrees WHERE {IN_FEED}",),
    "a subtree too many": (f"INSERT INTO subtrees VALUES ({FEED_ID}, 8, 77, zeroblob(32))",),
    "a checkpoint's root": (
        f"UPDATE checkpoints SET {flip('root')} WHERE {IN_FEED} AND size = 120",
    ),
    "an event's row": ("UPDATE events SET status = 2 WHERE idx = 5",),
    "all events": ("DELETE FROM events",),
    "calls": ("UPDATE calls SET stage = 5", "DELETE FROM call_steps WHERE step = 'raise'"),
    "journal": ("DELETE FROM statements",),
    "entries past the end": (
        f"INSERT INTO entries VALUES (({FEED_ID} << 40) + 5000, x'01', NULL, x'')",
    ),
    "rows of no feed": ("INSERT INTO checkpoints VALUES (99, 1, zeroblob(32), x'00')",),
}


@pytest.mark.parametrize("code", [COUNTY, VILLAGE])
@pytest.mark.parametrize("name", ALONE)
def test_what_follows_from_the_entries_is_made_anew(folder: Path, name: str, code: str) -> None:
    """Nobody has to be asked for what can be computed."""
    file = folder / f"{code}.db"
    before = content(file)
    try:
        tamper(file, *ALONE[name])
    except AssertionError:
        pytest.skip("this node has no such row")
    assert not verdict(file, code).ok
    report = mend(file, code)
    assert report.done
    assert verdict(file, code).problems == []
    after = content(file)
    if name == "journal":
        assert {row[:2] for row in after["statements"]} == {row[:2] for row in before["statements"]}
        del before["statements"], after["statements"]
    assert {table for table in before if before[table] != after[table]} == set()


@pytest.mark.parametrize("code", CODES)
def test_a_sound_store_is_left_alone(folder: Path, code: str) -> None:
    """Repairing twice, or for nothing, must not cost anything."""
    file = folder / f"{code}.db"
    before = content(file)
    report = mend(file, code)
    assert (report.done, report.left) == ([], [])
    assert content(file) == before


def test_an_own_leaf_is_made_anew_from_its_openings(folder: Path) -> None:
    """The own openings are all here, and the leaf is nothing but their commitments."""
    file = folder / f"{VILLAGE}.db"
    before = content(file)
    places = (17, 255, 256, 300, EVENTS + 1)
    tamper(file, *(f"UPDATE entries SET {flip('leaf')} WHERE {entry(index)}" for index in places))
    tamper(file, f"UPDATE entries SET leaf = NULL, leaf_hash = x'00' WHERE {entry(19)}")
    assert not verdict(file, VILLAGE).ok
    report = mend(file, VILLAGE)
    assert report.done[0].en.startswith("6 leaves made anew")
    assert report.left == []
    assert verdict(file, VILLAGE).problems == []
    assert content(file) == before


FETCHED = {
    "an opening": (f"UPDATE entries SET {flip('openings')} WHERE {entry(17)}",),
    "all openings of an entry": (f"UPDATE entries SET openings = x'' WHERE {entry(17)}",),
    "openings that do not parse": (f"UPDATE entries SET openings = x'0005' WHERE {entry(17)}",),
    "a leaf": (f"UPDATE entries SET {flip('leaf')} WHERE {entry(17)}",),
    "the last leaf of a block": (f"UPDATE entries SET {flip('leaf')} WHERE {entry(255)}",),
    "a leaf of the last block": (f"UPDATE entries SET {flip('leaf')} WHERE {entry(EVENTS - 1)}",),
    "an entry": (f"DELETE FROM entries WHERE {entry(300)}",),
    "the first entry": (f"DELETE FROM entries WHERE {entry(0)}",),
    "a page": (f"DELETE FROM entries WHERE {entries(240, 280)}",),
    "leaf and opening": (
        f"UPDATE entries SET {flip('leaf')}, {flip('openings')} WHERE {entry(99)}",
    ),
    "leaf, opening and projection": (
        f"UPDATE entries SET {flip('leaf')}, {flip('openings')} WHERE {entry(99)}",
        "UPDATE events SET grid = 'x' WHERE idx BETWEEN 90 AND 110",
    ),
    "a leaf and a subtree": (
        f"UPDATE entries SET {flip('leaf')} WHERE {entry(99)}",
        f"UPDATE subtrees SET {flip('hash')} WHERE {IN_FEED} AND idx = 0",
    ),
    "the tail": (f"DELETE FROM entries WHERE {entry(EVENTS)}",),
}


@pytest.mark.parametrize("code", [COUNTY, TOWN])
@pytest.mark.parametrize("name", FETCHED)
def test_a_copy_gets_back_from_its_peer_what_its_disk_lost(
    folder: Path, name: str, code: str
) -> None:
    """P9, to the end: damage, repair, run, and the copy is what it was."""
    file = folder / f"{code}.db"
    before = leaves(file)
    tamper(file, *FETCHED[name])
    assert not verdict(file, code).ok
    mend(file, code)

    def at_the_end(network: TinyNetwork) -> None:
        assert len(roots(network)) == 1
        assert not any(engine.replica.missing for engine in network.engines.values())

    run_again(folder, at_the_end)
    assert verdict(file, code).problems == []
    assert leaves(file) == before


@pytest.mark.parametrize("name", FETCHED)
def test_the_own_feed_gets_back_what_others_hold_and_names_the_rest(
    folder: Path, name: str
) -> None:
    """The own feed is never rewound: it keeps its size, and goes on."""
    file = folder / f"{VILLAGE}.db"
    before = leaves(file)
    if name == "a leaf and a subtree":
        pytest.skip("mended on the spot: the openings give the leaf, the leaves the tree")
    tamper(file, *FETCHED[name])
    mend(file, VILLAGE)

    def at_the_end(network: TinyNetwork) -> None:
        assert len(roots(network)) == 1
        network.append(VILLAGE, put(feed_pb2.RECORD_TYPE_EVENT, event(9000)))
        assert len(roots(network)) == 1

    run_again(folder, at_the_end)
    found = verdict(file, VILLAGE)
    assert found.problems == []
    assert found.entries_damaged == 0
    after = leaves(file)[:-1]
    assert len(after) == len(before)
    changed = [
        index for index, (one, other) in enumerate(zip(before, after, strict=True)) if one != other
    ]
    # What just the village may read is gone where its only copy was; the rest is as it was.
    assert found.openings_lost == 0 or changed
    for index in changed:
        assert before[index][0] == after[index][0] or after[index][0] is None


def test_the_own_feed_is_never_rewound(folder: Path) -> None:
    """Others hold what it signed: it keeps its size, goes on, and says that it is not sound."""
    file = folder / f"{VILLAGE}.db"
    tamper(
        file,
        f"DELETE FROM entries WHERE {entry(99)}",
        f"UPDATE subtrees SET {flip('hash')} WHERE {IN_FEED} AND idx = 0",
    )
    report = mend(file, VILLAGE)
    assert report.left

    def at_the_end(network: TinyNetwork) -> None:
        assert network.engines[VILLAGE].replica.own.size == EVENTS + 2
        assert network.engines[VILLAGE].state == "live"
        (receipt,) = network.append(VILLAGE, put(feed_pb2.RECORD_TYPE_EVENT, event(9000)))
        assert receipt.index == EVENTS + 2
        assert len(roots(network)) == 1

    run_again(folder, at_the_end)
    assert verdict(file, VILLAGE).entries_damaged > 0


def test_what_nobody_holds_of_the_own_feed_is_told_once_and_stays_listed(folder: Path) -> None:
    """An operator has to hear that something is gone for good; the feed goes on."""
    file = folder / f"{VILLAGE}.db"
    private = f"UPDATE entries SET openings = x'' WHERE {entry(EVENTS)}"  # a resident
    tamper(file, private)
    mend(file, VILLAGE)

    def at_the_end(network: TinyNetwork) -> None:
        engine = network.engines[VILLAGE]
        assert engine.failures["", Code.LOST] == 1
        (row,) = engine.replica.missing[VILLAGE_FEED]
        assert (row.start, row.stop) == (EVENTS, EVENTS + 1)

    run_again(folder, at_the_end)
    found = verdict(file, VILLAGE)
    assert found.problems == []
    assert found.openings_lost > 0


def test_nothing_that_does_not_fold_to_what_was_signed_is_taken(folder: Path) -> None:
    """A peer that answers with other leaves is refused, and the question stands."""
    file = folder / f"{TOWN}.db"
    tamper(file, f"DELETE FROM entries WHERE {entry(17)}")
    mend(file, TOWN)
    wrong = f"UPDATE entries SET {flip('leaf')} WHERE {entry(30)}"
    tamper(folder / f"{VILLAGE}.db", wrong)

    def at_the_end(network: TinyNetwork) -> None:
        (row,) = [
            row
            for row in network.engines[TOWN].replica.missing[VILLAGE_FEED]
            if row.name == DAMAGED
        ]
        assert row.start <= 17 < row.stop
        assert network.engines[TOWN].failures[VILLAGE, Code.BAD_PROOF] > 1

    run_again(folder, at_the_end)


@pytest.mark.parametrize("which", ["the first", "entries", "the last"])
def test_damaged_pages_are_left_behind_and_their_rows_fetched(folder: Path, which: str) -> None:
    """A sector that reads as zeros must not cost more than what was in it."""
    file = folder / f"{TOWN}.db"
    data = bytearray(file.read_bytes())
    size = len(data) // 4096
    number = {"the first": 0, "entries": size // 2, "the last": size - 1}[which]
    data[number * 4096 : (number + 1) * 4096] = bytes(4096)
    file.write_bytes(data)
    assert not is_readable(file)
    aside, count = salvage(file, 0.0)
    assert aside.read_bytes() == bytes(data)
    assert count > EVENTS / 2
    mend(file, TOWN)
    run_again(folder)
    assert verdict(file, TOWN).problems == []
    assert len(leaves(file)) == EVENTS + 2
