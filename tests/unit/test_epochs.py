"""A key lives for one epoch; who may name the next one, and what an epoch's end means."""

from __future__ import annotations

import ssl
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from huying.common.effects import DraftEntry, LinkDown, NoticeKind, Received
from huying.common.engine import Engine
from huying.common.errors import Code, HuyingError
from huying.common.feed.merkle import EMPTY_ROOT, CompactRange, merge, root
from huying.common.feed.segment import decode_segment
from huying.common.limits import WAITING_KEYS_MAX
from huying.common.members import member_draft, member_message
from huying.common.outgoing import cut_segment
from huying.common.own_feed import OwnFeed
from huying.common.roster import EpochStatus, Identity, Pin
from huying.common.status import FeedHealth
from huying.common.succession import make_succession
from huying.common.trust import (
    Accept,
    Confirm,
    Reenter,
    RenewKeys,
    Revoke,
    RotateFeed,
    begin_epoch,
)
from huying.node import keys
from huying.node.store.store import SqlStore
from huying.wire.v1 import feed_pb2, sync_pb2, trust_pb2
from tests.unit.tiny_network import COUNTY, TOWN, VILLAGE, event, pin
from tests.unit.trusted_network import EVENT, OTHER, Network, origin, signer

E1, E2, E3 = origin(VILLAGE, 1), origin(VILLAGE, 2), origin(VILLAGE, 3)


@pytest.fixture
def network() -> Iterator[Network]:
    made = Network()
    yield made
    made.close()


def status(network: Network, code: str, feed: str) -> EpochStatus | None:
    epoch = network.engine(code).roster.epoch(feed)
    return epoch.status if epoch is not None else None


def enrol(
    network: Network,
    writer: str,
    named: Pin,
    succession: trust_pb2.Succession | None = None,
    revocation: trust_pb2.Revocation | None = None,
) -> None:
    """A roster entry that a parent's operator asked for, as it comes of `roster accept`."""
    message = member_message(named, succession, revocation)
    network.write(writer, member_draft(message, writer))


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
