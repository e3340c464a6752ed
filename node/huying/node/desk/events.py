"""交办与处置 · Events at every tier, and what a town does about one that its village reported.

The event stays the village's. The town writes a word of its own beside it: taken over, assigned
back to the village, or settled; the village's node makes the last one true in the event
(`huying.node.events.event_keeper`).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final
from weakref import WeakKeyDictionary

from huying.common.codes import Level, is_within, level, parse_code
from huying.common.effects import DraftEntry
from huying.common.errors import Code, HuyingError
from huying.common.limits import RECORD_ID_BYTES
from huying.common.masking import mask
from huying.common.records.registry import default_to
from huying.node.admin import AdminNode
from huying.node.api.call_raising import check_request
from huying.node.events.later_ends import ended_since
from huying.node.store.event_queries import EventHandlingRow, EventRow
from huying.node.store.reader import Reader
from huying.wire.v1 import events_pb2, feed_pb2, records_pb2

__all__ = ["handle_event", "list_events", "show_event"]

_SETTLED: Final = events_pb2.EVENT_HANDLING_STATUS_SETTLED
_HANDLING: Final = feed_pb2.RECORD_TYPE_EVENT_HANDLING
# Whoever reads the last word and writes the next one goes alone. By node, as tests run several.
_ALONE: WeakKeyDictionary[object, asyncio.Lock] = WeakKeyDictionary()


async def list_events(
    node: AdminNode, request: events_pb2.ListEventsRequest
) -> events_pb2.ListEventsResponse:
    """One page of the events that are visible here. Raises HuyingError(INVALID_ARGUMENT)."""

    def read() -> events_pb2.ListEventsResponse:
        with node.reader.snapshot() as view:
            page = view.list_events(
                area=request.area,
                status=request.status,
                category=request.category,
                limit=request.limit,
                page_token=request.page_token,
            )
            words = view.event_handlings([(row.home, row.record) for row in page.rows])
        return events_pb2.ListEventsResponse(
            events=[_event_view(row, words.get((row.home, row.record))) for row in page.rows],
            next_page_token=page.next_token,
        )

    return await asyncio.to_thread(read)


async def show_event(
    node: AdminNode, request: events_pb2.ShowEventRequest
) -> events_pb2.ShowEventResponse:
    """One event. Raises HuyingError(INVALID_ARGUMENT or NOT_FOUND)."""
    record = request.record
    if len(record) != RECORD_ID_BYTES:
        raise HuyingError(Code.INVALID_ARGUMENT, f"record: {RECORD_ID_BYTES} bytes")

    def read() -> events_pb2.ShowEventResponse:
        with node.reader.snapshot() as view:
            homes = [request.home] if request.home else view.event_homes(record)
            if len(homes) > 1:
                raise HuyingError(
                    Code.INVALID_ARGUMENT, f"home: name one, {' or '.join(homes)} has that id"
                )
            row = view.get_event(homes[0], record) if homes else None
            if row is None:
                raise HuyingError(Code.NOT_FOUND, f"no event {record.hex()} here")
            word = view.event_handling(row.home, record)
        return events_pb2.ShowEventResponse(event=_event_view(row, word))

    return await asyncio.to_thread(read)


async def handle_event(
    node: AdminNode, request: events_pb2.HandleEventRequest
) -> events_pb2.HandleEventResponse:
    """Write the town's word, unless it stands so already.

    Raises HuyingError: INVALID_ARGUMENT naming the field; NOT_A_PARTY at a node that is not the
    town above the event's village; NOT_FOUND; WRONG_STAGE where the event or the town's last word
    does not allow it; or as the engine refuses to write.
    """
    _check(request)
    own = node.config.node.code
    if level(own) != Level.TOWN or request.home == own or not is_within(request.home, own):
        raise HuyingError(
            Code.NOT_A_PARTY,
            f"home: just the town above {request.home} handles its events, and this is {own}",
        )
    masked = mask(request.text)
    async with _ALONE.setdefault(node.runtime, asyncio.Lock()):
        standing = await asyncio.to_thread(_standing, node.reader, own, request)
        if standing.is_repeated and standing.last is not None:
            view = _handling_view(standing.last)
            return events_pb2.HandleEventResponse(handling=view, masked=bool(masked.hits))
        handling = _next(request, standing, masked.text)
        unchanged = _is_same(handling, standing)
        if not unchanged:
            _refuse_stage(request, standing)
            draft = DraftEntry(
                kind=feed_pb2.KIND_PUT,
                type=_HANDLING,
                message=handling,
                record=request.record,
                to=default_to(_HANDLING, own, handling),
                request_id=request.request_id,
            )
            await node.runtime.append([draft])
        row = await asyncio.to_thread(node.reader.event_handling, request.home, request.record)
    assert row is not None, "it was there before, or was written just now"
    return events_pb2.HandleEventResponse(
        handling=_handling_view(row), unchanged=unchanged, masked=bool(masked.hits)
    )


def _event_view(row: EventRow, word: EventHandlingRow | None) -> events_pb2.EventView:
    return events_pb2.EventView(
        event=row.event,
        home=row.home,
        record=row.record,
        origin=row.origin,
        index=row.index,
        written_micros=row.time_micros,
        handling=None if word is None else _handling_view(word),
    )


def _handling_view(row: EventHandlingRow) -> events_pb2.EventHandlingView:
    return events_pb2.EventHandlingView(
        handling=row.handling,
        home=row.home,
        origin=row.origin,
        index=row.index,
        written_micros=row.time_micros,
    )


@dataclass(frozen=True, slots=True)
class _Standing:
    """How the event stands at this town."""

    event: EventRow
    last: EventHandlingRow | None  # the town's last word
    is_settled: bool
    is_reopened: bool  # the village opened it again after the town's last word settled it
    is_repeated: bool  # the request was written before

    @property
    def is_settled_by_town(self) -> bool:
        """The town's last word settles it, whether the village's node has written so yet or not."""
        is_settled = self.last is not None and self.last.handling.status == _SETTLED
        return is_settled and not self.is_reopened


def _check(request: events_pb2.HandleEventRequest) -> None:
    parse_code(request.home, "home")
    if len(request.record) != RECORD_ID_BYTES:
        raise HuyingError(Code.INVALID_ARGUMENT, f"record: {RECORD_ID_BYTES} bytes")
    check_request(request.request_id)


def _standing(reader: Reader, own: str, request: events_pb2.HandleEventRequest) -> _Standing:
    """Blocks. Raises HuyingError(INVALID_ARGUMENT or NOT_FOUND)."""
    home, record = request.home, request.record
    with reader.snapshot() as view:
        known = view.request(request.request_id) if request.request_id else None
        event = view.get_event(home, record)
        if event is None:
            raise HuyingError(Code.NOT_FOUND, f"no event {record.hex()} of {home} here")
        last = view.event_handling(home, record)
        if known is not None and (known[2] != record or last is None):
            raise HuyingError(Code.INVALID_ARGUMENT, "request_id: it wrote something else before")
        if last is None and view.get_record(_HANDLING, own, record) is not None:
            raise HuyingError(
                Code.INVALID_ARGUMENT,
                "record: two villages have an event of this id, and the other one's is handled",
            )
        is_settled = event.event.status == records_pb2.EVENT_STATUS_SETTLED
        is_reopened = (
            last is not None
            and not is_settled
            and last.handling.status == _SETTLED
            and ended_since(view, event, last) is not False
        )
        return _Standing(event, last, is_settled, is_reopened, known is not None)


def _next(
    request: events_pb2.HandleEventRequest, standing: _Standing, text: str
) -> events_pb2.EventHandling:
    last = standing.last
    return events_pb2.EventHandling(
        event=request.record,
        event_home=request.home,
        status=request.status,
        text=text,
        actor=request.actor,
        number=1 + (0 if last is None else last.handling.number),
        version_origin=standing.event.origin,
        version_index=standing.event.index,
    )


def _is_same(handling: events_pb2.EventHandling, standing: _Standing) -> bool:
    """Whether the last word says the same, of an event that was not opened again since."""
    if standing.last is None or standing.is_reopened:
        return False
    before = standing.last.handling
    return (before.status, before.text, before.actor) == (
        handling.status,
        handling.text,
        handling.actor,
    )


def _refuse_stage(request: events_pb2.HandleEventRequest, standing: _Standing) -> None:
    """Raises HuyingError(WRONG_STAGE)."""
    number = 0 if standing.last is None else standing.last.handling.number
    if request.seen_number != number:
        raise HuyingError(
            Code.WRONG_STAGE,
            "seen_number: the town wrote another word in between; look at the event again",
        )
    if standing.is_settled_by_town:
        if request.status != _SETTLED:
            raise HuyingError(
                Code.WRONG_STAGE,
                "status: the town has settled this event; just the words of that may be"
                " corrected, until the village opens it again",
            )
    elif standing.is_settled:
        raise HuyingError(
            Code.WRONG_STAGE,
            "status: the village has settled this event itself; it may open it again",
        )
