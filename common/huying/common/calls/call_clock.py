"""The clocks of a call: what each step of the sequencer does to them, reckoned once, in one place.

Pure. The sequencer asks `clock_marks` when it writes a step and prints the answer in it; whoever
folds the call afterwards only records what was printed, and compares no two machines' clocks. The
one clock that counts is the sequencer's, and a call is late for a window if and only if it is taken
after the step that closed the window. The rules, clock by clock (docs/POLICY.md has the table):

- ADMIT runs from the receipt until the centre admits, declines or dispatches.
- ACCEPT runs from each dispatch until the department accepts, objects or answers.
- ANSWER of the first dispatch runs from the *receipt*, not from the dispatch: what the centre takes
  to hand the call on is the county's time. It begins anew, as another generation, with a ruling, a
  further dispatch, a confirmation that nothing was resolved, and a reopening.
- While the department waits for a supplement, or the centre reviews the answer, ANSWER stands still
  with what was left of it, and YELLOW and RED with it; SUPPLEMENT, the caller's, runs meanwhile.
- An extension is added to when ANSWER is due. An ANSWER that ran out was breached, once and for
  all: nothing revives it but a new generation.
- YELLOW and RED run from the step that says ANSWER ran out.
- CONFIRM runs once the answer is sent; REOPEN once the call was confirmed, closed or declined.
- What ends a call stops every other clock.
- After an outage every running clock is due as if it had stood still meanwhile.

A period comes from the policy that the call's terms name, and the days from the newest calendar:
what was printed before a calendar came stays as it was printed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from huying.common.calls.call_state import CallStage, CallState, ClockKind, ClockState, ClockStatus
from huying.common.working_time import WORKING_UNITS, after, period_end, remaining, working_time
from huying.wire.v1 import calls_pb2, policy_pb2

__all__ = ["Rules", "clock_marks", "is_due", "step_name", "terms_of"]

# Whose turn is the department's: they stand still, go on and end together.
_ANSWER_CLOCKS: Final = (ClockKind.ANSWER, ClockKind.YELLOW, ClockKind.RED)
_GENERATION_MAX: Final = 2**32 - 1  # what the field of a mark holds


@dataclass(frozen=True, slots=True)
class Rules:
    """What one step is reckoned by."""

    policy: policy_pb2.Policy  # the one that the call's terms name
    calendar: policy_pb2.Calendar  # the newest


def terms_of(policy: policy_pb2.Policy) -> policy_pb2.Terms:
    """What a call carries of a policy from its receipt on."""
    return policy_pb2.Terms(
        policy_version=policy.version,
        objections_max=policy.objections_max,
        extensions_max=policy.extensions_max,
        reopens_max=policy.reopens_max,
        review_required=policy.review_required,
        item_required=policy.item_required,
    )


def step_name(step: calls_pb2.CallStep) -> str:
    """The step's name on the wire; of a took that accepts, "took" and the proposal's name.

    Empty for a note to the own office, and for a took that refuses: neither moves anything.
    """
    name = step.WhichOneof("step") or ""
    if name != "took":
        return name
    proposal = step.took.WhichOneof("proposal")
    return f"took {proposal}" if step.took.accepted and proposal else ""


def clock_marks(
    state: CallState,
    step: calls_pb2.CallStep,
    rules: Rules,
    *,
    received_micros: int,
    now_micros: int,
) -> tuple[calls_pb2.ClockMark, ...]:
    """What the step does to the call's clocks, in the order in which it happens.

    `state` is the call before the step, which must be in place there. `received_micros` is when the
    sequencer took the call, 0 for that took itself. Times are unix microseconds of the sequencer's
    clock. Total: whatever the policy and the calendar hold, marks come out; a period that the
    policy does not set starts no clock.
    """
    act = _ACTS.get(step_name(step))
    if act is None:
        return ()
    hand = _Hand(state, rules, received_micros, now_micros)
    act(hand, step)
    return tuple(hand.marks)


def is_due(state: CallState, timeout: calls_pb2.Timeout, now_micros: int) -> bool:
    """Whether that clock runs, in that generation, and should have been stopped by now.

    Whoever asks for the timeout may have read the call before the clock was extended.
    """
    return any(
        (int(clock.kind), clock.generation) == (timeout.clock, timeout.generation)
        and clock.status is ClockStatus.RUNNING
        and clock.due_micros <= now_micros
        for clock in state.clocks
    )


class _Hand:
    """Sets clocks, and keeps the marks of what it did."""

    def __init__(self, state: CallState, rules: Rules, received: int, now: int) -> None:
        self.state = state
        self.now = now
        self.received = received or now
        self.urgency = state.urgency
        self.marks: list[calls_pb2.ClockMark] = []
        self._policy = rules.policy
        self._calendar = working_time(rules.calendar)

    def clock(self, kind: ClockKind, *statuses: ClockStatus) -> ClockState | None:
        """The clock, if it is in one of these states."""
        found = self.state.clock(kind)
        return found if found is not None and found.status in statuses else None

    def start(self, kind: ClockKind, since: int | None = None, due: int = 0) -> None:
        """Begin the next generation, from now or another instant; `due` overrides the policy."""
        if not due:
            period = _period(self._policy, kind, self.urgency)
            if not period.amount:
                return
            due = period_end(self._calendar, self.now if since is None else since, period)
        before = self.state.clock(kind)
        # At the last one no clock begins any more: only an intruder can have written so many.
        generation = 1 if before is None else min(before.generation + 1, _GENERATION_MAX)
        self._mark(kind, generation, calls_pb2.CLOCK_EVENT_STARTED, due=due)

    def stop(self, *kinds: ClockKind) -> None:
        """What they waited for was done."""
        for kind in kinds:
            clock = self.clock(kind, ClockStatus.RUNNING, ClockStatus.PAUSED)
            if clock is not None:
                self._mark(kind, clock.generation, calls_pb2.CLOCK_EVENT_STOPPED)

    def stop_all(self, *, but: ClockKind | None = None) -> None:
        """Stop every clock that runs or stands still."""
        self.stop(*(kind for kind in ClockKind if kind is not but))

    def pause(self, *kinds: ClockKind) -> None:
        """Let them stand still."""
        for kind in kinds:
            clock = self.clock(kind, ClockStatus.RUNNING)
            if clock is not None:
                left = self._left(kind, self.now, clock.due_micros)
                self._mark(kind, clock.generation, calls_pb2.CLOCK_EVENT_PAUSED, left=left)

    def resume(self, *kinds: ClockKind) -> None:
        """Let them go on with what was left."""
        for kind in kinds:
            clock = self.clock(kind, ClockStatus.PAUSED)
            if clock is not None:
                due = self._after(kind, self.now, clock.remaining_micros)
                self._mark(kind, clock.generation, calls_pb2.CLOCK_EVENT_RESUMED, due=due)

    def extend_answer(self) -> None:
        """Add the policy's extension to when the answer is due; to what is left, if it stands."""
        kind, period = ClockKind.ANSWER, self._policy.extension
        clock = self.clock(kind, ClockStatus.RUNNING, ClockStatus.PAUSED)
        if clock is None:
            return
        if clock.status is ClockStatus.RUNNING:
            due = period_end(self._calendar, clock.due_micros, period)
            self._mark(kind, clock.generation, calls_pb2.CLOCK_EVENT_EXTENDED, due=due)
        else:
            # As if it went on now: so it makes no difference which of the two comes first.
            due = self._after(kind, self.now, clock.remaining_micros)
            left = self._left(kind, self.now, period_end(self._calendar, due, period))
            self._mark(kind, clock.generation, calls_pb2.CLOCK_EVENT_PAUSED, left=left)

    def stand_still(self, since: int, until: int) -> None:
        """Every running clock is due as if it had stood still between the two."""
        for clock in self.state.clocks:
            if clock.status is not ClockStatus.RUNNING or clock.due_micros <= since:
                continue
            left = self._left(clock.kind, since, clock.due_micros)
            due = self._after(clock.kind, until, left)
            if due > clock.due_micros:
                extended = calls_pb2.CLOCK_EVENT_EXTENDED
                self._mark(clock.kind, clock.generation, extended, due=due)

    def _is_working(self, kind: ClockKind) -> bool:
        return _period(self._policy, kind, self.state.urgency).unit in WORKING_UNITS

    def _left(self, kind: ClockKind, start: int, due: int) -> int:
        return remaining(self._calendar, start, due, working=self._is_working(kind))

    def _after(self, kind: ClockKind, start: int, micros: int) -> int:
        return after(self._calendar, start, micros, working=self._is_working(kind))

    def _mark(
        self, kind: ClockKind, generation: int, event: int, *, due: int = 0, left: int = 0
    ) -> None:
        mark = calls_pb2.ClockMark(
            clock=calls_pb2.Clock.ValueType(kind),
            generation=generation,
            event=calls_pb2.ClockEvent.ValueType(event),
            due_micros=due,
            remaining_micros=left,
        )
        if event != calls_pb2.CLOCK_EVENT_STOPPED:
            mark.calendar_version = self._calendar.version
        self.marks.append(mark)


def _period(policy: policy_pb2.Policy, kind: ClockKind, urgency: int) -> policy_pb2.Period:
    """How long a clock runs; without an amount where the policy does not say."""
    by_kind: dict[ClockKind, policy_pb2.Period] = {
        ClockKind.SUPPLEMENT: policy.supplement,
        ClockKind.CONFIRM: policy.confirm,
        ClockKind.REOPEN: policy.reopen,
        ClockKind.YELLOW: policy.yellow,
        ClockKind.RED: policy.red,
    }
    if kind in by_kind:
        return by_kind[kind]
    by_urgency = {limits.urgency: limits for limits in policy.limits}
    wanted = policy_pb2.Urgency.ValueType(urgency)
    found = by_urgency.get(wanted) or by_urgency.get(policy_pb2.URGENCY_ROUTINE)
    if found is None:
        return policy_pb2.Period()
    return {
        ClockKind.ADMIT: found.admit,
        ClockKind.ACCEPT: found.accept,
        ClockKind.ANSWER: found.answer,
    }[kind]


# --- one function a step ---------------------------------------------------------------------


def _received(hand: _Hand, step: calls_pb2.CallStep) -> None:
    hand.urgency = getattr(step.took, "raise").urgency
    hand.start(ClockKind.ADMIT)


def _admitted(hand: _Hand, _step: calls_pb2.CallStep) -> None:
    hand.stop(ClockKind.ADMIT)


def _ended(hand: _Hand, _step: calls_pb2.CallStep) -> None:
    hand.stop_all()


def _ended_for_now(hand: _Hand, _step: calls_pb2.CallStep) -> None:
    """It may be reopened for a while; a window that is open already stays as it is."""
    hand.stop_all(but=ClockKind.REOPEN)
    if hand.clock(ClockKind.REOPEN, ClockStatus.RUNNING) is None:
        hand.start(ClockKind.REOPEN)


def _dispatched(hand: _Hand, step: calls_pb2.CallStep) -> None:
    hand.urgency = step.dispatch.urgency or hand.urgency
    hand.stop(ClockKind.ADMIT, ClockKind.YELLOW, ClockKind.RED)
    hand.start(ClockKind.ACCEPT)
    hand.start(ClockKind.ANSWER, _reckoned_from(hand), step.dispatch.deadline_micros)


def _reckoned_from(hand: _Hand) -> int:
    """The receipt, for the first answer; an appeal is a receipt of its own, which is admitted."""
    admit = hand.state.clock(ClockKind.ADMIT)
    appealed = admit is not None and admit.generation > 1
    first = hand.state.clock(ClockKind.ANSWER) is None
    return hand.received if first and not appealed else hand.now


def _accepted(hand: _Hand, _step: calls_pb2.CallStep) -> None:
    hand.stop(ClockKind.ACCEPT)


def _ruled(hand: _Hand, step: calls_pb2.CallStep) -> None:
    if step.ruling.upheld:
        hand.stop(*_ANSWER_CLOCKS)  # until it is dispatched anew
        return
    hand.stop(ClockKind.YELLOW, ClockKind.RED)
    hand.start(ClockKind.ACCEPT)
    hand.start(ClockKind.ANSWER)


def _asked_for_supplement(hand: _Hand, _step: calls_pb2.CallStep) -> None:
    hand.stop(ClockKind.ACCEPT)
    hand.pause(*_ANSWER_CLOCKS)
    hand.start(ClockKind.SUPPLEMENT)


def _supplemented(hand: _Hand, _step: calls_pb2.CallStep) -> None:
    hand.stop(ClockKind.SUPPLEMENT)
    hand.resume(*_ANSWER_CLOCKS)


def _extension_decided(hand: _Hand, step: calls_pb2.CallStep) -> None:
    if step.extension_decision.granted:
        hand.extend_answer()


def _answered(hand: _Hand, _step: calls_pb2.CallStep) -> None:
    hand.stop(ClockKind.ACCEPT, ClockKind.SUPPLEMENT)
    if hand.state.terms.review_required:
        hand.pause(*_ANSWER_CLOCKS)
    else:
        hand.stop(*_ANSWER_CLOCKS)
        hand.start(ClockKind.CONFIRM)


def _reviewed(hand: _Hand, step: calls_pb2.CallStep) -> None:
    if step.review.sent:
        hand.stop(*_ANSWER_CLOCKS)
        hand.start(ClockKind.CONFIRM)
    else:
        hand.resume(*_ANSWER_CLOCKS)


def _confirmed(hand: _Hand, step: calls_pb2.CallStep) -> None:
    hand.stop(ClockKind.CONFIRM)
    hand.start(ClockKind.REOPEN if step.took.confirm.resolved else ClockKind.ANSWER)


def _reopened(hand: _Hand, _step: calls_pb2.CallStep) -> None:
    hand.stop(ClockKind.REOPEN)
    appeal = hand.state.stage is CallStage.DECLINED
    hand.start(ClockKind.ADMIT if appeal else ClockKind.ANSWER)


def _ran_out(hand: _Hand, step: calls_pb2.CallStep) -> None:
    """What follows from a clock that ran out; that it did, the step itself says."""
    timeout = step.timeout
    if not is_due(hand.state, timeout, hand.now):
        return
    out = next(clock for clock in hand.state.clocks if int(clock.kind) == timeout.clock)
    if out.kind is ClockKind.ANSWER:
        hand.start(ClockKind.YELLOW)
        hand.start(ClockKind.RED)
    elif out.kind is ClockKind.SUPPLEMENT:
        hand.resume(*_ANSWER_CLOCKS)
    elif out.kind is ClockKind.CONFIRM:
        hand.start(ClockKind.REOPEN)


def _was_away(hand: _Hand, step: calls_pb2.CallStep) -> None:
    hand.stand_still(step.outage.from_micros, step.outage.until_micros)


_ACTS: Final[dict[str, Callable[[_Hand, calls_pb2.CallStep], None]]] = {
    "took raise": _received,
    "admit": _admitted,
    "decline": _ended_for_now,
    "dispatch": _dispatched,
    "accept": _accepted,
    "objection": _accepted,
    "ruling": _ruled,
    "supplement_request": _asked_for_supplement,
    "resume": _supplemented,
    "took supplement": _supplemented,
    "extension_decision": _extension_decided,
    "answer": _answered,
    "review": _reviewed,
    "took confirm": _confirmed,
    "took reopen": _reopened,
    "took withdraw": _ended,
    "merge": _ended,
    "closure": _ended_for_now,
    "timeout": _ran_out,
    "outage": _was_away,
}
