"""A node that was cut off comes back over a real link that is thin and cut every few seconds.

`make thin-link` runs it in full: 10,000 entries at 64 kbit/s, cut every 5 s. The month itself
passes in the simulator, tests/simulator/test_thin_link.py.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from huying.hub.fleet import Fleet, Place
from huying.node.api.client import Client
from huying.node.config import load
from huying.wire.v1 import api_pb2, feed_pb2, records_pb2
from tests.integration.thin_link import Connection, ThinLink

TOWN, VILLAGE = "370830108000", "370830108201"
COUNTY = "370830000000"
PLACES = (
    Place(COUNTY, "汶上县", None),
    Place(TOWN, "义桥镇", COUNTY),
    Place(VILLAGE, "义桥村", TOWN),
)
BATCH = 100
SEEN_SECONDS = 0.6  # until a status shows what was stored


@dataclass(frozen=True, slots=True)
class Trial:
    """How much comes over what."""

    entries: int
    bits_per_second: float
    cut_seconds: float
    long_enough_seconds: float  # for a handshake, the greetings and one segment
    retry_seconds: tuple[float, float]  # between two dials, at least and at most
    seconds_max: float


FULL = Trial(10_000, 64_000, 5.0, 4.5, (0.5, 60.0), 2 * 3600.0)  # the waits of production
SCALED = Trial(600, 256_000, 2.0, 1.5, (0.1, 1.0), 60.0)
TRIAL = FULL if os.environ.get("HUYING_THIN_LINK") == "full" else SCALED


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    with Fleet(tmp_path / "nodes", "thin.example") as made:
        shortest, longest = TRIAL.retry_seconds
        made.make(PLACES, timing={"retry_seconds_min": shortest, "retry_seconds_max": longest})
        yield made


@pytest.fixture
def link(fleet: Fleet) -> Iterator[ThinLink]:
    """The village's way to its town, down until somebody mends it."""
    file = fleet[VILLAGE].config_file
    parent = load(file).parent
    assert parent is not None
    assert parent.address is not None
    relay = ThinLink(parent.address, TRIAL.bits_per_second, TRIAL.cut_seconds)
    file.write_text(file.read_text().replace(parent.address, relay.address))
    yield relay
    relay.close()


def write_events(client: Client, count: int) -> None:
    for first in range(0, count, BATCH):
        drafts = [
            api_pb2.Draft(
                kind=feed_pb2.KIND_PUT,
                type=feed_pb2.RECORD_TYPE_EVENT,
                message=records_pb2.Event(
                    category="噪声",
                    descriptor=f"event {number}",
                    grid=f"{VILLAGE}001",
                    status=records_pb2.EVENT_STATUS_REPORTED,
                    reported_micros=int(time.time() * 1e6),
                    address=f"address {number}",
                    description_full=f"what happened at {number}",
                    reporter_phone="13800000000",
                ).SerializeToString(),
            )
            for number in range(first, min(first + BATCH, count))
        ]
        client.append(api_pb2.AppendRequest(drafts=drafts))


def size_at(client: Client) -> int:
    """How many entries of the village's feed a node durably holds."""
    return sum(feed.size for feed in client.status().feeds if f"/{VILLAGE}/" in feed.origin)


def size_by(samples: list[tuple[float, int]], when: float) -> int:
    return max((size for at, size in samples if at <= when), default=0)


@pytest.mark.timeout(int(TRIAL.seconds_max) + 120)
def test_a_node_catches_up_over_a_thin_link_that_is_cut_and_never_goes_back(
    fleet: Fleet, link: ThinLink
) -> None:
    """P10, over real processes, TLS and sockets: each connection leaves something behind."""
    fleet.start()
    samples: list[tuple[float, int]] = []
    with fleet[VILLAGE].client() as village, fleet[TOWN].client() as town:
        write_events(village, TRIAL.entries)
        while (whole := size_at(village)) < TRIAL.entries:
            time.sleep(0.05)
        assert size_at(town) == 0
        link.is_up = True
        deadline = time.monotonic() + TRIAL.seconds_max
        while not samples or samples[-1][1] < whole:
            assert time.monotonic() < deadline, f"stuck at {samples[-1:]} of {whole}"
            size = size_at(town)
            assert not samples or size >= samples[-1][1], "the town went back"
            samples.append((time.monotonic(), size))
            time.sleep(0.05)
        failures = [feed for feed in town.status().feeds if feed.state in ("replayed", "tail_cut")]
        assert not failures
    done = samples[-1][0]
    ended = [one for one in link.connections if 0 < one.closed < done]
    assert len(ended) >= 3, "the link was not cut often enough to prove anything"
    idle = [
        one for one in ended if lasted(one) > TRIAL.long_enough_seconds and not gain(samples, one)
    ]
    assert not idle, f"{len(idle)} of {len(ended)} connections brought nothing"


def lasted(one: Connection) -> float:
    return one.closed - one.opened


def gain(samples: list[tuple[float, int]], one: Connection) -> int:
    """Entries that became durable at the town while the connection stood, or just after."""
    return size_by(samples, one.closed + SEEN_SECONDS) - size_by(samples, one.opened + SEEN_SECONDS)
