"""Asking a real network: the county's command line, villages that count, and one that is off."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from huying.hub.demo.people import village_drafts
from huying.hub.fleet import Fleet, Place
from huying.wire.v1 import api_pb2
from tests.integration import commands
from tests.integration.commands import Done

COUNTY, TOWN, OTHER_TOWN = "370830000000", "370830108000", "370830109000"
FIRST, SECOND, THIRD = "370830108201", "370830108202", "370830109201"
PLACES = (
    Place(COUNTY, "汶上县", None),
    Place(TOWN, "义桥镇", COUNTY),
    Place(OTHER_TOWN, "苑庄镇", COUNTY),
    Place(FIRST, "义桥村", TOWN),
    Place(SECOND, "唐阳村", TOWN),
    Place(THIRD, "苑庄村", OTHER_TOWN),
)
CANARY = "KANARI-ASK"


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with Fleet(tmp_path_factory.mktemp("ask"), "wenshang.example") as made:
        made.make(PLACES, timing={"pulse_seconds": 1.0, "retry_seconds_min": 0.1})
        refusing = made[THIRD].config_file
        refusing.write_text(
            refusing.read_text("utf-8") + '\n[ask]\nanswers = "residents-by-age-band"\n', "utf-8"
        )
        made.start()
        for code in (FIRST, SECOND, THIRD):
            load(made, code)
        yield made


def load(fleet: Fleet, code: str) -> None:
    drafts = list(
        village_drafts(code, households=120, seed=1, today=date(2026, 1, 1), canary=CANARY)
    )
    with fleet[code].client() as client:
        for start in range(0, len(drafts), 500):
            request = api_pb2.AppendRequest()
            for one in drafts[start : start + 500]:
                request.drafts.add(
                    kind=one.kind,
                    type=one.type,
                    message=one.message.SerializeToString(),
                    record=one.record,
                )
            client.append(request)


def huying(config: Path, *words: str) -> Done:
    return commands.huying("--config", config, *words)


def ask(fleet: Fleet, at: str, *words: str) -> dict[str, Any]:
    done = huying(fleet[at].config_file, "ask", *words, "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_county_asks_and_every_village_that_answers_is_in_the_sums(fleet: Fleet) -> None:
    """The command of the requirement, as it stands there; the refusing village is named."""
    found = ask(fleet, COUNTY, "households-by-key-population", "--area", COUNTY)
    assert (found["asked"], found["answered"]) == (3, 2)
    assert [one["code"] for one in found["villages"]] == [FIRST, SECOND]
    (missing,) = found["missing"]
    assert (missing["code"], missing["name"], missing["why"]) == (THIRD, "苑庄村", "refused")
    assert found["universe"] == 240
    elderly = found["cells"][0]["count"]
    assert 0 < elderly["low"] <= elderly["mid"] <= elderly["high"] < 240


def test_asking_again_returns_the_same_entries_and_writes_none(fleet: Fleet) -> None:
    """Frozen: whatever was entered since, and whoever asks."""
    first = ask(fleet, COUNTY, "residents-by-age-band", "--area", TOWN)
    load(fleet, SECOND)
    again = ask(fleet, COUNTY, "residents-by-age-band", "--area", TOWN)
    of_town = ask(fleet, TOWN, "residents-by-age-band", "--area", TOWN)
    assert first["answered"] == 2
    assert first["question"]["repeated"] is False
    assert again["question"]["repeated"] is True
    for later in (again, of_town):
        assert later["villages"] == first["villages"]
        assert later["cells"] == first["cells"]


def test_a_town_hears_of_its_own_villages_alone(fleet: Fleet) -> None:
    """What lies beside it is none of its business."""
    done = huying(fleet[TOWN].config_file, "ask", "households-by-size", "--area", COUNTY)
    assert done.returncode == 2
    assert "--area" in done.stderr
    found = ask(fleet, TOWN, "households-by-size", "--area", FIRST)
    assert [one["code"] for one in found["villages"]] == [FIRST]


def test_a_village_that_is_off_is_named_and_never_zero(fleet: Fleet) -> None:
    """A sum that took silence for nothing would be a lie; it answers once it is back.

    What it had answered before it went is still the answer.
    """
    before = ask(fleet, COUNTY, "residents-by-age-band", "--area", FIRST)
    fleet[FIRST].stop()
    try:
        found = ask(fleet, COUNTY, "events-by-category", "--area", TOWN, "--wait", "4")
        assert [one["code"] for one in found["missing"]] == [FIRST]
        assert found["missing"][0]["why"] in ("offline", "awaited")
        assert found["missing"][0]["heard_micros"]
        assert [one["code"] for one in found["villages"]] == [SECOND]
    finally:
        fleet.start([FIRST])
    found = ask(fleet, COUNTY, "events-by-category", "--area", TOWN, "--wait", "20")
    assert [one["code"] for one in found["villages"]] == [FIRST, SECOND]
    after = ask(fleet, COUNTY, "residents-by-age-band", "--area", FIRST)
    assert (after["villages"], after["cells"]) == (before["villages"], before["cells"])


def test_no_value_of_a_person_leaves_with_an_answer(fleet: Fleet) -> None:
    """The canaries stand in every village-only field that was counted."""
    ask(fleet, COUNTY, "households-by-key-population", "--area", COUNTY)
    for code in (COUNTY, TOWN, OTHER_TOWN):
        fleet[code].stop()
        folder = fleet[code].folder
        for path in folder.rglob("*"):
            if path.is_file():
                assert CANARY.encode() not in path.read_bytes(), path
    assert any(CANARY.encode() in path.read_bytes() for path in fleet[FIRST].folder.rglob("*.db*"))
