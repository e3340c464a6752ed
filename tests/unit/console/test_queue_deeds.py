"""What is done from the lists: urging several calls, admitting one; and the worklists it is for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from huying.common.limits import URGED_CALLS_MAX
from tests.support.console_site import ConsoleUnderTest, text_of
from tests.support.tiny_network import COUNTY, TOWN
from tests.unit.console.call_console import HELPER, LEAD, SECOND
from tests.unit.console.queue_desk import QueueDesk, dispatch, queue_desk

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{7*7}}"
ACCEPT = {"accept": {"department": LEAD}}


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[QueueDesk]:
    with queue_desk(tmp_path_factory.mktemp("network")) as found:
        yield found


def centre(desk: QueueDesk) -> ConsoleUnderTest:
    return desk.consoles.as_centre()


def confirm(site: ConsoleUnderTest, *calls: str) -> Any:
    """The page that asks whether these are to be urged."""
    return site.post("/queue/urge", {"call": list(calls), "request_id": "0" * 32})


def fields_of(page: Any, **more: Any) -> dict[str, Any]:
    """The form of that page, with every call in it."""
    request = re.search(r'name="request_id" value="([0-9a-f]{32})">'
                        r'<input type="hidden" name="confirmed"', page.text)  # fmt: skip
    assert request is not None
    calls = re.findall(r'name="call" value="([0-9a-f]{32})"', page.text)
    return {"request_id": request.group(1), "confirmed": "1", "call": calls, **more}


def urged_rows(site: ConsoleUnderTest, call: str) -> list[str]:
    """What the trail says of urging that call."""
    return [row.outcome for row in site.site.audit.page(action="urge", object_=call)]


# --- urging -----------------------------------------------------------------------------------


def test_several_calls_are_urged_by_one_form_once(desk: QueueDesk) -> None:
    """It asks first and says how many; a form that is sent twice urges nobody twice."""
    calls = [desk.raise_call(f"urge {at}", dispatch(LEAD), ACCEPT) for at in range(3)]
    site = centre(desk)
    page = confirm(site, *calls)
    assert "催办 3 件呼叫?" in text_of(page.text)
    assert [desk.urges(call) for call in calls] == [0, 0, 0]
    fields = fields_of(page, reason="汛期将至")
    asked = site.post("/queue/urge", {**fields, "confirmed": ""})
    assert "催办 3 件呼叫?" in text_of(asked.text)
    assert [desk.urges(call) for call in calls] == [0, 0, 0]
    for _ in range(2):
        told = site.post("/queue/urge", fields)
        assert "已催办 3 件" in text_of(told.text)
        assert [desk.urges(call) for call in calls] == [1, 1, 1]
    steps = [step.step for step in desk.view(calls[0]).steps if step.step.HasField("urge")]
    assert [(step.actor, step.urge.reason) for step in steps] == [("县-中心-01", "汛期将至")]
    again = site.post("/queue/urge", fields_of(confirm(site, calls[0]), reason="再催"))
    assert again.status_code == 200
    assert desk.urges(calls[0]) == 2
    assert [urged_rows(site, call) for call in calls] == [["done"] * 2, ["done"], ["done"]]


def test_what_is_refused_is_listed_beside_what_was_urged(desk: QueueDesk) -> None:
    """A call may have been answered while somebody ticked it."""
    good = desk.raise_call("still open", dispatch(LEAD), ACCEPT)
    ended = desk.raise_call(HOSTILE, {"decline": {"reason": 3, "text": "重复"}})
    site = centre(desk)
    told = site.post("/queue/urge", fields_of(confirm(site, good, ended), reason="快"))
    text = text_of(told.text)
    assert "已催办 1 件" in text
    assert "1 件没有催办" in text
    assert "<script>alert" not in told.text
    assert (desk.urges(good), desk.urges(ended)) == (1, 0)
    assert (urged_rows(site, good), urged_rows(site, ended)) == (["done"], ["refused"])


def test_an_urge_without_a_reason_asks_for_it_and_keeps_the_ticks(desk: QueueDesk) -> None:
    """Nothing that was chosen is lost."""
    call = desk.raise_call("no reason", dispatch(LEAD), ACCEPT)
    site = centre(desk)
    page = site.post("/queue/urge", fields_of(confirm(site, call), reason="  "))
    assert page.status_code == 400
    assert "reason" in text_of(page.text)
    assert call in page.text
    assert desk.urges(call) == 0


def test_nothing_is_urged_that_is_not_chosen_rightly(desk: QueueDesk) -> None:
    """No call, too many, no id, and a call beyond the person's area: which tells nothing."""
    call = desk.raise_call("not yours", dispatch(LEAD), ACCEPT)
    site = centre(desk)
    assert site.post("/queue/urge", {"confirmed": "1"}).status_code == 400
    many = {"call": [f"{at:032x}" for at in range(URGED_CALLS_MAX + 1)]}
    assert site.post("/queue/urge", many).status_code == 400
    assert site.post("/queue/urge", {"call": "../etc"}).status_code == 400
    assert confirm(site, "0" * 32).status_code == 404
    assert (
        site.post("/queue/urge", {"call": call}, headers={"Origin": "http://evil"}).status_code
        == 403
    )
    site.sign_in("centre", login="of-other", area="370830101000")
    assert confirm(site, call).status_code == 404
    desk.consoles.as_department()
    assert confirm(desk.consoles.county, call).status_code == 403
    assert desk.urges(call) == 0


def test_just_the_centre_has_boxes_to_tick(desk: QueueDesk) -> None:
    """What a person can't do is not shown."""
    desk.raise_call("boxes", dispatch(LEAD), ACCEPT)
    assert 'name="call"' in centre(desk).get("/queue").text
    page = desk.consoles.as_department().get("/queue").text
    assert "boxes" in page
    assert 'name="call"' not in page


# --- the centre -------------------------------------------------------------------------------


def worklist(page: Any, key: str) -> list[str]:
    """The titles in one list."""
    parts = page.text.split(f'id="list-{key}"')
    section = parts[1].split("</section>")[0] if len(parts) > 1 else ""
    return re.findall(rf'id="{key}-to-[0-9a-f]{{32}}">([^<]*)<', section)


def test_each_call_stands_in_the_list_of_what_it_waits_for(desk: QueueDesk) -> None:
    """Oldest first; what is done leaves the list."""
    handled = (dispatch(SECOND), {"accept": {"department": SECOND}})
    made = {
        "admit": [desk.raise_call("to admit 1"), desk.raise_call("to admit 2")],
        "dispatch": [desk.raise_call("to dispatch", {"admit": {}})],
        "objected": [
            desk.raise_call(
                "to rule",
                *(dispatch(SECOND), {"objection": {"department": SECOND, "reason": "不属"}}),
            )
        ],
        "extension": [
            desk.raise_call(
                "to decide",
                *(*handled, {"extension_request": {"department": SECOND, "reason": "等"}}),
            )
        ],
        "supplement": [
            desk.raise_call(
                "to supplement",
                *(*handled, {"supplement_request": {"department": SECOND, "text": "哪里"}}),
            )
        ],
    }
    unresolved = desk.raise_call(
        "unresolved", *(*handled, {"answer": {"department": SECOND, "text": "好"}})
    )
    desk.step(unresolved, TOWN, confirm={"resolved": False, "satisfaction": 1})
    page = centre(desk).get("/centre")
    for key, calls in made.items():
        expected = [desk.view(call).content.title for call in calls]
        assert worklist(page, key) == expected, key
    assert worklist(page, "unresolved") == ["unresolved"]
    assert worklist(page, "review") == []
    desk.step(made["objected"][0], ruling={"upheld": True, "reason": "是"})
    desk.step(made["extension"][0], extension_decision={"granted": True})
    page = centre(desk).get("/centre")
    assert worklist(page, "objected") == worklist(page, "extension") == []
    assert "to rule" in worklist(page, "dispatch")


def test_a_call_is_admitted_from_the_list_once(desk: QueueDesk) -> None:
    """The commonest deed needs no other page; a second press says why it was not taken again."""
    call = desk.raise_call("admit me")
    site = centre(desk)
    page = site.get("/centre")
    part = page.text.split(f'name="call" value="{call}"')[0]
    request = re.findall(r'name="request_id" value="([0-9a-f]{32})"', part)[-1]
    fields = {"call": call, "request_id": request}
    sent = site.post("/centre/admit", fields)
    assert sent.status_code == 303
    size = desk.consoles.feed_size(COUNTY)
    assert site.post("/centre/admit", fields).status_code == 303  # the same form: taken already
    assert desk.consoles.feed_size(COUNTY) == size
    other = site.post("/centre/admit", {"call": call, "request_id": "ab" * 16})
    assert other.status_code == 409
    assert "refusal" in other.text
    assert desk.consoles.feed_size(COUNTY) == size
    # As the same step from the call's own page, so that one search finds all that was done there.
    trail = site.site.audit.page(action="call-admit", object_=call)
    assert [row.outcome for row in trail] == ["refused", "done", "done"]
    assert site.post("/centre/admit", {"call": "zz", "request_id": request}).status_code == 404
    site.sign_in("centre", login="of-other", area="370830101000")
    beyond = desk.raise_call("beyond")
    assert site.post("/centre/admit", {"call": beyond, "request_id": "cd" * 16}).status_code == 404
    assert desk.view(beyond).admitted_micros == 0


def test_with_the_node_away_lists_are_read_and_nothing_is_said_to_be_done(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """The database is there; what needs the node is refused, call by call."""
    with queue_desk(tmp_path_factory.mktemp("away")) as away:
        call = away.raise_call("kept", dispatch(LEAD, HELPER), ACCEPT)
        waiting = away.raise_call("waiting")
        site = away.consoles.as_centre()
        page = confirm(site, call)
        away.served.stop_servers()
        away.pass_time(5)
        for path in ("/queue", "/calls", "/centre"):
            shown = site.get(path)
            assert shown.status_code == 200
            assert "节点未应答" in text_of(shown.text), path
            assert "waiting" in shown.text
        told = text_of(site.post("/queue/urge", fields_of(page, reason="快")).text)
        assert "1 件没有催办" in told
        assert "已催办" not in told
        refused = site.post("/centre/admit", {"call": waiting, "request_id": "ab" * 16})
        assert refused.status_code == 409
        assert "refusal" in refused.text
