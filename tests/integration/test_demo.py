"""`huying demo` as a stranger runs it, smaller: its JSON, its printed commands, its folder."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from huying.common.errors import Code, HuyingError
from huying.hub.demo import run
from huying.hub.demo.report import examples
from huying.node.config import load

SMALL = ("--households", "30", "--requests", "120", "--rate", "30")
COUNTY, TOWN, VILLAGE = "370830000000", "370830108000", "370830108201"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


def demo(*args: str | Path) -> list[str]:
    return [sys.executable, "-m", "huying.hub.cli", "demo", *map(str, args)]


@pytest.fixture(scope="module")
def orphaned(tmp_path_factory):
    """(folder, the processes that a demo left running there when it was killed)."""
    folder = tmp_path_factory.mktemp("demo") / "net"
    process = subprocess.Popen(
        demo("--folder", folder, *SMALL), stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout is not None
    for line in process.stdout:
        if "装载 load" in line:
            break
    process.kill()
    process.wait()
    process.stdout.close()
    return folder, _running(folder)


@pytest.fixture(scope="module")
def finished(orphaned):
    """(folder, the JSON of the last line, what went to standard error): of the next demo there."""
    folder, _ = orphaned
    done = subprocess.run(
        demo("--once", "--json", "--folder", folder, *SMALL),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder, json.loads(done.stdout.splitlines()[-1]), done.stderr


def test_a_demo_ends_with_every_call_confirmed_and_nothing_leaked(finished):
    """This is the product's main job, end to end over seven processes."""
    _, outcome, _ = finished
    assert outcome["nodes"] == 7
    assert outcome["events"] == outcome["events_settled"] == 120
    assert 10 < outcome["calls_raised"] < 60
    assert outcome["calls_answered"] == outcome["calls_confirmed"] == outcome["calls_raised"]
    assert outcome["calls_closed"] == outcome["calls_raised"]
    assert outcome["calls_answered_again"] > 0
    assert outcome["entries"] > 2 * 120
    assert outcome["openings_withheld"] > 0
    assert outcome["canaries_planted"] > 50
    assert outcome["canaries_found_at_home"] >= outcome["canaries_planted"]
    assert outcome["canary_leaks"] == 0
    assert outcome["roots_equal"] is True
    p50 = outcome["replication_delay_p50_seconds"]
    assert 0 < p50 <= outcome["replication_delay_p99_seconds"] < 30
    print(json.dumps(outcome))


def test_the_story_of_the_calls_has_its_turns(finished):
    """Returned and ruled, reopened, late, and one value that stays at home asked for and seen."""
    _, outcome, _ = finished
    assert outcome["calls_returned"] == outcome["calls_ruled"] > 0
    assert outcome["calls_supplemented"] > 0
    assert outcome["calls_reopened"] > 0
    assert outcome["calls_breached"] > 0
    assert outcome["provisions_granted"] > 0


def test_progress_is_plain_lines_where_there_is_no_terminal(finished):
    """A log file must not be full of cursor movements."""
    _, _, progress = finished
    assert "\x1b" not in progress
    assert "呼叫县里 calls the county" in progress
    assert "各节点一致 equal everywhere" in progress
    for name in ("汶上县", "义桥镇", "义桥西村委会"):
        assert name in progress


def test_every_command_that_the_demo_prints_works_when_pasted(finished):
    """Nobody types a second command after a first one failed; the nodes are down by now."""
    folder, _, _ = finished
    for what, command in examples(folder):
        done = subprocess.run(
            ["/bin/bash", "-c", command], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{what}\n{command}\n{done.stdout}\n{done.stderr}"
        assert (done.stdout + done.stderr).strip(), what


def test_the_demo_leaves_a_node_in_a_folder_of_its_code(finished):
    """`.demo/CODE/node.toml`, with the node's data beside it, is where people look."""
    folder, _, _ = finished
    for code in (COUNTY, TOWN, VILLAGE):
        assert (folder / code / "node.toml").is_file()
        database = load(folder / code / "node.toml", {}).database_file
        assert database.is_file()
        assert folder / code in database.parents


def test_ctrl_c_drains_every_node(tmp_path):
    """An interrupted demo must leave no process behind, and say that it was interrupted."""
    folder = tmp_path / "net"
    process = subprocess.Popen(
        demo("--folder", folder, *SMALL),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if "上报 report" in line:
            break
    process.send_signal(signal.SIGINT)
    output = process.stdout.read()
    process.stdout.close()
    assert process.wait(30) == 130
    assert "draining the nodes" in output
    assert "Traceback" not in output
    assert _running(folder) == []


def test_a_killed_demo_leaves_nodes_that_the_next_one_ends(orphaned, finished):
    """A demo's kill -9 can't be caught; its orphans must not haunt the machine."""
    folder, orphans = orphaned
    assert len(orphans) == 7
    assert finished[0] == folder
    assert _running(folder) == []


def test_a_second_demo_in_the_same_folder_is_refused(tmp_path):
    """It would delete the data under the first one's nodes."""
    (tmp_path / "DEMO").touch()
    with (tmp_path / "DEMO").open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(HuyingError) as refusal:
            run(["--once", "--folder", str(tmp_path)])
    assert refusal.value.code is Code.NODE_RUNNING


def test_a_folder_that_no_demo_made_is_left_alone(tmp_path):
    """`--folder ~` must not cost somebody their home."""
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(HuyingError) as refusal:
        run(["--once", "--folder", str(tmp_path)])
    assert refusal.value.code is Code.CONFIG
    assert (tmp_path / "thesis.txt").read_text() == "years of work"
    assert not (tmp_path / "DEMO").exists()


def _running(folder: Path) -> list[int]:
    """Processes of nodes in that folder, a moment after their demo ended."""
    found: list[int] = []
    for _ in range(20):
        found = []
        for entry in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = entry.read_bytes().decode(errors="replace").split("\0")
            except OSError:
                continue
            if "run" in words and any(word.startswith(f"{folder}{os.sep}") for word in words):
                found.append(int(entry.parent.name))
        if not found:
            break
        time.sleep(0.05)
    return found
