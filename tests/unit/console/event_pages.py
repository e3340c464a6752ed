"""An event's page at one node of the town desk, and what its store holds of it."""

from __future__ import annotations

from huying.wire.v1 import records_pb2
from tests.support.tiny_network import VILLAGE
from tests.unit.console.town_desk import Town

__all__ = ["page_of", "stored"]


def page_of(town: Town, code: str, event: bytes, home: str = VILLAGE, status: int = 200) -> str:
    answer = town.consoles[code].get(f"/events/{home}/{event.hex()}")
    assert answer.status_code == status
    text: str = answer.text
    return text


def stored(town: Town, event: bytes, code: str = VILLAGE) -> records_pb2.Event:
    row = town.served.readers[code].get_event(VILLAGE, event)
    assert row is not None
    return row.event
