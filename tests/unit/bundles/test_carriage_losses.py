"""Bundles after a loss: restored nodes, what is missing, and what must not come back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from huying.common.bundles.bundle import open_payload, parse_bundle
from huying.common.bundles.bundle_ledger import BundlePeer
from huying.common.errors import Code, HuyingError
from huying.common.feed.leaf import pack_openings, unpack_openings
from huying.common.late.requests import DiscloseRecord, EraseRecord
from huying.common.state import Missing
from huying.node.store.bundle_ledger import SqlBundleLedger
from tests.support.carried_network import Archipelago, Far, seal_key
from tests.support.handmade import event_draft
from tests.support.tiny_network import COUNTY, TOWN, VILLAGE, identity
from tests.unit.bundles.carriage_cases import held, kinds, written


@pytest.fixture
def sea() -> Iterator[Archipelago]:
    made = Archipelago()
    yield made
    made.close()


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
