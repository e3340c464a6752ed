"""`huying event …` at a real API: a town and its village through the commands that people type."""

from __future__ import annotations

import asyncio
from typing import Any

from huying.common.errors import ADVICE, Code
from huying.node.events.event_keeper import Settler
from tests.support.commands import Run
from tests.support.served_network import ServedNetwork
from tests.support.tiny_network import COUNTY, TOWN, VILLAGE


async def _settle(served: ServedNetwork) -> int:
    settler = Settler(VILLAGE, served.readers[VILLAGE], served.runtimes[VILLAGE])
    return await settler.round(asyncio.get_running_loop().time())


def test_a_town_handles_an_event_by_its_commands(
    served: ServedNetwork, huying: Run, event: dict[str, Any]
) -> None:
    """Take, assign and settle; the village and the county read it by the same commands."""
    record = event["record"]
    by = ("--actor", "镇-办-01", "--json")
    taken = huying(TOWN, "event", "take", record, *by).json
    assert (taken["handling"]["status"], taken["handling"]["number"]) == ("taken", 1)
    assert huying(TOWN, "event", "take", record, *by).json["unchanged"]
    assigned = huying(TOWN, "event", "assign", record, "--text", "请村里先看", *by).json
    assert assigned["handling"]["text"] == "请村里先看"
    told = huying(TOWN, "event", "settle", record, "--text", "已换灯,电话13912345678")
    assert told.code == 0, told.err
    assert "13912345678" not in told.text
    assert "镇已办结" in told.text
    assert "号码已隐去" in told.text + told.err
    assert served.thread.run(_settle(served)) == 1
    for code in (COUNTY, TOWN, VILLAGE):
        shown = huying(code, "event", "show", record, "--json").json
        assert (shown["status"], shown["handling"]["town"]) == ("settled", TOWN)
    shown = huying(VILLAGE, "event", "show", record.upper()).text
    assert "已办结 settled" in shown
    assert "已换灯" in shown


def test_a_list_has_the_towns_word_beside_each_event(huying: Run, event: dict[str, Any]) -> None:
    """Narrowed and paged as it is asked for; an event without a word says so."""
    record = event["record"]
    huying(TOWN, "event", "assign", record, "--text", "去看")
    listed = huying(COUNTY, "event", "list", "--area", TOWN, "--limit", "1", "--json").json
    assert len(listed["events"]) == 1
    assert listed["next_page"]
    following = huying(
        COUNTY, "event", "list", "--page", listed["next_page"], "--status", "reported", "--json"
    ).json
    found = {one["event"]: one["handling"] for one in listed["events"] + following["events"]}
    assert found[record]["status"] == "assigned"
    assert "已交办" in huying(COUNTY, "event", "list").text


def test_a_refusal_names_what_was_wrong(huying: Run, event: dict[str, Any]) -> None:
    """At the wrong node, of the wrong event, in the wrong words."""
    record = event["record"]
    for code, words, expected in (
        (COUNTY, ("take", record), Code.NOT_A_PARTY),
        (VILLAGE, ("take", record), Code.NOT_A_PARTY),
        (TOWN, ("take", "0" * 32), Code.NOT_FOUND),
        (TOWN, ("take", record, "--home", COUNTY), Code.NOT_FOUND),
        (TOWN, ("settle", record, "--text", " "), Code.INVALID_ARGUMENT),
        (TOWN, ("take", "zz"), Code.INVALID_ARGUMENT),
        (TOWN, ("list", "--status", "gone"), Code.INVALID_ARGUMENT),
        (TOWN, ("list", "--page", "zz"), Code.INVALID_ARGUMENT),
    ):
        result = huying(code, "event", *words)
        assert result.code == ADVICE[expected].exit_code, result.err
        assert expected.name in result.err
