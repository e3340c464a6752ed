"""重新打开 on the screen: the village has the last word on its own event.

A town may settle what is not done. Whoever lives there reads so, and says so at the same place.
"""

from __future__ import annotations

from typing import Any

from huying.wire.v1 import feed_pb2, records_pb2
from tests.support.console_site import ConsoleUnderTest, forms_of, text_of
from tests.support.tiny_network import TOWN, VILLAGE, put
from tests.unit.console.event_pages import stored
from tests.unit.console.town_desk import PHONE, Town

WHY = f"灯又灭了,打 {PHONE} 找我"


def shown(site: ConsoleUnderTest, event: bytes) -> Any:
    return site.get(f"/events/{VILLAGE}/{event.hex()}")


def settled(town: Town) -> bytes:
    """An event that a worker of the village settled."""
    event = town.event()
    town.village.sign_in("worker", name="周涛")
    assert town.village.fill(shown(town.village, event), "/settle").status_code == 303
    return event


def test_a_settled_event_is_opened_again_once_with_the_reason(town: Town) -> None:
    """The town reads why, without the number; nothing else of the event is lost."""
    event = settled(town)
    before = stored(town, event)
    page = shown(town.village, event)
    assert town.village.fill(page, "/reopen", why=WHY).status_code == 303
    size = town.feed_size(VILLAGE)
    assert town.village.fill(page, "/reopen", why=WHY).status_code == 303
    assert town.feed_size(VILLAGE) == size, "a double click is one deed"
    after = stored(town, event)
    assert (after.status, after.settled_micros) == (records_pb2.EVENT_STATUS_REPORTED, 0)
    assert after.description_full.endswith(f"重新打开:{WHY}")
    assert "重新打开:灯又灭了" in after.description_public
    assert PHONE not in after.description_public
    for name in ("status", "settled_micros", "description_full", "description_public"):
        after.ClearField(name)
        before.ClearField(name)
    assert after == before
    assert stored(town, event, TOWN).status == records_pb2.EVENT_STATUS_REPORTED
    assert town.audited(VILLAGE, "event-reopened").count((event.hex(), "done")) == 1
    history = text_of(town.village.get(f"/events/{VILLAGE}/{event.hex()}/history").text)
    assert "重新打开 义桥村 · 周涛" in history


def test_a_refused_reopening_writes_nothing_and_keeps_the_reason(town: Town) -> None:
    """No reason, somebody was quicker, or it is open: the page says so."""
    event = settled(town)
    page = shown(town.village, event)
    assert town.village.fill(page, "/reopen", why=" ").status_code == 400
    assert town.village.fill(page, "/reopen", why="别人先", request_id="ab" * 16).status_code == 303
    size = town.feed_size(VILLAGE)
    late = town.village.fill(page, "/reopen", why="我也要打开", request_id="cd" * 16)
    assert late.status_code == 409
    assert town.feed_size(VILLAGE) == size
    assert not [form for form in forms_of(late.text) if form.action.endswith("/reopen")]
    assert "我也要打开" in late.text


def test_an_event_that_was_changed_or_is_open_is_not_opened_again(town: Town) -> None:
    """Each by itself: what somebody wrote meanwhile would be undone, or nothing be done at all."""
    event = settled(town)
    page = shown(town.village, event)
    changed = stored(town, event)
    changed.category = "路灯"
    town.append(VILLAGE, put(feed_pb2.RECORD_TYPE_EVENT, changed, record=event))
    late = town.village.fill(page, "/reopen", why=WHY)
    assert late.status_code == 409
    assert WHY in late.text, "what was typed stands in the form"
    opened = town.event()
    (settle,) = [
        form
        for form in forms_of(shown(town.village, opened).text)
        if form.action.endswith("/settle")
    ]
    path = settle.action.replace("/settle", "/reopen")
    assert town.village.post(path, {**settle.fields, "why": WHY}).status_code == 409


def test_nobody_but_the_village_opens_it_again(town: Town) -> None:
    """The town never writes the village's event, whatever it sends."""
    event = settled(town)
    version = next(
        form.fields["version"]
        for form in forms_of(shown(town.village, event).text)
        if form.action.endswith("/reopen")
    )
    town.town.sign_in("clerk")
    assert "/reopen" not in shown(town.town, event).text
    fields = {"request_id": "ef" * 16, "version": version, "why": "镇里想打开"}
    path = f"/events/{VILLAGE}/{event.hex()}/reopen"
    assert town.town.post(path, fields).status_code == 403
    assert stored(town, event).status == records_pb2.EVENT_STATUS_SETTLED
