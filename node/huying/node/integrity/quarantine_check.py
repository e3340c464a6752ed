"""The list of quarantine, and what was acknowledged of it: checked, and put right.

Both tables are this node's own notes, which nothing signed vouches for: a row is sound where it
speaks of an entry that is there, and the feed's count is of the entries that nobody acknowledged.
"""

from __future__ import annotations

import time
from typing import Any, Final

from sqlalchemy import Connection, delete, select

from huying.common.errors import Code
from huying.common.limits import TREE_SIZE_MAX
from huying.common.state import FeedState
from huying.node.integrity.fsck_report import FsckReport
from huying.node.store.reader import Reader
from huying.node.store.schema import FEEDS, QUARANTINE, QUARANTINE_SKIPS
from huying.node.store.store import SqlStore

__all__ = ["check_quarantine", "is_past", "mend_quarantine"]

_CLOCK_SECONDS: Final = 366 * 86400.0  # nothing was found in a future further away than this
_CODES: Final = frozenset(int(code) for code in Code)


def is_past(seconds: Any) -> bool:
    """Whether this may be a time at which something was found, in unix seconds."""
    return isinstance(seconds, float) and 0 <= seconds <= time.time() + _CLOCK_SECONDS


def check_quarantine(reader: Reader, feed: FeedState, report: FsckReport) -> None:
    """Every row of one feed, and the feed's count."""
    rows = reader.quarantined(feed.feed_id, -1, TREE_SIZE_MAX)
    for index, code, detail, observed in rows:
        shown: tuple[object, ...] = (detail, observed)  # a damaged row may hold any
        sound = isinstance(shown[0], str) and is_past(shown[1])
        if not 0 <= index < feed.size or code not in _CODES or not sound:
            report.note(feed.origin, f"entry {index} is in quarantine for {code}, a damaged row")
    there = {row[0] for row in rows}
    skipped = set()
    for row in _skips(reader, feed):
        skipped.add(row.idx)
        if row.idx not in there or not _is_sound(row):
            report.note(feed.origin, f"entry {row.idx} was acknowledged, by a damaged row")
    waiting = len(there - skipped)
    if waiting != feed.quarantined:
        report.note(
            feed.origin, f"quarantined: {feed.quarantined} on record, {waiting} in the list"
        )


def mend_quarantine(connection: Connection, store: SqlStore, feed: FeedState) -> None:
    """Drop the rows that are of no entry, and count what is left."""
    of_feed = QUARANTINE.c.feed_id == feed.feed_id
    rows = store.quarantined(feed.feed_id, -1, TREE_SIZE_MAX)
    bad = [row for row in rows if not 0 <= row[0] < feed.size or row[1] not in _CODES]
    for index, number, _, _ in bad:
        place = of_feed, QUARANTINE.c.idx == index, QUARANTINE.c.code == number
        connection.execute(delete(QUARANTINE).where(*place))
    there = {row[0] for row in rows if row not in bad}
    of_feed = QUARANTINE_SKIPS.c.feed_id == feed.feed_id
    for row in _skips(store, feed):
        if row.idx not in there or not _is_sound(row):
            connection.execute(
                delete(QUARANTINE_SKIPS).where(of_feed, QUARANTINE_SKIPS.c.idx == row.idx)
            )
    waiting = store.count_waiting(feed.feed_id)
    if waiting != feed.quarantined:
        mended = FEEDS.update().where(FEEDS.c.feed_id == feed.feed_id)
        connection.execute(mended.values(quarantined=waiting))


def _is_sound(skip: Any) -> bool:
    texts = skip.actor, skip.reason
    return all(isinstance(text, str) for text in texts) and is_past(skip.skipped)


def _skips(reader: Reader, feed: FeedState) -> list[Any]:
    query = select(QUARANTINE_SKIPS).where(QUARANTINE_SKIPS.c.feed_id == feed.feed_id)
    return list(reader.select(query))
