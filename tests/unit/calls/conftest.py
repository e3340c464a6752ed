"""The commands of `huying call` at a desk, and calls that tests of them begin with."""

from __future__ import annotations

import pytest

from huying.common.errors import ADVICE, Code
from tests.support.commands import Result, Run
from tests.support.tiny_network import COUNTY, TOWN
from tests.unit.calls.desk_commands import RAISE


@pytest.fixture
def desk(huying: Run) -> Run:
    """Runs `huying call …` at a node: `desk(COUNTY, "admit", call)`. `fails` is a code."""

    def run(code: str, *arguments: str, fails: Code | None = None) -> Result:
        result: Result = huying(code, "call", *arguments)
        assert result.code == (ADVICE[fails].exit_code if fails else 0), result.err
        assert fails is None or f"{fails.name}" in result.err, result.err
        return result

    return run


@pytest.fixture
def call(desk: Run) -> str:
    """A call that the county received."""
    found: str = desk(TOWN, *RAISE).json["call"]
    return found


@pytest.fixture
def dispatched(desk: Run, call: str) -> str:
    """A call that the water department has."""
    desk(COUNTY, "dispatch", call, "--department", "水务局", "--co-handler", "城管局")
    return call
