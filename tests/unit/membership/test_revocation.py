"""A revoked node: what it wrote before stands, and nothing of it counts afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from huying.common.effects import LinkDown, Received
from huying.common.errors import Code, HuyingError
from huying.common.feed.merkle import CompactRange, merge, root
from huying.common.feed.segment import decode_segment
from huying.common.membership.roster import EpochStatus
from huying.common.membership.trust import (
    Confirm,
    Reenter,
    Revoke,
    RotateFeed,
)
from huying.common.status import FeedHealth
from huying.common.sync.outgoing import cut_segment
from huying.wire.v1 import sync_pb2, trust_pb2
from tests.support.tiny_network import COUNTY, TOWN, VILLAGE, pin
from tests.support.trusted_network import OTHER, Network, origin, signer
from tests.unit.membership.epoch_cases import E1, E2, enrol, status


@pytest.fixture
def network() -> Iterator[Network]:
    made = Network()
    yield made
    made.close()


# Revocation.


def test_revocation_ends_the_link_at_once(network: Network) -> None:
    """P12: no later message of the node has any effect."""
    network.report(1)
    network.sent.clear()
    network.operate(TOWN, Revoke(VILLAGE, "stolen"))
    assert not [frame for sender, _, frame in network.sent if sender == VILLAGE]
    assert not [s for s in network.engine(TOWN).sessions.values() if s.peer == VILLAGE]
    assert VILLAGE not in network.engine(TOWN).roster.children
    network.connect(VILLAGE)
    network.run(5)
    assert not [s for s in network.engine(TOWN).sessions.values() if s.peer == VILLAGE]


def test_entries_up_to_the_size_stand_and_later_ones_are_refused(network: Network) -> None:
    """Whoever still carries them, and whatever date they bear."""
    network.report(1)
    network.cut(TOWN)
    network.report(2)
    network.report(3)
    assert network.held(TOWN, E1) == 3
    assert network.held(COUNTY, E1) == 1
    network.cut(VILLAGE)
    network.report(4)  # behind the end, written in good faith
    network.operate(TOWN, Revoke(VILLAGE, "stolen"))
    network.mend(TOWN)
    network.run(100)
    assert network.held(COUNTY, E1) == 3
    for code in (TOWN, COUNTY):
        shown = network.feed(code, E1)
        assert shown.health is FeedHealth.REVOKED
        assert "stolen" in shown.reason


def test_a_revoked_node_says_so_until_its_parent_takes_it_again(network: Network) -> None:
    """It can't read of its revocation; `live` would have its people write on for nobody."""
    network.report(1)
    engine = network.engine(VILLAGE)
    link = next(iter(engine.sessions))
    refusal = sync_pb2.Refusal(code=Code.REVOKED, detail="revoked: stolen")
    refused = sync_pb2.Frame(refusal=refusal).SerializeToString()
    engine.step([Received(link, refused), LinkDown(link)])
    shown = network.feed(VILLAGE, E1)
    assert shown.health is FeedHealth.REVOKED
    assert "parent" in shown.reason
    network.connect(VILLAGE)
    network.run()
    assert network.feed(VILLAGE, E1).health is FeedHealth.LIVE


def test_nobody_but_its_parent_tells_a_node_that_it_is_revoked(network: Network) -> None:
    """A child's word on its parent's key, or on another's, is no word."""
    town = network.engine(TOWN)
    link = next(one.link for one in town.sessions.values() if one.peer == VILLAGE)
    refusal = sync_pb2.Refusal(code=Code.REVOKED, detail="revoked: made up")
    town.step([Received(link, sync_pb2.Frame(refusal=refusal).SerializeToString())])
    village = network.engine(VILLAGE)
    other = sync_pb2.Refusal(code=Code.REVOKED, origin=origin(OTHER, 1))
    frame = sync_pb2.Frame(refusal=other).SerializeToString()
    village.step([Received(next(iter(village.sessions)), frame)])
    for code in (TOWN, VILLAGE):
        assert network.feed(code, origin(code, 1)).health is FeedHealth.LIVE


def test_a_segment_over_the_end_is_taken_up_to_it(network: Network) -> None:
    """A relay that does not know yet sends more; what stands must not be lost with the rest."""
    network.cut(TOWN)
    for number in range(6):
        network.report(number)
    county, village = network.engine(COUNTY), network.engine(VILLAGE)
    county.roster.end_epoch(E1, EpochStatus.REVOKED, 4, "stolen")
    cut = cut_segment(village.replica.store, village.replica.feeds[E1], COUNTY, 0, 1 << 20)
    assert cut is not None
    county.replica.begin()
    with county._store.transaction(), pytest.raises(HuyingError) as caught:
        county.replica.receive(decode_segment(cut.segment))
    assert caught.value.code is Code.REVOKED
    held = county.replica.feeds[E1]
    assert held.size == 4
    with county._store.transaction(), pytest.raises(HuyingError) as caught:
        county.replica.receive(decode_segment(cut.segment))
    assert county.replica.feeds[E1].size == 4
    # What was cut off stays provable: frontier and rest still fold to the signed root.
    assert held.head is not None
    whole = merge(CompactRange(0, 4, held.frontier), CompactRange(4, held.head.size, held.rest))
    assert root(whole) == held.head.root


def test_stranded_entries_are_listed_and_written_again_once(network: Network) -> None:
    """Honest work that came too late is not lost: the next epoch says it again."""
    network.report(1)
    network.cut(VILLAGE)
    network.report(2)
    network.report(3)
    network.operate(TOWN, Revoke(VILLAGE, "mislaid"))
    network.operate(VILLAGE, RotateFeed(signer(VILLAGE, 2)))
    # The operators met: the town enrols the next epoch, and the county confirms it.
    enrol(network, TOWN, replace(pin(VILLAGE), feed_key=str(signer(VILLAGE, 2).key)))
    network.operate(COUNTY, Confirm(VILLAGE, "found again"))
    network.mend(VILLAGE)
    network.run(100)
    listed = network.result(VILLAGE, Reenter(write=False))
    assert [(one.index, one.reentered) for one in listed] == [(1, False), (2, False), (3, False)]
    again = network.result(VILLAGE, Reenter(write=True))
    assert [one.reentered for one in again] == [True, True, False]  # a Close is not said again
    assert network.held(COUNTY, E2) == 3
    network.operate(VILLAGE, Reenter(write=True))
    assert network.held(COUNTY, E2) == 3


def test_a_revocation_by_somebody_else_is_refused(network: Network) -> None:
    """Only the parent that speaks for a node ends its keys."""
    revocation = trust_pb2.Revocation(origin=E1, size=0, reason="spite")
    enrol(network, COUNTY, pin(VILLAGE), revocation=revocation)
    assert status(network, TOWN, E1) is EpochStatus.ACTIVE
    assert status(network, VILLAGE, E1) is EpochStatus.ACTIVE
