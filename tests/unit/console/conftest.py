"""Consoles that several modules open: for an administrator, for nobody, for a call, for a town."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from huying.node.web.store import ConsoleStore
from tests.support.console_site import ConsoleUnderTest
from tests.support.served_network import ServedNetwork
from tests.support.tiny_network import COUNTY, TOWN, VILLAGE
from tests.unit.console.call_console import HELPER, LEAD, SECOND, CallConsoles, call_consoles
from tests.unit.console.ledger_desk import grids
from tests.unit.console.queue_desk import DAY, QueueDesk, dispatch, queue_desk
from tests.unit.console.queue_pages import HOSTILE, MONDAY
from tests.unit.console.town_desk import Town, open_town


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ConsoleStore]:
    """A console's own store, by itself."""
    opened = ConsoleStore.open(tmp_path / "console")
    yield opened
    opened.close()


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
def careful(served: ServedNetwork) -> Iterator[ConsoleUnderTest]:
    """The county's console where administrators need a second factor, one for a module."""
    with ConsoleUnderTest(served, COUNTY, second_factor="administrators") as site:
        yield site


@pytest.fixture
def door(careful: ConsoleUnderTest) -> ConsoleUnderTest:
    """Nobody is signed in; a day has passed, so that no failure of another test is remembered."""
    careful.clock.seconds += 86_400
    careful.sign_out()
    return careful


@pytest.fixture(scope="module")
def consoles(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CallConsoles]:
    """The consoles of the centre, its departments and the town; one network for a module."""
    with call_consoles(tmp_path_factory.mktemp("network")) as found:
        yield found


@pytest.fixture
def call(consoles: CallConsoles) -> str:
    """A call that the county received."""
    return consoles.raise_call()


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[QueueDesk]:
    """The answer desk on a Monday morning; one network for a module."""
    with queue_desk(tmp_path_factory.mktemp("network")) as found:
        found.served.network.clock.seconds = MONDAY
        yield found


@pytest.fixture(scope="module")
def calls(desk: QueueDesk) -> dict[str, str]:
    """One call for each clock; the titles are the keys."""
    handled = {"accept": {"department": LEAD}}
    made = {
        "late": desk.raise_call(
            "late", dispatch(LEAD, urgency=3), handled, description="the oldest of all"
        ),
    }
    desk.pass_time(3 * DAY)
    made |= {
        "soon": desk.raise_call("soon", dispatch(LEAD, urgency=3), handled, category="供水"),
        "later": desk.raise_call("later", dispatch(LEAD, HELPER), handled),
        "paused": desk.raise_call(
            "paused",
            *(dispatch(LEAD), handled),
            {"supplement_request": {"department": LEAD, "text": "在哪里"}},
        ),
        "answered": desk.raise_call(
            "answered",
            *(dispatch(LEAD), handled, {"answer": {"department": LEAD, "text": "修好"}}),
        ),
        "extension": desk.raise_call(
            "extension",
            *(dispatch(SECOND), {"accept": {"department": SECOND}}),
            {"extension_request": {"department": SECOND, "reason": "等配件"}},
        ),
        "admitted": desk.raise_call("admitted", {"admit": {}}, village=""),
        "received": desk.raise_call(HOSTILE, description="井盖丢失 xyzzy"),
    }
    desk.step(made["soon"], supervise={"supervision_level": 2, "reason": "挂牌"})
    return made


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """County, town and village, each with its console; one network for a module."""
    with open_town(tmp_path_factory.mktemp("town")) as opened:
        yield opened


@pytest.fixture(scope="module")
def town_site(served: ServedNetwork) -> Iterator[ConsoleUnderTest]:
    """The town's console, one for all tests of a module."""
    with ConsoleUnderTest(served, TOWN) as site:
        yield site


@pytest.fixture
def technician(town_site: ConsoleUnderTest) -> ConsoleUnderTest:
    """The town's console, a technician signed in."""
    town_site.sign_in("technician")
    return town_site


@pytest.fixture(scope="module")
def network(served: ServedNetwork) -> ServedNetwork:
    """The served network, whose village has grids for its ledger."""
    grids(served)
    return served


@pytest.fixture
def site(network: ServedNetwork) -> Iterator[ConsoleUnderTest]:
    """The village's console, its clerk signed in."""
    with ConsoleUnderTest(network, VILLAGE) as console:
        console.sign_in("village_clerk")
        yield console
