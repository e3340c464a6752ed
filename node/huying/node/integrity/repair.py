"""`huying fsck --repair`: mend a store from what still stands in it.

The node is stopped, and the writer's lock held throughout. In this order, since each step builds on
the one before:

1. damaged pages: a new database with every row that can be read (`huying.node.integrity.salvage`)
2. each feed, from the root of the tree down, so that keys that feeds bring are known in time
   (`huying.node.integrity.feed_repair`)
3. what speaks about the feeds: quarantine, requests, rows of feeds that are not there
4. every projection, made anew (`huying.node.store.projection_rebuild`)

2 to 4 are one transaction. What is lacking then is on the list of what is missing, and the running
node asks its peers for it.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, delete, select

from huying.common.codes import level, parse_origin
from huying.common.errors import Code, HuyingError
from huying.common.feed.checkpoint import parse_checkpoint
from huying.common.feed.note import parse_note
from huying.common.late.spans import Span
from huying.common.limits import TREE_SIZE_MAX
from huying.common.state import FeedState
from huying.node.config import Config
from huying.node.erasure_list import FileErasureList
from huying.node.integrity.feed_repair import FeedRepair
from huying.node.integrity.known_keys import KnownKeys, known_keys
from huying.node.integrity.quarantine_check import mend_quarantine
from huying.node.integrity.repair_report import RepairReport
from huying.node.integrity.salvage import is_readable, salvage
from huying.node.integrity.table_check import BY_FEED
from huying.node.store.content import peek_head
from huying.node.store.database import lock_database, sqlite_url
from huying.node.store.projection_check import check_projections
from huying.node.store.projection_rebuild import rebuild
from huying.node.store.rows import feed_from_row, feed_row
from huying.node.store.schema import (
    CHECKPOINTS,
    ENTRIES,
    ERASED,
    FEEDS,
    REQUESTS,
    entry_place,
)
from huying.node.store.store import SqlStore

__all__ = ["repair", "repair_store"]


def repair(config: Config) -> RepairReport:
    """Repair the node's store, if it needs it.

    Raises HuyingError: NODE_RUNNING, NOT_FOUND where there is no database, CORRUPT where nothing of
    it can be read, DISK_FULL, STORE_FAILED.
    """
    report = RepairReport()
    path = config.database_file
    if not path.exists():
        raise HuyingError(Code.NOT_FOUND, f"no database at {path}")
    _repair_pages(path, report)
    store = SqlStore.open(sqlite_url(path))
    try:
        with store.transaction():
            store.add_erased(_erased(config, report))
            repair_store(store, config.node.code, lambda: _keys(config, store), report)
        _list_erased(config, store.erased())
    finally:
        store.close()
    _files(config, report)
    return report


def _erased(config: Config, report: RepairReport) -> list[Span]:
    """What the list beside the database says was erased: it counts, whatever the database lost."""
    try:
        return FileErasureList(config.erasures_file).read()
    except HuyingError as error:
        if error.code is not Code.CORRUPT:
            raise
        file = config.erasures_file
        report.remains(
            "erasures",
            f"{file} 已损坏:移走后再运行一次,由数据库补写",
            f"{file} is damaged: move it away and run this again; the database knows the list, too",
        )
        return []


def _list_erased(config: Config, spans: list[Span]) -> None:
    erasures = FileErasureList(config.erasures_file)
    with contextlib.suppress(HuyingError):  # damaged: said above
        listed = set(erasures.read())
        if unlisted := [span for span in spans if span not in listed]:
            erasures.append(unlisted)


def _repair_pages(path: Path, report: RepairReport) -> None:
    lock = lock_database(path)
    try:
        if is_readable(path):
            return
        aside, count = salvage(path, time.time())
    finally:
        os.close(lock)
    report.mended(
        "database",
        f"数据库页已损坏:{count} 行抄入新库,旧库留在 {aside}",
        f"damaged pages: {count} rows were copied into a new database; the old one is {aside}",
    )
    report.remains(
        "database",
        f"一切正常后安全删除 {aside}:其中有个人信息",
        f"once all is well destroy {aside}: it holds personal data",
    )


def _keys(config: Config, store: SqlStore) -> KnownKeys:
    try:
        return known_keys(config, store)
    except HuyingError as error:
        if error.code is not Code.KEY:
            raise
        return KnownKeys()


def repair_store(store: SqlStore, code: str, keys: Any, report: RepairReport) -> None:
    """Steps 2 to 4, within the running transaction. `keys()` gives the keys known by then."""
    now = time.time()
    with store.reading() as connection:
        rows = _feed_rows(connection, report)
        for row in rows:
            known: KnownKeys = keys()
            repaired = FeedRepair(store, row, code, known.feeds, known.witnesses, report, now)
            repaired.run()
        _repair_lists(connection, store, code, report)
        wrong: list[str] = []
        check_projections(store, lambda where, what: wrong.append(f"{where}: {what}"))
        if wrong:
            rebuild(store)
            zh = f"投影重建:原有 {len(wrong)} 处不符"
            en = f"the projections made anew: {len(wrong)} rows did not say what the entries say"
            report.mended("projections", zh, en)


# The list of feeds.


def _feed_rows(connection: Connection, report: RepairReport) -> list[FeedState]:
    """Every feed's row, nearest the root first; made anew from notes where it does not parse."""
    rows: dict[int, FeedState] = {}
    for row in connection.execute(select(FEEDS)).fetchall():
        try:
            state = feed_from_row(row)
            parse_origin(state.origin)
            state = _named(connection, state, report)
            if tuple(row) != feed_row(state):
                _put_row(connection, state)
                zh, en = "登记行更正", "the feed's row put right"
                report.mended(state.origin, zh, en)
            rows[state.feed_id] = state
        except (HuyingError, TypeError, AttributeError):
            connection.execute(delete(FEEDS).where(FEEDS.c.feed_id == row[0]))
            report.mended(
                "feeds", "数据流的登记行已损坏,重建", "a feed's row is damaged: made anew"
            )
    for feed_id, origin in _noted(connection):
        if feed_id not in rows and origin not in {state.origin for state in rows.values()}:
            rows[feed_id] = FeedState(feed_id=feed_id, origin=origin)
            _put_row(connection, rows[feed_id])
    _drop_orphans(connection, set(rows), report)
    return sorted(
        rows.values(), key=lambda row: (level(parse_origin(row.origin).code), row.feed_id)
    )


def _put_row(connection: Connection, state: FeedState) -> None:
    connection.execute(delete(FEEDS).where(FEEDS.c.feed_id == state.feed_id))
    connection.execute(
        FEEDS.insert().values(dict(zip(FEEDS.c.keys(), feed_row(state), strict=True)))
    )


def _named(connection: Connection, state: FeedState, report: RepairReport) -> FeedState:
    """The row under the name that its notes bear."""
    names = {origin for feed_id, origin in _noted(connection) if feed_id == state.feed_id}
    if len(names) == 1 and state.origin not in names:
        (name,) = names
        report.mended("feeds", f"数据流名更正为 {name}", f"the name of {name} put right")
        return FeedState(feed_id=state.feed_id, origin=name)
    return state


def _noted(connection: Connection) -> Iterator[tuple[int, str]]:
    """(feed id, origin) as the newest checkpoints say."""
    seen: set[tuple[int, str]] = set()
    query = select(CHECKPOINTS.c.feed_id, CHECKPOINTS.c.note)
    votes: dict[int, dict[str, int]] = {}
    for feed_id, note in connection.execute(query):
        try:
            origin = parse_checkpoint(parse_note(note).text).origin
        except (HuyingError, TypeError, AttributeError):
            continue
        of_feed = votes.setdefault(feed_id, {})
        of_feed[origin] = of_feed.get(origin, 0) + 1
    for feed_id, of_feed in votes.items():
        seen.add((feed_id, max(of_feed, key=lambda origin: of_feed[origin])))
    yield from sorted(seen)


def _drop_orphans(connection: Connection, feeds: set[int], report: RepairReport) -> None:
    dropped = 0
    for table in BY_FEED:
        dropped += connection.execute(
            delete(table).where(table.c.feed_id.not_in(sorted(feeds)))
        ).rowcount
    last = -(2**63)
    for feed_id in (*sorted(feeds), None):
        stop = 2**63 - 1 if feed_id is None else entry_place(feed_id, 0)
        dropped += connection.execute(
            delete(ENTRIES).where(ENTRIES.c.place >= last, ENTRIES.c.place < stop)
        ).rowcount
        last = 0 if feed_id is None else entry_place(feed_id + 1, 0)
    if dropped:
        zh, en = f"删除 {dropped} 行无主数据", f"{dropped} rows of no feed dropped"
        report.mended("database", zh, en)


# What speaks about the feeds.


def _repair_lists(connection: Connection, store: SqlStore, code: str, report: RepairReport) -> None:
    for feed in store.feeds():
        mend_quarantine(connection, store, feed)
    own = [feed for feed in store.feeds() if parse_origin(feed.origin).code == code]
    dropped = 0
    for row in store.select(select(REQUESTS)):
        if not any(_wrote(store, feed, row) for feed in own):
            connection.execute(delete(REQUESTS).where(REQUESTS.c.request_id == row.request_id))
            dropped += 1
    if dropped:
        zh = f"删除 {dropped} 个损坏的请求号"
        en = f"{dropped} damaged request numbers dropped: repeated, they would write anew"
        report.mended("requests", zh, en)
    for span in store.erased():
        if not 0 <= span.start < span.stop <= TREE_SIZE_MAX:
            connection.execute(
                delete(ERASED).where(ERASED.c.origin == span.origin, ERASED.c.start == span.start)
            )


def _wrote(store: SqlStore, feed: FeedState, request: Row[Any]) -> bool:
    """Whether the entry that a request wrote is in this feed, and of the record it says."""
    index = request.idx
    if request.feed_id != feed.feed_id or not isinstance(index, int):
        return False
    return any(
        peek_head(entry.openings).record in (request.record, b"")
        for entry in store.entries(feed.feed_id, max(index, 0), index + 1)
    )


def _files(config: Config, report: RepairReport) -> None:
    """What lies beside the database is the operator's: it is only named."""
    from huying.node.highwater import FileMark, host_id

    try:
        FileMark(config.mark_file, host_id()).read()
    except HuyingError:
        report.remains(
            "mark",
            f"{config.mark_file} 已损坏:移走后启动,节点先向上级核对再写入",
            f"{config.mark_file} is damaged: move it away and start; the node asks its parent"
            " first, and writes after that",
        )
