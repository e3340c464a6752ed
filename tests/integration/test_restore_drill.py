"""The drills: a village that burns comes back from its backup, or from its town, as typed.

Real processes, real links, the commands of docs/runbook/restore.md and docs/runbook/rebuild.md.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from huying.common.errors import ADVICE, Code
from huying.hub.fleet import free_addresses
from tests.integration.commands import huying, ok

NETWORK = "wenshang.example"
COUNTY, TOWN, VILLAGE = "370830000000", "370830108000", "370830108201"
ORIGIN = f"{NETWORK}/feed/{VILLAGE}/e1"
SECONDS = 120.0
TIMING = """
[timing]
pulse_seconds = 0.5
confirm_seconds = 3
retry_seconds_min = 0.1
retry_seconds_max = 0.5
sealed_quiet_seconds = 0.3
"""

pytestmark = pytest.mark.timeout(480)


def free_address() -> str:
    return free_addresses(1)[0]


def eventually(condition) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.2)


@contextlib.contextmanager
def running(file: Path, *, kill: bool = False) -> Iterator[None]:
    log = file.parent.with_suffix(".log")
    begun = log.stat().st_size if log.exists() else 0
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "huying.hub.cli", "--config", str(file), "run"],
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
    try:
        eventually(lambda: b'"node_running"' in log.read_bytes()[begun:] or process.poll())
        assert process.poll() is None, log.read_text("utf-8")[-2000:]
        yield
    finally:
        process.kill() if kill else process.terminate()
        process.wait(SECONDS)


def join(above: Path, code: str, folder: Path) -> Path:
    token = ok("--config", above, "roster", "invite", code, "--name", f"节点 {code}")["token"]
    addresses = ("--listen", free_address(), "--api-listen", free_address())
    ok("join", token, "--data", folder, *addresses)
    file = folder / "node.toml"
    file.write_text(file.read_text("utf-8") + TIMING, "utf-8")
    return file


class Line:
    """A county and a town that run, and the village that they enrolled, which does not."""

    def __init__(self, folder: Path, stack: contextlib.ExitStack) -> None:
        self.folder = folder
        addresses = ("--sync-listen", free_address(), "--api-listen", free_address())
        who = ("--network", NETWORK, "--code", COUNTY, "--name", "汶上县")
        ok("init", folder / "county", *who, *addresses)
        self.county = folder / "county" / "node.toml"
        self.county.write_text(self.county.read_text("utf-8") + TIMING, "utf-8")
        stack.enter_context(running(self.county))
        self.town = join(self.county, TOWN, folder / "town")
        stack.enter_context(running(self.town))
        self.village = join(self.town, VILLAGE, folder / "village")
        self.recovery_key = folder / "away" / "recovery.key"
        self.recovery_key.parent.mkdir()

    def write(self, name: str) -> str:
        fields = (f"grid={VILLAGE}001", f"name={name}", "generated=true")
        options = [part for field in fields for part in ("--field", field)]
        answer = ok("--config", self.village, "record", "put", "resident", *options)
        return str(answer["record"])

    def names(self) -> set[str]:
        """The residents' names as the village's own records show them."""
        shown = ok("--config", self.village, "record", "list", "resident")["records"]
        return {record["fields"].get("name", "") for record in shown} - {""}

    def sizes(self, file: Path) -> dict[str, int]:
        return dict(query(file, "SELECT origin, size FROM feeds"))

    def state(self) -> str:
        return str(ok("--config", self.village, "status")["state"])

    def settled(self, origin: str = ORIGIN) -> None:
        """The town holds all that the village wrote, and the copies of it."""
        eventually(
            lambda: self.sizes(self.town).get(origin) == self.sizes(self.village).get(origin)
        )

    def rebuild(self, *options: object) -> dict[str, Any]:
        feeds = ok("--config", self.village, "rebuild", *options)["feeds"]
        return {feed["origin"]: feed for feed in feeds}

    def sound(self) -> None:
        answer = huying("--config", self.village, "fsck", "--json")
        assert json.loads(answer.stdout)["problems"] == [], answer.stdout


@pytest.fixture
def line(tmp_path) -> Iterator[Line]:
    with contextlib.ExitStack() as stack:
        yield Line(tmp_path, stack)


def query(file: Path, sql: str, *values: object) -> list[Any]:
    """Rows of a node's database, beside the node."""
    uri = f"file:{file.parent / 'data' / 'node.db'}?mode=ro"
    with contextlib.closing(sqlite3.connect(uri, uri=True)) as reader:
        return reader.execute(sql, values).fetchall()


def copies(file: Path, origin: str = ORIGIN) -> int:
    """How far the sealed copies reach that a node keeps of a feed."""
    sql = "SELECT coalesce(max(stop), 0) FROM sealed_copies WHERE state = 3 AND origin = ?"
    return int(query(file, sql, origin)[0][0])


def held(file: Path) -> bytes:
    data = file.parent / "data"
    return b"".join(path.read_bytes() for path in sorted(data.iterdir()) if path.is_file())


def test_a_burnt_village_is_restored_with_all_that_its_town_held(line, tmp_path):
    """Backed up while it ran, wrote on, burnt; restored, it has its later entries before it writes.

    What was erased after the backup stays erased, and what the town could not read comes out of the
    sealed copies.
    """
    backup = tmp_path / "away" / "backup"
    ok("--config", line.village, "key", "recovery", "--to", line.recovery_key)
    with running(line.village, kill=True):
        line.write("甲")
        erased = line.write("要擦除的人")
        made = ok("--config", line.village, "backup", backup)
        shutil.copy(made["key"], tmp_path / "away")
        line.write("乙")
        ok("--config", line.village, "erase", erased)
        line.write("丙")
        line.settled()
        size = line.sizes(line.village)[ORIGIN]
        eventually(lambda: copies(line.town) == size)
    assert "甲".encode() not in held(line.town)
    shutil.rmtree(line.village.parent)

    answer = ok("restore", backup, "--data", line.village.parent)
    assert answer["size"] == made["size"] < size
    with running(line.village):
        eventually(lambda: line.state() == "live")
        assert line.sizes(line.village)[ORIGIN] >= size
        line.write("丁")
        line.settled()
        assert line.names() == {"甲", "丁"}, "what nobody else could read is not there yet"
        eventually(lambda: line.rebuild()[ORIGIN]["copies_waiting"])
        line.rebuild("--recovery-key", line.recovery_key)
        assert line.names() == {"甲", "乙", "丙", "丁"}
        assert line.rebuild()[ORIGIN]["openings_missing"] == 0
        line.sound()
    assert "要擦除的人".encode() not in held(line.village)


def test_a_restore_over_the_old_folder_keeps_its_mark_and_its_erasures(line, tmp_path):
    """The database broke and the folder did not: it goes on behind all that it ever said."""
    backup = tmp_path / "away" / "backup"
    with running(line.village):
        line.write("甲")
        erased = line.write("要擦除的人")
        ok("--config", line.village, "backup", backup)
        line.write("乙")
        ok("--config", line.village, "erase", erased)
        line.settled()
        size = line.sizes(line.village)[ORIGIN]
        refused = huying("restore", backup, "--data", line.village.parent)
        assert refused.returncode == ADVICE[Code.NODE_RUNNING].exit_code, refused.stderr
    mark = (line.village.parent / "highwater.mark").read_bytes()
    answer = ok("restore", backup, "--data", line.village.parent)
    assert Path(answer["aside"]).exists()
    assert (line.village.parent / "highwater.mark").read_bytes() == mark
    with running(line.village):
        eventually(lambda: line.state() == "live")
        assert line.sizes(line.village)[ORIGIN] >= size
        assert "要擦除的人" not in line.names()
        line.sound()
    Path(answer["aside"]).unlink()
    for ending in ("-wal", "-shm"):
        Path(answer["aside"] + ending).unlink(missing_ok=True)
    assert "要擦除的人".encode() not in held(line.village)


def test_a_village_without_anything_left_is_rebuilt_from_its_town(line):
    """No backup, no keys: a new epoch, the old feed from the town, the rest from the copies."""
    ok("--config", line.village, "key", "recovery", "--to", line.recovery_key)
    with running(line.village, kill=True):
        for name in ("甲", "乙", "丙"):
            line.write(name)
        line.settled()
        size = line.sizes(line.village)[ORIGIN]
        eventually(lambda: copies(line.town) == size)
    shutil.rmtree(line.village.parent)

    line.village = join(line.town, VILLAGE, line.village.parent)
    second = ORIGIN.replace("/e1", "/e2")
    with running(line.village):
        eventually(lambda: line.state() == "live")
        assert line.sizes(line.town).get(second, 0) == 0, "its new key waits for the county's word"
        ok("--config", line.county, "roster", "confirm", VILLAGE, "--reason", "burnt")
        line.settled(second)
        eventually(lambda: line.sizes(line.village).get(ORIGIN) == size)
        eventually(lambda: line.rebuild()[ORIGIN]["copies_waiting"])
        line.sound()
        assert line.names() == set()
        line.rebuild("--recovery-key", line.recovery_key)
        assert line.names() == {"甲", "乙", "丙"}
        line.write("丁")
        line.settled(second)
        line.sound()
        assert line.rebuild()[ORIGIN]["openings_missing"] == 0
    with running(line.village):  # sealing again, to the same key
        third = line.write("戊")
        assert third
        eventually(lambda: copies(line.town, second) == line.sizes(line.village)[second])
    assert line.names() == {"甲", "乙", "丙", "丁", "戊"}
    assert "戊".encode() not in held(line.town)
