"""A sequencer's desk in memory: the real sequencer over the least of a store, and who reads what.

Every entry keeps its selectors, so that a test can give each node just what it may read, in any
order, and fold it there.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from huying.common.calls import Folding, Proposal, SequencedStep
from huying.common.calls.call_drafts import raise_draft
from huying.common.calls.call_state import CallState, ClockKind, ClockStatus
from huying.common.disclosure import may_read
from huying.common.effects import DraftEntry
from huying.common.feed.audience import plan
from huying.common.feed.leaf import ADDRESSED
from huying.common.policies import shipped_calendar, shipped_policy
from huying.common.records.registry import check_write
from huying.hub.sequencer import CallSequencer
from huying.wire.v1 import calls_pb2, feed_pb2, policy_pb2, trust_pb2
from tests.support.tiny_network import StoppedClock

COUNTY = "370830000000"
TOWN, OTHER_TOWN, THIRD_TOWN = "370830108000", "370830101000", "370830103000"
VILLAGE = "370830108201"
ONE, TWO = bytes(16), bytes([1]) * 16
LEAD, SECOND, HELPER = "水务局", "住建局", "环境局"

_descriptor: Any = calls_pb2.CallStep.DESCRIPTOR
_SHARED = next(slot for slot in plan(_descriptor, 3).slots if slot & ADDRESSED)


def feed_of(code: str) -> str:
    return f"wenshang.example/feed/{code}/e1"


class Written(NamedTuple):
    """One entry of the sequencer's feed."""

    place: int
    message: Any
    to: tuple[str, ...]
    time_micros: int


def call_of(**fields) -> calls_pb2.Call:
    return calls_pb2.Call(**{"sequencer": COUNTY, "category": "供水", "village": VILLAGE, **fields})


def step_of(call: Any = ONE, caller: Any = TOWN, **kind: Any) -> calls_pb2.CallStep:
    """A step; messages may be given as dicts."""
    return calls_pb2.CallStep(call=call, caller=caller, **kind)


class Desk:
    """The answering node: judges what arrives, and takes its own people's steps."""

    def __init__(self, policy: policy_pb2.Policy | None = None) -> None:
        self.clock = StoppedClock()
        self.policies = [shipped_policy() if policy is None else policy]
        self.arrived: list[Proposal] = []
        self.written: list[Written] = []
        self.lists_everything = False
        self._taken: set[tuple[str, int]] = set()
        self._folded: dict[tuple[str, bytes], tuple[int, Folding]] = {}
        self.sequencer = CallSequencer(COUNTY, self, self.clock)

    # The store that the sequencer reads.

    def pending_proposals(self, sequencer: str, limit: int) -> list[Proposal]:
        assert sequencer == COUNTY
        if self.lists_everything:
            return self.arrived
        return [one for one in self.arrived if (one.origin, one.index) not in self._taken][:limit]

    def _steps(self) -> list[Written]:
        return [one for one in self.written if isinstance(one.message, calls_pb2.CallStep)]

    def sequenced_steps(self, sequencer: str, caller: str, call: bytes) -> list[SequencedStep]:
        assert sequencer == COUNTY
        return [
            SequencedStep(one.place, one.message)
            for one in self._steps()
            if (one.message.caller, one.message.call) == (caller, call)
        ]

    def folding(self, sequencer: str, caller: str, call: bytes) -> Folding:
        found = Folding()
        for one in self.sequenced_steps(sequencer, caller, call):
            found.add(one)
        return found

    def received_micros(self, sequencer: str, caller: str, call: bytes) -> int:
        at = self.state(call, caller).received_at
        return 0 if at is None else self.written[at.index].time_micros

    def policy(self, sequencer: str, version: int | None = None) -> policy_pb2.Policy:
        known = [one for one in self.policies if version is None or one.version <= version]
        return max(known, key=lambda one: one.version)

    def calendar(self, sequencer: str) -> policy_pb2.Calendar:
        return shipped_calendar()

    # What people and other nodes do.

    def append(self, *drafts: DraftEntry) -> None:
        for draft in drafts:
            check_write(draft.type, draft.kind, draft.message, COUNTY)
            if isinstance(draft.message, calls_pb2.CallStep) and draft.message.HasField("took"):
                ref = draft.message.took.ref
                self._taken.add((ref.origin, ref.index))
            micros = int(self.clock.seconds * 1e6)
            self.written.append(Written(len(self.written), draft.message, draft.to, micros))

    def write(self, step: calls_pb2.CallStep, *before: DraftEntry) -> tuple[DraftEntry, ...]:
        """A step of its own people, as the engine has it written. Raises as `complete`."""
        self.clock.seconds += 1
        kind, type_ = feed_pb2.KIND_STEP, feed_pb2.RECORD_TYPE_CALL_STEP
        drafts = self.sequencer.complete(DraftEntry(kind, type_, step), before)
        self.append(*drafts)
        return drafts

    def do(self, call: Any = ONE, caller: Any = TOWN, **kind: Any) -> Any:
        """The same, from its content; what was written."""
        return self.write(step_of(call, caller, **kind))[0].message

    def arrive(self, home: str, message: Any, call: bytes = ONE, caller: str = TOWN) -> Proposal:
        """A proposal arrives from the node `home`; nothing is taken yet."""
        index = 1 + len(self.arrived)
        proposal = Proposal(feed_of(home), index, home, call, caller, message)
        self.arrived.append(proposal)
        return proposal

    def take_all(self, limit: int = 100) -> list[Any]:
        """The tooks that are written now."""
        self.clock.seconds += 1
        drafts = self.sequencer.take(limit)
        self.append(*drafts)
        messages: list[Any] = [draft.message for draft in drafts]
        return [message.took for message in messages]

    def propose(self, call: bytes = ONE, caller: str = TOWN, **kind: Any) -> Any:
        """The caller proposes, and is told: a took."""
        self.arrive(caller, step_of(call, caller, **kind), call, caller)
        return self.take_all()[-1]

    def raise_(self, call: bytes = ONE, caller: str = TOWN, **fields: Any) -> Any:
        village = VILLAGE if caller == TOWN else ""
        message = call_of(**{"village": village, "title": "停水", **fields})
        raise_draft(caller, message)  # the town could write it
        self.arrive(caller, message, call, caller)
        return self.take_all()[-1]

    def run_out(self, kind: ClockKind, call: bytes = ONE, caller: str = TOWN) -> None:
        """The timer writes that a running clock ran out."""
        clock = self.state(call, caller).clock(kind)
        assert clock is not None
        assert clock.status is ClockStatus.RUNNING
        self.clock.seconds = max(self.clock.seconds, clock.due_micros / 1e6)
        self.do(call, caller, timeout={"clock": int(kind), "generation": clock.generation})

    # What is seen.

    def state(self, call: bytes = ONE, caller: str = TOWN) -> CallState:
        """The call as the county sees it; what was folded once is kept."""
        place, folding = self._folded.get((caller, call), (0, Folding()))
        for one in self.written[place:]:
            message = one.message
            is_step = isinstance(message, calls_pb2.CallStep)
            if is_step and (message.caller, message.call) == (caller, call):
                folding.add(SequencedStep(one.place, message))
        self._folded[caller, call] = len(self.written), folding
        return folding.state

    def held_by(self, reader: str, call: bytes = ONE, caller: str = TOWN) -> list[SequencedStep]:
        """What a node may read of the sequencer's steps, by selectors and by disclosures."""
        opened: set[int] = set()
        for one in self.written:
            if isinstance(one.message, trust_pb2.Disclosure) and reader in one.message.readers:
                for span in one.message.ranges:
                    if _SHARED in span.slots:
                        opened.update(range(span.start, span.stop))
        return [
            step
            for step in self.sequenced_steps(COUNTY, caller, call)
            if step.index in opened
            or may_read(reader, COUNTY, _SHARED, self.written[step.index].to)
        ]
