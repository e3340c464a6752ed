"""Every version of an event that is held here, from its newest back to its first.

A record's earlier versions stand in its feed alone, with no index, so the feed is read backwards
from the newest one. It ends at what was written before the event was reported, or after
HISTORY_SCAN_SECONDS_MAX, and then says how far it came.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from google.protobuf.message import DecodeError
from sqlalchemy import func, select

from huying.common.codes import parse_origin
from huying.common.errors import Code, HuyingError
from huying.common.feed.leaf import leaf_slots, unpack_openings
from huying.common.limits import HISTORY_SCAN_SECONDS_MAX
from huying.common.state import FeedState, StoredEntry
from huying.node.store.content import peek_head, slot_states
from huying.node.store.event_queries import EventRow
from huying.node.store.reader import Reader
from huying.node.store.record_queries import entry_row
from huying.node.store.replay import erased_of
from huying.node.store.schema import ENTRIES
from huying.node.web.events.feed_walk import between, chunks_back, entries_about, is_signed
from huying.wire.v1 import feed_pb2, records_pb2

__all__ = ["Version", "Versions", "versions_of"]

_SLACK_MICROS: Final = 86_400_000_000  # a village's clock may have been put back by as much
# Where to go on, and the version that was told last: what it changed shows just beside the older.
_TOKEN: Final = re.compile(r"([0-9]{1,9})-([0-9]{1,12})(?:-([0-9]{1,9})-([0-9]{1,12}))?")


@dataclass(frozen=True, slots=True)
class Version:
    """One entry that speaks of the event."""

    origin: str
    index: int
    time_micros: int  # by its writer's clock
    is_end: bool  # the record ends
    event: records_pb2.Event  # as far as it is visible here
    slots: bytes  # pairs (slot, api_pb2.SlotState)
    is_signed: bool  # a signed checkpoint covers it


@dataclass(frozen=True, slots=True)
class Versions:
    """A part of an event's history."""

    found: tuple[Version, ...]  # newest first
    before: str  # goes on further back; empty where the beginning was reached
    looked_micros: int  # when the oldest entry that was looked at was written


def versions_of(reader: Reader, row: EventRow, before: str = "") -> Versions:
    """The versions of an event, newest first; `before` goes on where another call ended.

    Blocks. Raises HuyingError: INVALID_ARGUMENT for a `before` that is not ours, CORRUPT.
    """
    epoch, stop, last = _start(row, before)
    began = time.monotonic()
    found = [] if last is None else _one(reader, row, *last)
    looked = row.time_micros
    reported = row.event.reported_micros
    for feed, start, end in chunks_back(reader, row.home, epoch, stop):
        found += _in_chunk(reader, feed, start, end, row.record)
        times = [one.event.reported_micros for one in found if one.event.reported_micros]
        reported = min([*times, *filter(None, [reported])], default=0)
        looked = _first_time(reader, feed, start, end) or looked
        if looked < reported - _SLACK_MICROS:
            break
        if start and time.monotonic() - began >= HISTORY_SCAN_SECONDS_MAX:
            token = f"{parse_origin(feed.origin).epoch}-{start}"
            if found:
                token += f"-{parse_origin(found[-1].origin).epoch}-{found[-1].index}"
            return Versions(tuple(found), token, looked)
    return Versions(tuple(found), "", looked)


def _start(row: EventRow, before: str) -> tuple[int, int, tuple[int, int] | None]:
    """The epoch to begin in, the index there that is past the first one, and what was told last."""
    if not before:
        return parse_origin(row.origin).epoch, row.index + 1, None
    parts = _TOKEN.fullmatch(before)
    if parts is None:
        raise HuyingError(Code.INVALID_ARGUMENT, "before: not one of ours; open the history anew")
    last = None if parts[3] is None else (int(parts[3]), int(parts[4]))
    return int(parts[1]), int(parts[2]), last


def _one(reader: Reader, row: EventRow, epoch: int, index: int) -> list[Version]:
    """The version that stands there, if it does."""
    for feed, _, _ in chunks_back(reader, row.home, epoch, index + 1):
        return _in_chunk(reader, feed, index, index + 1, row.record)
    return []


def _in_chunk(
    reader: Reader, feed: FeedState, start: int, stop: int, record: bytes
) -> list[Version]:
    """The versions among these entries, newest first."""
    entries = entries_about(reader, feed, start, stop, record)
    erased = erased_of(reader, feed.origin) if entries else None
    found: list[Version] = []
    for index, entry in entries:
        assert erased is not None, "there are entries"
        found += _version(feed, index, entry, erased.at(index))
    return found


def _version(feed: FeedState, index: int, entry: StoredEntry, erased: bytes) -> Sequence[Version]:
    row = entry_row(feed.origin, parse_origin(feed.origin).code, index, entry)
    if row is None or row.type != feed_pb2.RECORD_TYPE_EVENT:
        return ()
    assert entry.leaf is not None, "a row without its leaf is passed over"
    present = bytes(opening[0] for opening in unpack_openings(entry.openings))
    try:
        event = records_pb2.Event.FromString(row.message)
    except DecodeError:
        raise HuyingError(Code.CORRUPT, "a stored event does not parse") from None
    return [
        Version(
            origin=feed.origin,
            index=index,
            time_micros=row.time_micros,
            is_end=row.kind == feed_pb2.KIND_DELETE,
            event=event,
            slots=slot_states(leaf_slots(entry.leaf), present, erased),
            is_signed=is_signed(feed, index),
        )
    ]


def _first_time(reader: Reader, feed: FeedState, start: int, stop: int) -> int:
    """When the first of these entries that is readable here was written; 0 where none is."""
    query = (
        select(ENTRIES.c.openings)
        .where(*between(feed, start, stop), func.length(ENTRIES.c.openings) > 0)
        .order_by(ENTRIES.c.place)
        .limit(1)
    )
    rows = reader.select(query)
    return int(peek_head(rows[0][0]).time_micros) if rows else 0
