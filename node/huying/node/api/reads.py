"""`Reads` over the store's reader: its rows as the messages of the API."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import TypeVar

from google.protobuf.message import DecodeError

from huying.common.errors import Code, HuyingError
from huying.common.state import FeedState
from huying.node.api.entries import slot_fields
from huying.node.api.losses import lost_ranges, mark_lost
from huying.node.store.call_queries import CallRow, CallStepRow
from huying.node.store.reader import Reader
from huying.node.store.record_queries import RecordRow
from huying.node.store.schema import PROPOSAL_PENDING, PROPOSAL_VOID, STEP_RAISE
from huying.wire.v1 import api_pb2, calls_pb2

__all__ = ["StoreReads"]

M = TypeVar("M", calls_pb2.Call, calls_pb2.CallStep)


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
        found = self._reader.get_call(call)
        if found is None:
            raise HuyingError(Code.NOT_FOUND, "no such call here")
        row, steps = found
        view = _call_view(row)
        view.steps.extend(_step_view(step) for step in steps)
        return view

    def calls(
        self, department: str, *, open_only: bool, stage: int, limit: int, page_token: bytes
    ) -> api_pb2.ListCallsResponse:
        """See `Reads`."""
        page = self._reader.list_calls(
            department=department,
            open_only=open_only,
            stage=stage,
            limit=limit,
            page_token=page_token,
        )
        return api_pb2.ListCallsResponse(
            calls=[_call_view(row) for row in page.rows], next_page_token=page.next_token
        )

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


@lru_cache(maxsize=1024)  # a type at a level has one answer
def _fields(type_: int, home: str) -> dict[int, tuple[str, ...]]:
    return slot_fields(type_, home)


def _slot_views(type_: int, home: str, slots: bytes) -> list[api_pb2.Slot]:
    fields = _fields(type_, home)
    return [
        api_pb2.Slot(
            slot=slot,
            state=state,  # type: ignore[arg-type]  # an open enum: any number is a state
            fields=fields.get(slot, ()),
        )
        for slot, state in zip(slots[::2], slots[1::2], strict=True)
    ]


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
        slots=_slot_views(row.type, row.home, row.slots),
    )


def _call_view(row: CallRow) -> api_pb2.CallView:
    return api_pb2.CallView(
        call=row.call,
        caller=row.caller,
        sequencer=row.sequencer,
        content=_parse(calls_pb2.Call, row.message),
        stage=row.stage,  # type: ignore[arg-type]  # an open enum
        department=row.department,
        raised_micros=row.raised_micros,
        received_micros=row.received_micros,
        deadline_micros=row.deadline_micros,
        answered_micros=row.answered_micros,
        confirmed_micros=row.confirmed_micros,
        satisfaction=row.satisfaction,
    )


def _step_view(row: CallStepRow) -> api_pb2.CallStepView:
    view = api_pb2.CallStepView(
        origin=row.origin,
        index=row.index,
        time_micros=row.time_micros,
        pending=row.state == PROPOSAL_PENDING,
        void=row.state == PROPOSAL_VOID,
        void_reason=row.void_reason,  # type: ignore[arg-type]  # an open enum
    )
    # The raise is the call itself: its content is in the view, and its step stays empty.
    if row.step != STEP_RAISE:
        view.step.CopyFrom(_parse(calls_pb2.CallStep, row.message))
    return view


def _parse(message_class: type[M], data: bytes) -> M:
    try:
        return message_class.FromString(data)
    except DecodeError:
        raise HuyingError(Code.CORRUPT, "a stored call does not parse") from None
