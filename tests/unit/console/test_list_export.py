"""A list of some thousand rows as a file keeps nobody else's page waiting.

One process serves everybody: what its loop does for one person, all others wait for.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from huying.node import memory
from huying.node.web.events import event_export_pages
from huying.node.web.table_file import table_format
from huying.wire.v1 import feed_pb2, records_pb2
from tests.support.console_site import ConsoleUnderTest
from tests.support.served_network import ServedNetwork
from tests.support.tiny_network import VILLAGE
from tests.unit.console.ledger_desk import FIRST, append, grids


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsoleUnderTest]:
    with pytest.MonkeyPatch.context() as patch:
        served = ServedNetwork(tmp_path_factory.mktemp("lists"), patch)
        grids(served)
        event = records_pb2.Event(
            grid=FIRST,
            category="噪音",
            status=records_pb2.EVENT_STATUS_REPORTED,
            reported_micros=int(served.network.clock.now() * 1e6),
        )
        append(served, (feed_pb2.RECORD_TYPE_EVENT, event))
        with ConsoleUnderTest(served, VILLAGE) as console:
            yield console
        served.close()


@pytest.mark.parametrize("form", ["xlsx", "csv"])
def test_the_rows_of_a_file_are_made_beside_the_loop(
    site: ConsoleUnderTest, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    """Five thousand rows made on it would be two hundred milliseconds of silence for all."""
    where: dict[str, int] = {}
    make = event_export_pages._cells

    def cells(*given: Any) -> Any:
        where["cells"] = threading.get_ident()
        return make(*given)

    def checked(ask: Any) -> str:
        where["loop"] = threading.get_ident()
        return table_format(ask)

    monkeypatch.setattr(event_export_pages, "_cells", cells)
    monkeypatch.setattr(f"{event_export_pages.__name__}.table_format", checked)
    site.sign_in("village_clerk")
    assert site.get(f"/events/export?format={form}").status_code == 200
    assert where["cells"] != where["loop"]


def test_a_look_for_cycles_passes_over_what_the_start_left() -> None:
    """It stops every thread: among all that was imported it takes a tenth of a second."""
    thresholds = gc.get_threshold()
    try:
        before = gc.get_freeze_count()
        memory.set_start_aside()
        assert gc.get_freeze_count() > before
        assert len(gc.get_objects()) < gc.get_freeze_count()
    finally:
        gc.unfreeze()
        gc.set_threshold(*thresholds)
