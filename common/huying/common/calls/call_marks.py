"""What a sequencer printed about a call's clocks, as the fold records it.

No arithmetic is done here and no time is read: a mark says what the sequencer reckoned, once, when
it wrote the step (docs/POLICY.md). A mark that does not fit the clock as it stands is passed over.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from huying.common.calls.call_state import ClockKind, ClockState, ClockStatus
from huying.wire.v1 import calls_pb2

__all__ = ["expired", "is_running", "marked"]

Clocks = tuple[ClockState, ...]  # by kind, ascending


def marked(clocks: Clocks, marks: Iterable[calls_pb2.ClockMark]) -> Clocks:
    """The clocks after these marks, in their order. Total: an unknown clock or event is no mark."""
    by_kind = {clock.kind: clock for clock in clocks}
    for mark in marks:
        try:
            kind = ClockKind(mark.clock)
        except ValueError:
            continue
        following = _marked(by_kind.get(kind), kind, mark)
        if following is not None:
            by_kind[kind] = following
    return tuple(by_kind[kind] for kind in sorted(by_kind))


def _marked(
    clock: ClockState | None, kind: ClockKind, mark: calls_pb2.ClockMark
) -> ClockState | None:
    """The clock after one mark; None where the mark does not fit it."""
    event = mark.event
    if event == calls_pb2.CLOCK_EVENT_STARTED:
        if mark.generation <= (clock.generation if clock else 0):
            return None
        breaches = clock.breaches if clock else 0
        status = ClockStatus.RUNNING
        return ClockState(kind, mark.generation, status, mark.due_micros, breaches=breaches)
    if clock is None or mark.generation != clock.generation:
        return None
    running, paused = clock.status is ClockStatus.RUNNING, clock.status is ClockStatus.PAUSED
    if event == calls_pb2.CLOCK_EVENT_PAUSED and (running or paused):
        # Paused again: it was extended meanwhile, and more is left.
        return replace(clock, status=ClockStatus.PAUSED, remaining_micros=mark.remaining_micros)
    goes_on = (event == calls_pb2.CLOCK_EVENT_EXTENDED and running) or (
        event == calls_pb2.CLOCK_EVENT_RESUMED and paused
    )
    if goes_on:
        status = ClockStatus.RUNNING
        return replace(clock, status=status, due_micros=mark.due_micros, remaining_micros=0)
    if event == calls_pb2.CLOCK_EVENT_STOPPED and (running or paused):
        return replace(clock, status=ClockStatus.STOPPED, remaining_micros=0)
    return None


def is_running(clocks: Clocks, clock: int, generation: int) -> bool:
    """Whether that clock runs in that generation; only then can it run out."""
    return any(
        one.kind == clock and one.generation == generation and one.status is ClockStatus.RUNNING
        for one in clocks
    )


def expired(clocks: Clocks, clock: int) -> Clocks:
    """The clocks after that one ran out."""
    return tuple(
        replace(one, status=ClockStatus.EXPIRED, breaches=one.breaches + 1)
        if one.kind == clock
        else one
        for one in clocks
    )
