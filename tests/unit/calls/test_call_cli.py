"""A call's whole life on the command line, at real stores: every command, and what it shows."""

from __future__ import annotations

from typing import Any

import pytest
from rich.cells import cell_len

from huying.common.calls.call_state import CallStage, ClockKind, ClockStatus, VoidReason
from huying.common.errors import Code
from huying.wire.v1 import api_pb2, calls_pb2
from tests.support.commands import Run
from tests.support.drafts import draft, write
from tests.support.served_network import ServedNetwork
from tests.support.tiny_network import COUNTY, TOWN, VILLAGE, event
from tests.unit.calls.desk_commands import RAISE, stage


def test_a_call_goes_through_every_stage_by_the_commands_of_both_sides(
    desk: Run, call: str
) -> None:
    """Each command is one that somebody at a desk has to have, and each moves the call on."""
    moves: list[tuple[str, tuple[str, ...], str]] = [
        (COUNTY, ("admit",), "admitted"),
        (COUNTY, ("off-list", "--approved-by", "c-00", "--reason", "清单未列"), "admitted"),
        (COUNTY, ("dispatch", "--department", "交通局"), "dispatched"),
        (COUNTY, ("object", "--reason", "不是公路"), "objected"),
        (COUNTY, ("rule", "--uphold", "--reason", "确不属交通"), "admitted"),
        (COUNTY, ("dispatch", "--department", "水务局", "--co-handler", "城管局"), "dispatched"),
        (COUNTY, ("accept",), "handling"),
        (COUNTY, ("note", "--text", "已派员查看"), "handling"),
        (COUNTY, ("ask-supplement", "--text", "请补充位置"), "handling"),
        (TOWN, ("supplement", "--text", "村口小桥东侧"), "handling"),
        (COUNTY, ("ask-supplement", "--text", "还有多深"), "handling"),
        (COUNTY, ("resume",), "handling"),
        (COUNTY, ("reply", "--department", "城管局", "--text", "雨水口已清"), "handling"),
        (COUNTY, ("extend", "--reason", "等配件"), "handling"),
        (COUNTY, ("refuse-extension", "--reason", "不等"), "handling"),
        (COUNTY, ("extend", "--reason", "等配件"), "handling"),
        (COUNTY, ("grant",), "handling"),
        (TOWN, ("urge", "--reason", "又下雨了"), "handling"),
        (COUNTY, ("urge",), "handling"),
        (COUNTY, ("supervise", "--level", "listed"), "handling"),
        (COUNTY, ("card", "--colour", "yellow"), "handling"),
        (COUNTY, ("answer", "--text", "已抽排"), "answered"),
        (TOWN, ("reject", "--comment", "又积了"), "unresolved"),
        (COUNTY, ("answer", "--text", "已疏通"), "answered"),
        (TOWN, ("confirm", "--satisfaction", "4"), "confirmed"),
        (TOWN, ("rate", "--manner", "5"), "confirmed"),
        (COUNTY, ("close",), "closed"),
        (TOWN, ("reopen", "--reason", "夜里又堵"), "unresolved"),
        (COUNTY, ("close", "--reason", "exhausted", "--text", "管网改造列入计划"), "closed"),
    ]
    for code, (name, *options), expected in moves:
        desk(code, name, call, *options, "--actor", "p-01")
        assert stage(desk, call) == expected, name
    shown = desk(COUNTY, "show", call, "--json").json
    numbers = [step["number"] for step in shown["steps"] if step["number"]]
    assert numbers == list(range(1, len(numbers) + 1))
    assert shown["card"] == "yellow"
    assert shown["supervision"] == "listed"
    assert (shown["objections"], shown["extensions"], shown["reopens"], shown["urges"]) == (
        1,
        1,
        1,
        2,
    )
    assert shown["manner"] == 5
    assert shown["off_list"] is True
    assert {step["actor"] for step in shown["steps"] if step["step"] != "took"} == {None, "p-01"}
    for code in (TOWN, VILLAGE):
        other = desk(code, "show", call, "--json").json
        assert (other["stage"], other["step_count"], other["missing_numbers"]) == (
            "closed",
            len(numbers),
            [],
        )


@pytest.mark.parametrize(
    ("code", "arguments", "expected"),
    [
        (COUNTY, ("decline", "--reason", "legal-route", "--text", "请走行政复议"), "declined"),
        (TOWN, ("withdraw", "--reason", "村里已办"), "withdrawn"),
    ],
)
def test_a_call_can_end_early(
    desk: Run, call: str, code: str, arguments: tuple[str, ...], expected: str
) -> None:
    """A decline has a listed reason; a caller may think again."""
    name, *options = arguments
    desk(code, name, call, *options)
    assert stage(desk, call) == expected
    assert desk(COUNTY, "show", call, "--json").json["open"] is False


def test_a_town_is_told_that_its_step_is_a_proposal(desk: Run, call: str) -> None:
    """A receipt that looks like the county's own would be taken for the county's word."""
    assert "应答方收到才算数" in desk(TOWN, "urge", call, "--reason", "请抓紧").text
    assert "应答方收到才算数" not in desk(COUNTY, "urge", call, "--reason", "请抓紧").text


def test_an_assigned_department_may_not_return_the_call(desk: Run, dispatched: str) -> None:
    """First receiver, one objection, one ruling: then somebody has to do it."""
    desk(COUNTY, "object", dispatched, "--reason", "不属本局")
    desk(COUNTY, "rule", dispatched, "--assign", "水务局", "--reason", "三定方案第四条")
    refused = desk(COUNTY, "object", dispatched, "--reason", "再议", fails=Code.WRONG_STAGE)
    assert "ruling" in refused.err
    shown = desk(COUNTY, "show", dispatched, "--json").json
    assert (shown["stage"], shown["assigned"]) == ("dispatched", True)


def test_a_duplicate_is_merged_into_a_call_that_goes_on(desk: Run, call: str) -> None:
    """Its clock stops, and whoever looks at it learns where the matter is dealt with."""
    other = desk(TOWN, *RAISE).json["call"]
    desk(COUNTY, "merge", call, "--into", call, fails=Code.INVALID_ARGUMENT)
    desk(COUNTY, "merge", call, "--into", other, "--reason", "同一处积水")
    shown = desk(TOWN, "show", call, "--json").json
    assert (shown["stage"], shown["merged_into"], shown["merged_caller"]) == (
        "merged",
        other,
        TOWN,
    )
    assert not [clock for clock in shown["clocks"] if clock["state"] == "running"]
    refused = desk(COUNTY, "merge", other, "--into", call, fails=Code.WRONG_STAGE)
    assert "merge.into: that call is MERGED" in refused.err


def test_a_party_that_joins_late_reads_the_earlier_steps_and_the_summary(desk: Run) -> None:
    """A co-handling village must fold the call to the state that all others see."""
    call = desk(TOWN, "raise", "--category", "道路", "--title", "路灯不亮", "--json").json["call"]
    desk(COUNTY, "dispatch", call, "--department", "交通局")
    desk(VILLAGE, "show", call, fails=Code.NOT_FOUND)
    desk(COUNTY, "party", call, "--code", VILLAGE)
    desk(COUNTY, "accept", call)
    here, there = (desk(code, "show", call, "--json").json for code in (VILLAGE, COUNTY))
    assert here["late"] is True
    assert here["content"]["title"] == "路灯不亮"
    for name in ("stage", "department", "step_count", "missing_numbers", "clocks"):
        assert here[name] == there[name], name


def test_the_village_of_a_call_is_that_of_its_event(
    desk: Run, served: ServedNetwork, tmp_path: Any
) -> None:
    """`call raise --event ID` is all that a clerk knows of it; evidence goes as a digest."""
    with served.client(VILLAGE) as village:
        (receipt,) = write(village, draft(event(31)))
    photo = tmp_path / "积水.jpg"
    photo.write_bytes(b"jpeg")
    raised = desk(
        TOWN,
        *("raise", "--category", "道路", "--title", "积水", "--event", receipt.record.hex()),
        *("--attach", str(photo), "--urgency", "urgent", "--json"),
    ).json["call"]
    shown = desk(COUNTY, "show", raised, "--json").json
    assert shown["content"]["village"] == VILLAGE
    assert shown["urgency"] == "urgent"
    (attached,) = shown["content"]["attachments"]
    assert (attached["name"], attached["size_bytes"]) == ("积水.jpg", 4)
    withheld = {
        (one["record"], one["home"], name) for one in shown["withheld"] for name in one["fields"]
    }
    assert ("event", VILLAGE, "reporter_phone") in withheld
    assert ("call", TOWN, "contact_phone") in withheld
    text = desk(COUNTY, "show", raised).text
    assert f"withheld at 义桥村 {VILLAGE}" in text
    assert f"huying disclosure request {receipt.record.hex()}" in text
    unknown = ("raise", "--category", "道路", "--title", "x", "--event", "00" * 16)
    assert "--village" in desk(TOWN, *unknown, fails=Code.NOT_FOUND).err


def test_a_list_is_narrowed_and_goes_by_what_is_due(desk: Run, dispatched: str) -> None:
    """A department's clerk opens the day with this list."""
    urgent = desk(TOWN, *RAISE, "--urgency", "critical").json["call"]
    desk(COUNTY, "dispatch", urgent, "--department", "水务局")
    listed = desk(
        COUNTY, "list", "--department", "水务局", "--open", "--by", "deadline", "--json"
    ).json["calls"]
    due = [each["clock"]["due_micros"] for each in listed if each["clock"]]
    assert due == sorted(due)
    assert {dispatched, urgent} <= {each["call"] for each in listed}
    assert all(each["open"] and each["department"] == "水务局" for each in listed)
    for unread in ("steps", "turn", "allowed", "clocks", "step_count", "void_count", "terms"):
        assert unread not in listed[0], unread  # what no list reads is left out, not empty
    for narrow in (
        ("--caller", TOWN),
        ("--category", "道路"),
        ("--stage", "dispatched"),
    ):
        found = desk(COUNTY, "list", *narrow, "--json").json["calls"]
        assert dispatched in {each["call"] for each in found}, narrow
    assert not desk(COUNTY, "list", "--category", "没有", "--json").json["calls"]
    assert "one of" in desk(COUNTY, "list", "--by", "x", fails=Code.INVALID_ARGUMENT).err


def test_overdue_calls_are_listed_by_themselves(desk: Run, dispatched: str) -> None:
    """The tiny network's clock stands in 2023, so every clock of it ran out long ago."""
    listed = desk(COUNTY, "list", "--overdue", "--json").json["calls"]
    (found,) = (each for each in listed if each["call"] == dispatched)
    assert found["clock"]["state"] == "overdue"
    assert found["clock"]["remaining_micros"] < 0


def test_a_call_fits_a_terminal_of_eighty_columns(
    desk: Run, dispatched: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The county's desk has an old terminal, and a broken table is no table."""
    from huying.node.cli import call_show

    monkeypatch.setattr(call_show, "_COLUMNS_MAX", 80)
    desk(COUNTY, "accept", dispatched)
    desk(COUNTY, "ask-supplement", dispatched, "--text", "请补充积水的位置与深度" * 8)
    text = desk(COUNTY, "show", dispatched).text
    assert all(cell_len(line.rstrip()) <= 80 for line in text.splitlines())
    for words in ("办理中 handling", "呼叫方 caller, 义桥镇", "签收 accept", "暂停 paused"):
        assert words in text
    assert "e1 #" in text  # where each step stands


def test_the_document_of_a_call_keeps_its_keys(desk: Run, call: str) -> None:
    """Scripts read it; a key that goes breaks them silently."""
    shown = desk(COUNTY, "show", call, "--json").json
    assert list(shown) == [
        *("call", "caller", "sequencer", "origin", "index", "late", "stage", "open", "turn"),
        *("allowed", "department", "co_handlers", "replied", "objected", "parties", "urgency"),
        *("duty_item", "raised_micros", "received_micros", "admitted_micros"),
        *("dispatched_micros", "accepted_micros", "first_answered_micros", "answered_micros"),
        *("confirmed_micros", "ended_micros", "transit_micros", "deadline_micros", "clock"),
        *("clocks", "overdue", "breached", "off_list", "assigned", "awaiting_supplement"),
        *("extension_asked", "objections", "extensions", "reworks", "reopens", "urges"),
        *("void_count", "step_count", "supervision", "card", "resolved", "satisfaction"),
        *("response", "manner", "merged_into", "merged_caller", "terms", "missing_numbers"),
        *("content", "event", "withheld", "steps"),
    ]
    assert list(shown["steps"][0]) == [
        *("number", "step", "home", "actor", "department", "time_micros", "origin", "index"),
        *("pending", "void", "void_reason", "content"),
    ]


def test_a_step_that_is_missing_is_shown_where_it_should_be() -> None:
    """A reader who holds 1, 2 and 5 must see that two are kept back, and which."""
    from huying.node.cli.call_show import _numbers

    assert _numbers([3, 4, 7]) == "3–4, 7"


def test_the_numbers_of_the_api_are_those_of_the_core() -> None:
    """One number means one stage, one clock and one status in every layer."""
    for core, api, prefix in (
        (CallStage, api_pb2.CallStage, "CALL_STAGE_"),
        (ClockStatus, api_pb2.ClockStatus, "CLOCK_STATUS_"),
        (ClockKind, calls_pb2.Clock, "CLOCK_"),
        (VoidReason, calls_pb2.VoidReason, "VOID_REASON_"),
    ):
        there = {name.removeprefix(prefix): number for name, number in api.items() if number}
        assert {one.name: int(one) for one in core if int(one)} == there
