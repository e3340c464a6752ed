"""The columns of a desk's records, from their messages (see `huying.node.store.projections`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from huying.node.store.values import number, text
from huying.wire.v1 import feed_pb2

__all__ = ["DESK_COLUMNS"]

DESK_COLUMNS: Final[dict[int, Callable[[Any], tuple[Any, ...]]]] = {
    feed_pb2.RECORD_TYPE_CALL_DRAFT: lambda m: (m.state,),
    feed_pb2.RECORD_TYPE_POLICY: lambda m: (m.version,),
    feed_pb2.RECORD_TYPE_CALENDAR: lambda m: (m.version,),
    feed_pb2.RECORD_TYPE_DEPARTMENT: lambda m: (text(m.name),),
    feed_pb2.RECORD_TYPE_DUTY_ITEM: lambda m: (m.version, text(m.number), m.kind, text(m.lead)),
    feed_pb2.RECORD_TYPE_DUTY_LIST: lambda m: (m.version, m.item_count),
    feed_pb2.RECORD_TYPE_PROVISION_REQUEST: lambda m: (
        text(m.home),
        text(m.department),
        number(m.expires_micros),
        m.call,
        m.record,
    ),
    feed_pb2.RECORD_TYPE_PROVISION_DECISION: lambda m: (
        m.verdict,
        number(m.expires_micros),
        int(bool(m.sealed)),
    ),
    feed_pb2.RECORD_TYPE_PROVISION_RECEIPT: lambda m: (
        m.request_record,
        m.use,
        number(m.used_micros),
    ),
    feed_pb2.RECORD_TYPE_QUESTION: lambda m: (
        text(m.template),
        m.template_version,
        m.template_sha256,
        text(m.area),
        text(m.month),
    ),
    feed_pb2.RECORD_TYPE_TALLY: lambda m: (
        text(m.template),
        m.template_version,
        text(m.month),
        m.verdict,
    ),
    feed_pb2.RECORD_TYPE_ORDER: lambda m: (
        text(m.handler),
        text(m.source),
        text(m.source_id),
        text(m.category),
        number(m.created_micros),
        number(m.due_micros),
        number(m.source_closed_micros),
        m.near_duplicate_of,
    ),
    feed_pb2.RECORD_TYPE_ORDER_RESULT: lambda m: (text(m.order_home), m.status),
    feed_pb2.RECORD_TYPE_EVENT_HANDLING: lambda m: (
        text(m.event_home),
        m.status,
        m.number,
    ),
}
