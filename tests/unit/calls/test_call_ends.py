"""A way out of every state: no call stays open because somebody else does nothing.

The county alone and the caller alone must each find an end, from any state that chance leads to; a
failure names its seed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from huying.common.calls import PROPOSALS, CallStage, Role, SequencedStep, advance, allowed_steps
from huying.common.calls.call_clock import Rules, clock_marks
from huying.common.calls.call_rules import refusal_of, void_reason_of
from huying.common.calls.call_state import (
    ENDED_STAGES,
    CallState,
    ClockKind,
    ClockStatus,
    VoidReason,
)
from huying.common.policies import shipped_calendar, shipped_policy
from huying.wire.v1 import calls_pb2
from tests.support.call_desk import LEAD, TOWN, feed_of, step_of
from tests.unit.calls.call_history import ACTS, CALLS, History

_RULES = Rules(shipped_policy(), shipped_calendar())
_NOW = 1_800_000_000_000_000


def _county_moves(state: CallState) -> Iterator[calls_pb2.CallStep]:
    """What the answering node can do by itself: its people, and its clocks."""
    co_handler = state.co_handlers[0] if state.co_handlers else ""
    for kind, said in (
        ("dispatch", {"department": LEAD, "duty_item": "12"}),
        ("decline", {"reason": 3}),
        ("ruling", {"department": LEAD}),
        ("answer", {"department": state.department, "text": "已修复"}),
        ("review", {"sent": True}),
        ("closure", {"reason": 3}),
        ("closure", {"reason": 1}),
        ("reply", {"department": co_handler}),
    ):
        step = step_of(**{kind: said})
        if refusal_of(state, step) is None:
            yield step
    for clock in state.clocks:
        if clock.status is ClockStatus.RUNNING:
            generation = clock.generation
            yield step_of(timeout={"clock": int(clock.kind), "generation": generation})


def _caller_moves(state: CallState) -> Iterator[calls_pb2.CallStep]:
    for kind in PROPOSALS:
        if kind != "raise" and void_reason_of(state, kind) is VoidReason.NONE:
            ref = {"origin": feed_of(TOWN), "index": 1_000_000 + len(state.taken)}
            yield step_of(took={"ref": ref, "accepted": True, kind: {}})


def _abstract(state: CallState) -> tuple[Any, ...]:
    """What the rules look at, so that a search ends."""
    return (
        state.stage,
        state.terms.review_required,
        state.terms.item_required,
        state.off_list,
        bool(state.department),
        state.awaiting_supplement,
        state.extension_asked,
        tuple((clock.kind, clock.status) for clock in state.clocks),
    )


def _ends(state: CallState, moves: Any, known: set[tuple[Any, ...]]) -> bool:
    """Whether some sequence of these moves ends the call; what is found out goes to `known`."""
    if _abstract(state) in known:
        return True
    frontier, visited = [state], {_abstract(state)}
    for _ in range(8):
        following = []
        for one in frontier:
            if one.stage in ENDED_STAGES or _abstract(one) in known:
                known.add(_abstract(state))
                return True
            for step in moves(one):
                marks = clock_marks(one, step, _RULES, received_micros=_NOW, now_micros=_NOW)
                step.clocks.extend(marks)
                after = advance(one, SequencedStep(1, step))
                assert after.void_count == one.void_count, step
                if _abstract(after) not in visited:
                    visited.add(_abstract(after))
                    following.append(after)
        frontier = following
    return False


def test_from_every_state_the_county_alone_and_the_caller_alone_find_an_end():
    """A call that nobody can end stays open for ever, and counts against somebody for ever."""
    by_county: set[tuple[Any, ...]] = set()
    by_caller: set[tuple[Any, ...]] = set()
    searched = set()
    for seed in range(200):
        history = History(100_000 + seed)
        for _ in range(ACTS):
            history.act()
        for state in history.states:
            if state.stage in ENDED_STAGES:
                continue
            searched.add(state.stage)
            assert _ends(state, _caller_moves, by_caller), f"seed {seed}: {state}"
            if state.stage is not CallStage.RAISED:  # nothing to answer yet
                assert _ends(state, _county_moves, by_county), f"seed {seed}: {state}"
    assert searched == set(CallStage) - ENDED_STAGES


def test_a_call_in_rest_rests_and_one_that_may_be_reopened_says_so():
    """What has ended moves only by a reopening, whose window closes by itself."""
    for seed in range(100):
        history = History(200_000 + seed)
        for _ in range(ACTS):
            history.act()
        for call, caller in CALLS:
            state = history.desk.state(call, caller)
            reopen = state.clock(ClockKind.REOPEN)
            may = "reopen" in allowed_steps(state, Role.CALLER)
            runs = reopen is not None and reopen.status is ClockStatus.RUNNING
            room = state.reopens < state.terms.reopens_max
            ended = state.stage in (CallStage.CONFIRMED, CallStage.CLOSED, CallStage.DECLINED)
            assert may == (ended and runs and room), f"seed {seed}"
