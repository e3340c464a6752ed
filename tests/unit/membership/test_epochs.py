"""A key lives for one epoch; who may name the next one, and what an epoch's end means."""

from __future__ import annotations

import ssl
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from huying.common.effects import DraftEntry, NoticeKind
from huying.common.engine import Engine
from huying.common.errors import Code
from huying.common.feed.merkle import EMPTY_ROOT
from huying.common.limits import WAITING_KEYS_MAX
from huying.common.membership.roster import EpochStatus
from huying.common.membership.succession import make_succession
from huying.common.membership.trust import (
    Accept,
    RenewKeys,
    Revoke,
    RotateFeed,
    begin_epoch,
)
from huying.common.own_feed import OwnFeed
from huying.common.status import FeedHealth
from huying.node import keys
from huying.node.store.store import SqlStore
from huying.wire.v1 import feed_pb2, trust_pb2
from tests.support.tiny_network import COUNTY, TOWN, VILLAGE, event, pin
from tests.support.trusted_network import EVENT, OTHER, Network, origin, signer
from tests.unit.membership.epoch_cases import E1, E2, E3, enrol, status


@pytest.fixture
def network() -> Iterator[Network]:
    made = Network()
    yield made
    made.close()


def test_the_number_of_an_event_type_is_what_the_tests_take_it_for() -> None:
    assert feed_pb2.RECORD_TYPE_EVENT == EVENT


# Rotation.


def test_a_feed_goes_on_under_another_key_without_a_gap(network: Network) -> None:
    """Every reader learns the new key from the feed itself, and takes what it signs at once."""
    for number in range(3):
        network.report(number)
    rotated = network.result(VILLAGE, RotateFeed(signer(VILLAGE, 2)))
    network.report(3)
    for code in (VILLAGE, TOWN, COUNTY):
        assert network.held(code, E1) == rotated.closed_size == 4
        assert network.held(code, E2) == 2
        assert status(network, code, E1) is EpochStatus.CLOSED
        assert status(network, code, E2) is EpochStatus.ACTIVE
    assert network.engine(VILLAGE).identity.origin == E2
    assert not network.nodes[TOWN].codes() | network.nodes[COUNTY].codes()


def test_the_parent_confirms_a_rotated_key_in_its_own_feed_once(network: Network) -> None:
    """Who does not read the village's feed learns its key from the town's."""
    before = network.held(TOWN, origin(TOWN, 1))
    network.operate(VILLAGE, RotateFeed(signer(VILLAGE, 2)))
    assert network.held(TOWN, origin(TOWN, 1)) == before + 1
    known = network.engine(OTHER).roster.feed_key(E2)
    assert known == signer(VILLAGE, 2).key
    assert status(network, OTHER, E1) is EpochStatus.CLOSED
    network.boot(TOWN)
    network.run(30)
    assert network.held(TOWN, origin(TOWN, 1)) == before + 1


def test_the_mark_names_the_new_epoch(network: Network) -> None:
    """The mark says what may have left the node, in the feed that it writes."""
    network.operate(VILLAGE, RotateFeed(signer(VILLAGE, 2)))
    read = network.nodes[VILLAGE].mark.read()
    assert read is not None
    assert read[:2] == (E2, 1)


def test_a_rotation_that_lost_power_before_the_mark_goes_on_in_the_new_epoch(
    network: Network,
) -> None:
    """The commit is the rotation; a mark of the epoch before does not stop the node."""
    network.report(1)
    node = network.nodes[VILLAGE]
    kept = node.mark.read()
    assert kept is not None
    network.operate(VILLAGE, RotateFeed(signer(VILLAGE, 2)))
    node.mark.write(*kept)
    network.boot(VILLAGE, network.engine(VILLAGE).identity)
    assert network.engine(VILLAGE).state == "live"
    read = node.mark.read()
    assert read is not None
    assert read[:2] == (E2, 1)


def test_the_end_of_an_epoch_gets_its_cosignature_after_the_rotation(network: Network) -> None:
    """The witness's word on the last entry comes when the node signs under another key already."""
    network.report(1)
    network.operate(VILLAGE, RotateFeed(signer(VILLAGE, 2)))
    network.run(5)
    closed = network.engine(VILLAGE).replica.feeds[E1]
    assert closed.witnessed is not None
    assert closed.witnessed.size == closed.size == 2
    assert not network.nodes[VILLAGE].codes()


def test_a_mark_beyond_the_closed_epoch_stops_the_node(network: Network) -> None:
    """The exception for a rotation must not let a store pass that has forgotten entries."""
    network.report(1)
    network.operate(VILLAGE, RotateFeed(signer(VILLAGE, 2)))
    network.nodes[VILLAGE].mark.write(E1, 99, b"r" * 32)
    network.boot(VILLAGE, network.engine(VILLAGE).identity)
    assert network.engine(VILLAGE).state == "recovering"


def test_a_rotation_in_the_middle_of_a_backlog_while_cut_off(network: Network) -> None:
    """A village rotates alone, twice, and all of it arrives in order when the line is back."""
    network.cut(VILLAGE)
    for number in range(40):
        network.report(number)
    network.operate(VILLAGE, RotateFeed(signer(VILLAGE, 2)))
    for number in range(40, 80):
        network.report(number)
    network.operate(VILLAGE, RotateFeed(signer(VILLAGE, 3)))
    for number in range(80, 90):
        network.report(number)
    network.cut(TOWN)
    network.mend(VILLAGE)
    network.run(200)
    network.mend(TOWN)
    network.run(200)
    for code in (TOWN, COUNTY):
        sizes = [network.held(code, one) for one in (E1, E2, E3)]
        assert sizes == [41, 42, 11]
        assert network.feed(code, E1).health is FeedHealth.CLOSED
        assert network.feed(code, E3).health is FeedHealth.LIVE
    assert network.nodes[COUNTY].codes() == set()


def test_a_closed_feed_never_goes_stale(network: Network) -> None:
    """Its pulses stop for good; nobody must be woken for that."""
    network.report(1)
    network.operate(VILLAGE, RotateFeed(signer(VILLAGE, 2)))
    network.run(1000)
    network.cut(TOWN)
    network.run(1000)
    shown = network.feed(COUNTY, E1)
    assert shown.health is FeedHealth.CLOSED
    assert shown.lag_seconds == 0
    assert network.feed(COUNTY, E2).health is FeedHealth.UNKNOWN


def test_nothing_behind_a_close_is_taken(network: Network) -> None:
    """A copy of the old key that somebody kept can't lengthen the epoch it signed."""
    network.report(1)
    village = network.engine(VILLAGE)
    old = village.replica
    network.operate(VILLAGE, RotateFeed(signer(VILLAGE, 2)))
    # The village goes on writing its closed epoch, as nobody honest does.
    old.identity = replace(old.identity, feed_signer=network.nodes[VILLAGE].identity.feed_signer)
    feed = old.feeds[E1]
    old._own_feed = OwnFeed(
        old.identity.feed_signer, feed.feed_id, old.store, network.clock, old._entropy
    )
    village.roster._known.epochs[E1] = replace(
        village.roster._known.epochs[E1], status=EpochStatus.ACTIVE, stop=None
    )
    size = network.held(TOWN, E1)
    network.report(2)
    assert network.held(VILLAGE, E1) == size + 1
    network.run(100)
    assert network.held(TOWN, E1) == size
    assert Code.EPOCH_CLOSED in network.nodes[TOWN].codes()


def test_a_rotation_that_is_refused_leaves_nothing_behind(network: Network) -> None:
    """Close and Open are one transaction: an epoch is never left without its successor."""
    network.report(1)
    answer = network.operate(VILLAGE, RotateFeed(signer(TOWN, 2)))
    assert answer.error is not None
    engine = network.engine(VILLAGE)
    assert engine.identity.origin == E1
    assert status(network, VILLAGE, E1) is EpochStatus.ACTIVE
    assert network.held(VILLAGE, E1) == 1
    assert network.report(2).error is None
    assert network.held(COUNTY, E1) == 2


def test_the_shell_hears_of_a_change_of_epochs(network: Network) -> None:
    """It deletes the old key's file, and shows the new origin."""
    network.operate(VILLAGE, RotateFeed(signer(VILLAGE, 2)))
    kinds = [notice.kind for notice in network.nodes[VILLAGE].notices]
    assert NoticeKind.EPOCH in kinds
    assert NoticeKind.ROSTER in [notice.kind for notice in network.nodes[COUNTY].notices]


def test_everything_that_was_learnt_is_known_after_a_restart(network: Network) -> None:
    """The journal is the roster's only memory."""
    network.report(1)
    network.operate(VILLAGE, RotateFeed(signer(VILLAGE, 2)))
    network.operate(TOWN, Revoke(OTHER, "lost"))
    for code in (COUNTY, TOWN, VILLAGE):
        before = network.engine(code).roster
        network.boot(code, network.engine(code).identity)
        after = network.engine(code).roster
        for known in (E1, E2, origin(OTHER, 1)):
            assert after.epoch(known) == before.epoch(known)
        assert after.children == before.children


def test_a_rotated_root_is_believed_by_all_below(network: Network) -> None:
    """The root's next epoch needs its old key, and nobody else's word."""
    network.operate(COUNTY, RotateFeed(signer(COUNTY, 2)))
    network.run(100)
    for code in (TOWN, VILLAGE, OTHER):
        assert network.held(code, origin(COUNTY, 2)) == 1
        assert status(network, code, origin(COUNTY, 1)) is EpochStatus.CLOSED


# Certificates and sealing keys.


def test_a_parent_repeats_a_childs_new_keys_and_keeps_the_old_certificate_a_while(
    network: Network,
) -> None:
    """The child shows the old certificate until it has heard that the new one is known."""
    first, second = (_certificate(VILLAGE) for _ in range(2))
    hpke = bytes(31) + b"\x05"
    network.operate(VILLAGE, RenewKeys(first, hpke))
    network.operate(VILLAGE, RenewKeys(second))
    town = network.engine(TOWN).roster
    assert town.certificates_of(VILLAGE) == (second, first)
    known = network.engine(COUNTY).roster.pin(VILLAGE)
    assert known is not None
    assert known.certificate == second
    assert known.hpke_key == hpke


def test_keys_that_change_together_are_all_repeated(network: Network) -> None:
    """A town that was away hears of two rotations and two other keys in one breath."""
    certificate, hpke = _certificate(VILLAGE), bytes(31) + b"\x05"
    network.cut(VILLAGE)
    network.operate(VILLAGE, RotateFeed(signer(VILLAGE, 2)))
    network.operate(VILLAGE, RenewKeys(certificate))
    network.operate(VILLAGE, RenewKeys(hpke_key=hpke))
    network.operate(VILLAGE, RotateFeed(signer(VILLAGE, 3)))
    network.mend(VILLAGE)
    network.run(100)
    known = network.engine(OTHER).roster.pin(VILLAGE)
    assert known is not None
    assert (known.origin, known.certificate, known.hpke_key) == (E3, certificate, hpke)
    assert Code.KEY_CHANGED not in network.nodes[OTHER].codes()
    assert not network.engine(TOWN).epochs.owed()


def test_a_certificate_of_another_node_is_quarantined(network: Network) -> None:
    """A village could else have its town take links in the name of a third."""
    network.operate(VILLAGE, RenewKeys(_certificate(OTHER)))
    assert network.engine(TOWN).replica.feeds[E1].quarantined == 1
    assert not network.engine(TOWN).roster.certificates_of(VILLAGE)


def _certificate(code: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        made = keys.create_tls(Path(folder), code)
    return ssl.PEM_cert_to_DER_cert(made.certificate_pem.decode())


def test_a_request_that_was_answered_before_a_rotation_is_answered_as_then(
    network: Network,
) -> None:
    """The client that lost the answer is told the epoch that holds its record."""
    draft = DraftEntry(
        feed_pb2.KIND_PUT,
        feed_pb2.RECORD_TYPE_EVENT,
        event(1),
        request_id=b"r" * 16,
    )
    first = network.write(VILLAGE, draft).receipts[0]
    network.operate(VILLAGE, RotateFeed(signer(VILLAGE, 2)))
    again = network.write(VILLAGE, draft).receipts[0]
    assert again.repeated
    assert (again.origin, again.index, again.record) == (E1, first.index, first.record)


def test_a_node_that_was_told_the_newest_key_alone_reads_the_epochs_before(
    network: Network,
) -> None:
    """Who joins after a rotation still gets the whole history, and all of it verified."""
    network.report(1, OTHER)
    network.operate(TOWN, RotateFeed(signer(TOWN, 2)))
    newest = replace(pin(TOWN), feed_key=str(signer(TOWN, 2).key))
    node = network.nodes[VILLAGE]
    node.store.close()
    node.store, node.pins = SqlStore.open(), [newest, pin(COUNTY)]
    node.mark.write(E1, 0, EMPTY_ROOT)
    network.boot(VILLAGE)
    network.connect(VILLAGE)
    network.run(200)
    for epoch in (1, 2):
        assert network.held(VILLAGE, origin(TOWN, epoch)) == network.held(TOWN, origin(TOWN, epoch))
    assert status(network, VILLAGE, origin(TOWN, 1)) is EpochStatus.CLOSED
    assert network.engine(VILLAGE).roster.stop_of(origin(TOWN, 1)) is not None


# An epoch that no Close announced.


class LoseTheEnd:
    """What `recover --new-epoch` does: the next epoch follows what is left of the last one."""

    def run(self, engine: Engine) -> None:
        own, old = engine.replica.own, engine.identity.feed_signer
        new = signer(VILLAGE, 2)
        reason = trust_pb2.SUCCESSION_REASON_LOST
        begin_epoch(engine, new, make_succession(own.origin, own.size, b"", new, old, reason))


def test_a_claimed_epoch_counts_once_the_parents_operator_accepts_it(network: Network) -> None:
    """The parent accepts only with its own operator's word, and everybody above believes it."""
    network.report(1)
    network.cut(VILLAGE)
    network.operate(VILLAGE, LoseTheEnd())
    network.report(2)
    network.mend(VILLAGE)
    network.run(100)
    assert network.held(TOWN, E2) == 0
    assert Code.KEY_CHANGED in network.nodes[TOWN].codes()
    assert network.operate(COUNTY, Accept(VILLAGE)).error is not None
    assert network.operate(TOWN, Accept(VILLAGE)).error is None
    network.run(100)
    assert network.held(TOWN, E2) == network.held(COUNTY, E2) == 2
    assert Code.KEY_CHANGED not in network.nodes[COUNTY].codes()
    network.cut(VILLAGE)
    network.nodes[TOWN].alarms.clear()
    network.mend(VILLAGE)
    assert Code.KEY_CHANGED not in network.nodes[TOWN].codes()


def test_a_county_takes_a_village_over_with_the_keys_it_has(network: Network) -> None:
    """A town that fails its villages can be left: no key changes, so no trust is asked for."""
    enrol(network, COUNTY, pin(VILLAGE))
    for code in (COUNTY, TOWN, OTHER):  # the village hears of it from its new parent
        assert network.engine(code).roster.parent_of(VILLAGE) == COUNTY
    assert VILLAGE in network.engine(COUNTY).roster.children
    assert VILLAGE not in network.engine(TOWN).roster.children
    answer = network.operate(TOWN, Revoke(VILLAGE, "spite"))
    assert answer.error is not None
    assert status(network, COUNTY, E1) is EpochStatus.ACTIVE


def test_keys_that_wait_are_bounded(network: Network) -> None:
    """A parent can make up any number of keys for its child."""
    for seed in range(WAITING_KEYS_MAX + 5):
        key = signer(VILLAGE, 2, seed=seed).key
        enrol(network, TOWN, replace(pin(VILLAGE), feed_key=str(key)))
    assert len(network.engine(COUNTY).roster.waiting()) == WAITING_KEYS_MAX
