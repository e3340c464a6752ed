"""The nightly job that erases what is past its retention.

A record is as old as its newest version; when that is past the days kept for its type, all its
versions are erased, by the same signed statements as `huying erase` writes. Evidence goes with what
it is of. The feed is read on a thread of its own; the erasures go through the engine in batches.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from google.protobuf.message import DecodeError
from sqlalchemy import Table, select

from huying.common.codes import parse_origin
from huying.common.errors import Code, HuyingError
from huying.common.feed.leaf import leaf_slots, unpack_openings
from huying.common.late.requests import Erased, EraseSpans
from huying.common.late.spans import Span, erasable
from huying.common.limits import LATE_RANGES_MAX, LATE_SPAN_ENTRIES_MAX
from huying.common.state import FeedState, StoredEntry
from huying.node import logs
from huying.node.background import end_task, keep_up
from huying.node.settings import RetentionSection
from huying.node.store.content import message_bytes, peek_head
from huying.node.store.reader import Reader
from huying.node.store.schema import CALLS, RECORDS
from huying.wire.v1 import evidence_pb2, feed_pb2

if TYPE_CHECKING:
    from huying.node.services import Node

__all__ = ["Retention", "batches", "days_by_type", "next_run", "overdue"]

DAY_SECONDS: Final = 86400.0
PAGE_ENTRIES: Final = 500
SLEEP_SECONDS_MAX: Final = 600.0  # a clock that is set is noticed by then
_TABLES: Final[dict[int, Table]] = {**RECORDS, feed_pb2.RECORD_TYPE_CALL: CALLS}
_REASON: Final = "retention"
_EVIDENCE: Final = int(feed_pb2.RECORD_TYPE_EVIDENCE)


class _Aged(NamedTuple):
    """By which record's age an entry goes, and when the entry itself was written."""

    type: int
    record: bytes
    written_micros: int


def days_by_type(section: RetentionSection) -> dict[int, int]:
    """The days kept, by record type; types that are kept for ever are not in it."""
    days = {
        feed_pb2.RECORD_TYPE_EVENT: section.event_days,
        feed_pb2.RECORD_TYPE_HOUSEHOLD: section.household_days,
        feed_pb2.RECORD_TYPE_RESIDENT: section.resident_days,
        feed_pb2.RECORD_TYPE_GRID_WORKER: section.grid_worker_days,
        feed_pb2.RECORD_TYPE_VISIT: section.visit_days,
        feed_pb2.RECORD_TYPE_CALL: section.call_days,
        feed_pb2.RECORD_TYPE_CALL_STEP: section.call_days,
        feed_pb2.RECORD_TYPE_PROVISION_REQUEST: section.provision_days,
        feed_pb2.RECORD_TYPE_PROVISION_DECISION: section.provision_days,
        feed_pb2.RECORD_TYPE_PROVISION_RECEIPT: section.provision_days,
    }
    return {int(kind): kept for kind, kept in days.items() if kept}


def next_run(now: float, hour: int) -> float:
    """Unix seconds of the next time that a local clock shows the hour."""
    here = datetime.fromtimestamp(now).astimezone()
    at = here.replace(hour=hour, minute=0, second=0, microsecond=0)
    return (at if at > here else at + timedelta(days=1)).timestamp()


def overdue(reader: Reader, code: str, days: Mapping[int, int], now: float) -> list[Span]:
    """The entries of the node `code` to erase, as few spans as there can be. `now`: unix seconds.

    What stands (statements, what the parties of a call share), and what is erased, is not among
    them.
    """
    found: list[Span] = []
    with reader.snapshot() as snapshot:
        feeds = [feed for feed in snapshot.feeds() if parse_origin(feed.origin).code == code]
        for feed in feeds:
            for index in _overdue_entries(snapshot, feed, code, days, now):
                last = found[-1] if found else None
                if last is not None and (last.origin, last.stop) == (feed.origin, index):
                    found[-1] = last._replace(stop=index + 1)
                else:
                    found.append(Span(feed.origin, index, index + 1, b""))
    return found


def _overdue_entries(
    reader: Reader, feed: FeedState, code: str, days: Mapping[int, int], now: float
) -> Iterator[int]:
    for start in range(0, feed.size, PAGE_ENTRIES):
        stop = min(start + PAGE_ENTRIES, feed.size)
        page: dict[int, _Aged] = {}
        for index, entry in enumerate(reader.entries(feed.feed_id, start, stop), start):
            head = peek_head(entry.openings)
            if head.type == _EVIDENCE:
                aged = _evidence(head, entry)
            else:
                aged = _Aged(head.type, head.record, head.time_micros)
            if aged.type in days and _holds_erasable(head.type, entry):
                page[index] = aged
        newest = _newest(reader, code, page)
        for index, aged in page.items():
            written = max(aged.written_micros, newest.get((aged.type, aged.record), 0))
            if written / 1e6 + days[aged.type] * DAY_SECONDS < now:
                yield index


def _evidence(head: feed_pb2.Head, entry: StoredEntry) -> _Aged:
    """A picture is kept as long as what it is evidence of."""
    try:
        message = evidence_pb2.Evidence.FromString(message_bytes(entry.openings))
    except DecodeError:
        message = evidence_pb2.Evidence()
    return _Aged(message.of_type, message.of, head.time_micros)


def _holds_erasable(record_type: int, entry: StoredEntry) -> bool:
    if entry.leaf is None:
        return False
    mine = erasable(record_type, leaf_slots(entry.leaf))
    return any(opening[0] in mine for opening in unpack_openings(entry.openings))


def _newest(reader: Reader, code: str, page: Mapping[int, _Aged]) -> dict[tuple[int, bytes], int]:
    """When the newest version of each of these records was written, by type and record."""
    by_type: dict[int, set[bytes]] = {}
    for aged in page.values():
        by_type.setdefault(aged.type, set()).add(aged.record)
    found: dict[tuple[int, bytes], int] = {}
    for kind, records in by_type.items():
        table = _TABLES.get(kind)
        if table is not None:
            query = select(table.c.record, table.c.time_micros).where(table.c.record.in_(records))
            if table is not CALLS:  # a picture may be of another node's call
                query = query.where(table.c.home == code)
            rows = reader.select(query)
            found.update({(kind, row.record): row.time_micros for row in rows})
    return found


def batches(spans: Sequence[Span]) -> Iterator[tuple[Span, ...]]:
    """The spans in portions of which each fits into one statement."""
    batch: list[Span] = []
    entries = 0
    for span in spans:
        for start in range(span.start, span.stop, LATE_SPAN_ENTRIES_MAX):
            part = span._replace(start=start, stop=min(start + LATE_SPAN_ENTRIES_MAX, span.stop))
            count = part.stop - part.start
            full = entries + count > LATE_SPAN_ENTRIES_MAX or len(batch) >= LATE_RANGES_MAX
            if batch and full:
                yield tuple(batch)
                batch, entries = [], 0
            batch.append(part)
            entries += count
    if batch:
        yield tuple(batch)


class Retention:
    """Runs once a night, while the node serves."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._reader = node.reader
        self._days = days_by_type(node.config.retention)
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """See `services.Component`."""
        self._task = asyncio.create_task(keep_up("retention", self._every_night))

    async def stop(self) -> None:
        """See `services.Component`."""
        await end_task(self._task)

    async def _every_night(self) -> None:
        clock, hour = self._node.clock, self._node.config.retention.hour
        due = next_run(clock.now(), hour)
        while True:
            while (left := due - clock.now()) > 0:  # noqa: ASYNC110  # for a time of day
                await asyncio.sleep(min(left, SLEEP_SECONDS_MAX))
            due = next_run(clock.now(), hour)
            try:
                await self.run_once()
            except HuyingError as error:
                # A node that recovers, or drains, erases tomorrow.
                logs.say("retention_failed", code=error.code.name, detail=error.detail)

    async def run_once(self) -> int:
        """Erase what is overdue now; how many entries. Raises as the engine refuses to write."""
        code, now = self._node.config.node.code, self._node.clock.now()
        spans = await asyncio.to_thread(overdue, self._reader, code, self._days, now)
        entries = 0
        for batch in batches(spans):
            try:
                erased: Erased = await self._node.runtime.operate(EraseSpans(batch, _REASON))
            except HuyingError as error:
                if error.code is not Code.NOT_FOUND:  # somebody erased it meanwhile
                    raise
            else:
                entries += erased.entries
        if entries:
            logs.say("retention_erased", entries=entries)
        return entries
