"""Which proposals were taken, and what a call stands on whose own entry is not here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, and_, bindparam, select, update

from huying.common import calls
from huying.common.codes import ancestors
from huying.common.errors import HuyingError
from huying.common.state import Applied
from huying.node.store.call_fold import parse_step, steps_of_sequencer
from huying.node.store.call_schema import (
    CALL_STEPS,
    PROPOSAL_NONE,
    PROPOSAL_ORPHAN,
    PROPOSAL_PENDING,
    STEP_RAISE,
)
from huying.node.store.schema import ENTRIES, FEEDS, stands_at
from huying.node.store.values import number, text
from huying.wire.v1 import calls_pb2, feed_pb2

__all__ = ["PARTY", "PROPOSALS", "ProposalMarks", "standing_party"]

PARTY: Final = "party"

# What a party proposes. The sequencer's own step of such a kind is none: it may urge.
PROPOSALS: Final = frozenset({STEP_RAISE, *calls.PROPOSALS})

_OF_CALL: Final = and_(
    CALL_STEPS.c.call == bindparam("of_call"), CALL_STEPS.c.caller == bindparam("of_caller")
)
_IS_PROPOSAL: Final = CALL_STEPS.c.step.in_(sorted(PROPOSALS))
_TOOKS: Final = (
    select(
        CALL_STEPS.c.took_origin,
        CALL_STEPS.c.took_idx,
        CALL_STEPS.c.state,
        CALL_STEPS.c.void_reason,
    )
    .where(steps_of_sequencer(), CALL_STEPS.c.step == "took")
    .order_by(CALL_STEPS.c.epoch, CALL_STEPS.c.idx)
)
# The first took of a proposal, in the sequencer's order, decides it.
_DECISION: Final = _TOOKS.where(
    CALL_STEPS.c.took_origin == bindparam("origin"), CALL_STEPS.c.took_idx == bindparam("index")
).limit(1)
_PROPOSED: Final = (
    select(
        FEEDS.c.origin,
        CALL_STEPS.c.feed_id,
        CALL_STEPS.c.idx,
        CALL_STEPS.c.home,
        CALL_STEPS.c.step,
        CALL_STEPS.c.state,
        CALL_STEPS.c.void_reason,
    )
    .select_from(CALL_STEPS)
    .join(FEEDS, FEEDS.c.feed_id == CALL_STEPS.c.feed_id)
    .where(_OF_CALL, _IS_PROPOSAL)
)
_SET: Final = (
    update(CALL_STEPS)
    .where(
        _OF_CALL,
        CALL_STEPS.c.feed_id == bindparam("of_feed"),
        CALL_STEPS.c.idx == bindparam("of_index"),
    )
    .values(state=bindparam("decided"), void_reason=bindparam("reason"))
)
_THIS: Final = _PROPOSED.where(
    CALL_STEPS.c.feed_id == bindparam("of_feed"), CALL_STEPS.c.idx == bindparam("of_index")
)
_NAMED: Final = _PROPOSED.where(
    CALL_STEPS.c.feed_id
    == select(FEEDS.c.feed_id).where(FEEDS.c.origin == bindparam("origin")).scalar_subquery(),
    CALL_STEPS.c.idx == bindparam("of_index"),
)

_CallKey = tuple[bytes, str]


class ProposalMarks:
    """Writes the state of proposals into `call_steps`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def mark(self, key: _CallKey, sequencer: str, entries: Sequence[Applied]) -> None:
        """What new steps of a known call change: they propose, or take what was proposed."""
        of_call: dict[str, Any] = {"of_call": key[0], "of_caller": key[1]}
        proposed: dict[tuple[int, int], Any] = {}
        for entry in entries:
            message: Any = entry.message
            step = message.WhichOneof("step")
            if step == "took" and entry.home == sequencer:
                ref = message.took.ref
                place = {"origin": text(ref.origin), "of_index": number(ref.index)}
                rows = self._connection.execute(_NAMED, {**of_call, **place})
            elif step in PROPOSALS:
                place = {"of_feed": entry.feed_id, "of_index": entry.index}
                rows = self._connection.execute(_THIS, {**of_call, **place})
            else:
                continue
            for row in rows.fetchall():
                proposed[row.feed_id, row.idx] = row
        for row in proposed.values():
            # An earlier took may become readable after a later one, so a decision can still change.
            ref_of = {"origin": row.origin, "index": row.idx, "of_sequencer": sequencer}
            decision = self._connection.execute(_DECISION, {**of_call, **ref_of}).first()
            self._set(of_call, row, sequencer, None if decision is None else tuple(decision[2:]))

    def mark_all(self, key: _CallKey, sequencer: str | None) -> None:
        """Every proposal of a call; None where the call is not here."""
        of_call: dict[str, Any] = {"of_call": key[0], "of_caller": key[1]}
        decided: dict[tuple[str, int], tuple[int, int]] = {}
        if sequencer is not None:
            tooks = self._connection.execute(_TOOKS, {**of_call, "of_sequencer": sequencer})
            for origin, index, state, reason in tooks.fetchall():
                decided.setdefault((origin, index), (state, reason))
        for row in self._connection.execute(_PROPOSED, of_call).fetchall():
            self._set(of_call, row, sequencer, decided.get((row.origin, row.idx)))

    def _set(
        self,
        of_call: dict[str, Any],
        row: Any,
        sequencer: str | None,
        decision: tuple[int, int] | None,
    ) -> None:
        state, reason = decision or (_undecided(row, sequencer), 0)
        if (state, reason) != (row.state, row.void_reason):
            place = {"of_feed": row.feed_id, "of_index": row.idx}
            values = {"decided": state, "reason": reason}
            self._connection.execute(_SET, {**of_call, **place, **values})


def _undecided(row: Any, sequencer: str | None) -> int:
    if sequencer is None:
        return PROPOSAL_ORPHAN
    if row.home == sequencer and row.step != STEP_RAISE:
        return PROPOSAL_NONE
    return PROPOSAL_PENDING


# --- a call whose own entry is not here --------------------------------------------------------

_PARTIES: Final = (
    select(
        CALL_STEPS.c.feed_id,
        CALL_STEPS.c.epoch,
        CALL_STEPS.c.idx,
        CALL_STEPS.c.time_micros,
        CALL_STEPS.c.home,
        ENTRIES.c.openings,
    )
    .select_from(CALL_STEPS)
    .join(ENTRIES, stands_at(CALL_STEPS))
    .where(
        _OF_CALL,
        CALL_STEPS.c.step == PARTY,
        CALL_STEPS.c.home.in_(bindparam("above", expanding=True)),
    )
    .order_by(CALL_STEPS.c.home.desc(), CALL_STEPS.c.epoch, CALL_STEPS.c.idx)
    .limit(1)
)


def standing_party(connection: Connection, call: bytes, caller: str) -> tuple[Any, ...] | None:
    """The part of a call's row that a party step gives; None where there is none.

    Just a node above the caller can be a call's sequencer, so nobody else's word makes a call
    appear; of several the nearest one's first step counts.
    """
    try:
        above = ancestors(caller)
    except HuyingError:
        return None
    parameters = {"of_call": call, "of_caller": caller, "above": above}
    found = connection.execute(_PARTIES, parameters).first()
    if found is None:
        return None
    feed_id, epoch, index, time_micros, home, openings = found
    party: calls_pb2.Party = parse_step(openings).party
    return (
        call,
        caller,
        feed_id,
        epoch,
        index,
        time_micros,
        int(feed_pb2.KIND_PUT),
        b"",
        1,
        home,
        text(party.category),
        text(party.grid),
        text(party.village),
        number(party.raised_micros),
    )
