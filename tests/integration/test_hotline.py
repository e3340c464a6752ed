"""Hotline orders over a real network: a real sample down, results up, and programs that follow."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from huying.hub.demo.canary import _spellings
from huying.hub.fleet import Fleet, Member, Place
from huying.hub.mappings import shipped
from huying.node.config import load
from tests.integration import commands
from tests.integration.commands import Done
from tests.support.places import ROOT

COUNTY, TOWN, VILLAGE, SECOND = "370830000000", "370830108000", "370830108201", "370830108202"
OTHER_TOWN, OTHER_VILLAGE = "370830102000", "370830102200"
PLACES = (
    Place(COUNTY, "汶上县", None),
    Place(TOWN, "义桥镇", COUNTY),
    Place(OTHER_TOWN, "南旺镇", COUNTY),
    Place(VILLAGE, "义桥村", TOWN),
    Place(SECOND, "唐阳村", TOWN),
    Place(OTHER_VILLAGE, "南旺一村", OTHER_TOWN),
)
CANARY_PHONE, CANARY_NAME = "16099887766", "探针来电人生成zx81f3"

ROWS = 4096  # of an import that is killed after the first of its batches

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HUYING_LOG__LEVEL", "debug")
        with Fleet(tmp_path_factory.mktemp("net"), "wenshang.example") as made:
            timing = {"pulse_seconds": 1.0, "retry_seconds_min": 0.1, "retry_seconds_max": 1.0}
            made.make(PLACES, timing=timing, capture=True)
            made.start()
            yield made


def run(node: Member, *words: str) -> Done:
    return commands.huying("--config", node.config_file, *words)


def huying(node: Member, *words: str) -> Any:
    return commands.ok("--config", node.config_file, *words)


def until(condition: Callable[[], Any], seconds: float = 30.0) -> Any:
    """What the condition gives once it holds: the network is real, and takes its time."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.1)
    return found


def orders(node: Member, *words: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = huying(node, "hotline", "list", *words)["orders"]
    return found


@pytest.fixture(scope="module")
def imported(fleet: Fleet) -> dict[str, Any]:
    """The real sample, by the command of the requirement."""
    until(lambda: len(_known(fleet)) == len(PLACES) - 1)
    sample = shipped("nyc311_sample.csv")
    mapping = shipped("nyc311")
    words = ("hotline", "import", str(sample), "--mapping", str(mapping))
    found: dict[str, Any] = huying(fleet[COUNTY], *words)
    return found


def _known(fleet: Fleet) -> list[str]:
    """Below the county, by the county's roster."""
    with fleet[COUNTY].client() as client:
        from huying.hub.desk import HUB_TOPICS
        from huying.wire.v1 import hotline_pb2

        topic = next(one for one in HUB_TOPICS if one.name == "HotlineDesk")
        response = client.ask_desk(topic, "ListHandlers", hotline_pb2.ListHandlersRequest(), 10)
        return [one.code for one in response.handlers if one.has_key]


def test_the_real_sample_is_imported_once(fleet: Fleet, imported: dict[str, Any]) -> None:
    """Idempotent by the other system's ids; near-duplicates are told, none is dropped."""
    assert (imported["rows"], imported["new"], imported["refused"]) == (1000, 1000, 0)
    assert 0 < imported["near_duplicates"] < 300
    words = ("hotline", "import", str(shipped("nyc311_sample.csv")), "--mapping", "nyc311")
    again = huying(fleet[COUNTY], *words)
    assert (again["new"], again["changed"], again["same"]) == (0, 0, 1000)
    assert again["near_duplicates"] == imported["near_duplicates"]
    assert again["written"] is False


def test_results_flow_back_and_are_exported_under_the_sources_ids(
    fleet: Fleet, imported: dict[str, Any], tmp_path: Path
) -> None:
    """What the other system waits for."""
    at_village = until(lambda: orders(fleet[VILLAGE], "--limit", "1000"))
    until(lambda: len(orders(fleet[VILLAGE], "--limit", "1000")) == 294)
    first, second, third = (one["order"] for one in at_village[:3])
    huying(fleet[VILLAGE], "hotline", "take", first)
    huying(fleet[VILLAGE], "hotline", "settle", first, "--text", "=已劝止,回电13812345678")
    huying(fleet[VILLAGE], "hotline", "return", second, "--reason", "不属本村")
    huying(fleet[VILLAGE], "hotline", "take", third)
    until(lambda: len(orders(fleet[COUNTY], "--status", "returned")) == 1)
    until(lambda: len(orders(fleet[COUNTY], "--status", "taken")) == 1)
    output = tmp_path / "results.csv"
    words = ("hotline", "export", "-o", str(output), "--since", "2020-01-01")
    assert huying(fleet[COUNTY], *words)["rows"] == 3
    with output.open(encoding="utf-8-sig", newline="") as file:
        rows = {row["order"]: row for row in csv.DictReader(file)}
    assert rows[first]["source_id"] == at_village[0]["fields"]["source_id"]
    assert rows[first]["status"] == "settled"
    assert rows[first]["text"] == "'=已劝止,回电〔手机号〕"
    assert orders(fleet[OTHER_TOWN], "--status", "settled") == []
    done = run(fleet[TOWN], "hotline", "take", third)
    assert done.returncode == 5
    assert "NOT_A_PARTY" in done.stderr


def test_a_faulty_file_is_imported_not_at_all_or_without_its_faulty_rows(
    fleet: Fleet, imported: dict[str, Any], tmp_path: Path
) -> None:
    """As the user chose; the exit code tells a script which."""
    table, mapping = tmp_path / "bad.csv", tmp_path / "bad.toml"
    lines = shipped("nyc311_sample.csv").read_text("utf-8").splitlines()[:4]
    table.write_text("\n".join([*lines, lines[1], ",x"]) + "\n", "utf-8")
    mapping.write_text(shipped("nyc311").read_text("utf-8").replace('"nyc311"', '"bad"'), "utf-8")
    words = ("hotline", "import", str(table), "--mapping", str(mapping))
    done = run(fleet[COUNTY], *words)
    assert done.returncode == 2
    assert "第 5 行" in done.stderr
    assert "row 5, unique_key: the same id as in row 2" in done.stderr
    assert orders(fleet[COUNTY], "--source", "bad") == []
    assert run(fleet[COUNTY], "hotline", "check", str(table), *words[3:]).returncode == 2
    kept = huying(fleet[COUNTY], *words, "--on-error", "skip")
    assert (kept["new"], kept["refused"]) == (3, 2)
    assert len(orders(fleet[COUNTY], "--source", "bad")) == 3


def test_the_callers_contact_is_nowhere_but_at_both_ends(fleet: Fleet, tmp_path: Path) -> None:
    """Databases, write-ahead logs, logs, frames: of the town on the way and of everybody else."""
    table = tmp_path / "orders.csv"
    with shipped("12345_generated.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row |= {"来电人": CANARY_NAME, "联系电话": CANARY_PHONE, "承办单位": "义桥镇义桥村"}
        row["诉求内容"] += f"请打{CANARY_PHONE}。"
    with table.open("w", encoding="gb18030", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    found = huying(fleet[COUNTY], "hotline", "import", str(table), "--mapping", "12345")
    assert (found["new"], found["encoding"], found["without_contact"]) == (40, "gb18030", 0)
    mine = until(lambda: orders(fleet[VILLAGE], "--source", "12345"))
    until(lambda: len(orders(fleet[VILLAGE], "--source", "12345")) == 40)
    shown = huying(fleet[VILLAGE], "hotline", "show", mine[0]["order"], "--actor", "v1")
    assert shown["contact"]["phone"] == CANARY_PHONE
    log = fleet[VILLAGE].log_file.read_text("utf-8")
    assert f'"order": "{mine[0]["order"]}"' in log
    assert '"actor": "v1"' in log
    until(lambda: len(orders(fleet[TOWN], "--source", "12345")) == 40)
    at_town = huying(fleet[TOWN], "hotline", "show", mine[0]["order"])
    assert (at_town["contact"], at_town["contact_state"]) == (None, "withheld")
    assert "contact_phone" not in at_town["fields"]

    marks = [CANARY_PHONE.encode(), CANARY_NAME.encode()]
    spelled = [pattern for mark in marks for _, pattern in _spellings(mark)]
    for member in fleet:
        for path in filter(Path.is_file, member.folder.rglob("*")):
            data = path.read_bytes()
            own = member.code == COUNTY and load(member.config_file).data_dir in path.parents
            assert own or not any(pattern in data for pattern in spelled), (member.code, path.name)
    database = load(fleet[COUNTY].config_file).database_file
    held = b"".join(path.read_bytes() for path in database.parent.glob("node.db*"))
    assert all(mark in held for mark in marks), "a search that finds nothing proves nothing"


def test_an_assigned_order_opens_at_its_new_handler_alone(
    fleet: Fleet, imported: dict[str, Any]
) -> None:
    """The old handler's seal is gone from its disk, and it is told whose the order is now."""
    one = orders(fleet[COUNTY], "--handler", VILLAGE, "--source", "12345", "--limit", "1")[0]
    sealed = huying(fleet[VILLAGE], "record", "get", "order", one["order"], "--home", COUNTY)
    before = sealed["fields"]["sealed_contact"]
    huying(fleet[COUNTY], "hotline", "assign", one["order"], "--to", OTHER_VILLAGE)
    until(lambda: run(fleet[OTHER_VILLAGE], "hotline", "show", one["order"]).returncode == 0)
    shown = huying(fleet[OTHER_VILLAGE], "hotline", "show", one["order"])
    assert shown["contact"]["phone"] == CANARY_PHONE

    def moved() -> bool:
        at = huying(fleet[VILLAGE], "hotline", "show", one["order"])
        return bool(at["fields"]["handler"] == OTHER_VILLAGE)

    until(moved)
    refused = run(fleet[VILLAGE], "hotline", "take", one["order"])
    assert "NOT_A_PARTY" in refused.stderr
    raw = bytes.fromhex(before)

    def gone() -> bool:
        files = load(fleet[VILLAGE].config_file).data_dir.glob("node.db*")
        return not any(raw in path.read_bytes() for path in files)

    until(gone)


def lines(done: Done) -> list[tuple[str, int]]:
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    return [(one["origin"], one["index"]) for one in found]


def test_a_watch_goes_on_after_a_restart_and_a_rotation_exactly_once(
    fleet: Fleet, imported: dict[str, Any], tmp_path: Path
) -> None:
    """An integrator that was away asks for what it missed; a key's change is no second telling."""
    cursor = tmp_path / "orders.cursor"
    words = ("watch", "--types", "order,order_result", "--cursor", str(cursor), "--once", "--jsonl")
    seen = lines(run(fleet[COUNTY], *words))
    assert len(seen) >= 1000
    assert lines(run(fleet[COUNTY], *words)) == []
    fleet[COUNTY].stop()
    fleet[COUNTY].start()
    fleet[COUNTY].wait_ready()
    assert lines(run(fleet[COUNTY], *words)) == []
    rotated = run(fleet[VILLAGE], "key", "rotate", "feed")
    assert rotated.returncode == 0, rotated.stderr
    mine = orders(fleet[VILLAGE], "--status", "sent", "--source", "nyc311", "--limit", "1")[0]
    huying(fleet[VILLAGE], "hotline", "take", mine["order"])
    until(lambda: orders(fleet[COUNTY], "--status", "taken", "--limit", "1000"))
    later = until(lambda: lines(run(fleet[COUNTY], *words)))
    assert [origin.rpartition("/")[2] for origin, _ in later] == ["e2"]
    anew = lines(run(fleet[COUNTY], *words[:3], "--once", "--jsonl"))
    assert sorted(anew) == sorted(seen + later)
    assert len(set(anew)) == len(anew)


def test_the_example_in_the_documentation_runs(
    fleet: Fleet, imported: dict[str, Any], tmp_path: Path
) -> None:
    """The first thing that an integrator copies must work, and go on where it stopped."""
    page = (ROOT / "docs/INTEGRATION.md").read_text("utf-8")
    (example,) = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    script = tmp_path / "follow.py"
    script.write_text(example, "utf-8")
    config = load(fleet[COUNTY].config_file)
    cursor = tmp_path / "results.cursor"
    command = [sys.executable, str(script), config.api.listen, str(config.token_file), str(cursor)]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    first = subprocess.run(command, capture_output=True, text=True, env=environ, check=True)
    assert "ORDER_STATUS_SETTLED" in first.stdout
    again = subprocess.run(command, capture_output=True, text=True, env=environ, check=True)
    assert again.stdout == ""


def test_an_import_that_was_killed_is_finished_by_running_it_again(
    fleet: Fleet, tmp_path: Path
) -> None:
    """The power fails in mid-import: no half orders, none twice."""
    table = tmp_path / "many.csv"
    with shipped("nyc311_sample.csv").open(encoding="utf-8", newline="") as file:
        sample = next(csv.DictReader(file))
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(sample))
        writer.writeheader()
        for number in range(ROWS):
            kind = f"kind {number % 300}"
            writer.writerow({**sample, "unique_key": f"k{number}", "complaint_type": kind})
    mapping = tmp_path / "many.toml"
    mapping.write_text(shipped("nyc311").read_text("utf-8").replace('"nyc311"', '"many"'), "utf-8")
    words = ("hotline", "import", str(table), "--mapping", str(mapping), "--json")
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "huying.hub.cli", "--config", str(fleet[COUNTY].config_file)]
    pipe = subprocess.PIPE
    with subprocess.Popen([*command, *words], env=environ, stdout=pipe, stderr=pipe) as importing:
        until(lambda: orders(fleet[COUNTY], "--source", "many", "--limit", "1"))
        fleet[COUNTY].kill()
        importing.kill()
        importing.communicate()
    fleet[COUNTY].start()
    fleet[COUNTY].wait_ready()
    found = huying(fleet[COUNTY], *words[:-1])
    assert found["new"] > 0
    assert found["same"] > 0
    assert found["new"] + found["same"] == ROWS
    assert huying(fleet[COUNTY], *words[:-1])["same"] == ROWS
    every = orders(fleet[COUNTY], "--source", "many", "--limit", "10000")
    assert len({one["order"] for one in every}) == len(every) == ROWS
