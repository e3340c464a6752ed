"""Reading calls: lists, one call with its steps, what waits for the sequencer, and counts."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Final, Literal, NamedTuple

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

from huying.common.calls import Proposal, SequencedStep
from huying.common.calls.call_state import ClockKind
from huying.common.errors import Code, HuyingError
from huying.common.limits import CALL_STEPS_MAX
from huying.node.store.call_fold import sequencer_steps
from huying.node.store.call_schema import (
    CALL_STEPS,
    CALLS,
    IS_OPEN,
    NOTHING_DUE,
    PROPOSAL_PENDING,
    STEP_RAISE,
)
from huying.node.store.content import message_bytes
from huying.node.store.queries import Page, Queries, pack_token, page_limit, unpack_token
from huying.node.store.schema import ENTRIES, FEEDS, stands_at
from huying.wire.v1 import calls_pb2

__all__ = [
    "CallCounts",
    "CallLoad",
    "CallQueries",
    "CallRow",
    "CallStepRow",
    "call_of_row",
    "select_calls",
]

# Spelt out in the SQL, as in the index's own condition: a bound value would not use it.
_PENDING: ColumnElement[int] = literal_column(str(PROPOSAL_PENDING))
# The clocks that the answering side lets run out.
_OURS: Final = (ClockKind.ADMIT, ClockKind.ACCEPT, ClockKind.ANSWER)


@dataclass(frozen=True, slots=True)
class CallRow:
    """A call as it stands here. Times are unix microseconds, 0 where it has not happened.

    The columns of `huying.node.store.call_schema.CALLS`, which explains them.
    """

    call: bytes
    caller: str
    origin: str
    index: int
    time_micros: int
    kind: int
    slots: bytes
    late: int  # 1: the content is the summary of a party step; the call itself is not here
    sequencer: str
    category: str
    grid: str
    village: str
    raised_micros: int
    stage: int  # huying.common.calls.CallStage
    open: int
    department: str
    urgency: int
    received_micros: int
    admitted_micros: int
    dispatched_micros: int
    accepted_micros: int
    answered_micros: int
    first_answered_micros: int
    confirmed_micros: int
    ended_micros: int
    deadline_micros: int
    due_clock: int  # huying.common.calls.call_state.ClockKind; 0: nothing is due
    due_micros: int  # 0: nothing is due
    overdue: int
    paused: int
    timer_micros: int
    breaches: int
    accept_due_micros: int
    objections: int
    reopens: int
    reworks: int
    urges: int
    supervision: int
    card: int
    resolved: int
    satisfaction: int
    response: int
    manner: int
    missing: int
    lane: int  # which clock matters: huying.node.store.call_schema.LANE_…
    asks: int  # bits ASKS_…
    helpers: str  # co-handling departments, each between line feeds
    message: bytes  # calls_pb2.Call, as far as it is visible


@dataclass(frozen=True, slots=True)
class CallStepRow:
    """One entry that speaks of a call."""

    origin: str
    index: int
    home: str
    time_micros: int
    step: str  # raise, or the field of CallStep's oneof; empty for an internal note
    state: int  # huying.node.store.call_schema.PROPOSAL_…
    void_reason: int
    message: bytes  # calls_pb2.CallStep; for the raise, calls_pb2.Call


class CallLoad(NamedTuple):
    """How many open calls a department has in a stage, and how many of them are overdue."""

    department: str  # empty before the first dispatch
    stage: int
    open: int
    overdue: int


@dataclass(frozen=True, slots=True)
class CallCounts:
    """How many calls are here, how many of them were answered, how many are confirmed now."""

    raised: int
    answered: int
    confirmed: int


class CallQueries(Queries):
    """What is asked about calls; every list goes by an index."""

    def get_call(self, call: bytes, caller: str = "") -> tuple[CallRow, list[CallStepRow]] | None:
        """A call and its first CALL_STEPS_MAX steps, feed by feed; None where it is unknown.

        `caller` chooses among calls of one id, which only a forger makes; empty takes the one that
        its sequencer received first, so that whoever learnt an id can't put a call before it.
        """
        named = select(CALLS.c.home, CALLS.c.received_micros).where(CALLS.c.record == call)
        with self._reading() as connection:
            if not caller:
                callers = connection.execute(named).all()
                received = [(not micros, micros, home) for home, micros in callers]
                caller = min(received)[-1] if received else ""
            query = select_calls().where(CALLS.c.record == call, CALLS.c.home == caller)
            row = connection.execute(query).first()
            if row is None:
                return None
            found = call_of_row(row)
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

    def received_micros(self, sequencer: str, caller: str, call: bytes) -> int:
        """When the sequencer took the call, by its own clock; 0 where it has not."""
        query = select(CALLS.c.received_micros).where(
            CALLS.c.record == call, CALLS.c.home == caller, CALLS.c.sequencer == sequencer
        )
        with self._reading() as connection:
            return connection.execute(query).scalar() or 0

    def list_calls(
        self,
        *,
        department: str = "",
        open_only: bool = False,
        stage: int = 0,
        caller: str = "",
        category: str = "",
        overdue_before_micros: int = 0,
        order: Literal["newest", "deadline"] = "newest",
        limit: int = 0,
        page_token: bytes = b"",
    ) -> Page[CallRow]:
        """Calls from the newest to the oldest; or, by deadline, open ones as they are due.

        What waits for no clock comes last. `overdue_before_micros`: just open calls for which the
        answering side's own clock was due before that instant. The others narrow, too. Raises
        HuyingError(INVALID_ARGUMENT) for a token that is not ours, or of the other order.
        """
        wanted = page_limit(limit)
        due = order == "deadline"
        key = (CALLS.c.due_micros if due else CALLS.c.time_micros, CALLS.c.record, CALLS.c.home)
        query = select_calls().order_by(*(column if due else column.desc() for column in key))
        for column, value in (
            (CALLS.c.department, department),
            (CALLS.c.stage, stage),
            (CALLS.c.home, caller),
            (CALLS.c.category, category),
        ):
            if value:
                query = query.where(column == value)
        if due or open_only or overdue_before_micros:
            query = query.where(IS_OPEN)
        if overdue_before_micros:
            query = query.where(
                CALLS.c.due_micros < overdue_before_micros, CALLS.c.due_clock.in_(_OURS)
            )
        if page_token:
            place, home, record = unpack_token(page_token, ascending=due)
            last = tuple_(place, record, home)
            query = query.where(tuple_(*key) > last if due else tuple_(*key) < last)
        with self._reading() as connection:
            found = connection.execute(query.limit(wanted + 1)).fetchall()
        rows = tuple(call_of_row(row) for row in found[:wanted])
        if len(found) <= wanted:
            return Page(rows, b"")
        newest = rows[-1]
        place = newest.due_micros or NOTHING_DUE if due else newest.time_micros
        return Page(rows, pack_token(place, newest.caller, newest.call, ascending=due))

    def due_timers(self, sequencer: str, now_micros: int, limit: int) -> list[tuple[str, bytes]]:
        """(caller, call) of the calls of `sequencer` one of whose clocks is due, oldest first."""
        parameters = {"of_sequencer": sequencer, "now": now_micros, "most": limit}
        with self._reading() as connection:
            return [(row[0], row[1]) for row in connection.execute(_DUE_TIMERS, parameters)]

    def running_timers(
        self, sequencer: str, after: tuple[str, bytes], limit: int
    ) -> list[tuple[str, bytes]]:
        """(caller, call) of the calls of `sequencer` one of whose clocks runs, beyond `after`."""
        key = (CALLS.c.home, CALLS.c.record)
        query = (
            select(*key)
            .where(CALLS.c.timer_micros > literal_column("0"), CALLS.c.sequencer == sequencer)
            .where(tuple_(*key) > tuple_(*after))
            .order_by(*key)
            .limit(limit)
        )
        with self._reading() as connection:
            return [(row[0], row[1]) for row in connection.execute(query)]

    def call_loads(self, sequencer: str) -> list[CallLoad]:
        """The open calls that a node answers, by department and stage.

        Reads one entry of an index for each of them.
        """
        with self._reading() as connection:
            rows = connection.execute(_LOADS, {"of_sequencer": sequencer})
            return [CallLoad(*row) for row in rows]

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
        confirmed = CALLS.c.resolved == _RESOLVED
        query = select(
            func.count(),
            func.count(case((CALLS.c.answered_micros > 0, 1))),
            func.count(case((confirmed, 1))),
        ).select_from(CALLS)
        with self._reading() as connection:
            return CallCounts(*connection.execute(query).one())


_RESOLVED: Final = 1  # in the column of that name


def select_calls() -> Select[Any]:
    """Every call, with the columns that `call_of_row` takes."""
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


def call_of_row(row: Any) -> CallRow:
    """A row of `select_calls`. Raises HuyingError(CORRUPT)."""
    columns: list[Any] = list(row[:-1])
    message = message_bytes(row[-1])
    if columns[_LATE_AT]:
        message = _summary(message, columns[_SEQUENCER_AT])
    if columns[_DUE_AT] == NOTHING_DUE:
        columns[_DUE_AT] = 0
    columns.append(message)
    return CallRow(*columns)


_NAMES: Final = [field.name for field in fields(CallRow)]
_LATE_AT, _SEQUENCER_AT, _DUE_AT = map(_NAMES.index, ("late", "sequencer", "due_micros"))


def _summary(step: bytes, sequencer: str) -> bytes:
    """What a party step says of a call, as the call."""
    try:
        party = calls_pb2.CallStep.FromString(step).party
    except DecodeError:
        raise HuyingError(Code.CORRUPT, "a stored party step does not parse") from None
    call = calls_pb2.Call(
        sequencer=sequencer,
        category=party.category,
        title=party.title,
        description=party.description,
        grid=party.grid,
        village=party.village,
        raised_micros=party.raised_micros,
    )
    return call.SerializeToString()


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


_DUE_TIMERS: Final = (
    select(CALLS.c.home, CALLS.c.record)
    .where(
        CALLS.c.timer_micros > literal_column("0"),
        CALLS.c.timer_micros <= bindparam("now"),
        CALLS.c.sequencer == bindparam("of_sequencer"),
    )
    .order_by(CALLS.c.timer_micros, CALLS.c.record, CALLS.c.home)
    .limit(bindparam("most"))
)
_LOADS: Final = (
    select(CALLS.c.department, CALLS.c.stage, func.count(), func.sum(CALLS.c.overdue))
    .where(IS_OPEN, CALLS.c.sequencer == bindparam("of_sequencer"))
    .group_by(CALLS.c.department, CALLS.c.stage)
)


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
