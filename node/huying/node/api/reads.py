"""`Reads` over the store's reader: its rows as the messages of the API."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import select

from huying.common.calls import SequencedStep, fold
from huying.common.codes import is_within, parse_origin
from huying.common.errors import Code, HuyingError
from huying.common.limits import CALL_STEPS_MAX
from huying.common.state import FeedState
from huying.node.api.call_book import KnownCall, PendingStep
from huying.node.api.call_views import (
    add_state,
    call_view,
    parse_message,
    sequenced,
    slot_views,
    step_view,
)
from huying.node.api.losses import lost_ranges, mark_lost
from huying.node.store.call_queries import CallRow, CallStepRow
from huying.node.store.reader import Reader
from huying.node.store.record_queries import RecordRow
from huying.node.store.schema import PROPOSAL_PENDING, RECORDS, STEP_RAISE
from huying.wire.v1 import api_pb2, calls_pb2, feed_pb2, policy_pb2

__all__ = ["StoreReads"]


class StoreReads:
    """Safe on any thread where the reader is."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def record(self, type_: int, home: str, record: bytes) -> api_pb2.RecordView:
        """See `Reads`."""
        row = self._reader.get_record(type_, home, record)
        if row is None:
            raise HuyingError(Code.NOT_FOUND, f"no such record of {home} here")
        return self._views([row])[0]

    def records(
        self, type_: int, home: str, grid: str, limit: int, page_token: bytes
    ) -> api_pb2.ListResponse:
        """See `Reads`."""
        page = self._reader.list_records(
            type_, home=home, grid=grid, limit=limit, page_token=page_token
        )
        return api_pb2.ListResponse(records=self._views(page.rows), next_page_token=page.next_token)

    def call(self, call: bytes) -> api_pb2.CallView:
        """See `Reads`."""
        row, rows = self._found(call)
        view = call_view(row)
        view.steps.extend(step_view(step) for step in rows)
        steps = self._sequenced(row, rows)
        add_state(view, fold(steps), steps)
        if event := self._event_of(view):
            view.event.CopyFrom(event)
        return view

    def known_call(self, call: bytes) -> KnownCall:
        """See `CallBook`."""
        row, rows = self._found(call)
        steps = self._sequenced(row, rows)
        places = {(one.epoch, one.index): one for one in steps}
        ordered = [
            (each.origin, places[place], each.time_micros)
            for each in rows
            if each.home == row.sequencer
            and (place := (parse_origin(each.origin).epoch, each.index)) in places
        ]
        return KnownCall(
            call=row.call,
            caller=row.caller,
            sequencer=row.sequencer,
            content=parse_message(calls_pb2.Call, row.message),
            state=fold(steps),
            steps=tuple(sorted(ordered, key=lambda one: one[1].place)),
            pending=tuple(
                PendingStep(
                    each.home,
                    each.step,
                    _actor(each),
                    each.time_micros,
                )
                for each in rows
                if each.state == PROPOSAL_PENDING
            ),
        )

    def calls(
        self, wanted: api_pb2.ListCallsRequest, limit: int, now_micros: int
    ) -> api_pb2.ListCallsResponse:
        """See `Reads`."""
        page = self._reader.list_calls(
            department=wanted.department,
            open_only=wanted.open,
            stage=wanted.stage,
            caller=wanted.caller,
            category=wanted.category,
            overdue_before_micros=now_micros if wanted.overdue else 0,
            order="deadline" if wanted.order == api_pb2.CALL_ORDER_DEADLINE else "newest",
            limit=limit,
            page_token=wanted.page_token,
        )
        return api_pb2.ListCallsResponse(
            calls=[call_view(row) for row in page.rows], next_page_token=page.next_token
        )

    def policy(self, sequencer: str) -> policy_pb2.Policy:
        """See `CallBook`."""
        return self._reader.policy(sequencer, None)

    def duty_item(self, sequencer: str, number: str) -> policy_pb2.DutyItem:
        """See `CallBook`."""
        listed = self._reader.duty_list_in_force(sequencer)
        if listed is None:
            raise HuyingError(
                Code.INVALID_ARGUMENT,
                f"dispatch.duty_item: no duty list of {sequencer} is in force; import one with"
                " `huying duty import`",
            )
        item = self._reader.duty_item(sequencer, listed.version, number)
        if item is not None:
            return item
        raise HuyingError(
            Code.INVALID_ARGUMENT,
            f"dispatch.duty_item: version {listed.version} of the duty list has no item of that"
            " number; see `huying duty list`",
        )

    def event_home(self, event: bytes, homes: Sequence[str]) -> str:
        """See `CallBook`."""
        events = RECORDS[feed_pb2.RECORD_TYPE_EVENT]
        query = (
            select(events.c.home)
            .where(events.c.record == event, events.c.home.in_(homes))
            .order_by(events.c.home)
            .limit(1)
        )
        found = self._reader.select(query)
        return str(found[0][0]) if found else ""

    def divisions_below(self, code: str) -> list[str]:
        """See `CallBook`."""
        codes = {pin.code for pin in self._reader.members()}
        return sorted(one for one in codes if one != code and is_within(one, code))

    def _found(self, call: bytes) -> tuple[CallRow, list[CallStepRow]]:
        found = self._reader.get_call(call)
        if found is None:
            raise HuyingError(Code.NOT_FOUND, "no such call here")
        return found

    def _sequenced(self, row: CallRow, rows: list[CallStepRow]) -> list[SequencedStep]:
        """What the sequencer wrote of the call, of which `rows` are all or just the first."""
        if len(rows) < CALL_STEPS_MAX:
            return sequenced(rows, row.sequencer)
        return self._reader.sequenced_steps(row.sequencer, row.caller, row.call)

    def _event_of(self, call: api_pb2.CallView) -> api_pb2.RecordView | None:
        """The event that a call refers to, of its village or of the caller; None: not here."""
        event = call.content.event
        for home in filter(None, (call.content.village, call.caller)) if event else ():
            row = self._reader.get_record(feed_pb2.RECORD_TYPE_EVENT, home, event)
            if row is not None:
                return self._views([row])[0]
        return None

    def call_counts(self) -> tuple[int, int, int]:
        """See `Reads`."""
        counts = self._reader.call_counts()
        return counts.raised, counts.answered, counts.confirmed

    def request(self, request_id: bytes) -> tuple[str, int, bytes] | None:
        """See `Reads`."""
        return self._reader.request(request_id)

    def feeds(self) -> list[FeedState]:
        """See `Reads`."""
        return self._reader.feeds()

    def changes(
        self, origin: str, start: int, limit: int, types: Collection[int]
    ) -> tuple[list[api_pb2.RecordView], int]:
        """See `Reads`."""
        rows, following = self._reader.changes(origin, start, limit, types)
        return self._views(rows), following

    def _views(self, rows: Sequence[RecordRow]) -> list[api_pb2.RecordView]:
        views = [_record_view(row) for row in rows]
        if any(slot.state == api_pb2.SLOT_STATE_WITHHELD for view in views for slot in view.slots):
            mark_lost(views, lost_ranges(self._reader))
        return views


def _record_view(row: RecordRow) -> api_pb2.RecordView:
    return api_pb2.RecordView(
        type=row.type,  # type: ignore[arg-type]  # an open enum
        home=row.home,
        record=row.record,
        origin=row.origin,
        index=row.index,
        time_micros=row.time_micros,
        kind=row.kind,  # type: ignore[arg-type]  # an open enum
        message=row.message,
        slots=slot_views(row.type, row.home, row.slots),
    )


def _actor(row: CallStepRow) -> str:
    """Who took a step, or raised the call."""
    if row.step == STEP_RAISE:
        return parse_message(calls_pb2.Call, row.message).actor
    return parse_message(calls_pb2.CallStep, row.message).actor
