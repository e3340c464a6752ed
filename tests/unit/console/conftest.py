"""Consoles that several modules open: the county's for its administrator, and those of a call."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.console_site import ConsoleUnderTest
from tests.support.served_network import ServedNetwork
from tests.support.tiny_network import COUNTY
from tests.unit.console.call_console import CallConsoles, call_consoles


@pytest.fixture(scope="module")
def shared(served: ServedNetwork) -> Iterator[ConsoleUnderTest]:
    """The county's console, one for all tests of a module."""
    with ConsoleUnderTest(served, COUNTY) as site:
        yield site


@pytest.fixture
def console(shared: ConsoleUnderTest) -> ConsoleUnderTest:
    """The county's console: the administrator is signed in, a day after the test before."""
    shared.clock.seconds += 86_400
    shared.sign_in("admin", login="admin")
    return shared


@pytest.fixture(scope="module")
def consoles(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CallConsoles]:
    """The consoles of the centre, its departments and the town; one network for a module."""
    with call_consoles(tmp_path_factory.mktemp("network")) as found:
        yield found


@pytest.fixture
def call(consoles: CallConsoles) -> str:
    """A call that the county received."""
    return consoles.raise_call()
