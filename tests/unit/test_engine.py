"""The engine against hostile peers, its own faults, and the edges of its life.

Each refusal has its own name, reaches the peer that earned it, and leaves everything else running.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence

import pytest

from huying.common.effects import Append, DraftEntry, Drain, LinkDown, Received
from huying.common.errors import Code, HuyingError
from huying.common.limits import ENTRY_BYTES_MAX
from huying.common.pulse import make_pulse
from huying.common.state import ClassMark
from huying.common.status import FeedHealth, FeedStatus
from huying.node.store.store import SqlStore
from huying.wire.v1 import calls_pb2, feed_pb2, records_pb2, sync_pb2, trust_pb2
from tests.unit.handmade import (
    HandmadeFeed,
    Host,
    an_event,
    event_draft,
    flip,
    hello,
    of_kind,
    refusals,
)
from tests.unit.tiny_network import COUNTY, TOWN, VILLAGE, MemoryMark

TOWN_SLOTS = bytes((0, 3, 4))
INTEGER = 2**64 - 1


@pytest.fixture
def host() -> Iterator[Host]:
    """A town, whose village is the test."""
    host = Host(TOWN)
    yield host
    assert host.engine.next_wake() > host.clock.seconds, "a timer that stays due"
    host.store.close()  # type: ignore[attr-defined]


@pytest.fixture
def feed() -> HandmadeFeed:
    return HandmadeFeed(VILLAGE).put_many(8)


def offer(feed: HandmadeFeed, start: int, stop: int, size: int | None = None) -> feed_pb2.Segment:
    """What the village may send to its town."""
    return feed.segment(start, stop, size=size, readable=TOWN_SLOTS)


def status_of(host: Host, feed: HandmadeFeed) -> FeedStatus:
    return next(one for one in host.engine.status().feeds if one.origin == feed.origin)


def events(host: Host) -> set[str]:
    page = host.store.list_records(feed_pb2.RECORD_TYPE_EVENT, limit=1000)  # type: ignore[attr-defined]
    return {records_pb2.Event.FromString(row.message).descriptor for row in page.rows}


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


def event_town() -> DraftEntry:
    event = an_event()
    return DraftEntry(feed_pb2.KIND_PUT, feed_pb2.RECORD_TYPE_EVENT, event)


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


# What does not belong on a link.


def test_nothing_is_heard_before_hello(host: Host, feed: HandmadeFeed) -> None:
    """The greeting says who speaks, and which protocol."""
    link, _ = host.link(VILLAGE, greet=False)
    assert refusals(host.hear(link, offer(feed, 0, 3))) == [Code.UNEXPECTED_FRAME]
    assert [close.code for close in host.closed] == [Code.UNEXPECTED_FRAME]
    assert host.size(feed) == 0


def test_a_link_without_hello_is_closed_after_a_while(host: Host) -> None:
    """A silent peer holds no place for ever."""
    host.link(VILLAGE, greet=False)
    host.wait(11)
    assert [close.code for close in host.closed] == [Code.UNEXPECTED_FRAME]


@pytest.mark.parametrize(
    ("code", "change"),
    [
        (Code.VERSION_MISMATCH, {"version_min": 2, "version_max": 9}),
        (Code.WRONG_NETWORK, {"network": "other.example"}),
        (Code.NOT_ENROLLED, {"code": "370830108202"}),
    ],
)
def test_a_hello_of_somebody_else_ends_the_link_by_name(
    host: Host, code: Code, change: dict
) -> None:
    """Each with its own reason, so that an operator knows what to mend."""
    link, _ = host.link(VILLAGE, greet=False)
    greeting = hello(VILLAGE)
    greeting.hello.MergeFrom(sync_pb2.Hello(**change))
    assert refusals(host.hear(link, greeting)) == [code]
    assert [close.code for close in host.closed] == [code]


@pytest.mark.parametrize("code", [TOWN, COUNTY, "370830108202", "370830101201"])
def test_a_village_may_send_no_feed_but_its_own(host: Host, code: str) -> None:
    """Not its parent's, not a sibling's."""
    link, _ = host.link(VILLAGE)
    foreign = HandmadeFeed(code)
    foreign.add(b"\x01\x01\x00" + bytes(32), [])
    assert refusals(host.hear(link, foreign.segment(0, 1))) == [Code.NOT_SERVED]


def test_a_village_may_ask_for_no_feed_of_its_sibling(host: Host, feed: HandmadeFeed) -> None:
    """And for none that does not exist; but for its own, which its disk may have spoilt."""
    link, _ = host.link(VILLAGE)
    host.hear(link, offer(feed, 0, 8))
    for origin, codes in (
        (feed.origin, []),
        (feed.origin.replace("201", "202"), [Code.NOT_SERVED]),
        (feed.origin.replace("201", "203"), [Code.NOT_SERVED]),
    ):
        want = sync_pb2.Frame(want=sync_pb2.Want(origin=origin, start=0, stop=5))
        assert refusals(host.hear(link, want)) == codes


def test_a_want_brings_what_the_rule_allows_and_no_more(host: Host) -> None:
    """The peer's wish never widens what it may read."""
    village = Host(VILLAGE)
    link, _ = village.link(TOWN)
    village.write(event_draft())
    for slots in (b"", bytes((0, 3, 4, 5, 13)), bytes((5, 13))):
        want = sync_pb2.Want(origin=village.engine.identity.origin, start=0, stop=1, slots=slots)
        (answer,) = of_kind(village.hear(link, sync_pb2.Frame(want=want)), "disclose")
        given = {o[0] for e in answer.disclose.entries for o in e.entry.openings}
        assert given == (set(TOWN_SLOTS) & set(slots or TOWN_SLOTS))
        assert b"13800000000" not in answer.SerializeToString()


# Trust.


def test_a_feed_of_an_origin_not_yet_known_waits_for_the_roster() -> None:
    """Deferred, not alarmed; taken when its parent's feed has brought the key."""
    county = Host(COUNTY)
    town, village = HandmadeFeed(TOWN), HandmadeFeed(VILLAGE).put_many(3)
    link, _ = county.link(TOWN)
    (ack,) = of_kind(county.hear(link, village.segment(0, 3, readable=b"\x00\x03")), "ack")
    assert ack.ack.deferred
    assert not county.alarms
    member = trust_pb2.Member(
        code=VILLAGE,
        name="义桥村",
        feed_key=str(village.identity.feed_signer.key),
        witness_key=str(village.identity.witness_signer.key),
    )
    to = (f"{TOWN}/*",)
    town.put(member, type_=feed_pb2.RECORD_TYPE_MEMBER, kind=feed_pb2.KIND_ROSTER, to=to)
    acks = of_kind(county.hear(link, town.segment(0, 1)), "ack")
    assert (village.origin, 0, False) in [(a.ack.origin, a.ack.size, a.ack.deferred) for a in acks]
    county.hear(link, village.segment(0, 3, readable=b"\x00\x03"))
    assert county.size(village) == 3


def test_keys_that_a_relay_keeps_back_are_learnt_when_they_come_and_never_quarantined() -> None:
    """Missing is not wrong: the origin is not to blame for its relay."""
    county = Host(COUNTY)
    town, village = HandmadeFeed(TOWN), HandmadeFeed(VILLAGE)
    member = trust_pb2.Member(
        code=VILLAGE,
        name="义桥村",
        feed_key=str(village.identity.feed_signer.key),
        witness_key=str(village.identity.witness_signer.key),
    )
    to = (f"{TOWN}/*",)
    town.put(member, type_=feed_pb2.RECORD_TYPE_MEMBER, kind=feed_pb2.KIND_ROSTER, to=to)
    link, _ = county.link(TOWN)
    county.hear(link, town.segment(0, 1, readable=b"\x00"))
    assert status_of(county, town).missing == 1
    county.hear(link, town.disclose(0))
    assert status_of(county, town).missing == 0
    assert status_of(county, town).quarantined == 0
    assert not county.store.quarantined(2, 0, 9)
    assert county.engine.roster.feed_key(village.origin) is not None


def test_two_histories_freeze_the_feed_and_keep_the_evidence(
    host: Host, feed: HandmadeFeed
) -> None:
    """Nobody rewrites history."""
    link, _ = host.link(VILLAGE)
    host.hear(link, offer(feed, 0, 8))
    other = HandmadeFeed(VILLAGE)
    for number in range(8):
        other.put(time_micros=number + 1)
    assert refusals(host.hear(link, offer(other, 0, 8))) == [Code.FORK]
    assert Code.FORK in host.codes()
    frozen = host.store.feed(feed.origin).frozen  # type: ignore[attr-defined]
    assert feed.note() in frozen
    assert other.note() in frozen
    assert status_of(host, feed).health is FeedHealth.FORKED
    feed.put()
    assert refusals(host.hear(link, offer(feed, 8, 9))) == [Code.FEED_FROZEN]
    assert host.size(feed) == 8


def test_only_a_checkpoint_held_whole_is_cosigned(host: Host, feed: HandmadeFeed) -> None:
    """A fork inside a span that is not held could be cosigned with it."""
    link, _ = host.link(VILLAGE)
    (ack,) = of_kind(host.hear(link, offer(feed, 0, 5)), "ack")
    assert ack.ack.size == 5
    assert not ack.ack.cosigned
    assert host.engine.replica.feeds[feed.origin].cosigned is None
    (ack,) = of_kind(host.hear(link, offer(feed, 5, 8)), "ack")
    assert ack.ack.cosigned.split(b"\n")[1] == b"8"
    assert f"witness/{TOWN}".encode() in ack.ack.cosigned


def test_a_forged_pulse_is_refused_and_changes_nothing(host: Host, feed: HandmadeFeed) -> None:
    """A relay passes pulses on; it can't write them."""
    link, _ = host.link(VILLAGE)
    host.hear(link, offer(feed, 0, 8))
    signer = feed.identity.feed_signer
    pulse = make_pulse(signer, TOWN, 9, bytes(32), 5.0, {TOWN: ClassMark(9, 8)})
    pulse.signature = flip(pulse.signature)
    assert refusals(host.hear(link, sync_pb2.Frame(pulse=pulse))) == [Code.BAD_SIGNATURE]
    assert status_of(host, feed).remote_head_size == 8


# Lag.


def test_lag_is_unknown_without_contact_and_small_with_pulses(
    host: Host, feed: HandmadeFeed
) -> None:
    """Unknown reads unknown, never zero; an idle link is known to be idle."""

    def pulse() -> sync_pb2.Frame:
        marks = {TOWN: ClassMark(8, 7)}
        now = host.clock.now()
        made = make_pulse(feed.identity.feed_signer, TOWN, 8, feed.root(8), now, marks)
        return sync_pb2.Frame(pulse=made)

    assert status_of(host, feed).lag_seconds is None
    link, _ = host.link(VILLAGE)
    host.hear(link, offer(feed, 0, 8))
    assert status_of(host, feed).lag_seconds is None, "no pulse yet: nobody knows the head"
    for _ in range(5):
        host.hear(link, pulse())
        host.wait(60)
        lag = status_of(host, feed).lag_seconds
        assert lag is not None
        assert 0 < lag <= 60
    host.step(LinkDown(link))
    assert status_of(host, feed).lag_seconds is None
    assert status_of(host, feed).health is FeedHealth.UNKNOWN


# Writing.


def test_an_entry_over_16_kib_is_refused_where_it_is_written_and_names_the_limit(
    host: Host,
) -> None:
    """Whoever writes too much learns how much is allowed; nothing of the batch is written."""
    big = records_pb2.Event()
    big.CopyFrom(an_event())
    big.description_full = "长" * 4000
    big.description_public = "长" * 4000
    draft = DraftEntry(feed_pb2.KIND_PUT, feed_pb2.RECORD_TYPE_EVENT, big)
    before = host.engine.replica.own.size
    host.wait(11)
    answer = host.write(event_town(), draft)
    assert answer.error is not None
    assert answer.error.code is Code.ENTRY_TOO_LARGE
    assert str(ENTRY_BYTES_MAX) in answer.error.detail
    assert "draft 1" in answer.error.detail
    assert host.engine.replica.own.size <= before + 1  # the member entry alone
    assert host.write(event_town()).error is None


def test_a_request_written_before_gets_the_same_receipt_and_no_second_entry(host: Host) -> None:
    """Also within one batch, and after a restart."""
    host.link(COUNTY)
    draft = DraftEntry(
        feed_pb2.KIND_PUT, feed_pb2.RECORD_TYPE_EVENT, an_event(), request_id=b"r" * 16
    )
    first = host.write(draft, draft)
    size = host.engine.replica.own.size
    again = Host(TOWN, store=host.store, mark=host.mark)
    again.link(COUNTY)
    second = again.write(draft)
    assert [r.repeated for r in (*first.receipts, *second.receipts)] == [False, True, True]
    assert len({(r.index, r.record) for r in (*first.receipts, *second.receipts)}) == 1
    assert again.engine.replica.own.size == size


def test_writing_waits_until_the_parent_was_heard_or_could_not_be(host: Host) -> None:
    """A restored node asks first what others hold of its feed."""
    host.step(Append("early", (event_town(),)))
    assert not host.appended
    host.wait(9)
    assert not host.appended
    host.wait(2)
    assert [answer.token for answer in host.appended] == ["early"]
    linked = Host(TOWN)
    linked.step(Append("early", (event_town(),)))
    linked.link(COUNTY)
    assert [answer.token for answer in linked.appended] == ["early"]


def test_a_store_behind_its_mark_is_not_written_to(feed: HandmadeFeed) -> None:
    """A restored backup must not sign what was signed before; it follows and relays."""
    mark = MemoryMark(f"wenshang.example/feed/{TOWN}/e1")
    mark.write(f"wenshang.example/feed/{TOWN}/e1", 5, bytes(32))
    host = Host(TOWN, mark=mark)
    assert host.engine.state == "recovering"
    assert Code.RECOVERING in host.codes()
    answer = host.write(event_town())
    assert answer.error is not None
    assert answer.error.code is Code.RECOVERING
    link, _ = host.link(VILLAGE)
    host.hear(link, offer(feed, 0, 8))
    assert host.size(feed) == 8
    assert mark.read() == (f"wenshang.example/feed/{TOWN}/e1", 5, bytes(32))


def test_the_mark_is_written_after_the_commit_and_before_anything_leaves() -> None:
    """In any other order a crash leaves something outside that the node does not remember."""
    order: list[str] = []

    class Mark(MemoryMark):
        def write(self, origin: str, size: int, root: bytes) -> None:
            assert store.feed(origin).size >= size if size else True  # type: ignore[union-attr]
            order.append(f"mark {size}")
            super().write(origin, size, root)

    store = SqlStore.open()
    host = Host(COUNTY, store=store, mark=Mark(f"wenshang.example/feed/{COUNTY}/e1"))
    host.link(TOWN)
    order.clear()
    effects = host.engine.step([Append("x", (division(),))])
    assert order == [f"mark {host.engine.replica.own.size}"]
    assert effects


def division() -> DraftEntry:
    message = records_pb2.Division(code=COUNTY, name="汶上县")
    return DraftEntry(feed_pb2.KIND_PUT, feed_pb2.RECORD_TYPE_DIVISION, message)


def test_a_draining_node_says_goodbye_and_refuses_to_write(host: Host) -> None:
    """A stop loses nothing and answers everybody."""
    link, _ = host.link(COUNTY)
    sent = host.step(Drain(1.5))
    (frame,) = of_kind([frame for to, frame in sent if to == link], "drain")
    assert frame.drain.retry_after_milliseconds == 1500
    answer = host.write(event_town())
    assert answer.error is not None
    assert answer.error.code is Code.DRAINING


# Our own faults.


class FaultyStore:
    """A store whose named method fails, when told to, after it was called so often."""

    def __init__(self, inner: SqlStore) -> None:
        self.inner = inner
        self.fails: dict[str, Exception] = {}

    def __getattr__(self, name: str):
        failure = self.fails.get(name)
        if failure is None:
            return getattr(self.inner, name)

        def fail(*args: object) -> None:
            raise failure

        return fail


@contextlib.contextmanager
def failing(store: FaultyStore, method: str, error: Exception) -> Iterator[None]:
    store.fails[method] = error
    yield
    store.fails.clear()


WRITES = ["add_entries", "add_subtrees", "put_checkpoint", "put_feed", "apply"]


@pytest.mark.parametrize("method", WRITES)
def test_a_store_that_fails_in_mid_segment_leaves_nothing_half_written(
    feed: HandmadeFeed, method: str
) -> None:
    """It is never answered as the peer's fault, and a retry finds the store as it was."""
    store = FaultyStore(SqlStore.open())
    host = Host(TOWN, store=store)
    link, _ = host.link(VILLAGE)
    host.hear(link, offer(feed, 0, 2, size=2))
    before = store.inner.feeds(), store.inner.entries(2, 0, 99), store.inner.entries(1, 0, 99)
    with (
        failing(store, method, HuyingError(Code.STORE_FAILED, "disk")),
        pytest.raises(HuyingError) as caught,
    ):
        host.hear(link, offer(feed, 2, 8))
    assert caught.value.code is Code.STORE_FAILED
    after = store.inner.feeds(), store.inner.entries(2, 0, 99), store.inner.entries(1, 0, 99)
    assert after == before
    again = Host(TOWN, store=store, mark=host.mark)
    link, _ = again.link(VILLAGE)
    again.hear(link, offer(feed, 2, 8))
    assert again.size(feed) == 8
    assert len(events(again)) == 8


@pytest.mark.parametrize("method", ["add_request", *WRITES])
def test_a_full_disk_answers_everybody_who_waits_and_the_node_goes_on(method: str) -> None:
    """Nothing half written, nobody left without an answer, the same request counted once."""
    store = FaultyStore(SqlStore.open())
    host = Host(TOWN, store=store)
    draft = DraftEntry(
        feed_pb2.KIND_PUT, feed_pb2.RECORD_TYPE_EVENT, an_event(), request_id=b"r" * 16
    )
    host.step(Append("waiting", (draft,)))
    with failing(store, method, HuyingError(Code.DISK_FULL, "full")):
        host.wait(11)
    assert [(a.token, a.error.code if a.error else None) for a in host.appended] == [
        ("waiting", Code.DISK_FULL)
    ]
    answer = host.write(draft)
    assert answer.error is None
    assert not answer.receipts[0].repeated
    assert events(host) == {"event 0"}
    (durable,) = store.inner.feeds()
    assert durable == host.engine.replica.own, "memory and database disagree"
    assert answer.receipts[0].index == 0
    # The roster's own entry waited for room, too, and was not forgotten.
    assert len(store.inner.entries(1, 0, 99)) == durable.size == 2


def test_a_fault_of_our_own_costs_its_input_alone(
    host: Host, feed: HandmadeFeed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A defect met by one frame must not take the others of its batch, or the node, with it."""
    link, _ = host.link(VILLAGE)
    honest = host.engine.replica.receive

    def receive(segment):
        if segment.start == 3:
            raise ZeroDivisionError
        return honest(segment)

    monkeypatch.setattr(host.engine.replica, "receive", receive)
    host.wait(11)
    host.step(
        Received(link, sync_pb2.Frame(segment=offer(feed, 0, 3, size=3)).SerializeToString()),
        Append("test", (event_town(),)),
        Received(link, sync_pb2.Frame(segment=offer(feed, 3, 8)).SerializeToString()),
    )
    assert host.appended[-1].error is None
    assert len(host.appended) == 1
    assert host.size(feed) == 3
    (fault,) = [alarm for alarm in host.alarms if alarm.fault]
    assert fault.code is Code.UNKNOWN
    monkeypatch.undo()
    link, _ = host.link(VILLAGE)
    host.hear(link, offer(feed, 3, 8))
    assert host.size(feed) == 8


def test_a_took_that_cannot_be_written_is_an_alarm_and_stops_nothing() -> None:
    """A proposal can't take the county down, nor keep the other proposals waiting."""
    bad = calls_pb2.CallStep(call=b"short", caller=TOWN)
    good = calls_pb2.CallStep(call=b"c" * 16, caller=TOWN, internal_note="note")

    class Sequencer:
        def __init__(self) -> None:
            self.steps = [bad, good]

        def take(self, limit: int) -> list[DraftEntry]:
            made, self.steps = self.steps, []
            return [
                DraftEntry(feed_pb2.KIND_STEP, feed_pb2.RECORD_TYPE_CALL_STEP, step)
                for step in made
            ]

        def complete(
            self, draft: DraftEntry, before: Sequence[DraftEntry] = ()
        ) -> Sequence[DraftEntry]:
            return (draft,)

    host = Host(COUNTY, sequencer=Sequencer())
    host.link(TOWN)  # whom a root asks what has left it
    assert Code.INVALID_ARGUMENT in host.codes()
    assert host.engine.replica.own.size == 2  # the member, and the step that can be written
