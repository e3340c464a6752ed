"""Reading the log: feeds, entries, subtrees, checkpoints, and what is missing or quarantined.

The writer and the readers ask the same questions, so the store and the reader both inherit these.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import asc, bindparam, desc, func, literal_column, select

from huying.common.late.spans import Span
from huying.common.state import FeedState, Missing, StoredCheckpoint, StoredEntry
from huying.node.store.content import peek_head
from huying.node.store.queries import Queries
from huying.node.store.rows import feed_from_row
from huying.node.store.schema import (
    CHECKPOINTS,
    ENTRIES,
    ERASED,
    FEEDS,
    MISSING,
    QUARANTINE,
    REQUESTS,
    SUBTREES,
    entry_place,
)
from huying.node.store.statements import compile_sql

__all__ = ["LogQueries"]


class _Sql:
    """The statements as text for one database."""

    def __init__(self, dialect: str) -> None:
        param = bindparam
        entries, subtrees, checkpoints = ENTRIES.c, SUBTREES.c, CHECKPOINTS.c
        self.feeds = compile_sql(select(FEEDS).order_by(FEEDS.c.feed_id), dialect, [])
        self.feed = compile_sql(
            select(FEEDS).where(FEEDS.c.origin == param("origin")), dialect, ["origin"]
        )
        self.entries = compile_sql(
            select(entries.leaf, entries.leaf_hash, entries.openings)
            .where(entries.place >= param("start"), entries.place < param("stop"))
            .order_by(entries.place),
            dialect,
            ["start", "stop"],
        )
        self.subtrees = compile_sql(
            select(subtrees.hash)
            .where(
                subtrees.feed_id == param("feed_id"),
                subtrees.level == param("level"),
                subtrees.idx >= param("start"),
                subtrees.idx < param("stop"),
            )
            .order_by(subtrees.idx),
            dialect,
            ["feed_id", "level", "start", "stop"],
        )
        self.checkpoints = {
            newest_first: compile_sql(
                select(checkpoints.size, checkpoints.root, checkpoints.note)
                .where(
                    checkpoints.feed_id == param("feed_id"),
                    checkpoints.size > param("above"),
                    checkpoints.size <= param("upto"),
                )
                .order_by((desc if newest_first else asc)(checkpoints.size))
                .limit(param("count"))
                # Said aloud: SQLite's compiler would otherwise bind a zero of its own.
                .offset(literal_column("0")),
                dialect,
                ["feed_id", "above", "upto", "count"],
            )
            for newest_first in (False, True)
        }
        self.missing = compile_sql(
            select(*(MISSING.c[name] for name in Missing._fields))
            .where(MISSING.c.feed_id == param("feed_id"))
            .order_by(MISSING.c.start, MISSING.c.stop, MISSING.c.name, MISSING.c.slots),
            dialect,
            ["feed_id"],
        )
        self.quarantined = compile_sql(
            select(QUARANTINE.c.idx, QUARANTINE.c.code, QUARANTINE.c.detail, QUARANTINE.c.observed)
            .where(
                QUARANTINE.c.feed_id == param("feed_id"),
                QUARANTINE.c.idx >= param("start"),
                QUARANTINE.c.idx < param("stop"),
            )
            .order_by(QUARANTINE.c.idx, QUARANTINE.c.code),
            dialect,
            ["feed_id", "start", "stop"],
        )
        self.request = compile_sql(
            select(FEEDS.c.origin, REQUESTS.c.idx, REQUESTS.c.record)
            .join(FEEDS, FEEDS.c.feed_id == REQUESTS.c.feed_id)
            .where(REQUESTS.c.request_id == param("request_id")),
            dialect,
            ["request_id"],
        )
        self._add_searches(dialect)

    def _add_searches(self, dialect: str) -> None:
        param, entries = bindparam, ENTRIES.c
        self.erased = compile_sql(
            select(ERASED).order_by(ERASED.c.origin, ERASED.c.start), dialect, []
        )
        self.find_record = compile_sql(
            select(entries.place, entries.leaf, entries.leaf_hash, entries.openings)
            .where(
                entries.place >= param("start"),
                entries.place < param("stop"),
                func.instr(entries.openings, param("record")) > literal_column("0"),
            )
            .order_by(entries.place),
            dialect,
            ["start", "stop", "record"],
        )


@lru_cache
def _sql(dialect: str) -> _Sql:
    """Compiled once in a process: the simulator opens stores by the thousand."""
    return _Sql(dialect)


class LogQueries(Queries):
    """The reading half of `ports.Store`, and a little more."""

    def _query(self, name: str, *values: Any, newest_first: bool = False) -> Sequence[Any]:
        with self._reading() as connection:
            sql = getattr(_sql(connection.dialect.name), name)
            text = sql[newest_first] if isinstance(sql, dict) else sql
            return connection.exec_driver_sql(text, values).fetchall()

    def feeds(self) -> list[FeedState]:
        """See `ports.Store`."""
        return [feed_from_row(row) for row in self._query("feeds")]

    def feed(self, origin: str) -> FeedState | None:
        """The feed of that origin, or None."""
        rows = self._query("feed", origin)
        return feed_from_row(rows[0]) if rows else None

    def entries(self, feed_id: int, start: int, stop: int) -> list[StoredEntry]:
        """See `ports.Store`."""
        places = entry_place(feed_id, start), entry_place(feed_id, stop)
        return list(map(StoredEntry._make, self._query("entries", *places)))

    def entry_rows(self, feed_id: int, start: int, stop: int) -> dict[int, StoredEntry]:
        """The entries of [start, stop) by index, also where some are gone; of any types."""
        first = entry_place(feed_id, 0)
        query = select(ENTRIES).where(
            ENTRIES.c.place >= first + start, ENTRIES.c.place < first + stop
        )
        with self._reading() as connection:
            return {
                place - first: StoredEntry(leaf, digest, openings)
                for place, leaf, digest, openings in connection.execute(query)
            }

    def subtrees(self, feed_id: int, level: int, start: int, stop: int) -> list[bytes]:
        """See `ports.Store`."""
        return [row[0] for row in self._query("subtrees", feed_id, level, start, stop)]

    def count_subtrees(self, feed_id: int) -> int:
        """How many subtrees of a feed are stored, of all levels."""
        query = select(func.count()).select_from(SUBTREES).where(SUBTREES.c.feed_id == feed_id)
        with self._reading() as connection:
            return connection.execute(query).scalar_one()

    def feed_name(self, feed_id: int) -> tuple[str, int]:
        """The (code, epoch) in a feed's row, which its origin says, too."""
        query = select(FEEDS.c.code, FEEDS.c.epoch).where(FEEDS.c.feed_id == feed_id)
        with self._reading() as connection:
            code, epoch = connection.execute(query).one()
        return code, epoch

    def checkpoints(
        self, feed_id: int, above: int, upto: int, newest_first: bool, limit: int
    ) -> list[StoredCheckpoint]:
        """See `ports.Store`."""
        values = (feed_id, above, upto, limit)
        rows = self._query("checkpoints", *values, newest_first=newest_first)
        return [StoredCheckpoint(*row) for row in rows]

    def missing(self, feed_id: int) -> list[Missing]:
        """See `ports.Store`."""
        return [Missing(*row) for row in self._query("missing", feed_id)]

    def quarantined(self, feed_id: int, start: int, stop: int) -> list[tuple[int, int, str, float]]:
        """(index, code, detail, unix seconds) of the quarantined entries of [start, stop)."""
        return [tuple(row) for row in self._query("quarantined", feed_id, start, stop)]

    def erased(self) -> list[Span]:
        """See `ports.Store`."""
        return [Span(*row) for row in self._query("erased")]

    def find_record(self, feed_id: int, record: bytes) -> list[tuple[int, StoredEntry]]:
        """See `ports.Store`."""
        first, stop = entry_place(feed_id, 0), entry_place(feed_id + 1, 0)
        return [
            (place - first, StoredEntry(leaf, digest, openings))
            for place, leaf, digest, openings in self._query("find_record", first, stop, record)
            if openings and peek_head(openings).record == record
        ]

    def request(self, request_id: bytes) -> tuple[str, int, bytes] | None:
        """See `ports.Store`."""
        rows = self._query("request", request_id)
        return (rows[0][0], rows[0][1], rows[0][2]) if rows else None
