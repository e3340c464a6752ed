"""`huying feed compare`, at a node that does not run: what is printed, kept, and ended with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from huying.common.errors import ADVICE, EXIT_OK, Code
from huying.common.feed.checkpoint import Checkpoint, sign_checkpoint
from huying.hub.cli import app
from huying.node import keys
from huying.node.cli.main import execute
from huying.node.config import load
from tests.support.enrolled import make_node
from tests.support.tiny_network import COUNTY, NETWORK, TOWN


@pytest.fixture
def county(tmp_path: Path) -> Path:
    """A root's node.toml; its feed holds what it said of the town."""
    made = make_node(tmp_path / "county", COUNTY, sync_listen="127.0.0.1:1").config.file
    make_node(tmp_path / "town", TOWN, parent=made, sync_listen="127.0.0.1:2")
    return made


class Huying:
    """Runs commands at one node."""

    def __init__(self, config: Path, capture: pytest.CaptureFixture[bytes]) -> None:
        self._config = config
        self._capture = capture

    def __call__(self, *arguments: str) -> tuple[int, bytes, str]:
        self._capture.readouterr()
        code = execute(app(), ["--config", str(self._config), *arguments])
        out, err = self._capture.readouterr()
        return code, out, err.decode()


def test_evidence_of_a_feed_that_is_not_here_is_not_found(
    county: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    """A mistyped code must not read as the word that nothing is forked."""
    huying = Huying(county, capsysbinary)
    assert huying("feed", "evidence", "nonsense")[0] == ADVICE[Code.NOT_FOUND].exit_code
    assert huying("feed", "evidence", COUNTY)[0] == EXIT_OK
    assert huying("feed", "evidence")[0] == EXIT_OK


def test_a_note_of_the_same_history_agrees(
    county: Path, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    """The file is what `feed head` prints, byte for byte."""
    huying = Huying(county, capsysbinary)
    _, note, _ = huying("feed", "head")
    file = tmp_path / "head.note"
    file.write_bytes(note)
    code, out, err = huying("feed", "compare", str(file), "--json")
    assert code == EXIT_OK, err
    found = json.loads(out)
    assert found["verdict"] == "agrees"
    assert found["size"] == found["held"] > 0
    assert huying("feed", "compare", str(file))[0] == EXIT_OK


def test_a_note_of_another_history_ends_with_both_notes_and_freezes_the_feed(
    county: Path, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    """The operator has the evidence in hand, and the node keeps it."""
    huying = Huying(county, capsysbinary)
    config = load(county, {})
    signer = keys.load_identity(config.keys_dir, NETWORK, COUNTY).feed_signer
    other = sign_checkpoint(signer, Checkpoint(signer.name, 1, b"\x07" * 32))
    file = tmp_path / "other.note"
    file.write_bytes(other)
    code, out, err = huying("feed", "compare", str(file), "--json")
    assert code == ADVICE[Code.FORK].exit_code
    assert "FORK" in err
    found = json.loads(out)
    assert found["verdict"] == "fork"
    assert other.decode() in found["evidence"]
    feeds = json.loads(huying("feed", "list", "--json")[1])["feeds"]
    assert [feed["frozen"] for feed in feeds if feed["code"] == COUNTY] == [True]


def test_what_is_no_note_is_refused_and_changes_nothing(
    county: Path, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    """A wrong file is a usual slip."""
    huying = Huying(county, capsysbinary)
    file = tmp_path / "photo.jpg"
    file.write_bytes(b"\xff\xd8" * 100)
    assert huying("feed", "compare", str(file))[0] == ADVICE[Code.BAD_NOTE].exit_code
    file.write_bytes(bytes(70_000))
    assert huying("feed", "compare", str(file))[0] == ADVICE[Code.INVALID_ARGUMENT].exit_code
    assert huying("feed", "compare", str(tmp_path / "none"))[0] != EXIT_OK
    feeds = json.loads(huying("feed", "list", "--json")[1])["feeds"]
    assert not any(feed["frozen"] for feed in feeds)
