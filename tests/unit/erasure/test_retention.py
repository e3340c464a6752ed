"""What is past its retention goes by night, and nothing that is younger goes with it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from huying.common.late.requests import EraseSpans
from huying.common.late.spans import Span
from huying.common.limits import LATE_SPAN_ENTRIES_MAX
from huying.common.records.evidence_parts import JPEG, Picture, parts_of
from huying.node import logs
from huying.node.retention import DAY_SECONDS, Retention, batches, days_by_type, next_run, overdue
from huying.node.settings import RetentionSection
from huying.node.store.database import sqlite_url
from huying.node.store.reader import FileReader
from huying.wire.v1 import feed_pb2, records_pb2
from tests.support.late_network import EVERYBODY, PHONE, LateNetwork, late_network
from tests.support.tiny_network import VILLAGE, event, identity, put

ORIGIN = identity(VILLAGE).origin
RESIDENT, EVENT = feed_pb2.RECORD_TYPE_RESIDENT, feed_pb2.RECORD_TYPE_EVENT


@pytest.fixture
def network(tmp_path: Path) -> Iterator[LateNetwork]:
    with late_network(tmp_path) as made:
        yield made


def found(network: LateNetwork, days: dict[int, int]) -> list[Span]:
    return overdue(network.stores[VILLAGE], VILLAGE, days, network.clock.now())


def test_what_is_older_than_its_type_is_kept_is_due_and_nothing_else(network: LateNetwork) -> None:
    """Days are counted by type, from the newest version."""
    first, _ = network.write()
    (old_event,) = network.append(VILLAGE, put(EVENT, event(1)))
    network.clock.seconds += 10 * DAY_SECONDS
    network.write()
    assert found(network, {RESIDENT: 9}) == [Span(ORIGIN, first, first + 1, b"")]
    assert found(network, {RESIDENT: 9, EVENT: 9}) == [Span(ORIGIN, 0, old_event.index + 1, b"")]
    assert found(network, {RESIDENT: 11}) == []


def test_a_record_that_is_still_kept_up_keeps_its_old_versions(network: LateNetwork) -> None:
    """The person still lives here; what stood of them years ago belongs to the record."""
    index, record = network.write()
    network.clock.seconds += 10 * DAY_SECONDS
    stored = network.stores[VILLAGE].get_record(RESIDENT, VILLAGE, record)
    assert stored is not None
    network.append(VILLAGE, put(RESIDENT, records_pb2.Resident.FromString(stored.message), record))
    assert found(network, {RESIDENT: 9}) == []
    network.clock.seconds += 10 * DAY_SECONDS
    assert found(network, {RESIDENT: 9}) == [Span(ORIGIN, index, index + 2, b"")]


class EngineRuntime:
    """`Runtime.operate` over an engine of the tiny network."""

    def __init__(self, network: LateNetwork) -> None:
        self._network = network

    async def operate(self, operation: Any) -> Any:
        return self._network.operate(VILLAGE, operation)


def test_a_picture_is_kept_as_long_as_what_it_is_evidence_of(network: LateNetwork) -> None:
    """Neither may a photo outlive its event, nor an event that is kept lose its photo."""
    of = network.append(VILLAGE, put(EVENT, event(1)))[0].record
    (part,) = network.append(VILLAGE, *parts_of(Picture(of, EVENT, "a.jpg", JPEG), b"a photo"))
    network.clock.seconds += 10 * DAY_SECONDS
    both = [Span(ORIGIN, part.index - 1, part.index + 1, b"")]
    assert found(network, {EVENT: 9}) == both
    assert found(network, {feed_pb2.RECORD_TYPE_CALL: 9, RESIDENT: 9}) == []
    network.append(VILLAGE, put(EVENT, event(1), of))
    assert found(network, {EVENT: 9}) == []


def test_the_job_erases_at_every_holder_once(network: LateNetwork, monkeypatch) -> None:
    """By the same statements as an operator's request; and the next night finds nothing."""
    index, _ = network.write()
    network.clock.seconds += 10 * DAY_SECONDS
    section = RetentionSection(resident_days=5)
    node = SimpleNamespace(
        config=SimpleNamespace(
            node=SimpleNamespace(code=VILLAGE),
            retention=section,
            database_file=network.files[VILLAGE],
        ),
        clock=network.clock,
        runtime=EngineRuntime(network),
        reader=FileReader(sqlite_url(network.files[VILLAGE])),
    )
    job = Retention(node)  # type: ignore[arg-type]
    monkeypatch.setattr(logs, "say", lambda *_, **__: None)

    async def two_nights() -> list[int]:
        try:
            return [await job.run_once(), await job.run_once()]
        finally:
            await job.stop()
            node.reader.close()

    assert asyncio.run(two_nights()) == [1, 0]
    network.wait()
    for code in EVERYBODY:
        assert network.slots(code, index) == [0]
        assert network.on_disk(code, PHONE) == []
    network.check()


def test_batches_fit_into_statements() -> None:
    """A first night may erase years: no statement may be refused for its size."""
    spans = [Span(ORIGIN, 0, 3 * LATE_SPAN_ENTRIES_MAX, b"")]
    spans += [Span(ORIGIN, at, at + 1, b"") for at in range(10**6, 10**6 + 2000, 2)]
    made = list(batches(spans))
    assert [span for batch in made for span in batch][-1] == spans[-1]
    total = sum(span.stop - span.start for batch in made for span in batch)
    assert total == 3 * LATE_SPAN_ENTRIES_MAX + 1000
    for batch in made:
        assert sum(span.stop - span.start for span in batch) <= LATE_SPAN_ENTRIES_MAX
        assert len(batch) <= 512


def test_many_records_are_erased_by_few_statements(network: LateNetwork) -> None:
    """Neighbours become one range."""
    last = [network.write()[0] for _ in range(5)][-1]
    erased = network.operate(VILLAGE, EraseSpans((Span(ORIGIN, 0, last + 1, b""),), "retention"))
    assert erased.entries == 5
    assert network.engines[VILLAGE].replica.own.size == last + 2


def test_the_job_runs_at_its_hour_of_the_local_clock() -> None:
    """Today if it is still to come, tomorrow else."""
    now = datetime(2026, 11, 22, 2, 30).astimezone().timestamp()
    assert next_run(now, 3) == datetime(2026, 11, 22, 3).astimezone().timestamp()
    assert next_run(now, 2) == datetime(2026, 11, 23, 2).astimezone().timestamp()


def test_without_days_everything_is_kept() -> None:
    """Nobody's record goes because a setting was left out."""
    assert days_by_type(RetentionSection()) == {}
