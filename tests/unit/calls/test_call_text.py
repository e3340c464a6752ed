"""A call in words: what a clerk reads in `huying call show`."""

from __future__ import annotations

from typing import Any

import pytest
from typer.main import get_command

from huying.common.calls import allowed_steps
from huying.common.calls.call_state import CallStage, CallState
from huying.hub.cli import app
from huying.node.cli import call_text
from huying.node.cli.call_document import call_document, in_reading_order
from huying.node.cli.call_text import (
    command_text,
    rest_text,
    span_text,
    stage_text,
    step_name,
    step_text,
    transit_text,
)
from huying.node.cli.output import readable, when
from huying.wire.v1 import api_pb2, calls_pb2, policy_pb2

COUNTY, TOWN = "370830000000", "370830108000"


def step(code: str, index: int, name: str, **content: Any) -> dict[str, Any]:
    return {
        "origin": f"wenshang.example/feed/{code}/e1",
        "index": index,
        "time_micros": 1,
        "step": name,
        "content": content,
        "pending": False,
        "void": False,
        "void_reason": None,
    }


def took(index: int, of: int) -> dict[str, Any]:
    ref = {"origin": f"wenshang.example/feed/{TOWN}/e1", "index": of}
    return step(COUNTY, index, "took", took={"ref": ref, "accepted": True})


def test_a_proposal_stands_before_the_step_that_took_it_and_an_untaken_one_last() -> None:
    """Two feeds listed one after the other tell no story: the raise came after the answer."""
    steps = [
        took(4, of=7),
        step(COUNTY, 5, "answer"),
        took(6, of=9),
        step(TOWN, 7, "raise"),
        step(TOWN, 9, "confirm"),
        step(TOWN, 11, "note"),
    ]
    ordered = in_reading_order({"sequencer": COUNTY, "steps": steps})
    assert [each["index"] for each in ordered] == [7, 4, 5, 9, 6, 11]


def test_no_step_is_left_out_where_what_a_took_speaks_of_is_not_held() -> None:
    """A village may hold the county's took and not the town's entry."""
    ordered = in_reading_order({"sequencer": COUNTY, "steps": [took(4, of=7)]})
    assert [each["index"] for each in ordered] == [4]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"answer": {"department": "水务局", "text": "已抽排"}}, ["已抽排"]),
        ({"answer": {"department": "水务局"}}, ["the centre reviews it first"]),
        ({"answer": {}, "unreviewed_text": "已抽排"}, ["已抽排"]),
        ({"dispatch": {"department": "水务局", "co_handlers": ["城管局"]}}, ["城管局"]),
        ({"dispatch": {"department": "水务局", "deadline_micros": 1}}, ["期限 deadline", when(1)]),
        ({"dispatch": {"duty_item": "共-12", "duty_version": 3}}, ["共-12 (v3)"]),
        ({"confirm": {"satisfaction": 2, "comment": "又漏了"}}, ["未解决", "2/5", "又漏了"]),
        ({"confirm": {"resolved": True, "manner": 4}}, ["已解决 resolved", "manner 4/5"]),
        (
            {"off_list": {"approved_by": "c-00", "reason": "特批"}},
            ["批准 approved by c-00", "特批"],
        ),
        ({"took": {"accepted": True, "urge": {}}}, ["催办 urge: 有效 counts"]),
        ({"decline": {"reason": "legal_route", "text": "请复议"}}, ["应通过法定途径", "请复议"]),
        ({"ruling": {"department": "水务局"}}, ["水务局", "not to be returned"]),
        ({"ruling": {"upheld": True}}, ["upheld"]),
        ({"review": {"sent": True, "text": "已抽排"}}, ["sent", "已抽排"]),
        ({"extension_decision": {"granted": True}}, ["granted"]),
        ({"supervise": {"supervision_level": "listed"}}, ["挂牌督办 listed"]),
        ({"card": {"colour": "red", "reason": "逾期"}}, ["红牌 red", "逾期"]),
        ({"closure": {"reason": "silence"}}, ["逾期未回访 silence"]),
        ({"merge": {"into": "ab"}}, ["into ab"]),
        ({"party": {"code": TOWN, "role": "co_handler"}}, [TOWN, "协办方"]),
        ({"timeout": {"clock": "answer"}}, ["答复 answer"]),
        ({"outage": {"from_micros": 1, "until_micros": 2_000_000}}, [when(1), when(2_000_000)]),
    ],
)
def test_a_step_shows_what_it_says(content: dict[str, Any], words: list[str]) -> None:
    """The answer's own words are what the village waited for; the name of the step is not."""
    text = step_text(step(COUNTY, 1, next(iter(content)), **content))
    assert all(word in text for word in words)


def test_an_internal_note_and_what_a_step_does_to_the_clocks_are_shown() -> None:
    """A paused clock is the first thing that the caller asks about."""
    mark = {"clock": "answer", "event": "paused", "remaining_micros": 7_200_000_000}
    text = step_text(step(COUNTY, 1, "supplement_request", internal_note="内部", clocks=[mark]))
    assert text.splitlines() == [
        "内部",
        "时限 clock: 答复 answer 暂停 paused, 剩余 left 2 小时 · 2 h",
    ]


@pytest.mark.parametrize(
    ("micros", "text"),
    [
        (0, "0 秒 · 0 s"),
        (59_999_999, "59 秒 · 59 s"),
        (3_660_000_000, "1 小时 1 分 · 1 h 1 min"),
        (273_600_000_000, "3 天 4 小时 · 3 d 4 h"),
    ],
)
def test_a_length_of_time_is_told_in_its_two_largest_units(micros: int, text: str) -> None:
    """Nobody reads 273600 s as three days."""
    assert span_text(micros) == text


@pytest.mark.parametrize(
    ("micros", "text"),
    [(216_000_000_000, "60 小时 · 60 h"), (81_000_000_000, "22 小时 30 分 · 22 h 30 min")],
)
def test_what_is_left_of_a_standing_clock_is_told_in_hours(micros: int, text: str) -> None:
    """Eight working days are 60 hours: read as two and a half days they would be missed."""
    assert rest_text(micros) == text


def test_what_may_be_done_is_told_by_the_commands_that_do_it(served_steps: set[str]) -> None:
    """Who reads `supplement_request` types it, and is told that there is no such command."""
    assert command_text("supplement_request") == "请求补充 ask-supplement"
    named = [word for step in served_steps for word in command_text(step).split()[-1].split("/")]
    assert set(named) <= set(get_command(app()).commands["call"].commands)  # type: ignore[attr-defined]


@pytest.fixture
def served_steps() -> set[str]:
    """Every step that a role may take in some stage."""
    return {
        step
        for stage in CallStage
        for role in ("centre", "department", "caller")
        for step in allowed_steps(CallState(stage=stage), role)
    } - {"raise"}


def test_a_transit_says_what_its_sign_means() -> None:
    """Received before it was raised: that is what two clocks make of a fast link."""
    assert transit_text(None).startswith("尚未收到")
    assert transit_text(2_000_000) == "2 秒 · 2 s"
    assert transit_text(-2_000_000) == "−(2 秒 · 2 s) 两地时钟不一致 · the two clocks differ"


@pytest.mark.parametrize(
    ("due", "now", "overdue", "state", "left"),
    [
        (1000, 400, False, "running", 600),
        (1000, 1400, False, "overdue", -400),  # reckoned for display; the sequencer decides
        (1000, 400, True, "overdue", 600),  # it has decided, by its own clock
    ],
)
def test_the_clock_that_matters_is_reckoned_for_display(
    due: int, now: int, overdue: bool, state: str, left: int
) -> None:
    """Whose screen it is doesn't matter: the due time is printed, the rest is arithmetic."""
    view = api_pb2.CallView(due_clock=calls_pb2.CLOCK_ANSWER, due_micros=due, overdue=overdue)
    assert call_document(view, now)["clock"] == {
        "clock": "answer",
        "state": state,
        "due_micros": due,
        "remaining_micros": left,
    }


def test_a_paused_answer_clock_shows_what_is_left_of_it() -> None:
    """It has no due time until it runs again."""
    clock = api_pb2.ClockView(
        clock=calls_pb2.CLOCK_ANSWER,
        generation=1,
        status=api_pb2.CLOCK_STATUS_PAUSED,
        remaining_micros=9,
    )
    document = call_document(api_pb2.CallView(paused=True, clocks=[clock]), 400)
    assert document["clock"] == {
        "clock": "answer",
        "state": "paused",
        "due_micros": None,
        "remaining_micros": 9,
    }


def test_a_void_step_and_one_not_yet_received_say_so_first() -> None:
    """What does not count must never read as if it did."""
    void = step(TOWN, 1, "confirm", confirm={"resolved": True}) | {"void": True}
    assert step_text(void | {"void_reason": "wrong_stage"}).startswith("无效 void: 环节不符")
    pending = step(TOWN, 1, "confirm", confirm={"resolved": True}) | {"pending": True}
    assert step_text(pending).startswith("已发出")


@pytest.mark.parametrize(
    ("words", "enum", "prefix"),
    [
        (call_text.STAGES, api_pb2.CallStage, "CALL_STAGE_"),
        (call_text.ROLES, api_pb2.CallRole, "CALL_ROLE_"),
        (call_text.CLOCKS, calls_pb2.Clock, "CLOCK_"),
        (call_text.VOID_REASONS, calls_pb2.VoidReason, "VOID_REASON_"),
        (call_text.SUPERVISION, calls_pb2.SupervisionLevel, "SUPERVISION_LEVEL_"),
        (call_text.CARDS, calls_pb2.CardColour, "CARD_COLOUR_"),
        (call_text.URGENCIES, policy_pb2.Urgency, "URGENCY_"),
        (call_text.DECLINED, calls_pb2.DeclineReason, "DECLINE_REASON_"),
        (call_text.CLOSED, calls_pb2.ClosureReason, "CLOSURE_REASON_"),
        (call_text.PARTY_ROLES, calls_pb2.PartyRole, "PARTY_ROLE_"),
        (call_text.CLOCK_EVENTS, calls_pb2.ClockEvent, "CLOCK_EVENT_"),
    ],
)
def test_every_word_of_the_wire_has_a_name_in_both_languages(
    words: dict[str, str], enum: Any, prefix: str
) -> None:
    """One that is added to the proto and not to the words would show in English alone."""
    assert set(words) == {name.removeprefix(prefix).lower() for name in enum.keys()[1:]}


def test_every_step_has_a_name_in_both_languages() -> None:
    """The same for the kinds of step; two have no field of their own."""
    kinds = {field.name for field in calls_pb2.CallStep.DESCRIPTOR.oneofs_by_name["step"].fields}
    assert set(call_text.STEPS) == {*kinds, "raise", "internal_note"}
    assert step_name("off_list") == "准入审批 off list"
    assert stage_text("handling") == "办理中 handling"


def test_times_among_fields_are_times_of_day() -> None:
    """Nobody reads 1795349770963336 as a quarter past twelve."""
    fields = [("reported_micros", 1_795_349_770_963_336), ("generated", True), ("title", "积水")]
    shown = readable(fields)
    assert shown == [
        ("reported", when(1_795_349_770_963_336)),
        ("generated", "true"),
        ("title", "积水"),
    ]
