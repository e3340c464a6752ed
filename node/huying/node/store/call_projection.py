"""Calls: the steps as they arrive, and the state folded from those of the sequencer.

A call's entries come over several feeds in any order: a took may be here before its proposal, a
step before its call. So every entry that speaks of a call becomes a row of `call_steps`, and the
rest is derived anew each time one arrives: which proposals were taken, and, where the sequencer
spoke, the call's state by `huying.common.calls.fold`. The result depends on what is here, never on
the order in which it came.

Calls are few beside events, so this runs plain SQLAlchemy Core; but its statements are built once,
which costs more than to run them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, and_, bindparam, select, update

from huying.common.state import Applied
from huying.node.store.call_fold import folded_columns, steps_of_sequencer
from huying.node.store.content import slot_states
from huying.node.store.schema import (
    CALL_STEPS,
    CALLS,
    FEEDS,
    PROPOSAL_ACCEPTED,
    PROPOSAL_NONE,
    PROPOSAL_ORPHAN,
    PROPOSAL_PENDING,
    PROPOSAL_VOID,
    STEP_RAISE,
)
from huying.node.store.statements import upsert_sql
from huying.node.store.values import number, text
from huying.wire.v1 import api_pb2, feed_pb2

__all__ = ["CallProjection", "raised_row"]

# The columns of `calls` that the fold writes, as they stand before the sequencer has spoken.
_UNRECEIVED: Final[dict[str, Any]] = {
    **{column.name: 0 for column in list(CALLS.c)[list(CALLS.c).index(CALLS.c.stage) :]},
    "stage": int(api_pb2.CALL_STAGE_RAISED),
    "open": 1,
    "department": "",
}

_PROPOSALS: Final = (STEP_RAISE, "confirm")

_OF_CALL: Final = and_(
    CALL_STEPS.c.call == bindparam("of_call"), CALL_STEPS.c.caller == bindparam("of_caller")
)
_THE_CALL: Final = and_(
    CALLS.c.record == bindparam("of_call"), CALLS.c.home == bindparam("of_caller")
)
_ADOPT: Final = (
    update(CALL_STEPS)
    .where(_OF_CALL, CALL_STEPS.c.state == PROPOSAL_ORPHAN)
    .values(state=PROPOSAL_PENDING)
)
_SEQUENCER: Final = select(CALLS.c.sequencer).where(_THE_CALL)
_SET_FOLDED: Final = (
    update(CALLS).where(_THE_CALL).values({name: bindparam(name) for name in _UNRECEIVED})
)
_TAKEN: Final = (
    select(
        CALL_STEPS.c.took_origin,
        CALL_STEPS.c.took_idx,
        CALL_STEPS.c.state,
        CALL_STEPS.c.void_reason,
    )
    .where(steps_of_sequencer(), CALL_STEPS.c.step == "took")
    .order_by(CALL_STEPS.c.epoch, CALL_STEPS.c.idx)
)
_DECIDE: Final = (
    update(CALL_STEPS)
    .where(
        _OF_CALL,
        CALL_STEPS.c.feed_id
        == select(FEEDS.c.feed_id).where(FEEDS.c.origin == bindparam("origin")).scalar_subquery(),
        CALL_STEPS.c.idx == bindparam("index"),
        CALL_STEPS.c.step.in_(_PROPOSALS),
    )
    .values(state=bindparam("decided"), void_reason=bindparam("reason"))
)

# (call, caller): whoever copies another's call id gets a call of its own.
_CallKey = tuple[bytes, str]


def raised_row(entry: Applied) -> tuple[Any, ...]:
    """The part of a call's row that its own entry gives, in the order of the columns."""
    head = entry.head
    message: Any = entry.message
    return (
        head.record,
        entry.home,
        entry.feed_id,
        entry.epoch,
        entry.index,
        number(head.time_micros),
        head.kind,
        slot_states(entry.slots, entry.present, entry.erased),
        text(message.sequencer),
        text(message.category),
        text(message.grid),
        text(message.village),
        number(message.raised_micros),
    )


class CallProjection:
    """Writes `calls` and `call_steps` over the store's connection, inside its transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        dialect = connection.dialect.name
        self._put_call = upsert_sql(CALLS, dialect, newer=True, keep=tuple(_UNRECEIVED))
        self._put_step = upsert_sql(CALL_STEPS, dialect)

    def apply(self, applied: Sequence[Applied]) -> None:
        """Bring both tables up to date. Entries of other types are passed over."""
        touched: dict[_CallKey, set[str]] = {}  # and who wrote the entries
        for entry in applied:
            if entry.head.type == feed_pb2.RECORD_TYPE_CALL:
                key = self._raise(entry)
            elif entry.head.type == feed_pb2.RECORD_TYPE_CALL_STEP:
                key = self._step(entry)
            else:
                continue
            touched.setdefault(key, set()).add(entry.home)
        for key, homes in touched.items():
            self._settle(key, homes)

    def _raise(self, entry: Applied) -> _CallKey:
        """The call itself, which is also the first proposal."""
        head = entry.head
        row = (*raised_row(entry), *_UNRECEIVED.values())
        self._connection.exec_driver_sql(self._put_call, row)
        key = head.record, entry.home
        self._put(key, entry, STEP_RAISE, PROPOSAL_PENDING)
        self._connection.execute(_ADOPT, {"of_call": key[0], "of_caller": key[1]})
        return key

    def _step(self, entry: Applied) -> _CallKey:
        message: Any = entry.message
        key = message.call, text(message.caller)
        step = message.WhichOneof("step") or ""
        if step == "took":
            took = message.took
            state = PROPOSAL_ACCEPTED if took.accepted else PROPOSAL_VOID
            self._put(key, entry, step, state, took)
        elif step == "confirm":
            known = self._sequencer(key) is not None
            self._put(key, entry, step, PROPOSAL_PENDING if known else PROPOSAL_ORPHAN)
        else:
            self._put(key, entry, step, PROPOSAL_NONE)
        return key

    def _put(self, key: _CallKey, entry: Applied, step: str, state: int, took: Any = None) -> None:
        self._connection.exec_driver_sql(
            self._put_step,
            (
                *key,
                entry.feed_id,
                entry.index,
                entry.home,
                entry.epoch,
                number(entry.head.time_micros),
                step,
                text(took.ref.origin) if took else "",
                number(took.ref.index) if took else 0,
                state,
                took.reason if took else 0,
            ),
        )

    def _sequencer(self, key: _CallKey) -> str | None:
        parameters = {"of_call": key[0], "of_caller": key[1]}
        return self._connection.execute(_SEQUENCER, parameters).scalar()

    def _settle(self, key: _CallKey, homes: set[str]) -> None:
        """Mark what was taken; fold again where the sequencer spoke or the call came late."""
        sequencer = self._sequencer(key)
        if sequencer is None:
            return
        self._mark_taken(key, sequencer)
        if sequencer in homes or key[1] in homes:
            columns = folded_columns(self._connection, *key, sequencer)
            self._connection.execute(
                _SET_FOLDED, {"of_call": key[0], "of_caller": key[1], **columns}
            )

    def _mark_taken(self, key: _CallKey, sequencer: str) -> None:
        """The first took of a proposal, in the sequencer's order, decides it."""
        of_call = {"of_call": key[0], "of_caller": key[1]}
        taken = self._connection.execute(_TAKEN, {**of_call, "of_sequencer": sequencer})
        decided: dict[tuple[str, int], tuple[int, int]] = {}
        for origin, index, state, reason in taken.fetchall():
            decided.setdefault((origin, index), (state, reason))
        # An earlier took may become readable after a later one, so a decision can still change.
        for (origin, index), (state, reason) in decided.items():
            decision = {"origin": origin, "index": index, "decided": state, "reason": reason}
            self._connection.execute(_DECIDE, {**of_call, **decision})
