"""The fold: a call's state from its sequencer's entries, the same at every node.

It goes over them once, in the order of (epoch, index), reads no timestamp and asks no other feed. A
step that does not count changes nothing, whoever wrote it and whatever it holds, and is counted.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

from google.protobuf.unknown_fields import UnknownFieldSet

from huying.common.calls.call_marks import marked
from huying.common.calls.call_moves import Changes, own_changes, proposal_changes
from huying.common.calls.call_rules import refusal_of, void_reason_of
from huying.common.calls.call_state import (
    CallStage,
    CallState,
    ClockKind,
    ClockStatus,
    Place,
    VoidReason,
)
from huying.wire.v1 import calls_pb2

__all__ = ["Folding", "SequencedStep", "advance", "fold", "is_aside"]


class SequencedStep(NamedTuple):
    """One entry of the sequencer about one call. Epoch and index order them."""

    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody calls
    call_step: calls_pb2.CallStep
    epoch: int = 1

    @property
    def place(self) -> Place:
        """Its epoch and index."""
        return Place(self.epoch, self.index)


def fold(steps: Iterable[SequencedStep]) -> CallState:
    """The state of one call. Takes the sequencer's entries about it, in any order, any often.

    Total: whatever the steps hold, it returns a state.
    """
    unique = {step.place: step for step in steps}
    folding = Folding()
    for place in sorted(unique):
        folding.add(unique[place])
    return folding.state


def advance(state: CallState, step: SequencedStep) -> CallState:
    """The state after the sequencer's next entry. `fold` is this, over all of them in order."""
    folding = Folding(state)
    folding.add(step)
    return folding.state


def is_aside(state: CallState, step: calls_pb2.CallStep) -> bool:
    """Whether the step is the sequencer's word to one node, which not every party hears.

    A took that says NOT_A_PARTY goes to the stranger alone; and what is refused before the call is
    received goes to the caller, for nobody knows yet who else is a party. The state must depend on
    neither.
    """
    took = step.took  # empty where the step is another
    if took.accepted or not step.HasField("took"):
        return False
    return took.reason == calls_pb2.VOID_REASON_NOT_A_PARTY or state.stage is CallStage.RAISED


class Folding:
    """A fold under way: each `add` costs the same, however many steps came before."""

    def __init__(self, state: CallState | None = None) -> None:
        self._state = state if state is not None else CallState()
        self._taken = set(self._state.taken)
        self._aside: set[tuple[str, int]] = set()  # what the parties do not all hear of

    def copy(self) -> Folding:
        """Another one that goes on from here."""
        found = Folding()
        found._state, found._taken, found._aside = self._state, {*self._taken}, {*self._aside}
        return found

    def has_judged(self, origin: str, index: int) -> bool:
        """Whether a took speaks of that entry, also one that was said aside."""
        return (origin, index) in self._taken or (origin, index) in self._aside

    @property
    def state(self) -> CallState:
        """The state after all that was added."""
        if len(self._taken) > len(self._state.taken):
            self._state = replace(self._state, taken=frozenset(self._taken))
        return self._state

    @property
    def latest(self) -> CallState:
        """The same at no cost, but that `taken` may lack what was taken since `state` was asked."""
        return self._state

    def add(self, step: SequencedStep) -> None:
        """Take the sequencer's next entry."""
        message, state = step.call_step, self._state
        kind = message.WhichOneof("step")
        if kind is None and not len(UnknownFieldSet(message)):
            return  # an internal note
        if is_aside(state, message):
            self._aside.add((message.took.ref.origin, message.took.ref.index))
            return
        changes: Changes | None = None
        if kind == "took":
            changes = self._took(step)
        elif kind is not None and refusal_of(state, message) is None:
            changes = own_changes(state, message, step.place)
        if changes is None:  # it does not count, or is of a kind that this program does not know
            changes = {"void_count": state.void_count + 1}
        elif message.clocks:
            changes |= _marked(state, changes, message)
        if message.number > state.step_count:
            between = message.number - state.step_count - 1
            changes |= {
                "step_count": message.number,
                "missing_count": state.missing_count + between,
            }
        if changes:
            self._state = replace(state, **changes)

    def _took(self, step: SequencedStep) -> Changes | None:
        """What the sequencer's word on a proposal changes; None where it is void."""
        took = step.call_step.took
        ref = (took.ref.origin, took.ref.index)
        again = ref in self._taken
        self._taken.add(ref)
        kind = took.WhichOneof("proposal") or ""
        counts = took.accepted and not again
        if not counts or void_reason_of(self._state, kind) is not VoidReason.NONE:
            return None
        return proposal_changes(self._state, step.call_step, step.place)


def _marked(state: CallState, changes: Changes, message: calls_pb2.CallStep) -> Changes:
    """The clocks after the marks of a step that counts, and the deadline that they print."""
    clocks = marked(changes.get("clocks", state.clocks), message.clocks)
    found: Changes = {"clocks": clocks}
    if any(mark.clock == calls_pb2.CLOCK_ANSWER for mark in message.clocks):
        for clock in clocks:
            if clock.kind is ClockKind.ANSWER and clock.status is ClockStatus.RUNNING:
                found["deadline_micros"] = clock.due_micros
    return found
