"""Every version of a record that is held here, from its newest back to its first.

A record's earlier versions stand in its feed alone, with no index, so the feed is read backwards
from the newest one. It ends at what was written before the record can have begun, or when its time
is up, and then says how far it came.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from google.protobuf.message import DecodeError, Message
from sqlalchemy import func, select

from huying.common.codes import parse_origin
from huying.common.errors import Code, HuyingError
from huying.common.feed.leaf import leaf_slots, unpack_openings
from huying.common.state import FeedState, StoredEntry
from huying.node.store.content import peek_head, slot_states
from huying.node.store.feed_walk import between, chunks_back, entries_about, is_signed
from huying.node.store.reader import Reader
from huying.node.store.record_queries import entry_row
from huying.node.store.replay import erased_of
from huying.node.store.schema import ENTRIES
from huying.wire.v1 import feed_pb2

__all__ = ["Kept", "Newest", "Version", "Versions", "versions_back"]

M = TypeVar("M", bound=Message)
_SLACK_MICROS: Final = 86_400_000_000  # a node's clock may have been put back by as much
# Where to go on, and the version that was told last: what it changed shows just beside the older.
_TOKEN: Final = re.compile(r"([0-9]{1,9})-([0-9]{1,12})(?:-([0-9]{1,9})-([0-9]{1,12}))?")


@dataclass(frozen=True, slots=True)
class Version(Generic[M]):
    """One entry that speaks of the record."""

    origin: str
    index: int
    time_micros: int  # by its writer's clock
    is_end: bool  # the record ends
    message: M  # as far as it is visible here
    slots: bytes  # pairs (slot, api_pb2.SlotState)
    is_signed: bool  # a signed checkpoint covers it


@dataclass(frozen=True, slots=True)
class Versions(Generic[M]):
    """A part of a record's history."""

    found: tuple[Version[M], ...]  # newest first
    before: str  # goes on further back; empty where the beginning was reached
    looked_micros: int  # when the oldest entry that was looked at was written


@dataclass(frozen=True, slots=True)
class Kept(Generic[M]):
    """What kind of record it is."""

    record_type: int  # feed_pb2.RecordType
    message: type[M]
    # Before when no version can have been written, as one of them tells: unix µs, 0: unknown.
    begun_micros: Callable[[M], int]


@dataclass(frozen=True, slots=True)
class Newest:
    """The record, and where its newest version stands."""

    home: str
    record: bytes
    origin: str
    index: int
    time_micros: int
    begun_micros: int  # as of `Kept`


def versions_back(
    reader: Reader,
    newest: Newest,
    kept: Kept[M],
    before: str = "",
    *,
    seconds_max: float,
) -> Versions[M]:
    """The versions, newest first; `before` goes on where another call ended.

    Reads one range of entries at least. Blocks. Raises HuyingError: INVALID_ARGUMENT for a `before`
    that is not ours, CORRUPT.
    """
    epoch, stop, last = _start(newest, before)
    began = time.monotonic()
    found = [] if last is None else _one(reader, newest, kept, *last)
    looked = newest.time_micros
    for feed, start, end in chunks_back(reader, newest.home, epoch, stop):
        found += _in_chunk(reader, feed, start, end, newest.record, kept)
        told = [newest.begun_micros, *(kept.begun_micros(one.message) for one in found)]
        looked = _first_time(reader, feed, start, end) or looked
        if looked < min(filter(None, told), default=0) - _SLACK_MICROS:
            break
        if start and time.monotonic() - began >= seconds_max:
            token = f"{parse_origin(feed.origin).epoch}-{start}"
            if found:
                token += f"-{parse_origin(found[-1].origin).epoch}-{found[-1].index}"
            return Versions(tuple(found), token, looked)
    return Versions(tuple(found), "", looked)


def _start(newest: Newest, before: str) -> tuple[int, int, tuple[int, int] | None]:
    """The epoch to begin in, the index there that is past the first one, and what was told last."""
    if not before:
        return parse_origin(newest.origin).epoch, newest.index + 1, None
    parts = _TOKEN.fullmatch(before)
    if parts is None:
        raise HuyingError(Code.INVALID_ARGUMENT, "before: not one of ours; open the history anew")
    last = None if parts[3] is None else (int(parts[3]), int(parts[4]))
    return int(parts[1]), int(parts[2]), last


def _one(reader: Reader, newest: Newest, kept: Kept[M], epoch: int, index: int) -> list[Version[M]]:
    """The version that stands there, if it does."""
    for feed, _, _ in chunks_back(reader, newest.home, epoch, index + 1):
        return _in_chunk(reader, feed, index, index + 1, newest.record, kept)
    return []


def _in_chunk(
    reader: Reader, feed: FeedState, start: int, stop: int, record: bytes, kept: Kept[M]
) -> list[Version[M]]:
    """The versions among these entries, newest first."""
    entries = entries_about(reader, feed, start, stop, record)
    erased = erased_of(reader, feed.origin) if entries else None
    found: list[Version[M]] = []
    for index, entry in entries:
        assert erased is not None, "there are entries"
        version = _version(feed, index, entry, erased.at(index), kept)
        if version is not None:
            found.append(version)
    return found


def _version(
    feed: FeedState, index: int, entry: StoredEntry, erased: bytes, kept: Kept[M]
) -> Version[M] | None:
    row = entry_row(feed.origin, parse_origin(feed.origin).code, index, entry)
    if row is None or row.type != kept.record_type:
        return None
    assert entry.leaf is not None, "a row without its leaf is passed over"
    present = bytes(opening[0] for opening in unpack_openings(entry.openings))
    try:
        message = kept.message.FromString(row.message)
    except DecodeError:
        raise HuyingError(Code.CORRUPT, "a stored version does not parse") from None
    return Version(
        origin=feed.origin,
        index=index,
        time_micros=row.time_micros,
        is_end=row.kind == feed_pb2.KIND_DELETE,
        message=message,
        slots=slot_states(leaf_slots(entry.leaf), present, erased),
        is_signed=is_signed(feed, index),
    )


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
