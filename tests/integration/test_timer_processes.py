"""Timers over real processes: two that look at once, one that is killed, a node that was away."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import multiprocessing
import os
import threading
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from huying.common.calls import fold
from huying.common.calls.call_state import CallState, ClockKind, ClockStatus
from huying.common.effects import AppendReceipt, DraftEntry
from huying.hub.cli import additions
from huying.hub.outage import HEARTBEAT_FILE, OUTAGE_FILE
from huying.hub.timers import Firing
from huying.node.app import serve
from huying.node.config import Config
from huying.node.services import Node
from huying.node.store.database import sqlite_url
from huying.node.store.reader import FileReader
from huying.wire.v1 import calls_pb2
from tests.support.served_network import ServedNetwork
from tests.support.tiny_network import COUNTY, TOWN, raise_call

CALLS = 5
DAY = 86400.0
WAIT_SECONDS = 30.0
CONFIRM_SECONDS = 0.3  # nobody is there to say what it holds


class FixedClock:
    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def now(self) -> float:
        return self._seconds

    def monotonic(self) -> float:
        return self._seconds


def look_and_write(database: str, seconds: float, pipe: Connection, killed: str) -> None:
    """The other process: reads the county's database, and asks the county by the pipe to write.

    `killed`: "" for never, else before or after it asks.
    """
    reader = FileReader(sqlite_url(Path(database)))

    async def append(drafts: Sequence[DraftEntry]) -> Sequence[AppendReceipt]:
        if killed == "before":
            os._exit(9)
        pipe.send([(one.message.SerializeToString(), one.request_id) for one in drafts])
        if killed == "after":
            os._exit(9)
        return [AppendReceipt("", 0, b"", repeated) for repeated in pipe.recv()]

    firing = Firing(COUNTY, reader, append, FixedClock(seconds))
    pipe.send(asyncio.run(firing.fire_due()))
    reader.close()


class Processes:
    """Runs such processes against the county's engine, which is here."""

    def __init__(self, served: ServedNetwork) -> None:
        self._served = served
        self._context = multiprocessing.get_context("spawn")

    def run(self, *killed: str) -> list[int | None]:
        """One for each word of `killed`; how many each says it wrote, None where it was killed.

        Nothing is written before every one of them has asked, or has died.
        """
        asked = threading.Barrier(len(killed), timeout=WAIT_SECONDS)
        answers: list[int | None] = [None] * len(killed)
        threads = [
            threading.Thread(target=self._run_one, args=(place, word, asked, answers))
            for place, word in enumerate(killed)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(WAIT_SECONDS)
        return answers

    def _run_one(
        self, place: int, killed: str, asked: threading.Barrier, answers: list[int | None]
    ) -> None:
        here, there = self._context.Pipe()
        database = str(self._served.configs[COUNTY].database_file)
        now = self._served.network.clock.seconds
        process = self._context.Process(target=look_and_write, args=(database, now, there, killed))
        process.start()
        there.close()
        first = True
        with contextlib.suppress(EOFError, BrokenPipeError):
            while not isinstance(said := here.recv(), int):
                if first:
                    asked.wait()
                first = False
                here.send([receipt.repeated for receipt in self._write(said)])
            answers[place] = said
        if first:
            asked.wait()
        process.join(WAIT_SECONDS)

    def _write(self, said: list[tuple[bytes, bytes]]) -> Sequence[AppendReceipt]:
        drafts = []
        for body, request_id in said:
            step = calls_pb2.CallStep.FromString(body)
            drafts.append(_draft(step, request_id))
        return self._served.thread.run(self._served.runtimes[COUNTY].append(drafts))


def _draft(step: calls_pb2.CallStep, request_id: bytes) -> DraftEntry:
    from huying.wire.v1 import feed_pb2

    kind, record_type = feed_pb2.KIND_STEP, feed_pb2.RECORD_TYPE_CALL_STEP
    return DraftEntry(kind=kind, type=record_type, message=step, request_id=request_id)


@pytest.fixture
def served(tmp_path, monkeypatch) -> Iterator[ServedNetwork]:
    made = ServedNetwork(tmp_path, monkeypatch)
    yield made
    made.close()


def received(served: ServedNetwork) -> list[bytes]:
    async def write() -> list[bytes]:
        return [raise_call(served.network) for _ in range(CALLS)]

    return served.thread.run(write())


def states(config: Config, calls: Sequence[bytes]) -> list[CallState]:
    reader = FileReader(sqlite_url(config.database_file))
    try:
        return [fold(reader.sequenced_steps(COUNTY, TOWN, call)) for call in calls]
    finally:
        reader.close()


def timeouts(config: Config, calls: Sequence[bytes]) -> list[int]:
    """How many Timeout steps each call has."""
    reader = FileReader(sqlite_url(config.database_file))
    try:
        return [
            sum(one.call_step.HasField("timeout") for one in steps)
            for steps in (reader.sequenced_steps(COUNTY, TOWN, call) for call in calls)
        ]
    finally:
        reader.close()


@pytest.mark.timeout(120)
def test_two_processes_that_look_at_once_write_each_timeout_once(served):
    """Both found every clock due before either wrote; the county takes each request once."""
    calls = received(served)
    served.network.clock.seconds += DAY
    answers = Processes(served).run("", "")
    assert sorted(each for each in answers if each is not None) == [0, CALLS]
    assert timeouts(served.configs[COUNTY], calls) == [1] * CALLS


@pytest.mark.timeout(120)
def test_a_process_killed_between_finding_and_writing_leaves_it_to_the_next(served):
    """Killed before it asked, killed after, and started again: once each, all the same."""
    calls = received(served)
    served.network.clock.seconds += DAY
    processes = Processes(served)
    assert processes.run("before") == [None]
    assert timeouts(served.configs[COUNTY], calls) == [0] * CALLS
    assert (
        processes.run("after", "") == [None, 0]
        or timeouts(served.configs[COUNTY], calls) == [1] * CALLS
    )
    assert processes.run("") == [0]
    assert timeouts(served.configs[COUNTY], calls) == [1] * CALLS


# --- a whole node --------------------------------------------------------------------------------


class Closed(NamedTuple):
    """A county's folder with calls that wait to be admitted, and no process on it."""

    config: Config
    calls: list[bytes]
    seconds: float  # when it was last heard of


@pytest.fixture
def closed(tmp_path, monkeypatch) -> Closed:
    made = ServedNetwork(tmp_path, monkeypatch)
    try:
        made.network.clock.seconds = time.time() - 40 * DAY
        config = made.configs[COUNTY]
        timing = dataclasses.replace(config.timing, confirm_seconds=CONFIRM_SECONDS)
        config = dataclasses.replace(config, timing=timing)
        return Closed(config, received(made), made.network.clock.seconds)
    finally:
        made.close()


@contextlib.asynccontextmanager
async def county(config: Config) -> AsyncIterator[Node]:
    async with serve(config, additions=additions(), components=()) as node:
        yield node


async def until(node: Node, config: Config, calls: Sequence[bytes], done: Any) -> list[CallState]:
    """The states, once all of them are `done`."""
    async with asyncio.timeout(WAIT_SECONDS):
        seen = -1
        while True:
            found = await asyncio.to_thread(states, config, calls)
            if all(done(state) for state in found):
                return found
            seen = await node.runtime.wait_change(seen)


def admit_has(*statuses: ClockStatus) -> Any:
    def done(state: CallState) -> bool:
        clock = state.clock(ClockKind.ADMIT)
        return clock is not None and clock.status in statuses

    return done


def away_since(config: Config, seconds: float) -> Path:
    beat = config.data_dir / HEARTBEAT_FILE
    beat.touch(0o600)
    os.utime(beat, (seconds, seconds))
    return beat


@pytest.mark.timeout(120)
def test_what_ran_out_while_the_node_was_off_is_written_at_its_start(closed):
    """And once, however often it starts; no heartbeat is here, so nothing says it was away."""
    config, calls, _ = closed

    async def start_twice() -> None:
        for _ in range(2):
            async with county(config) as node:
                await until(node, config, calls, admit_has(ClockStatus.EXPIRED))

    asyncio.run(start_twice())
    assert timeouts(config, calls) == [1] * CALLS
    beat = config.data_dir / HEARTBEAT_FILE
    assert beat.stat().st_mode & 0o777 == 0o600
    assert time.time() - beat.stat().st_mtime < 2 * WAIT_SECONDS


@pytest.mark.timeout(120)
def test_after_an_outage_windows_grow_before_any_of_them_runs_out(closed):
    """The county was gone for weeks; the centre has its four hours all the same, and once."""
    config, calls, last = closed
    before = states(config, calls)
    away_since(config, last + 60)

    async def start_twice() -> list[CallState]:
        async with county(config) as node:
            found = await until(node, config, calls, lambda state: state.step_count > 1)
        async with county(config) as node:
            await until(node, config, calls, lambda state: state.step_count > 1)
        return found

    found = asyncio.run(start_twice())
    assert timeouts(config, calls) == [0] * CALLS
    for old, new in zip(before, found, strict=True):
        was, now = old.clock(ClockKind.ADMIT), new.clock(ClockKind.ADMIT)
        assert was is not None
        assert now is not None
        assert now.status is ClockStatus.RUNNING
        assert now.due_micros > time.time() * 1e6 - WAIT_SECONDS * 1e6
    assert [state.step_count for state in states(config, calls)] == [2] * CALLS
    assert not (config.data_dir / OUTAGE_FILE).exists()


@pytest.mark.timeout(120)
def test_an_outage_that_a_crash_interrupted_is_finished_as_it_was_begun(closed):
    """The same stretch under the same ids: who was extended before is not extended again."""
    config, calls, last = closed
    since, until_micros = int((last + 60) * 1e6), int((time.time() - 600) * 1e6)
    away_since(config, time.time() - 600)
    (config.data_dir / OUTAGE_FILE).write_text(f"huying/outage/v1 {since} {until_micros}\n")

    async def start() -> None:
        async with county(config) as node:
            await until(node, config, calls, lambda state: state.step_count > 1)
        (config.data_dir / OUTAGE_FILE).write_text(f"huying/outage/v1 {since} {until_micros}\n")
        away_since(config, time.time() - 600)
        async with county(config) as node:
            async with asyncio.timeout(WAIT_SECONDS):
                while (config.data_dir / OUTAGE_FILE).exists():  # noqa: ASYNC110  # a file
                    await asyncio.sleep(0.05)
            assert node.runtime.status().state == "live"

    asyncio.run(start())
    assert [state.step_count for state in states(config, calls)] == [2] * CALLS
