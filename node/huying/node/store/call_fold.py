"""What `calls` and `call_turns` keep of the sequencer's steps.

A step that follows on those known moves the kept state on; one that comes late folds the call anew
from its entries. So a call of many steps costs the writer its length once, and not once per step.
"""

from __future__ import annotations

from typing import Any, Final

from google.protobuf.message import DecodeError
from sqlalchemy import ColumnElement, Connection, and_, bindparam, select

from huying.common.calls import Folding, Place, SequencedStep
from huying.common.calls.call_state import CallStage, CallState, ClockKind, ClockState, ClockStatus
from huying.common.calls.call_turns import Turn, advance_turns
from huying.common.errors import Code, HuyingError
from huying.node.store.call_schema import (
    ASKS_EXTENSION,
    ASKS_SUPPLEMENT,
    CALL_STEPS,
    CALLS,
    FIRST_FOLDED,
    LANE_CALLER,
    LANE_ENDED,
    LANE_NONE,
    LANE_OURS,
    LANE_PAUSED,
    NOTHING_DUE,
    STEP_RAISE,
)
from huying.node.store.content import message_bytes
from huying.node.store.schema import ENTRIES, FEEDS, stands_at
from huying.node.store.values import TEXT_CHARACTERS_KEPT, number, text
from huying.wire.v1 import calls_pb2

__all__ = [
    "FOLDED_NAMES",
    "UNFOLDED",
    "FoldedCall",
    "fold_call",
    "folded_columns",
    "parse_step",
    "sequencer_steps",
    "steps_of_sequencer",
    "turn_row",
]


def steps_of_sequencer() -> ColumnElement[bool]:
    """Selects what stands of a call (`of_call`, `of_caller`) in the feeds of `of_sequencer`.

    The feeds are named by number, so that the key leads straight to these steps, however many
    others speak of the same call.
    """
    feeds = select(FEEDS.c.feed_id).where(FEEDS.c.code == bindparam("of_sequencer"))
    return and_(
        CALL_STEPS.c.call == bindparam("of_call"),
        CALL_STEPS.c.caller == bindparam("of_caller"),
        CALL_STEPS.c.feed_id.in_(feeds),
    )


# Built once: to build a query costs more than to run it.
_STEPS: Final = (
    select(CALL_STEPS.c.epoch, CALL_STEPS.c.idx, CALL_STEPS.c.time_micros, ENTRIES.c.openings)
    .select_from(CALL_STEPS)
    .join(ENTRIES, stands_at(CALL_STEPS))
    .where(steps_of_sequencer(), CALL_STEPS.c.step != STEP_RAISE)
    .order_by(CALL_STEPS.c.epoch, CALL_STEPS.c.idx)
)


def sequencer_steps(
    connection: Connection, call: bytes, caller: str, sequencer: str
) -> tuple[list[SequencedStep], dict[Place | None, int]]:
    """What the sequencer wrote of a call, by epoch and index; and when, in unix µs by place.

    Raises HuyingError(CORRUPT) where a stored step does not read as it did when it was applied.
    """
    parameters = {"of_call": call, "of_caller": caller, "of_sequencer": sequencer}
    sequenced: list[SequencedStep] = []
    time_micros: dict[Place | None, int] = {}
    for epoch, index, micros, openings in connection.execute(_STEPS, parameters):
        step = SequencedStep(index, parse_step(openings), epoch)
        sequenced.append(step)
        time_micros[step.place] = micros
    return sequenced, time_micros


def parse_step(openings: bytes) -> calls_pb2.CallStep:
    """The step that an entry's openings hold, as far as it is visible. Raises as above."""
    try:
        return calls_pb2.CallStep.FromString(message_bytes(openings))
    except DecodeError:
        raise HuyingError(Code.CORRUPT, "a stored call step does not parse") from None


# The places that a state remembers, and the columns that have the times of their entries.
_TIMES: Final = {
    "received_at": "received_micros",
    "admitted_at": "admitted_micros",
    "dispatched_at": "dispatched_micros",
    "accepted_at": "accepted_micros",
    "answered_at": "answered_micros",
    "first_answered_at": "first_answered_micros",
    "confirmed_at": "confirmed_micros",
    "ended_at": "ended_micros",
}


class FoldedCall:
    """A call as far as its sequencer's steps up to `last` take it; `add` moves it on."""

    def __init__(self) -> None:
        self._folding = Folding()
        self.turns: tuple[Turn, ...] = ()
        self.times: dict[str, int] = dict.fromkeys(_TIMES.values(), 0)
        self.last: Place | None = None

    @property
    def state(self) -> CallState:
        """The state; its `taken` is not kept up to date, for no column is made of it."""
        return self._folding.latest

    def folding(self) -> Folding:
        """The fold so far, for another to go on with."""
        return self._folding.copy()

    def precedes(self, place: Place) -> bool:
        """Whether a step that stands at `place` comes after all that is folded here."""
        return self.last is None or place > self.last

    def add(self, step: SequencedStep, time_micros: int) -> None:
        """Take the next step, whose entry has this time."""
        before = self.state
        self._folding.add(step)
        self.last = step.place
        after = self.state
        if after is before:
            return
        self.turns = advance_turns(self.turns, before, after, step.call_step, time_micros)
        for name, column in _TIMES.items():
            place = getattr(after, name)
            if place != getattr(before, name):
                self.times[column] = 0 if place is None else time_micros


def fold_call(connection: Connection, call: bytes, caller: str, sequencer: str) -> FoldedCall:
    """The call as its entries that are here tell it. Raises as `sequencer_steps`."""
    steps, times = sequencer_steps(connection, call, caller, sequencer)
    folded = FoldedCall()
    for step in steps:
        folded.add(step, times[step.place])
    return folded


# --- columns of `calls` ----------------------------------------------------------------------

_NAMES: Final = [column.name for column in CALLS.c]
FOLDED_NAMES: Final = tuple(_NAMES[_NAMES.index(FIRST_FOLDED) :])

# What a stage waits for, of the clocks that run or ran out.
_AWAITED: Final[dict[CallStage, tuple[ClockKind, ...]]] = {
    CallStage.RECEIVED: (ClockKind.ADMIT,),
    CallStage.DISPATCHED: (ClockKind.ACCEPT, ClockKind.ANSWER),
    CallStage.OBJECTED: (ClockKind.ANSWER,),
    CallStage.HANDLING: (ClockKind.ANSWER,),
    CallStage.UNRESOLVED: (ClockKind.ANSWER,),
    CallStage.REVIEW: (ClockKind.ANSWER,),
    CallStage.ANSWERED: (ClockKind.CONFIRM,),
    CallStage.CONFIRMED: (ClockKind.REOPEN,),
    CallStage.CLOSED: (ClockKind.REOPEN,),
    CallStage.DECLINED: (ClockKind.REOPEN,),
}
# The answering side's own: who lets one of these run out is late.
_OURS: Final = frozenset({ClockKind.ADMIT, ClockKind.ACCEPT, ClockKind.ANSWER})
_SMALL_MAX: Final = 2**15 - 1


def folded_columns(folded: FoldedCall) -> dict[str, str | int]:
    """The columns FOLDED_NAMES of a call. Times are those of the entries that made it so."""
    state = folded.state
    due = _awaited_clock(state)
    answer = state.clock(ClockKind.ANSWER)
    accept = state.clock(ClockKind.ACCEPT)
    running = [c.due_micros for c in state.clocks if c.status is ClockStatus.RUNNING]
    columns: dict[str, str | int] = {
        "stage": int(state.stage),
        "open": int(state.is_open),
        "department": text(state.department),
        "urgency": _small(state.urgency),
        **folded.times,
        "deadline_micros": number(state.deadline_micros),
        "due_clock": int(due.kind) if due else 0,
        "due_micros": number(due.due_micros) if due else NOTHING_DUE,
        "overdue": int(due is not None and due.kind in _OURS and _has_run_out(due)),
        "paused": int(answer is not None and answer.status is ClockStatus.PAUSED),
        "timer_micros": number(min(running, default=0)),
        "breaches": sum(1 << clock.kind for clock in state.clocks if clock.breaches),
        "accept_due_micros": number(accept.due_micros) if accept else 0,
        "objections": _small(len(state.objected)),
        "resolved": 0 if state.resolved is None else 1 if state.resolved else 2,
        "missing": min(state.missing_count, 2**31 - 1),
        "lane": _lane(state, due),
        "asks": _asks(state),
        "helpers": _joined(state.co_handlers),
    }
    for name in ("reopens", "reworks", "urges", "supervision", "card"):
        columns[name] = _small(getattr(state, name))
    for name in ("satisfaction", "response", "manner"):
        columns[name] = _small(getattr(state, name))
    return {name: columns[name] for name in FOLDED_NAMES}


def _lane(state: CallState, due: ClockState | None) -> int:
    answer = state.clock(ClockKind.ANSWER)
    if not state.is_open:
        return LANE_ENDED
    if answer is not None and answer.status is ClockStatus.PAUSED:
        return LANE_PAUSED
    if due is None:
        return LANE_NONE
    return LANE_OURS if due.kind in _OURS else LANE_CALLER


def _asks(state: CallState) -> int:
    if not state.is_open:
        return 0
    supplement = ASKS_SUPPLEMENT if state.awaiting_supplement else 0
    return supplement | (ASKS_EXTENSION if state.extension_asked else 0)


def _joined(departments: tuple[str, ...]) -> str:
    """As many as fit, each between line feeds, so that one is found by its whole name."""
    found = "\n"
    for department in departments:
        one = text(department).replace("\n", " ")
        if len(found) + len(one) + 1 > TEXT_CHARACTERS_KEPT:
            break
        found += f"{one}\n"
    return found if len(found) > 1 else ""


def _small(value: int) -> int:
    return min(value, _SMALL_MAX)


def _has_run_out(clock: ClockState) -> bool:
    return clock.status is ClockStatus.EXPIRED


def _awaited_clock(state: CallState) -> ClockState | None:
    """The clock that the call waits for and that is, or was, due first."""
    kinds = _AWAITED.get(state.stage, ())
    if state.awaiting_supplement:
        kinds = (*kinds, ClockKind.SUPPLEMENT)
    found = [
        clock
        for clock in state.clocks
        if clock.kind in kinds
        and clock.due_micros
        and (
            clock.status is ClockStatus.RUNNING
            # A window that closed is awaited no more.
            or (_has_run_out(clock) and clock.kind is not ClockKind.REOPEN)
        )
    ]
    return min(found, key=lambda clock: (clock.due_micros, clock.kind), default=None)


# Before the sequencer has spoken.
UNFOLDED: Final = folded_columns(FoldedCall())


# --- rows of `call_turns` ---------------------------------------------------------------------


def turn_row(call: bytes, caller: str, sequencer: str, turn: Turn) -> tuple[Any, ...]:
    """A row of `call_turns`, in the order of its columns."""
    return (
        call,
        caller,
        turn.number,
        sequencer,
        int(turn.kind),
        int(turn.cause),
        text(turn.department),
        turn.begun_micros,
        turn.ended_micros,
        number(turn.due_micros),
        int(turn.outcome),
        number(turn.accept_due_micros),
        int(turn.accept_outcome),
        int(turn.objection),
        _small(turn.reworks),
        turn.yellow_micros,
        turn.red_micros,
        turn.resolved,
        int(turn.sequel),
        _small(turn.satisfaction),
        _small(turn.response),
        _small(turn.manner),
    )
