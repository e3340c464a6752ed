"""Bundles and trust: keys that change, senders that are revoked, forks that travel."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest

from huying.common.bundles import bundle
from huying.common.bundles.bundle_import import Imported
from huying.common.errors import Code, HuyingError
from huying.common.feed.checkpoint import Checkpoint, sign_checkpoint
from huying.common.feed.note import KeyType, Signer
from huying.common.integrity.evidence import ForkEvidence
from huying.common.membership.members import member_draft, member_message
from huying.common.membership.trust import Revoke, RotateFeed
from huying.common.status import FeedStatus
from huying.common.sync.pulse import make_pulse
from huying.wire.v1 import bundle_pb2, feed_pb2, sync_pb2
from tests.support.carried_network import Archipelago, Far, seal_key, sealed_pin
from tests.support.handmade import event_draft
from tests.support.tiny_network import COUNTY, TOWN, VILLAGE, identity
from tests.unit.bundles.carriage_cases import events, frames_of, header_of, kinds, written


@pytest.fixture
def sea() -> Iterator[Archipelago]:
    made = Archipelago()
    yield made
    made.close()


def status_of(node: Far, code: str) -> FeedStatus:
    origin = identity(code).origin
    return next(one for one in node.engine.status().feeds if one.origin == origin)


# Keys that change behind the gap.


def rotate(node: Far, epoch: int) -> None:
    """The node closes its feed, and goes on under another key."""
    name = f"{identity(node.code).network}/feed/{node.code}/e{epoch}"
    node.operate(RotateFeed(Signer.from_seed(name, KeyType.ORIGIN, bytes((epoch,)) * 32)))


def test_a_bundle_signed_by_a_key_that_it_brings_itself_is_believed(sea: Archipelago) -> None:
    """A village rotates twice behind the gap; each epoch's last entry names the next key."""
    written(sea.village, 2)
    sea.carry(sea.village, sea.town)
    rotate(sea.village, 2)
    written(sea.village, 2, 2)
    rotate(sea.village, 3)
    written(sea.village, 2, 4)
    made = sea.village.export(TOWN)
    assert header_of(made.data).origin.endswith("/e3")
    taken = sea.town.take_bundle(made.data)
    assert not taken.skipped
    assert events(sea.town) == {f"event {number}" for number in range(6)}
    assert not sea.town.alarms
    sea.village.take_receipt(taken.receipt)
    sea.carry(sea.town, sea.county)
    assert len(events(sea.county)) == 6


def test_where_the_key_does_not_come_nothing_of_the_bundle_stays(sea: Archipelago) -> None:
    """The content is heard before the signature is checked, so all of it must be undone."""
    written(sea.village, 2)
    rotate(sea.village, 2)
    own = sea.village.engine.replica
    honest = own.feeds[identity(VILLAGE).origin]
    del own.feeds[identity(VILLAGE).origin]  # without the epoch that names the key
    data = sea.village.export(TOWN).data
    own.feeds[honest.origin] = honest
    held, members = dict(sea.town.engine.replica.feeds), sea.town.engine.roster.save()
    with pytest.raises(HuyingError) as caught:
        sea.town.take_bundle(data)
    assert caught.value.code is Code.NOT_ENROLLED
    assert sea.town.engine.replica.feeds == held
    assert sea.town.engine.roster.save() == members
    sea.town.take_bundle(sea.village.export(TOWN).data)
    assert len(events(sea.town)) == 2


def test_a_revoked_sender_is_refused(sea: Archipelago) -> None:
    """Its key signs nothing any more, on a link or on a stick."""
    written(sea.village, 2)
    sea.carry(sea.village, sea.town)
    data = sea.village.export(TOWN).data
    sea.town.operate(Revoke(VILLAGE, "lost"))
    with pytest.raises(HuyingError) as caught:
        sea.town.take_bundle(data)
    assert caught.value.code in (Code.NOT_ENROLLED, Code.REVOKED)


def test_a_receipt_by_a_revoked_key_is_refused(sea: Archipelago) -> None:
    """Whoever stole the key could have the next bundles leave entries out."""
    written(sea.town, 2)
    receipt = sea.village.take_bundle(sea.town.export(VILLAGE).data).receipt
    sea.town.operate(Revoke(VILLAGE, "stolen"))
    name = f"{identity(VILLAGE).network}/feed/{VILLAGE}/e2"
    later = Signer.from_seed(name, KeyType.ORIGIN, bytes((2,)) * 32)
    named = dataclasses.replace(sealed_pin(VILLAGE), feed_key=str(later.key))
    sea.town.write(member_draft(member_message(named), TOWN))
    assert VILLAGE in sea.town.engine.roster.children
    with pytest.raises(HuyingError) as caught:
        sea.town.take_receipt(receipt)
    assert caught.value.code is Code.REVOKED


def test_pulses_of_feeds_that_nobody_knows_leave_nothing_behind(sea: Archipelago) -> None:
    """A neighbour may put any number of names into a bundle."""
    name = f"{identity(VILLAGE).network}/feed/{VILLAGE}/e9"
    later = Signer.from_seed(name, KeyType.ORIGIN, bytes((9,)) * 32)
    pulse = make_pulse(later, TOWN, 0, bytes(32), sea.clock.seconds, {})
    greeting = sync_pb2.Hello(version_min=1, version_max=1, network="wenshang.example")
    greeting.code = VILLAGE
    frames = [sync_pb2.Frame(hello=greeting), sync_pb2.Frame(pulse=pulse)]
    payload = bundle_pb2.BundlePayload(
        frames=[one.SerializeToString() for one in frames], secret=bytes(16)
    )
    header = bundle_pb2.BundleHeader(
        network="wenshang.example", sender=VILLAGE, recipient=TOWN, number=1
    )
    key, signer = seal_key(TOWN).public_key, identity(VILLAGE).feed_signer
    sea.town.take_bundle(bundle.seal_bundle(header, payload, key, signer)[0])
    assert name not in sea.town.engine.observations


# Time.


def test_a_pulse_that_lay_in_a_drawer_is_as_old_as_it_says(sea: Archipelago) -> None:
    """A stick that is found again must not make a silent origin look alive."""
    written(sea.village, 3)
    data = sea.village.export(TOWN).data
    assert "pulse" in kinds(data, TOWN)
    sea.clock.seconds += 7 * 86400
    sea.town.take_bundle(data)
    seen = sea.town.engine.observation(identity(VILLAGE).origin)
    assert seen.pulse is not None
    assert not seen.is_fresh(sea.clock.now(), sea.town.engine.settings.stale_seconds)
    assert status_of(sea.town, VILLAGE).lag_seconds is None
    assert not sea.town.alarms


def test_a_sender_whose_clock_is_ahead_makes_nothing_younger(sea: Archipelago) -> None:
    """It was seen when it was imported, at the latest."""
    written(sea.village, 3)
    sea.clock.seconds += 9000
    data = sea.village.export(TOWN).data
    sea.clock.seconds -= 9000
    sea.town.take_bundle(data)
    seen = sea.town.engine.observation(identity(VILLAGE).origin)
    assert seen.pulse_observed == sea.clock.now()


def test_what_a_bundle_misses_at_its_end_a_pulse_shows(sea: Archipelago) -> None:
    """A relay that cuts the tail out of a bundle is caught by the origin's totals."""
    written(sea.village, 3)
    data = sea.village.export(TOWN).data
    frames = frames_of(data, TOWN)
    pulse = next(frame.pulse for frame in frames if frame.WhichOneof("frame") == "pulse")
    body = feed_pb2.PulseBody.FromString(pulse.body)
    assert body.size == 3
    assert {total.name: total.total for total in body.totals} == {TOWN: 3}


# One bad feed.


def a_fork(code: str) -> ForkEvidence:
    """Two notes of one size by the node's own key."""
    signer = identity(code).feed_signer
    first, second = (
        sign_checkpoint(signer, Checkpoint(signer.name, 7, bytes((number,)) * 32))
        for number in (1, 2)
    )
    return ForkEvidence(first, second)


def test_evidence_of_a_fork_travels_by_bundle_and_halts_who_signed_it(sea: Archipelago) -> None:
    """A cloned village behind a gap hears of its twin, and writes no more."""
    written(sea.village, 2)
    sea.carry(sea.village, sea.town)
    replica = sea.town.engine.replica
    origin = identity(VILLAGE).origin
    frozen = a_fork(VILLAGE).encode(origin)
    replica.feeds[origin] = dataclasses.replace(replica.feeds[origin], frozen=frozen)
    sea.village.take_bundle(sea.town.export(VILLAGE).data)
    assert sea.village.engine.state == "forked"
    with pytest.raises(HuyingError) as caught:
        sea.village.export(TOWN)
    assert caught.value.code is Code.FORKED
    sea.county.take_bundle(sea.town.export(COUNTY).data)
    assert sea.county.engine.replica.feeds[origin].frozen


def test_a_frozen_feed_stops_no_other(sea: Archipelago) -> None:
    """The town forks; what it relays of the village still comes."""
    written(sea.village, 2)
    sea.carry(sea.village, sea.town)
    sea.carry(sea.town, sea.county)
    replica = sea.county.engine.replica
    origin = identity(TOWN).origin
    replica.feeds[origin] = dataclasses.replace(
        replica.feeds[origin], frozen=a_fork(TOWN).encode(origin)
    )
    written(sea.village, 2, 2)
    sea.carry(sea.village, sea.town)
    sea.town.write(event_draft(50))
    taken: Imported = sea.county.take_bundle(sea.town.export(COUNTY).data)
    assert taken.skipped == (origin,)
    assert sea.county.size(VILLAGE) == 4
    assert sea.county.size(TOWN) == 1
    assert Code.FEED_FROZEN in sea.county.codes()
