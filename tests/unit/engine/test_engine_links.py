"""An engine and its neighbours: who may say what on a link, and what is known of the others."""

from __future__ import annotations

import pytest

from huying.common.effects import LinkDown
from huying.common.errors import Code
from huying.common.state import ClassMark
from huying.common.status import FeedHealth
from huying.common.sync.pulse import make_pulse
from huying.wire.v1 import feed_pb2, sync_pb2, trust_pb2
from tests.support.handmade import HandmadeFeed, Host, event_draft, flip, hello, of_kind, refusals
from tests.support.tiny_network import COUNTY, TOWN, VILLAGE
from tests.unit.engine.engine_cases import TOWN_SLOTS, offer, status_of

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
