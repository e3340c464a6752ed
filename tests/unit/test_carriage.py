"""What bundles bring: all that a session would, no more, and where the next one begins."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest
from sqlalchemy import select

from huying.common import limits
from huying.common.bundles import bundle
from huying.common.bundles.bundle import open_payload, parse_bundle
from huying.common.bundles.bundle_import import Imported
from huying.common.bundles.bundle_ledger import BundlePeer
from huying.common.errors import Code, HuyingError
from huying.common.evidence import ForkEvidence
from huying.common.feed.checkpoint import Checkpoint, sign_checkpoint
from huying.common.feed.leaf import pack_openings, unpack_openings
from huying.common.feed.note import KeyType, Signer
from huying.common.late_requests import DiscloseRecord, EraseRecord
from huying.common.members import member_draft, member_message
from huying.common.pulse import make_pulse
from huying.common.state import Missing
from huying.common.status import FeedStatus
from huying.common.trust import Revoke, RotateFeed
from huying.node.store.bundle_ledger import SqlBundleLedger
from huying.node.store.schema import ENTRIES
from huying.wire.v1 import bundle_pb2, feed_pb2, records_pb2, sync_pb2
from tests.unit.carried_network import Archipelago, Far, seal_key, sealed_pin
from tests.unit.handmade import event_draft
from tests.unit.tiny_network import COUNTY, GRID, TOWN, VILLAGE, identity, put


@pytest.fixture
def sea() -> Iterator[Archipelago]:
    made = Archipelago()
    yield made
    made.close()


def written(node: Far, count: int, first: int = 0) -> None:
    for number in range(first, first + count):
        node.write(event_draft(number))


def frames_of(data: bytes, recipient: str) -> list[sync_pb2.Frame]:
    payload = open_payload(parse_bundle(data), [seal_key(recipient)])
    return [sync_pb2.Frame.FromString(frame) for frame in payload.frames]


def kinds(data: bytes, recipient: str) -> list[str]:
    return [str(frame.WhichOneof("frame")) for frame in frames_of(data, recipient)]


def header_of(data: bytes) -> bundle_pb2.BundleHeader:
    return parse_bundle(data).header


def events(node: Far) -> set[str]:
    page = node.store.list_records(feed_pb2.RECORD_TYPE_EVENT, limit=1000)
    return {records_pb2.Event.FromString(row.message).descriptor for row in page.rows}


def status_of(node: Far, code: str) -> FeedStatus:
    origin = identity(code).origin
    return next(one for one in node.engine.status().feeds if one.origin == origin)


# Converging.


def test_three_nodes_that_share_no_link_converge(sea: Archipelago) -> None:
    """Up and down, through the town in the middle; keys travel in the bundles too."""
    written(sea.village, 5)
    sea.carry(sea.village, sea.town)
    sea.carry(sea.town, sea.county)
    sea.carry(sea.county, sea.town)
    sea.carry(sea.town, sea.village)
    for node in (sea.county, sea.town, sea.village):
        for code in (COUNTY, TOWN, VILLAGE):
            home = {COUNTY: sea.county, TOWN: sea.town, VILLAGE: sea.village}[code]
            assert node.size(code) == home.size(code), (node.code, code)
        assert not node.alarms
    assert events(sea.county) == events(sea.town) == {f"event {number}" for number in range(5)}


def test_what_may_not_leave_is_in_no_bundle(sea: Archipelago) -> None:
    """The bundle is cut by the rule that cuts the session's segments."""
    draft = put(
        feed_pb2.RECORD_TYPE_RESIDENT,
        records_pb2.Resident(grid=GRID, name="canary-name", generated=True),
    )
    sea.village.write(draft, event_draft())
    data = sea.village.export(TOWN).data
    content = open_payload(parse_bundle(data), [seal_key(TOWN)]).SerializeToString()
    assert b"canary-name" not in content
    assert b"full 0" not in content
    assert b"event 0" in content
    assert b"event 0" not in data  # sealed
    sea.town.take_bundle(data)
    upward = sea.town.export(COUNTY).data
    content = open_payload(parse_bundle(upward), [seal_key(COUNTY)]).SerializeToString()
    assert b"event 0" in content
    assert b"address 0" not in content


def test_a_receipt_brings_the_cosignature_back(sea: Archipelago) -> None:
    """A village behind a gap has a witness, too."""
    written(sea.village, 3)
    before = sea.village.engine.replica.own.witnessed
    assert before is None
    sea.carry(sea.village, sea.town)
    witnessed = sea.village.engine.replica.own.witnessed
    assert witnessed is not None
    assert witnessed.size == 3
    assert f"witness/{TOWN}".encode() in witnessed.note


def test_the_next_bundle_back_acknowledges_without_a_receipt(sea: Archipelago) -> None:
    """Where sticks go both ways nobody need carry receipts, and the parent is cosigned as well."""
    written(sea.village, 3)
    sea.town.take_bundle(sea.village.export(TOWN).data)
    sea.village.take_bundle(sea.town.export(VILLAGE).data)
    made = sea.village.export(TOWN)
    assert (made.number, made.entries) == (2, 0)
    assert header_of(made.data).after == 1
    witnessed = sea.village.engine.replica.own.witnessed
    assert witnessed is not None
    assert witnessed.size == 3


def test_the_next_bundle_repeats_what_was_not_acknowledged(sea: Archipelago) -> None:
    """So a stick that was lost costs nothing but the walk."""
    written(sea.village, 3)
    sea.village.export(TOWN)  # lost
    written(sea.village, 2, 3)
    second = sea.village.export(TOWN)
    assert (second.number, second.entries) == (2, 5)
    assert header_of(second.data).after == 0
    assert sea.town.take_bundle(second.data).entries == 5
    third = sea.village.export(TOWN)
    assert sea.town.take_bundle(third.data).entries == 0


def test_after_the_last_only_news_is_written(sea: Archipelago) -> None:
    """For a gap with no way back, on the operator's word that what was written arrives."""
    sizes = []
    for number in range(4):
        written(sea.village, 2, 2 * number)
        made = sea.village.export(TOWN, after_last=True)
        assert header_of(made.data).after == number
        sizes.append(made.entries)
        sea.town.take_bundle(made.data)
    assert sizes == [2, 2, 2, 2]
    assert sea.town.size(VILLAGE) == 8


def test_from_the_start_serves_a_recipient_that_lost_all(sea: Archipelago) -> None:
    """A machine that was made anew knows of no earlier bundle."""
    written(sea.village, 4)
    sea.carry(sea.village, sea.town)
    made = Far(TOWN, sea.clock)
    with pytest.raises(HuyingError) as caught:
        made.take_bundle(sea.village.export(TOWN).data)
    assert caught.value.code is Code.BUNDLE_GAP
    assert made.take_bundle(sea.village.export(TOWN, from_start=True).data).entries == 4
    made.store.close()


def test_a_bundle_over_the_limit_is_split_and_says_so(sea: Archipelago) -> None:
    """Each part stands by itself, and the parts join."""
    written(sea.village, 1200)
    limit = limits.MIB + 60 * limits.KIB  # the first of them is for questions and pulses
    made = sea.village.export(TOWN, payload_bytes_max=limit)
    assert made.more
    assert 0 < made.entries < 1200
    assert "pulse" not in kinds(made.data, TOWN), "it would run ahead of its feed"
    total, parts = 0, 1
    more = True
    while more:
        total += sea.town.take_bundle(made.data).entries
        made = sea.village.export(TOWN, after_last=True, payload_bytes_max=limit)
        more = made.more
        parts += 1
    total += sea.town.take_bundle(made.data).entries
    assert parts > 2
    assert total == sea.town.size(VILLAGE) == 1200
    assert "pulse" in kinds(made.data, TOWN)
    assert not sea.town.alarms


# Acknowledging by hand.


def test_a_short_code_stands_for_the_bundle_that_was_read(sea: Archipelago) -> None:
    """One way only: the code is said over the telephone."""
    written(sea.village, 3)
    first = sea.town.take_bundle(sea.village.export(TOWN).data)
    written(sea.village, 2, 3)
    sea.village.export(TOWN)
    taken = sea.village.take_code(TOWN, first.code.lower())
    assert (taken.recipient, taken.number, taken.outstanding) == (TOWN, 1, 1)
    made = sea.village.export(TOWN)
    assert made.entries == 2
    assert header_of(made.data).after == 1
    assert sea.town.take_bundle(made.data).entries == 2
    assert sea.village.take_code(TOWN, first.code).number == 1  # said twice


def test_a_mistyped_code_is_told_from_a_wrong_one(sea: Archipelago) -> None:
    """The one is looked at again; with the other something else is wrong."""
    written(sea.village, 1)
    right = sea.town.take_bundle(sea.village.export(TOWN).data).code
    other = sea.county.take_bundle(sea.town.export(COUNTY).data).code
    mistyped = ("8" if right[0] != "8" else "9") + right[1:]
    for typed, code in ((mistyped, Code.INVALID_ARGUMENT), (other, Code.NOT_FOUND)):
        with pytest.raises(HuyingError) as caught:
            sea.village.take_code(TOWN, typed)
        assert caught.value.code is code
    peer = SqlBundleLedger(sea.village.store).bundle_peer(TOWN)
    assert (peer.confirmed, dict(peer.acked)) == (0, {})


def test_a_receipt_is_its_writers_and_for_its_reader_alone(sea: Archipelago) -> None:
    """Whoever finds a receipt could make the next bundle start too late."""
    written(sea.village, 2)
    receipt = sea.town.take_bundle(sea.village.export(TOWN).data).receipt
    found = set()
    for at in range(len(receipt)):
        changed = receipt[:at] + bytes((receipt[at] ^ 1,)) + receipt[at + 1 :]
        with pytest.raises(HuyingError) as caught:
            sea.village.take_receipt(changed)
        found.add(caught.value.code)
        with pytest.raises(HuyingError) as caught:
            sea.village.take_receipt(receipt[:at])
        assert caught.value.code is Code.BUNDLE_TRUNCATED
    assert found <= {
        Code.BUNDLE_TAMPERED,
        Code.BUNDLE_TRUNCATED,
        Code.BUNDLE_NOT_FOR_US,
        Code.NOT_ENROLLED,
    }
    with pytest.raises(HuyingError) as caught:
        sea.county.take_receipt(receipt)
    assert caught.value.code is Code.BUNDLE_NOT_FOR_US
    sea.village.take_receipt(receipt)
    assert sea.village.take_receipt(receipt).number == 1  # again: harmless


def test_an_old_receipt_does_not_turn_the_bundles_back(sea: Archipelago) -> None:
    """Receipts may come in any order, and the newest counts."""
    written(sea.village, 2)
    first = sea.town.take_bundle(sea.village.export(TOWN).data)
    written(sea.village, 2, 2)
    second = sea.town.take_bundle(sea.village.export(TOWN).data)
    sea.village.take_receipt(second.receipt)
    with pytest.raises(HuyingError) as caught:
        sea.village.take_receipt(first.receipt)
    assert caught.value.code is Code.BUNDLE_OUT_OF_ORDER
    assert sea.village.export(TOWN).entries == 0


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


# Nodes that lost something.


def test_a_restored_recipient_names_the_number_it_lacks(sea: Archipelago) -> None:
    """And its receipts say how little it holds, so that the next bundle begins there."""
    written(sea.village, 2)
    sea.carry(sea.village, sea.town)
    old = sea.town.copy()
    written(sea.village, 2, 2)
    sea.carry(sea.village, sea.town)
    written(sea.village, 2, 4)
    with pytest.raises(HuyingError) as caught:
        old.take_bundle(sea.village.export(TOWN).data)
    assert caught.value.code is Code.BUNDLE_GAP
    assert "number 2 of" in caught.value.detail
    taken = old.take_bundle(sea.village.export(TOWN, from_start=True).data)
    assert (taken.entries, old.size(VILLAGE)) == (4, 6)
    assert sea.village.take_receipt(taken.receipt).outstanding == 0
    old.store.close()


def test_a_restored_sender_goes_on_behind_the_numbers_it_used(sea: Archipelago) -> None:
    """The recipient's own bundle tells how far they had come."""
    old = sea.town.copy()
    written(sea.village, 1)
    for _ in range(3):
        sea.carry(sea.town, sea.village)
    with pytest.raises(HuyingError) as caught:
        sea.village.take_bundle(old.export(VILLAGE).data)
    assert caught.value.code is Code.BUNDLE_OUT_OF_ORDER
    old.take_bundle(sea.village.export(TOWN).data)
    made = old.export(VILLAGE)
    assert made.number == 4
    sea.village.take_bundle(made.data)
    old.store.close()


def test_a_bundle_shows_a_restored_node_that_it_lost_entries(sea: Archipelago) -> None:
    """The greeting in it holds the notes that the node signed and no longer knows."""
    written(sea.village, 2)
    old = sea.village.copy()
    written(sea.village, 2, 2)
    sea.carry(sea.village, sea.town)
    assert old.engine.state == "live"
    old.take_bundle(sea.town.export(VILLAGE).data)
    assert old.engine.state == "recovering"
    with pytest.raises(HuyingError) as caught:
        old.export(TOWN)
    assert caught.value.code is Code.RECOVERING
    old.store.close()


# Questions and answers.


def lacking(node: Far, index: int, slots: bytes) -> Missing:
    """Have the node lack these slots of an entry of the village that it had."""
    origin = identity(VILLAGE).origin
    replica = node.engine.replica
    feed = replica.feeds[origin]
    entry = node.store.entries(feed.feed_id, index, index + 1)[0]
    kept = [one for one in unpack_openings(entry.openings) if one[0] not in slots]
    row = Missing(index, index + 1, slots, "", 0, 0, node.clock.now())
    with node.store.transaction():
        node.store.set_entry(feed.feed_id, index, entry._replace(openings=pack_openings(kept)))
        node.store.replace_missing(feed.feed_id, (), (row,))
    replica.missing[origin] = (row,)
    return row


def slots_of(node: Far, index: int) -> bytes:
    feed = node.engine.replica.feeds[identity(VILLAGE).origin]
    entry = node.store.entries(feed.feed_id, index, index + 1)[0]
    return bytes(opening[0] for opening in unpack_openings(entry.openings))


def test_what_is_missing_is_asked_for_and_answered_by_bundle(sea: Archipelago) -> None:
    """One question a trip: up with one bundle, down with the next."""
    written(sea.village, 3)
    sea.carry(sea.village, sea.town)
    before = slots_of(sea.town, 1)
    lacking(sea.town, 1, before[1:2])
    sea.carry(sea.town, sea.village)
    made = sea.village.export(TOWN)
    assert "disclose" in kinds(made.data, TOWN)
    sea.town.take_bundle(made.data)
    assert slots_of(sea.town, 1) == before
    assert not sea.town.engine.replica.missing
    assert Code.WITHHELD not in sea.town.codes()


def test_a_receipt_asks_too(sea: Archipelago) -> None:
    """The sender's next bundle then brings what the last one lacked."""
    written(sea.village, 3)
    sea.carry(sea.village, sea.town)
    lacking(sea.town, 1, slots_of(sea.town, 1)[1:2])
    sea.carry(sea.village, sea.town)
    sea.town.take_bundle(sea.village.export(TOWN).data)
    assert not sea.town.engine.replica.missing


def test_an_answer_without_what_was_asked_for_is_named(sea: Archipelago) -> None:
    """Behind a gap, too, nobody withholds unnoticed."""
    written(sea.village, 3)
    sea.carry(sea.village, sea.town)
    slot = slots_of(sea.town, 1)[1:2]
    lacking(sea.town, 1, slot)
    lacking(sea.village, 1, slot)
    sea.village.engine.replica.missing.clear()
    sea.carry(sea.town, sea.village)
    sea.town.take_bundle(sea.village.export(TOWN).data)
    assert Code.WITHHELD in sea.town.codes()
    assert sea.town.engine.withheld_gaps == 1
    sea.carry(sea.town, sea.village)
    sea.town.take_bundle(sea.village.export(TOWN).data)
    assert sea.town.engine.withheld_gaps == 1, "said once"


# Erased and disclosed.


def held(node: Far, text: bytes) -> bool:
    """Whether any opening in the node's store holds the text."""
    rows = node.store.select(select(ENTRIES.c.openings))
    return any(text in row.openings for row in rows)


def test_what_was_erased_does_not_come_back_by_an_old_bundle(sea: Archipelago) -> None:
    """A stick is found again after the erasure has been everywhere."""
    record = sea.village.write(event_draft(7)).receipts[0].record
    old = sea.village.export(TOWN).data
    sea.town.take_bundle(old)
    sea.carry(sea.town, sea.county)
    upward = sea.town.export(COUNTY, from_start=True).data
    assert held(sea.county, b"event 7")
    sea.village.operate(EraseRecord(record, (), "a request"))
    assert not held(sea.village, b"event 7")
    sea.carry(sea.village, sea.town)
    sea.carry(sea.town, sea.county)
    for node, data, sender in ((sea.town, old, VILLAGE), (sea.county, upward, TOWN)):
        assert not held(node, b"event 7")
        with pytest.raises(HuyingError):
            node.take_bundle(data)
        with node.store.transaction():  # as if it had never come, and none after it
            SqlBundleLedger(node.store).put_bundle_peer(BundlePeer(sender))
            node.store.write("DELETE FROM bundles_imported WHERE code = ?", [(sender,)])
        node.take_bundle(data)
        assert not held(node, b"event 7")
    again = parse_bundle(sea.village.export(TOWN, from_start=True).data)
    assert b"event 7" not in open_payload(again, [seal_key(TOWN)]).SerializeToString()


def test_what_is_disclosed_late_travels_by_bundle(sea: Archipelago) -> None:
    """The grant goes up, the question comes down, and the answer goes up again."""
    record = sea.village.write(event_draft(7)).receipts[0].record
    sea.carry(sea.village, sea.town)
    sea.carry(sea.town, sea.county)
    assert not held(sea.town, b"13800000000")
    granted = DiscloseRecord(record, ("reporter_phone",), (TOWN,), "a visit", 0, "the head")
    sea.village.operate(granted)
    sea.carry(sea.village, sea.town)  # the receipt asks
    assert not held(sea.town, b"13800000000")
    sea.carry(sea.village, sea.town)
    assert held(sea.town, b"13800000000")
    sea.carry(sea.town, sea.county)
    assert not held(sea.county, b"13800000000")
    assert not {Code.WITHHELD, Code.BREACH} & (sea.town.codes() | sea.county.codes())


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


def test_a_stopped_and_a_running_store_agree(sea: Archipelago) -> None:
    """The bookkeeping is in the database, so a restart forgets nothing of it."""
    written(sea.village, 2)
    sea.carry(sea.village, sea.town)
    again = sea.village.copy()
    assert again.export(TOWN).number == 2
    assert again.export(TOWN).entries == 0
    town = sea.town.copy()
    with pytest.raises(HuyingError) as caught:
        town.take_bundle(sea.village.export(TOWN, from_start=True).data + b"x")
    assert caught.value.code is Code.BUNDLE_TAMPERED
    again.store.close()
    town.store.close()
