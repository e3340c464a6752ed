"""The list of events as a file, narrowed as on the screen; nobody's name or number is in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from starlette.responses import Response

from huying.common.limits import LIST_EXPORT_ROWS_MAX
from huying.node.sheets import Cell
from huying.node.store.event_queries import EventHandlingRow, EventRow
from huying.node.store.reader import Reader
from huying.node.web.access.roles import Permission
from huying.node.web.calling.calling_reads import EventCall, calls_of_events
from huying.node.web.events.event_search import nobodys
from huying.node.web.events.event_wish import EventWish, event_wish
from huying.node.web.page import Ask, Page
from huying.node.web.table_file import local_minute, table_answer, table_format
from huying.node.web.words import word
from huying.wire.v1 import records_pb2

__all__ = ["PAGES"]

_HEADER: Final = (
    ("编号", "Id"),
    ("上报时间", "Reported"),
    ("村", "Village"),
    ("网格", "Grid"),
    ("类别", "Category"),
    ("事项", "Matter"),
    ("情况", "What it is"),
    ("地点", "Place"),
    ("来源", "Source"),
    ("状态", "Status"),
    ("办结时间", "Settled"),
    ("镇里的处置", "The town"),
    ("镇里的话", "The town's words"),
    ("镇里的时间", "When"),
    ("呼叫", "Call"),
    ("呼叫环节", "Stage of the call"),
    ("主办部门", "Lead department"),
)
_CHUNK: Final = 500


async def export_events(ask: Ask) -> Response:
    """The newest events that fit, LIST_EXPORT_ROWS_MAX at most."""
    table_format(ask)
    wish = event_wish(ask)
    rows, calls, words = await ask.node.read(lambda reader: _read(reader, wish))
    names, offset = await ask.node.names(), await ask.node.offset_minutes()
    seen = [row for row in rows if ask.scope.sees_record(row.home, row.event.grid)]
    await ask.audit("events-export", wish.area, detail=f"{len(seen)} rows")
    cells = (
        _cells(
            ask,
            row,
            calls.get(row.record, []),
            words.get((row.home, row.record)),
            names,
            offset,
        )
        for row in seen
    )
    return await table_answer(ask, "events", [ask.t(*one) for one in _HEADER], cells)


def _read(
    reader: Reader, wish: EventWish
) -> tuple[
    list[EventRow],
    Mapping[bytes, list[EventCall]],
    Mapping[tuple[str, bytes], EventHandlingRow],
]:
    rows: list[EventRow] = []
    words: dict[tuple[str, bytes], EventHandlingRow] = {}
    token = b""
    while len(rows) < LIST_EXPORT_ROWS_MAX:
        page = reader.list_events(
            area=wish.area,
            grid=wish.grid,
            status=wish.status,
            category=wish.category,
            since_micros=wish.since_micros,
            word=wish.word,
            limit=min(_CHUNK, LIST_EXPORT_ROWS_MAX - len(rows)),
            page_token=token,
        )
        rows += page.rows
        words |= reader.event_handlings([(row.home, row.record) for row in page.rows])
        token = page.next_token
        if not token:
            break
    homes = {row.home for row in rows}
    calls = calls_of_events(reader, homes, [row.record for row in rows])
    if wish.word == 0:
        rows = list(nobodys(rows, words, calls))
    return rows, calls, words


def _cells(
    ask: Ask,
    row: EventRow,
    calls: Sequence[EventCall],
    town: EventHandlingRow | None,
    names: Mapping[str, str],
    offset: int,
) -> tuple[Cell, ...]:
    event = row.event
    return (
        row.record.hex(),
        local_minute(event.reported_micros, offset),
        names.get(row.home, row.home),
        event.grid,
        event.category,
        event.descriptor,
        event.description_public,
        event.address,
        event.source,
        word("event", event.status, ask.language),
        local_minute(_settled(event), offset),
        "" if town is None else word("handling", town.handling.status, ask.language),
        "" if town is None else town.handling.text,
        "" if town is None else local_minute(town.time_micros, offset),
        "; ".join(one.title for one in calls),
        "; ".join(word("stage", one.stage, ask.language) for one in calls),
        "; ".join(dict.fromkeys(one.department for one in calls if one.department)),
    )


def _settled(event: records_pb2.Event) -> int:
    return event.settled_micros if event.status == records_pb2.EVENT_STATUS_SETTLED else 0


PAGES: Final = (
    Page("/events/export", "events-export", export_events, Permission.EVENTS_READ, costly=True),
)
