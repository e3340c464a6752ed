"""What bundles bring: all that a session would, no more, and where the next one begins."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from huying.common import limits
from huying.common.bundles.bundle import open_payload, parse_bundle
from huying.common.errors import Code, HuyingError
from huying.node.store.bundle_ledger import SqlBundleLedger
from huying.wire.v1 import feed_pb2, records_pb2
from tests.support.carried_network import Archipelago, Far, seal_key
from tests.support.handmade import event_draft
from tests.support.tiny_network import COUNTY, GRID, TOWN, VILLAGE, put
from tests.unit.bundles.carriage_cases import events, header_of, kinds, written


@pytest.fixture
def sea() -> Iterator[Archipelago]:
    made = Archipelago()
    yield made
    made.close()


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
