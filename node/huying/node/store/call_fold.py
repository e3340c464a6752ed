"""The columns of `calls` that follow from the sequencer's steps."""

from __future__ import annotations

from typing import Final

from google.protobuf.message import DecodeError
from sqlalchemy import ColumnElement, Connection, and_, bindparam, select

from huying.common.calls import Place, SequencedStep, fold
from huying.common.errors import Code, HuyingError
from huying.node.store.content import message_bytes
from huying.node.store.schema import CALL_STEPS, CALLS, ENTRIES, FEEDS, STEP_RAISE, stands_at
from huying.node.store.values import number, text
from huying.wire.v1 import calls_pb2

__all__ = ["folded_columns", "sequencer_steps", "steps_of_sequencer"]


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
        step = SequencedStep(index, _parse(openings), epoch)
        sequenced.append(step)
        time_micros[step.place] = micros
    return sequenced, time_micros


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


def folded_columns(
    connection: Connection, call: bytes, caller: str, sequencer: str
) -> dict[str, str | int]:
    """What `calls` keeps of the fold. Times are those of the entries that made the state so."""
    steps, time_micros = sequencer_steps(connection, call, caller, sequencer)
    state = fold(steps)
    return {
        **dict.fromkeys(_LATER, 0),
        "stage": int(state.stage),
        "open": int(state.is_open),
        "department": text(state.department),
        "received_micros": time_micros.get(state.received_at, 0),
        "deadline_micros": number(state.deadline_micros),
        "answered_micros": time_micros.get(state.answered_at, 0),
        "confirmed_micros": time_micros.get(state.confirmed_at, 0),
        "satisfaction": state.satisfaction,
    }


_LATER: Final = tuple(column.name for column in list(CALLS.c)[list(CALLS.c).index(CALLS.c.stage) :])


def _parse(openings: bytes) -> calls_pb2.CallStep:
    try:
        return calls_pb2.CallStep.FromString(message_bytes(openings))
    except DecodeError:
        raise HuyingError(Code.CORRUPT, "a stored call step does not parse") from None
