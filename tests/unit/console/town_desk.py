"""What the tests of the town's pages share: the served network, a policy, events and orders."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from huying.common.effects import AppendReceipt, DraftEntry
from huying.common.policies import shipped_policy
from huying.wire.v1 import feed_pb2, hotline_pb2, records_pb2
from tests.support.console_site import ConsoleUnderTest
from tests.support.served_network import ServedNetwork
from tests.support.tiny_network import COUNTY, GRID, TOWN, VILLAGE, put

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{7*7}}"
PHONE = "16012345678"  # of nobody
REPORTER = "16087654321"  # of nobody, too
OTHER_VILLAGE = "370830108202"


class Town:
    """A county, a town and a village, with their consoles."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.served = ServedNetwork(folder, patch)
        self.consoles = {
            code: ConsoleUnderTest(self.served, code) for code in (COUNTY, TOWN, VILLAGE)
        }
        self.county, self.town, self.village = self.consoles.values()

    def close(self) -> None:
        for console in self.consoles.values():
            console.close()
        self.served.close()

    def append(self, code: str, *drafts: DraftEntry) -> Sequence[AppendReceipt]:
        """Write at one node, on the loop where the engines run; it has travelled afterwards."""

        async def step() -> Sequence[AppendReceipt]:
            return self.served.network.append(code, *drafts)

        receipts = self.served.thread.run(step())
        self.served.thread.loop.call_soon_threadsafe(self.served.changed)
        return receipts

    def event(self, code: str = VILLAGE, **fields: Any) -> bytes:
        """An event of a village, reported now; its id."""
        message = records_pb2.Event(
            **{
                "category": "道路",
                "descriptor": "路灯不亮",
                "grid": GRID if code == VILLAGE else "",
                "status": records_pb2.EVENT_STATUS_REPORTED,
                "reported_micros": int(self.served.network.clock.now() * 1e6),
                "description_public": "村口路灯不亮",
                "description_full": "张生成家门口的路灯不亮",
                "reporter_name": "张生成",
                "reporter_phone": REPORTER,
                "address": "村口",
                **fields,
            }
        )
        return self.append(code, put(feed_pb2.RECORD_TYPE_EVENT, message))[0].record

    def policy(self, *, approval: bool) -> None:
        """What the county asks of callers from now on."""
        policy = shipped_policy()
        version = self.served.readers[COUNTY].policy(COUNTY).version
        policy.version = version + 1
        policy.approval_required = approval
        self.append(COUNTY, put(feed_pb2.RECORD_TYPE_POLICY, policy, to=(f"{COUNTY}/*",)))

    def order(self, number: int, handler: str = VILLAGE, **fields: Any) -> bytes:
        """An order that the county imported; its id."""
        order = hotline_pb2.Order(
            **{
                "source": "12345",
                "source_id": f"{number:06d}",
                "handler": handler,
                "category": "路灯",
                "descriptor": f"第{number}号路灯不亮",
                "created_micros": int(self.served.network.clock.now() * 1e6),
                "contact_name": "来电人生成",
                "contact_phone": PHONE,
                **fields,
            }
        )
        request = hotline_pb2.ImportOrdersRequest()
        request.rows.add(number=number, order=order)
        response = self.desk(COUNTY, "ImportOrders", request)
        assert response.rows[0].outcome == hotline_pb2.IMPORT_OUTCOME_NEW, response
        record: bytes = response.rows[0].record
        return record

    def desk(self, code: str, method: str, request: Any) -> Any:
        """Ask the hotline's desk of a node, as the command line does."""
        from huying.hub.desk import HUB_TOPICS
        from huying.node.desk import topic

        known = next(one for one in HUB_TOPICS if one.name == "HotlineDesk")
        chosen = known if method in known.methods() else topic("Hotline")
        with self.served.client(code) as client:
            return client.ask_desk(chosen, method, request, 20.0)

    def feed_size(self, code: str) -> int:
        """How many entries a node wrote."""
        feeds = self.served.readers[code].feeds()
        return next(feed.size for feed in feeds if f"/feed/{code}/" in feed.origin)

    def audited(self, code: str, action: str) -> list[tuple[str, str]]:
        """(object, outcome) of what the trail of a console says of an action, oldest first."""
        rows = self.consoles[code].site.audit.page(count=50, action=action)
        return [(row.object_, row.outcome) for row in reversed(rows)]


@contextmanager
def open_town(folder: Path) -> Iterator[Town]:
    """The network and its consoles, while the block lasts."""
    with pytest.MonkeyPatch.context() as patch:
        town = Town(folder, patch)
        try:
            yield town
        finally:
            town.close()


def wait_for(look: Any, seconds: float = 20.0) -> Any:
    """What `look` gives, as soon as it gives something."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.02)
    raise AssertionError("it never came")
