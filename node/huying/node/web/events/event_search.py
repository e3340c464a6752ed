"""A page of the list of events: narrowed, and searched where the person typed words or an id.

Beside each event goes what its row shows: pictures, the calls that came of it, the town's word.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from huying.common.limits import RECORD_ID_BYTES
from huying.node.api.reads import StoreReads
from huying.node.store.event_queries import EventHandlingRow, EventRow
from huying.node.store.queries import pack_token
from huying.node.store.reader import Page as Rows
from huying.node.store.reader import Reader
from huying.node.store.text_scan import Scanned, has_words, scan
from huying.node.web.access.scope import Scope
from huying.node.web.calling.calling_reads import EventCall, calls_of_events
from huying.node.web.events.event_wish import EventWish
from huying.node.web.events.handling_words import Standing, standing_of
from huying.wire.v1 import records_pb2

__all__ = ["EVENT_PAGE_ROWS", "SHORT_DIGITS", "EventList", "count_nobodys", "listed", "nobodys"]

EVENT_PAGE_ROWS: Final = 50
SHORT_DIGITS: Final = 11  # of an event's id, shown in the list, to tell somebody on the telephone
_DIGITS_MIN: Final = 8  # of an id, to look it up by
_CALLS_LOOKED_AT: Final = 2500  # for the calls of one page; the page of one event looks further
_ID: Final = re.compile(f"[0-9a-f]{{{_DIGITS_MIN},{2 * RECORD_ID_BYTES}}}")

Words = Mapping[tuple[str, bytes], EventHandlingRow]  # of towns, by the event's home and id


@dataclass(frozen=True, slots=True)
class EventList:
    """One page of the list."""

    found: Scanned[EventRow]
    calls: Mapping[bytes, list[EventCall]]  # by the event
    pictures: Mapping[bytes, int]  # how many, by the event
    standings: Mapping[tuple[str, bytes], Standing]  # by the event's home and id


def listed(reader: Reader, wish: EventWish, scope: Scope, own: str) -> EventList:
    """The next rows; an id is looked up among the events of the node `own` and of those below it.

    Blocks. Raises HuyingError(INVALID_ARGUMENT) for a token that is not ours.
    """
    found = _page(reader, wish, scope, own)
    words, calls = _beside(reader, found.rows)
    if wish.word == 0:
        rows = nobodys(found.rows, words, calls)
        found = Scanned(rows, found.next_token, found.looked_count, found.looked_micros)
    keys = [(row.home, row.record) for row in found.rows]
    standings = {
        key: standing_of(row, words.get(key)) for key, row in zip(keys, found.rows, strict=True)
    }
    pictures = reader.evidence_counts([row.record for row in found.rows])
    return EventList(found, calls, pictures, standings)


def count_nobodys(reader: Reader, area: str, most: int) -> tuple[int, bool]:
    """How many open events are nobody's, of the newest `most` that no town's word is about.

    And whether there are more. Blocks.
    """
    status = records_pb2.EVENT_STATUS_REPORTED
    page = reader.list_events(area=area, status=status, word=0, limit=most)
    words, calls = _beside(reader, page.rows)
    return len(nobodys(page.rows, words, calls)), bool(page.next_token)


def nobodys(
    rows: Sequence[EventRow], words: Words, calls: Mapping[bytes, list[EventCall]]
) -> tuple[EventRow, ...]:
    """Of open events those that nobody is at.

    Without those about which the town called, and those that it settled, of which the village's
    node has not heard yet.
    """
    return tuple(
        row
        for row in rows
        if row.record not in calls and standing_of(row, words.get((row.home, row.record))).is_open
    )


def _beside(
    reader: Reader, rows: Sequence[EventRow]
) -> tuple[Words, Mapping[bytes, list[EventCall]]]:
    homes, records = {row.home for row in rows}, [row.record for row in rows]
    words = reader.event_handlings([(row.home, row.record) for row in rows])
    return words, calls_of_events(reader, homes, records, looked_at=_CALLS_LOOKED_AT)


def _page(reader: Reader, wish: EventWish, scope: Scope, own: str) -> Scanned[EventRow]:

    def rows(limit: int, token: bytes) -> Rows[EventRow]:
        return reader.list_events(
            area=wish.area,
            grid=wish.grid,
            status=wish.status,
            category=wish.category,
            since_micros=wish.since_micros,
            word=wish.word,
            limit=limit,
            page_token=token,
        )

    if not wish.words:
        page = rows(EVENT_PAGE_ROWS, wish.page)
        return Scanned(page.rows, page.next_token, 0, 0)
    found = scan(
        rows,
        lambda row: _matches(row, wish.words),
        _place,
        limit=EVENT_PAGE_ROWS,
        token=wish.page,
    )
    named = wish.words.lower()
    if wish.page or not _ID.fullmatch(named):
        return found
    known = {row.record for row in found.rows}
    homes = [own, *StoreReads(reader).divisions_below(own)]
    by_id = [
        row
        for row in reader.events_by_id(named, homes)
        if row.record not in known and scope.sees_record(row.home, row.event.grid)
    ]
    return Scanned((*by_id, *found.rows), found.next_token, found.looked_count, found.looked_micros)


def _matches(row: EventRow, words: str) -> bool:
    """By what is visible here of the event's texts, and by the beginning of its id."""
    event = row.event
    texts = event.descriptor, event.description_public, event.description_full, event.address
    if has_words(words, *texts, event.category, event.reporter_name):
        return True
    named = words.lower()
    return bool(_ID.fullmatch(named)) and row.record.hex().startswith(named)


def _place(row: EventRow) -> tuple[int, bytes]:
    micros = row.event.reported_micros
    return micros, pack_token(micros, row.home, row.record)
