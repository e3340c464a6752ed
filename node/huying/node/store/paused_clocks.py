"""What an answer clock that stands still has left, for a list of calls.

The step that stopped the clock has it printed in a mark, so a row of a list costs that one step,
and not the call's fold, which a call's own page makes.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, bindparam, select

from huying.common.calls.call_state import ClockKind
from huying.node.store.call_fold import parse_step, steps_of_sequencer
from huying.node.store.call_schema import CALL_STEPS
from huying.node.store.schema import ENTRIES, stands_at
from huying.wire.v1 import calls_pb2

__all__ = ["paused_rest"]

# What lets the clock stand still, or changes what it has left meanwhile: see
# huying.common.calls.call_clock.
_PAUSING: Final = ("supplement_request", "answer", "extension_decision")
# A refused extension has no mark. Beneath more of those than this, a row says just that it stands.
_STEPS_MAX: Final = 8
_NEWEST: Final = (
    select(ENTRIES.c.openings)
    .select_from(CALL_STEPS)
    .join(ENTRIES, stands_at(CALL_STEPS))
    .where(steps_of_sequencer(), CALL_STEPS.c.step.in_(_PAUSING))
    .order_by(CALL_STEPS.c.epoch.desc(), CALL_STEPS.c.idx.desc())
    .limit(bindparam("most"))
)


def paused_rest(connection: Connection, call: bytes, caller: str, sequencer: str) -> int | None:
    """What is left, in microseconds of the clock's own time; None where no step here says it.

    For a call whose row says that its answer clock stands still. Raises HuyingError(CORRUPT).
    """
    parameters = {
        "of_call": call,
        "of_caller": caller,
        "of_sequencer": sequencer,
        "most": _STEPS_MAX,
    }
    for (openings,) in connection.execute(_NEWEST, parameters).fetchall():
        for mark in reversed(parse_step(openings).clocks):
            is_paused = mark.event == calls_pb2.CLOCK_EVENT_PAUSED
            if mark.clock == int(ClockKind.ANSWER) and is_paused:
                return mark.remaining_micros
    return None
