"""A page of the list of events: narrowed, and searched where the person typed words or an id."""

from __future__ import annotations

import re
from typing import Final

from huying.common.limits import RECORD_ID_BYTES
from huying.node.api.reads import StoreReads
from huying.node.store.event_queries import EventRow
from huying.node.store.queries import pack_token
from huying.node.store.reader import Page as Rows
from huying.node.store.reader import Reader
from huying.node.store.text_scan import Scanned, has_words, scan
from huying.node.web.access.scope import Scope
from huying.node.web.events.event_wish import EventWish

__all__ = ["EVENT_PAGE_ROWS", "SHORT_DIGITS", "events_page"]

EVENT_PAGE_ROWS: Final = 50
SHORT_DIGITS: Final = 11  # of an event's id, shown in the list, to tell somebody on the telephone
_DIGITS_MIN: Final = 8  # of an id, to look it up by
_ID: Final = re.compile(f"[0-9a-f]{{{_DIGITS_MIN},{2 * RECORD_ID_BYTES}}}")


def events_page(reader: Reader, wish: EventWish, scope: Scope, own: str) -> Scanned[EventRow]:
    """The next rows; an id is looked up among the events of the node `own` and of those below it.

    Blocks. Raises HuyingError(INVALID_ARGUMENT) for a token that is not ours.
    """

    def rows(limit: int, token: bytes) -> Rows[EventRow]:
        return reader.list_events(
            area=wish.area,
            grid=wish.grid,
            status=wish.status,
            category=wish.category,
            since_micros=wish.since_micros,
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
