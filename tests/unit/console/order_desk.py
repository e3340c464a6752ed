"""What the tests of hotline orders share: known keys, an order's page, and how it stands."""

from __future__ import annotations

import dataclasses
from typing import Any

from huying.node import keys
from huying.wire.v1 import hotline_pb2
from tests.support.tiny_network import COUNTY, TOWN, VILLAGE, pin
from tests.unit.console.town_desk import Town


def know_keys(town: Town) -> None:
    """The county knows to which keys it seals, as a parent's word tells it in a real network."""

    async def add() -> None:
        roster = town.served.network.engines[COUNTY].roster
        for code in (TOWN, VILLAGE):
            key = keys.load_hpke(town.served.configs[code].keys_dir).public_key
            roster.add(dataclasses.replace(pin(code), hpke_key=key))

    town.served.thread.run(add())


def order_page(town: Town, code: str, order: bytes, status: int = 200) -> Any:
    answer = town.consoles[code].get(f"/orders/{order.hex()}")
    assert answer.status_code == status
    return answer


def view(town: Town, code: str, order: bytes) -> hotline_pb2.OrderView:
    request = hotline_pb2.ShowOrderRequest(record=order, actor="test")
    shown: hotline_pb2.OrderView = town.desk(code, "ShowOrder", request).order
    return shown
