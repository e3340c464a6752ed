"""The history of one event: each version, its pictures, the town's words, the calls it led to.

The feed says which node wrote a version and when, and never who: at the node that wrote it, its own
audit trail does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from starlette.responses import Response

from huying.node.web.access.roles import Permission
from huying.node.web.calling.calling_reads import town_of
from huying.node.web.events.event_pages import load_event, note_event, record_id
from huying.node.web.events.event_parts import absent_parts
from huying.node.web.events.event_turns import turns_of
from huying.node.web.events.event_versions import versions_of
from huying.node.web.events.handling_versions import TownWords, words_of
from huying.node.web.events.handling_words import standing_of
from huying.node.web.history.record_turns import with_people
from huying.node.web.page import Ask, Page

__all__ = ["PAGES"]

_DEEDS: Final[Mapping[str, frozenset[str]]] = {
    "report-event": frozenset({"reported"}),
    "event-settled": frozenset({"settled", "changed"}),
    "event-reopened": frozenset({"reopened"}),
}


async def show_history(ask: Ask) -> Response:
    """What happened to the event, oldest first, as far as it is visible here."""
    home, record = ask.path("home"), record_id(ask.path("event"))
    loaded = await load_event(ask, home, record)
    await note_event(ask, loaded)
    before = ask.query("before")
    found = await ask.node.read(lambda reader: versions_of(reader, loaded.row, before))
    words = TownWords()
    if not before:
        words = await ask.node.read(lambda reader: words_of(reader, loaded.word))
    scope = ask.scope
    turns = turns_of(
        home,
        found.found,
        () if before else loaded.evidence,
        () if before else [(town_of(home), call) for call in loaded.calls],
        words.found,
        is_whole=not found.before,
        sees=lambda grid: scope.sees_record(home, grid),
    )
    following = {"home": home, "event": record.hex(), "before": found.before}
    return await ask.render(
        "event_history.html",
        loaded=loaded,
        standing=standing_of(loaded.row, loaded.word),
        turns=await with_people(ask, turns, record, _DEEDS),
        versions_count=len(found.found),
        withheld=[part for part in absent_parts(loaded.row) if part.state == "withheld"],
        looked_micros=found.looked_micros,
        is_newest=not before,
        has_all_words=words.is_whole,
        older_url=ask.url("event-history", **following) if found.before else "",
    )


PAGES: Final = (
    Page("/events/{home}/{event}/history", "event-history", show_history, Permission.EVENTS_READ),
)
