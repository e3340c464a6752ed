"""Backwards through a node's feeds, for what speaks of one record: earlier versions have no index.

The ranges are small, so that whoever walks can look at the clock between two of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from sqlalchemy import func, select

from huying.common.codes import parse_origin
from huying.common.errors import Code
from huying.common.feed.leaf import commitment_prefix
from huying.common.state import FeedState, StoredEntry
from huying.node.store.content import OPENINGS_RECORD_AT
from huying.node.store.reader import Reader
from huying.node.store.replay import replayed_entry
from huying.node.store.schema import ENTRIES, entry_place

__all__ = ["CHUNK", "between", "chunks_back", "entries_about", "is_signed"]

CHUNK: Final = 2000  # entries looked at by one query


def chunks_back(
    reader: Reader, home: str, epoch: int, stop: int
) -> Iterator[tuple[FeedState, int, int]]:
    """Ranges [start, stop) of a node's feeds, backwards from the place given. Blocks."""
    feeds = [(parse_origin(feed.origin), feed) for feed in reader.feeds()]
    own = [(origin.epoch, feed) for origin, feed in feeds if origin.code == home]
    for number, feed in sorted(own, key=lambda one: -one[0]):
        if number > epoch:
            continue
        end = min(stop, feed.size) if number == epoch else feed.size
        while end > 0:
            start = max(0, end - CHUNK)
            yield feed, start, end
            end = start


def entries_about(
    reader: Reader, feed: FeedState, start: int, stop: int, record: bytes
) -> list[tuple[int, StoredEntry]]:
    """(index, entry) of these entries that are of a record of that id, newest first.

    Of whatever type. What is quarantined speaks for nothing, but for what just an older program did
    not know: it counts since the upgrade (`projection_rebuild.refill`). Blocks.
    """
    query = (
        select(ENTRIES.c.place, ENTRIES.c.leaf, ENTRIES.c.openings)
        .where(
            *between(feed, start, stop),
            func.substr(ENTRIES.c.openings, OPENINGS_RECORD_AT + 1, len(record)) == record,
        )
        .order_by(ENTRIES.c.place.desc())
    )
    rows = reader.select(query)
    if not rows:
        return []
    faults: dict[int, set[int]] = {}
    for index, code, *_ in reader.quarantined(feed.feed_id, start, stop):
        faults.setdefault(index, set()).add(code)
    first = entry_place(feed.feed_id, 0)
    found = [
        (row.place - first, StoredEntry(row.leaf, None, row.openings))
        for row in rows
        if row.leaf is not None
    ]
    return [(at, entry) for at, entry in found if _counts(feed, at, entry, faults.get(at))]


def _counts(feed: FeedState, index: int, entry: StoredEntry, faults: set[int] | None) -> bool:
    if faults is None:
        return True
    if faults != {Code.UNKNOWN_TYPE}:
        return False
    prefix = commitment_prefix(feed.origin)
    return replayed_entry(feed, prefix, index, entry, b"") is not None  # judged as it came


def is_signed(feed: FeedState, index: int) -> bool:
    """Whether a signed checkpoint that is here covers the entry."""
    points = [one.size for one in (feed.head, feed.witnessed, feed.cosigned) if one is not None]
    return index < max(points, default=0)


def between(feed: FeedState, start: int, stop: int) -> tuple[Any, Any]:
    """The conditions that an entry lies in a range of a feed."""
    first = entry_place(feed.feed_id, start), entry_place(feed.feed_id, stop)
    return ENTRIES.c.place >= first[0], ENTRIES.c.place < first[1]
