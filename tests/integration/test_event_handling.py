"""A town settles a village's event between real processes, one of which is killed."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from huying.hub.fleet import Fleet, Member, Place
from tests.integration import commands

COUNTY, TOWN, VILLAGE = "370830000000", "370830108000", "370830108201"
PLACES = (
    Place(COUNTY, "汶上县", None),
    Place(TOWN, "义桥镇", COUNTY),
    Place(VILLAGE, "义桥村", TOWN),
)
EVENT = (
    *("--field", "category=道路", "--field", "status=reported", "--field", f"grid={VILLAGE}001"),
    *("--field", "reported_micros=1", "--field", "description_full=路灯坏了"),
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with Fleet(tmp_path_factory.mktemp("net"), "wenshang.example") as made:
        timing = {"pulse_seconds": 1.0, "retry_seconds_min": 0.1, "retry_seconds_max": 1.0}
        made.make(PLACES, timing=timing)
        made.start()
        yield made


def huying(node: Member, *words: str) -> Any:
    return commands.ok("--config", node.config_file, *words)


def status_at(node: Member, record: str, wanted: str) -> dict[str, Any]:
    """The event at a node, once it stands so there: the network is real, and takes its time."""
    deadline = time.monotonic() + 30
    while True:
        done = commands.huying("--config", node.config_file, "event", "show", record, "--json")
        found: dict[str, Any] = json.loads(done.stdout) if done.returncode == 0 else {}
        if found.get("status") == wanted:
            return found
        assert time.monotonic() < deadline, done.stderr
        time.sleep(0.1)


def test_a_village_that_was_killed_settles_once_when_it_is_back(fleet: Fleet) -> None:
    """The town's word waits for the village, and a later start undoes no reopening."""
    town, village = fleet[TOWN], fleet[VILLAGE]
    first, second = (huying(village, "record", "put", "event", *EVENT)["record"] for _ in range(2))
    status_at(town, second, "reported")
    village.kill()
    settled = huying(town, "event", "settle", first, "--text", "已换灯泡")
    assert settled["status"] == "reported"
    village.start()
    village.wait_ready()
    ended = status_at(town, first, "settled")
    assert ended["fields"]["description_public"] == "路灯坏了\n镇办结:已换灯泡"
    opened = huying(village, "record", "put", "event", *EVENT, "--record", first)
    village.kill()
    village.start()
    village.wait_ready()
    huying(town, "event", "settle", second, "--text", "已换灯泡")
    status_at(village, second, "settled")  # a round that has the first one before it, too
    again = status_at(town, first, "reported")
    assert again["index"] == opened["index"]
