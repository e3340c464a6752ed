"""Events: what the villages report, newest first; one event; and its settling at home.

Every tier sees of an event what its audience gives it. Just the node that wrote an event may settle
it, since settling writes the event's next version, whole: a town that sees a part of it never
writes it back. It says a word of its own (`handling_pages`), or calls the county.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from starlette.responses import Response

from huying.common.codes import Level, level
from huying.common.errors import Code, HuyingError
from huying.common.limits import RECORD_ID_BYTES
from huying.node.store.event_queries import EventHandlingRow, EventRow
from huying.node.store.evidence_queries import EvidenceRow
from huying.node.store.reader import Reader
from huying.node.web.access.roles import Permission
from huying.node.web.access.view_notes import note_view
from huying.node.web.app import error_status
from huying.node.web.calling.calling_reads import (
    DraftRow,
    EventCall,
    calls_of_events,
    drafts_of_event,
)
from huying.node.web.calling.today import what_waits
from huying.node.web.events.event_parts import absent_parts, is_whole
from huying.node.web.events.event_search import SHORT_DIGITS, listed
from huying.node.web.events.event_wish import event_wish
from huying.node.web.events.handling_forms import HandlingStep, handling_of
from huying.node.web.originals import kept_originals
from huying.node.web.page import Ask, Nav, Page
from huying.node.web.turns import alone
from huying.wire.v1 import api_pb2, feed_pb2, records_pb2

__all__ = [
    "PAGES",
    "LoadedEvent",
    "check_settles",
    "event_page",
    "load_event",
    "note_event",
    "record_id",
]

_TYPE: Final = feed_pb2.RECORD_TYPE_EVENT
_NOTHING: Final = "there is no such thing here, or it is not yours to see"


@dataclass(frozen=True, slots=True)
class LoadedEvent:
    """An event that the person may see."""

    row: EventRow
    evidence: list[EvidenceRow]
    calls: list[EventCall]  # that came of it, newest first
    drafts: list[DraftRow]  # of a call, that wait for the principal
    word: EventHandlingRow | None = None  # the newest one of the town's

    @property
    def event(self) -> records_pb2.Event:
        """What is visible of it."""
        return self.row.event

    @property
    def version(self) -> str:
        """Where the version that is shown stands."""
        return f"{self.row.origin}:{self.row.index}"


def record_id(text: str) -> bytes:
    """A record's id from an address. Raises HuyingError(NOT_FOUND) for what is none."""
    try:
        record = bytes.fromhex(text)
    except ValueError:
        record = b""
    if len(record) != RECORD_ID_BYTES:
        raise HuyingError(Code.NOT_FOUND, _NOTHING)
    return record


async def load_event(ask: Ask, home: str, record: bytes) -> LoadedEvent:
    """An event with its pictures and the calls that came of it.

    Raises HuyingError(NOT_FOUND) for one that is not here, or is not the person's to see.
    """

    def read(reader: Reader) -> LoadedEvent | None:
        row = reader.get_event(home, record)
        if row is None:
            return None
        calls = calls_of_events(reader, [home], [record])
        waiting = (
            drafts_of_event(reader, ask.node.code, record) if ask.node.level is Level.TOWN else []
        )
        pictures = reader.evidence_of(record, home=home)
        word = reader.event_handling(home, record)
        return LoadedEvent(row, pictures, calls.get(record, []), waiting, word)

    found = await ask.node.read(read)
    if found is None:
        raise HuyingError(Code.NOT_FOUND, _NOTHING)
    ask.scope.record(home, found.event.grid)
    return found


async def note_event(ask: Ask, loaded: LoadedEvent) -> None:
    """Write down that the person looks at an event that says of somebody who they are."""
    event = loaded.event
    is_full = event.description_full != event.description_public and event.description_full
    if is_full or event.reporter_name or event.reporter_phone:
        await note_view(ask, "event-view", loaded.row.record.hex())


# --- the list ---------------------------------------------------------------------------------


async def show_events(ask: Ask) -> Response:
    """The events that the person may see, narrowed as they wish."""
    wish = event_wish(ask)
    names = await ask.node.names()
    scope, own = ask.scope, ask.node.code
    shown = await ask.node.read(lambda reader: listed(reader, wish, scope, own))
    found = shown.found
    villages = sorted(
        (code, name)
        for code, name in names.items()
        if level(code) is Level.VILLAGE and ask.scope.sees_record(code)
    )
    following = {**wish.params, "page": found.next_token.hex()}
    return await ask.render(
        "events.html",
        rows=found.rows,
        found=found,
        short_digits=SHORT_DIGITS,
        calls=shown.calls,
        pictures=shown.pictures,
        standings=shown.standings,
        wish=wish,
        villages=villages,
        categories=sorted({row.event.category for row in found.rows if row.event.category}),
        waiting=await what_waits(ask),
        next_url=ask.url("events", **following) if found.next_token else "",
    )


# --- one event --------------------------------------------------------------------------------


async def show_event(ask: Ask) -> Response:
    """One event."""
    return await event_page(ask)


async def event_page(
    ask: Ask,
    error: HuyingError | None = None,
    status: int = 200,
    *,
    refused: HandlingStep | None = None,
    typed: Mapping[str, str] | None = None,
) -> Response:
    """The event's page; with `refused` the town's step that was, and what was `typed`."""
    loaded = await load_event(ask, ask.path("home"), record_id(ask.path("event")))
    await note_event(ask, loaded)
    handling = await handling_of(ask, loaded.row, loaded.word, typed)
    row, originals = loaded.row, await kept_originals(ask, loaded.evidence)
    return await ask.render(
        "event.html",
        {"error": error, "loaded": loaded, "originals": originals, **_offers(ask, loaded)},
        status=status,
        absent=absent_parts(row),
        handling=handling,
        refused=refused,
        why=(typed or {}).get("why", ""),
    )


def _offers(ask: Ask, loaded: LoadedEvent) -> dict[str, Any]:
    """What the person may do with the event."""
    row, is_open = loaded.row, loaded.event.status == records_pb2.EVENT_STATUS_REPORTED
    is_settled = loaded.event.status == records_pb2.EVENT_STATUS_SETTLED
    is_ours = row.home == ask.node.code
    withheld = [
        name for part in absent_parts(row) if part.state == "withheld" for name in part.fields
    ]
    asks = ask.may(Permission.PROVISIONS_ASK) and "provision-ask" in ask.site.pages
    return {
        "in_words": "task-settle" in ask.site.pages and ask.node.level is Level.VILLAGE,
        "may_settle": is_ours and is_open and ask.may(Permission.EVENTS_REPORT),
        "may_reopen": is_ours and is_settled and ask.may(Permission.EVENTS_REPORT),
        "may_call": ask.node.level is Level.TOWN
        and ask.may(Permission.CALLS_CALLER)
        and "call-new" in ask.site.pages,
        "withheld": withheld,
        "may_ask": bool(withheld) and asks,
        "may_ask_pictures": asks and not is_ours,
    }


# --- settling ---------------------------------------------------------------------------------


@alone(lambda ask: f"event:{ask.path('event')}")
async def settle_event(ask: Ask) -> Response:
    """The event's next version: settled now, and all else as it stands."""
    form = await ask.form()
    home, record = ask.path("home"), record_id(ask.path("event"))
    loaded = await load_event(ask, home, record)
    try:
        request_id, seen = form.id(), form.text("version", 300)
        # A second press finds the first one's version, and is no change that anybody made.
        if await ask.node.read(lambda reader: reader.request(request_id)) is None:
            draft = _settled(ask, loaded, seen, request_id)
            await ask.node.ask("Append", api_pb2.AppendRequest(drafts=[draft]))
            await ask.audit("event-settled", record.hex())
    except HuyingError as error:
        return await event_page(ask, error, error_status(error.code))
    return ask.redirect("event", home=home, event=record.hex(), notice="sent")


def check_settles(loaded: LoadedEvent, seen: str) -> None:
    """Whether an event of this node may be settled by who saw the version `seen`.

    Raises HuyingError(WRONG_STAGE).
    """
    if loaded.event.status == records_pb2.EVENT_STATUS_SETTLED:
        raise HuyingError(
            Code.WRONG_STAGE, "这件已经办结,不用再办 · it was settled before; nothing to do"
        )
    if seen != loaded.version:
        raise HuyingError(
            Code.WRONG_STAGE, "这件刚被别人改过,请看过再办结 · somebody changed it; look again"
        )
    if not is_whole(loaded.row):
        # Writing it back would turn what is missing here into what was never there.
        raise HuyingError(Code.WRONG_STAGE, "a part of the event is missing here; repair the store")


def _settled(ask: Ask, loaded: LoadedEvent, seen: str, request_id: bytes) -> api_pb2.Draft:
    """The version to write. Raises HuyingError(NOT_A_PARTY or WRONG_STAGE)."""
    row = loaded.row
    if row.home != ask.node.code:
        raise HuyingError(Code.NOT_A_PARTY, f"the event is that of {row.home}; it settles it")
    check_settles(loaded, seen)
    message = records_pb2.Event()
    message.CopyFrom(loaded.event)
    message.status = records_pb2.EVENT_STATUS_SETTLED
    message.settled_micros = int(ask.now() * 1e6)
    return api_pb2.Draft(
        kind=feed_pb2.KIND_PUT,
        type=_TYPE,
        record=row.record,
        message=message.SerializeToString(),
        request_id=request_id,
    )


PAGES: Final = (
    Page(
        "/events",
        "events",
        show_events,
        Permission.EVENTS_READ,
        nav=Nav("事件", "Events", 20, topic="events"),
    ),
    Page("/events/{home}/{event}", "event", show_event, Permission.EVENTS_READ),
    Page(
        "/events/{home}/{event}/settle",
        "event-settle",
        settle_event,
        Permission.EVENTS_REPORT,
        ("POST",),
    ),
)
