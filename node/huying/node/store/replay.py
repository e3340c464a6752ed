"""The entries of a feed as they were applied, made again from their raw bytes.

Checking the projections and making them anew both start from here. Whether a statement took effect,
or an entry in quarantine was applied later, only the running node could judge: such entries are
given as `doubtful`, and count where the tables know of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from google.protobuf.message import DecodeError

from huying.common.codes import parse_origin
from huying.common.errors import HuyingError
from huying.common.feed.leaf import commitment, commitment_prefix, leaf_commitment, unpack_openings
from huying.common.feed.leaf import leaf_slots as slots_of
from huying.common.intake import NUMBERLESS
from huying.common.late.spans import NO_SPANS, Spans, erasable
from huying.common.records.registry import STATEMENT_TYPES, decode
from huying.common.state import Applied, FeedState, StoredEntry
from huying.node.store.content import head_bytes, message_bytes
from huying.node.store.reader import Reader
from huying.wire.v1 import feed_pb2, trust_pb2

__all__ = [
    "Replayed",
    "erased_of",
    "is_past_epoch",
    "lost_of",
    "numberless",
    "replay",
    "replayed_entry",
]

_PAGE: Final = 512


class Replayed(NamedTuple):
    """One entry on its way into the projections."""

    applied: Applied
    doubtful: bool  # perhaps it was not applied


def erased_of(reader: Reader, origin: str) -> Spans:
    """What was erased of a feed."""
    return NO_SPANS.plus([span[1:] for span in reader.erased() if span.origin == origin])


def lost_of(reader: Reader, feed: FeedState) -> Spans:
    """What a feed says that it lost, by its RECOVERED entries."""
    prefix = commitment_prefix(feed.origin)
    found = []
    for feed_id, index, entry in reader.statements():
        if feed_id != feed.feed_id:
            continue
        applied = replayed_entry(feed, prefix, index, entry, b"")
        if applied is not None and isinstance(applied.message, trust_pb2.Recovered):
            found += [(one.start, one.stop, one.slots) for one in applied.message.lost]
    return NO_SPANS.plus(found)


def is_past_epoch(reader: Reader, feed: FeedState, code: str) -> bool:
    """Whether this is a feed of the node's own `code` that a later epoch has followed."""
    mine = parse_origin(feed.origin)
    others = (parse_origin(one.origin) for one in reader.feeds())
    return mine.code == code and any(
        other.code == code and other.epoch > mine.epoch for other in others
    )


def numberless(reader: Reader, feed: FeedState) -> set[int]:
    """The entries in quarantine whose running number does not count."""
    found = reader.quarantined(feed.feed_id, 0, feed.size)
    return {index for index, code, _, _ in found if code in NUMBERLESS}


def replay(reader: Reader, feed: FeedState) -> Iterator[list[Replayed]]:
    """The entries of one feed that have something for the projections, in pages, in order."""
    erased = erased_of(reader, feed.origin)
    prefix = commitment_prefix(feed.origin)
    for start in range(0, feed.size, _PAGE):
        stop = min(start + _PAGE, feed.size)
        quarantined = {row[0] for row in reader.quarantined(feed.feed_id, start, stop)}
        page = []
        for index, entry in enumerate(reader.entries(feed.feed_id, start, stop), start):
            applied = replayed_entry(feed, prefix, index, entry, erased.at(index))
            if applied is None:
                continue
            empty = applied.head.type in STATEMENT_TYPES and not applied.message.ListFields()
            page.append(Replayed(applied, empty or index in quarantined))
        yield page


def replayed_entry(
    feed: FeedState, prefix: bytes, index: int, entry: StoredEntry, erased: bytes
) -> Applied | None:
    """The entry as it was applied; None for one that was not.

    `prefix` is the feed's commitment prefix. An entry any of whose openings is not the one that its
    leaf commits to is damaged, and speaks for nothing.
    """
    if entry.leaf is None or not entry.openings:
        return None
    origin = parse_origin(feed.origin)
    try:
        slots = slots_of(entry.leaf)
        openings = unpack_openings(entry.openings)
        for opening in openings:
            position = slots.find(opening[:1])
            if position < 0 or commitment(prefix, opening) != leaf_commitment(entry.leaf, position):
                return None
        head = feed_pb2.Head.FromString(head_bytes(entry.openings))
        message = decode(head, origin.code, message_bytes(entry.openings))
    except (HuyingError, DecodeError):
        return None  # kept opaque, and quarantined
    except TypeError:
        return None  # a damaged row may hold values of any type
    present = bytes(opening[0] for opening in openings)
    gone = bytes(slot for slot in erasable(head.type, slots) if slot in erased)
    place = feed.feed_id, origin.code, origin.epoch, index
    return Applied(*place, head, slots, present, message, gone)
