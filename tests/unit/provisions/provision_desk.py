"""Three nodes, an event of the village, and a county that asks for the phone of who reported it."""

from __future__ import annotations

from typing import Any

from huying.common.feed.hpke import SealKey
from huying.common.feed.leaf import unpack_openings
from huying.common.provisions.asker import AskProvision, RevealProvision
from huying.common.provisions.home import DecideProvision
from huying.common.provisions.places import Place, sealed_slot
from huying.common.provisions.terms import request_record
from huying.wire.v1 import feed_pb2, provision_pb2, records_pb2
from tests.support.late_network import EVERYBODY, LateNetwork
from tests.support.tiny_network import COUNTY, VILLAGE, event, identity, put

__all__ = ["DAY", "DECISION", "KEY", "PHONE", "RECEIPT", "REQUEST", "Desk", "wire"]

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

    def forge(self, message: Any, record: bytes = b"") -> Place:
        """Where a request stands that the county wrote by hand."""
        made = wire.ProvisionRequest()
        made.CopyFrom(message)
        record = record or request_record(COUNTY, made)
        draft = put(REQUEST, made, record, (f"={VILLAGE}",))
        (receipt,) = self.network.append(COUNTY, draft)
        return receipt.origin, receipt.index

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
