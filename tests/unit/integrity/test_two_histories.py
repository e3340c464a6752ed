"""An origin that shows two readers two histories: where their copies meet, both alarm, with proof.

Who reads one feed over one line compares by itself. Siblings exchange nothing, so two towns that
are told two things find out when somebody compares a note of one with what the other holds.
"""

from __future__ import annotations

import pytest

from huying.common.effects import Direction, Input, LinkUp, Operate, Received
from huying.common.errors import Code, HuyingError
from huying.common.integrity.comparison import Compared, CompareNote
from huying.common.integrity.evidence import ForkEvidence
from huying.common.status import FeedHealth
from tests.support.handmade import HandmadeFeed, Host
from tests.support.tiny_network import COUNTY, TOWN, VILLAGE

FOR_TOWN = b"\x00\x03\x04"
FOR_COUNTY = b"\x00\x03"


def two_histories(code: str, common: int = 2) -> tuple[HandmadeFeed, HandmadeFeed]:
    """Eight entries and five, of which the first `common` are the same."""
    first, second = HandmadeFeed(code), HandmadeFeed(code)
    for feed, micros, count in ((first, 7, 8), (second, 9, 5)):
        for index in range(count):
            to = (f"{COUNTY}/*",) if code == COUNTY else ()
            feed.put(time_micros=index if index < common else micros, to=to)
    return first, second


def health(host: Host, feed: HandmadeFeed) -> FeedHealth:
    found = [one for one in host.engine.status().feeds if one.origin == feed.origin]
    return found[0].health


def evidence_at(host: Host, feed: HandmadeFeed) -> ForkEvidence:
    """What is kept; it proves itself to whoever has the origin's key."""
    found = ForkEvidence.decode(host.engine.replica.feeds[feed.origin].frozen)
    found.verify(feed.identity.feed_signer.key)
    return found


def join(child: Host, parent: Host, number: int = 90) -> None:
    """Link two engines, and pass frames on until both have said all."""
    waiting: list[tuple[Host, Input]] = [
        (parent, LinkUp(number, child.code, Direction.DOWN)),
        (child, LinkUp(number, parent.code, Direction.UP)),
    ]
    for _ in range(400):
        if not waiting:
            return
        host, one = waiting.pop(0)
        other = parent if host is child else child
        for link, frame in host.step(one):
            if link == number:
                waiting.append((other, Received(number, frame.SerializeToString())))
    raise AssertionError("the two never fall silent")


def operate(host: Host, note: bytes) -> Compared:
    host.step(Operate("compare", CompareNote(note)))
    done = host.operated[-1]
    if done.error is not None:
        raise done.error
    assert isinstance(done.result, Compared)
    return done.result


@pytest.mark.parametrize("swapped", [False, True], ids=["town holds more", "county holds more"])
def test_a_village_that_tells_town_and_county_two_things_is_found_out_when_they_meet(
    swapped: bool,
) -> None:
    """The other history came by another way, as on a stick; the next greeting brings it out."""
    more, less = two_histories(VILLAGE)
    at_town, at_county = (less, more) if swapped else (more, less)
    town, county = Host(TOWN), Host(COUNTY)
    town.wait(11)
    join(town, county, 70)  # the county learns the village's key
    stick, _ = county.link(TOWN)
    county.hear(stick, at_county.segment(0, len(at_county.leaves), readable=FOR_COUNTY))
    assert county.size(at_county) == len(at_county.leaves)
    link, _ = town.link(VILLAGE)
    town.hear(link, at_town.segment(0, len(at_town.leaves), readable=FOR_TOWN))
    assert {Code.FORK} & (town.codes() | county.codes()) == set()

    join(town, county)
    for host in (town, county):
        assert Code.FORK in host.codes(), host.code
        assert health(host, more) is FeedHealth.FORKED, host.code
        evidence_at(host, more)


def test_two_histories_that_agree_so_far_are_one() -> None:
    """Whoever holds less is behind, and nobody is accused."""
    town, county = Host(TOWN), Host(COUNTY)
    feed = HandmadeFeed(VILLAGE).put_many(8)
    town.wait(11)
    join(town, county, 70)
    stick, _ = county.link(TOWN)
    county.hear(stick, feed.segment(0, 3, size=3, readable=FOR_COUNTY))
    link, _ = town.link(VILLAGE)
    town.hear(link, feed.segment(0, 8, readable=FOR_TOWN))
    join(town, county)
    assert county.size(feed) == 8
    assert Code.FORK not in town.codes() | county.codes()


# --- two towns ---------------------------------------------------------------------------------


def two_towns() -> tuple[Host, HandmadeFeed, Host, HandmadeFeed]:
    """Two readers below one county, each with a history of its own."""
    first, second = Host(TOWN), Host(TOWN)
    histories = two_histories(COUNTY)
    for host, feed in zip((first, second), histories, strict=True):
        link, _ = host.link(COUNTY)
        host.hear(link, feed.segment(0, len(feed.leaves)))
        assert host.size(feed) == len(feed.leaves)
        host.alarms.clear()
    return first, histories[0], second, histories[1]


def test_two_towns_that_are_told_two_things_see_nothing_until_somebody_compares() -> None:
    """What can't be seen from one place: each history is signed, whole and consistent."""
    first, one, second, other = two_towns()
    first.wait(600)
    second.wait(600)
    assert Code.FORK not in first.codes() | second.codes()
    assert health(first, one) is not FeedHealth.FORKED
    assert health(second, other) is not FeedHealth.FORKED


@pytest.mark.parametrize("swapped", [False, True], ids=["holds more", "holds less"])
def test_a_note_carried_from_one_town_to_the_other_proves_it_at_both(swapped: bool) -> None:
    """Either of them may be the one that holds more: then it proves it, else it keeps the note."""
    first, one, second, other = two_towns()
    if swapped:
        first, one, second, other = second, other, first, one
    found = operate(first, other.note())
    if not swapped:
        assert found.evidence is not None
        assert Code.FORK in first.codes()
        assert health(first, one) is FeedHealth.FORKED
        carried = (found.evidence.first, found.evidence.second)
        results = [operate(second, note) for note in carried]
        assert any(result.evidence is not None for result in results) or any(
            not result.is_held for result in results
        )
    else:
        assert found.evidence is None
        assert not found.is_held
        assert Code.FORK not in first.codes()
        assert operate(second, one.note()).evidence is not None
        assert Code.FORK in second.codes()


def test_a_note_of_entries_to_come_is_kept_and_held_against_them_when_they_come() -> None:
    """The town that holds less can't tell yet; the county can't take that back any more."""
    _, more, town, less = two_towns()
    assert operate(town, more.note()).evidence is None
    for _ in range(6):
        less.put(time_micros=99, to=(f"{COUNTY}/*",))
    link, _ = town.link(COUNTY)
    town.hear(link, less.segment(5, 11))
    assert Code.FORK in town.codes()
    assert health(town, less) is FeedHealth.FORKED
    evidence_at(town, less)


def test_a_note_of_the_same_history_agrees_and_changes_nothing() -> None:
    """The honest case, which is the usual one."""
    town, feed, _, _ = two_towns()
    found = operate(town, feed.note(3))
    assert found.is_held
    assert (found.size, found.held) == (3, 8)
    assert not town.alarms


def test_what_is_no_note_of_a_feed_held_here_is_refused_by_name() -> None:
    """And a forged one proves nothing."""
    town, feed, _, _ = two_towns()
    forged = feed.note().replace(b"A", b"B", 1) if b"A" in feed.note() else feed.note()[:-3]
    for note, code in (
        (b"hello", {Code.BAD_NOTE}),
        (forged, {Code.BAD_NOTE, Code.BAD_SIGNATURE}),
        (HandmadeFeed("370830101000").put_many(1).note(), {Code.UNKNOWN_ORIGIN}),
    ):
        with pytest.raises(HuyingError) as caught:
            operate(town, note)
        assert caught.value.code in code
    assert health(town, feed) is not FeedHealth.FORKED


@pytest.mark.parametrize("swapped", [False, True], ids=["town holds more", "village holds more"])
def test_a_village_that_moves_to_the_other_town_brings_it_out_by_its_greeting(
    swapped: bool,
) -> None:
    """It was told by the first town what the county told that one."""
    more, less = two_histories(COUNTY)
    at_town, at_village = (less, more) if swapped else (more, less)
    town, village = Host(TOWN), Host(VILLAGE)
    above, _ = town.link(COUNTY)
    town.hear(above, at_town.segment(0, len(at_town.leaves)))
    former, _ = village.link(TOWN)
    village.hear(former, at_village.segment(0, len(at_village.leaves)))
    assert village.size(more) == len(at_village.leaves)

    join(village, town)
    for host in (town, village):
        assert Code.FORK in host.codes(), host.code
        assert health(host, more) is FeedHealth.FORKED, host.code
        evidence_at(host, more)
