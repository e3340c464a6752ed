"""The store: `huying.common.ports.Store` over one database connection.

Every write happens inside `transaction`, on the one thread that owns the store. The engine gathers
what is waiting into one transaction, so the statements here are few and carry many rows each.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, bindparam, delete

from huying.common.calls import Folding
from huying.common.errors import Code
from huying.common.late.spans import Span
from huying.common.state import Applied, FeedState, Missing, StoredCheckpoint, StoredEntry
from huying.node.store import database
from huying.node.store.database import MEMORY_URL, translated
from huying.node.store.projections import Projections
from huying.node.store.reader import Reader
from huying.node.store.rows import feed_row
from huying.node.store.schema import (
    CHECKPOINTS,
    ENTRIES,
    ERASED,
    FEEDS,
    MISSING,
    QUARANTINE,
    QUARANTINE_SKIPS,
    REQUESTS,
    SUBTREES,
    entry_place,
)
from huying.node.store.statements import compile_sql, delete_sql, insert_sql, upsert_sql

__all__ = ["SqlStore"]

# A migrated, empty database in memory, made once per process: the simulator opens thousands.
_templates: dict[str, bytes] = {}


class _Sql:
    """The statements that write, as text for one database."""

    def __init__(self, dialect: str) -> None:
        self.put_feed = upsert_sql(FEEDS, dialect)
        self.add_feed = insert_sql(FEEDS, dialect)
        self.add_entry = insert_sql(ENTRIES, dialect)
        self.set_entry = upsert_sql(ENTRIES, dialect)
        self.add_subtree = insert_sql(SUBTREES, dialect)
        self.put_checkpoint = upsert_sql(CHECKPOINTS, dialect)
        self.put_missing = upsert_sql(MISSING, dialect)
        self.delete_missing = delete_sql(MISSING, dialect)
        self.quarantine = insert_sql(QUARANTINE, dialect, ignore=True)
        self.skip = insert_sql(QUARANTINE_SKIPS, dialect, ignore=True)
        self.release = tuple(
            compile_sql(
                delete(table).where(
                    table.c.feed_id == bindparam("feed_id"), table.c.idx == bindparam("idx")
                ),
                dialect,
                ["feed_id", "idx"],
            )
            for table in (QUARANTINE, QUARANTINE_SKIPS)
        )
        self.add_request = insert_sql(REQUESTS, dialect)
        self.add_erased = insert_sql(ERASED, dialect, ignore=True)


class SqlStore(Reader):
    """A store that passes `tests/contracts/store_contract.py`. Owned by one thread at a time.

    Its queries run over the writer's connection, so they see the transaction that is running.
    """

    def __init__(self, engine: Engine, lock: int | None) -> None:
        super().__init__(self.reading)
        self._engine = engine
        self._lock = lock
        self._process: Final = os.getpid()
        self._connection: Final = engine.connect()
        self.dialect: Final = engine.dialect.name
        self._sql: Final = _Sql(self.dialect)
        self._projections: Final = Projections(self._connection)
        self._writing = False
        self._viewing = False

    @classmethod
    def open(cls, url: str = MEMORY_URL, template: bytes | None = None) -> SqlStore:
        """Open the database for writing, creating and migrating it where needed.

        `template` (just in memory) is another memory store's `image` to start from. Raises
        HuyingError(NODE_RUNNING, CONFIG, STORE_FAILED, DISK_FULL or CORRUPT).
        """
        path = database.database_path(url)
        if path is None:
            return cls._open_memory(template)
        assert template is None, "a template is for databases in memory"
        lock = database.lock_database(path)
        try:
            _create_private(path)
            engine = database.open_writer_engine(url)
            database.migrate(engine, _refill)
            with translated():
                return cls(engine, lock)
        except BaseException:
            os.close(lock)
            raise

    @classmethod
    def _open_memory(cls, template: bytes | None) -> SqlStore:
        image = template or _templates.get(MEMORY_URL)
        engine = database.open_writer_engine(MEMORY_URL)
        with translated():
            if image is not None:
                with engine.connect() as connection:
                    database.raw_connection(connection).deserialize(image)
            database.migrate(engine)
            store = cls(engine, None)
            if image is None:
                _templates[MEMORY_URL] = store.image()
            return store

    def image(self) -> bytes:
        """The whole database as bytes, to open copies in memory from."""
        assert not self._writing
        with translated():
            data: bytes = database.raw_connection(self._connection).serialize()
            return data

    def close(self) -> None:
        """Close the connection, which empties the write-ahead log, and let go of the lock."""
        with translated():
            self._connection.close()
            self._engine.dispose()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def release_memory(self) -> None:
        """Give back the page cache: for a node that has gone idle after a burst."""
        assert not self._writing
        with translated():
            database.raw_connection(self._connection).execute("PRAGMA shrink_memory")

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """See `ports.Store`. Not nested."""
        assert not self._writing, "a transaction inside a transaction"
        assert os.getpid() == self._process, "the store was carried over a fork"
        try:
            with translated(), self._connection.begin():
                self._writing = True
                try:
                    yield
                finally:
                    self._writing = False
        except BaseException:
            self._projections.forget()
            raise

    @contextlib.contextmanager
    def reading(self) -> Iterator[Connection]:
        """The connection for queries: inside the running transaction, or in one of its own."""
        with translated():
            if self._writing or self._viewing:
                yield self._connection
            else:
                with self._connection.begin():
                    yield self._connection

    @contextlib.contextmanager
    def view(self) -> Iterator[None]:
        """See `ports.Store`."""
        assert not self._writing
        with self.reading():
            self._viewing = True
            try:
                yield
            finally:
                self._viewing = False

    def write(self, sql: str, rows: list[tuple[Any, ...]]) -> None:
        """Run a statement for each row, inside the transaction: for tables that are not here."""
        assert self._writing, "a write outside a transaction"
        if rows:
            with translated():
                self._connection.exec_driver_sql(sql, rows)

    def create_feed(self, origin: str) -> FeedState:
        """See `ports.Store`. Raises HuyingError(INVALID_ARGUMENT) for a malformed origin."""
        feed_id = max((feed.feed_id for feed in self.feeds()), default=0) + 1
        state = FeedState(feed_id=feed_id, origin=origin)
        self.write(self._sql.add_feed, [feed_row(state)])
        return state

    def put_feed(self, state: FeedState) -> None:
        """See `ports.Store`."""
        self.write(self._sql.put_feed, [feed_row(state)])

    def add_entries(self, feed_id: int, start: int, entries: Sequence[StoredEntry]) -> None:
        """See `ports.Store`. Raises HuyingError(STORE_FAILED) where an index is taken."""
        first = entry_place(feed_id, start)
        entry_place(feed_id, start + len(entries))  # the last one is within the limit, too
        self.write(
            self._sql.add_entry, [(place, *entry) for place, entry in enumerate(entries, first)]
        )

    def set_entry(self, feed_id: int, index: int, entry: StoredEntry) -> None:
        """See `ports.Store`."""
        self._projections.forget()
        self.write(self._sql.set_entry, [(entry_place(feed_id, index), *entry)])

    def add_subtrees(self, feed_id: int, subtrees: Iterable[tuple[int, int, bytes]]) -> None:
        """See `ports.Store`."""
        self.write(self._sql.add_subtree, [(feed_id, *subtree) for subtree in subtrees])

    def put_checkpoint(self, feed_id: int, checkpoint: StoredCheckpoint) -> None:
        """See `ports.Store`."""
        row = (feed_id, checkpoint.size, checkpoint.root, checkpoint.note)
        self.write(self._sql.put_checkpoint, [row])

    def replace_missing(self, feed_id: int, old: Sequence[Missing], new: Sequence[Missing]) -> None:
        """See `ports.Store`."""
        keys = [(feed_id, m.start, m.stop, m.name, m.slots, m.first) for m in old]
        self.write(self._sql.delete_missing, list[tuple[Any, ...]](keys))
        rows = [(feed_id, m.start, m.stop, m.name, m.slots, m.first, m.last, m.since) for m in new]
        self.write(self._sql.put_missing, list[tuple[Any, ...]](rows))

    def quarantine(self, feed_id: int, index: int, code: Code, detail: str, now: float) -> None:
        """See `ports.Store`."""
        self.write(self._sql.quarantine, [(feed_id, index, int(code), detail, now)])

    def release(self, feed_id: int, index: int) -> None:
        """See `ports.Store`."""
        for sql in self._sql.release:
            self.write(sql, [(feed_id, index)])

    def skip(self, feed_id: int, index: int, actor: str, reason: str, now: float) -> None:
        """See `ports.Store`."""
        self.write(self._sql.skip, [(feed_id, index, now, actor, reason)])

    def add_request(self, request_id: bytes, feed_id: int, index: int, record: bytes) -> None:
        """See `ports.Store`."""
        self.write(self._sql.add_request, [(request_id, feed_id, index, record)])

    def add_erased(self, spans: Iterable[Span]) -> None:
        """See `ports.Store`."""
        self.write(self._sql.add_erased, [tuple(span) for span in spans])

    def scrub(self) -> bool:
        """See `ports.Store`."""
        assert not self._writing
        with translated():
            return database.truncate_log(database.raw_connection(self._connection))

    def apply(self, applied: Sequence[Applied]) -> None:
        """See `ports.Store`. The entries are in place by now: a call is folded from them."""
        assert self._writing, "a write outside a transaction"
        with translated():
            self._projections.apply(applied)

    def folding(self, sequencer: str, caller: str, call: bytes) -> Folding:
        """See `huying.hub.sequencer.ProposalStore`."""
        assert self._writing, "what is not committed yet counts, too"
        with translated():
            return self._projections.folding(sequencer, caller, call)


def _create_private(path: Path) -> None:
    """The database is its owner's alone; SQLite gives the WAL the same mode."""
    with translated():
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))


def _refill(connection: Connection, found: str) -> None:
    from huying.node.store.projection_rebuild import refill

    refill(connection, found)
