"""Every word that a town said of an event, read back through the town's feed from the newest one.

A town counts its words of an event from 1, so the walk knows when it has them all; it ends earlier
after half of HISTORY_SCAN_SECONDS_MAX, or where the town's feed is not held from there on.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

from google.protobuf.message import DecodeError

from huying.common.codes import parse_origin
from huying.common.errors import Code, HuyingError
from huying.common.limits import HISTORY_SCAN_SECONDS_MAX
from huying.node.store.event_queries import EventHandlingRow
from huying.node.store.feed_walk import chunks_back, entries_about, is_signed
from huying.node.store.reader import Reader
from huying.node.store.record_queries import entry_row
from huying.wire.v1 import events_pb2, feed_pb2

__all__ = ["TownWord", "TownWords", "words_of"]

_FIRST: Final = 1
_SECONDS_MAX: Final = HISTORY_SCAN_SECONDS_MAX / 2  # the event's own versions take their time, too


@dataclass(frozen=True, slots=True)
class TownWord:
    """One writing of a town about an event."""

    home: str  # the town
    origin: str
    index: int
    time_micros: int  # by the town's clock
    handling: events_pb2.EventHandling
    is_signed: bool  # a signed checkpoint covers it


@dataclass(frozen=True, slots=True)
class TownWords:
    """What a town said of an event."""

    found: tuple[TownWord, ...] = ()  # newest first
    is_whole: bool = True  # back to the first one


def words_of(reader: Reader, word: EventHandlingRow | None) -> TownWords:
    """The town's words up to its newest one. Blocks. Raises HuyingError(CORRUPT)."""
    if word is None:
        return TownWords()
    began = time.monotonic()
    found: list[TownWord] = []
    epoch = parse_origin(word.origin).epoch
    for feed, start, end in chunks_back(reader, word.home, epoch, word.index + 1):
        for index, entry in entries_about(reader, feed, start, end, word.handling.event):
            row = entry_row(feed.origin, word.home, index, entry)
            if row is None or row.type != feed_pb2.RECORD_TYPE_EVENT_HANDLING:
                continue
            try:
                handling = events_pb2.EventHandling.FromString(row.message)
            except DecodeError:
                raise HuyingError(Code.CORRUPT, "a stored word does not parse") from None
            signed = is_signed(feed, index)
            found.append(TownWord(word.home, feed.origin, index, row.time_micros, handling, signed))
        if found and found[-1].handling.number <= _FIRST:
            return TownWords(tuple(found))
        if time.monotonic() - began >= _SECONDS_MAX:
            break
    return TownWords(tuple(found), is_whole=False)
