"""Whether an event ended after a version of it: what a town's word that settles it depends on.

A village that settled an event, or opened it again, wrote versions that a town's word may not know
of. So the word counts while no version from the one that the town had read on is settled or
deleted, which the village's feed alone tells: the answer is the same whenever, and however often,
it is asked.

The feed is read from the newest version back, and just where a version stands at the place that the
word names, so that words at random cost nothing. `LaterEnds` remembers how far it was read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from google.protobuf.message import DecodeError

from huying.common.codes import parse_origin
from huying.common.errors import Code, HuyingError
from huying.common.state import FeedState
from huying.node.store.event_queries import EventHandlingRow, EventRow
from huying.node.store.feed_walk import chunks_back, entries_about
from huying.node.store.reader import Reader
from huying.node.store.record_queries import entry_row
from huying.wire.v1 import feed_pb2, records_pb2

__all__ = ["LaterEnds", "ended_since"]

_REMEMBERED_MAX: Final = 1000  # events
_Place = tuple[int, int]  # epoch, index


@dataclass(frozen=True, slots=True)
class _Read:
    """How far an event's versions were read, from its newest one back."""

    newest: _Place
    down_to: _Place
    is_end: bool  # of the version at `down_to`; between the two there is none


class LaterEnds:
    """Answers, with what earlier ones cost remembered: no word has the same part read twice."""

    def __init__(self) -> None:
        self._reads: dict[tuple[str, bytes], _Read] = {}

    def since(self, reader: Reader, row: EventRow, word: EventHandlingRow) -> bool | None:
        """As `ended_since`."""
        is_end = row.event.status == records_pb2.EVENT_STATUS_SETTLED
        named = word.handling.version_origin, word.handling.version_index
        if named == (row.origin, row.index):
            return is_end
        was_end = _end_at(reader, row, *named)
        if was_end is None or was_end or is_end:
            return None if was_end is None else True
        place = parse_origin(named[0]).epoch, named[1]
        return self._between(reader, row, (parse_origin(row.origin).epoch, row.index), place)

    def _between(self, reader: Reader, row: EventRow, newest: _Place, named: _Place) -> bool:
        """Whether there is an end past the place named; the newest version is none."""
        key = row.home, row.record
        read = self._reads.get(key)
        if read is not None and read.newest == newest and (read.is_end or named >= read.down_to):
            return read.is_end and named < read.down_to
        end = next(_ends_back(reader, row, newest, named), None)
        if len(self._reads) >= _REMEMBERED_MAX:
            self._reads.clear()
        self._reads[key] = _Read(newest, named if end is None else end, end is not None)
        return end is not None


def ended_since(reader: Reader, row: EventRow, word: EventHandlingRow) -> bool | None:
    """Whether a version of the event `row`, from the one that `word` names on, is an end of it.

    None where no version of the event stands at the place that the word names. Blocks: the feed is
    read back to there. Raises HuyingError(CORRUPT).
    """
    return LaterEnds().since(reader, row, word)


def _end_at(reader: Reader, row: EventRow, origin: str, index: int) -> bool | None:
    """Whether the version of the event at a place is an end of it; None where none stands there."""
    feed = reader.feed(origin)
    if feed is None or parse_origin(origin).code != row.home or index >= feed.size:
        return None
    return next((is_end for _, is_end in _versions(reader, feed, index, index + 1, row)), None)


def _ends_back(reader: Reader, row: EventRow, newest: _Place, oldest: _Place) -> Iterator[_Place]:
    """The ends of the event between two places, backwards."""
    for feed, start, stop in chunks_back(reader, row.home, *newest):
        epoch = parse_origin(feed.origin).epoch
        if (epoch, stop) <= oldest:
            return
        for index, is_end in _versions(reader, feed, start, stop, row):
            if is_end and (epoch, index) > oldest:
                yield epoch, index


def _versions(
    reader: Reader, feed: FeedState, start: int, stop: int, row: EventRow
) -> Iterator[tuple[int, bool]]:
    """(index, whether it is an end) of each version of the event among entries, newest first."""
    for index, entry in entries_about(reader, feed, start, stop, row.record):
        read = entry_row(feed.origin, row.home, index, entry)
        if read is None or read.type != feed_pb2.RECORD_TYPE_EVENT:
            continue
        try:
            status = records_pb2.Event.FromString(read.message).status
        except DecodeError:
            raise HuyingError(Code.CORRUPT, "a stored event does not parse") from None
        is_end = status == records_pb2.EVENT_STATUS_SETTLED
        yield index, is_end or read.kind == feed_pb2.KIND_DELETE
