"""A field that is given on request is in no file, frame or log of another node, before or after.

Three processes that capture every frame and log at debug level. A marked phone number is asked for,
approved, looked at and dropped; the mark is searched for everywhere while they run. The one place
where it shows is the terminal of who looked.
"""

from __future__ import annotations

import time
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from huying.hub.demo.canary import Canaries
from huying.hub.demo.command import scan_fleet
from huying.hub.demo.plan import NETWORK, TIMING
from huying.hub.fleet import Fleet, Place
from huying.node.config import load
from huying.wire.v1 import api_pb2, feed_pb2, records_pb2
from tests.integration.commands import ok

COUNTY, TOWN, VILLAGE = "370830000000", "370830108000", "370830108201"
DEPARTMENT = "县交通运输局"
PLACES = (
    Place(COUNTY, "汶上县", None),
    Place(TOWN, "义桥镇", COUNTY),
    Place(VILLAGE, "义桥村", TOWN),
)
LASTS_SECONDS = 12.0  # for what is done meanwhile, on a busy machine
WAIT_SECONDS_MAX = 60.0

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HUYING_LOG__LEVEL", "debug")
        with Fleet(tmp_path_factory.mktemp("net"), NETWORK) as made:
            made.make(PLACES, timing=dict(TIMING), capture=True)
            made.start()
            yield made


def huying(fleet: Fleet, code: str, *arguments: str) -> Any:
    """What a command prints as JSON, at one node."""
    return ok("--config", fleet[code].config_file, *arguments)


def until(found: Callable[[], Any]) -> Any:
    """The first true answer."""
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    while not (answer := found()):
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.2)
    return answer


def test_a_value_that_is_given_for_a_time_is_nowhere_but_on_the_terminal(
    fleet: Fleet, tmp_path: Path
) -> None:
    """Village-only data reaches a department through an approved request, and through nothing."""
    canaries = Canaries()
    event = records_pb2.Event(
        category="道路", grid=f"{VILLAGE}001", status=records_pb2.EVENT_STATUS_REPORTED,
        reported_micros=1, description_full="x", reporter_name="x", reporter_phone="1",
    )  # fmt: skip
    canaries.plant(event, VILLAGE)
    draft = api_pb2.Draft(
        kind=feed_pb2.KIND_PUT, type=feed_pb2.RECORD_TYPE_EVENT, message=event.SerializeToString()
    )
    with fleet[VILLAGE].client() as client:
        record = client.append(api_pb2.AppendRequest(drafts=[draft])).receipts[0].record.hex()
    huying(fleet, COUNTY, "department", "add", DEPARTMENT)
    place = ("event", record, "--home", VILLAGE)
    until(lambda: _try(fleet, COUNTY, "record", "get", *place))
    ends = datetime.fromtimestamp(time.time() + LASTS_SECONDS, UTC).isoformat()
    asked = huying(
        fleet, COUNTY, "disclosure", "request", record, "--field", "phone", "--purpose", "回访",
        "--expires", ends, "--actor", "d07",
    )["request"]  # fmt: skip
    until(lambda: _try(fleet, VILLAGE, "disclosure", "show", asked))
    until(lambda: "\nhuying_provisions_waiting 1.0" in _metrics(fleet, VILLAGE))
    huying(fleet, VILLAGE, "disclosure", "approve", asked, "--actor", "v02")
    until(lambda: huying(fleet, COUNTY, "disclosure", "show", asked)["sealed_here"])
    opened = huying(fleet, COUNTY, "disclosure", "open", asked, "--actor", "d07")
    assert opened["fields"] == {"reporter_phone": event.reporter_phone}
    given = scan_fleet(fleet, canaries)
    assert given.leaks == []
    assert given.permitted > 0, "it is found at home"
    until(lambda: _dropped(huying(fleet, VILLAGE, "disclosure", "show", asked)))
    for code in (COUNTY, TOWN, VILLAGE):
        until(lambda: not huying(fleet, code, "disclosure", "show", asked)["sealed_here"])  # noqa: B023
    assert scan_fleet(fleet, canaries).leaks == []
    ledger = tmp_path / "ledger.csv"
    huying(fleet, COUNTY, "disclosure", "ledger", "-o", str(ledger))
    assert event.reporter_phone not in ledger.read_text("utf-8-sig")


def _metrics(fleet: Fleet, code: str) -> str:
    listen = load(fleet[code].config_file).metrics.listen
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://{listen}/metrics", timeout=10) as response:
        return str(response.read(), "utf-8")


def _try(fleet: Fleet, code: str, *arguments: str) -> Any:
    """The document, or None while the node does not know it."""
    try:
        return huying(fleet, code, *arguments)
    except AssertionError:
        return None


def _dropped(document: Any) -> bool:
    return [one["use"] for one in document["uses"]] == ["shown", "dropped"]
