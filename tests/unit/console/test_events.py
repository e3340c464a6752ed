"""The events' pages: what each tier sees, what stays at home, and who may settle."""

from __future__ import annotations

import csv
import dataclasses
import html
import io
import re
from pathlib import Path
from typing import Any

import pytest

from huying.common.errors import HuyingError
from huying.common.policies import shipped_policy
from huying.common.records.evidence_parts import JPEG, Picture, parts_of
from huying.node.store import text_scan
from huying.node.web.events.event_pages import LoadedEvent, check_settles
from huying.wire.v1 import api_pb2, calls_pb2, feed_pb2, records_pb2
from tests.support.console_site import forms_of, text_of
from tests.support.tiny_network import COUNTY, GRID, TOWN, VILLAGE, put, raise_call
from tests.unit.console.event_pages import page_of, stored
from tests.unit.console.town_desk import HOSTILE, OTHER_VILLAGE, REPORTER, Town, open_town

JPEG_BYTES = b"\xff\xd8\xff\xe0" + bytes(300) + b"\xff\xd9"


def test_a_town_sees_what_travels_and_is_told_what_stays_in_the_village(town: Town) -> None:
    """A withheld field is named with its keeper; nothing of its value is in the page at all."""
    event = town.event()
    town.town.sign_in("clerk")
    page = page_of(town, TOWN, event)
    assert "村口路灯不亮" in page
    assert "村口" in page  # the place goes to the town
    for hidden in (REPORTER, "张生成"):
        assert hidden not in page
    told = text_of(page)
    assert "反映人电话 留在" in told
    assert "详细情况 反映人 留在" in told


def test_the_county_reads_events_and_does_nothing_with_them(town: Town) -> None:
    """An event is the village's and the town's to deal with; the place of it stays below."""
    event = town.event()
    town.county.sign_in("centre")
    page = page_of(town, COUNTY, event)
    assert "地点 留在" in text_of(page)
    assert [form.action for form in forms_of(page) if "/events/" in form.action] == []
    assert "/calls/new" not in page
    refused = town.county.post(
        f"/events/{VILLAGE}/{event.hex()}/settle", {"request_id": "ab" * 16, "version": ""}
    )
    assert refused.status_code == 403


def test_the_village_sees_all_of_its_event(town: Town) -> None:
    """What stays in the village is there for the village's own people."""
    event = town.event()
    town.village.sign_in("worker")
    page = page_of(town, VILLAGE, event)
    assert REPORTER in page
    assert "张生成家门口的路灯不亮" in page
    assert "留在" not in text_of(page)


def test_settling_keeps_every_other_field_and_reaches_the_town(town: Town) -> None:
    """Settling writes the event's next version: a field left out would be gone everywhere."""
    event = town.event()
    before = stored(town, event)
    town.village.sign_in("worker")
    page = town.village.get(f"/events/{VILLAGE}/{event.hex()}")
    answer = town.village.fill(page, "/settle")
    assert answer.status_code == 303
    after = stored(town, event)
    assert after.status == records_pb2.EVENT_STATUS_SETTLED
    assert after.settled_micros > 0
    before.status, before.settled_micros = after.status, after.settled_micros
    assert after == before
    assert stored(town, event, TOWN).status == records_pb2.EVENT_STATUS_SETTLED
    assert (event.hex(), "done") in town.audited(VILLAGE, "event-settled")


def test_settling_twice_by_one_form_writes_once(town: Town) -> None:
    """A double click is one deed, in the feed and in the trail."""
    event = town.event()
    town.village.sign_in("worker")
    page = town.village.get(f"/events/{VILLAGE}/{event.hex()}")
    assert town.village.fill(page, "/settle").status_code == 303
    size = town.feed_size(VILLAGE)
    assert town.village.fill(page, "/settle").status_code == 303
    assert town.feed_size(VILLAGE) == size
    assert [one for one, _ in town.audited(VILLAGE, "event-settled")].count(event.hex()) == 1


def test_settling_what_somebody_changed_meanwhile_is_refused(town: Town) -> None:
    """The page's version would silently undo what the other one wrote."""
    event = town.event()
    town.village.sign_in("worker")
    page = town.village.get(f"/events/{VILLAGE}/{event.hex()}")
    changed = stored(town, event)
    changed.address = "村东"
    town.append(VILLAGE, put(feed_pb2.RECORD_TYPE_EVENT, changed, event))
    answer = town.village.fill(page, "/settle")
    assert answer.status_code == 409
    assert 'role="alert"' in answer.text
    assert stored(town, event).address == "村东"
    assert stored(town, event).status == records_pb2.EVENT_STATUS_REPORTED


def test_a_town_never_writes_an_event_of_which_it_sees_a_part(town: Town) -> None:
    """By hand-made request: writing it back would lose what the town does not see."""
    event = town.event()
    town.town.sign_in("clerk")
    page = page_of(town, TOWN, event)
    assert "/settle" not in page
    row = town.served.readers[TOWN].get_event(VILLAGE, event)
    assert row is not None
    fields = {"request_id": "cd" * 16, "version": f"{row.origin}:{row.index}"}
    size = town.feed_size(TOWN)
    answer = town.town.post(f"/events/{VILLAGE}/{event.hex()}/settle", fields)
    assert answer.status_code == 403
    assert town.feed_size(TOWN) == size
    assert stored(town, event) == stored(town, event, VILLAGE)


def test_what_lost_a_part_is_not_settled_over_it(town: Town) -> None:
    """Where the node's own store lacks a part, the next version would make the loss final."""
    row = town.served.readers[VILLAGE].get_event(VILLAGE, town.event())
    assert row is not None
    whole = LoadedEvent(row, [], [], [])
    check_settles(whole, whole.version)
    for state in (api_pb2.SLOT_STATE_WITHHELD, api_pb2.SLOT_STATE_LOST):
        slots = bytearray(row.slots)
        slots[-1] = state
        part = LoadedEvent(dataclasses.replace(row, slots=bytes(slots)), [], [], [])
        with pytest.raises(HuyingError, match="missing here"):
            check_settles(part, part.version)


def test_a_person_of_another_village_finds_no_event(town: Town) -> None:
    """Forced browsing: the refusal is that of an event that is not there."""
    event = town.event()
    town.town.sign_in("clerk", login="elsewhere", area=OTHER_VILLAGE)
    refused = page_of(town, TOWN, event, status=404)
    assert "村口路灯不亮" not in refused
    absent = page_of(town, TOWN, bytes(16), status=404)
    clock = "页面时间"
    assert text_of(refused).partition(clock)[0] == text_of(absent).partition(clock)[0]
    listed = town.town.get("/events")
    assert listed.status_code == 200
    assert event.hex() not in listed.text
    assert town.town.get(f"/events?village={VILLAGE}").status_code == 404
    assert town.town.get(f"/events?grid={GRID}").status_code == 404


def test_a_worker_of_one_grid_sees_that_grid(town: Town) -> None:
    """A grid's worker is bound to it in the list and at the address."""
    own = town.event()
    other = town.event(grid=VILLAGE + "002")
    town.village.sign_in("worker", login="grid-worker", area=GRID)
    listed = town.village.get("/events").text
    assert own.hex() in listed
    assert other.hex() not in listed
    page_of(town, VILLAGE, own)
    page_of(town, VILLAGE, other, status=404)
    assert town.village.get(f"/events?grid={VILLAGE}002").status_code == 404


def test_the_list_is_narrowed_by_what_its_filters_say(town: Town) -> None:
    """Status, category, grid and time each leave out what does not fit."""
    settled = town.event(status=records_pb2.EVENT_STATUS_SETTLED, category="井盖")
    old = town.event(reported_micros=1, category="井盖")
    open_ = town.event(category="井盖")
    town.town.sign_in("clerk")

    def shown(query: str) -> set[bytes]:
        text = town.town.get(f"/events?category=井盖&{query}").text
        return {one for one in (settled, old, open_) if one.hex() in text}

    assert shown("") == {settled, old, open_}
    assert shown("status=reported") == {old, open_}
    assert shown("days=30") == {settled, open_}
    assert shown(f"grid={VILLAGE}002") == set()
    for wrong in ("status=x", "days=2", "grid=1", "village=1", "page=zz"):
        assert town.town.get(f"/events?{wrong}").status_code == 400


def test_an_event_is_found_by_its_number_and_by_its_words(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A villager on the telephone has a number, or a few words; the clerk types either."""
    event = town.event(descriptor="井盖丢失", description_public="学校门口井盖丢了")
    other = town.event()
    town.town.sign_in("clerk")
    assert event.hex()[:11] in town.town.get("/events").text
    for words in ("井盖 学校", event.hex()[:12], event.hex().upper()):
        listed = town.town.get("/events", params={"q": words}).text
        assert event.hex() in listed
        assert other.hex() not in listed
    assert "没有符合条件的事件" in town.town.get("/events?q=查无此事").text
    assert event.hex() not in town.town.get(f"/events?q={REPORTER}").text  # it stays at home
    town.town.sign_in("clerk", login="elsewhere", area=OTHER_VILLAGE)
    assert event.hex() not in town.town.get(f"/events?q={event.hex()[:12]}").text
    # An id is found however far back the event lies, where a search would not come.
    town.town.sign_in("clerk")
    monkeypatch.setattr(text_scan, "CALL_SCAN_ROWS_MAX", 1)
    monkeypatch.setattr(text_scan, "_CHUNK", 1)
    assert event.hex() in town.town.get(f"/events?q={event.hex()}").text


def test_a_search_that_is_cut_goes_on_and_finds_the_rest(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long the list, a page answers in time, and says what it did not look at."""
    events = {town.event(descriptor=f"断头路 {number}").hex() for number in range(3)}
    monkeypatch.setattr(text_scan, "CALL_SCAN_ROWS_MAX", 1)
    monkeypatch.setattr(text_scan, "_CHUNK", 1)
    town.town.sign_in("clerk")
    found: set[str] = set()
    path, pages, page = "/events?q=断头路", 0, ""
    while path and pages < 200:
        page = town.town.get(path).text
        found |= {one for one in events if f"/events/{VILLAGE}/{one}" in page}
        link = re.search(r'<a href="([^"]+)" rel="next">继续往前查', page)
        path, pages = (html.unescape(link[1]) if link else ""), pages + 1
    assert found == events
    assert pages >= 3  # one event of the three on each, at most
    assert "已查完" in page


def test_the_list_is_taken_as_a_file_without_formulas_and_without_people(town: Town) -> None:
    """Who must report upward has the list in a spreadsheet, and nobody's number with it."""
    event = town.event(category="=cmd()", description_public="@SUM(1)")
    town.event(category="别的")
    town.town.sign_in("clerk")
    assert "/events/export?format=xlsx" in town.town.get("/events").text
    answer = town.town.get("/events/export?format=csv&category=%3Dcmd()")
    assert "attachment" in answer.headers["content-disposition"]
    header, *rows = csv.reader(io.StringIO(answer.content.decode("utf-8-sig")))
    (row,) = [dict(zip(header, cells, strict=True)) for cells in rows]
    assert row["编号"] == event.hex()
    assert (row["类别"], row["情况"], row["状态"]) == ("'=cmd()", "'@SUM(1)", "已上报")
    for hidden in (REPORTER, "张生成"):
        assert hidden not in answer.text
    town.village.sign_in("worker")
    for hidden in (REPORTER, "张生成"):
        assert hidden not in town.village.get("/events/export?format=csv").text
    assert town.audited(TOWN, "events-export")
    assert town.town.get("/events/export").content.startswith(b"PK")
    assert town.town.get("/events/export?format=html").status_code == 400
    town.town.sign_in("clerk", login="elsewhere", area=OTHER_VILLAGE)
    assert event.hex() not in town.town.get("/events/export?format=csv").text


def test_hostile_text_is_shown_as_text(town: Town) -> None:
    """Whatever a village's node wrote is text on the town's screen, never markup."""
    event = town.event(
        category=HOSTILE, descriptor=HOSTILE, description_public=HOSTILE, address=HOSTILE,
        source=HOSTILE,
    )  # fmt: skip
    for code, role in ((TOWN, "clerk"), (COUNTY, "centre"), (VILLAGE, "worker")):
        town.consoles[code].sign_in(role)
        for text in (page_of(town, code, event), town.consoles[code].get("/events").text):
            assert "<script>alert" not in text
            assert "<img src=x" not in text
            assert "&lt;script&gt;alert(1)" in text
            assert "{{7*7}}" in text


def test_the_call_that_came_of_an_event_stands_beside_it(town: Town) -> None:
    """Whoever opens the event sees that somebody called already, before calling again."""
    event = town.event()
    town.town.sign_in("clerk")
    assert "还没有就此呼叫" in page_of(town, TOWN, event)
    form = town.town.get(f"/calls/new?event={event.hex()}")
    sent = town.town.fill(form, "/calls/new")
    assert sent.status_code == 303
    call = sent.headers["location"].split("?")[0].rpartition("/")[2]
    for code, role in ((TOWN, "clerk"), (VILLAGE, "worker"), (COUNTY, "centre")):
        town.consoles[code].sign_in(role)
        assert f"/calls/{call}" in page_of(town, code, event)
    town.town.sign_in("clerk")
    assert "再次呼叫" in page_of(town, TOWN, event)
    assert f"/calls/{call}" in town.town.get("/events").text


def test_pictures_are_shown_where_they_are_and_named_where_they_are_not(town: Town) -> None:
    """A picture that stays in the village is told of in the town, without its bytes."""
    event = town.event()
    picture = Picture(event, feed_pb2.RECORD_TYPE_EVENT, "灯杆.jpg", JPEG)
    town.append(VILLAGE, *parts_of(picture, JPEG_BYTES))
    kept = Picture(event, feed_pb2.RECORD_TYPE_EVENT, "门牌.jpg", JPEG)
    town.append(VILLAGE, *parts_of(kept, JPEG_BYTES + b"2", stays_home=True))
    town.town.sign_in("clerk")
    page = page_of(town, TOWN, event)
    assert page.count('<img src="/media/') == 1
    assert "门牌.jpg · 留在" in text_of(page)
    town.village.sign_in("worker")
    assert page_of(town, VILLAGE, event).count('<img src="/media/') == 2


def test_pages_go_on_while_the_node_is_away_and_settling_does_not_pretend(
    tmp_path: Path,
) -> None:
    """The database is still there to read; a write that can't be made is told as such."""
    with open_town(tmp_path) as alone:
        event = alone.event()
        alone.village.sign_in("worker")
        page = alone.village.get(f"/events/{VILLAGE}/{event.hex()}")
        alone.served.stop_servers()
        assert alone.village.get("/events").status_code == 200
        again = alone.village.get(f"/events/{VILLAGE}/{event.hex()}")
        assert again.status_code == 200
        answer = alone.village.fill(page, "/settle")
        assert answer.status_code >= 400
        assert 'role="alert"' in answer.text
        assert stored(alone, event).status == records_pb2.EVENT_STATUS_REPORTED


def test_the_strip_of_today_counts_what_waits(town: Town) -> None:
    """The town's first page says what to do, and each number leads to just as many."""
    waits = "turn=caller&amp;order=deadline"
    before = strip(town)
    town.event()
    call, other = raise_here(town), raise_here(town)
    assert strip(town)["status=reported"] == before["status=reported"] + 1
    assert strip(town)[waits] == before[waits]
    answer(town, call)
    assert strip(town)[waits] == before[waits] + 1
    assert town.town.get("/events?status=reported").status_code == 200
    listed = town.town.get("/calls?turn=caller&order=deadline").text
    assert f"/calls/{call.hex()}" in listed
    assert f"/calls/{other.hex()}" not in listed
    assert listed.count('<tr id="row-') == before[waits] + 1
    assert town.town.get("/calls?turn=somebody").status_code == 400
    # Under review the answer's clock stands still, and it is not the town that is waited for.
    policy = shipped_policy()
    policy.version = town.served.readers[COUNTY].policy(COUNTY).version + 1
    policy.review_required = True
    town.append(COUNTY, put(feed_pb2.RECORD_TYPE_POLICY, policy, to=(f"{COUNTY}/*",)))
    reviewed = raise_here(town)
    answer(town, reviewed)
    assert strip(town)[waits] == before[waits] + 1
    assert f"/calls/{reviewed.hex()}" not in town.town.get("/calls?turn=caller").text


def strip(town: Town) -> dict[str, int]:
    """The numbers of the strip by the query of their links."""
    town.town.sign_in("clerk")
    text = town.town.get("/events").text
    found = re.findall(r'<a href="/[a-z-]+(?:\?([^"]*))?"[^>]*><strong>([0-9]+)', text)
    return {query: int(number) for query, number in found}


def raise_here(town: Town) -> bytes:
    async def go() -> bytes:
        return raise_call(town.served.network)

    return town.served.thread.run(go())


def answer(town: Town, call: bytes) -> None:
    """The county goes through with a call, until it is the caller's turn."""
    kinds: list[dict[str, Any]] = [
        {"admit": calls_pb2.Admit()},
        {"dispatch": calls_pb2.Dispatch(department="城管局")},
        {"accept": calls_pb2.Accept(department="城管局")},
        {"answer": calls_pb2.Answer(department="城管局", text="已换灯泡")},
    ]
    with town.served.client(COUNTY) as client:
        for kind in kinds:
            message = calls_pb2.CallStep(call=call, caller=TOWN, **kind)
            client.take_call_step(api_pb2.TakeCallStepRequest(step=message))
