"""Bundles as the tests of carriage write and look at them."""

from __future__ import annotations

from sqlalchemy import select

from huying.common.bundles.bundle import open_payload, parse_bundle
from huying.node.store.schema import ENTRIES
from huying.wire.v1 import bundle_pb2, feed_pb2, records_pb2, sync_pb2
from tests.support.carried_network import Far, seal_key
from tests.support.handmade import event_draft

__all__ = ["events", "frames_of", "header_of", "held", "kinds", "written"]


def written(node: Far, count: int, first: int = 0) -> None:
    for number in range(first, first + count):
        node.write(event_draft(number))


def frames_of(data: bytes, recipient: str) -> list[sync_pb2.Frame]:
    payload = open_payload(parse_bundle(data), [seal_key(recipient)])
    return [sync_pb2.Frame.FromString(frame) for frame in payload.frames]


def kinds(data: bytes, recipient: str) -> list[str]:
    return [str(frame.WhichOneof("frame")) for frame in frames_of(data, recipient)]


def header_of(data: bytes) -> bundle_pb2.BundleHeader:
    return parse_bundle(data).header


def events(node: Far) -> set[str]:
    page = node.store.list_records(feed_pb2.RECORD_TYPE_EVENT, limit=1000)
    return {records_pb2.Event.FromString(row.message).descriptor for row in page.rows}


# Erased and disclosed.


def held(node: Far, text: bytes) -> bool:
    """Whether any opening in the node's store holds the text."""
    rows = node.store.select(select(ENTRIES.c.openings))
    return any(text in row.openings for row in rows)
