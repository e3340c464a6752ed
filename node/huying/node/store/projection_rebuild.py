"""Making every projection anew from the entries, here or in a scratch database.

The projections follow from what is here, never from the order in which it came; so the tables made
anew are the tables there should be. The order of the journal of statements is the exception: what
the old journal still says of it is kept.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any, Final

from sqlalchemy import Connection, Table, create_engine, delete, event, select
from sqlalchemy.pool import StaticPool

from huying.common.codes import parse_origin
from huying.common.errors import Code
from huying.common.records.registry import STATEMENT_TYPES
from huying.common.state import Applied, FeedState
from huying.node.store.desk_schema import DESK_RECORDS
from huying.node.store.projections import Projections
from huying.node.store.reader import Reader
from huying.node.store.replay import replay
from huying.node.store.rows import feed_row
from huying.node.store.schema import (
    CALL_STEPS,
    CALL_TURNS,
    CALLS,
    ENTRIES,
    FEEDS,
    METADATA,
    RECORDS,
    STATEMENTS,
    entry_place,
)
from huying.node.store.statements import insert_sql
from huying.node.store.store import SqlStore
from huying.node.store.values import text
from huying.wire.v1 import feed_pb2

__all__ = ["PROJECTED", "fill", "rebuild", "refill", "scratch"]

# Says of an entry whether it was applied.
Known = Callable[[Applied], bool]

# Every table that follows from the entries.
PROJECTED: Final[tuple[Table, ...]] = (
    *RECORDS.values(),
    CALLS,
    CALL_STEPS,
    CALL_TURNS,
    STATEMENTS,
)

_STATEMENT_PLACE: Final = STATEMENTS.c.feed_id, STATEMENTS.c.idx
_CALL_TYPES: Final = (feed_pb2.RECORD_TYPE_CALL, feed_pb2.RECORD_TYPE_CALL_STEP)
# The tables that the schema 0008 brought or made anew.
_SINCE_0008: Final = (
    feed_pb2.RECORD_TYPE_RESIDENT,
    feed_pb2.RECORD_TYPE_VISIT,
    feed_pb2.RECORD_TYPE_EVIDENCE,
)


@contextlib.contextmanager
def scratch() -> Iterator[Connection]:
    """An empty database of the same tables that nobody else sees; it spills into a temporary file.

    Nothing in it outlives the block, whatever happens to the process.
    """
    engine = create_engine(
        "sqlite://",
        creator=lambda: sqlite3.connect("", isolation_level=None, check_same_thread=False),
        poolclass=StaticPool,
        hide_parameters=True,
    )

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN")

    try:
        with engine.connect() as connection:
            METADATA.create_all(connection)
            yield connection
            connection.rollback()
    finally:
        engine.dispose()


def fill(
    connection: Connection,
    reader: Reader,
    known: Known | None = None,
    types: Collection[int] | None = None,
) -> int:
    """Project every entry of the reader's store into `connection`; how many there were.

    `known` says of a doubtful entry whether it was applied; left out, the reader's own tables do.
    `types`: just entries of these. For a database other than the reader's own, what the projections
    look up goes along.
    """
    projections = Projections(connection)
    known = known or (lambda applied: stands(reader, applied))
    copy_log = connection.execute(select(FEEDS.c.feed_id).limit(1)).first() is None
    feeds = reader.feeds()
    if copy_log:
        add_feed = insert_sql(FEEDS, connection.dialect.name)
        for feed in feeds:
            connection.exec_driver_sql(add_feed, feed_row(feed))
    count = 0
    for feed in feeds:
        for page in replay(reader, feed):
            applied = [
                one.applied
                for one in page
                if (types is None or one.applied.head.type in types)
                and (not one.doubtful or known(one.applied))
            ]
            if copy_log:
                _copy_calls(connection, reader, feed, applied)
            projections.apply(applied, settle=False)
            count += len(applied)
    projections.settle_calls()
    return count


def stands(reader: Reader, applied: Applied) -> bool:
    """Whether a row was made from this very entry."""
    kind = applied.head.type
    place = applied.feed_id, applied.index
    key: tuple[object, ...] = place
    if kind in STATEMENT_TYPES:
        table = STATEMENTS
    elif kind in _CALL_TYPES:
        message: Any = applied.message
        raised = kind == feed_pb2.RECORD_TYPE_CALL
        call = (
            (applied.head.record, applied.home) if raised else (message.call, text(message.caller))
        )
        table, key = CALL_STEPS, (*call, *place)
    elif kind in RECORDS:
        table, key = RECORDS[kind], (applied.home, applied.head.record)
    else:
        return False
    columns = list(table.primary_key.columns)
    query = select(*(table.c[name] for name in ("feed_id", "idx"))).where(
        *(column == value for column, value in zip(columns, key, strict=True))
    )
    return any(tuple(row) == place for row in reader.select(query))


def _copy_calls(
    connection: Connection, reader: Reader, feed: FeedState, applied: Iterable[Applied]
) -> None:
    """The fold of a call reads its steps' entries."""
    wanted = {e.index for e in applied if e.head.type == feed_pb2.RECORD_TYPE_CALL_STEP}
    if not wanted:
        return
    first = min(wanted)
    entries = enumerate(reader.entries(feed.feed_id, first, max(wanted) + 1), first)
    rows = [(entry_place(feed.feed_id, at), *stored) for at, stored in entries if at in wanted]
    connection.exec_driver_sql(insert_sql(ENTRIES, connection.dialect.name), rows)


def rebuild(store: SqlStore) -> int:
    """Empty every projection and fill it again, within the running transaction."""
    with store.reading() as connection:
        known = _doubtful_and_known(store)
        order = _journal_order(connection)
        for table in PROJECTED:
            connection.execute(delete(table))
        count = fill(connection, store, lambda one: (one.feed_id, one.index) in known)
        _restore_order(connection, store, order)
        return count


def refill(connection: Connection, found: str) -> int:
    """After an upgrade from the schema `found`, within its transaction: fill what was not in it.

    Entries that were quarantined just because an older program did not know their type count now.
    """
    types: set[int] = {*(DESK_RECORDS if found < "0007" else ())}
    if found < "0008":
        types.update(_SINCE_0008)
    if found < "0010":
        types.update(_CALL_TYPES)
    reader = Reader(lambda: contextlib.nullcontext(connection))
    unknown = {
        (feed.feed_id, index)
        for feed in reader.feeds()
        for index, code, *_ in reader.quarantined(feed.feed_id, 0, feed.size)
        if code == Code.UNKNOWN_TYPE
    }
    if found < "0012" and unknown:  # a log without any holds none of the type: nothing to read
        types.add(feed_pb2.RECORD_TYPE_EVENT_HANDLING)
    if not types:
        return 0
    filled = [RECORDS[kind] for kind in sorted(types & RECORDS.keys())]
    known = _doubtful_and_known(reader) | unknown
    for table in (*((CALLS, CALL_STEPS, CALL_TURNS) if found < "0010" else ()), *filled):
        connection.execute(delete(table))
    return fill(connection, reader, lambda one: (one.feed_id, one.index) in known, types)


def _doubtful_and_known(reader: Reader) -> set[tuple[int, int]]:
    return {
        (one.applied.feed_id, one.applied.index)
        for feed in reader.feeds()
        for page in replay(reader, feed)
        for one in page
        if one.doubtful and stands(reader, one.applied)
    }


def _journal_order(connection: Connection) -> list[tuple[int, int]]:
    query = select(*_STATEMENT_PLACE).order_by(STATEMENTS.c.seq, *_STATEMENT_PLACE)
    return [(row[0], row[1]) for row in connection.execute(query)]


def _restore_order(connection: Connection, store: SqlStore, order: list[tuple[int, int]]) -> None:
    """What the old journal knew comes first, in its order; then feeds nearer to the root."""
    types = {(row[0], row[1]): row[2] for row in connection.execute(select(*_STATEMENT_COLUMNS))}
    codes = {feed.feed_id: parse_origin(feed.origin).code for feed in store.feeds()}
    kept = [place for place in dict.fromkeys(order) if place in types]
    new = sorted(types.keys() - set(kept), key=lambda place: (codes[place[0]], place))
    connection.execute(delete(STATEMENTS))
    rows: list[tuple[Any, ...]] = [
        (*place, seq, types[place]) for seq, place in enumerate((*kept, *new), 1)
    ]
    if rows:
        connection.exec_driver_sql(insert_sql(STATEMENTS, connection.dialect.name), rows)


_STATEMENT_COLUMNS: Final = (*_STATEMENT_PLACE, STATEMENTS.c.type)
