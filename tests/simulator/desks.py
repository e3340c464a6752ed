"""What the county's desk and the towns' do about calls, until each has come to its end.

Each call has a fate, drawn when it is raised: who objects, who asks for more, who takes back, what
is merged, who joins late. A desk looks at its calls when the county has spoken, sees what its own
node sees, and takes its turn; what another's step overtook meanwhile is refused, or void.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from huying.common.calls import CallStage, CallState, fold
from huying.common.calls.call_drafts import step_draft
from huying.common.calls.call_parties import summary
from huying.common.calls.call_state import ClockKind
from huying.common.effects import DraftEntry
from huying.wire.v1 import calls_pb2
from tests.simulator.machine import Request, SimNode
from tests.simulator.tree import COUNTY, PARENT, TOWNS
from tests.simulator.world import World

COUNTY_CANARY = "KANARI-XIAN"
_LOOK_SECONDS = 2.0
_LEAD, _OTHER, _HELPER = "环境局", "住建局", "城管局"
_ENDED = (CallStage.WITHDRAWN, CallStage.MERGED, CallStage.DECLINED)
_PARTIES_MAX = 4


class Writer(Protocol):
    """Who has a node write, and asks until it is written or refused."""

    def submit(self, code: str, *drafts: DraftEntry, contested: bool = False) -> Request: ...


@dataclass(slots=True)
class Fate:
    """What will come over a call."""

    objects: bool
    upheld: bool
    asks: bool  # for a supplement
    reopens: bool
    rates: bool
    merges: bool
    withdraws_at: CallStage | None
    joins: str  # a node that joins late, or empty


@dataclass(slots=True)
class Known:
    """One call, as its caller raised it."""

    call: bytes
    caller: str
    content: calls_pb2.Call
    fate: Fate
    is_done: bool = False


class Desks:
    """Plans who does what about which call."""

    def __init__(self, world: World, writer: Writer) -> None:
        self.world = world
        self.calls: dict[bytes, Known] = {}
        self._writer = writer
        self._random = random.Random(f"desks {world.seed}")
        self._turns: set[tuple[Any, ...]] = set()  # that were taken
        self._tries: list[tuple[Request, str, tuple[Any, ...]]] = []  # of contested turns
        self._seen: dict[str, tuple[str, int]] = {}  # by desk, the county's feed and its size
        for code in (COUNTY, *TOWNS):
            world.after(_LOOK_SECONDS, partial(self._look, code))

    @property
    def are_done(self) -> bool:
        """Whether every call has come to its end, as the county sees it."""
        return all(known.is_done for known in self.calls.values())

    def raised(self, call: bytes, caller: str, content: calls_pb2.Call) -> None:
        """A town raised a call: its fate is drawn."""
        chance = self._random
        joins = chance.choice([code for code in PARENT if code not in (COUNTY, caller)])
        stages = (CallStage.RECEIVED, CallStage.DISPATCHED, CallStage.ANSWERED)
        self.calls[call] = Known(
            call,
            caller,
            content,
            Fate(
                objects=chance.random() < 0.18,
                upheld=chance.random() < 0.5,
                asks=chance.random() < 0.15,
                reopens=chance.random() < 0.12,
                rates=chance.random() < 0.1,
                merges=chance.random() < 0.15,
                withdraws_at=chance.choice(stages) if chance.random() < 0.1 else None,
                joins=joins if chance.random() < 0.2 else "",
            ),
        )

    # Looking.

    def _look(self, code: str) -> None:
        """The desk looks at its calls, when the county has spoken, and does what is its turn."""
        node = self.world.nodes[code]
        origin = self.world.nodes[COUNTY].origin
        head = origin, node.held(origin)
        self._take_back()
        if self._seen.get(code) != head:
            self._seen[code] = head
            for known in self.calls.values():
                if code in (COUNTY, known.caller) and not known.is_done:
                    self._act(node, known)
        self.world.after(_LOOK_SECONDS, partial(self._look, code))

    def _take_back(self) -> None:
        """Whose step was overtaken looks again."""
        waiting = []
        for request, code, turn in self._tries:
            if request.answered is None:
                waiting.append((request, code, turn))
            elif request.answered.error is not None:
                self._turns.discard(turn)
                self._seen.pop(code, None)
        self._tries = waiting

    def _act(self, node: SimNode, known: Known) -> None:
        state = call_state(node, known.call, known.caller)
        if node.code == COUNTY and _rests(state, known.fate):
            known.is_done = True
            return
        turn = (
            node.code,
            known.call,
            state.stage,
            state.answered_at,
            state.dispatched_at,
            _was_asked(state),
            state.awaiting_supplement,
            state.reopens,
            len(state.joined),
        )
        if turn in self._turns:
            return
        if node.code == COUNTY:
            steps = self._county_steps(known, state)
        else:
            steps = self._caller_steps(known, state)
        if not steps:
            return
        self._turns.add(turn)
        drafts = [self._draft(node.code, state, step) for step in steps]
        if node.code != COUNTY:
            if len(drafts) == 1 and self._random.random() < 0.2:
                drafts.append(drafts[0])  # two windows at once: one of the two is void
            self._writer.submit(node.code, *drafts)
            return
        times = 2 if self._random.random() < 0.1 else 1  # two people at once: one is refused
        for _ in range(times):
            request = self._writer.submit(COUNTY, *drafts, contested=True)
            self._tries.append((request, COUNTY, turn))

    def _draft(self, code: str, state: CallState, step: calls_pb2.CallStep) -> DraftEntry:
        if step.HasField("party"):  # perhaps of another call than this
            state = call_state(self.world.nodes[code], step.call, step.caller)
        return step_draft(code, COUNTY, state, step)

    # What is done.

    def _county_steps(self, known: Known, state: CallState) -> Sequence[calls_pb2.CallStep]:
        fate, stage = known.fate, state.stage
        lead = state.department
        if stage in (CallStage.RECEIVED, CallStage.ADMITTED):
            if fate.merges:
                fate.merges = False  # tried once
                if steps := self._merge(known):
                    return steps
            lead = _OTHER if state.objected else _LEAD
            return [
                _step(
                    known,
                    internal_note=f"{COUNTY_CANARY} {self._random.randrange(10**6)}",
                    dispatch={"department": lead, "co_handlers": [_HELPER]},
                )
            ]
        has_room = len(state.parties) < _PARTIES_MAX and fate.joins not in state.parties
        if fate.joins and has_room and state.is_open and stage is not CallStage.RAISED:
            return [self._party(known, fate.joins, calls_pb2.PARTY_ROLE_CO_HANDLER)]
        if stage is CallStage.DISPATCHED:
            if fate.objects and not state.objected:
                return [_step(known, objection={"department": lead, "reason": "不属职责"})]
            if fate.asks:
                return [_step(known, accept={"department": lead})]
        elif stage is CallStage.OBJECTED:
            ruling = {"upheld": True} if fate.upheld else {"department": _HELPER}
            return [_step(known, ruling=ruling)]
        elif stage is CallStage.HANDLING and fate.asks and not _was_asked(state):
            return [_step(known, supplement_request={"department": lead, "text": "位置?"})]
        elif stage not in (CallStage.HANDLING, CallStage.UNRESOLVED) or state.awaiting_supplement:
            return []
        return [_step(known, answer={"department": lead, "text": "已处理"})]

    def _merge(self, known: Known) -> Sequence[calls_pb2.CallStep]:
        """Into the first other call that goes on; its caller joins that one, where it can."""
        county = self.world.nodes[COUNTY]
        for other in self.calls.values():
            state = call_state(county, other.call, other.caller)
            if other is known or not state.is_open or state.stage is CallStage.RAISED:
                continue
            merge = {"into": other.call, "into_caller": other.caller}
            steps = [_step(known, merge=merge)]
            if known.caller not in state.parties and len(state.parties) < _PARTIES_MAX:
                role = calls_pb2.PARTY_ROLE_MERGED_CALLER
                steps.append(self._party(other, known.caller, role))
            return steps
        return []

    def _party(
        self, known: Known, code: str, role: calls_pb2.PartyRole.ValueType
    ) -> calls_pb2.CallStep:
        return _step(known, party=summary(code, role, known.content))

    def _caller_steps(self, known: Known, state: CallState) -> Sequence[calls_pb2.CallStep]:
        fate, stage = known.fate, state.stage
        if stage is fate.withdraws_at:
            fate.withdraws_at = None
            return [_step(known, withdraw={"reason": "已自行解决"})]
        if stage is CallStage.ANSWERED:
            resolved = self._random.random() < 0.75
            confirm = _step(known, confirm={"resolved": resolved, "satisfaction": 4})
            return [confirm, _step(known, rate={"manner": 3})] if fate.rates else [confirm]
        if stage is CallStage.CONFIRMED and fate.reopens and not state.reopens:
            return [_step(known, reopen={"reason": "又发生了"})]
        if state.awaiting_supplement:
            return [_step(known, supplement={"text": "村口"})]
        return []


def _step(known: Known, **kind: Any) -> calls_pb2.CallStep:
    return calls_pb2.CallStep(call=known.call, caller=known.caller, **kind)


def _was_asked(state: CallState) -> bool:
    """Whether the caller was ever asked for a supplement."""
    return state.clock(ClockKind.SUPPLEMENT) is not None


def _rests(state: CallState, fate: Fate) -> bool:
    """Whether nobody will do anything about the call any more."""
    if state.stage is CallStage.CONFIRMED:
        return not fate.reopens or state.reopens > 0
    return state.stage in _ENDED


def call_state(node: SimNode, call: bytes, caller: str) -> CallState:
    """The call as one node sees it."""
    return fold(node.store.inner.sequenced_steps(COUNTY, caller, call))
