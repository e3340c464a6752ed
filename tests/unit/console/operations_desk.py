"""A town on whose node four entries of the village stand in quarantine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from huying.wire.v1 import feed_pb2
from tests.support.console_site import ConsoleUnderTest
from tests.support.older_program import an_older_program
from tests.support.served_network import ServedNetwork, serving
from tests.support.tiny_network import TOWN, VILLAGE, event, put

__all__ = ["EVIL", "HERE", "indexes", "quarantined_town", "trail"]

EVIL = "<script>alert(1)</script>"
HERE = f"/operations/quarantine/{VILLAGE}/e1"


@contextmanager
def quarantined_town(folder: Path) -> Iterator[ServedNetwork]:
    """The network; the town's program is older than the four events that the village wrote."""
    with serving(folder) as network:
        tiny = network.network

        async def write() -> None:
            with an_older_program(lambda one: getattr(one, "category", "") == "道路", EVIL):
                drafts = [put(feed_pb2.RECORD_TYPE_EVENT, event(number)) for number in range(4)]
                tiny.append(VILLAGE, *drafts)
            for _ in range(5):
                tiny.clock.seconds += 61
                tiny.run()
                network.remember(TOWN)

        network.thread.run(write())
        yield network


def indexes(served: ServedNetwork, waiting: bool | None = None) -> list[int]:
    """What is in quarantine at the town."""
    found = served.readers[TOWN].list_quarantined(waiting=waiting)
    return [one.index for one in found.rows]


def trail(console: ConsoleUnderTest) -> list[tuple[str, str, str, str]]:
    rows = console.site.audit.page(count=50)
    return [(row.action, row.object_, row.outcome, row.detail) for row in rows]
