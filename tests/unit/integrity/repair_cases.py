"""Databases of the three nodes that are damaged on purpose, mended, looked at, and run again."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from huying.node.integrity import fsck
from huying.node.integrity.fsck_report import FsckReport
from huying.node.integrity.known_keys import KnownKeys
from huying.node.integrity.repair import repair_store
from huying.node.integrity.repair_report import RepairReport
from huying.node.store.database import sqlite_url
from huying.node.store.store import SqlStore
from tests.support.tiny_network import COUNTY, TOWN, VILLAGE, TinyNetwork, identity

__all__ = [
    "CODES",
    "EVENTS",
    "FEED_ID",
    "FEED_ROW",
    "IN_FEED",
    "VILLAGE_FEED",
    "content",
    "entries",
    "entry",
    "known",
    "leaves",
    "mend",
    "network_in",
    "roots",
    "run_again",
    "tamper",
    "verdict",
]

CODES = (COUNTY, TOWN, VILLAGE)
VILLAGE_FEED = identity(VILLAGE).origin
EVENTS = 600


def known() -> KnownKeys:
    keys = KnownKeys()
    for code in CODES:
        keys.add(str(identity(code).feed_signer.key))
        keys.add(str(identity(code).witness_signer.key))
    return keys


def network_in(folder: Path) -> TinyNetwork:
    return TinyNetwork(lambda code: sqlite_url(folder / f"{code}.db"))


def content(file: Path) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table, but for when something was noticed."""
    with closing(sqlite3.connect(file)) as connection:
        names = [
            row[0]
            for row in connection.execute("SELECT name FROM sqlite_schema WHERE type='table'")
        ]
        found = {}
        for name in names:
            rows = connection.execute(f"SELECT * FROM {name}").fetchall()
            found[name] = sorted(rows, key=repr)
    return found


def tamper(file: Path, *statements: str) -> None:
    with closing(sqlite3.connect(file)) as connection, connection:
        for sql in statements:
            assert connection.execute(sql).rowcount > 0, sql


def mend(file: Path, code: str) -> RepairReport:
    report = RepairReport()
    store = SqlStore.open(sqlite_url(file))
    try:
        with store.transaction():
            repair_store(store, code, known, report)
    finally:
        store.close()
    return report


def verdict(file: Path, code: str) -> FsckReport:
    store = SqlStore.open(sqlite_url(file))
    try:
        keys = known()
        return fsck.check(store, keys.feeds, keys.witnesses.values(), code)
    finally:
        store.close()


FEED_ID = f"(SELECT feed_id FROM feeds WHERE origin = '{VILLAGE_FEED}')"
FEED_ROW = f"origin = '{VILLAGE_FEED}'"
IN_FEED = f"feed_id = {FEED_ID}"


def entry(index: int) -> str:
    return f"place = ({FEED_ID} << 40) + {index}"


def entries(first: int, last: int) -> str:
    return f"place BETWEEN ({FEED_ID} << 40) + {first} AND ({FEED_ID} << 40) + {last}"


def run_again(folder: Path, check: Callable[[TinyNetwork], None] | None = None) -> None:
    """The three nodes over the mended databases, until all is quiet; time passes for retries."""
    network = network_in(folder)
    network.clock.seconds = time.time()  # the repair's clock is this machine's
    try:
        for _ in range(6):
            network.clock.seconds += 30
            network.run()
        if check is not None:
            check(network)
    finally:
        network.close()


def leaves(file: Path, origin: str = VILLAGE_FEED) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(file)) as connection:
        sql = "SELECT leaf, leaf_hash, openings FROM entries WHERE place >> 40 = "
        sql += "(SELECT feed_id FROM feeds WHERE origin = ?) ORDER BY place"
        return connection.execute(sql, (origin,)).fetchall()


def roots(network: TinyNetwork) -> set[bytes]:
    return {
        engine.replica.root_at(feed, feed.size)
        for engine in network.engines.values()
        for origin, feed in engine.replica.feeds.items()
        if origin == VILLAGE_FEED
    }
