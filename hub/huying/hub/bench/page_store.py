"""The nodes whose pages are timed: real folders and keys over databases that were filled at once.

A county with every call of `huying.hub.bench.call_store`, an event for each of them and 20,000
hotline orders; one town of 25 with its share; one village with its ledger. Records go through the
store's own projections. Each tree is whole (frontier, subtrees), and the node's own feed is signed,
so that ordinary nodes run over these databases and append to them.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterable
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Final

from huying.common import codes
from huying.common.feed.audience import split
from huying.common.feed.checkpoint import Checkpoint, sign_checkpoint
from huying.common.feed.leaf import (
    HEAD_SLOT,
    commitment,
    commitment_prefix,
    encode_leaf,
    make_opening,
    pack_openings,
)
from huying.common.feed.merkle import CompactRange, append, leaf_hashes, root
from huying.common.state import Applied, FeedState, StoredCheckpoint, StoredEntry
from huying.hub.bench.call_store import COUNTY, NETWORK, Size, build
from huying.hub.bench.page_records import VILLAGES, Record, Shape, fill
from huying.hub.fleet import Fleet, Member, Place, free_addresses
from huying.node.config import Config
from huying.node.highwater import FileMark, host_id
from huying.node.keys import load_feed_key
from huying.node.membership.enrol import init_node
from huying.node.store.database import sqlite_url
from huying.node.store.schema import SCHEMA_REVISION, entry_place
from huying.node.store.store import SqlStore
from huying.wire.v1 import feed_pb2

__all__ = ["CALLING_TOWN", "TOWN", "VILLAGE", "build_nodes"]

TOWN, VILLAGE = "370830100000", "370830100201"
CALLING_TOWN: Final = "370830130000"  # joined to the county, empty: it calls while a queue is open
HOUSEHOLDS: Final = 1_050
_VERSION: Final = 3  # of what is built: raise it where that changes
_BATCH: Final = 5_000


def _shapes(calls: int) -> tuple[Shape, ...]:
    orders, share = calls // 13, max(calls // 25, 20)
    people = HOUSEHOLDS if calls >= 10_000 else 40
    town, village = Size(share, towns=1), Size(max(share // VILLAGES, 20), towns=1)
    return (
        Shape(Place(COUNTY, "汶上县", None), Size(calls), 25, orders),
        Shape(Place(TOWN, "示例镇", None), town, 1, orders // 25),
        Shape(Place(VILLAGE, "示例村", None), village, 1, orders // 250 + 20, people),
    )


def build_nodes(folder: Path, calls: int) -> tuple[Fleet, bool]:
    """The nodes at rest, built unless the folder has them; and whether they were built now.

    The calls' own database is taken from, or kept in, `calls-N` beside the folder. Raises
    HuyingError as `init_node` and the store.
    """
    wanted = {"calls": calls, "schema": SCHEMA_REVISION, "version": _VERSION}
    done = folder / "built.json"
    fleet = Fleet(folder, NETWORK)
    shapes = _shapes(calls)
    if done.exists() and json.loads(done.read_text()) == wanted:
        for code, name in (*((s.place.code, s.place.name) for s in shapes), _CALLING):
            fleet.members[code] = Member(Place(code, name, None), folder / code)
        return fleet, False
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for shape in shapes:
        fleet.members[shape.place.code] = _make(folder, shape)
    fleet.make([Place(*_CALLING, COUNTY)])
    done.write_text(json.dumps(wanted))
    return fleet, True


_CALLING: Final = (CALLING_TOWN, "来呼镇")


def _make(folder: Path, shape: Shape) -> Member:
    place = shape.place
    sync, api, metrics, console = free_addresses(4)
    config = init_node(
        folder / place.code,
        network=NETWORK,
        code=place.code,
        name=place.name,
        sync_listen=sync if codes.level(place.code) < codes.Level.VILLAGE else None,
        api_listen=api,
        metrics_listen=metrics,
        console_listen=console,
    ).config
    # The console's process is the bench's to start: each page is asked for by a new one.
    with config.file.open("a") as file:
        file.write("by_node = false\n")
    whole = shape.size == Size(shape.size.calls)  # that the bench of calls has, too
    kept = folder.parent / f"calls-{shape.size.calls}" if whole else folder / "calls"
    calls_file, _ = build(kept, shape.size)
    shutil.copyfile(calls_file, config.database_file)
    config.database_file.chmod(0o600)
    _drop_rival(config.database_file)
    store = SqlStore.open(sqlite_url(config.database_file))
    try:
        fill(_Filler(store), shape)
        _seal(store, config)
    finally:
        store.close()
    return Member(place, folder / place.code)


def _drop_rival(file: Path) -> None:
    """No node has these tables, and the pages read none of them."""
    connection = sqlite3.connect(file)
    connection.executescript("DROP TABLE rival_calls; DROP TABLE rival_steps;")
    connection.close()


class _Filler:
    """Adds records to feeds; the trees come afterwards (`_seal`)."""

    def __init__(self, store: SqlStore) -> None:
        self._store = store
        self._feeds = {codes.parse_origin(f.origin).code: f for f in store.feeds()}

    def calls(self, village: str) -> list[tuple[bytes, int, int]]:
        """(id, when it was raised, whether it is open) of a village's calls, oldest first."""
        with self._store.connection() as connection:
            rows = connection.exec_driver_sql(
                "SELECT record, raised_micros, open FROM calls WHERE home = ? AND village = ?"
                " ORDER BY raised_micros",
                (f"{village[:9]}000", village),
            )
            return [tuple(row) for row in rows]

    def add(self, home: str, records: Iterable[Record]) -> None:
        """Write them at the end of the home's feed."""
        waiting = iter(records)
        while batch := list(islice(waiting, _BATCH)):
            with self._store.transaction():
                feed = self._feeds.get(home) or self._store.create_feed(
                    codes.origin(NETWORK, home, 1)
                )
                entries, applied = [], []
                prefix = commitment_prefix(feed.origin)
                for index, one in enumerate(batch, feed.size):
                    entry, seen = _entry(feed, home, prefix, index, one)
                    entries.append(entry)
                    applied.append(seen)
                self._store.add_entries(feed.feed_id, feed.size, entries)
                self._store.apply(applied)
                feed = replace(feed, size=feed.size + len(batch))
                self._store.put_feed(feed)
                self._feeds[home] = feed


def _entry(
    feed: FeedState, home: str, prefix: bytes, index: int, one: Record
) -> tuple[StoredEntry, Applied]:
    head = feed_pb2.Head(
        kind=feed_pb2.KIND_PUT, type=one.type, record=one.record, time_micros=one.time_micros
    )
    bodies = [(HEAD_SLOT, head.SerializeToString())]
    bodies += split(one.message, int(codes.level(home)))
    openings = [make_opening(slot, one.record, body) for slot, body in bodies]
    slots = [slot for slot, _ in bodies]
    leaf = encode_leaf(slots, [commitment(prefix, opening) for opening in openings])
    present = bytes(slots)
    applied = Applied(feed.feed_id, home, 1, index, head, present, present, one.message)
    return StoredEntry(leaf, None, pack_openings(openings)), applied


def _seal(store: SqlStore, config: Config) -> None:
    """Give every feed its tree; the node's own one its checkpoint and its mark."""
    own = codes.origin(NETWORK, config.node.code, 1)
    signer = load_feed_key(config.keys_dir, NETWORK, config.node.code, 1)
    with store.transaction():
        if own not in {feed.origin for feed in store.feeds()}:
            store.create_feed(own)
        for feed in store.feeds():
            tree = CompactRange(0, 0, ())
            while tree.stop < feed.size:
                tree, subtrees = append(tree, leaf_hashes(_leaves(store, feed, tree.stop)))
                store.add_subtrees(feed.feed_id, subtrees)
            sealed = replace(feed, frontier=tree.hashes)
            if feed.origin == own and feed.size:
                digest = root(tree)
                note = sign_checkpoint(signer, Checkpoint(own, feed.size, digest))
                head = StoredCheckpoint(feed.size, digest, note)
                store.put_checkpoint(feed.feed_id, head)
                sealed = replace(sealed, head=head)
                FileMark(config.mark_file, host_id()).write(own, feed.size, digest)
            store.put_feed(sealed)


def _leaves(store: SqlStore, feed: FeedState, start: int) -> list[bytes]:
    first = entry_place(feed.feed_id, start)
    last = entry_place(feed.feed_id, min(start + 100_000, feed.size))
    with store.connection() as connection:
        rows = connection.exec_driver_sql(
            "SELECT leaf FROM entries WHERE place >= ? AND place < ? ORDER BY place", (first, last)
        )
        return [row[0] for row in rows]
