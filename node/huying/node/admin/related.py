"""Records that belong to another: who lives in a household, visits to it, pictures of an event.

Whoever is asked to show or erase what is held of somebody needs them too.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from google.protobuf.message import DecodeError
from sqlalchemy import Table, select

from huying.common.codes import parse_origin
from huying.common.late.spans import Span
from huying.common.limits import LIST_ENTRIES_MAX
from huying.node.store.content import message_bytes, peek_head
from huying.node.store.reader import Reader
from huying.node.store.schema import RECORDS
from huying.wire.v1 import admin_pb2, evidence_pb2, feed_pb2

__all__ = ["evidence_spans", "related"]

_EVIDENCE: Final = int(feed_pb2.RECORD_TYPE_EVIDENCE)
_OF_HOUSEHOLD: Final = (feed_pb2.RECORD_TYPE_RESIDENT, feed_pb2.RECORD_TYPE_VISIT)
_HAVE_EVIDENCE: Final = (feed_pb2.RECORD_TYPE_EVENT, feed_pb2.RECORD_TYPE_CALL)
_PAGE: Final = 500


def related(reader: Reader, record_type: int, record: bytes) -> Iterator[admin_pb2.RelatedRecord]:
    """The records that belong to one, as many of each type as a list shows."""
    if record_type == feed_pb2.RECORD_TYPE_HOUSEHOLD:
        for kind in _OF_HOUSEHOLD:
            yield from _rows(reader, kind, "household", record)
    elif record_type in _HAVE_EVIDENCE:
        yield from _rows(reader, _EVIDENCE, "subject", record)


def _rows(
    reader: Reader, kind: int, column: str, record: bytes
) -> Iterator[admin_pb2.RelatedRecord]:
    table: Table = RECORDS[kind]
    query = (
        select(table.c.home, table.c.record, table.c.time_micros)
        .where(table.c[column] == record)
        .order_by(table.c.time_micros, table.c.home, table.c.record)
        .limit(LIST_ENTRIES_MAX)
    )
    for row in reader.select(query):
        yield admin_pb2.RelatedRecord(
            type=kind, home=row.home, record=row.record, time_micros=row.time_micros
        )


def evidence_spans(reader: Reader, code: str, record: bytes) -> tuple[Span, ...]:
    """Every entry of the node `code` that is evidence of a record, in all its versions.

    Reads the node's own feeds from end to end. Blocks.
    """
    found: list[Span] = []
    for feed in reader.feeds():
        if parse_origin(feed.origin).code != code:
            continue
        for start in range(0, feed.size, _PAGE):
            stop = min(start + _PAGE, feed.size)
            for index, entry in enumerate(reader.entries(feed.feed_id, start, stop), start):
                if _is_evidence_of(entry.openings, record):
                    found.append(Span(feed.origin, index, index + 1, b""))
    return tuple(found)


def _is_evidence_of(openings: bytes, record: bytes) -> bool:
    if record not in openings or peek_head(openings).type != _EVIDENCE:
        return False
    try:
        message = evidence_pb2.Evidence.FromString(message_bytes(openings))
    except DecodeError:
        return False
    return message.of == record
