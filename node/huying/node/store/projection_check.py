"""Comparing the projections with the entries that they were made from, both ways.

Every applied entry has a row of its record, from that entry or a later one; every row says what its
entry says, and no row speaks of an entry that is not there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from google.protobuf.message import DecodeError
from sqlalchemy import Table, func, select, tuple_

from huying.common.codes import parse_origin
from huying.common.errors import HuyingError
from huying.common.leaf import leaf_slots, unpack_openings
from huying.common.records import decode
from huying.common.spans import NO_SPANS, erasable
from huying.common.state import Applied, FeedState, StoredEntry
from huying.node.store.call_fold import folded_columns
from huying.node.store.call_projection import raised_row
from huying.node.store.content import head_bytes, message_bytes
from huying.node.store.projections import projected_row
from huying.node.store.reader import Reader
from huying.node.store.schema import CALL_STEPS, CALLS, RECORDS
from huying.wire.v1 import feed_pb2, trust_pb2

__all__ = ["check_calls", "check_projections"]

# Takes where and what.
Note = Callable[[str, str], None]

_PAGE: Final = 512
_TABLES: Final[dict[int, Table]] = {**RECORDS, feed_pb2.RECORD_TYPE_CALL: CALLS}


def check_projections(reader: Reader, feed: FeedState, note: Note) -> int:
    """Compare one feed's entries with their rows; how many rows were compared."""
    rows = dict.fromkeys(_TABLES, 0)
    steps = 0
    spans = [tuple(span[1:]) for span in reader.erased() if span.origin == feed.origin]
    erased = NO_SPANS.plus(spans)
    for start in range(0, feed.size, _PAGE):
        stop = min(start + _PAGE, feed.size)
        quarantined = {row[0] for row in reader.quarantined(feed.feed_id, start, stop)}
        by_type: dict[int, list[Applied]] = {}
        for index, entry in enumerate(reader.entries(feed.feed_id, start, stop), start):
            applied = _applied(feed, index, entry, erased.at(index))
            if applied is not None:
                by_type.setdefault(applied.head.type, []).append(applied)
        for kind, entries in by_type.items():
            if kind in _TABLES:
                rows[kind] += _compare(reader, feed, _TABLES[kind], entries, quarantined, note)
            if kind in (feed_pb2.RECORD_TYPE_CALL, feed_pb2.RECORD_TYPE_CALL_STEP):
                steps += _compare_steps(reader, feed, entries, quarantined, note)
    for kind, count in rows.items():
        _compare_count(reader, feed, _TABLES[kind], count, note)
    _compare_count(reader, feed, CALL_STEPS, steps, note)
    return sum(rows.values()) + steps


def _applied(feed: FeedState, index: int, entry: StoredEntry, erased: bytes) -> Applied | None:
    """The entry as it was applied; None for one that was not."""
    if entry.leaf is None or not entry.openings:
        return None
    origin = parse_origin(feed.origin)
    try:
        slots = leaf_slots(entry.leaf)
        head = feed_pb2.Head.FromString(head_bytes(entry.openings))
        message = decode(head, origin.code, message_bytes(entry.openings))
        present = bytes(opening[0] for opening in unpack_openings(entry.openings))
    except (HuyingError, DecodeError):
        return None  # kept opaque, and quarantined
    if isinstance(message, trust_pb2.Member) and not message.feed_key:
        return None  # its keys are missing: nothing was learnt of it yet
    gone = bytes(slot for slot in erasable(head.type, slots) if slot in erased)
    place = feed.feed_id, origin.code, origin.epoch, index
    return Applied(*place, head, slots, present, message, gone)


def _compare(
    reader: Reader,
    feed: FeedState,
    table: Table,
    entries: Sequence[Applied],
    quarantined: set[int],
    note: Note,
) -> int:
    """Compare the entries of one type; how many rows come from them."""
    make = raised_row if table is CALLS else projected_row
    records = {entry.head.record for entry in entries}
    query = select(table).where(table.c.home == entries[0].home, table.c.record.in_(records))
    found = {row.record: tuple(row) for row in reader.select(query)}
    names = [column.name for column in table.c]
    epoch_at, index_at = names.index("epoch"), names.index("idx")
    compared = 0
    for entry in entries:
        row = found.get(entry.head.record)
        where = f"{feed.origin} entry {entry.index}"
        mine = (entry.epoch, entry.index)
        place = (row[epoch_at], row[index_at]) if row is not None else (0, -1)
        if row is not None and place == mine:
            compared += 1
            expected = make(entry)
            if row[: len(expected)] != expected:
                wrong = [n for n, a, b in zip(names, row, expected, strict=False) if a != b]
                note(where, f"its row in {table.name} differs in {', '.join(wrong)}")
        elif place < mine and entry.index not in quarantined:
            note(where, f"{table.name} does not know of it")
    return compared


def _compare_steps(
    reader: Reader, feed: FeedState, entries: Sequence[Applied], quarantined: set[int], note: Note
) -> int:
    """Each call and each step has its own row in call_steps."""
    found = 0
    for entry in entries:
        message: Any = entry.message
        raised = entry.head.type == feed_pb2.RECORD_TYPE_CALL
        key = (entry.head.record, entry.home) if raised else (message.call, message.caller)
        query = select(CALL_STEPS.c.time_micros).where(
            CALL_STEPS.c.call == key[0],
            CALL_STEPS.c.caller == key[1],
            CALL_STEPS.c.feed_id == feed.feed_id,
            CALL_STEPS.c.idx == entry.index,
        )
        row = reader.select(query)
        found += len(row)
        where = f"{feed.origin} entry {entry.index}"
        if row and row[0][0] != entry.head.time_micros:
            note(where, "its row in call_steps differs in time_micros")
        if not row and entry.index not in quarantined:
            note(where, "call_steps does not know of it")
    return found


def _compare_count(reader: Reader, feed: FeedState, table: Table, count: int, note: Note) -> None:
    query = select(func.count()).select_from(table).where(table.c.feed_id == feed.feed_id)
    stored = reader.select(query)[0][0]
    if stored != count:
        note(feed.origin, f"{table.name} has {stored} rows of it, {count} follow from the entries")


def check_calls(reader: Reader, note: Note) -> int:
    """Fold every call anew and compare; how many there are."""
    compared = 0
    after: tuple[bytes, str] | None = None
    while True:
        query = select(CALLS).order_by(CALLS.c.record, CALLS.c.home).limit(_PAGE)
        if after is not None:
            query = query.where(tuple_(CALLS.c.record, CALLS.c.home) > tuple_(*after))
        page = reader.select(query)
        for row in page:
            try:
                with reader.connection() as connection:
                    folded = folded_columns(connection, row.record, row.home, row.sequencer)
            except HuyingError as error:
                note(f"call {row.record.hex()}", error.detail)
                continue
            for name, value in folded.items():
                if getattr(row, name) != value:
                    note(f"call {row.record.hex()}", f"{name} is not what the steps fold to")
        compared += len(page)
        if not page:
            return compared
        after = (page[-1].record, page[-1].home)
