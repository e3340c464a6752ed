"""The tables of what a desk writes: each record's newest state, and the columns that are asked.

Where a record answers another, it has that one's id, so one key leads to both.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Index, Integer, SmallInteger, Table

from huying.node.store.tables import blob, integer, record_table, text_column
from huying.wire.v1 import feed_pb2

__all__ = [
    "CALENDARS",
    "CALL_DRAFTS",
    "DEPARTMENTS",
    "DESK_RECORDS",
    "DUTY_ITEMS",
    "DUTY_LISTS",
    "EVENT_HANDLINGS",
    "ORDERS",
    "ORDER_RESULTS",
    "POLICIES",
    "PROVISION_DECISIONS",
    "PROVISION_RECEIPTS",
    "PROVISION_REQUESTS",
    "QUESTIONS",
    "TALLIES",
]

CALL_DRAFTS: Final = record_table("call_drafts", integer("state", SmallInteger))
POLICIES: Final = record_table("policies", integer("version"))
CALENDARS: Final = record_table("calendars", integer("version"))
DEPARTMENTS: Final = record_table("departments", text_column("name"))
DUTY_ITEMS: Final = record_table(
    "duty_items",
    integer("version"),
    text_column("number"),
    integer("duty_kind", SmallInteger),
    text_column("lead"),
    Index(None, "version", "number"),
)
DUTY_LISTS: Final = record_table("duty_lists", integer("version"), integer("item_count"))
PROVISION_REQUESTS: Final = record_table(
    "provision_requests",
    text_column("target"),  # the home that decides
    text_column("department"),
    integer("expires_micros"),
    blob("call"),
    blob("subject"),  # the record that is asked about
    Index(None, "target", "expires_micros"),
    Index(None, "subject"),
    Index(None, "time_micros"),
)
PROVISION_DECISIONS: Final = record_table(
    "provision_decisions",  # with the request's record id
    integer("verdict", SmallInteger),
    integer("expires_micros"),
    integer("sealed", SmallInteger),  # 1 while the sealed openings are held here
    Index(None, "record"),
    Index(None, "sealed", "expires_micros"),
    Index(None, "expires_micros"),
)
PROVISION_RECEIPTS: Final = record_table(
    "provision_receipts",
    blob("request_record"),
    integer("use", SmallInteger),
    integer("used_micros"),
    Index(None, "request_record"),
)
QUESTIONS: Final = record_table(
    "questions",
    text_column("template"),
    integer("template_version"),
    blob("template_sha256"),
    text_column("area"),
    text_column("month"),
)
TALLIES: Final = record_table(
    "tallies",
    text_column("template"),
    integer("template_version"),
    text_column("month"),
    integer("verdict", SmallInteger),
)
ORDERS: Final = record_table(
    "orders",
    text_column("handler"),
    text_column("source"),
    text_column("source_id"),
    text_column("category"),
    integer("created_micros"),
    integer("due_micros"),
    integer("source_closed_micros"),
    blob("near_duplicate_of"),
    Index(None, "handler", "created_micros"),
    Index(None, "category", "created_micros"),
    Index(None, "created_micros"),
)
ORDER_RESULTS: Final = record_table(
    "order_results",  # with the order's record id
    text_column("order_home"),
    integer("status", Integer),
    Index(None, "record"),
)
EVENT_HANDLINGS: Final = record_table(
    "event_handlings",  # with the event's record id
    text_column("event_home"),
    integer("status", Integer),
    integer("number"),
    Index(None, "event_home", "record"),
)

DESK_RECORDS: Final[dict[int, Table]] = {
    feed_pb2.RECORD_TYPE_CALL_DRAFT: CALL_DRAFTS,
    feed_pb2.RECORD_TYPE_POLICY: POLICIES,
    feed_pb2.RECORD_TYPE_CALENDAR: CALENDARS,
    feed_pb2.RECORD_TYPE_DEPARTMENT: DEPARTMENTS,
    feed_pb2.RECORD_TYPE_DUTY_ITEM: DUTY_ITEMS,
    feed_pb2.RECORD_TYPE_DUTY_LIST: DUTY_LISTS,
    feed_pb2.RECORD_TYPE_PROVISION_REQUEST: PROVISION_REQUESTS,
    feed_pb2.RECORD_TYPE_PROVISION_DECISION: PROVISION_DECISIONS,
    feed_pb2.RECORD_TYPE_PROVISION_RECEIPT: PROVISION_RECEIPTS,
    feed_pb2.RECORD_TYPE_QUESTION: QUESTIONS,
    feed_pb2.RECORD_TYPE_TALLY: TALLIES,
    feed_pb2.RECORD_TYPE_ORDER: ORDERS,
    feed_pb2.RECORD_TYPE_ORDER_RESULT: ORDER_RESULTS,
    feed_pb2.RECORD_TYPE_EVENT_HANDLING: EVENT_HANDLINGS,
}
