"""A call as the API shows it: from the store's rows and the folded state to messages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Final, TypeVar

from google.protobuf.message import DecodeError

from huying.common.calls import SequencedStep, allowed_steps
from huying.common.calls.call_state import CallStage, CallState, ClockKind, ClockState
from huying.common.codes import parse_origin
from huying.common.errors import Code, HuyingError
from huying.node.api.entries import slot_fields
from huying.node.store.call_queries import CallRow, CallStepRow
from huying.node.store.call_schema import (
    PROPOSAL_PENDING,
    PROPOSAL_VOID,
    STEP_RAISE,
)
from huying.wire.v1 import api_pb2, calls_pb2, feed_pb2

__all__ = [
    "add_state",
    "call_view",
    "parse_message",
    "sequenced",
    "slot_views",
    "step_view",
    "turn",
]

M = TypeVar("M", calls_pb2.Call, calls_pb2.CallStep)

_ROLES: Final[Mapping[str, api_pb2.CallRole.ValueType]] = {
    "centre": api_pb2.CALL_ROLE_CENTRE,
    "department": api_pb2.CALL_ROLE_DEPARTMENT,
    "caller": api_pb2.CALL_ROLE_CALLER,
}
_CENTRES_TURN: Final = frozenset(
    {CallStage.RECEIVED, CallStage.ADMITTED, CallStage.OBJECTED, CallStage.REVIEW}
)
# Columns of a call's row that its view shows under the same name.
_SAME: Final = (
    "received_micros",
    "deadline_micros",
    "answered_micros",
    "confirmed_micros",
    "satisfaction",
    "admitted_micros",
    "dispatched_micros",
    "accepted_micros",
    "first_answered_micros",
    "ended_micros",
    "due_clock",
    "due_micros",
    "objections",
    "reopens",
    "reworks",
    "urges",
    "urgency",
    "supervision",
    "card",
    "response",
    "manner",
)
# Fields of the folded state that its view shows under the same name.
_OF_STATE: Final = (
    "duty_item",
    "off_list",
    "assigned",
    "awaiting_supplement",
    "extension_asked",
    "extensions",
    "void_count",
    "step_count",
)


def call_view(row: CallRow) -> api_pb2.CallView:
    """What a call's row says: all but its steps and what only the fold knows."""
    view = api_pb2.CallView(
        call=row.call,
        caller=row.caller,
        sequencer=row.sequencer,
        content=parse_message(calls_pb2.Call, row.message),
        stage=row.stage,  # type: ignore[arg-type]  # an open enum
        department=row.department,
        raised_micros=row.raised_micros,
        origin=row.origin,
        index=row.index,
        slots=slot_views(feed_pb2.RECORD_TYPE_CALL, row.caller, row.slots),
        open=bool(row.open),
        overdue=bool(row.overdue),
        paused=bool(row.paused),
        late=bool(row.late),
        breached=[kind for kind in ClockKind if row.breaches >> kind & 1],  # type: ignore[misc]
    )
    for name in _SAME:
        setattr(view, name, getattr(row, name))
    if row.resolved:
        view.resolved = row.resolved == 1
    return view


def step_view(row: CallStepRow) -> api_pb2.CallStepView:
    """One entry that speaks of a call."""
    view = api_pb2.CallStepView(
        origin=row.origin,
        index=row.index,
        home=row.home,
        time_micros=row.time_micros,
        pending=row.state == PROPOSAL_PENDING,
        void=row.state == PROPOSAL_VOID,
        void_reason=row.void_reason,  # type: ignore[arg-type]  # an open enum
    )
    # The raise is the call itself: its content is in the view, and its step stays empty.
    if row.step != STEP_RAISE:
        view.step.CopyFrom(parse_message(calls_pb2.CallStep, row.message))
    return view


def sequenced(rows: Iterable[CallStepRow], sequencer: str) -> list[SequencedStep]:
    """The entries among these that the fold takes."""
    return [
        SequencedStep(
            row.index,
            parse_message(calls_pb2.CallStep, row.message),
            parse_origin(row.origin).epoch,
        )
        for row in rows
        if row.home == sequencer and row.step != STEP_RAISE
    ]


def add_state(
    view: api_pb2.CallView, state: CallState, steps: Iterable[SequencedStep] = ()
) -> None:
    """Show what the row has no column for: what the fold of these steps says beside it."""
    view.co_handlers.extend(state.co_handlers)
    view.replied.extend(state.replied)
    view.objected.extend(state.objected)
    view.joined.extend(state.joined)
    for name in _OF_STATE:
        setattr(view, name, getattr(state, name))
    _add_terms(view, state)
    if state.merged_into is not None:
        view.merged_caller, view.merged_into = state.merged_into
    view.clocks.extend(_clock_view(clock) for clock in state.clocks)
    view.turn = turn(state)
    for role, number in _ROLES.items():
        if names := allowed_steps(state, role):
            view.allowed.add(role=number, steps=names)
    numbers = {step.call_step.number for step in steps}
    view.missing_numbers.extend(n for n in range(1, state.step_count + 1) if n not in numbers)


def _add_terms(view: api_pb2.CallView, state: CallState) -> None:
    terms = state.terms
    view.terms.policy_version = terms.policy_version
    view.terms.objections_max = terms.objections_max
    view.terms.extensions_max = terms.extensions_max
    view.terms.reopens_max = terms.reopens_max
    view.terms.review_required = terms.review_required
    view.terms.item_required = terms.item_required


def _clock_view(clock: ClockState) -> api_pb2.ClockView:
    return api_pb2.ClockView(
        clock=int(clock.kind),  # type: ignore[arg-type]  # the wire's numbers
        generation=clock.generation,
        status=int(clock.status),  # type: ignore[arg-type]  # the API's numbers, as a test holds
        due_micros=clock.due_micros,
        remaining_micros=clock.remaining_micros,
        breaches=clock.breaches,
    )


def turn(state: CallState) -> api_pb2.CallRole.ValueType:
    """Who has to do something next; unspecified where nobody has."""
    stage = state.stage
    if stage is CallStage.RAISED:
        return api_pb2.CALL_ROLE_SEQUENCER
    if stage in _CENTRES_TURN:
        return api_pb2.CALL_ROLE_CENTRE
    if stage is CallStage.ANSWERED or (state.is_open and state.awaiting_supplement):
        return api_pb2.CALL_ROLE_CALLER
    if not state.is_open:
        return api_pb2.CALL_ROLE_UNSPECIFIED
    return api_pb2.CALL_ROLE_CENTRE if state.extension_asked else api_pb2.CALL_ROLE_DEPARTMENT


@lru_cache(maxsize=1024)  # a type at a level has one answer
def _fields(type_: int, home: str) -> dict[int, tuple[str, ...]]:
    return slot_fields(type_, home)


def slot_views(type_: int, home: str, slots: Sequence[int]) -> list[api_pb2.Slot]:
    """From pairs (slot, state), as the store keeps them of a record of the division `home`."""
    fields = _fields(type_, home)
    return [
        api_pb2.Slot(
            slot=slot,
            state=state,  # type: ignore[arg-type]  # an open enum: any number is a state
            fields=fields.get(slot, ()),
        )
        for slot, state in zip(slots[::2], slots[1::2], strict=True)
    ]


def parse_message(message_class: type[M], data: bytes) -> M:
    """A stored call or step. Raises HuyingError(CORRUPT)."""
    try:
        return message_class.FromString(data)
    except DecodeError:
        raise HuyingError(Code.CORRUPT, "a stored call does not parse") from None
