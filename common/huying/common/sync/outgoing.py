"""Cutting segments: what one peer gets of a feed, from where it stands.

The peer gets the openings that the disclosure rule allows it, and the leaf hash of every entry
that is withheld from it whole. A cut ends at a signed checkpoint that was kept wherever one lies
within the limits, since only a checkpoint held whole can be cosigned; elsewhere the segment carries
the compact range up to the newest checkpoint as its `rest`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from huying.common.codes import Level, Origin, level, parse_origin
from huying.common.disclosure import view
from huying.common.feed.leaf import BODY_OFFSET, leaf_slots, unpack_openings
from huying.common.feed.merkle import CompactRange, SubtreeReader, leaf_hash, merge, range_hashes
from huying.common.limits import SEGMENT_ENTRIES_MAX
from huying.common.ports import Store
from huying.common.state import FeedState, StoredCheckpoint, StoredEntry
from huying.wire.v1 import feed_pb2

__all__ = ["Cut", "any_readable", "cut_segment", "disclosed_entry", "entry_hash", "tree_reader"]

_GLANCE_ENTRIES = 16  # read first: in most feeds one of the next entries is readable
_NO_SELECTORS: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Cut:
    """A segment ready to be sent."""

    segment: feed_pb2.Segment
    stop: int  # index after its last entry
    readable: int  # entries in it that the peer may read


def tree_reader(store: Store, feed_id: int) -> SubtreeReader:
    """The perfect subtrees of a stored feed, each computed from at most 256 hashes a level."""

    def leaves(start: int, stop: int) -> list[bytes]:
        return [entry_hash(entry) for entry in store.entries(feed_id, start, stop)]

    def stored(level_: int, start: int, stop: int) -> list[bytes]:
        return store.subtrees(feed_id, level_, start, stop)

    return SubtreeReader(leaves, stored)


def entry_hash(entry: StoredEntry) -> bytes:
    """The RFC 6962 leaf hash of a stored entry."""
    if entry.leaf is not None:
        return leaf_hash(entry.leaf)
    assert entry.leaf_hash is not None
    return entry.leaf_hash


def disclosed_entry(
    entry: StoredEntry, reader: str, origin: Origin, granted: bytes = b""
) -> tuple[bytes, Sequence[bytes]] | None:
    """The leaf and the openings that `reader` may have of a stored entry, or None.

    None where the entry is withheld from the reader whole, or this node has no head to judge by.
    `granted` are the slots that a disclosure opens; the head goes with them.
    """
    leaf, _, packed = entry
    if leaf is None or not packed:
        return None
    openings = unpack_openings(packed)
    if openings[0][0] != 0:
        return None
    to = _NO_SELECTORS
    if level(origin.code) != Level.VILLAGE:  # a village addresses nobody
        to = tuple(feed_pb2.Head.FromString(openings[0][BODY_OFFSET:]).to)
    readable = view(reader, origin.code, leaf_slots(leaf), to).readable
    if granted and any(opening[0] in granted for opening in openings):
        readable = bytes({0, *readable, *granted})
    if not readable:
        return None
    if len(openings) != len(readable) or any(o[0] not in readable for o in openings):
        openings = [opening for opening in openings if opening[0] in readable]
    return leaf, openings


def any_readable(store: Store, feed: FeedState, reader: str, start: int) -> bool:
    """Whether `reader` may read anything of the entries from `start` on."""
    origin = parse_origin(feed.origin)
    width = _GLANCE_ENTRIES
    while start < feed.size:
        stop = min(start + width, feed.size)
        for entry in store.entries(feed.feed_id, start, stop):
            if disclosed_entry(entry, reader, origin) is not None:
                return True
        start, width = stop, SEGMENT_ENTRIES_MAX
    return False


def _fill(
    store: Store, feed: FeedState, reader: str, start: int, stop: int, bytes_max: int
) -> tuple[list[tuple[bytes, Sequence[bytes] | None]], int]:
    """(leaf and openings, or leaf hash and None) of entries from `start`, within `bytes_max`.

    At least one entry, at most up to `stop`; and the index after the last.
    """
    origin = parse_origin(feed.origin)
    taken: list[tuple[bytes, Sequence[bytes] | None]] = []
    size_bytes = 0
    for entry in store.entries(feed.feed_id, start, stop):
        given = disclosed_entry(entry, reader, origin)
        if given is None:
            size_bytes += 32
            taken_entry: tuple[bytes, Sequence[bytes] | None] = (entry_hash(entry), None)
        else:
            size_bytes += len(given[0]) + sum(map(len, given[1]))
            taken_entry = given
        if taken and size_bytes > bytes_max:
            break
        taken.append(taken_entry)
    return taken, start + len(taken)


def _newest_checkpoint(
    store: Store, feed: FeedState, above: int, upto: int
) -> StoredCheckpoint | None:
    """The newest kept checkpoint with above < size <= upto."""
    if feed.head is not None and above < feed.head.size <= upto:
        return feed.head
    found = store.checkpoints(feed.feed_id, above, upto, newest_first=True, limit=1)
    return found[0] if found else None


def cut_segment(
    store: Store, feed: FeedState, reader: str, start: int, bytes_max: int, announced: int = 0
) -> Cut | None:
    """The next segment for `reader`, which holds `start` entries; None where there is nothing.

    `announced` is the newest checkpoint size that the reader was shown on this link: what is sent
    again must not look as if an old head were shown in place of the newest.
    With start == feed.size and a checkpoint newer than the size, the segment has no items and
    only announces it.
    """
    if feed.head is None or start > feed.size:
        return None
    limit = min(start + SEGMENT_ENTRIES_MAX, feed.size)
    above = max(start, announced - 1)
    aim = _newest_checkpoint(store, feed, above, limit)
    taken, stop = _fill(store, feed, reader, start, aim.size if aim else limit, bytes_max)
    end = aim
    if aim is None or aim.size != stop:
        end = _newest_checkpoint(store, feed, above, stop)
    if end is not None:
        stop = end.size
        del taken[stop - start :]
        rest: tuple[bytes, ...] = ()
        note = end.note
    else:
        rest = _rest(store, feed, stop)
        note = feed.head.note
    segment = feed_pb2.Segment(
        origin=feed.origin, start=start, rest=b"".join(rest), checkpoint=note
    )
    readable = 0
    hidden: list[bytes] = []
    items = segment.items
    for leaf, openings in taken:
        if openings is None:
            hidden.append(leaf)
            continue
        if hidden:
            items.add(hidden=b"".join(hidden))
            hidden.clear()
        entry = items.add().entry
        entry.leaf = leaf
        entry.openings.extend(openings)
        readable += 1
    if hidden:
        items.add(hidden=b"".join(hidden))
    return Cut(segment, stop, readable)


def _rest(store: Store, feed: FeedState, stop: int) -> tuple[bytes, ...]:
    """The compact range from `stop` to the size of the newest checkpoint."""
    assert feed.head is not None
    held = range_hashes(stop, feed.size, tree_reader(store, feed.feed_id))
    within = CompactRange(stop, feed.size, held)
    if feed.head.size == feed.size:
        return within.hashes
    return merge(within, CompactRange(feed.size, feed.head.size, feed.rest)).hashes
