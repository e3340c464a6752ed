"""Reading calls: lists, one call with its steps, what waits for the sequencer, and counts."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Final

from google.protobuf.message import DecodeError
from sqlalchemy import (
    ColumnElement,
    Select,
    and_,
    bindparam,
    case,
    func,
    literal_column,
    select,
    tuple_,
)

from huying.common.calls import CallStage, Proposal, SequencedStep
from huying.common.errors import Code, HuyingError
from huying.common.limits import CALL_STEPS_MAX
from huying.node.store.call_fold import sequencer_steps
from huying.node.store.content import message_bytes
from huying.node.store.queries import Page, Queries, pack_token, page_limit, unpack_token
from huying.node.store.schema import (
    CALL_STEPS,
    CALLS,
    ENTRIES,
    FEEDS,
    PROPOSAL_PENDING,
    STEP_RAISE,
    stands_at,
)
from huying.wire.v1 import calls_pb2

__all__ = ["CallCounts", "CallQueries", "CallRow", "CallStepRow"]

# Spelt out in the SQL, as in the index's own condition: a bound value would not use it.
_PENDING: ColumnElement[int] = literal_column(str(PROPOSAL_PENDING))


@dataclass(frozen=True, slots=True)
class CallRow:
    """A call as it stands here. Times are unix microseconds, 0 where it has not happened."""

    call: bytes
    caller: str
    origin: str
    index: int
    time_micros: int
    kind: int
    slots: bytes
    sequencer: str
    raised_micros: int
    stage: int  # huying.common.calls.CallStage
    department: str
    received_micros: int
    deadline_micros: int
    answered_micros: int
    confirmed_micros: int
    satisfaction: int
    message: bytes  # calls_pb2.Call, as far as it is visible


@dataclass(frozen=True, slots=True)
class CallStepRow:
    """One entry that speaks of a call."""

    origin: str
    index: int
    home: str
    time_micros: int
    step: str  # raise, took, dispatch, answer, confirm; empty for an internal note
    state: int  # huying.node.store.schema.PROPOSAL_…
    void_reason: int
    message: bytes  # calls_pb2.CallStep; for the raise, calls_pb2.Call


@dataclass(frozen=True, slots=True)
class CallCounts:
    """How many calls are here, how many of them were answered, how many are confirmed now."""

    raised: int
    answered: int
    confirmed: int


class CallQueries(Queries):
    """Lists go from the newest call to the oldest."""

    def get_call(self, call: bytes, caller: str = "") -> tuple[CallRow, list[CallStepRow]] | None:
        """A call and its first CALL_STEPS_MAX steps, feed by feed; None where it is unknown.

        `caller` chooses among calls of one id, which only a forger makes; empty takes the first.
        """
        query = _calls().where(CALLS.c.record == call).order_by(CALLS.c.home)
        if caller:
            query = query.where(CALLS.c.home == caller)
        with self._reading() as connection:
            row = connection.execute(query.limit(1)).first()
            if row is None:
                return None
            found = _call_row(row)
            steps = connection.execute(
                _steps()
                .where(CALL_STEPS.c.call == call, CALL_STEPS.c.caller == found.caller)
                .order_by(CALL_STEPS.c.feed_id, CALL_STEPS.c.idx)
                .limit(CALL_STEPS_MAX)
            )
            return found, [_step_row(step) for step in steps]

    def sequenced_steps(self, sequencer: str, caller: str, call: bytes) -> list[SequencedStep]:
        """Everything the sequencer wrote about that call, by epoch and index."""
        with self._reading() as connection:
            return sequencer_steps(connection, call, caller, sequencer)[0]

    def list_calls(
        self,
        *,
        department: str = "",
        open_only: bool = False,
        stage: int = 0,
        limit: int = 0,
        page_token: bytes = b"",
    ) -> Page[CallRow]:
        """Calls, newest first; `department`, `open_only` and `stage` narrow.

        Raises HuyingError(INVALID_ARGUMENT) for a token that is not ours.
        """
        wanted = page_limit(limit)
        key = (CALLS.c.time_micros, CALLS.c.record, CALLS.c.home)
        query = _calls().order_by(*(column.desc() for column in key)).limit(wanted + 1)
        if department:
            query = query.where(CALLS.c.department == department)
        if open_only:
            query = query.where(CALLS.c.open == 1)
        if stage:
            query = query.where(CALLS.c.stage == stage)
        if page_token:
            place, home, record = unpack_token(page_token)
            query = query.where(tuple_(*key) < tuple_(place, record, home))
        with self._reading() as connection:
            found = connection.execute(query).fetchall()
        rows = tuple(_call_row(row) for row in found[:wanted])
        if len(found) <= wanted:
            return Page(rows, b"")
        return Page(rows, pack_token(rows[-1].time_micros, rows[-1].caller, rows[-1].call))

    def pending_proposals(self, sequencer: str, limit: int) -> list[Proposal]:
        """The oldest proposals to `sequencer` that it has not taken, in feed order."""
        with self._reading() as connection:
            return [
                Proposal(origin, index, home, call, caller, _parse(step, openings))
                for origin, index, home, call, caller, step, openings in connection.execute(
                    _PENDING_PROPOSALS, {"of_sequencer": sequencer, "most": limit}
                )
            ]

    def call_counts(self) -> CallCounts:
        """See `CallCounts`."""
        confirmed = CALLS.c.stage == int(CallStage.CONFIRMED)
        query = select(
            func.count(),
            func.count(case((CALLS.c.answered_micros > 0, 1))),
            func.count(case((confirmed, 1))),
        ).select_from(CALLS)
        with self._reading() as connection:
            return CallCounts(*connection.execute(query).one())


def _calls() -> Select[Any]:
    names = [field.name for field in fields(CallRow)]
    shown = names[names.index("time_micros") : names.index("message")]
    return (
        select(
            CALLS.c.record,
            CALLS.c.home,
            FEEDS.c.origin,
            CALLS.c.idx,
            *(CALLS.c[name] for name in shown),
            ENTRIES.c.openings,
        )
        .select_from(CALLS)
        .join(ENTRIES, stands_at(CALLS))
        .join(FEEDS, FEEDS.c.feed_id == CALLS.c.feed_id)
    )


def _call_row(row: Any) -> CallRow:
    *columns, openings = row
    columns.append(message_bytes(openings))
    return CallRow(*columns)


def _steps() -> Select[Any]:
    names = ("idx", "home", "time_micros", "step", "state", "void_reason")
    return (
        select(FEEDS.c.origin, *(CALL_STEPS.c[name] for name in names), ENTRIES.c.openings)
        .select_from(CALL_STEPS)
        .join(ENTRIES, stands_at(CALL_STEPS))
        .join(FEEDS, FEEDS.c.feed_id == CALL_STEPS.c.feed_id)
    )


def _step_row(row: Any) -> CallStepRow:
    *columns, openings = row
    columns.append(message_bytes(openings))
    return CallStepRow(*columns)


def _call_of_step() -> Any:
    return and_(CALLS.c.record == CALL_STEPS.c.call, CALLS.c.home == CALL_STEPS.c.caller)


# Built once: every transaction of every node asks this.
_PENDING_PROPOSALS: Final = (
    select(
        FEEDS.c.origin,
        CALL_STEPS.c.idx,
        CALL_STEPS.c.home,
        CALL_STEPS.c.call,
        CALL_STEPS.c.caller,
        CALL_STEPS.c.step,
        ENTRIES.c.openings,
    )
    .select_from(CALL_STEPS)
    .join(CALLS, _call_of_step())
    .join(ENTRIES, stands_at(CALL_STEPS))
    .join(FEEDS, FEEDS.c.feed_id == CALL_STEPS.c.feed_id)
    .where(CALL_STEPS.c.state == _PENDING, CALLS.c.sequencer == bindparam("of_sequencer"))
    .order_by(CALL_STEPS.c.feed_id, CALL_STEPS.c.idx)
    .limit(bindparam("most"))
)


def _parse(step: str, openings: bytes) -> calls_pb2.Call | calls_pb2.CallStep:
    body = message_bytes(openings)
    try:
        if step == STEP_RAISE:
            return calls_pb2.Call.FromString(body)
        return calls_pb2.CallStep.FromString(body)
    except DecodeError:
        raise HuyingError(Code.CORRUPT, "a stored proposal does not parse") from None
