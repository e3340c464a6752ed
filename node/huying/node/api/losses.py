"""Which compartments are lost: what the feeds held here have said of losses of their own.

A projection knows what is held and what was erased. Of the rest it can't tell what somebody keeps
back from what nobody has any more; the `Recovered` entries do. docs/FEED.md, "Recovering".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from google.protobuf.message import DecodeError

from huying.common.feed.leaf import HEAD_SLOT
from huying.common.integrity.lost import LostRange
from huying.node.store.content import message_bytes
from huying.node.store.reader import Reader
from huying.wire.v1 import api_pb2, feed_pb2, trust_pb2

__all__ = ["lost_ranges", "mark_lost"]


def lost_ranges(reader: Reader) -> dict[str, list[LostRange]]:
    """What each feed says it lost, by its name."""
    found: dict[str, list[LostRange]] = {}
    names = {feed.feed_id: feed.origin for feed in reader.feeds()}
    for feed_id, _, entry in reader.statements(feed_pb2.RECORD_TYPE_RECOVERED):
        try:
            message = trust_pb2.Recovered.FromString(message_bytes(entry.openings))
        except DecodeError:
            continue
        ranges = [LostRange(one.start, one.stop, one.slots) for one in message.lost]
        found.setdefault(names[feed_id], []).extend(ranges)
    return found


def mark_lost(
    views: Iterable[api_pb2.RecordView], ranges: Mapping[str, Sequence[LostRange]]
) -> None:
    """Show as lost what reads as withheld and is among these ranges."""
    for view in views:
        here = [one for one in ranges.get(view.origin, ()) if one.start <= view.index < one.stop]
        for slot in view.slots if here else ():
            if slot.state == api_pb2.SLOT_STATE_WITHHELD and any(
                slot.slot in one.slots or HEAD_SLOT in one.slots for one in here
            ):
                slot.state = api_pb2.SLOT_STATE_LOST
