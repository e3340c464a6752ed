"""The consoles of county, town and village over one network, and a call to act on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from huying.node.desk import topic
from huying.wire.v1 import calls_pb2, feed_pb2, provision_pb2
from tests.support.console_site import ConsoleUnderTest, forms_of, text_of
from tests.support.served_network import ServedNetwork
from tests.support.tiny_network import COUNTY, TOWN, VILLAGE, event, put

LEAD, SECOND, HELPER = "水务局", "住建局", "环境局"


class CallConsoles:
    """One console for each tier. `sign_in` is at one of them; forms are filled as they stand."""

    def __init__(self, served: ServedNetwork) -> None:
        self.served = served
        self.sites = {code: ConsoleUnderTest(served, code) for code in (COUNTY, TOWN, VILLAGE)}
        self.county = self.sites[COUNTY]
        self.town = self.sites[TOWN]
        self.village = self.sites[VILLAGE]

    def close(self) -> None:
        for site in self.sites.values():
            site.close()

    def as_centre(self) -> ConsoleUnderTest:
        self.county.sign_in("centre", name="中心甲", actor="县-中心-01")
        return self.county

    def as_department(self, name: str = LEAD, login: str = "") -> ConsoleUnderTest:
        login = login or f"of-{name}"
        self.county.sign_in("department", login=login, department=name, actor=f"县-{login}")
        return self.county

    def as_clerk(self) -> ConsoleUnderTest:
        self.town.sign_in("clerk", name="镇经办", actor="镇-经办-01")
        return self.town

    def raise_call(self, title: str = "村口积水", **fields: Any) -> str:
        """A call of the town, with the village's event, received by the county; its hex id."""
        network = self.served.network
        (found,) = network.append(VILLAGE, put(feed_pb2.RECORD_TYPE_EVENT, event(1)))
        call = calls_pb2.Call(
            **{
                "sequencer": COUNTY,
                "category": "道路",
                "title": title,
                "description": "桥下积水约三十厘米",
                "village": VILLAGE,
                "event": found.record,
                "raised_micros": int(network.clock.seconds * 1e6),
                "actor": "镇-经办-01",
                "contact_name": "张三丰",
                "contact_phone": "13800001111",
                **fields,
            }
        )
        draft = put(feed_pb2.RECORD_TYPE_CALL, call, to=(f"={VILLAGE}",))
        (receipt,) = network.append(TOWN, draft)
        return receipt.record.hex()

    def add_departments(self) -> None:
        with self.served.client(COUNTY) as client:
            for name in (LEAD, SECOND, HELPER):
                request = provision_pb2.AddDepartmentRequest(name=name)
                client.ask_desk(topic("Departments"), "AddDepartment", request, 10.0)

    @staticmethod
    def page(site: ConsoleUnderTest, call: str) -> Any:
        found = site.get(f"/calls/{call}")
        assert found.status_code == 200, found.text[:500]
        return found

    def step(self, site: ConsoleUnderTest, call: str, step: str, **fields: str) -> Any:
        """Open the page, fill the step's form, send it, and follow to the page again."""
        sent = site.fill(self.page(site, call), f"/steps/{step}", **fields)
        assert sent.status_code == 303, text_of(sent.text)[:600]
        return site.get(sent.headers["location"])

    def stage(self, site: ConsoleUnderTest, call: str) -> str:
        text = self.page(site, call).text
        return text.split('data-stage="')[1].split('"')[0]

    @staticmethod
    def steps_on(page: Any) -> list[str]:
        """The steps that the page offers."""
        actions = [form.action for form in forms_of(page.text)]
        return [action.rsplit("/", 1)[1] for action in actions if "/steps/" in action]

    def feed_size(self, code: str) -> int:
        sizes = {feed.origin: feed.size for feed in self.served.readers[code].feeds()}
        return next(size for origin, size in sizes.items() if f"/{code}/" in origin)


@contextmanager
def call_consoles(folder: Path) -> Iterator[CallConsoles]:
    with pytest.MonkeyPatch.context() as patch:
        served = ServedNetwork(folder, patch)
        consoles = CallConsoles(served)
        try:
            consoles.add_departments()
            yield consoles
        finally:
            consoles.close()
            served.close()
