"""Histories of calls that chance makes up from a seed.

Several calls, proposals of callers and strangers that arrive late or twice, steps of the centre and
the departments that are in place or not, clocks that run out.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest

from huying.common.calls import OWN_STEPS, PROPOSALS, CallStage, Role, allowed_steps
from huying.common.calls.call_state import CallState, ClockStatus, VoidReason
from huying.common.errors import Code, HuyingError
from huying.common.policies import shipped_policy
from huying.wire.v1 import calls_pb2
from tests.support.call_desk import (
    HELPER,
    LEAD,
    ONE,
    OTHER_TOWN,
    SECOND,
    THIRD_TOWN,
    TOWN,
    TWO,
    VILLAGE,
    Desk,
    call_of,
    step_of,
)

__all__ = ["ACTS", "CALLS", "HOMES", "History"]

ACTS = 28  # of a history of three calls
CALLS = ((ONE, TOWN), (TWO, OTHER_TOWN), (bytes([3]) * 16, TOWN))
HOMES = (TOWN, TOWN, TOWN, OTHER_TOWN, VILLAGE)
_REFUSALS = {Code.WRONG_STAGE, Code.NOT_A_PARTY, Code.INVALID_ARGUMENT, Code.NOT_FOUND}
# Steps that may be taken again at once, to no harm.
_REPEATABLE = {"off_list", "note", "reply", "urge", "supervise", "card", "outage"}


class History:
    """One desk and what happens to it."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(f"history {seed}")
        chance = self.random
        policy = shipped_policy()
        policy.review_required = chance.random() < 0.5
        policy.item_required = chance.random() < 0.3
        policy.approval_required = chance.random() < 0.3
        policy.objections_max = chance.randrange(3)
        policy.extensions_max = chance.randrange(3)
        policy.reopens_max = chance.randrange(3)
        self.desk = Desk(policy)
        self.on_the_way: list[tuple[str, Any, bytes, str]] = []
        self.states: list[CallState] = []

    def act(self) -> None:
        chance = self.random
        call, caller = chance.choices(CALLS, (4, 2, 1))[0]
        kind = chance.random()
        if self.desk.state(call, caller).stage is CallStage.RAISED and chance.random() < 0.7:
            self._send(caller, self._call(caller), call, caller)
        elif kind < 0.5:
            self._own_step(call, caller)
        elif kind < 0.85:
            self._propose(call, caller)
        elif kind < 0.97:
            self._time(call, caller)
        elif self.desk.arrived:  # the same segment twice
            self.desk.arrived.append(chance.choice(self.desk.arrived))
        self._deliver()
        self.states.append(self.desk.state(call, caller))

    # What arrives.

    def _call(self, caller: str) -> calls_pb2.Call:
        village = VILLAGE if caller == TOWN and self.random.random() < 0.7 else ""
        approved_by = self.random.choice(("", "镇长"))
        return call_of(village=village, approved_by=approved_by)

    def _propose(self, call: bytes, caller: str) -> None:
        chance = self.random
        state = self.desk.state(call, caller)
        allowed = allowed_steps(state, Role.CALLER)
        kind = _choose(chance, allowed if chance.random() < 0.7 else (), [*PROPOSALS])
        if kind == "raise":
            message: Any = self._call(caller)
        else:
            message = step_of(call, caller, **{kind: _proposed(kind, chance)})
        home = caller if chance.random() < 0.9 else chance.choice(HOMES)
        self._send(home, message, call, caller)
        if chance.random() < 0.2:  # two windows at once
            self._send(home, message, call, caller)

    def _send(self, home: str, message: Any, call: bytes, caller: str) -> None:
        if isinstance(message, calls_pb2.Call):
            home = caller  # the home of a raise is its caller, by what a caller is
        self.on_the_way.append((home, message, call, caller))

    def _deliver(self) -> None:
        """Feeds arrive in any order among each other, each in its own; some wait for long."""
        chance = self.random
        late = {home for home in HOMES if chance.random() < 0.3}
        for one in [one for one in self.on_the_way if one[0] not in late]:
            self.desk.arrive(*one)
            self.on_the_way.remove(one)
        if chance.random() < 0.8:
            self.take(chance.randint(1, 4))

    def take(self, limit: int) -> None:
        before = self.desk.written[:]
        for took in self.desk.take_all(limit):
            assert took.accepted == (took.reason == VoidReason.NONE)
        assert self.desk.written[: len(before)] == before

    # What the county's people and its clocks do.

    def _own_step(self, call: bytes, caller: str) -> None:
        chance = self.random
        state = self.desk.state(call, caller)
        allowed = [
            kind for role in (Role.CENTRE, Role.DEPARTMENT) for kind in allowed_steps(state, role)
        ]
        kind = _choose(chance, allowed if chance.random() < 0.85 else (), [*OWN_STEPS])
        self._write(step_of(call, caller, **{kind: _said(kind, state, chance)}))

    def _time(self, call: bytes, caller: str) -> None:
        chance, desk = self.random, self.desk
        state = desk.state(call, caller)
        running = [one for one in state.clocks if one.status is ClockStatus.RUNNING]
        if running and chance.random() < 0.8:
            clock = chance.choice(running)
            desk.clock.seconds = max(desk.clock.seconds, clock.due_micros / 1e6)
            generation = clock.generation - (chance.random() < 0.1)
            timeout = {"clock": int(clock.kind), "generation": generation}
            self._write(step_of(call, caller, timeout=timeout))
        else:
            now = int(desk.clock.seconds * 1e6)
            outage = {"from_micros": now - 86_400_000_000, "until_micros": now}
            self._write(step_of(call, caller, outage=outage))

    def _write(self, step: calls_pb2.CallStep) -> None:
        """Both of two people at once: one wins at most, and the fold agrees with the desk."""
        kind = step.WhichOneof("step")
        before = self.desk.state(step.call, step.caller)
        code = None
        try:
            self.desk.write(step)
        except HuyingError as error:
            code = error.code
        if code is not None:
            assert code in _REFUSALS, step
            assert self.desk.state(step.call, step.caller) == before
            return
        after = self.desk.state(step.call, step.caller)
        assert after.void_count == before.void_count, kind
        assert after.step_count == before.step_count + 1
        if kind not in _REPEATABLE:
            with pytest.raises(HuyingError):
                self.desk.write(step)


def _choose(chance: random.Random, allowed: Sequence[str], every: Sequence[str]) -> str:
    """One of what is allowed, if anything is; what leads on more often than what ends."""
    found = allowed or every
    weights = [_WEIGHTS.get(kind, 2.0) for kind in found]
    return chance.choices(found, weights)[0]


_WEIGHTS = {
    **dict.fromkeys(("decline", "merge", "withdraw"), 0.4),
    **dict.fromkeys(("dispatch", "accept", "objection", "ruling", "supplement", "reopen"), 12.0),
    **dict.fromkeys(("answer", "review", "confirm"), 20.0),
}


def _department(state: CallState, chance: random.Random) -> str:
    known = (state.department or LEAD, HELPER, SECOND)
    return known[0] if chance.random() < 0.8 else chance.choice(known)


def _said(kind: str, state: CallState, chance: random.Random) -> dict[str, Any]:
    """What a step of the sequencer's own says; sometimes nonsense."""
    if chance.random() < 0.03:
        return {}
    department = _department(state, chance)
    into, into_caller = chance.choice(CALLS)
    exhausted = state.stage is CallStage.UNRESOLVED
    start = chance.choice((1, 5))
    said: dict[str, dict[str, Any]] = {
        "admit": {},
        "decline": {"reason": chance.randint(1, 6)},
        "off_list": {"approved_by": "分管县长", "reason": "应急"},
        "dispatch": {
            "department": chance.choice((LEAD, SECOND)),
            "co_handlers": [HELPER],
            "duty_item": chance.choice(("", "12")),
            "urgency": chance.randint(0, 3),
        },
        "accept": {"department": department},
        "objection": {"department": department, "reason": "不属本部门职责"},
        "ruling": {"upheld": True} if chance.random() < 0.5 else {"department": department},
        "note": {"department": chance.choice(("", department)), "text": "已查看"},
        "supplement_request": {"department": department, "text": "位置?"},
        "resume": {"department": department},
        "reply": {"department": chance.choice((HELPER, department)), "text": "好"},
        "extension_request": {"department": department, "reason": "汛期"},
        "extension_decision": {"granted": chance.random() < 0.6},
        "answer": {"department": department, "text": "已修复"},
        "review": {"sent": chance.random() < 0.6},
        "closure": {"reason": 3 if exhausted else 1},
        "merge": {"into": into, "into_caller": into_caller},
        "party": {"code": chance.choice((OTHER_TOWN, THIRD_TOWN, VILLAGE)), "role": 1},
        "urge": {},
        "supervise": {"supervision_level": chance.randint(1, 3)},
        "card": {"colour": chance.randint(1, 2), "department": department},
        "timeout": {"clock": chance.randint(1, 8), "generation": chance.randint(1, 3)},
        "outage": {"from_micros": start, "until_micros": 3},
    }
    return said[kind]


def _proposed(kind: str, chance: random.Random) -> dict[str, Any]:
    """What a proposal says; sometimes too little."""
    if chance.random() < 0.05:
        return {}
    said: dict[str, dict[str, Any]] = {
        "confirm": {"resolved": chance.random() < 0.5, "satisfaction": chance.randint(0, 5)},
        "supplement": {"text": "村口"},
        "rate": {"response": chance.randint(1, 6)},
        "reopen": {"reason": "又停水"},
        "withdraw": {},
        "urge": {},
    }
    return said[kind]
