"""A town's clerk who drafts a call, and its principal who decides."""

from __future__ import annotations

from typing import Any

from huying.wire.v1 import calls_pb2, feed_pb2
from tests.support.console_site import text_of
from tests.support.tiny_network import COUNTY, TOWN, VILLAGE
from tests.unit.console.town_desk import PHONE, Town

__all__ = ["CONTACT", "WORDS", "at_county", "decide", "drafted", "state"]

CONTACT = {"contact_name": "李生成", "contact_phone": PHONE}
WORDS = {
    "category": "道路",
    "title": "村口路灯不亮",
    "description": "三盏灯不亮,请派人修。",
    "village": VILLAGE,
    "urgency": "urgent",
}


def drafted(town: Town, **fields: str) -> str:
    """A clerk's draft; its id in hex."""
    town.town.sign_in("clerk")
    answer = town.town.fill(town.town.get("/calls/new?fresh=1"), "/calls/new", **WORDS, **fields)
    assert answer.status_code == 303, text_of(answer.text)
    location: str = answer.headers["location"]
    return location.partition("?")[0].rpartition("/")[2]


def decide(town: Town, draft: str, decision: str = "approve", **fields: str) -> Any:
    return town.town.post(
        f"/call-drafts/{draft}/decide",
        {"request_id": draft[::-1], "decision": decision, **fields},
    )


def state(town: Town, draft: str) -> calls_pb2.CallDraft:
    row = town.served.readers[TOWN].get_record(
        feed_pb2.RECORD_TYPE_CALL_DRAFT, TOWN, bytes.fromhex(draft)
    )
    assert row is not None
    return calls_pb2.CallDraft.FromString(row.message)


def at_county(town: Town, call: str) -> calls_pb2.Call | None:
    found = town.served.readers[COUNTY].get_call(bytes.fromhex(call))
    return None if found is None else calls_pb2.Call.FromString(found[0].message)
