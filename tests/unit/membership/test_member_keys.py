"""Whose word makes a key count: the parent's, the old key's, the grandparent's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from huying.common.effects import DraftEntry
from huying.common.errors import Code
from huying.common.feed.merkle import EMPTY_ROOT
from huying.common.membership.roster import EpochStatus, Identity
from huying.common.membership.succession import make_succession
from huying.common.membership.trust import (
    Confirm,
)
from huying.wire.v1 import feed_pb2, trust_pb2
from tests.support.tiny_network import COUNTY, TOWN, VILLAGE, pin
from tests.support.trusted_network import OTHER, Network, origin, signer
from tests.unit.membership.epoch_cases import E1, E2, enrol, status


@pytest.fixture
def network() -> Iterator[Network]:
    made = Network()
    yield made
    made.close()


# Who may name a key.


def test_a_member_of_a_node_is_taken_from_its_parent_alone(network: Network) -> None:
    """A county that names a village's keys past its town could write as that village."""
    forged = replace(pin(VILLAGE), feed_key=str(signer(VILLAGE, 2).key))
    enrol(network, COUNTY, forged)
    assert status(network, TOWN, E2) is None
    assert not network.engine(TOWN).roster.waiting()
    feed = network.engine(TOWN).replica.feeds[origin(COUNTY, 1)]
    assert feed.quarantined == 1


def test_a_later_key_without_the_old_ones_word_waits_for_the_grandparent(
    network: Network,
) -> None:
    """A town alone must not be able to make up a village; its operator's superior confirms."""
    later = replace(pin(VILLAGE), feed_key=str(signer(VILLAGE, 2).key))
    enrol(network, TOWN, later)
    for code in (TOWN, COUNTY, OTHER):
        assert network.engine(code).roster.feed_key(E2) is None
        assert [one.pin.feed_key for one in network.engine(code).roster.waiting()] == [
            later.feed_key
        ]
        assert Code.KEY_CHANGED in network.nodes[code].codes()
    answer = network.operate(COUNTY, Confirm(VILLAGE, "the old machine burnt"))
    assert answer.error is None
    for code in (TOWN, COUNTY, OTHER):
        assert network.engine(code).roster.feed_key(E2) == signer(VILLAGE, 2).key
        assert status(network, code, E1) is EpochStatus.CLOSED
        assert not network.engine(code).roster.waiting()


def test_a_confirmation_that_comes_first_counts_too(network: Network) -> None:
    """Two feeds have no order between them."""
    later = replace(pin(VILLAGE), feed_key=str(signer(VILLAGE, 2).key))
    message = trust_pb2.Confirmation(code=VILLAGE, feed_key=later.feed_key, reason="by telephone")
    network.write(
        COUNTY,
        DraftEntry(feed_pb2.KIND_ROSTER, feed_pb2.RECORD_TYPE_CONFIRMATION, message),
    )
    enrol(network, TOWN, later)
    assert network.engine(OTHER).roster.feed_key(E2) == signer(VILLAGE, 2).key


def test_a_town_can_not_confirm_what_it_enrolled(network: Network) -> None:
    """The word must come from somebody above the parent."""
    later = replace(pin(VILLAGE), feed_key=str(signer(VILLAGE, 2).key))
    enrol(network, TOWN, later)
    answer = network.operate(TOWN, Confirm(VILLAGE, "trust me"))
    assert answer.error is not None
    assert answer.error.code is Code.NOT_FOUND
    message = trust_pb2.Confirmation(code=VILLAGE, feed_key=later.feed_key)
    network.write(
        TOWN, DraftEntry(feed_pb2.KIND_ROSTER, feed_pb2.RECORD_TYPE_CONFIRMATION, message)
    )
    assert network.engine(COUNTY).roster.feed_key(E2) is None


def test_the_old_keys_signature_on_a_member_is_word_enough(network: Network) -> None:
    """A node that lost the end of its feed, not its key, needs nobody above its parent."""
    old = network.nodes[VILLAGE].identity.feed_signer
    new = signer(VILLAGE, 2)
    succession = make_succession(E1, 0, b"", new, old, trust_pb2.SUCCESSION_REASON_LOST)
    enrol(network, TOWN, replace(pin(VILLAGE), feed_key=str(new.key)), succession=succession)
    assert network.engine(COUNTY).roster.feed_key(E2) == new.key
    assert Code.KEY_CHANGED not in network.nodes[COUNTY].codes()


def test_a_succession_with_another_old_key_is_refused(network: Network) -> None:
    """A forged signature is worse than none."""
    forger = signer(VILLAGE, 1, seed=9)
    new = signer(VILLAGE, 2)
    succession = make_succession(E1, 0, b"", new, forger, trust_pb2.SUCCESSION_REASON_LOST)
    enrol(network, TOWN, replace(pin(VILLAGE), feed_key=str(new.key)), succession=succession)
    roster = network.engine(COUNTY).roster
    assert roster.feed_key(E2) is None
    assert not roster.waiting()


def test_the_roots_own_child_needs_no_grandparent_and_is_alarmed(network: Network) -> None:
    """Nobody stands above the root; so everybody gets to see what it does."""
    later = replace(pin(TOWN), feed_key=str(signer(TOWN, 2).key))
    enrol(network, COUNTY, later)
    for code in (COUNTY, TOWN, VILLAGE):
        assert network.engine(code).roster.feed_key(origin(TOWN, 2)) == signer(TOWN, 2).key
        assert Code.KEY_CHANGED in network.nodes[code].codes()


def test_another_key_for_a_known_epoch_is_refused_and_alarmed_everywhere(
    network: Network,
) -> None:
    """The first key of an epoch stays, at every node that sees the attempt."""
    other = replace(pin(VILLAGE), feed_key=str(signer(VILLAGE, 1, seed=9).key))
    enrol(network, TOWN, other)
    for code in (TOWN, COUNTY, OTHER):
        assert str(network.engine(code).roster.feed_key(E1)) == pin(VILLAGE).feed_key
        assert Code.KEY_CHANGED in network.nodes[code].codes()


def test_entries_of_a_key_that_waits_are_deferred_and_come_when_it_counts(
    network: Network,
) -> None:
    """Nothing is alarmed about the entries, and nothing is lost."""
    new = signer(VILLAGE, 2)
    old = network.engine(VILLAGE).identity
    node = network.nodes[VILLAGE]
    node.mark.write(E2, 0, EMPTY_ROOT)
    network.boot(VILLAGE, Identity(old.network, VILLAGE, new, old.witness_signer))
    network.connect(VILLAGE)
    network.run(20)
    network.report(1)
    assert network.held(TOWN, E2) == 0
    enrol(network, TOWN, replace(pin(VILLAGE), feed_key=str(new.key)))
    network.run(100)
    assert network.held(TOWN, E2) == 0
    network.operate(COUNTY, Confirm(VILLAGE, "a new machine"))
    network.run(100)
    assert network.held(TOWN, E2) == network.held(COUNTY, E2) == 1
