"""`huying quarantine`, at a node that does not run: listed, shown, judged again, acknowledged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from huying.common.errors import ADVICE, EXIT_OK, Code
from huying.hub.cli import app
from huying.node.cli.main import execute
from huying.node.config import load
from huying.node.store.database import sqlite_url
from huying.node.store.store import SqlStore
from tests.support.enrolled import make_node
from tests.support.tiny_network import COUNTY, TOWN

HOSTILE = "\x1b[31m<script>alert(1)</script>"


@pytest.fixture
def county(tmp_path: Path) -> Path:
    """A root's node.toml, whose entry on the town stands in quarantine though it is well."""
    made = make_node(tmp_path / "county", COUNTY, sync_listen="127.0.0.1:1").config.file
    make_node(tmp_path / "town", TOWN, parent=made, sync_listen="127.0.0.1:2")
    store = SqlStore.open(sqlite_url(load(made, {}).database_file))
    with store.transaction():
        store.quarantine(1, 0, Code.UNKNOWN_TYPE, HOSTILE, 1e9)
        store.write("UPDATE feeds SET quarantined = 1 WHERE feed_id = 1", [()])
    store.close()
    return made


class Huying:
    """Runs commands at one node, for its JSON."""

    def __init__(self, config: Path, capture: pytest.CaptureFixture[str]) -> None:
        self._config = config
        self._capture = capture

    def __call__(self, *arguments: str) -> tuple[int, str]:
        self._capture.readouterr()
        code = execute(app(), ["--config", str(self._config), *arguments])
        return code, self._capture.readouterr().out

    def json(self, *arguments: str) -> Any:
        code, out = self(*arguments, "--json")
        assert code == EXIT_OK
        return json.loads(out)


def test_what_is_in_quarantine_is_listed_and_shown_without_anybodys_data(
    county: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A technician looks at the head; the rest may be a person's, and is asked for by name."""
    huying = Huying(county, capsys)
    (listed,) = huying.json("quarantine", "list")["entries"]
    assert (listed["index"], listed["type"], listed["skipped"]) == (0, "member", None)
    assert listed["faults"][0]["code"] == "UNKNOWN_TYPE"
    shown = huying.json("quarantine", "show", COUNTY, "0")
    head, *rest = shown["slots"]
    assert head["hex"]
    assert rest
    assert all(one["bytes"] and one["hex"] is None for one in rest)
    opened = huying.json("quarantine", "show", COUNTY, "0", "--bytes")
    assert all(len(one["hex"]) == 2 * one["bytes"] for one in opened["slots"])
    assert huying("quarantine", "show", COUNTY, "1")[0] == ADVICE[Code.NOT_FOUND].exit_code


def test_what_a_peer_wrote_into_a_reason_garbles_no_terminal(
    county: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The detail of a refusal may quote the entry."""
    huying = Huying(county, capsys)
    for command in (("list",), ("show", COUNTY, "0")):
        code, out = huying("quarantine", *command)
        assert code == EXIT_OK
        assert "\x1b" not in out


def test_a_skip_is_noted_with_its_reason_and_the_list_is_empty_then(
    county: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The alert ends where a person has looked, and the next person sees who it was."""
    huying = Huying(county, capsys)
    skip = ("quarantine", "skip", COUNTY, "0", "--reason", "县里已知", "--actor", "县-技术-1")
    assert huying.json(*skip)["state"] == "done"
    assert huying.json(*skip)["state"] == "repeated"
    assert huying.json("quarantine", "list")["entries"] == []
    (kept,) = huying.json("quarantine", "list", "--all")["entries"]
    assert (kept["skipped"]["actor"], kept["skipped"]["reason"]) == ("县-技术-1", "县里已知")
    assert huying.json("fsck")["ok"]


def test_a_retry_of_all_that_waits_lets_what_is_well_take_effect(
    county: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """After an upgrade nobody wants to type a thousand numbers."""
    huying = Huying(county, capsys)
    (done,) = huying.json("quarantine", "retry", COUNTY)["entries"]
    assert (done["index"], done["state"], done["faults"]) == (0, "applied", [])
    assert huying.json("quarantine", "list", "--all")["entries"] == []
    assert huying.json("quarantine", "retry", COUNTY)["entries"] == []
    assert huying("quarantine", "retry", COUNTY, "0")[0] == ADVICE[Code.NOT_FOUND].exit_code
    assert huying.json("fsck")["ok"]
