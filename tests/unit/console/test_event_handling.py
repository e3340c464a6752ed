"""村报镇办 on the screen: a town takes on, settles or hands back what its village reported.

The town never writes the event. What it says reaches the village, whose node settles the event by
itself; whoever looks, at any tier, is told how far that has come.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any

import pytest

from huying.common.errors import Code, HuyingError
from huying.node.events.event_keeper import Settler
from huying.node.store import feed_walk
from huying.node.web.events import handling_versions
from huying.wire.v1 import events_pb2, feed_pb2, records_pb2
from tests.support.console_site import PASSWORD, forms_of, text_of
from tests.support.tiny_network import COUNTY, GRID, TOWN, VILLAGE, put
from tests.unit.console.town_desk import HOSTILE, OTHER_VILLAGE, PHONE, Town, open_town

TAKEN = events_pb2.EVENT_HANDLING_STATUS_TAKEN
SETTLED = events_pb2.EVENT_HANDLING_STATUS_SETTLED
ASSIGNED = events_pb2.EVENT_HANDLING_STATUS_ASSIGNED
FIELD = {"take": "plan", "close": "result", "assign": "task"}


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with open_town(tmp_path_factory.mktemp("handling")) as opened:
        opened.append(
            VILLAGE,
            put(
                feed_pb2.RECORD_TYPE_GRID,
                records_pb2.Grid(code=GRID, name="一网格", type=records_pb2.GRID_TYPE_GENERAL),
            ),
        )
        yield opened


def page(town: Town, code: str, event: bytes, status: int = 200) -> Any:
    answer = town.consoles[code].get(f"/events/{VILLAGE}/{event.hex()}")
    assert answer.status_code == status
    return answer


def say(town: Town, event: bytes, step: str, words: str = "", **fields: Any) -> Any:
    """The clerk fills in one of the town's forms; what came back."""
    form = f"/handle/{step}"
    sent = town.town.fill(page(town, TOWN, event), form, **{FIELD[step]: words}, **fields)
    town.served.settle()
    return sent


def word(town: Town, event: bytes, code: str = VILLAGE) -> events_pb2.EventHandling:
    row = town.served.readers[code].event_handling(VILLAGE, event)
    assert row is not None
    return row.handling


def village_settles(town: Town) -> int:
    """One round of what the village's node does by itself; how many events it settled."""
    served = town.served
    settler = Settler(VILLAGE, served.readers[VILLAGE], served.runtimes[VILLAGE])
    count = served.thread.run(settler.round(served.network.clock.now()))
    served.settle()
    return count


def steps_of(answer: Any) -> list[str]:
    """The steps that a page offers."""
    actions = (form.action for form in forms_of(answer.text))
    return [action.rpartition("/")[2] for action in actions if "/handle/" in action]


# --- the way ----------------------------------------------------------------------------------


def test_what_the_town_settles_is_settled_in_the_village_and_each_page_says_how_far(
    town: Town,
) -> None:
    """The clerk is done with one form; until the village's node heard of it, no page says so."""
    event = town.event()
    town.town.sign_in("clerk", actor="镇-经办-01", name="李经办")
    fresh = page(town, TOWN, event)
    assert steps_of(fresh) == ["take", "close", "assign"]
    assert "镇里还没有人接" in text_of(fresh.text)
    assert say(town, event, "take", "明天去看").status_code == 303
    taken = page(town, TOWN, event)
    assert steps_of(taken) == ["close", "assign"]
    assert "镇已接办 明天去看 接办 · 义桥镇 · 李经办" in text_of(taken.text)
    assert say(town, event, "close", "灯泡换好了").status_code == 303
    on_its_way = text_of(page(town, TOWN, event).text)
    assert "镇已办结,待村里的节点收到" in on_its_way
    history = text_of(town.town.get(f"/events/{VILLAGE}/{event.hex()}/history").text)
    assert "镇已办结,待村里的节点收到" in history
    assert "已上报" not in history, "the badge is that of the event's own page"
    assert village_settles(town) == 1
    done = page(town, TOWN, event)
    assert "待村里的节点收到" not in done.text
    assert "已办结" in text_of(done.text)
    assert steps_of(done) == ["close"]
    assert "村里的节点收到后,事件就办结" not in done.text, "it is settled; just words are put right"
    assert "更正的话记在镇里" in text_of(done.text)
    for code, role in ((VILLAGE, "worker"), (COUNTY, "centre")):
        town.consoles[code].sign_in(role)
        told = text_of(page(town, code, event).text)
        assert "灯泡换好了" in told
        assert "镇-经办-01" in told  # a pseudonym elsewhere: nobody there has that account
        assert steps_of(page(town, code, event)) == []
    for action in ("event-take", "event-close"):
        assert town.audited(TOWN, action)[-1] == (event.hex(), "done")


def test_what_is_handed_to_the_village_stands_first_among_its_tasks(town: Town) -> None:
    """A worker opens one page in the morning: what the town asks, in its words, and by when."""
    asked, theirs, own = (town.event(description_public=one) for one in ("甲事", "乙事", "丙事"))
    town.town.sign_in("clerk", actor="镇-经办-02")
    today = forms_of(page(town, TOWN, asked).text)
    assert today
    assert say(town, asked, "assign", "请先围起来", due="2999-01-31").status_code == 303
    assert word(town, asked).text == "请先围起来\n时限:2999-01-31"
    assert say(town, theirs, "take").status_code == 303
    town.village.sign_in("worker")
    told = text_of(town.village.get("/tasks").text)
    places = [
        told.index(words)
        for words in (
            "镇里交办的",
            "甲事",
            "请先围起来",
            "没办完的事件",
            "丙事",
            "镇里在办",
            "乙事",
        )
    ]
    assert places == sorted(places)
    assert f"/tasks/events/{theirs.hex()}" not in town.village.get("/tasks").text
    assert "镇交办" in text_of(page(town, VILLAGE, asked).text)
    form = town.village.get(f"/tasks/events/{asked.hex()}")
    assert "请先围起来" in text_of(form.text)
    assert town.village.fill(form, f"/tasks/events/{asked.hex()}", done="围好了").status_code == 303
    town.town.sign_in("clerk")
    settled = page(town, TOWN, asked)
    assert steps_of(settled) == []
    assert "围好了" in settled.text
    assert own.hex() in town.village.get("/tasks").text


def test_who_reported_it_reads_what_became_of_it(town: Town) -> None:
    """The worker's own list says that the town has it, and that the town settled it."""
    town.village.sign_in("worker", login="reporter", area=GRID)
    form = town.village.get("/report")
    sent = town.village.fill(form, "/report", category="公共设施", text="桥栏杆断了", grid=GRID)
    event = bytes.fromhex(sent.headers["location"].partition("?")[0].rpartition("/")[2])
    town.served.settle()
    town.town.sign_in("clerk")
    say(town, event, "take")
    assert "镇里在办" in text_of(town.village.get("/report/mine").text)
    say(town, event, "close", "栏杆焊好了")
    village_settles(town)
    told = text_of(town.village.get("/report/mine").text)
    assert "镇里已办结" in told
    assert "栏杆焊好了" in told


def test_the_list_says_who_is_at_an_event_and_leaves_what_is_nobody_s(town: Town) -> None:
    """What the clerk must look at is one press away, and the strip's number is that list's."""
    nobody, taken, settled, called = (town.event(category="分拣") for _ in range(4))
    town.town.sign_in("clerk")
    before = strip(town)
    say(town, taken, "take")
    say(town, settled, "close", "办好了")
    town.town.fill(town.town.get(f"/calls/new?event={called.hex()}"), "/calls/new")
    town.served.settle()
    assert strip(town) == before - 3
    assert "镇已接办" in text_of(town.town.get("/events?category=分拣").text)

    def shown(query: str) -> set[bytes]:
        text = town.town.get(f"/events?category=分拣&{query}").text
        return {one for one in (nobody, taken, settled, called) if one.hex() in text}

    assert shown("town=nobody") == {nobody}
    assert shown("town=taken") == {taken}
    assert shown("town=assigned") == set()
    assert town.town.get("/events?town=x").status_code == 400
    village_settles(town)
    assert shown("status=settled") == {settled}


def strip(town: Town) -> int:
    """What the strip of today says is nobody's."""
    text = text_of(town.town.get("/events").text)
    return int(text.partition(" 其中没人接的")[0].rpartition(" ")[2])


def test_an_event_that_the_village_opens_again_is_the_town_s_to_look_at(town: Town) -> None:
    """The matter came back: the town's earlier end neither hides it nor settles it once more."""
    event = town.event(category="又来")
    town.town.sign_in("clerk")
    say(town, event, "close", "修好了")
    assert village_settles(town) == 1
    row = town.served.readers[VILLAGE].get_event(VILLAGE, event)
    assert row is not None
    again = records_pb2.Event()
    again.CopyFrom(row.event)
    again.status, again.settled_micros = records_pb2.EVENT_STATUS_REPORTED, 0
    town.append(VILLAGE, put(feed_pb2.RECORD_TYPE_EVENT, again, event))
    assert village_settles(town) == 0
    shown = page(town, TOWN, event)
    assert "镇办结后村里又有改动" in text_of(shown.text)
    assert steps_of(shown) == ["take", "close", "assign"]
    assert event.hex() in town.town.get("/events?town=nobody&category=又来").text
    assert say(town, event, "close", "这次换了新的").status_code == 303
    assert village_settles(town) == 1


def test_the_history_tells_each_word_of_the_town(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who promised what when is settled by the record, at every tier, however long the feed."""
    monkeypatch.setattr(feed_walk, "CHUNK", 1)
    event = town.event()
    town.town.sign_in("clerk", actor="镇-经办-03", name="王经办", login="wang")
    say(town, event, "assign", "请村里先看看")
    say(town, event, "take", "村里办不了,镇里来")
    say(town, event, "close", "已修好")
    village_settles(town)
    for code, role in ((TOWN, "clerk"), (VILLAGE, "worker"), (COUNTY, "centre")):
        town.consoles[code].sign_in(role)
        answer = town.consoles[code].get(f"/events/{VILLAGE}/{event.hex()}/history")
        told = text_of(answer.text).partition("每一版")[2]
        who = "王经办" if code == TOWN else "镇-经办-03"
        places = [
            told.index(words)
            for words in (
                *("上报", "镇交办村里", f" · {who}", "请村里先看看"),
                *("镇接办", "村里办不了,镇里来", "镇办结", "已修好"),
            )
        ]
        assert places == sorted(places)
        assert "没有找完" not in told
    monkeypatch.setattr(handling_versions, "_SECONDS_MAX", 0.0)
    told = town.county.get(f"/events/{VILLAGE}/{event.hex()}/history").text
    assert "没有找完" in told
    assert "请村里先看看" not in told


def test_the_file_has_the_town_s_words_and_no_formula(town: Town) -> None:
    """Who reports upward has what the town did in the same sheet."""
    event = town.event(category="导出")
    town.town.sign_in("clerk")
    say(town, event, "close", "=cmd()")
    answer = town.town.get("/events/export?format=csv&category=导出")
    header, *rows = csv.reader(io.StringIO(answer.content.decode("utf-8-sig")))
    (row,) = [dict(zip(header, cells, strict=True)) for cells in rows]
    assert (row["镇里的处置"], row["镇里的话"]) == ("办结", "'=cmd()")
    assert row["镇里的时间"]
    assert event.hex() not in town.town.get("/events/export?format=csv&town=nobody").text


# --- what is refused --------------------------------------------------------------------------


def test_of_two_clerks_one_wins_and_the_other_keeps_what_was_typed(town: Town) -> None:
    """Both have the page open; the second one's words are on the page, and not in the feed."""
    event = town.event()
    town.town.sign_in("clerk", login="second")
    opened = page(town, TOWN, event)
    town.town.sign_in("clerk", login="first")
    say(town, event, "take", "我来")
    town.town.sign_in("clerk", login="second")
    late = town.town.fill(opened, "/handle/assign", task="请村里去看", due="2999-02-01")
    assert late.status_code == 409
    assert 'role="alert"' in late.text
    assert "请村里去看" in late.text
    assert "2999-02-01" in late.text
    assert word(town, event, TOWN).status == TAKEN
    assert (event.hex(), "refused") in town.audited(TOWN, "event-assign")
    # As the page stands now it is one more press.
    assert town.town.fill(late, "/handle/assign").status_code == 303
    assert word(town, event, TOWN).status == ASSIGNED


def test_a_step_that_is_over_shows_what_was_typed_to_copy(town: Town) -> None:
    """The form is gone with its step; the words are not."""
    event = town.event()
    town.town.sign_in("clerk")
    opened = page(town, TOWN, event)
    say(town, event, "close", "修好了")
    late = town.town.fill(opened, "/handle/assign", task="请村里再去看")
    assert late.status_code == 409
    assert "没有写入" in late.text
    assert "请村里再去看" in late.text
    assert word(town, event, TOWN).status == SETTLED


def test_a_double_press_writes_one_word_and_one_row_of_the_trail(town: Town) -> None:
    """The back button and a second press are the first one again."""
    event = town.event()
    town.town.sign_in("clerk")
    opened = page(town, TOWN, event)
    size = town.feed_size(TOWN)
    for _ in range(2):
        assert town.town.fill(opened, "/handle/close", result="修好了").status_code == 303
    assert town.feed_size(TOWN) == size + 1
    assert [one for one, _ in town.audited(TOWN, "event-close")].count(event.hex()) == 1


def test_words_are_asked_for_and_a_day_that_is_over_is_refused(town: Town) -> None:
    """An end without a word helps nobody; taking on needs none."""
    event = town.event()
    town.town.sign_in("clerk")
    size = town.feed_size(TOWN)
    for step, fields in (
        ("close", {"result": " "}),
        ("assign", {"task": ""}),
        ("assign", {"task": "去看", "due": "2001-01-01"}),
        ("assign", {"task": "去看", "due": "明天"}),
        ("take", {"plan": "很" * 1001}),
    ):
        refused = town.town.fill(page(town, TOWN, event), f"/handle/{step}", **fields)
        assert refused.status_code == 400, (step, fields)
        assert f'id="handle-{step}" open' in refused.text
    assert town.feed_size(TOWN) == size
    told = text_of(refused.text)
    assert "打算怎么办" in told
    assert say(town, event, "take").status_code == 303


def test_a_number_in_the_words_is_masked_and_the_clerk_is_told(town: Town) -> None:
    """The words travel to the village and the county; a phone number does not."""
    event = town.event()
    town.town.sign_in("clerk")
    sent = say(town, event, "close", f"已回电 {PHONE}")
    assert "notice=masked" in sent.headers["location"]
    assert PHONE not in word(town, event).text
    for code, role in ((TOWN, "clerk"), (VILLAGE, "worker"), (COUNTY, "centre")):
        town.consoles[code].sign_in(role)
        assert PHONE not in page(town, code, event).text


def test_nobody_but_the_town_s_clerks_handles_an_event(town: Town) -> None:
    """By hand-made requests: the village, the county, and a clerk of another village."""
    event = town.event()
    path = f"/events/{VILLAGE}/{event.hex()}/handle/close"
    fields = {"request_id": "ab" * 16, "seen_number": "0", "result": "修好了"}
    town.town.sign_in("clerk")
    assert page(town, TOWN, event)
    for code, roles, area, status in (
        (VILLAGE, ("worker", "village_clerk"), "", 403),
        (COUNTY, ("centre", "director"), "", 403),
        (TOWN, ("technician", "admin"), "", 403),
        (TOWN, ("clerk", "principal"), OTHER_VILLAGE, 404),
    ):
        console = town.consoles[code]
        console.sign_in(*roles, login=f"no-{code}-{roles[0]}", area=area)
        assert console.post(path, fields).status_code == status, (code, roles)
    own = town.event(TOWN)
    town.town.sign_in("clerk")
    assert steps_of(town.town.get(f"/events/{TOWN}/{own.hex()}")) == []
    answer = town.town.post(f"/events/{TOWN}/{own.hex()}/handle/close", fields)
    assert answer.status_code == 403
    assert town.town.post(f"{path}s", fields).status_code == 404
    foreign = town.town.post(path, fields, headers={"Origin": "https://elsewhere.example"})
    assert foreign.status_code == 403
    assert town.served.readers[TOWN].event_handling(VILLAGE, event) is None


def test_a_script_in_the_words_is_text_on_every_page(town: Town) -> None:
    """What a clerk typed is read by everybody above and below."""
    event = town.event(category="脚本")
    town.town.sign_in("clerk", "principal")
    say(town, event, "assign", HOSTILE)
    for code, roles in ((TOWN, ("clerk",)), (VILLAGE, ("worker",)), (COUNTY, ("centre",))):
        console = town.consoles[code]
        console.sign_in(*roles)
        paths = [f"/events/{VILLAGE}/{event.hex()}{end}" for end in ("", "/history")]
        if code == VILLAGE:
            paths += ["/tasks", f"/tasks/events/{event.hex()}"]
        for path in paths:
            text = console.get(path).text
            assert "<script>alert" not in text
            assert "<img src=x" not in text
            assert "&lt;script&gt;alert(1)" in text, path


# --- what is kept -----------------------------------------------------------------------------


def test_what_is_being_written_is_kept_and_goes_when_it_is_sent(town: Town) -> None:
    """A clerk is called away in the middle of a sentence, or for longer than the session lasts."""
    event = town.event()
    console = town.town
    console.sign_in("clerk", login="called-away")
    form = next(
        one for one in forms_of(page(town, TOWN, event).text) if one.action.endswith("assign")
    )
    kept = {**form.fields, "task": "请村里先", "due": "2999-03-01"}
    assert console.post("/drafts", kept).status_code == 204
    again = page(town, TOWN, event)
    assert "请村里先" in again.text
    assert 'id="handle-assign" open' in again.text
    assert 'id="handle-close" open' not in again.text
    console.clock.seconds += 31 * 60
    answer = console.post(form.action, {**kept, "task": "请村里先看看"})
    assert answer.status_code == 401
    assert town.served.readers[TOWN].event_handling(VILLAGE, event) is None
    signing = console.get("/sign-in")
    assert console.fill(signing, "/sign-in", login="called-away", password=PASSWORD)
    back = page(town, TOWN, event)
    assert "请村里先看看" in back.text
    assert console.fill(back, "/handle/assign").status_code == 303
    assert "请村里先看看" in page(town, TOWN, event).text  # as the town's word
    assert 'id="handle-assign" open' not in page(town, TOWN, event).text


def test_while_the_node_is_away_nothing_is_said_and_nothing_is_lost(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A word that was not written is not shown as one."""
    event = town.event()
    town.town.sign_in("clerk")
    opened = page(town, TOWN, event)

    async def away(*_: Any) -> Any:
        raise HuyingError(Code.UNREACHABLE, "the node does not answer")

    monkeypatch.setattr(town.town.site.node, "desk", away)
    answer = town.town.fill(opened, "/handle/close", result="修好了")
    assert answer.status_code == 503
    assert 'role="alert"' in answer.text
    assert "修好了" in answer.text
    assert town.served.readers[TOWN].event_handling(VILLAGE, event) is None
    monkeypatch.undo()
    assert town.town.fill(answer, "/handle/close").status_code == 303
    assert word(town, event, TOWN).text == "修好了"
