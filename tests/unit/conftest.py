"""What unit tests of several packages ask for: a served network, and the command line at a node."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from huying.hub.cli import app
from huying.node.cli.main import execute
from tests.support.commands import EVENT_FIELDS, Result, Run
from tests.support.served_network import ServedNetwork, serving
from tests.support.tiny_network import VILLAGE


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedNetwork]:
    """County, town and village, one network for all tests of a module: it costs a second."""
    with serving(tmp_path_factory.mktemp("network")) as network:
        yield network


@pytest.fixture
def huying(
    served: ServedNetwork,
    capsysbinary: pytest.CaptureFixture[bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> Run:
    """Runs a command at a node: `huying(VILLAGE, "status")`; `down=True` as if it did not run."""

    def run(code: str, *arguments: str, down: bool = False) -> Result:
        address = "127.0.0.1:1" if down else served.address(code)
        monkeypatch.setenv("HUYING_API__LISTEN", address)
        capsysbinary.readouterr()
        exit_code = execute(app(), ["--config", str(served.configs[code].file), *arguments])
        out, err = capsysbinary.readouterr()
        return Result(exit_code, out, err.decode())

    return run


@pytest.fixture
def event(huying: Run) -> dict[str, Any]:
    """What the village's command line says of an event that it just wrote."""
    result = huying(VILLAGE, "record", "put", "event", *EVENT_FIELDS, "--json")
    assert result.code == 0, result.err
    document: dict[str, Any] = result.json
    return document
