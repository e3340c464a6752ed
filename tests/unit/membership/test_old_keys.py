"""What the key of an epoch that is over may still do: nothing about who speaks for a node."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from huying.common.effects import Received
from huying.common.errors import Code
from huying.common.membership.members import member_draft, member_message
from huying.common.membership.roster import EpochStatus
from huying.common.membership.succession import make_succession
from huying.common.membership.trust import Accept, Confirm, Revoke, RotateFeed, begin_epoch
from huying.wire.v1 import feed_pb2, sync_pb2, trust_pb2
from tests.support.handmade import HandmadeFeed, hello
from tests.support.tiny_network import COUNTY, TOWN, VILLAGE, pin
from tests.support.trusted_network import OTHER, Network, origin, signer

E1, E2, E3 = (origin(VILLAGE, epoch) for epoch in (1, 2, 3))
LOST = trust_pb2.SUCCESSION_REASON_LOST
ROTATED = trust_pb2.SUCCESSION_REASON_ROTATED


@pytest.fixture
def network() -> Iterator[Network]:
    made = Network()
    yield made
    made.close()


def test_the_word_of_a_key_before_the_last_one_is_no_word(network: Network) -> None:
    """A town with a stolen key that its village has long replaced needs the county's word."""
    stolen = network.nodes[VILLAGE].identity.feed_signer
    network.operate(VILLAGE, RotateFeed(signer(VILLAGE, 2)))
    forged = signer(VILLAGE, 3, seed=9)
    succession = make_succession(E1, 0, b"", forged, stolen, LOST)
    named = replace(pin(VILLAGE), feed_key=str(forged.key))
    network.write(TOWN, member_draft(member_message(named, succession), TOWN))
    for code in (TOWN, COUNTY, OTHER):
        assert network.engine(code).roster.feed_key(E3) is None
        epoch = network.engine(code).roster.epoch(E2)
        assert epoch is not None
        assert epoch.status is EpochStatus.ACTIVE
        assert Code.KEY_CHANGED in network.nodes[code].codes()


def test_the_word_of_a_revoked_key_is_no_word(network: Network) -> None:
    """What was revoked as stolen can't name what comes after it."""
    stolen = network.nodes[VILLAGE].identity.feed_signer
    network.report(1)
    network.operate(TOWN, Revoke(VILLAGE, "stolen"))
    forged = signer(VILLAGE, 2, seed=9)
    succession = make_succession(E1, 0, b"", forged, stolen, LOST)
    named = replace(pin(VILLAGE), feed_key=str(forged.key))
    network.write(TOWN, member_draft(member_message(named, succession), TOWN))
    assert network.engine(COUNTY).roster.feed_key(E2) is None
    assert Code.KEY_CHANGED in network.nodes[COUNTY].codes()
    assert network.operate(COUNTY, Confirm(VILLAGE, "seen")).error is None
    assert network.engine(COUNTY).roster.feed_key(E2) == forged.key


class GoOn:
    """What `recover --new-epoch` does where the old key is at hand."""

    def run(self, engine) -> None:
        own, old = engine.replica.own, engine.identity.feed_signer
        new = signer(VILLAGE, 2)
        begin_epoch(engine, new, make_succession(own.origin, own.size, b"", new, old, LOST))


def test_an_epoch_that_another_follows_names_no_other_key(network: Network) -> None:
    """Its end was lost, so nobody knows where it stands; whoever has its key may lengthen it."""
    network.cut(VILLAGE)
    network.operate(VILLAGE, GoOn())
    network.mend(VILLAGE)
    assert network.operate(TOWN, Accept(VILLAGE)).error is None
    network.run(100)
    assert network.engine(TOWN).roster.stop_of(E1) is None
    thief = HandmadeFeed(VILLAGE)
    forged = signer(VILLAGE, 3, seed=9)
    old = network.nodes[VILLAGE].identity.feed_signer
    close = trust_pb2.Close(succession=make_succession(E1, 0, b"", forged, old, ROTATED))
    thief.put(close, type_=feed_pb2.RECORD_TYPE_CLOSE, kind=feed_pb2.KIND_CLOSE)
    hand_over(network, thief)
    town = network.engine(TOWN)
    assert town.replica.feeds[E1].quarantined == 1
    assert town.roster.feed_key(E3) is None
    known = town.roster.pin(VILLAGE)
    assert known is not None
    assert known.feed_key == str(signer(VILLAGE, 2).key)


def hand_over(network: Network, feed: HandmadeFeed) -> None:
    """The town hears it from whoever shows the village's certificate."""
    town = network.engine(TOWN)
    link = next(one.link for one in town.sessions.values() if one.peer == VILLAGE)
    segment = feed.segment(0, len(feed.leaves))
    frame = sync_pb2.Frame(segment=segment).SerializeToString()
    network._take(TOWN, town.step([Received(link, frame)]))
    network.run()


def test_the_keys_that_an_epoch_before_announces_are_history(network: Network) -> None:
    """Else an old key could put a certificate in place of the village's own."""
    network.cut(VILLAGE)
    network.operate(VILLAGE, GoOn())
    network.mend(VILLAGE)
    network.operate(TOWN, Accept(VILLAGE))
    network.run(100)
    thief = HandmadeFeed(VILLAGE)
    message = trust_pb2.NodeKeys(hpke_key=bytes(range(32)))
    thief.put(message, type_=feed_pb2.RECORD_TYPE_NODE_KEYS, kind=feed_pb2.KIND_ROSTER)
    hand_over(network, thief)
    assert network.held(TOWN, E1) == 1
    known = network.engine(COUNTY).roster.pin(VILLAGE)
    assert known is not None
    assert known.hpke_key == b""


def test_a_key_that_waits_is_void_once_a_later_one_counts(network: Network) -> None:
    """A confirmation that comes too late must not end the epoch that is in use."""
    forged = replace(pin(VILLAGE), feed_key=str(signer(VILLAGE, 2, seed=9).key))
    network.write(TOWN, member_draft(member_message(forged), TOWN))
    assert network.engine(COUNTY).roster.waiting()
    network.operate(VILLAGE, RotateFeed(signer(VILLAGE, 3)))
    network.operate(COUNTY, Confirm(VILLAGE, "late"))
    for code in (TOWN, COUNTY, OTHER):
        epoch = network.engine(code).roster.epoch(E3)
        assert epoch is not None
        assert epoch.status is EpochStatus.ACTIVE
        assert not network.engine(code).roster.waiting()


def test_a_child_claims_for_itself_alone(network: Network) -> None:
    """Else its operator would be told that another child's key is to be accepted."""
    old = network.nodes[OTHER].identity.feed_signer
    claim = make_succession(old.name, 0, b"", signer(OTHER, 2), old, LOST)
    town = network.engine(TOWN)
    link = next(one.link for one in town.sessions.values() if one.peer == VILLAGE)
    greeting = hello(VILLAGE)
    greeting.hello.claim.CopyFrom(claim)
    network._take(TOWN, town.step([Received(link, greeting.SerializeToString())]))
    assert not town.claims.heard


def test_a_parent_makes_up_no_epoch_that_its_child_skipped(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With it a town could disclose to itself what its village keeps, as if the village had."""
    # It does not repeat the village's own word.
    monkeypatch.setattr(network.engine(TOWN).epochs, "_owe", lambda *_: None)
    network.operate(VILLAGE, RotateFeed(signer(VILLAGE, 3)))
    forged = replace(pin(VILLAGE), feed_key=str(signer(VILLAGE, 2, seed=9).key))
    network.write(TOWN, member_draft(member_message(forged), TOWN))
    for code in (VILLAGE, TOWN, COUNTY):
        assert network.engine(code).roster.epoch(E2) is None
