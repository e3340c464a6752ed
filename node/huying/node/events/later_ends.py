"""Whether an event ended after a version of it: what a town's word that settles it depends on.

A village that settled an event, or opened it again, wrote versions that a town's word may not know
of. So the word counts while no version from the one that the town had read on is settled or
deleted, which the village's feed alone tells: the answer is the same whenever, and however often,
it is asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from google.protobuf.message import DecodeError

from huying.common.codes import parse_origin
from huying.common.errors import Code, HuyingError
from huying.common.state import FeedState
from huying.node.store.event_queries import EventHandlingRow, EventRow
from huying.node.store.feed_walk import entries_about
from huying.node.store.reader import Reader
from huying.node.store.record_queries import entry_row
from huying.wire.v1 import feed_pb2, records_pb2

__all__ = ["ended_since"]

_CHUNK: Final = 5000  # entries looked at by one query


def ended_since(reader: Reader, row: EventRow, word: EventHandlingRow) -> bool | None:
    """Whether a version of the event `row`, from the one that `word` names on, is an end of it.

    None where no version of the event stands at the place that the word names. Blocks: the feed is
    read from there on. Raises HuyingError(CORRUPT).
    """
    named = word.handling.version_origin, word.handling.version_index
    if named == (row.origin, row.index):
        return row.event.status == records_pb2.EVENT_STATUS_SETTLED
    try:
        first = parse_origin(named[0])
    except HuyingError:
        return None
    if first.code != row.home:
        return None
    is_there = False
    for origin, index, ends in _versions(reader, row, first.epoch, named[1]):
        is_there |= (origin, index) == named
        if is_there and ends:
            return True
    return False if is_there else None


def _versions(
    reader: Reader, row: EventRow, epoch: int, start: int
) -> Iterator[tuple[str, int, bool]]:
    """(origin, index, whether it is an end) of each version from a place on, in order."""
    feeds = [(parse_origin(feed.origin), feed) for feed in reader.feeds()]
    own = [(origin.epoch, feed) for origin, feed in feeds if origin.code == row.home]
    for number, feed in sorted(own, key=lambda one: one[0]):
        if number < epoch:
            continue
        for at in range(start if number == epoch else 0, feed.size, _CHUNK):
            yield from _in_chunk(reader, feed, at, min(at + _CHUNK, feed.size), row)


def _in_chunk(
    reader: Reader, feed: FeedState, start: int, stop: int, row: EventRow
) -> Iterator[tuple[str, int, bool]]:
    for index, entry in reversed(entries_about(reader, feed, start, stop, row.record)):
        read = entry_row(feed.origin, row.home, index, entry)
        if read is None or read.type != feed_pb2.RECORD_TYPE_EVENT:
            continue
        try:
            status = records_pb2.Event.FromString(read.message).status
        except DecodeError:
            raise HuyingError(Code.CORRUPT, "a stored event does not parse") from None
        ends = read.kind == feed_pb2.KIND_DELETE or status == records_pb2.EVENT_STATUS_SETTLED
        yield feed.origin, index, ends
