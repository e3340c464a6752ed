"""Whose turn it is, told at the command line.

Two people reach for one call all the time: a step, a draft and an approval are one person's, and
whoever comes second, too early or without leave learns from the refusal what to do.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from google.protobuf.message import Message

from huying.common.effects import DraftEntry
from huying.common.errors import ADVICE, Code, HuyingError
from huying.common.policies import shipped_policy
from huying.common.records.registry import default_to
from huying.node.api.client import Client
from huying.wire.v1 import api_pb2, calls_pb2, feed_pb2, policy_pb2
from tests.support.commands import Run
from tests.support.served_network import ServedNetwork
from tests.support.tiny_network import COUNTY, TOWN, VILLAGE
from tests.unit.calls.desk_commands import DRAFT, RAISE, kinds, stage


def test_an_approved_draft_becomes_the_call_of_the_same_id_in_one_append(desk: Run) -> None:
    """Nothing leaves the town before its principal approved, and then all of it at once."""
    said = ("--description", "三处破损", "--contact-phone", "13800000000", "--urgency", "urgent")
    draft = desk(TOWN, *DRAFT, *said).json["call"]
    listed = desk(TOWN, "drafts").text  # the principal decides by it
    for words in ("待审签 waiting", "桥栏破损", "三处破损", VILLAGE, "13800000000", "紧急 urgent"):
        assert words in listed, words
    assert draft in {one["draft"] for one in desk(TOWN, "drafts", "--json").json["drafts"]}
    desk(COUNTY, "show", draft, fails=Code.NOT_FOUND)
    approved = desk(TOWN, "approve", draft, "--by", "t-00", "--json").json
    assert approved["call"] == draft
    call, state = approved["receipt"], approved["further"][0]
    assert (call["record"], state["record"]) == (draft, draft)
    assert state["index"] == call["index"] + 1
    shown = desk(COUNTY, "show", draft, "--json").json
    assert shown["content"]["approved_by"] == "t-00"
    assert "contact_phone" not in shown["content"]
    assert draft not in {one["draft"] for one in desk(TOWN, "drafts", "--json").json["drafts"]}


def test_a_draft_is_decided_once_and_the_second_is_told_by_whom(desk: Run) -> None:
    """Two principals at two screens: the call is raised once, or not at all."""
    draft = desk(TOWN, *DRAFT).json["call"]
    desk(TOWN, "refuse", draft, "--by", "t-00", "--reason", "先问村里")
    late = desk(TOWN, "approve", draft, "--by", "t-01", fails=Code.WRONG_STAGE)
    assert "refused by t-00" in late.err
    desk(TOWN, "show", draft, fails=Code.NOT_FOUND)
    listed = desk(TOWN, "drafts", "--all", "--json").json["drafts"]
    (found,) = (one for one in listed if one["draft"] == draft)
    assert (found["state"], found["decided_by"], found["reason"]) == (
        "refused",
        "t-00",
        "先问村里",
    )
    assert "桥栏破损" in desk(TOWN, "drafts", "--all").text


def test_a_draft_that_could_not_be_raised_is_refused_when_it_is_written(desk: Run) -> None:
    """The principal's approval must not be what finds a phone number in the title."""
    bad = ("draft", "--category", "道路", "--title", "找 13800000000", "--village", VILLAGE)
    assert "title" in desk(TOWN, *bad, fails=Code.INVALID_ARGUMENT).err
    desk(COUNTY, *DRAFT, fails=Code.TYPE_NOT_ALLOWED)


def test_a_step_that_a_node_may_not_take_is_refused_with_stage_and_turn(
    desk: Run, call: str
) -> None:
    """The message is all that the clerk has to go on."""
    refused = desk(TOWN, "dispatch", call, "--department", "水务局", fails=Code.NOT_A_PARTY).err
    assert "RECEIVED" in refused
    assert f"the centre of {COUNTY}: admit, decline" in refused
    assert f"the caller {TOWN}: withdraw" in refused
    assert "caller" in desk(COUNTY, "confirm", call, fails=Code.NOT_A_PARTY).err
    early = desk(TOWN, "confirm", call, fails=Code.WRONG_STAGE).err
    assert "RECEIVED" in early
    desk(VILLAGE, "confirm", call, fails=Code.TYPE_NOT_ALLOWED)


def test_whoever_comes_second_is_told_who_was_first(desk: Run, dispatched: str) -> None:
    """An acceptance is one person's; the other must know whom to ask."""
    desk(COUNTY, "accept", dispatched, "--actor", "w-07")
    late = desk(COUNTY, "accept", dispatched, "--actor", "w-08", fails=Code.WRONG_STAGE).err
    assert "accept by 水务局 w-07 at " in late
    assert "HANDLING" in late


@pytest.mark.parametrize("word", [("accept",), ("answer", "--text", "已抽排")])
def test_of_two_processes_that_take_one_step_at_once_exactly_one_wins(
    served: ServedNetwork, desk: Run, dispatched: str, word: tuple[str, ...]
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
    assert kinds(desk, dispatched).count(name) == 1


def test_a_proposal_on_its_way_is_not_sent_twice(
    served: ServedNetwork, desk: Run, dispatched: str
) -> None:
    """While the county can't be reached, two clerks must not both confirm."""
    desk(COUNTY, "answer", dispatched, "--text", "已抽排")
    served.network.away.add(COUNTY)
    try:
        desk(TOWN, "confirm", dispatched, "--actor", "t-01")
        again = desk(TOWN, "reject", dispatched, "--actor", "t-02", fails=Code.WRONG_STAGE).err
        assert "sent by t-01 at " in again
        shown = desk(TOWN, "show", dispatched, "--json").json
        assert (shown["stage"], shown["steps"][-1]["pending"]) == ("answered", True)
        assert "sent, not yet received" in desk(TOWN, "show", dispatched).text
    finally:
        served.network.away.clear()
        served.settle()
    assert stage(desk, dispatched, TOWN) == "confirmed"


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
    served: ServedNetwork, desk: Run, dispatched: str
) -> None:
    """What the county will judge once, and what raises a call, the town must not write twice."""
    desk(COUNTY, "answer", dispatched, "--text", "已抽排")
    word = calls_pb2.CallStep(
        call=bytes.fromhex(dispatched), confirm=calls_pb2.Confirm(resolved=True)
    )
    waiting = desk(TOWN, *DRAFT).json["call"]
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
    assert kinds(desk, dispatched).count("confirm") == 1
    assert kinds(desk, waiting) == ["raise", "took"]


def test_a_request_repeated_writes_nothing_more(desk: Run, call: str) -> None:
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
        first = desk(code, *words, *options).json
        again = desk(code, *words, *options).json
        assert again["receipt"] == first["receipt"] | {"repeated_request": True}, words
    found = desk(TOWN, *DRAFT).json["call"]
    approval = ("approve", found, "--by", "t-00", "--request-id", found, "--json")
    first, again = desk(TOWN, *approval).json, desk(TOWN, *approval).json
    assert again["receipt"] == first["receipt"] | {"repeated_request": True}


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
def test_a_strict_policy_is_told_before_anything_is_written(desk: Run) -> None:
    """Refused at the desk with what to do, not a day later by the county."""
    refused = desk(TOWN, *RAISE, fails=Code.INVALID_ARGUMENT).err
    assert "version 1 of the policy" in refused
    for way in ("call draft", "call approve", "--approved-by"):
        assert way in refused
    call = desk(TOWN, *RAISE, "--approved-by", "t-00").json["call"]
    lead = ("--department", "水务局")
    missing = desk(COUNTY, "dispatch", call, *lead, fails=Code.INVALID_ARGUMENT).err
    assert "duty list" in missing
    unknown = desk(COUNTY, "dispatch", call, "--item", "共-1", fails=Code.NOT_FOUND).err
    assert "no duty list" in unknown
    desk(COUNTY, "off-list", call, "--approved-by", "c-00", "--reason", "清单未列")
    desk(COUNTY, "dispatch", call, *lead)
    desk(COUNTY, "answer", call, "--text", "草拟的答复")
    assert stage(desk, call) == "review"
    for code in (TOWN, VILLAGE):
        assert "草拟的答复" not in desk(code, "show", call).text
    assert "草拟的答复" in desk(COUNTY, "show", call).text
    desk(COUNTY, "review", call, "--return", "--reason", "写明时间")
    desk(COUNTY, "answer", call, "--text", "已于八日抽排")
    desk(COUNTY, "review", call, "--send")
    assert stage(desk, call, TOWN) == "answered"
    assert "已于八日抽排" in desk(VILLAGE, "show", call).text


@pytest.mark.usefixtures("strict")
def test_an_item_of_the_duty_list_names_lead_and_helpers(desk: Run, served: ServedNetwork) -> None:
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
    call = desk(TOWN, *RAISE, "--approved-by", "t-00").json["call"]
    absent = desk(COUNTY, "dispatch", call, "--item", "共-2", fails=Code.NOT_FOUND).err
    assert "no item of that number" in absent
    desk(COUNTY, "dispatch", call, "--item", "共-1")
    shown = desk(TOWN, "show", call, "--json").json
    assert (shown["department"], shown["co_handlers"]) == ("水务局", ["城管局"])
    assert shown["duty_item"] == "共-1"
    named = desk(TOWN, *RAISE, "--approved-by", "t-00").json["call"]
    desk(COUNTY, "dispatch", named, "--item", "共-1", "--department", "水务局")
    assert desk(TOWN, "show", named, "--json").json["co_handlers"] == ["城管局"]
    other = desk(TOWN, *RAISE, "--approved-by", "t-00").json["call"]
    desk(COUNTY, "dispatch", other, "--item", "共-1", "--department", "住建局")
    assert desk(TOWN, "show", other, "--json").json["co_handlers"] == []
