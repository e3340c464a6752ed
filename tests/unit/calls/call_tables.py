"""Stores that heard of calls in any order, and what their tables say.

The entries are those of a desk (`tests.support.call_desk`), with true commitments; what a desk does
not give stands as a leaf hash, as it does where it is withheld.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from huying.common.codes import parse_origin
from huying.common.feed.leaf import commitment, commitment_prefix, encode_leaf, pack_openings
from huying.common.feed.leaf import make_opening as opening_of
from huying.common.state import Applied, FeedState, StoredEntry
from huying.node.store.schema import CALL_STEPS, CALL_TURNS, CALLS
from huying.node.store.store import SqlStore
from huying.wire.v1 import calls_pb2, feed_pb2, policy_pb2
from tests.support.call_desk import COUNTY, ONE, Desk, feed_of

OCTOBER = 1_792_720_800.0  # Friday, 2026-10-23, 10:00 in Beijing
SLOTS = b"\x00\x03"

_TYPES = {
    calls_pb2.Call: feed_pb2.RECORD_TYPE_CALL,
    calls_pb2.CallStep: feed_pb2.RECORD_TYPE_CALL_STEP,
    policy_pb2.Policy: feed_pb2.RECORD_TYPE_POLICY,
}


class Entry(NamedTuple):
    """One entry about a call, wherever it was written."""

    origin: str
    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody calls
    record: bytes
    message: Any
    time_micros: int

    def applied(self, feed_id: int, message: Any = None, erased: bytes = b"") -> Applied:
        is_step = isinstance(self.message, calls_pb2.CallStep)
        head = feed_pb2.Head(
            kind=feed_pb2.KIND_STEP if is_step else feed_pb2.KIND_PUT,
            type=_TYPES[type(self.message)],
            record=self.record,
            time_micros=self.time_micros,
        )
        origin = parse_origin(self.origin)
        place = feed_id, origin.code, origin.epoch, self.index
        shown = self.message if message is None else message
        present = bytes(slot for slot in SLOTS if slot not in erased)
        return Applied(*place, head, SLOTS, present, shown, erased)

    def stored(self) -> StoredEntry:
        """With the leaf that commits to its openings."""
        bodies = self.applied(1).head.SerializeToString(), self.message.SerializeToString()
        openings = [
            opening_of(slot, b"s" * 16, body) for slot, body in zip(SLOTS, bodies, strict=True)
        ]
        prefix = commitment_prefix(self.origin)
        leaf = encode_leaf(SLOTS, [commitment(prefix, opening) for opening in openings])
        return StoredEntry(leaf, None, pack_openings(openings))


def entries_of(desk: Desk) -> list[Entry]:
    """Everything about calls that was written, in the order of writing at each node."""
    proposed = [
        Entry(
            one.origin,
            one.index,
            one.call if isinstance(one.message, calls_pb2.Call) else bytes([255, one.index]) * 8,
            one.message,
            1_700_000_000_000_000 + one.index,
        )
        for one in desk.arrived
    ]
    own = [
        Entry(
            feed_of(COUNTY),
            one.place,
            bytes([254, one.place % 256]) * 8,
            one.message,
            one.time_micros,
        )
        for one in desk.written
        if isinstance(one.message, calls_pb2.CallStep)
    ]
    return proposed + own


def new_store(entries: Sequence[Entry], url: str = "sqlite://") -> tuple[SqlStore, dict[str, int]]:
    """A store that holds these entries and has not applied them; and its feeds' numbers."""
    store = SqlStore.open(url)
    feeds: dict[str, int] = {}
    with store.transaction():
        for origin in sorted({entry.origin for entry in entries}):
            feed_id = store.create_feed(origin).feed_id
            held = {entry.index: entry.stored() for entry in entries if entry.origin == origin}
            size = max(held) + 1
            withheld = StoredEntry(None, b"h" * 32, b"")
            store.add_entries(feed_id, 0, [held.get(at, withheld) for at in range(size)])
            store.put_feed(FeedState(feed_id=feed_id, origin=origin, size=size))
            feeds[origin] = feed_id
    return store, feeds


def told(
    entries: Sequence[Entry], order: Sequence[int] | None = None, cuts: Collection[int] = ()
) -> SqlStore:
    """A store that applied the entries in this order, in transactions cut after these places."""
    store, feeds = new_store(entries)
    places = range(len(entries)) if order is None else order
    batch: list[Applied] = []
    for at, number in enumerate(places):
        batch.append(entries[number].applied(feeds[entries[number].origin]))
        if at in cuts or at == len(places) - 1:
            with store.transaction():
                store.apply(batch)
            batch = []
    return store


def tables(store: SqlStore) -> list[list[tuple[Any, ...]]]:
    """The rows of every table of calls, sorted."""
    with store.reading() as connection:
        return [
            sorted(map(tuple, connection.execute(table.select())))
            for table in (CALLS, CALL_STEPS, CALL_TURNS)
        ]


def shown(store, call: bytes = ONE) -> tuple:
    """The call's row and its steps, which are here."""
    found = store.get_call(call)
    assert found is not None
    return found
