"""What every test may ask for: tools that must be there in CI, and the simulator's seeds."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable

import hypothesis
import pytest

IN_CI = bool(os.environ.get("CI"))

# A failing example is printed as a line to paste above the test; in CI the examples are the same
# every time, so a red run can be repeated.
hypothesis.settings.register_profile("local", deadline=None, print_blob=True)
hypothesis.settings.register_profile(
    "ci", deadline=None, print_blob=True, derandomize=True, database=None
)
hypothesis.settings.load_profile("ci" if IN_CI else "local")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let `make sim` run more seeds, and a failed one be run again alone."""
    parser.addoption("--seeds", type=int, default=200, help="how many simulator seeds to run")
    parser.addoption("--first-seed", type=int, default=0, help="the first simulator seed")


# A test with one of these arguments runs once for each seed asked for, or for a part of them: a run
# in which keys change or machines are restored takes several times as long as another.
SEED_SHARES = {"seed": 1, "rotation_seed": 3, "loss_seed": 6}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a simulator's test once for each of its seeds."""
    first = metafunc.config.getoption("first_seed")
    for name, share in SEED_SHARES.items():
        if name in metafunc.fixturenames:
            count = max(1, metafunc.config.getoption("seeds") // share)
            metafunc.parametrize(name, range(first, first + count))


@pytest.fixture(scope="session")
def require() -> Callable[[str], str]:
    """`require("promtool")` gives the path of a tool; where it lacks, CI fails and others skip."""

    def find(tool: str) -> str:
        path = shutil.which(tool)
        if path is not None:
            return path
        message = f"{tool} is not installed: make deps"
        if IN_CI:
            pytest.fail(message)
        pytest.skip(message)

    return find
