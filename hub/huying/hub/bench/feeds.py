"""How fast entries travel, between real node processes over loopback and mTLS.

Catch-up: a village that wrote while cut off meets its town (one hop), then the same feed goes on
to the county through the town (two hops). Every hop verifies each signature and hash, stores
durably (SQLite, WAL, synchronous=FULL) and projects; the clock stops when the last node's store
holds the last entry, and starts when the link is up.

Steady state: events offered one at a time at a fixed rate, each acknowledged after its own durable
commit (which it may share with others that wait); the delay runs from the village's commit to the
entry applied at the county.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import platform
import shutil
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import grpc.aio

from huying.common.status import DelayHistogram
from huying.hub.fleet import Fleet, Member, Place, cpu_seconds
from huying.node.api.auth import bearer
from huying.node.config import load
from huying.wire.v1 import api_pb2, api_pb2_grpc, feed_pb2, records_pb2

__all__ = ["measure", "working_folder"]

COUNTY, TOWN, VILLAGE = "370830000000", "370830108000", "370830108201"
NETWORK = "bench.example"
PLACES = (
    Place(COUNTY, "汶上县", None),
    Place(TOWN, "义桥镇", COUNTY),
    Place(VILLAGE, "义桥村", TOWN),
)
DRAFTS_PER_CALL = 500
IN_FLIGHT_MAX = 128  # requests at one time; what waits for room counts as waiting
POLL_SECONDS = 0.02
WARM_UP_ENTRIES = 500
CATCH_UP_SECONDS_MAX = 180.0


@dataclass(frozen=True, slots=True)
class CatchUp:
    """One catch-up: entries per second, and CPU seconds by division code."""

    seconds: float
    entries_per_second: float
    cpu_seconds: dict[str, float]


def event(number: int) -> records_pb2.Event:
    """An event whose fields come to about 350 bytes; nobody in it exists."""
    return records_pb2.Event(
        category="Noise - Residential",
        descriptor="Loud Music/Party",
        grid=f"{VILLAGE}{number % 20 + 1:03d}",
        status=records_pb2.EVENT_STATUS_REPORTED,
        reported_micros=1_577_836_751_000_000 + number * 1_000_000,
        description_public="夜间音乐声过大,影响周边居民休息,请予以核实处理。",
        source="bench",
        address=f"示例路{number % 900 + 1}号院",
        description_full="夜间音乐声过大,影响周边居民休息,反映人希望当晚处理,并回电告知结果。",
        reporter_name="示例居民",
        reporter_phone="00000000000",
    )


def payload_bytes() -> int:
    """The size of one event's fields."""
    return event(123_456).ByteSize()


def held_size(member: Member, origin: str) -> int:
    """How many entries of a feed a node durably holds, read from its store's file."""
    path = load(member.config_file).database_file
    with (
        contextlib.suppress(sqlite3.OperationalError),
        contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection,
    ):
        row = connection.execute("SELECT size FROM feeds WHERE origin = ?", (origin,)).fetchone()
        return int(row[0]) if row else 0
    return 0


def preload(member: Member, count: int) -> float:
    """Append `count` events at a node; entries per second."""
    started = time.perf_counter()
    with member.client() as client:
        for start in range(0, count, DRAFTS_PER_CALL):
            stop = min(start + DRAFTS_PER_CALL, count)
            client.append(
                api_pb2.AppendRequest(drafts=[_draft(number) for number in range(start, stop)])
            )
    return count / (time.perf_counter() - started)


def _draft(number: int) -> api_pb2.Draft:
    return api_pb2.Draft(
        kind=feed_pb2.KIND_PUT,
        type=feed_pb2.RECORD_TYPE_EVENT,
        message=event(number).SerializeToString(),
    )


def catch_up(fleet: Fleet, hops: list[str], origin: str, count: int) -> CatchUp:
    """Start the upper nodes, then the village; time from the first entry to the last at the top."""
    top = fleet[hops[-1]]
    fleet.start(hops[1:])
    fleet.start(hops[:1])
    before = {code: cpu_seconds(fleet[code]) for code in hops}
    started = time.perf_counter()
    first = fleet[hops[1]]
    while held_size(first, origin) == 0:
        started = time.perf_counter()
        before = {code: cpu_seconds(fleet[code]) for code in hops}
        time.sleep(POLL_SECONDS)
    deadline = time.monotonic() + CATCH_UP_SECONDS_MAX
    while held_size(top, origin) < count:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{held_size(top, origin)} of {count} after the time limit")
        time.sleep(POLL_SECONDS)
    seconds = time.perf_counter() - started
    used = {code: round(cpu_seconds(fleet[code]) - before[code], 2) for code in hops}
    return CatchUp(seconds, count / seconds, used)


@dataclass(frozen=True, slots=True)
class Steady:
    """Delays in seconds: offered to acknowledged at the village, committed to applied above."""

    offered: int
    acknowledge_p50: float
    acknowledge_p99: float
    delay_p50: dict[str, float]
    delay_p99: dict[str, float]
    cpu_seconds: dict[str, float]


async def offer(member: Member, rate: int, seconds: float) -> list[float]:
    """Offer events one at a time at `rate` a second, late or not; each one's answer time."""
    config = load(member.config_file)
    metadata = (bearer(config.token_file.read_text().strip()),)
    took: list[float] = []
    async with grpc.aio.insecure_channel(config.api.listen) as channel:
        stub = api_pb2_grpc.NodeStub(channel)

        room = asyncio.Semaphore(IN_FLIGHT_MAX)

        async def one(number: int, due: float) -> None:
            async with room:
                await stub.Append(api_pb2.AppendRequest(drafts=[_draft(number)]), metadata=metadata)
            took.append(time.perf_counter() - due)

        begin = time.perf_counter()
        tasks = []
        for number in range(int(rate * seconds)):
            due = begin + number / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            tasks.append(asyncio.create_task(one(number, due)))
        await asyncio.gather(*tasks)
    return took


def steady(fleet: Fleet, origin: str, rate: int, seconds: float) -> Steady:
    """The delay of a steady trickle over two hops.

    The nodes are started anew, since they count delays from their start. A delay is read off the
    node's own histogram, whose buckets make it up to 20 % too high.
    """
    fleet.stop()
    fleet.start([COUNTY, TOWN, VILLAGE])
    warm_up(fleet, origin)
    members = [fleet[code] for code in (VILLAGE, TOWN, COUNTY)]
    before = {member.code: cpu_seconds(member) for member in members}
    base = held_size(fleet[COUNTY], origin)
    earlier = {member.code: _delay_counts(member, origin) for member in members[1:]}
    took = sorted(asyncio.run(offer(fleet[VILLAGE], rate, seconds)))
    deadline = time.monotonic() + 30.0
    while held_size(fleet[COUNTY], origin) < base + len(took) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    used = {m.code: round(cpu_seconds(m) - before[m.code], 2) for m in members}
    delays = {m.code: _delays(m, origin, earlier[m.code]) for m in members[1:]}
    return Steady(
        offered=len(took),
        acknowledge_p50=_quantile(took, 0.50),
        acknowledge_p99=_quantile(took, 0.99),
        delay_p50={code: quantiles[0] for code, quantiles in delays.items()},
        delay_p99={code: quantiles[1] for code, quantiles in delays.items()},
        cpu_seconds=used,
    )


def _quantile(ordered: list[float], q: float) -> float:
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))]


def warm_up(fleet: Fleet, origin: str) -> None:
    """Let the links come up and the code be loaded: a few hundred entries go all the way."""
    count = held_size(fleet[VILLAGE], origin) + WARM_UP_ENTRIES
    preload(fleet[VILLAGE], WARM_UP_ENTRIES)
    deadline = time.monotonic() + CATCH_UP_SECONDS_MAX
    while held_size(fleet[COUNTY], origin) < count and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)


def _delay_counts(member: Member, origin: str) -> list[int]:
    """How many delays fell in each bucket since the node started."""
    time.sleep(1.5)  # a node takes its own snapshot once a second
    with member.client() as client:
        for feed in client.status().feeds:
            if feed.origin == origin:
                return list(feed.delay_counts)
    raise LookupError(origin)


def _delays(member: Member, origin: str, earlier: list[int]) -> tuple[float, float]:
    """The p50 and p99 from an entry's commit at its origin to its being applied here, seconds."""
    histogram = DelayHistogram()
    for bucket, count in enumerate(_delay_counts(member, origin)):
        histogram.counts[bucket] = count - (earlier[bucket] if bucket < len(earlier) else 0)
    histogram.count = sum(histogram.counts)
    return histogram.quantile(0.50) or 0.0, histogram.quantile(0.99) or 0.0


def measure(
    folder: Path, arguments: argparse.Namespace, say: Callable[[str], None]
) -> dict[str, object]:
    """The whole benchmark; the figures by name, seconds and entries per second."""
    fleet = Fleet(folder, NETWORK)
    fleet.make(PLACES, timing={"confirm_seconds": 1.0})
    origin = f"{NETWORK}/feed/{VILLAGE}/e1"
    count = arguments.entries
    result: dict[str, object] = {
        "entries": count,
        "payload_bytes": payload_bytes(),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
    }
    with fleet:
        say(f"写入 {count} 条 · writing {count} entries at the village, cut off")
        fleet.start([VILLAGE])
        result["append_entries_per_second"] = round(preload(fleet[VILLAGE], count))
        fleet.stop()
        snapshot = folder / "snapshot"
        for member in fleet:
            shutil.copytree(member.folder, snapshot / member.code)
        for name, hops in (("1hop", [VILLAGE, TOWN]), ("2hop", [VILLAGE, TOWN, COUNTY])):
            rates: list[float] = []
            for _ in range(arguments.runs):
                _restore(fleet, snapshot)
                say(f"追赶 · catch-up {name}")
                caught = catch_up(fleet, hops, origin, count)
                fleet.stop()
                rates.append(caught.entries_per_second)
                result[f"catch_up_{name}_cpu_seconds"] = caught.cpu_seconds
                say(f"  {caught.entries_per_second:,.0f}/s · {caught.cpu_seconds}")
            result[f"catch_up_{name}_entries_per_second"] = round(statistics.median(rates))
        say(f"稳态 · steady {arguments.rate}/s for {arguments.seconds} s")
        trickle = steady(fleet, origin, arguments.rate, arguments.seconds)
    result |= {
        "steady_offered_per_second": arguments.rate,
        "steady_entries": trickle.offered,
        "steady_acknowledge_p50_seconds": round(trickle.acknowledge_p50, 5),
        "steady_acknowledge_p99_seconds": round(trickle.acknowledge_p99, 5),
        "steady_delay_1hop_p50_seconds": round(trickle.delay_p50[TOWN], 5),
        "steady_delay_1hop_p99_seconds": round(trickle.delay_p99[TOWN], 5),
        "steady_delay_p50_seconds": round(trickle.delay_p50[COUNTY], 5),
        "steady_delay_p99_seconds": round(trickle.delay_p99[COUNTY], 5),
        "steady_cpu_seconds": trickle.cpu_seconds,
    }
    return result


def _restore(fleet: Fleet, snapshot: Path) -> None:
    """Put every node back to where it was before any of them met another, high-water mark too."""
    for member in fleet:
        shutil.rmtree(member.folder)
        shutil.copytree(snapshot / member.code, member.folder)


@contextlib.contextmanager
def working_folder(chosen: Path | None) -> Iterator[Path]:
    """The folder that was chosen, emptied, or a temporary one."""
    if chosen is not None:
        shutil.rmtree(chosen, ignore_errors=True)
        chosen.mkdir(parents=True)
        yield chosen
        return
    with tempfile.TemporaryDirectory(prefix="huying-bench-") as name:
        yield Path(name)
