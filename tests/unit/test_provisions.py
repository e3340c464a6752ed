"""Provisions: a village's field, asked for by the county, given, looked at, and gone again.

Three engines over real stores on disk; what each step does at every node, and what nobody may do.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from huying.common.errors import Code
from huying.common.hpke import SealKey
from huying.common.late_requests import EraseRecord
from huying.common.leaf import unpack_openings
from huying.common.provision_asker import AskProvision, DropProvision, RevealProvision
from huying.common.provision_home import (
    DecideProvision,
    EndProvision,
    SettleProvision,
    WithdrawProvision,
)
from huying.common.provision_places import Place, sealed_slot
from huying.common.provisions import request_record
from huying.wire.v1 import feed_pb2, provision_pb2, records_pb2
from tests.unit.late_network import EVERYBODY, LateNetwork, late_network, refusal
from tests.unit.tiny_network import COUNTY, TOWN, VILLAGE, event, identity, put

wire = provision_pb2
DAY = 86_400.0
PHONE = "13900004321"
KEY = SealKey(bytes(range(32)))
REQUEST, DECISION, RECEIPT = 24, 25, 26  # of feed_pb2.RecordType, held by a test


class Desk:
    """The three nodes, and one event of the village whose reporter has a phone."""

    def __init__(self, network: LateNetwork) -> None:
        self.network = network
        message = event(1)
        message.reporter_phone = PHONE
        message.reporter_name = "KANARI-REPORTER"
        (receipt,) = network.append(VILLAGE, put(feed_pb2.RECORD_TYPE_EVENT, message))
        self.origin, self.index, self.event = receipt.origin, receipt.index, receipt.record

    def ask(self, **more: Any) -> AskProvision:
        values: dict[str, Any] = {
            "origin": self.origin,
            "index": self.index,
            "fields": ("reporter_phone",),
            "purpose": "回访",
            "department": "县交通局",
            "actor": "d07",
            "recipient_key": KEY.public_key,
            "expires_micros": int((self.network.clock.seconds + 2 * DAY) * 1e6),
        }
        return AskProvision(**values | more)

    def asked(self, at: str = COUNTY, **more: Any) -> Place:
        receipt = self.network.operate(at, self.ask(**more))
        return receipt.origin, receipt.index

    def decide(
        self, place: Place, verdict: Any = wire.PROVISION_VERDICT_APPROVED, at: str = VILLAGE
    ) -> Place:
        """Where the decision stands."""
        self.network.operate(at, DecideProvision(place, verdict, "v02"))
        return self.last(at)

    def last(self, code: str) -> Place:
        origin = identity(code).origin
        feed = self.network.stores[code].feed(origin)
        assert feed is not None
        return origin, feed.size - 1

    def look(self, request: Place, decision: Place, **more: Any) -> RevealProvision:
        values: dict[str, Any] = {"department": "县交通局", "actor": "d07", "key": KEY} | more
        return RevealProvision(request, decision, **values)

    def looked(self, request: Place, decision: Place, **more: Any) -> records_pb2.Event:
        revealed, _ = self.network.operate(COUNTY, self.look(request, decision, **more))
        return records_pb2.Event.FromString(revealed.message)

    def message(self, code: str, place: Place) -> Any:
        """What a node holds of an entry of a provision."""
        origin, index = place
        feed = self.network.stores[code].feed(origin)
        assert feed is not None
        (stored,) = self.network.stores[code].entries(feed.feed_id, index, index + 1)
        openings = unpack_openings(stored.openings)
        kind = feed_pb2.Head.FromString(openings[0][17:]).type
        made: dict[int, Any] = {
            REQUEST: wire.ProvisionRequest,
            DECISION: wire.ProvisionDecision,
            RECEIPT: wire.ProvisionReceipt,
        }
        return made[kind].FromString(b"".join(opening[17:] for opening in openings[1:]))

    def receipts(self, code: str) -> list[Any]:
        """The receipts that a node holds, oldest first."""
        page = self.network.stores[code].list_records(RECEIPT)
        rows = sorted(page.rows, key=lambda row: row.index)
        return [wire.ProvisionReceipt.FromString(row.message) for row in rows]

    def holders(self, decision: Place) -> set[str]:
        """The nodes that hold what was sealed."""
        slot = sealed_slot(VILLAGE)
        return {
            code for code in EVERYBODY if slot in self.network.slots(code, decision[1], VILLAGE)
        }


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with late_network(tmp_path) as network:
        yield Desk(network)


def test_the_numbers_of_the_types_are_the_wires() -> None:
    """They are written as numbers above."""
    assert feed_pb2.RECORD_TYPE_PROVISION_REQUEST == REQUEST
    assert feed_pb2.RECORD_TYPE_PROVISION_DECISION == DECISION
    assert feed_pb2.RECORD_TYPE_PROVISION_RECEIPT == RECEIPT


def test_a_field_is_asked_for_given_looked_at_and_gone_again(desk: Desk) -> None:
    """The whole life: the value is at the county for the one look, and nowhere but in the seal."""
    network = desk.network
    request = desk.asked()
    assert desk.message(VILLAGE, request).fields == ["reporter_phone"]
    decision = desk.decide(request)
    assert desk.holders(decision) == {COUNTY, TOWN, VILLAGE}
    shown = desk.looked(request, decision)
    assert shown == records_pb2.Event(reporter_phone=PHONE)
    (receipt,) = desk.receipts(VILLAGE)
    assert (receipt.use, receipt.actor) == (wire.PROVISION_USE_SHOWN, "d07")
    network.wait(2 * DAY)
    network.operate(COUNTY, DropProvision(request, decision))
    assert desk.holders(decision) == {TOWN, VILLAGE}
    network.operate(VILLAGE, EndProvision(decision))
    network.wait()
    assert desk.holders(decision) == set()
    assert [one.use for one in desk.receipts(VILLAGE)][-1] == wire.PROVISION_USE_DROPPED
    for code in (COUNTY, TOWN):
        assert network.on_disk(code, PHONE) == []
    assert network.on_disk(VILLAGE, PHONE)
    network.check()
