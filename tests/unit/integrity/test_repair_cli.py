"""The command that repairs a node: what it says, what it exits with, and what it looks at.

It is run by somebody whose node does not start, so each word has to say what to do next, and a node
that runs must not be touched.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
from pathlib import Path
from typing import Any

import pytest

from huying.common.effects import Append
from huying.common.engine import Engine
from huying.common.errors import ADVICE, Code
from huying.hub.cli import app
from huying.node import config as node_config
from huying.node import keys
from huying.node.cli.main import execute
from huying.node.config import Config
from huying.node.highwater import FileMark, host_id
from huying.node.store.database import sqlite_url
from huying.node.store.store import SqlStore
from huying.wire.v1 import feed_pb2, records_pb2
from tests.support.enrolled import make_node
from tests.support.tiny_network import COUNTY, NETWORK, SeededEntropy, StoppedClock, put
from tests.unit.integrity.repair_cases import content, tamper


@pytest.fixture
def node(tmp_path: Path) -> Config:
    """A county's folder, as `huying init` makes it, with two blocks of divisions written."""
    made = make_node(tmp_path / COUNTY, COUNTY, network=NETWORK)
    config = node_config.load(made.config.file, {})
    own = keys.load_identity(config.keys_dir, NETWORK, COUNTY)
    mark = FileMark(config.mark_file, host_id())
    store = SqlStore.open(sqlite_url(config.database_file))
    engine = Engine(
        identity=own,
        parent=None,
        pins=[],
        store=store,
        clock=StoppedClock(),
        entropy=SeededEntropy(1),
        mark=mark,
    )
    engine.start()
    divisions = [put(feed_pb2.RECORD_TYPE_DIVISION, division()) for _ in range(300)]
    engine.step([Append(object(), tuple(divisions))])
    store.close()
    return config


def division() -> records_pb2.Division:
    return records_pb2.Division(code=COUNTY, name="汶上县")


def huying(config: Config, *arguments: str) -> tuple[int, str]:
    """Run the command as its operator does."""
    with (
        contextlib.redirect_stdout(io.TextIOWrapper(io.BytesIO(), encoding="utf-8")) as out,
        contextlib.redirect_stderr(io.StringIO()) as errors,
    ):
        code = execute(app(), ["--config", str(config.file), *arguments])
        out.flush()
        raw: Any = out.buffer
        return code, raw.getvalue().decode() + errors.getvalue()


def test_the_command_checks_repairs_and_says_so_in_both_languages(node: Config) -> None:
    """What an operator types, and what scripts read."""
    code, text = huying(node, "fsck", "--json")
    sound = json.loads(text)
    assert (code, sound["ok"], sound["problems"], sound["feeds"]) == (0, True, [], 1)
    assert sound["entries_checked"] == 300
    tamper(node.database_file, "DELETE FROM divisions", "UPDATE feeds SET frontier = zeroblob(96)")
    before = content(node.database_file)
    code, text = huying(node, "fsck", "--json")
    assert code == ADVICE[Code.CORRUPT].exit_code == 4
    assert json.loads(text)["problem_count"] > 1
    assert "fsck --repair" in huying(node, "fsck")[1]
    assert content(node.database_file) == before
    code, text = huying(node, "fsck", "--repair", "--json")
    told = json.loads(text)
    assert (code, told["ok"], told["repair"]["left"]) == (0, True, [])
    assert all(each["zh"] and each["en"] for each in told["repair"]["done"])
    code, text = huying(node, "fsck", "--repair")
    assert code == 0
    assert "已修复 · mended" in text


def test_a_running_node_is_not_repaired(node: Config) -> None:
    """Two writers would be worse than the damage."""
    store = SqlStore.open(sqlite_url(node.database_file))
    code, text = huying(node, "fsck", "--repair")
    store.close()
    assert code == ADVICE[Code.NODE_RUNNING].exit_code
    assert Code.NODE_RUNNING.name in text


@pytest.mark.parametrize("page", [0, 3, -1])
def test_a_database_with_a_broken_page_is_rebuilt_by_the_command(node: Config, page: int) -> None:
    """Also the first page, without which SQLite calls the file no database."""
    data = bytearray(node.database_file.read_bytes())
    start = page * 4096 if page >= 0 else len(data) - 4096
    data[start : start + 4096] = os.urandom(4096)
    node.database_file.write_bytes(data)
    assert huying(node, "fsck")[0] == ADVICE[Code.CORRUPT].exit_code
    code, text = huying(node, "fsck", "--repair", "--json")
    assert text.startswith("{"), text
    told = json.loads(text)
    assert any(each["where"] == "database" for each in told["repair"]["done"])
    (aside,) = node.data_dir.glob("node.db.damaged-*")
    assert aside.stat().st_mode & 0o077 == 0
    assert code == 0, told["problems"]
    assert not told["problems"]


def test_each_file_beside_the_database_is_checked(node: Config) -> None:
    """A mark of another host, a key that others may read, a certificate with a bit changed."""
    mark = node.mark_file.read_bytes()
    for change, named in (
        (lambda: node.mark_file.write_bytes(mark.replace(b" 300 ", b" 900 ")), "mark"),
        (node.mark_file.unlink, "mark"),
        (lambda: FileMark(node.mark_file, bytes(32)).write("x", 1, bytes(32)), "mark"),
        (lambda: (node.keys_dir / "witness.key").chmod(0o640), "keys"),
        (lambda: (node.keys_dir / "hpke.key").write_text("AAAA\n"), "keys"),
    ):
        change()
        _, text = huying(node, "fsck", "--json")
        problems = json.loads(text)["problems"]
        assert any(problem.startswith(named) for problem in problems), named
        node.mark_file.write_bytes(mark)
        (node.keys_dir / "witness.key").chmod(0o600)
