"""Every version of an event that is held here: see `record_versions`."""

from __future__ import annotations

from typing import Final

from huying.common.limits import HISTORY_SCAN_SECONDS_MAX
from huying.node.store.event_queries import EventRow
from huying.node.store.reader import Reader
from huying.node.web.history.record_versions import Kept, Newest, Version, Versions, versions_back
from huying.wire.v1 import feed_pb2, records_pb2

__all__ = ["EventVersion", "versions_of"]

EventVersion = Version[records_pb2.Event]
_EVENTS: Final = Kept(
    feed_pb2.RECORD_TYPE_EVENT, records_pb2.Event, lambda event: event.reported_micros
)


def versions_of(reader: Reader, row: EventRow, before: str = "") -> Versions[records_pb2.Event]:
    """The versions of an event, newest first. Blocks. Raises HuyingError as `versions_back`."""
    newest = Newest(
        home=row.home,
        record=row.record,
        origin=row.origin,
        index=row.index,
        time_micros=row.time_micros,
        begun_micros=row.event.reported_micros,
    )
    return versions_back(reader, newest, _EVENTS, before, seconds_max=HISTORY_SCAN_SECONDS_MAX)
