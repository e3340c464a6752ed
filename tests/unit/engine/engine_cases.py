"""What the engine's tests offer to it, and what they look at."""

from __future__ import annotations

from huying.common.effects import DraftEntry
from huying.common.status import FeedStatus
from huying.wire.v1 import feed_pb2, records_pb2
from tests.support.handmade import (
    HandmadeFeed,
    Host,
    an_event,
)

__all__ = ["TOWN_SLOTS", "event_town", "events", "offer", "status_of"]


TOWN_SLOTS = bytes((0, 3, 4))


def offer(feed: HandmadeFeed, start: int, stop: int, size: int | None = None) -> feed_pb2.Segment:
    """What the village may send to its town."""
    return feed.segment(start, stop, size=size, readable=TOWN_SLOTS)


def status_of(host: Host, feed: HandmadeFeed) -> FeedStatus:
    return next(one for one in host.engine.status().feeds if one.origin == feed.origin)


def events(host: Host) -> set[str]:
    page = host.store.list_records(feed_pb2.RECORD_TYPE_EVENT, limit=1000)  # type: ignore[attr-defined]
    return {records_pb2.Event.FromString(row.message).descriptor for row in page.rows}


def event_town() -> DraftEntry:
    event = an_event()
    return DraftEntry(feed_pb2.KIND_PUT, feed_pb2.RECORD_TYPE_EVENT, event)
