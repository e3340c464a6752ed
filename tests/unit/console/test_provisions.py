"""Requests for withheld fields in the browser: decided at the village, looked at where they began.

The county's department asks, the village's clerk reads a few words and says yes or no, and the
value is on one page of the asker, once, with both sides knowing who looked.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from huying.node.desk import topic
from huying.wire.v1 import api_pb2, feed_pb2, provision_pb2
from tests.support.console_site import ConsoleUnderTest, text_of
from tests.support.served_network import ServedNetwork
from tests.support.tiny_network import COUNTY, GRID, TOWN, VILLAGE, event

PHONE = "13900004321"
NAME = "KANARI-REPORTER"
WATER, ROADS = "县水务局", "县交通运输局"
HOSTILE = '"><script>alert(1)</script>'


def add_department(served: ServedNetwork, code: str, name: str) -> None:
    request = provision_pb2.AddDepartmentRequest(name=name)
    with served.client(code) as client:
        client.ask_desk(topic("Departments"), "AddDepartment", request, 10.0)


class Desks:
    """The consoles of county and village, and an event whose reporter has a phone."""

    def __init__(self, served: ServedNetwork) -> None:
        self.served = served
        self.county = ConsoleUnderTest(served, COUNTY)
        self.village = ConsoleUnderTest(served, VILLAGE)

    def event(self, **more: Any) -> tuple[str, int]:
        """An event of the village: the origin and index of its entry."""
        message = event(1)
        message.grid = GRID
        message.reporter_phone = PHONE
        message.reporter_name = NAME
        for name, value in more.items():
            setattr(message, name, value)
        draft = api_pb2.Draft(
            kind=feed_pb2.KIND_PUT,
            type=feed_pb2.RECORD_TYPE_EVENT,
            message=message.SerializeToString(),
        )
        (receipt,) = (
            self.served.client(VILLAGE).append(api_pb2.AppendRequest(drafts=[draft])).receipts
        )
        self.served.settle()
        return receipt.origin, receipt.index

    def form_path(self, place: tuple[str, int], **more: str) -> str:
        """Where one asks for the reporter's phone of an event."""
        query = f"origin={quote(place[0], safe='')}&index={place[1]}&fields=reporter_phone"
        return f"/provisions/ask?{query}" + "".join(f"&{k}={v}" for k, v in more.items())

    def ask(self, place: tuple[str, int], **fields: str) -> str:
        """A request of the water office; its id in hex."""
        self.county.sign_in("department", department=WATER, actor="县-水务-11")
        page = self.county.get(self.form_path(place))
        values = {"purpose": "联系现场核实", "hours": "72", **fields}
        sent = self.county.fill(page, "/provisions/ask", **values)
        assert sent.status_code == 303, text_of(sent.text)
        self.served.settle()
        return str(sent.headers["Location"].split("/")[2].split("?")[0])

    def approve(self, record: str) -> None:
        self.village.sign_in("village_clerk")
        page = self.village.get(f"/provisions/{record}/approve")
        assert self.village.fill(page, "/approve").status_code == 303
        self.served.settle()


@pytest.fixture(scope="module")
def desks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desks]:
    with pytest.MonkeyPatch.context() as patch:
        served = ServedNetwork(tmp_path_factory.mktemp("provisions"), patch)
        for name in (WATER, ROADS):
            add_department(served, COUNTY, name)
        served.settle()
        made = Desks(served)
        yield made
        made.county.close()
        made.village.close()
        served.close()


def audits(site: ConsoleUnderTest, action: str) -> list[str]:
    return [row.object_ for row in site.site.audit.page(count=200, action=action)]


def test_a_phone_is_asked_for_given_looked_at_once_and_gone(desks: Desks) -> None:
    """The whole way, in two presses at the village; both sides read who looked, and the end."""
    place = desks.event()
    record = desks.ask(place)
    county, village = desks.county, desks.village

    waiting = text_of(county.get(f"/provisions/{record}").text)
    assert "还没有决定" in waiting
    assert NAME not in waiting

    village.sign_in("village_clerk")
    listed = text_of(village.get("/provisions").text)
    assert "县水务局 (县-水务-11)想看: 事件的反映人电话 。" in listed
    assert "为了: 联系现场核实" in listed
    assert "之后自动销毁" in listed
    page = village.get(f"/provisions/{record}")
    assert NAME in page.text
    assert PHONE not in page.text
    assert record in audits(village, "provision-view")
    page = village.get(f"/provisions/{record}/approve")
    for _ in range(2):  # a double press decides once
        assert village.fill(page, "/approve").status_code == 303
    assert audits(village, "provision-approve") == [record]
    desks.served.settle()

    page = county.get(f"/provisions/{record}")
    assert PHONE not in page.text
    assert NAME not in page.text
    opened = county.fill(page, "/open")
    assert opened.status_code == 200
    assert PHONE in opened.text
    assert NAME not in opened.text
    assert opened.headers["Cache-Control"] == "no-store"
    again = county.fill(page, "/open")  # the same form: nothing is shown
    assert again.status_code == 303
    assert audits(county, "provision-open") == [record]
    assert not any(PHONE in row.detail for row in county.site.audit.page(count=200))
    desks.served.settle()
    assert "看过 1 次" in text_of(village.get("/provisions?show=all").text)
    assert "查看 县-水务-11" in text_of(village.get(f"/provisions/{record}").text)

    desks.served.settle(3 * 86_400.0)
    county.sign_in("department")
    page = county.get(f"/provisions/{record}")
    assert "期限已过" in page.text
    assert "/open" not in page.text
    late = county.post(f"/provisions/{record}/open", {"request_id": "aa" * 16})
    assert late.status_code == 409
    assert PHONE not in late.text


def test_a_request_is_denied_with_a_reason_that_the_asker_reads(desks: Desks) -> None:
    """No is an answer, with its reason, in two presses; and a decided request stays so."""
    record = desks.ask(desks.event())
    village, county = desks.village, desks.county
    village.sign_in("village_clerk")
    page = village.get(f"/provisions/{record}/deny")
    bad = village.fill(page, "/deny", reason="because")
    assert bad.status_code == 400
    sent = village.fill(page, "/deny", reason="consent_refused", text="本人不愿意")
    assert sent.status_code == 303
    desks.served.settle()
    text = text_of(county.get(f"/provisions/{record}").text)
    assert "对方不同意: 本人不同意" in text
    assert "本人不愿意" in text
    # A second clerk with the page still open is told that it is too late.
    late = village.post(f"/provisions/{record}/approve", {"request_id": "ab" * 16})
    assert late.status_code == 409


def test_an_approval_is_taken_back(desks: Desks) -> None:
    """A person may change their mind; then nobody looks any more."""
    record = desks.ask(desks.event())
    desks.approve(record)
    page = desks.village.get(f"/provisions/{record}/withdraw")
    for _ in range(2):
        assert desks.village.fill(page, "/withdraw", text="本人撤回").status_code == 303
    desks.served.settle()
    page = desks.county.get(f"/provisions/{record}")
    assert "已撤回同意" in page.text
    assert "本人撤回" in page.text
    opened = desks.county.post(f"/provisions/{record}/open", {"request_id": "ac" * 16})
    assert opened.status_code == 409
    assert PHONE not in opened.text


def test_a_request_sent_twice_is_one(desks: Desks) -> None:
    """A double click must not make the village decide twice."""
    place = desks.event()
    desks.county.sign_in("department", department=WATER, actor="县-水务-11")
    page = desks.county.get(desks.form_path(place))
    first = desks.county.fill(page, "/provisions/ask", purpose="两次")
    desks.served.settle()
    second = desks.county.fill(page, "/provisions/ask", purpose="两次")
    assert first.status_code == second.status_code == 303
    assert first.headers["Location"] == second.headers["Location"]


def test_a_department_sees_and_opens_its_own_alone(desks: Desks) -> None:
    """What was given to one office is not there for another, however the form was made."""
    record = desks.ask(desks.event(), purpose="只给水务")
    desks.approve(record)
    county = desks.county
    county.sign_in("department", login="roads", department=ROADS, actor="县-交通-1")
    assert "只给水务" not in county.get("/provisions").text
    assert county.get(f"/provisions/{record}").status_code == 404
    opened = county.post(f"/provisions/{record}/open", {"request_id": "ad" * 16})
    assert opened.status_code == 404
    assert PHONE not in opened.text
    # Nor can it ask in the other's name.
    page = county.get(desks.form_path(desks.event()))
    sent = county.fill(page, "/provisions/ask", purpose="冒名", department=WATER)
    assert sent.status_code == 400
    assert "冒名" in sent.text
    # The centre sees that it was asked, and may not look in the department's place.
    county.sign_in("centre")
    assert "只给水务" in county.get(f"/provisions/{record}").text
    opened = county.post(f"/provisions/{record}/open", {"request_id": "ae" * 16})
    assert opened.status_code == 403
    assert PHONE not in opened.text


def test_the_wrong_role_decides_and_asks_nothing(desks: Desks) -> None:
    """A hand-made form of somebody without the permission is refused, and nothing is written."""
    record = desks.ask(desks.event())
    village, county = desks.village, desks.county
    fields = {"request_id": "af" * 16, "reason": "other"}
    village.sign_in("worker")
    for deed in ("approve", "deny", "withdraw"):
        assert village.post(f"/provisions/{record}/{deed}", fields).status_code == 403
    assert village.get("/provisions").status_code == 403
    county.sign_in("director")
    assert county.get("/provisions").status_code == 403
    assert county.post(f"/provisions/{record}/open", fields).status_code == 403
    # Who may ask does not thereby decide.
    county.sign_in("department")
    assert county.post(f"/provisions/{record}/approve", fields).status_code == 403
    village.sign_in("village_clerk")
    assert "待决定" in village.get(f"/provisions/{record}").text


def test_a_clerk_of_another_grid_sees_no_request_about_this_one(desks: Desks) -> None:
    """The subject of a request is somebody of a grid; who is bound to another learns nothing."""
    record = desks.ask(desks.event())
    desks.village.sign_in("village_clerk", login="grid-nine", area=VILLAGE + "009")
    assert desks.village.get(f"/provisions/{record}").status_code == 404
    sent = desks.village.post(f"/provisions/{record}/approve", {"request_id": "ba" * 16})
    assert sent.status_code == 404


def test_only_what_is_withheld_below_can_be_asked_for(desks: Desks) -> None:
    """What is not there, not below, or not of the person's area is one and the same: not there."""
    place = desks.event()
    county = desks.county
    county.sign_in("department", department=WATER)
    page = county.get(desks.form_path(place))
    assert "反映人电话" in page.text
    assert "类别" not in page.text
    for path in (
        desks.form_path((place[0], 10_000)),
        desks.form_path(("nowhere", 1)),
        desks.form_path((place[0].replace(VILLAGE, COUNTY), 0)),
    ):
        assert county.get(path).status_code == 404, path
    assert county.get(desks.form_path(place, call="ab" * 16)).status_code == 404
    county.sign_in("department", login="far", department=WATER, actor="x", area="370830109000")
    assert county.get(desks.form_path(place)).status_code == 404
    county.sign_in("department")
    sent = county.fill(page, "/provisions/ask", purpose=f"电话 {PHONE}")
    assert sent.status_code == 400  # a number in what both tiers read
    assert f"电话 {PHONE}" in sent.text  # nothing typed is lost


def test_hostile_words_are_shown_as_words(desks: Desks) -> None:
    """A purpose comes from another node, and a name from anybody."""
    record = desks.ask(
        desks.event(reporter_name=HOSTILE, descriptor=HOSTILE), purpose=f"为了{HOSTILE}"
    )
    desks.village.sign_in("village_clerk")
    for path in ("", f"/{record}", f"/{record}/approve", f"/{record}/deny"):
        text = desks.village.get(f"/provisions{path}").text
        assert "<script>alert" not in text, path
        assert "&lt;script&gt;" in text, path
    assert "<script>alert" not in desks.county.get(f"/provisions/{record}").text


def test_a_town_asks_its_village(desks: Desks) -> None:
    """The town's clerk has the same pages over the town's own department."""
    served = desks.served
    add_department(served, TOWN, "义桥镇便民服务中心")
    place = desks.event()
    with ConsoleUnderTest(served, TOWN) as town:
        town.sign_in("clerk", actor="镇-7")
        sent = town.fill(town.get(desks.form_path(place)), "/provisions/ask", purpose="回访")
        assert sent.status_code == 303, text_of(sent.text)
        served.settle()
        record = sent.headers["Location"].split("/")[2].split("?")[0]
        desks.approve(record)
        opened = town.fill(town.get(f"/provisions/{record}"), "/open")
        assert PHONE in opened.text


def test_requests_are_read_while_the_node_is_away(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """The clerk still reads what waits; a decision is refused and nothing pretends otherwise."""
    with pytest.MonkeyPatch.context() as patch:
        served = ServedNetwork(tmp_path_factory.mktemp("away"), patch)
        add_department(served, COUNTY, WATER)
        served.settle()
        desks = Desks(served)
        record = desks.ask(desks.event())
        desks.village.sign_in("village_clerk")
        page = desks.village.get(f"/provisions/{record}/approve")
        served.stop_servers()
        assert "联系现场核实" in desks.village.get("/provisions").text
        sent = desks.village.fill(page, "/approve")
        assert sent.status_code == 400
        assert "待决定" in desks.village.get("/provisions").text
        assert audits(desks.village, "provision-approve") == []
        desks.county.close()
        desks.village.close()
        served.close()
