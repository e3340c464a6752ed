"""Whatever people do to calls, in whatever order it arrives: one state, one winner, a way out.

Histories are made up by chance from a seed: several calls, proposals of callers and strangers that
arrive late or twice, steps of the centre and the departments that are in place or not, clocks that
run out. What must hold is looked at after every act and at the end. A failure names its seed.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from huying.common.calls import (
    OWN_STEPS,
    PROPOSALS,
    CallStage,
    Role,
    SequencedStep,
    advance,
    allowed_steps,
    fold,
)
from huying.common.calls.call_clock import Rules, clock_marks
from huying.common.calls.call_rules import refusal_of, void_reason_of
from huying.common.calls.call_state import (
    ENDED_STAGES,
    CallState,
    ClockKind,
    ClockStatus,
    VoidReason,
)
from huying.common.errors import Code, HuyingError
from huying.common.policies import shipped_calendar, shipped_policy
from huying.wire.v1 import calls_pb2, policy_pb2
from tests.support.call_desk import (
    COUNTY,
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
    feed_of,
    step_of,
)

SHARDS, HISTORIES, ACTS = 8, 125, 28  # of three calls each
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


# --- what must hold ----------------------------------------------------------------------------


def check_one_state(history: History) -> None:
    """Every party, from what it may read, in any order: the county's state, and nothing missing."""
    desk, chance = history.desk, history.random
    for call, caller in CALLS:
        state = desk.state(call, caller)
        steps = desk.sequenced_steps(COUNTY, caller, call)
        slowly = CallState()
        for step in steps:
            slowly = advance(slowly, step)
        assert slowly == fold(steps) == state
        assert state.missing_count == 0
        for party in state.parties:
            held = desk.held_by(party, call, caller)
            arrived = [*held, *(chance.choice(held) for _ in held)]
            chance.shuffle(arrived)
            assert fold(arrived) == state, f"{party} sees another state"
        outside = {TOWN, OTHER_TOWN, THIRD_TOWN, VILLAGE} - {caller, *state.parties}
        if VILLAGE in state.parties:
            outside.discard(TOWN)  # on the way to the village
        for stranger in outside:
            seen = desk.held_by(stranger, call, caller)
            assert {int(one.call_step.took.reason) for one in seen} <= {VoidReason.NOT_A_PARTY}
            assert fold(seen) == CallState()


def check_told(history: History) -> None:
    """Every proposal that arrived has one answer, and none has two."""
    desk = history.desk
    while history.on_the_way:
        history._deliver()
    while desk.pending_proposals(COUNTY, 1):
        history.take(100)
    tooks = [
        (one.message.took.ref.origin, one.message.took.ref.index)
        for one in desk.written
        if isinstance(one.message, calls_pb2.CallStep) and one.message.HasField("took")
    ]
    assert sorted(tooks) == sorted({(one.origin, one.index) for one in desk.arrived})


@pytest.mark.parametrize("shard", range(SHARDS))
def test_every_history_ends_in_one_state_everywhere(shard: int):
    """Any interleaving, any order of arrival: the same state at every node that is a party."""
    seen: set[CallStage] = set()
    for seed in range(shard * HISTORIES, (shard + 1) * HISTORIES):
        history = History(seed)
        try:
            for _ in range(ACTS):
                history.act()
            check_told(history)
            check_one_state(history)
        except BaseException:
            print(f"seed {seed}")
            raise
        seen.update(state.stage for state in history.states)
    assert seen == set(CallStage), "the histories go nowhere"


def test_the_order_of_two_feeds_changes_who_wins_and_nothing_else():
    """Withdrawn first or merged first: whichever the sequencer meets first counts, and is final."""
    for seed in range(200):
        outcomes = []
        for turned in (False, True):
            desk = Desk()
            desk.raise_(ONE, TOWN)
            desk.raise_(TWO, OTHER_TOWN)
            chance = random.Random(seed)
            kinds = chance.sample(["withdraw", "urge", "confirm"], 2)
            messages = [
                step_of(ONE, TOWN, **{kinds[0]: {}}),
                step_of(TWO, OTHER_TOWN, **{kinds[1]: {}}),
            ]
            order = [(TOWN, messages[0], ONE), (OTHER_TOWN, messages[1], TWO)]
            for home, message, call in reversed(order) if turned else order:
                desk.arrive(home, message, call, home)
            desk.take_all()
            outcomes.append((desk.state(ONE, TOWN).stage, desk.state(TWO, OTHER_TOWN).stage))
        assert outcomes[0] == outcomes[1]  # different calls don't touch each other


# --- a way out -----------------------------------------------------------------------------------

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


def test_urgency_of_a_call_is_the_centres_last_word():
    """The caller asks, the centre decides; the fold keeps the newest word."""
    desk = Desk()
    desk.raise_(urgency=policy_pb2.URGENCY_ROUTINE)
    desk.do(dispatch={"department": LEAD, "urgency": policy_pb2.URGENCY_CRITICAL})
    assert desk.state().urgency == policy_pb2.URGENCY_CRITICAL
