"""An epoch that comes before the end of the one before it accuses nobody."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from huying.common.effects import Received
from huying.common.errors import Code
from huying.common.feed.segment import parse_frame
from huying.common.membership.members import member_draft, member_message
from huying.common.membership.roster import EpochStatus
from huying.common.membership.succession import make_succession
from huying.common.membership.trust import RotateFeed
from huying.wire.v1 import trust_pb2
from tests.support.tiny_network import TOWN, VILLAGE, pin
from tests.support.trusted_network import OTHER, Network, origin, signer

ROTATED = trust_pb2.SUCCESSION_REASON_ROTATED


@pytest.fixture
def network() -> Iterator[Network]:
    made = Network()
    yield made
    made.close()


def lose_end(network: Network) -> None:
    """Whatever comes of the town's first epoch is lost on its way to the other village."""
    engine = network.engine(OTHER)
    step = engine.step

    def lossy(inputs):
        return step([one for one in inputs if not is_of_first_epoch(one)])

    engine.step = lossy  # type: ignore[method-assign]


def is_of_first_epoch(one: object) -> bool:
    if not isinstance(one, Received):
        return False
    return parse_frame(one.frame).segment.origin == origin(TOWN, 1)


def hear_end(network: Network) -> None:
    """It is started anew, and all comes."""
    network.boot(OTHER, network.engine(OTHER).identity)
    network.connect(OTHER)
    network.run(100)


def rotate_out_of_sight(network: Network) -> None:
    """The village's second key is named at the end of the town's first epoch."""
    network.cut(OTHER)
    network.operate(VILLAGE, RotateFeed(signer(VILLAGE, 2)))
    network.operate(TOWN, RotateFeed(signer(TOWN, 2)))


def test_a_key_waits_quietly_for_what_explains_it(network: Network) -> None:
    """Else every line that loses a frame while keys change would raise a false alarm."""
    rotate_out_of_sight(network)
    network.operate(VILLAGE, RotateFeed(signer(VILLAGE, 3)))
    network.operate(VILLAGE, RotateFeed(signer(VILLAGE, 4)))
    lose_end(network)
    network.mend(OTHER)
    network.run(100)
    roster = network.engine(OTHER).roster
    assert network.held(OTHER, origin(TOWN, 2)) == network.held(TOWN, origin(TOWN, 2))
    assert {one.pin.origin for one in roster.waiting()} == {origin(VILLAGE, n) for n in (3, 4)}
    hear_end(network)
    roster = network.engine(OTHER).roster
    assert not roster.waiting()
    found = [one.status for one in roster.epochs_of(VILLAGE)]
    assert found == [EpochStatus.CLOSED] * 3 + [EpochStatus.ACTIVE]
    assert roster.feed_key(origin(VILLAGE, 4)) == signer(VILLAGE, 4).key
    assert Code.KEY_CHANGED not in network.nodes[OTHER].codes()


@pytest.mark.parametrize("old_epoch", [1, 2])
def test_a_key_that_nothing_explains_is_named_once_all_was_heard(
    network: Network, old_epoch: int
) -> None:
    """A town must not get a key past anybody by holding the end of its feed back for a while.

    It is signed by a key that was replaced since, or by one that never was.
    """
    rotate_out_of_sight(network)
    forger = signer(VILLAGE, old_epoch, seed=9)
    forged = signer(VILLAGE, 3, seed=9)
    if old_epoch == 1:
        forger = network.nodes[VILLAGE].identity.feed_signer
    succession = make_succession(forger.name, 0, b"", forged, forger, ROTATED)
    named = replace(pin(VILLAGE), feed_key=str(forged.key))
    network.write(TOWN, member_draft(member_message(named, succession), TOWN))
    lose_end(network)
    network.mend(OTHER)
    network.run(100)
    hear_end(network)
    assert network.engine(OTHER).roster.feed_key(origin(VILLAGE, 3)) is None
    assert Code.KEY_CHANGED in network.nodes[OTHER].codes()
