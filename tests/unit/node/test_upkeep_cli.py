"""Looking after a node by the command line: fsck, the doctor, its configuration, a new node."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

from huying.common.errors import ADVICE, Code
from huying.common.feed.note import VerifierKey
from huying.hub.cli import app
from huying.node.cli import output
from huying.node.cli.main import execute
from tests.support.commands import Run
from tests.support.served_network import ServedNetwork
from tests.support.tiny_network import COUNTY, NETWORK, TOWN, VILLAGE


def test_fsck_finds_a_sound_store_sound_and_a_flipped_byte_by_its_place(
    served: ServedNetwork, huying: Run, event: dict[str, Any]
) -> None:
    """Corruption is found before it is served."""
    sound = huying(VILLAGE, "fsck", "--json")
    assert sound.code == 0, sound.json["problems"]
    assert sound.json["signatures_checked"] > 0
    assert huying(VILLAGE, "fsck").out.decode().count("完好 · sound") == 1
    index = event["index"]
    store = served.network.stores[VILLAGE]
    feed = store.feed(f"{NETWORK}/feed/{VILLAGE}/e1")
    assert feed is not None
    (entry,) = store.entries(feed.feed_id, index, index + 1)
    broken = entry._replace(openings=entry.openings[:-1] + bytes([entry.openings[-1] ^ 1]))
    with store.transaction():
        store.set_entry(feed.feed_id, index, broken)
    try:
        found = huying(VILLAGE, "fsck", "--json")
        assert found.code == ADVICE[Code.CORRUPT].exit_code
        assert any(f"entry {index}" in problem for problem in found.json["problems"])
    finally:
        with store.transaction():
            store.set_entry(feed.feed_id, index, entry)


def test_the_doctor_looks_at_everything_and_changes_nothing(
    served: ServedNetwork,
    huying: Run,
    event: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One command to run first when somebody telephones."""
    served.configs[VILLAGE].mark_file.unlink(missing_ok=True)
    result = huying(VILLAGE, "doctor", "--json")
    checks = {check["name"]: check for check in result.json["checks"]}
    assert set(checks) >= {
        "clock",
        "disk",
        "keys",
        "certificate",
        "store",
        "mark",
        "parent",
        "node",
    }
    assert checks["keys"]["outcome"] == "ok"
    assert checks["store"]["outcome"] == "ok"
    assert checks["parent"]["outcome"] == "warn"  # nothing listens at the port it was given
    # The tiny network keeps its mark in memory: entries without a mark are a restored backup.
    assert checks["mark"]["outcome"] == "fail"
    assert (result.code, result.json["ok"]) == (6, False)
    monkeypatch.setattr(output, "PIPE_COLUMNS", 80)
    text = huying(VILLAGE, "doctor").out.decode()
    assert all(cell_len(line) <= 80 for line in text.splitlines())
    block = text[text.index("故障 FAIL  高水位标记 mark") :].splitlines()
    assert block[1] == "  标记缺失或属于另一台主机"
    assert block[2].startswith("  怎么办:")
    assert "what to do: " in text
    assert all(check["detail_zh"] for check in checks.values())
    assert not served.configs[VILLAGE].mark_file.exists()


def test_the_doctor_finds_a_key_that_others_may_read(served: ServedNetwork, huying: Run) -> None:
    """The one mistake of a restore that nobody notices."""
    key = next(served.configs[TOWN].keys_dir.glob("feed-*.key"))
    key.chmod(0o644)
    try:
        result = huying(TOWN, "doctor", "--json", down=True)
    finally:
        key.chmod(0o600)
    keys = next(check for check in result.json["checks"] if check["name"] == "keys")
    assert keys["outcome"] == "fail"
    assert str(key) in keys["detail"]
    assert keys["advice_zh"]


def test_the_configuration_is_checked_and_shown_without_a_secret(
    served: ServedNetwork, huying: Run
) -> None:
    """It is pasted into tickets."""
    assert huying(VILLAGE, "config", "check", "--json").json["valid"] is True
    shown = huying(VILLAGE, "config", "show", "--json")
    assert shown.json["node"]["code"] == VILLAGE
    assert served.token(VILLAGE).encode() not in shown.out
    assert huying(VILLAGE, "config", "show").code == 0


def test_init_makes_a_node_and_prints_its_keys(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first command of a new county."""
    arguments = ["init", str(tmp_path / "n"), "--network", NETWORK, "--code", COUNTY]
    assert execute(app(), [*arguments, "--name", "汶上县", "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert VerifierKey.parse(made["verifier_key"]).name == f"{NETWORK}/feed/{COUNTY}/e1"
    assert execute(app(), [*arguments, "--name", "汶上县"]) == 2
    assert "never overwritten" in capsys.readouterr().err


def test_a_node_that_never_wrote_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A new node's own feed is not unknown to it: there is nothing in it yet."""
    arguments = ["init", str(tmp_path / "n"), "--network", NETWORK, "--code", COUNTY]
    assert execute(app(), [*arguments, "--name", "汶上县"]) == 0
    file = tmp_path / "n" / "node.toml"
    capsys.readouterr()
    assert execute(app(), ["--config", str(file), "feed", "head"]) == 5
    assert "还没有写过 · nothing written yet" in capsys.readouterr().err
