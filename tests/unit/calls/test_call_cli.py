"""A call's whole life on the command line, at real stores: every command of both sides."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any, NamedTuple

import pytest
from google.protobuf.message import Message
from rich.cells import cell_len

from huying.common.calls.call_state import CallStage, ClockKind, ClockStatus, VoidReason
from huying.common.effects import DraftEntry
from huying.common.errors import ADVICE, Code, HuyingError
from huying.common.policies import shipped_policy
from huying.common.records.registry import default_to
from huying.hub.cli import app
from huying.node.api.client import Client
from huying.node.cli.main import execute
from huying.wire.v1 import api_pb2, calls_pb2, feed_pb2, policy_pb2
from tests.support.served_network import ServedNetwork
from tests.support.tiny_network import COUNTY, TOWN, VILLAGE, event
from tests.unit.node.test_api import draft, write


class Result(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Result]


@pytest.fixture(scope="module")
def patch() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module")
def served(
    tmp_path_factory: pytest.TempPathFactory, patch: pytest.MonkeyPatch
) -> Iterator[ServedNetwork]:
    network = ServedNetwork(tmp_path_factory.mktemp("network"), patch)
    try:
        yield network
    finally:
        network.close()


@pytest.fixture
def huying(
    served: ServedNetwork,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Run:
    """Runs `huying call …` at a node: `huying(COUNTY, "admit", call)`. `fails` is a code."""

    def run(code: str, *arguments: str, fails: Code | None = None) -> Result:
        monkeypatch.setenv("HUYING_API__LISTEN", served.address(code))
        config = ["--config", str(served.configs[code].file)]
        exit_code = execute(app(), [*config, "call", *arguments])
        shown = capsys.readouterr()
        result = Result(exit_code, shown.out, shown.err)
        assert exit_code == (ADVICE[fails].exit_code if fails else 0), result.err
        assert fails is None or f"{fails.name}" in result.err, result.err
        return result

    return run


RAISE = ("raise", "--category", "道路", "--title", "村口积水", "--village", VILLAGE, "--json")


@pytest.fixture
def call(huying: Run) -> str:
    """A call that the county received."""
    found: str = huying(TOWN, *RAISE).json["call"]
    return found


@pytest.fixture
def dispatched(huying: Run, call: str) -> str:
    """A call that the water department has."""
    huying(COUNTY, "dispatch", call, "--department", "水务局", "--co-handler", "城管局")
    return call


def stage(huying: Run, call: str, code: str = COUNTY) -> str:
    found: str = huying(code, "show", call, "--json").json["stage"]
    return found


def kinds(huying: Run, call: str, code: str = COUNTY) -> list[str]:
    return [step["step"] for step in huying(code, "show", call, "--json").json["steps"]]


# --- the life --------------------------------------------------------------------------------


def test_a_call_goes_through_every_stage_by_the_commands_of_both_sides(
    huying: Run, call: str
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
        huying(code, name, call, *options, "--actor", "p-01")
        assert stage(huying, call) == expected, name
    shown = huying(COUNTY, "show", call, "--json").json
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
        other = huying(code, "show", call, "--json").json
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
    huying: Run, call: str, code: str, arguments: tuple[str, ...], expected: str
) -> None:
    """A decline has a listed reason; a caller may think again."""
    name, *options = arguments
    huying(code, name, call, *options)
    assert stage(huying, call) == expected
    assert huying(COUNTY, "show", call, "--json").json["open"] is False


def test_a_town_is_told_that_its_step_is_a_proposal(huying: Run, call: str) -> None:
    """A receipt that looks like the county's own would be taken for the county's word."""
    assert "应答方收到才算数" in huying(TOWN, "urge", call, "--reason", "请抓紧").out
    assert "应答方收到才算数" not in huying(COUNTY, "urge", call, "--reason", "请抓紧").out


def test_an_assigned_department_may_not_return_the_call(huying: Run, dispatched: str) -> None:
    """First receiver, one objection, one ruling: then somebody has to do it."""
    huying(COUNTY, "object", dispatched, "--reason", "不属本局")
    huying(COUNTY, "rule", dispatched, "--assign", "水务局", "--reason", "三定方案第四条")
    refused = huying(COUNTY, "object", dispatched, "--reason", "再议", fails=Code.WRONG_STAGE)
    assert "ruling" in refused.err
    shown = huying(COUNTY, "show", dispatched, "--json").json
    assert (shown["stage"], shown["assigned"]) == ("dispatched", True)


def test_a_duplicate_is_merged_into_a_call_that_goes_on(huying: Run, call: str) -> None:
    """Its clock stops, and whoever looks at it learns where the matter is dealt with."""
    other = huying(TOWN, *RAISE).json["call"]
    huying(COUNTY, "merge", call, "--into", call, fails=Code.INVALID_ARGUMENT)
    huying(COUNTY, "merge", call, "--into", other, "--reason", "同一处积水")
    shown = huying(TOWN, "show", call, "--json").json
    assert (shown["stage"], shown["merged_into"], shown["merged_caller"]) == (
        "merged",
        other,
        TOWN,
    )
    assert not [clock for clock in shown["clocks"] if clock["state"] == "running"]
    refused = huying(COUNTY, "merge", other, "--into", call, fails=Code.WRONG_STAGE)
    assert "merge.into: that call is MERGED" in refused.err


def test_a_party_that_joins_late_reads_the_earlier_steps_and_the_summary(huying: Run) -> None:
    """A co-handling village must fold the call to the state that all others see."""
    call = huying(TOWN, "raise", "--category", "道路", "--title", "路灯不亮", "--json").json["call"]
    huying(COUNTY, "dispatch", call, "--department", "交通局")
    huying(VILLAGE, "show", call, fails=Code.NOT_FOUND)
    huying(COUNTY, "party", call, "--code", VILLAGE)
    huying(COUNTY, "accept", call)
    here, there = (huying(code, "show", call, "--json").json for code in (VILLAGE, COUNTY))
    assert here["late"] is True
    assert here["content"]["title"] == "路灯不亮"
    for name in ("stage", "department", "step_count", "missing_numbers", "clocks"):
        assert here[name] == there[name], name


# --- drafts ----------------------------------------------------------------------------------

DRAFT = ("draft", "--category", "道路", "--title", "桥栏破损", "--village", VILLAGE, "--json")


def test_an_approved_draft_becomes_the_call_of_the_same_id_in_one_append(huying: Run) -> None:
    """Nothing leaves the town before its principal approved, and then all of it at once."""
    said = ("--description", "三处破损", "--contact-phone", "13800000000", "--urgency", "urgent")
    draft = huying(TOWN, *DRAFT, *said).json["call"]
    listed = huying(TOWN, "drafts").out  # the principal decides by it
    for words in ("待审签 waiting", "桥栏破损", "三处破损", VILLAGE, "13800000000", "紧急 urgent"):
        assert words in listed, words
    assert draft in {one["draft"] for one in huying(TOWN, "drafts", "--json").json["drafts"]}
    huying(COUNTY, "show", draft, fails=Code.NOT_FOUND)
    approved = huying(TOWN, "approve", draft, "--by", "t-00", "--json").json
    assert approved["call"] == draft
    call, state = approved["receipt"], approved["further"][0]
    assert (call["record"], state["record"]) == (draft, draft)
    assert state["index"] == call["index"] + 1
    shown = huying(COUNTY, "show", draft, "--json").json
    assert shown["content"]["approved_by"] == "t-00"
    assert "contact_phone" not in shown["content"]
    assert draft not in {one["draft"] for one in huying(TOWN, "drafts", "--json").json["drafts"]}


def test_a_draft_is_decided_once_and_the_second_is_told_by_whom(huying: Run) -> None:
    """Two principals at two screens: the call is raised once, or not at all."""
    draft = huying(TOWN, *DRAFT).json["call"]
    huying(TOWN, "refuse", draft, "--by", "t-00", "--reason", "先问村里")
    late = huying(TOWN, "approve", draft, "--by", "t-01", fails=Code.WRONG_STAGE)
    assert "refused by t-00" in late.err
    huying(TOWN, "show", draft, fails=Code.NOT_FOUND)
    listed = huying(TOWN, "drafts", "--all", "--json").json["drafts"]
    (found,) = (one for one in listed if one["draft"] == draft)
    assert (found["state"], found["decided_by"], found["reason"]) == (
        "refused",
        "t-00",
        "先问村里",
    )
    assert "桥栏破损" in huying(TOWN, "drafts", "--all").out


def test_a_draft_that_could_not_be_raised_is_refused_when_it_is_written(huying: Run) -> None:
    """The principal's approval must not be what finds a phone number in the title."""
    bad = ("draft", "--category", "道路", "--title", "找 13800000000", "--village", VILLAGE)
    assert "title" in huying(TOWN, *bad, fails=Code.INVALID_ARGUMENT).err
    huying(COUNTY, *DRAFT, fails=Code.TYPE_NOT_ALLOWED)


def test_the_village_of_a_call_is_that_of_its_event(
    huying: Run, served: ServedNetwork, tmp_path: Any
) -> None:
    """`call raise --event ID` is all that a clerk knows of it; evidence goes as a digest."""
    with served.client(VILLAGE) as village:
        (receipt,) = write(village, draft(event(31)))
    photo = tmp_path / "积水.jpg"
    photo.write_bytes(b"jpeg")
    raised = huying(
        TOWN,
        *("raise", "--category", "道路", "--title", "积水", "--event", receipt.record.hex()),
        *("--attach", str(photo), "--urgency", "urgent", "--json"),
    ).json["call"]
    shown = huying(COUNTY, "show", raised, "--json").json
    assert shown["content"]["village"] == VILLAGE
    assert shown["urgency"] == "urgent"
    (attached,) = shown["content"]["attachments"]
    assert (attached["name"], attached["size_bytes"]) == ("积水.jpg", 4)
    withheld = {
        (one["record"], one["home"], name) for one in shown["withheld"] for name in one["fields"]
    }
    assert ("event", VILLAGE, "reporter_phone") in withheld
    assert ("call", TOWN, "contact_phone") in withheld
    text = huying(COUNTY, "show", raised).out
    assert f"withheld at 义桥村 {VILLAGE}" in text
    assert f"huying disclosure request {receipt.record.hex()}" in text
    unknown = ("raise", "--category", "道路", "--title", "x", "--event", "00" * 16)
    assert "--village" in huying(TOWN, *unknown, fails=Code.NOT_FOUND).err


# --- who may, who was first -------------------------------------------------------------------


def test_a_step_that_a_node_may_not_take_is_refused_with_stage_and_turn(
    huying: Run, call: str
) -> None:
    """The message is all that the clerk has to go on."""
    refused = huying(TOWN, "dispatch", call, "--department", "水务局", fails=Code.NOT_A_PARTY).err
    assert "RECEIVED" in refused
    assert f"the centre of {COUNTY}: admit, decline" in refused
    assert f"the caller {TOWN}: withdraw" in refused
    assert "caller" in huying(COUNTY, "confirm", call, fails=Code.NOT_A_PARTY).err
    early = huying(TOWN, "confirm", call, fails=Code.WRONG_STAGE).err
    assert "RECEIVED" in early
    huying(VILLAGE, "confirm", call, fails=Code.TYPE_NOT_ALLOWED)


def test_whoever_comes_second_is_told_who_was_first(huying: Run, dispatched: str) -> None:
    """An acceptance is one person's; the other must know whom to ask."""
    huying(COUNTY, "accept", dispatched, "--actor", "w-07")
    late = huying(COUNTY, "accept", dispatched, "--actor", "w-08", fails=Code.WRONG_STAGE).err
    assert "accept by 水务局 w-07 at " in late
    assert "HANDLING" in late


@pytest.mark.parametrize("word", [("accept",), ("answer", "--text", "已抽排")])
def test_of_two_processes_that_take_one_step_at_once_exactly_one_wins(
    served: ServedNetwork, huying: Run, dispatched: str, word: tuple[str, ...]
) -> None:
    """Two real clients of one node: one step stands, and the loser reads the winner's name."""
    name, *options = word
    command = [
        *(sys.executable, "-m", "huying.hub.cli", "--config", str(served.configs[COUNTY].file)),
        *("call", name, dispatched, *options),
    ]
    environment = os.environ | {"HUYING_API__LISTEN": served.address(COUNTY)}
    racers = [
        subprocess.Popen(
            [*command, "--actor", actor],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for actor in ("w-07", "w-08")
    ]
    ended = [(racer.communicate(timeout=60)[1].decode(), racer.returncode) for racer in racers]
    lost = ADVICE[Code.WRONG_STAGE].exit_code
    assert sorted(code for _, code in ended) == [0, lost]
    winner = next(
        actor for actor, (_, code) in zip(("w-07", "w-08"), ended, strict=True) if not code
    )
    (told,) = (text for text, code in ended if code)
    assert f"{name} by 水务局 {winner} at " in told
    assert kinds(huying, dispatched).count(name) == 1


def test_a_proposal_on_its_way_is_not_sent_twice(
    served: ServedNetwork, huying: Run, dispatched: str
) -> None:
    """While the county can't be reached, two clerks must not both confirm."""
    huying(COUNTY, "answer", dispatched, "--text", "已抽排")
    served.network.away.add(COUNTY)
    try:
        huying(TOWN, "confirm", dispatched, "--actor", "t-01")
        again = huying(TOWN, "reject", dispatched, "--actor", "t-02", fails=Code.WRONG_STAGE).err
        assert "sent by t-01 at " in again
        shown = huying(TOWN, "show", dispatched, "--json").json
        assert (shown["stage"], shown["steps"][-1]["pending"]) == ("answered", True)
        assert "sent, not yet received" in huying(TOWN, "show", dispatched).out
    finally:
        served.network.away.clear()
        served.settle()
    assert stage(huying, dispatched, TOWN) == "confirmed"


def at_once(served: ServedNetwork, work: Callable[[Client], Any]) -> list[HuyingError | None]:
    """What six clients of the town got that asked in the same moment; None: it was done."""
    start = Barrier(6)

    def ask(_: int) -> HuyingError | None:
        with served.client(TOWN) as client:
            client.status()  # the connection stands before the start
            start.wait(30)
            try:
                work(client)
            except HuyingError as error:
                return error
        return None

    with ThreadPoolExecutor(6) as pool:
        return list(pool.map(ask, range(6)))


def test_of_six_clerks_who_confirm_or_approve_at_once_one_does(
    served: ServedNetwork, huying: Run, dispatched: str
) -> None:
    """What the county will judge once, and what raises a call, the town must not write twice."""
    huying(COUNTY, "answer", dispatched, "--text", "已抽排")
    word = calls_pb2.CallStep(
        call=bytes.fromhex(dispatched), confirm=calls_pb2.Confirm(resolved=True)
    )
    waiting = huying(TOWN, *DRAFT).json["call"]
    approval = api_pb2.DecideDraftRequest(
        draft=bytes.fromhex(waiting), approved=True, decided_by="t-00"
    )
    served.network.away.add(COUNTY)
    try:
        confirmed = at_once(
            served, lambda town: town.take_call_step(api_pb2.TakeCallStepRequest(step=word))
        )
        approved = at_once(served, lambda town: town.decide_draft(approval))
    finally:
        served.network.away.clear()
        served.settle()
    for answers in (confirmed, approved):
        refused = [answer for answer in answers if answer is not None]
        assert len(refused) == 5
        assert {error.code for error in refused} == {Code.WRONG_STAGE}
    assert kinds(huying, dispatched).count("confirm") == 1
    assert kinds(huying, waiting) == ["raise", "took"]


def test_a_request_repeated_writes_nothing_more(huying: Run, call: str) -> None:
    """A connection that broke after the commit: the clerk presses the key again."""
    commands: list[tuple[str, tuple[str, ...]]] = [
        (COUNTY, ("admit", call)),
        (COUNTY, ("dispatch", call, "--department", "水务局")),
        (COUNTY, ("party", call, "--code", "370830108202")),
        (TOWN, ("urge", call)),
        (TOWN, ("withdraw", call)),
    ]
    for number, (code, words) in enumerate(commands):
        options = ("--request-id", f"{number:016x}" + call[:16], "--json")
        first = huying(code, *words, *options).json
        again = huying(code, *words, *options).json
        assert again["receipt"] == first["receipt"] | {"repeated_request": True}, words
    found = huying(TOWN, *DRAFT).json["call"]
    approval = ("approve", found, "--by", "t-00", "--request-id", found, "--json")
    first, again = huying(TOWN, *approval).json, huying(TOWN, *approval).json
    assert again["receipt"] == first["receipt"] | {"repeated_request": True}


# --- what is listed and shown -----------------------------------------------------------------


def test_a_list_is_narrowed_and_goes_by_what_is_due(huying: Run, dispatched: str) -> None:
    """A department's clerk opens the day with this list."""
    urgent = huying(TOWN, *RAISE, "--urgency", "critical").json["call"]
    huying(COUNTY, "dispatch", urgent, "--department", "水务局")
    listed = huying(
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
        found = huying(COUNTY, "list", *narrow, "--json").json["calls"]
        assert dispatched in {each["call"] for each in found}, narrow
    assert not huying(COUNTY, "list", "--category", "没有", "--json").json["calls"]
    assert "one of" in huying(COUNTY, "list", "--by", "x", fails=Code.INVALID_ARGUMENT).err


def test_overdue_calls_are_listed_by_themselves(huying: Run, dispatched: str) -> None:
    """The tiny network's clock stands in 2023, so every clock of it ran out long ago."""
    listed = huying(COUNTY, "list", "--overdue", "--json").json["calls"]
    (found,) = (each for each in listed if each["call"] == dispatched)
    assert found["clock"]["state"] == "overdue"
    assert found["clock"]["remaining_micros"] < 0


def test_a_call_fits_a_terminal_of_eighty_columns(
    huying: Run, dispatched: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The county's desk has an old terminal, and a broken table is no table."""
    from huying.node.cli import call_show

    monkeypatch.setattr(call_show, "_COLUMNS_MAX", 80)
    huying(COUNTY, "accept", dispatched)
    huying(COUNTY, "ask-supplement", dispatched, "--text", "请补充积水的位置与深度" * 8)
    text = huying(COUNTY, "show", dispatched).out
    assert all(cell_len(line.rstrip()) <= 80 for line in text.splitlines())
    for words in ("办理中 handling", "呼叫方 caller, 义桥镇", "签收 accept", "暂停 paused"):
        assert words in text
    assert "e1 #" in text  # where each step stands


def test_the_document_of_a_call_keeps_its_keys(huying: Run, call: str) -> None:
    """Scripts read it; a key that goes breaks them silently."""
    shown = huying(COUNTY, "show", call, "--json").json
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


# --- a county that sets stricter rules -----------------------------------------------------------


def put_at_county(served: ServedNetwork, record_type: int, message: Message) -> None:
    """Write a record of the county's, as its own desk does."""
    to = default_to(record_type, COUNTY, message)
    entry = DraftEntry(feed_pb2.KIND_PUT, record_type, message, to=to)
    served.thread.run(served.runtimes[COUNTY].append([entry]))


@pytest.fixture
def strict(served: ServedNetwork) -> Iterator[None]:
    """While a policy is in force that asks for approval, review and an item of the list."""

    def put(version: int, *, wanted: bool) -> None:
        policy = shipped_policy()
        policy.version = version
        policy.approval_required = policy.review_required = policy.item_required = wanted
        put_at_county(served, feed_pb2.RECORD_TYPE_POLICY, policy)

    put(1, wanted=True)
    yield
    put(2, wanted=False)


@pytest.mark.usefixtures("strict")
def test_a_strict_policy_is_told_before_anything_is_written(huying: Run) -> None:
    """Refused at the desk with what to do, not a day later by the county."""
    refused = huying(TOWN, *RAISE, fails=Code.INVALID_ARGUMENT).err
    assert "version 1 of the policy" in refused
    for way in ("call draft", "call approve", "--approved-by"):
        assert way in refused
    call = huying(TOWN, *RAISE, "--approved-by", "t-00").json["call"]
    lead = ("--department", "水务局")
    missing = huying(COUNTY, "dispatch", call, *lead, fails=Code.INVALID_ARGUMENT).err
    assert "duty list" in missing
    unknown = huying(COUNTY, "dispatch", call, "--item", "共-1", fails=Code.NOT_FOUND).err
    assert "no duty list" in unknown
    huying(COUNTY, "off-list", call, "--approved-by", "c-00", "--reason", "清单未列")
    huying(COUNTY, "dispatch", call, *lead)
    huying(COUNTY, "answer", call, "--text", "草拟的答复")
    assert stage(huying, call) == "review"
    for code in (TOWN, VILLAGE):
        assert "草拟的答复" not in huying(code, "show", call).out
    assert "草拟的答复" in huying(COUNTY, "show", call).out
    huying(COUNTY, "review", call, "--return", "--reason", "写明时间")
    huying(COUNTY, "answer", call, "--text", "已于八日抽排")
    huying(COUNTY, "review", call, "--send")
    assert stage(huying, call, TOWN) == "answered"
    assert "已于八日抽排" in huying(VILLAGE, "show", call).out


@pytest.mark.usefixtures("strict")
def test_an_item_of_the_duty_list_names_lead_and_helpers(
    huying: Run, served: ServedNetwork
) -> None:
    """Whose duty it is was settled when the list was made."""
    item = policy_pb2.DutyItem(
        version=1,
        number="共-1",
        kind=policy_pb2.DUTY_KIND_SHARED,
        title="村庄积水",
        lead="水务局",
        co_handlers=["城管局"],
    )
    listed = policy_pb2.DutyList(version=1, title="例", item_count=1)
    put_at_county(served, feed_pb2.RECORD_TYPE_DUTY_ITEM, item)
    put_at_county(served, feed_pb2.RECORD_TYPE_DUTY_LIST, listed)
    call = huying(TOWN, *RAISE, "--approved-by", "t-00").json["call"]
    absent = huying(COUNTY, "dispatch", call, "--item", "共-2", fails=Code.NOT_FOUND).err
    assert "no item of that number" in absent
    huying(COUNTY, "dispatch", call, "--item", "共-1")
    shown = huying(TOWN, "show", call, "--json").json
    assert (shown["department"], shown["co_handlers"]) == ("水务局", ["城管局"])
    assert shown["duty_item"] == "共-1"
    named = huying(TOWN, *RAISE, "--approved-by", "t-00").json["call"]
    huying(COUNTY, "dispatch", named, "--item", "共-1", "--department", "水务局")
    assert huying(TOWN, "show", named, "--json").json["co_handlers"] == ["城管局"]
    other = huying(TOWN, *RAISE, "--approved-by", "t-00").json["call"]
    huying(COUNTY, "dispatch", other, "--item", "共-1", "--department", "住建局")
    assert huying(TOWN, "show", other, "--json").json["co_handlers"] == []
