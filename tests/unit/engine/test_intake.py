"""Steps 5 and 6: each entry is judged by itself, and one bad entry stops nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huying.common.errors import Code
from huying.common.feed.leaf import make_opening, unpack_openings
from huying.common.intake import Intake, Reader, judge
from huying.common.state import ClassMark
from huying.wire.v1 import calls_pb2, feed_pb2, records_pb2
from tests.support.handmade import HandmadeFeed, an_event, flip
from tests.support.tiny_network import COUNTY, TOWN, VILLAGE

READABLE = bytes((0, 3, 4))  # of a village's event, at the town


def take(
    feed: HandmadeFeed, reader: str = TOWN, marks: dict[str, ClassMark] | None = None
) -> Intake:
    """Everything of a feed, with the openings as they are in it."""
    entries = list(zip(feed.leaves, feed.openings, strict=True))
    who = Reader(reader, feed.origin, 1)
    return judge(who, 0, entries, feed.hashes, marks or {}, now=5.0)


def village(count: int = 0) -> HandmadeFeed:
    """A village's feed as its town may have it."""
    feed = HandmadeFeed(VILLAGE)
    for number in range(count):
        put(feed, an_event(number))
    return feed


def put(feed: HandmadeFeed, *args, **kwargs) -> int:
    index = feed.put(*args, **kwargs)
    feed.openings[index] = [o for o in feed.openings[index] if o[0] in READABLE]
    return index


def held_slots(result: Intake, index: int) -> bytes:
    return bytes(opening[0] for opening in unpack_openings(result.stored[index].openings))


def test_an_honest_feed_is_applied_whole_and_nothing_is_missing() -> None:
    """The common case."""
    result = take(village(5))
    assert [entry.index for entry in result.applied] == [0, 1, 2, 3, 4]
    assert result.classes == {TOWN: ClassMark(5, 4)}
    assert not result.missing
    assert not result.quarantined
    assert not result.breaches + result.mismatches
    assert all(held_slots(result, index) == READABLE for index in range(5))


@pytest.mark.parametrize("slot", [3, 4])
def test_a_flipped_byte_in_an_opening_drops_it_and_the_entry_lacks_it(slot: int) -> None:
    """It is asked for again; the rest of the entry counts."""
    feed = village(3)
    at = list(READABLE).index(slot)
    honest = feed.openings[1][at]
    for byte in range(1, len(honest), 5):
        feed.openings[1][at] = flip(honest, byte)
        result = take(feed)
        assert result.mismatches == 1
        assert [(row.start, row.slots) for row in result.missing] == [(1, bytes((slot,)))]
        assert slot not in held_slots(result, 1)
        assert [entry.index for entry in result.applied] == [0, 1, 2]


def test_a_flipped_head_leaves_the_entry_opaque_and_wanted() -> None:
    """Without its head nobody can say who may read an entry, so nothing of it is kept."""
    feed = village(3)
    feed.openings[1][0] = flip(feed.openings[1][0])
    result = take(feed)
    assert held_slots(result, 1) == b""
    assert (1, 2, READABLE) in [(row.start, row.stop, row.slots) for row in result.missing]
    assert [entry.index for entry in result.applied] == [0, 2]


def test_an_opening_twice_or_of_no_slot_is_dropped_and_counted() -> None:
    """The second of two is not looked at."""
    feed = village(1)
    feed.openings[0] = [
        *feed.openings[0],
        feed.openings[0][2],
        make_opening(9, bytes(16), b"x"),
        b"",
        b"\x03short",
    ]
    result = take(feed)
    assert result.mismatches == 4
    assert held_slots(result, 0) == READABLE
    assert [entry.index for entry in result.applied] == [0]


def test_an_opening_that_this_node_must_not_have_is_dropped_before_storage() -> None:
    """A breach is the sender's; the receiver keeps no trace of it."""
    feed = HandmadeFeed(VILLAGE)
    feed.put(an_event())
    result = take(feed)
    assert result.breaches == 2
    assert held_slots(result, 0) == READABLE
    assert b"13800000000" not in result.stored[0].openings
    assert isinstance(result.applied[0].message, records_pb2.Event)
    assert not result.applied[0].message.reporter_phone


@pytest.mark.parametrize("readable", [b"\x00", b"\x00\x03", b""])
def test_a_slot_that_the_rule_allows_and_nobody_opened_is_missing(readable: bytes) -> None:
    """The leaf shows every slot, so a dropped opening can't be passed over in silence."""
    feed = village(1)
    feed.openings[0] = [o for o in feed.openings[0] if o[0] in readable]
    result = take(feed)
    wanted = bytes(slot for slot in READABLE if slot not in readable)
    assert [(row.start, row.slots) for row in result.missing] == [(0, wanted)]


def test_the_county_misses_nothing_of_what_stays_in_the_town() -> None:
    """Withheld by rule is not missing."""
    feed = HandmadeFeed(VILLAGE)
    feed.put()
    feed.openings[0] = [o for o in feed.openings[0] if o[0] in (0, 3)]
    result = take(feed, COUNTY)
    assert not result.missing
    assert not result.breaches
    assert result.openings_withheld > 0


POISON = {
    "undecodable leaf": (Code.BAD_LEAF, lambda feed: feed.add(b"\x02nonsense", [])),
    "leaf level": (Code.BAD_LEAF, lambda feed: feed.add(b"\x01\x01\x00" + bytes(31), [])),
    "undecodable head": (Code.BAD_HEAD, lambda feed: put(feed, head=b"\xff\xff\xff")),
    "numbers for no class": (Code.BAD_HEAD, lambda feed: put(feed, seen=[1, 2, 3, 4])),
    "number ahead": (Code.BAD_HEAD, lambda feed: put(feed, seen=[900, 900])),
    "time": (Code.BAD_HEAD, lambda feed: put(feed, time_micros=2**64 - 1)),
    "unknown type": (Code.UNKNOWN_TYPE, lambda feed: put(feed, type_=4242)),
    "type of another tier": (
        Code.TYPE_NOT_ALLOWED,
        lambda feed: put(
            feed,
            calls_pb2.Call(sequencer=COUNTY, category="x"),
            type_=feed_pb2.RECORD_TYPE_CALL,
        ),
    ),
    "kind": (Code.TYPE_NOT_ALLOWED, lambda feed: put(feed, kind=feed_pb2.KIND_ROSTER)),
    "wrong region": (
        Code.WRONG_REGION,
        lambda feed: put(feed, records_pb2.Event(category="x", grid="370830101201001")),
    ),
    "integer": (
        Code.BAD_RECORD,
        lambda feed: put(feed, records_pb2.Event(category="x", reported_micros=2**63)),
    ),
    "undecodable body": (Code.BAD_RECORD, lambda feed: put(feed, bodies=[(3, b"\xff"), (4, b"")])),
}


@pytest.mark.parametrize("name", POISON)
def test_a_bad_entry_is_quarantined_under_its_own_name_and_the_rest_goes_on(name: str) -> None:
    """One bad entry never stops a feed."""
    code, poison = POISON[name]
    feed = village(2)
    poison(feed)
    assert len(feed.leaves) == 3
    for number in range(2):
        put(feed, an_event(number))
    result = take(feed)
    assert [(index, found) for index, found, _ in result.quarantined] == [(2, code)]
    assert len(result.stored) == 5
    assert [entry.index for entry in result.applied] == [0, 1, 3, 4]


@given(st.lists(st.sampled_from([None, *POISON]), min_size=1, max_size=21))
def test_whatever_is_mixed_in_the_good_entries_are_applied_and_all_are_stored(
    plan: list[str | None],
) -> None:
    """Poison at every index."""
    feed = village()
    for step in plan:
        if step is None:
            put(feed)
        else:
            POISON[step][1](feed)
    result = take(feed)
    good = [index for index, step in enumerate(plan) if step is None]
    assert [entry.index for entry in result.applied] == good
    assert {index for index, _, _ in result.quarantined} == set(range(len(plan))) - set(good)
    assert len(result.stored) == len(plan)


def test_a_gap_in_the_running_numbers_names_where_the_hidden_entries_stand() -> None:
    """A relay that hides an entry whole is seen by the next one."""
    feed = village(5)
    who = Reader(TOWN, feed.origin, 1)
    entries: list[tuple[bytes | None, list[bytes]]] = [
        (None if index in (1, 2) else leaf, [] if index in (1, 2) else openings)
        for index, (leaf, openings) in enumerate(zip(feed.leaves, feed.openings, strict=True))
    ]
    result = judge(who, 0, entries, feed.hashes, {}, now=5.0)
    assert result.hidden == 2
    (gap,) = result.missing
    assert (gap.start, gap.stop, gap.name, gap.first, gap.last) == (1, 3, TOWN, 2, 3)
    assert gap.since == 5.0


def test_a_number_used_twice_is_quarantined_and_not_applied() -> None:
    """An origin that numbers two entries the same can hide neither behind the other."""
    feed = village(2)
    put(feed, seen=[2, 2])
    result = take(feed)
    assert [(i, code) for i, code, _ in result.quarantined] == [(2, Code.NUMBER_REUSED)]
    assert [entry.index for entry in result.applied] == [0, 1]
    assert not result.missing


def test_numbers_go_on_from_the_segment_before() -> None:
    """The reader's marks are kept with the feed."""
    feed = village(1)
    feed.numbers = {TOWN: 4, COUNTY: 4}
    put(feed, seen=[2, 2])
    result = take(feed, marks={TOWN: ClassMark(0, -1)})
    assert not result.missing
    assert result.classes[TOWN] == ClassMark(2, 1)
