"""Whose turn it was in a call, and whether they were in time: what both sides are measured by.

A call goes back and forth. A *turn* is one spell in which it waits for one side:

    DUTY        a department has the call to answer; from being given it to the answer that was
                sent, or to losing it (an objection upheld, a dispatch anew, a withdrawal …)
    SUPPLEMENT  the caller was asked for more
    CONFIRM     the caller has an answer and says whether the matter is resolved

The turns follow from the sequencer's steps alone, as the state does, and are derived beside it, one
step at a time. Whether somebody was in time is what the sequencer decided by its `Timeout`: nothing
here compares two times. docs/MEASURES.md says what is counted of them.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from typing import Final

from huying.common.calls.call_state import CallStage, CallState, ClockKind, ClockStatus
from huying.wire.v1 import calls_pb2

__all__ = ["Objection", "Outcome", "Turn", "TurnCause", "TurnKind", "advance_turns"]


class TurnKind(enum.IntEnum):
    """Whose turn it is, and for what."""

    DUTY = 1
    SUPPLEMENT = 2
    CONFIRM = 3


class TurnCause(enum.IntEnum):
    """Why a department has the call; and, of a CONFIRM turn, what followed it."""

    NONE = 0
    DISPATCH = 1
    ASSIGNED = 2  # by a ruling: it may not return the call
    UNRESOLVED = 3  # the caller said that it is not resolved
    REOPENED = 4  # the caller reopened it after it had ended


class Outcome(enum.IntEnum):
    """What became of a clock, and so of a turn."""

    NONE = 0  # no clock was printed
    OPEN = 1  # it runs or is paused
    MET = 2  # what it waited for was done before the sequencer wrote that it ran out
    LATE = 3  # it ran out first
    DROPPED = 4  # nothing is awaited any more: withdrawn, merged, given to somebody else


class Objection(enum.IntEnum):
    """What became of a department's objection to its duty."""

    NONE = 0
    OPEN = 1
    UPHELD = 2  # 退单: another department gets the call
    REFUSED = 3  # the ruling assigned the call


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn. Times are those of the sequencer's entries, unix µs; 0: not yet, or none."""

    number: int  # from 1, in the order in which the turns began
    kind: TurnKind
    department: str  # whose duty it is; of the caller's turns, who asked or answered
    begun_micros: int
    cause: TurnCause = TurnCause.NONE
    ended_micros: int = 0
    due_micros: int = 0  # of ANSWER, SUPPLEMENT or CONFIRM, as printed last
    outcome: Outcome = Outcome.NONE
    accept_due_micros: int = 0  # of a duty's ACCEPT
    accept_outcome: Outcome = Outcome.NONE
    objection: Objection = Objection.NONE
    reworks: int = 0  # of a duty, and of the CONFIRM after it: answers that the review returned
    yellow_micros: int = 0  # when the department got its first yellow card in this duty
    red_micros: int = 0
    resolved: int = 0  # of a CONFIRM turn: 0 not followed up, 1 resolved, 2 not
    sequel: TurnCause = TurnCause.NONE  # of a CONFIRM turn: how the call came back, if it did
    satisfaction: int = 0  # of a CONFIRM turn: 1 to 5 stars; 0 where not rated
    response: int = 0
    manner: int = 0


_CLOCKS: Final = {
    TurnKind.DUTY: ClockKind.ANSWER,
    TurnKind.SUPPLEMENT: ClockKind.SUPPLEMENT,
    TurnKind.CONFIRM: ClockKind.CONFIRM,
}

# While a call is in one of these, a department has it to answer.
_ON_DUTY: Final = frozenset(
    {
        CallStage.DISPATCHED,
        CallStage.OBJECTED,
        CallStage.HANDLING,
        CallStage.UNRESOLVED,
        CallStage.REVIEW,
    }
)


def advance_turns(
    turns: tuple[Turn, ...],
    before: CallState,
    after: CallState,
    step: calls_pb2.CallStep,
    time_micros: int,
) -> tuple[Turn, ...]:
    """The turns after a step of the sequencer that took the call from `before` to `after`.

    `time_micros` is the time of its entry. Total: whatever the step holds, it returns turns.
    """
    sent = after.answered_at != before.answered_at
    found = list(turns)
    _end_supplement(found, before, after, step, time_micros)
    _end_confirm(found, before, after, time_micros)
    cause = _new_duty(before, after, step)
    _end_duty(found, before, after, time_micros, sent=sent, replaced=cause is not None)
    if cause is not None:
        _begin(found, TurnKind.DUTY, after, before, time_micros, cause)
        if cause in (TurnCause.UNRESOLVED, TurnCause.REOPENED):
            _mark_sequel(found, cause)
    if after.awaiting_supplement and not before.awaiting_supplement:
        _begin(found, TurnKind.SUPPLEMENT, after, before, time_micros)
    if sent and after.stage is CallStage.ANSWERED:
        duty = _newest_at(found, TurnKind.DUTY)
        _begin(found, TurnKind.CONFIRM, after, before, time_micros)
        found[-1] = replace(found[-1], reworks=0 if duty is None else found[duty].reworks)
    _card(found, before, after, step, time_micros)
    return tuple(found)


def _new_duty(before: CallState, after: CallState, step: calls_pb2.CallStep) -> TurnCause | None:
    """Why a department has a duty from this step on that it did not have before."""
    if after.stage not in _ON_DUTY or not after.department:
        return None
    kind = step.WhichOneof("step")
    if kind == "ruling" and before.stage is CallStage.OBJECTED:
        return TurnCause.ASSIGNED if after.stage is not CallStage.OBJECTED else None
    if after.dispatched_at != before.dispatched_at:
        return TurnCause.DISPATCH
    if before.stage in _ON_DUTY:
        return None
    return TurnCause.REOPENED if after.reopens > before.reopens else TurnCause.UNRESOLVED


def _begin(
    found: list[Turn],
    kind: TurnKind,
    after: CallState,
    before: CallState,
    time_micros: int,
    cause: TurnCause = TurnCause.NONE,
) -> None:
    turn = Turn(len(found) + 1, kind, after.department, time_micros, cause)
    if kind is TurnKind.DUTY:
        due, outcome = _accept_clock(turn, before, after)
        turn = replace(turn, accept_due_micros=due, accept_outcome=outcome)
    found.append(_with_clock(turn, before, after, begun=True))


def _with_clock(turn: Turn, before: CallState, after: CallState, *, begun: bool = False) -> Turn:
    """The turn with what its clock says now. One that was late stays so, with its due time."""
    clock = after.clock(_CLOCKS[turn.kind])
    if clock is None or turn.outcome is Outcome.LATE:
        return turn
    former = before.clock(clock.kind)
    if clock.breaches > (former.breaches if former else 0):
        return replace(turn, outcome=Outcome.LATE, due_micros=clock.due_micros)
    if clock.status in (ClockStatus.RUNNING, ClockStatus.PAUSED):
        # A paused clock has no due time; the last one printed is kept.
        return replace(turn, outcome=Outcome.OPEN, due_micros=clock.due_micros or turn.due_micros)
    if begun and (former is None or clock.generation > former.generation):
        return replace(turn, outcome=Outcome.OPEN, due_micros=clock.due_micros)
    return turn


def _accept_clock(turn: Turn, before: CallState, after: CallState) -> tuple[int, Outcome]:
    """The due time and the outcome of the ACCEPT clock, which begins with the duty."""
    clock, former = after.clock(ClockKind.ACCEPT), before.clock(ClockKind.ACCEPT)
    begun = clock is not None and (former is None or clock.generation > former.generation)
    if clock is None or not (begun or turn.accept_outcome is Outcome.OPEN):
        return turn.accept_due_micros, turn.accept_outcome
    due = clock.due_micros or turn.accept_due_micros
    if clock.breaches > (former.breaches if former else 0):
        return due, Outcome.LATE
    if after.stage is CallStage.DISPATCHED:
        return due, Outcome.OPEN
    responded = after.stage in _ON_DUTY or after.answered_at != before.answered_at
    return due, Outcome.MET if responded else Outcome.DROPPED


def _end_duty(
    found: list[Turn],
    before: CallState,
    after: CallState,
    time_micros: int,
    *,
    sent: bool,
    replaced: bool,
) -> None:
    """Follow the duty that is open: its clocks, an objection and the ruling, its end."""
    at = _open_at(found, TurnKind.DUTY)
    if at is None:
        return
    turn = found[at]
    if not replaced:
        # The clock of a duty that follows at once is not this one's.
        turn = _with_clock(turn, before, after)
        due, outcome = _accept_clock(turn, before, after)
        turn = replace(turn, accept_due_micros=due, accept_outcome=outcome)
    elif turn.accept_outcome is Outcome.OPEN:
        turn = replace(turn, accept_outcome=Outcome.DROPPED)
    turn = replace(
        turn,
        reworks=turn.reworks + max(after.reworks - before.reworks, 0),
        objection=_objection(turn, before, after),
    )
    if sent:
        turn = _ended(turn, time_micros, Outcome.MET)
    elif replaced or after.stage not in _ON_DUTY:
        turn = _ended(turn, time_micros, Outcome.DROPPED)
    found[at] = turn


def _objection(turn: Turn, before: CallState, after: CallState) -> Objection:
    if after.stage is CallStage.OBJECTED:
        return Objection.OPEN
    if before.stage is not CallStage.OBJECTED or turn.objection is not Objection.OPEN:
        return turn.objection
    return {
        CallStage.ADMITTED: Objection.UPHELD,
        CallStage.DISPATCHED: Objection.REFUSED,
        CallStage.HANDLING: Objection.REFUSED,
    }.get(after.stage, Objection.OPEN)


def _ended(turn: Turn, time_micros: int, outcome: Outcome) -> Turn:
    """The turn at its end; it can't be in time or dropped any more where it was late."""
    decided = outcome if turn.outcome is Outcome.OPEN else turn.outcome
    return replace(turn, ended_micros=time_micros, outcome=decided)


def _end_supplement(
    found: list[Turn],
    before: CallState,
    after: CallState,
    step: calls_pb2.CallStep,
    time_micros: int,
) -> None:
    at = _open_at(found, TurnKind.SUPPLEMENT)
    if at is None:
        return
    found[at] = _with_clock(found[at], before, after)
    if not after.awaiting_supplement:
        # Any other step reads as an empty took.
        came = step.took.WhichOneof("proposal") == "supplement"
        found[at] = _ended(found[at], time_micros, Outcome.MET if came else Outcome.DROPPED)


def _end_confirm(found: list[Turn], before: CallState, after: CallState, time_micros: int) -> None:
    """Follow the newest answer's turn; a rating may still come after its end."""
    at = _newest_at(found, TurnKind.CONFIRM)
    if at is None or after.answered_at != before.answered_at:
        return
    turn = found[at]
    rating = after.satisfaction, after.response, after.manner
    if rating != (before.satisfaction, before.response, before.manner) and any(rating):
        satisfaction, response, manner = rating
        turn = replace(turn, satisfaction=satisfaction, response=response, manner=manner)
    if not turn.ended_micros:
        turn = _with_clock(turn, before, after)
        if after.confirmed_at is not None and after.confirmed_at != before.confirmed_at:
            turn = _ended(turn, time_micros, Outcome.MET)
            turn = replace(turn, resolved=1 if after.resolved else 2)
        elif after.stage is not CallStage.ANSWERED:
            turn = _ended(turn, time_micros, Outcome.DROPPED)
    found[at] = turn


def _mark_sequel(found: list[Turn], cause: TurnCause) -> None:
    at = _newest_at(found, TurnKind.CONFIRM)
    if at is not None:
        found[at] = replace(found[at], sequel=cause)


def _card(
    found: list[Turn],
    before: CallState,
    after: CallState,
    step: calls_pb2.CallStep,
    time_micros: int,
) -> None:
    """A card to the department on duty; one to another stays with the call alone."""
    at = _newest_at(found, TurnKind.DUTY)
    colour = _colour(before, after, step)
    if at is None or not colour:
        return
    turn = found[at]
    if step.card.department not in ("", turn.department):
        return
    if colour == calls_pb2.CARD_COLOUR_YELLOW and not turn.yellow_micros:
        found[at] = replace(turn, yellow_micros=time_micros)
    elif colour == calls_pb2.CARD_COLOUR_RED and not turn.red_micros:
        found[at] = replace(turn, red_micros=time_micros)


def _colour(before: CallState, after: CallState, step: calls_pb2.CallStep) -> int:
    """The card that a step gives, by hand or because a clock ran out; 0 where it gives none."""
    if step.WhichOneof("step") == "card" and after.void_count == before.void_count:
        return int(step.card.colour)
    for kind, colour in _CARDS.items():
        clock, former = after.clock(kind), before.clock(kind)
        if clock is not None and clock.breaches > (former.breaches if former else 0):
            return int(colour)
    return 0


_CARDS: Final = {
    ClockKind.YELLOW: calls_pb2.CARD_COLOUR_YELLOW,
    ClockKind.RED: calls_pb2.CARD_COLOUR_RED,
}


def _newest_at(found: list[Turn], kind: TurnKind) -> int | None:
    return next((at for at in range(len(found) - 1, -1, -1) if found[at].kind is kind), None)


def _open_at(found: list[Turn], kind: TurnKind) -> int | None:
    at = _newest_at(found, kind)
    return None if at is None or found[at].ended_micros else at
