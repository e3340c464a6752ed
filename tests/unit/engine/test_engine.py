"""The engine against hostile peers, its own faults, and the edges of its life.

Each refusal has its own name, reaches the peer that earned it, and leaves everything else running.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from huying.common.effects import LinkDown, Received
from huying.common.errors import Code
from huying.common.status import FeedHealth
from huying.wire.v1 import feed_pb2, records_pb2, sync_pb2
from tests.support.handmade import HandmadeFeed, Host, flip, hello, of_kind, refusals
from tests.support.tiny_network import TOWN, VILLAGE
from tests.unit.engine.engine_cases import TOWN_SLOTS, event_town, events, offer, status_of

INTEGER = 2**64 - 1


# Hostile segments.


def broken_leaf(feed: HandmadeFeed) -> feed_pb2.Segment:
    segment = offer(feed, 3, 6)
    segment.items[1].entry.leaf = flip(segment.items[1].entry.leaf)
    return segment


def broken_rest(feed: HandmadeFeed) -> feed_pb2.Segment:
    segment = offer(feed, 3, 6)
    segment.rest = flip(segment.rest)
    return segment


def broken_signature(feed: HandmadeFeed) -> feed_pb2.Segment:
    segment = offer(feed, 3, 6)
    segment.checkpoint = segment.checkpoint.replace(b"\n8\n", b"\n9\n")
    return segment


def shrinking(feed: HandmadeFeed) -> feed_pb2.Segment:
    return offer(feed, 0, 2, size=2)


HOSTILE: dict[str, tuple[Code, Callable[[HandmadeFeed], feed_pb2.Segment]]] = {
    "flipped leaf": (Code.BAD_PROOF, broken_leaf),
    "flipped rest": (Code.BAD_PROOF, broken_rest),
    "bad signature": (Code.BAD_SIGNATURE, broken_signature),
    "shrinking checkpoint": (Code.STALE_SIZE, shrinking),
    "no checkpoint": (Code.BAD_NOTE, lambda feed: feed_pb2.Segment(origin=feed.origin, start=3)),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_segment_is_refused_by_name_and_an_honest_one_taken_after_it(
    host: Host, feed: HandmadeFeed, name: str
) -> None:
    """The segment is refused whole; the feed, the link and the node go on."""
    code, make = HOSTILE[name]
    link, _ = host.link(VILLAGE)
    host.hear(link, offer(feed, 0, 3, size=3))
    replies = host.hear(link, make(feed))
    assert refusals(replies) == [code]
    assert code in host.codes()
    assert host.engine.failures[VILLAGE, code] == 1
    assert host.size(feed) == 3
    assert not host.closed
    host.hear(link, offer(feed, 3, 8))
    assert host.size(feed) == 8
    assert len(events(host)) == 8


def test_a_truncated_frame_is_refused_by_name(host: Host, feed: HandmadeFeed) -> None:
    """Nothing of it is believed."""
    link, _ = host.link(VILLAGE)
    data = sync_pb2.Frame(segment=offer(feed, 0, 8)).SerializeToString()
    sent = host.step(Received(link, data[:-5]))
    assert refusals(frame for _, frame in sent) == [Code.FRAME_MALFORMED]
    assert host.size(feed) == 0


def test_a_frame_of_5_mib_is_refused_by_name_and_ends_the_link(host: Host) -> None:
    """Whoever sends so much is not asked again on this stream."""
    link, _ = host.link(VILLAGE)
    sent = host.step(Received(link, bytes(5 * 1024 * 1024)))
    assert refusals(frame for _, frame in sent) == [Code.FRAME_TOO_LARGE]
    assert [(close.link, close.code) for close in host.closed] == [(link, Code.FRAME_TOO_LARGE)]


@pytest.mark.parametrize("slots", [b"\x03", b"\x04", b"\x00", TOWN_SLOTS])
def test_a_flipped_opening_is_dropped_asked_for_again_and_healed(
    host: Host, feed: HandmadeFeed, slots: bytes
) -> None:
    """The entry comes to be whole, and the next one shows no gap because of it."""
    link, _ = host.link(VILLAGE)
    segment = offer(feed, 0, 3, size=3)
    entry = segment.items[2].entry
    for at, opening in enumerate(entry.openings):
        if opening[0] in slots:
            entry.openings[at] = flip(opening)
    (want,) = of_kind(host.hear(link, segment), "want")
    assert (want.want.start, want.want.stop) == (2, 3)
    assert set(slots) <= set(want.want.slots)
    assert Code.OPENING_MISMATCH in host.codes()
    assert status_of(host, feed).missing == 1
    host.hear(link, feed.disclose(2, readable=TOWN_SLOTS))
    assert status_of(host, feed).missing == 0
    assert "event 2" in events(host)
    host.hear(link, offer(feed, 3, 8))
    assert status_of(host, feed).missing == 0
    host.wait(300)
    assert Code.WITHHELD not in host.codes()


def test_what_is_asked_for_in_vain_is_withheld_until_it_comes(
    host: Host, feed: HandmadeFeed
) -> None:
    """Named, shown on the feed, counted once, and cleared by the answer."""
    link, _ = host.link(VILLAGE)
    segment = offer(feed, 0, 8)
    del segment.items[4].entry.openings[1:]
    host.hear(link, segment)
    for _ in range(6):
        sent = host.wait(20)
        for want in of_kind([frame for _, frame in sent], "want"):
            nothing = sync_pb2.Disclose(
                origin=feed.origin, start=want.want.start, stop=want.want.stop, last=True
            )
            host.hear(link, sync_pb2.Frame(disclose=nothing))
    assert status_of(host, feed).health is FeedHealth.WITHHELD
    assert host.engine.withheld_gaps == 1
    host.hear(link, feed.disclose(4, readable=TOWN_SLOTS))
    assert status_of(host, feed).health is not FeedHealth.WITHHELD
    host.wait(200)
    assert host.engine.withheld_gaps == 1


def test_nobody_is_asked_who_is_not_linked_and_the_next_link_is_asked_at_once(
    host: Host, feed: HandmadeFeed
) -> None:
    """A node that misses something of a dead peer sleeps; a due Want would keep it awake."""
    link, _ = host.link(VILLAGE)
    segment = offer(feed, 0, 8)
    del segment.items[4].entry.openings[1:]
    assert of_kind(host.hear(link, segment), "want")
    host.step(LinkDown(link))
    assert not of_kind([frame for _, frame in host.wait(300)], "want")
    held = sync_pb2.Held(origin=feed.origin, size=8, root=feed.root(8))
    _, frames = host.link(VILLAGE, [held])
    assert [want.want.start for want in of_kind(frames, "want")] == [4]


def test_a_breach_is_dropped_before_storage_and_named(host: Host, feed: HandmadeFeed) -> None:
    """A village that sends too much leaves no trace of it at the town."""
    link, _ = host.link(VILLAGE)
    host.hear(link, feed.segment(0, 8))
    assert Code.BREACH in host.codes()
    assert host.engine.breaches == 16
    assert len(events(host)) == 8
    assert b"13800000000" not in host.store.image()  # type: ignore[attr-defined]


def test_a_late_answer_is_held_to_the_leaf_and_the_rule(host: Host, feed: HandmadeFeed) -> None:
    """Nothing comes in by the back door."""
    link, _ = host.link(VILLAGE)
    segment = offer(feed, 0, 8)
    del segment.items[4].entry.openings[1:]
    host.hear(link, segment)
    other = feed.disclose(4, readable=TOWN_SLOTS)
    other.disclose.entries[0].entry.leaf = feed.leaves[5]
    host.hear(link, other)
    assert Code.BAD_PROOF in host.codes()
    host.hear(link, feed.disclose(4))
    assert Code.BREACH in host.codes()
    beyond = feed.disclose(4, readable=TOWN_SLOTS)
    beyond.disclose.entries[0].index = INTEGER
    host.hear(link, beyond)
    assert Code.NOT_SERVED in host.codes()
    assert status_of(host, feed).missing == 1
    assert b"13800000000" not in host.store.image()  # type: ignore[attr-defined]


POISON: dict[str, Callable[[HandmadeFeed], int]] = {
    "wrong region": lambda feed: feed.put(
        records_pb2.Event(category="x", grid="370830101201001", descriptor="bad")
    ),
    "unknown type": lambda feed: feed.put(type_=4242),
    "undecodable leaf": lambda feed: feed.add(b"\x07poison", []),
    "integer over the database's": lambda feed: feed.put(
        records_pb2.Event(category="x", reported_micros=INTEGER, descriptor="bad")
    ),
    "number ahead": lambda feed: feed.put(seen=[INTEGER, INTEGER]),
}


@pytest.mark.parametrize("remainder", range(7))
@pytest.mark.parametrize("name", POISON)
def test_poison_at_every_index_modulo_seven_stops_nothing_else(
    host: Host, name: str, remainder: int
) -> None:
    """One bad entry never stops a feed, wherever a segment or a commit begins."""
    feed = HandmadeFeed(VILLAGE)
    good = set()
    for index in range(21):
        if index % 7 == remainder:
            POISON[name](feed)
        else:
            good.add(f"event {feed.put()}")
    link, _ = host.link(VILLAGE)
    for start in range(0, 21, 5):
        stop = min(start + 5, 21)
        replies = host.hear(link, offer(feed, start, stop, size=stop))
        assert refusals(replies) == []
    assert host.size(feed) == 21
    assert events(host) == good
    assert status_of(host, feed).quarantined == 3
    feed_id = host.engine.replica.feeds[feed.origin].feed_id
    rows = host.store.quarantined(feed_id, 0, 21)
    assert {row[0] for row in rows} == {remainder, remainder + 7, remainder + 14}


def extremes(feed: HandmadeFeed) -> list[sync_pb2.Frame]:
    """Every integer that a peer may send, as large as it goes, and every text senseless."""
    origin = feed.origin
    held = sync_pb2.Held(origin=origin, size=INTEGER, root=bytes(32))
    own = sync_pb2.Held(
        origin=f"wenshang.example/feed/{TOWN}/e1", size=INTEGER, root=b"", cosigned=b"\xff"
    )
    return [
        sync_pb2.Frame(ack=sync_pb2.Ack(origin=origin, size=INTEGER)),
        sync_pb2.Frame(ack=sync_pb2.Ack(origin=own.origin, size=INTEGER, cosigned=b"x")),
        sync_pb2.Frame(ack=sync_pb2.Ack(origin="\x00", size=3, deferred=True)),
        sync_pb2.Frame(want=sync_pb2.Want(origin=own.origin, start=INTEGER - 1, stop=INTEGER)),
        sync_pb2.Frame(want=sync_pb2.Want(origin=own.origin, start=5, stop=2)),
        sync_pb2.Frame(want=sync_pb2.Want(origin=own.origin, start=0, stop=INTEGER)),
        sync_pb2.Frame(want=sync_pb2.Want(origin="", start=0, stop=1, slots=b"\xff" * 99)),
        sync_pb2.Frame(disclose=sync_pb2.Disclose(origin=origin, start=INTEGER, last=True)),
        sync_pb2.Frame(
            disclose=sync_pb2.Disclose(
                origin=origin, entries=[sync_pb2.DisclosedEntry(index=INTEGER)]
            )
        ),
        sync_pb2.Frame(pulse=feed_pb2.Pulse(body=b"\xff", signature=b"")),
        sync_pb2.Frame(drain=sync_pb2.Drain(retry_after_milliseconds=2**32 - 1)),
        sync_pb2.Frame(refusal=sync_pb2.Refusal(code=2**32 - 1, detail="x" * 999, origin=origin)),
        sync_pb2.Frame(segment=feed_pb2.Segment(origin="", start=INTEGER)),
        sync_pb2.Frame(segment=feed_pb2.Segment(origin=origin, start=INTEGER)),
        sync_pb2.Frame(),
        hello(VILLAGE, [held, own, sync_pb2.Held(origin="nonsense", size=1)]),
    ]


@pytest.mark.parametrize("number", range(16))
def test_no_frame_however_extreme_stops_the_node(
    host: Host, feed: HandmadeFeed, number: int
) -> None:
    """Integers that don't fit a database, texts that mean nothing: refused, and life goes on."""
    link, _ = host.link(VILLAGE)
    host.hear(link, offer(feed, 0, 3, size=3))
    host.hear(link, extremes(feed)[number])
    host.wait(130)
    assert host.write(event_town()).error is None
    if link not in host.engine.sessions:
        link, _ = host.link(VILLAGE)
    host.hear(link, offer(feed, 3, 8))
    assert host.size(feed) == 8
    assert not [alarm for alarm in host.alarms if alarm.fault]


def test_a_peer_s_word_alone_does_not_stop_a_node_from_writing(host: Host) -> None:
    """A child that claims a longer history of its parent must show the parent's signature."""
    host.wait(11)
    assert host.write(event_town()).error is None
    origin = host.engine.identity.origin
    for claim in (
        sync_pb2.Held(origin=origin, size=999, root=bytes(32)),
        sync_pb2.Held(origin=origin, size=1, root=bytes(32)),
    ):
        host.link(VILLAGE, [claim])
        assert host.engine.state == "live"
    assert host.write(event_town()).error is None


def test_a_signed_history_that_the_store_lacks_stops_the_writing(host: Host) -> None:
    """A node restored from an old backup, mark and all, must not sign twice at one size."""
    town = HandmadeFeed(TOWN).put_many(9)
    held = sync_pb2.Held(origin=town.origin, size=9, root=town.root(9), newest=town.note())
    host.link(VILLAGE, [held])
    assert host.engine.state == "recovering"
    refused = host.write(event_town()).error
    assert refused is not None
    assert refused.code is Code.RECOVERING
