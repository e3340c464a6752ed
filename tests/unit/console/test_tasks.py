"""今日任务: what waits for somebody in the village, and the end of an event with a photo.

A worker opens this page in the morning and believes it: what is theirs is on it, what is another
grid's is not, and what was done is gone from it.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image

from huying.common.errors import Code, HuyingError
from huying.hub.desk import HUB_TOPICS
from huying.wire.v1 import api_pb2, feed_pb2, hotline_pb2, records_pb2
from tests.support.console_site import ConsoleUnderTest, at_once, forms_of, text_of
from tests.support.tiny_network import COUNTY, TOWN, VILLAGE
from tests.unit.console.call_console import LEAD, CallConsoles, call_consoles

FIRST, SECOND = VILLAGE + "001", VILLAGE + "002"
PHONE = "13800005678"
HOSTILE = '"><script>alert(1)</script>'
EVENT = feed_pb2.RECORD_TYPE_EVENT


@pytest.fixture(scope="module")
def consoles(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CallConsoles]:
    with call_consoles(tmp_path_factory.mktemp("tasks")) as found:
        for grid in (FIRST, SECOND):
            append(
                found,
                feed_pb2.RECORD_TYPE_GRID,
                records_pb2.Grid(
                    code=grid,
                    name=f"网格{grid[-1]}",
                    type=records_pb2.GRID_TYPE_GENERAL,
                    grid_level=3,
                ),
            )
        yield found


@pytest.fixture
def site(consoles: CallConsoles) -> ConsoleUnderTest:
    """The village's console, with the worker of the first grid signed in."""
    consoles.village.sign_in("worker", login="wang", area=FIRST)
    return consoles.village


def append(consoles: CallConsoles, kind: int, message: Any) -> bytes:
    draft = api_pb2.Draft(
        kind=feed_pb2.KIND_PUT,
        type=kind,  # type: ignore[arg-type]
        message=message.SerializeToString(),
    )
    request = api_pb2.AppendRequest(drafts=[draft])
    record: bytes = consoles.served.client(VILLAGE).append(request).receipts[0].record
    return record


def report(consoles: CallConsoles, text: str, grid: str = FIRST) -> bytes:
    """An event of the village, reported now."""
    return append(
        consoles,
        EVENT,
        records_pb2.Event(
            category="环境卫生",
            grid=grid,
            status=records_pb2.EVENT_STATUS_REPORTED,
            reported_micros=int(consoles.served.network.clock.now() * 1e6),
            description_public=text,
            description_full=f"{text},问{PHONE}",
            reporter_phone=PHONE,
        ),
    )


def stored(consoles: CallConsoles, record: bytes, code: str = VILLAGE) -> records_pb2.Event:
    row = consoles.served.readers[code].get_event(VILLAGE, record)
    assert row is not None
    return row.event


def picture() -> tuple[str, bytes, str]:
    output = io.BytesIO()
    Image.effect_noise((400, 300), 30).convert("RGB").save(output, "JPEG")
    return "after.jpg", output.getvalue(), "image/jpeg"


def settle(site: ConsoleUnderTest, record: bytes, *photos: Any, **fields: str) -> Any:
    path = f"/tasks/events/{record.hex()}"
    (form,) = [one for one in forms_of(site.get(path).text) if one.action == path]
    return site.post(path, {**form.fields, **fields}, files=[("photo", one) for one in photos])


def test_a_worker_sees_the_open_events_of_their_grid_and_no_others(
    consoles: CallConsoles, site: ConsoleUnderTest
) -> None:
    """Another grid's matters are another worker's, and its address is no way to them."""
    mine, theirs = report(consoles, "桥头垃圾"), report(consoles, "河西积水", SECOND)
    page = text_of(site.get("/tasks").text)
    assert "桥头垃圾" in page
    assert "河西积水" not in page
    assert site.get(f"/tasks/events/{mine.hex()}").status_code == 200
    assert site.get(f"/tasks/events/{theirs.hex()}").status_code == 404
    assert site.post(f"/tasks/events/{theirs.hex()}", {"request_id": "0" * 32}).status_code == 404
    site.sign_in("village_clerk")
    assert "河西积水" in site.get("/tasks").text


def test_an_event_is_settled_with_words_and_a_photo_and_leaves_the_list(
    consoles: CallConsoles, site: ConsoleUnderTest
) -> None:
    """What was done travels masked; the numbers in it stay with the event's own text."""
    record = report(consoles, "路灯不亮")
    answer = settle(site, record, picture(), done=f"换了灯泡,王师傅{PHONE}")
    assert answer.status_code == 303
    assert "路灯不亮" not in site.get("/tasks").text
    event = stored(consoles, record)
    assert event.status == records_pb2.EVENT_STATUS_SETTLED
    assert event.settled_micros > 0
    assert event.description_full == f"路灯不亮,问{PHONE}\n办结:换了灯泡,王师傅{PHONE}"
    assert event.reporter_phone == PHONE
    consoles.served.settle()
    above = stored(consoles, record, TOWN)
    assert above.description_public == "路灯不亮\n办结:换了灯泡,王师傅〔手机号〕"
    assert PHONE not in str(above)
    (photo,) = consoles.served.readers[TOWN].evidence_of(record)
    assert photo.data is not None
    assert photo.actor == "测-wang"


def test_settling_is_written_once_and_by_one_of_two(
    consoles: CallConsoles, site: ConsoleUnderTest
) -> None:
    """Two tabs, two people, or a double tap: the first one settles it, the second is told."""
    record = report(consoles, "两个人都去了")
    path = f"/tasks/events/{record.hex()}"
    first, second = (forms_of(site.get(path).text)[-1].fields for _ in range(2))
    size = consoles.feed_size(VILLAGE)
    assert site.post(path, {**first, "done": "甲办的"}).status_code == 303
    assert site.post(path, {**first, "done": "甲办的"}).status_code == 303
    late = site.post(path, {**second, "done": "乙办的"})
    assert late.status_code == 409
    assert "已经办结" in late.text
    assert consoles.feed_size(VILLAGE) == size + 1
    assert "乙办的" not in stored(consoles, record).description_full


def test_of_two_who_settle_at_the_same_moment_one_is_told(
    consoles: CallConsoles, site: ConsoleUnderTest
) -> None:
    """Both had looked before either wrote: the words of the first would be gone from the event."""
    record = report(consoles, "同时办结")
    path = f"/tasks/events/{record.hex()}"
    first, second = (forms_of(site.get(path).text)[-1].fields for _ in range(2))
    answers = at_once(
        site,
        lambda: site.post(path, {**first, "done": "甲办的"}),
        lambda: site.post(path, {**second, "done": "乙办的"}),
    )
    assert sorted(one.status_code for one in answers) == [303, 409]
    told = stored(consoles, record).description_full
    assert ("甲办的" in told) + ("乙办的" in told) == 1
    again = report(consoles, "同一份表单")
    path = f"/tasks/events/{again.hex()}"
    fields = {**forms_of(site.get(path).text)[-1].fields, "done": "一次"}
    answers = at_once(site, *[lambda: site.post(path, fields)] * 2)
    assert [one.status_code for one in answers] == [303, 303], "one form, pressed twice"


def test_what_somebody_changed_meanwhile_is_not_written_over(
    consoles: CallConsoles, site: ConsoleUnderTest
) -> None:
    """Settling writes the event whole, so it would bring back what the person saw before."""
    record = report(consoles, "先前的话")
    path = f"/tasks/events/{record.hex()}"
    seen = forms_of(site.get(path).text)[-1].fields
    changed = stored(consoles, record)
    changed.address = "改过的地点"
    draft = api_pb2.Draft(
        kind=feed_pb2.KIND_PUT, type=EVENT, record=record, message=changed.SerializeToString()
    )
    consoles.served.client(VILLAGE).append(api_pb2.AppendRequest(drafts=[draft]))
    late = site.post(path, {**seen, "done": "办了"})
    assert late.status_code == 409
    assert "办了" in late.text
    assert stored(consoles, record).status == records_pb2.EVENT_STATUS_REPORTED
    assert site.post(path, {**forms_of(late.text)[-1].fields, "done": "办了"}).status_code == 303
    assert stored(consoles, record).address == "改过的地点"


def test_with_the_node_away_the_page_still_reads_and_settles_nothing(
    consoles: CallConsoles, site: ConsoleUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was typed is there to be sent again."""
    record = report(consoles, "断网时办的")
    runtime = consoles.served.runtimes[VILLAGE]
    monkeypatch.setattr(runtime, "append_error", HuyingError(Code.UNREACHABLE, "away"))
    answer = settle(site, record, done="已经清走")
    assert answer.status_code == 400
    assert "已经清走" in answer.text
    assert "断网时办的" in site.get("/tasks").text
    assert stored(consoles, record).status == records_pb2.EVENT_STATUS_REPORTED


def test_calls_that_wait_for_the_village_s_side_are_said_in_words(
    consoles: CallConsoles, site: ConsoleUnderTest
) -> None:
    """An answer wants somebody to go and look; a call that the county is at wants nobody."""
    call = consoles.raise_call("桥下积水", grid=FIRST)
    other = consoles.raise_call("河西断头路", grid=SECOND)
    for one in (call, other):
        consoles.step(consoles.as_centre(), one, "dispatch", department=LEAD)
        consoles.step(consoles.as_department(), one, "accept")
    consoles.served.settle()
    page = text_of(site.get("/tasks").text)
    assert "桥下积水" not in page
    assert "1 件呼叫县里在办" in page
    for one in (call, other):
        consoles.step(consoles.as_department(), one, "answer", text="已抽排")
    consoles.served.settle()
    page = text_of(site.get("/tasks").text)
    assert "桥下积水" in page
    assert "请到现场看看" in page
    assert "河西断头路" not in page


def test_what_became_of_a_report_is_told_step_by_step(
    consoles: CallConsoles, site: ConsoleUnderTest
) -> None:
    """Reported, called, answered, closed: in the words of somebody in the village."""
    (form,) = [one for one in forms_of(site.get("/report").text) if one.action == "/report"]
    sent = site.post("/report", {**form.fields, "category": "道路", "text": "看着它走"})
    event = bytes.fromhex(sent.headers["location"].split("/")[-1].split("?")[0])
    assert "已上报,待处理" in site.get("/report/mine").text
    consoles.served.settle()
    call = consoles.raise_call("看着它走", event=event, grid=FIRST)
    said = []
    moves: list[tuple[Any, str, dict[str, str]]] = [
        (consoles.as_centre, "dispatch", {"department": LEAD}),
        (consoles.as_department, "accept", {}),
        (consoles.as_department, "answer", {"text": "修好了"}),
        (consoles.as_clerk, "confirm", {"resolved": "yes", "satisfaction": "5"}),
        (consoles.as_centre, "closure", {"text": "办结"}),
    ]
    for who, step, fields in moves:
        consoles.step(who(), call, step, **fields)
        consoles.served.settle()
        page = text_of(site.get("/report/mine").text)
        said.append(next(word for word in WORDS if f"看着它走 {word}" in page))
    assert said == list(WORDS)


WORDS = ("已派给部门", "部门正在办理", "已答复,请到现场看看", "镇里确认已解决", "已办结")


def test_an_order_of_the_hotline_is_for_who_sees_the_whole_village(
    consoles: CallConsoles, site: ConsoleUnderTest
) -> None:
    """It names a village and no grid."""
    order = hotline_pb2.Order(
        source="12345",
        source_id="000017",
        handler=VILLAGE,
        category="路灯",
        descriptor="第17号路灯不亮",
        created_micros=int(consoles.served.network.clock.now() * 1e6),
    )
    request = hotline_pb2.ImportOrdersRequest()
    request.rows.add(number=1, order=order)
    desk = next(one for one in HUB_TOPICS if one.name == "HotlineDesk")
    with consoles.served.client(COUNTY) as client:
        client.ask_desk(desk, "ImportOrders", request, 20.0)
    consoles.served.settle()
    assert "第17号路灯不亮" not in site.get("/tasks").text
    site.sign_in("village_clerk")
    page = text_of(site.get("/tasks").text)
    assert "第17号路灯不亮" in page
    assert "接收" in page


def test_who_asks_for_what_stays_here_is_the_clerk_s_to_see(
    consoles: CallConsoles, site: ConsoleUnderTest
) -> None:
    """The request is on top of their list, with what it is for."""
    record = report(consoles, "要核实的")
    consoles.served.settle()
    row = consoles.served.readers[VILLAGE].get_event(VILLAGE, record)
    assert row is not None
    county = consoles.as_department()
    path = f"/provisions/ask?origin={row.origin}&index={row.index}&fields=reporter_phone"
    asked = county.fill(county.get(path), "/provisions/ask", purpose="联系反映人核实", hours="72")
    assert asked.status_code == 303, text_of(asked.text)
    consoles.served.settle()
    assert "联系反映人核实" not in site.get("/tasks").text
    site.sign_in("village_clerk")
    page = text_of(site.get("/tasks").text)
    assert "有人要看留在村里的信息" in page
    assert "联系反映人核实" in page
    assert PHONE not in page


def test_homes_that_nobody_visited_for_long_are_named_key_people_first(
    consoles: CallConsoles, site: ConsoleUnderTest
) -> None:
    """Of the worker's grid; with a way to their page, and no number on this one."""
    homes = {}
    for number, grid in (("31", FIRST), ("32", FIRST), ("41", SECOND)):
        homes[number] = append(
            consoles,
            feed_pb2.RECORD_TYPE_HOUSEHOLD,
            records_pb2.Household(grid=grid, number=number, head_name=f"户主{number}", phone=PHONE),
        )
    append(
        consoles,
        feed_pb2.RECORD_TYPE_RESIDENT,
        records_pb2.Resident(
            grid=FIRST, household=homes["32"], name="李奶奶", key_population="空巢老人"
        ),
    )
    page = site.get("/tasks").text
    text = text_of(page)
    assert text.index("户主32") < text.index("户主31")
    assert "户主41" not in text
    assert PHONE not in text
    assert homes["32"].hex() in page


def test_with_nothing_to_do_the_page_says_what_to_do(
    consoles: CallConsoles, site: ConsoleUnderTest
) -> None:
    """An empty list is no dead end."""
    site.sign_in("worker", login="kong", area=VILLAGE + "009")
    page = text_of(site.get("/tasks").text)
    assert "没有等你办的事" in page
    assert "上报一件事" in page


def test_hostile_text_is_text(consoles: CallConsoles, site: ConsoleUnderTest) -> None:
    """Every field of an event that this page repeats."""
    record = append(
        consoles,
        EVENT,
        records_pb2.Event(
            category=HOSTILE,
            grid=FIRST,
            status=records_pb2.EVENT_STATUS_REPORTED,
            reported_micros=int(consoles.served.network.clock.now() * 1e6),
            description_public=HOSTILE,
            description_full=HOSTILE,
            address=HOSTILE,
        ),
    )
    for path in ("/tasks", f"/tasks/events/{record.hex()}"):
        assert "<script>alert" not in site.get(path).text
    refused = settle(site, record, ("x", b"no picture", "image/jpeg"), done=HOSTILE)
    assert refused.status_code == 400
    assert "<script>alert" not in refused.text


def test_the_town_has_no_such_page(consoles: CallConsoles) -> None:
    """The town's own lists are elsewhere."""
    consoles.as_clerk()
    assert consoles.town.get("/tasks").status_code == 403
