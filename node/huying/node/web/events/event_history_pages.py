"""The history of one event: each version, its pictures, the town's words, the calls it led to.

The feed says which node wrote a version and when, and never who: at the node that wrote it, its own
audit trail does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from starlette.responses import Response

from huying.node.web.access.audit import AuditRow
from huying.node.web.access.roles import Permission
from huying.node.web.calling.calling_reads import town_of
from huying.node.web.events.event_pages import load_event, note_event, record_id
from huying.node.web.events.event_parts import absent_parts
from huying.node.web.events.event_turns import Turn, turns_of
from huying.node.web.events.event_versions import versions_of
from huying.node.web.events.handling_versions import TownWords, words_of
from huying.node.web.page import Ask, Page

__all__ = ["PAGES"]

_DEEDS: Final[Mapping[str, frozenset[str]]] = {
    "report-event": frozenset({"reported"}),
    "event-settled": frozenset({"settled", "changed"}),
}
_TRAIL_ROWS: Final = 100  # of the audit trail, that speak of one event
_NEAR_MICROS: Final = 120_000_000  # between a version and the trail's row about it


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
        turns=await _with_people(ask, turns, record),
        versions_count=len(found.found),
        withheld=[part for part in absent_parts(loaded.row) if part.state == "withheld"],
        looked_micros=found.looked_micros,
        is_newest=not before,
        has_all_words=words.is_whole,
        older_url=ask.url("event-history", **following) if found.before else "",
    )


async def _with_people(ask: Ask, turns: Sequence[Turn], record: bytes) -> list[Turn]:
    """The turns of this node with the names of those who took them."""
    people = await ask.site.on_thread(ask.site.accounts.list)
    actors = {person.actor: person.name for person in people}
    logins = {person.login: person.name for person in people}
    what = record.hex()
    trail = await ask.site.on_thread(lambda: ask.site.audit.page(object_=what, count=_TRAIL_ROWS))
    found = []
    for turn in turns:
        if turn.home != ask.node.code:
            found.append(turn)
        elif turn.person:
            found.append(replace(turn, person=actors.get(turn.person, turn.person)))
        else:
            login = _who(turn, trail)
            found.append(replace(turn, person=logins.get(login, login)))
    return found


def _who(turn: Turn, trail: Sequence[AuditRow]) -> str:
    """The login of whoever wrote a version, by the row of the trail that is nearest to it."""
    near = [
        (abs(row.time_micros - turn.time_micros), row.actor)
        for row in trail
        if turn.kind in _DEEDS.get(row.action, ()) and row.outcome == "done"
    ]
    apart, login = min(near, default=(_NEAR_MICROS, ""))
    return login if apart < _NEAR_MICROS else ""


PAGES: Final = (
    Page("/events/{home}/{event}/history", "event-history", show_history, Permission.EVENTS_READ),
)
