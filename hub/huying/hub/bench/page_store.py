"""The nodes whose pages are timed: real folders and keys over databases that were filled at once.

A county with every call of `huying.hub.bench.call_store`, an event for each of them and 20,000
hotline orders; one town of 25 with its share; one village with its ledger. Records go through the
store's own projections. Each tree is whole (frontier, subtrees), and the node's own feed is signed,
so that ordinary nodes run over these databases and append to them.
"""

from __future__ import annotations

import json
import random
import shutil
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple

from google.protobuf.message import Message

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
from huying.hub.bench.call_store import COUNTY, NETWORK, NOW_MICROS, Size, build, event_of
from huying.hub.demo.people import village_drafts
from huying.hub.fleet import Fleet, Member, Place, free_addresses
from huying.node.config import Config
from huying.node.highwater import FileMark, host_id
from huying.node.keys import load_feed_key
from huying.node.membership.enrol import init_node
from huying.node.store.database import sqlite_url
from huying.node.store.schema import SCHEMA_REVISION, entry_place
from huying.node.store.store import SqlStore
from huying.wire.v1 import feed_pb2, hotline_pb2, records_pb2

__all__ = ["CALLING_TOWN", "TOWN", "VILLAGE", "build_nodes"]

TOWN, VILLAGE = "370830100000", "370830100201"
CALLING_TOWN: Final = "370830130000"  # joined to the county, empty: it calls while a queue is open
VILLAGES: Final = 10  # of each town
HOUSEHOLDS: Final = 1_050
VISITS: Final = 2_000
_VERSION: Final = 3  # of what is built: raise it where that changes
_BATCH: Final = 5_000
_MINUTE: Final = 60 * 10**6
_SPAN: Final = 240 * 24 * 60 * _MINUTE  # eight months
_REPORTED: Final = 20  # events of each village that wait there
_EVENTS: Final = (
    ("道路", "村口路灯不亮", "晚上放学路段没有灯,已核实位置,请安排检修。"),
    ("环境", "沟渠边倾倒垃圾", "约两车,夜间倾倒,已拉警戒线。"),
    ("矛盾纠纷", "两户因排水沟走向争执", "已初步劝解,需再调解。"),
    ("安全隐患", "废弃机井无盖板", "井口直径约半米,靠近小路,已设围挡。"),
    ("民生服务", "独居老人家中断电", "线路老化,家中无人会修。"),
)


class _Record(NamedTuple):
    type: int
    record: bytes
    message: Message
    time_micros: int


@dataclass(frozen=True, slots=True)
class _Shape:
    """What one node is filled with."""

    place: Place
    size: Size
    towns: int
    orders: int
    households: int = 0


def _shapes(calls: int) -> tuple[_Shape, ...]:
    orders, share = calls // 13, max(calls // 25, 20)
    people = HOUSEHOLDS if calls >= 10_000 else 40
    town, village = Size(share, towns=1), Size(max(share // VILLAGES, 20), towns=1)
    return (
        _Shape(Place(COUNTY, "汶上县", None), Size(calls), 25, orders),
        _Shape(Place(TOWN, "示例镇", None), town, 1, orders // 25),
        _Shape(Place(VILLAGE, "示例村", None), village, 1, orders // 250 + 20, people),
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


def _make(folder: Path, shape: _Shape) -> Member:
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
        _fill(_Filler(store), shape)
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

    def add(self, home: str, records: Iterable[_Record]) -> None:
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
    feed: FeedState, home: str, prefix: bytes, index: int, one: _Record
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


def _fill(filler: _Filler, shape: _Shape) -> None:
    chance = random.Random(shape.place.code)
    towns = [shape.size.town(number) for number in range(shape.towns)]
    villages = [f"{town[:9]}{201 + n}" for town in towns for n in range(VILLAGES)]
    for number, home in enumerate((*towns, *villages)):
        name = f"示例镇{number}" if home in towns else f"示例村{number}"
        division = records_pb2.Division(code=home, name=name)
        record = _Record(
            feed_pb2.RECORD_TYPE_DIVISION, chance.randbytes(16), division, NOW_MICROS - _SPAN
        )
        filler.add(home, [record])
    for village in villages:
        filler.add(village, _events(filler, chance, village, at_home=village == shape.place.code))
    _add_orders(filler, chance, [*towns, *villages], shape)
    if shape.households:
        _add_ledger(filler, chance, shape)


def _events(
    filler: _Filler, chance: random.Random, village: str, *, at_home: bool
) -> Iterator[_Record]:
    """The event of each of the village's calls, and today's that nobody called about."""
    for call, at, is_open in filler.calls(village):
        called = records_pb2.EVENT_STATUS_CALLED if is_open else records_pb2.EVENT_STATUS_SETTLED
        yield _event(chance, village, event_of(call), at - 30 * _MINUTE, called, at_home=at_home)
    for number in range(_REPORTED):
        at = NOW_MICROS - (number + 1) * 40 * _MINUTE
        record, reported = chance.randbytes(16), records_pb2.EVENT_STATUS_REPORTED
        yield _event(chance, village, record, at, reported, at_home=at_home)


def _event(
    chance: random.Random, village: str, record: bytes, at: int, status: int, *, at_home: bool
) -> _Record:
    category, title, text = chance.choice(_EVENTS)
    event = records_pb2.Event(
        category=category,
        descriptor=title,
        grid=f"{village}{chance.randrange(1, 5):03}",
        status=records_pb2.EventStatus.ValueType(status),
        reported_micros=at,
        settled_micros=at + 600 * _MINUTE if status == records_pb2.EVENT_STATUS_SETTLED else 0,
        description_public=text,
        source="网格巡查",
    )
    if at_home:
        event.address, event.description_full = "中心街北侧", f"{text}报告人愿意带路。"
        event.reporter_name, event.reporter_phone = "生成甲", "16000000000"
    return _Record(feed_pb2.RECORD_TYPE_EVENT, record, event, at)


def _add_orders(
    filler: _Filler, chance: random.Random, handlers: Sequence[str], shape: _Shape
) -> None:
    orders: list[_Record] = []
    results: dict[str, list[_Record]] = {}
    for number in range(shape.orders):
        handler, record = chance.choice(handlers), chance.randbytes(16)
        category, title, text = chance.choice(_EVENTS)
        created = NOW_MICROS - _MINUTE - chance.randrange(_SPAN)
        order = hotline_pb2.Order(
            source="12345",
            source_id=f"HL{number:06}",
            handler=handler,
            category=category,
            descriptor=title,
            description=f"来电反映:{text}",
            agency="市热线中心",
            created_micros=created,
            due_micros=created + 5 * 24 * 60 * _MINUTE,
        )
        if orders and chance.random() < 0.03:
            order.near_duplicate_of = orders[-1].record
        orders.append(_Record(feed_pb2.RECORD_TYPE_ORDER, record, order, created))
        if chance.random() < 0.9:
            settled = chance.random() < 0.93
            taken, done = hotline_pb2.ORDER_STATUS_TAKEN, hotline_pb2.ORDER_STATUS_SETTLED
            result = hotline_pb2.OrderResult(
                order=record,
                order_home=COUNTY,
                status=done if settled else taken,
                text="已到现场处理完毕,并回电告知。" if settled else "",
                actor="村-文书-01",
            )
            at = min(created + chance.randrange(6 * 24 * 60 * _MINUTE), NOW_MICROS - _MINUTE)
            told = _Record(feed_pb2.RECORD_TYPE_ORDER_RESULT, record, result, at)
            results.setdefault(handler, []).append(told)
    filler.add(COUNTY, orders)
    for handler, records in results.items():
        filler.add(handler, records)


def _add_ledger(filler: _Filler, chance: random.Random, shape: _Shape) -> None:
    home, began = shape.place.code, NOW_MICROS - _SPAN
    drafts = village_drafts(
        home, households=shape.households, seed=1, today=date(2026, 9, 2), grid_households=250
    )
    people = [_Record(one.type, one.record, one.message, began) for one in drafts]
    filler.add(home, people)
    homes = [one for one in people if one.type == feed_pb2.RECORD_TYPE_HOUSEHOLD]
    visits = []
    for at in sorted(began + chance.randrange(_SPAN) for _ in range(VISITS)):
        household = chance.choice(homes)
        visit = records_pb2.Visit(
            grid=household.message.grid,  # type: ignore[attr-defined]  # it is a Household
            visited_micros=at,
            kind=records_pb2.VISIT_KIND_HOUSEHOLD,
            household=household.record,
            actor="村-网格-01",
            text="入户走访,了解近况。",
        )
        visits.append(_Record(feed_pb2.RECORD_TYPE_VISIT, chance.randbytes(16), visit, at))
    filler.add(home, visits)


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
