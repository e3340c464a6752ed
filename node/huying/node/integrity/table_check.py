"""The tables that speak about the feeds, and the database's own definition.

A row of a feed that is not there, a request whose entry is another one, a list of quarantine that
does not fit its counter: nothing in the entries' walk would meet them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from sqlalchemy import Table, select, text

from huying.common.codes import parse_origin
from huying.common.errors import HuyingError
from huying.common.feed.note import parse_note
from huying.common.limits import TREE_SIZE_MAX
from huying.common.state import FeedState
from huying.node.integrity.fsck_report import FsckReport
from huying.node.integrity.quarantine_check import check_quarantine, is_past
from huying.node.store.content import peek_head
from huying.node.store.reader import Reader
from huying.node.store.schema import (
    CHECKPOINTS,
    ENTRIES,
    ERASED,
    MISSING,
    QUARANTINE,
    QUARANTINE_SKIPS,
    REQUESTS,
    SUBTREES,
    entry_place,
)
from huying.node.store.store import SqlStore

__all__ = ["BY_FEED", "check_schema", "check_tables"]

# The tables whose rows belong to a feed by its id, beside its entries.
BY_FEED: Final[tuple[Table, ...]] = (
    SUBTREES,
    CHECKPOINTS,
    MISSING,
    QUARANTINE,
    QUARANTINE_SKIPS,
)


def check_schema(reader: Reader, report: FsckReport) -> None:
    """The tables are defined as a new database defines them."""
    query = text("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name")
    with reader.connection() as connection:
        if connection.dialect.name != "sqlite":
            return
        found = [tuple(row) for row in connection.execute(query)]
    fresh = SqlStore.open()
    try:
        with fresh.reading() as connection:
            expected = [tuple(row) for row in connection.execute(query)]
    finally:
        fresh.close()
    for row in set(found) ^ set(expected):
        report.note("database", f"{row[0]} {row[1]} is not defined as it should be")


def check_tables(reader: Reader, code: str, report: FsckReport) -> None:
    """Every table that is neither a feed's log nor a projection; `code` is the node's own."""
    feeds = {feed.feed_id: feed for feed in reader.feeds()}
    _check_orphans(reader, feeds, report)
    for feed in feeds.values():
        _check_frozen(feed, report)
        check_quarantine(reader, feed, report)
    own = {
        feed.feed_id: feed
        for feed in feeds.values()
        if code in ("", parse_origin(feed.origin).code)
    }
    _check_requests(reader, own, report)
    _check_erased(reader, report)
    for row in reader.select(select(MISSING.c.feed_id, MISSING.c.since)):
        if not is_past(row.since):
            origin = feeds[row.feed_id].origin if row.feed_id in feeds else "missing"
            report.note(origin, "is missing something since a time that never was")


def _check_orphans(reader: Reader, feeds: dict[int, FeedState], report: FsckReport) -> None:
    """Rows of feeds that are not in the list of feeds."""
    for table in BY_FEED:
        for (feed_id,) in reader.select(select(table.c.feed_id).distinct()):
            if feed_id not in feeds:
                report.note("database", f"{table.name} has rows of no feed")
    for start, stop in _between(feeds):
        query = select(ENTRIES.c.place).where(ENTRIES.c.place >= start, ENTRIES.c.place < stop)
        if reader.select(query.limit(1)):
            report.note("database", "entries has rows of no feed, or past the end of one")


def _between(feeds: dict[int, FeedState]) -> Iterator[tuple[int, int]]:
    """The places where no entry may stand."""
    last = -(2**63)
    for feed_id in sorted(feeds):
        yield last, entry_place(feed_id, 0)
        last = entry_place(feed_id, feeds[feed_id].size)
    yield last, 2**63 - 1


def _check_frozen(feed: FeedState, report: FsckReport) -> None:
    if feed.frozen and not any(_splits(feed.frozen)):
        report.note(feed.origin, "the evidence of its fork does not parse")


def _splits(evidence: bytes) -> Iterator[bool]:
    """Whether the evidence is two notes, cut at each line feed in turn."""
    at = evidence.find(b"\n")
    while at >= 0:
        try:
            parse_note(evidence[:at])
            parse_note(evidence[at + 1 :])
            yield True
        except HuyingError:
            pass
        at = evidence.find(b"\n", at + 1)


def _check_requests(reader: Reader, own: dict[int, FeedState], report: FsckReport) -> None:
    """The entry that a request wrote is of the record that it was answered with."""
    for row in reader.select(select(REQUESTS)):
        feed = own.get(row.feed_id)
        sound = isinstance(row.request_id, bytes) and isinstance(row.idx, int)
        if feed is None or not sound or not 0 <= row.idx < feed.size:
            report.note("requests", f"entry {row.idx} is not in the own feed")
            continue
        for entry in reader.entries(feed.feed_id, row.idx, row.idx + 1):
            record = peek_head(entry.openings).record
            if record not in (row.record, b""):  # empty where the entry itself is damaged
                report.note("requests", f"entry {row.idx} is not of the record answered")


def _check_erased(reader: Reader, report: FsckReport) -> None:
    for span in reader.select(select(ERASED)):
        sound = (
            isinstance(span.slots, bytes)
            and 0 <= span.start < span.stop <= TREE_SIZE_MAX
            and span.slots == bytes(sorted(set(span.slots)))
        )
        try:
            parse_origin(span.origin)
        except (HuyingError, AttributeError, TypeError):
            sound = False
        if not sound:
            report.note("erased", f"[{span.start}, {span.stop}) is a damaged row")
