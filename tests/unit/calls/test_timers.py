"""What time does to calls: each clock runs out once, whoever finds it due, and however often."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from huying.common.calls import fold
from huying.common.calls.call_state import CallStage, CallState, ClockKind, ClockStatus
from huying.common.effects import AppendReceipt, DraftEntry
from huying.common.errors import Code, HuyingError
from huying.common.limits import TIMER_RETRY_SECONDS
from huying.hub import timers
from huying.hub.outage import Outage, OutageLog
from huying.hub.sequencer import CallSequencer
from huying.hub.timers import Firing, Timers, outage_draft, timeout_draft
from huying.wire.v1 import calls_pb2
from tests.support.served_network import ServedNetwork
from tests.support.tiny_network import COUNTY, TOWN, raise_call, step

DEPARTMENT = "水务局"
DAY = 86400.0


@pytest.fixture
def served(tmp_path, monkeypatch) -> Iterator[ServedNetwork]:
    made = ServedNetwork(tmp_path, monkeypatch)
    yield made
    made.close()


class Machine:
    """One process that looks after the timers of the county."""

    def __init__(self, served: ServedNetwork) -> None:
        self.served = served
        runtime = served.runtimes[COUNTY]
        self.appended: list[Sequence[DraftEntry]] = []

        async def append(drafts: Sequence[DraftEntry]) -> Sequence[AppendReceipt]:
            self.appended.append(drafts)
            return await runtime.append(drafts)

        self.firing = Firing(COUNTY, served.readers[COUNTY], append, served.network.clock)

    def fire(self) -> int:
        return self.served.thread.run(self.firing.fire_due())

    def write(self, *drafts: DraftEntry) -> int:
        return self.served.thread.run(self.firing.write(drafts))

    def due(self) -> list[DraftEntry]:
        return self.firing._due()


def call_of(draft: DraftEntry) -> bytes:
    assert isinstance(draft.message, calls_pb2.CallStep)
    return draft.message.call


def state_of(served: ServedNetwork, call: bytes) -> CallState:
    return fold(served.readers[COUNTY].sequenced_steps(COUNTY, TOWN, call))


def steps_of(served: ServedNetwork, call: bytes, kind: str) -> list[calls_pb2.CallStep]:
    steps = served.readers[COUNTY].sequenced_steps(COUNTY, TOWN, call)
    return [one.call_step for one in steps if one.call_step.WhichOneof("step") == kind]


def received(served: ServedNetwork) -> bytes:
    async def write() -> bytes:
        return raise_call(served.network)

    return served.thread.run(write())


def handling(served: ServedNetwork) -> bytes:
    call = received(served)
    for kind in (
        {"dispatch": calls_pb2.Dispatch(department=DEPARTMENT)},
        {"accept": calls_pb2.Accept(department=DEPARTMENT)},
    ):
        served.thread.run(served.runtimes[COUNTY].append([step(call, **kind)]))
    return call


def test_a_clock_that_is_due_runs_out_once(served):
    """Found due again, nothing is written: the clock runs no more."""
    call = received(served)
    machine = Machine(served)
    assert machine.fire() == 0
    served.network.clock.seconds += DAY
    assert machine.fire() == 1
    assert machine.fire() == 0
    (timeout,) = steps_of(served, call, "timeout")
    assert (timeout.timeout.clock, timeout.timeout.generation) == (calls_pb2.CLOCK_ADMIT, 1)
    clock = state_of(served, call).clock(ClockKind.ADMIT)
    assert clock is not None
    assert (clock.status, clock.breaches) == (ClockStatus.EXPIRED, 1)


def test_of_two_that_found_the_same_clock_due_one_writes_it(served):
    """Both read before either wrote: the request id is the same, so the second is a repetition."""
    calls = [received(served) for _ in range(3)]
    served.network.clock.seconds += DAY
    one, two = Machine(served), Machine(served)
    first, second = one.due(), two.due()
    assert [draft.request_id for draft in first] == [draft.request_id for draft in second]

    async def both() -> list[int]:
        wrote = await asyncio.gather(one.firing.write(first), two.firing.write(second))
        return list(wrote)

    assert sorted(served.thread.run(both())) == [0, 3]
    for call in calls:
        assert len(steps_of(served, call, "timeout")) == 1
    assert (one.fire(), two.fire()) == (0, 0)


def test_every_clock_of_a_chain_runs_out_in_its_turn(served):
    """The breach starts the cards, and they run out by the same machinery; silence closes."""
    call = handling(served)
    machine = Machine(served)
    for _ in range(30):
        served.network.clock.seconds += DAY
        machine.fire()
    kinds = [one.timeout.clock for one in steps_of(served, call, "timeout")]
    assert kinds == [calls_pb2.CLOCK_ANSWER, calls_pb2.CLOCK_YELLOW, calls_pb2.CLOCK_RED]
    assert state_of(served, call).card == calls_pb2.CARD_COLOUR_RED
    answer = calls_pb2.Answer(department=DEPARTMENT, text="已修")
    served.thread.run(served.runtimes[COUNTY].append([step(call, answer=answer)]))
    for _ in range(60):
        served.network.clock.seconds += DAY
        machine.fire()
    assert state_of(served, call).stage is CallStage.CLOSED
    kinds = [one.timeout.clock for one in steps_of(served, call, "timeout")]
    assert kinds[3:] == [calls_pb2.CLOCK_CONFIRM, calls_pb2.CLOCK_REOPEN]


def test_several_days_late_all_is_written_at_once_and_in_order(served):
    """A node that was off for a month says it within one look, oldest first."""
    call = handling(served)
    served.network.clock.seconds += 60 * DAY
    machine = Machine(served)
    # ANSWER ran out; YELLOW and RED run from the step that says so, and are due later.
    assert machine.fire() == 1
    served.network.clock.seconds += 10 * DAY
    assert machine.fire() == 2
    kinds = [one.timeout.clock for one in steps_of(served, call, "timeout")]
    assert kinds == [calls_pb2.CLOCK_ANSWER, calls_pb2.CLOCK_YELLOW, calls_pb2.CLOCK_RED]


def test_a_clock_that_moved_between_finding_and_writing_does_not_run_out(served):
    """Extended, answered or paused meanwhile: the sequencer refuses, and the others are written."""
    moved, other = handling(served), received(served)
    request = calls_pb2.ExtensionRequest(department=DEPARTMENT, reason="待料")
    served.thread.run(served.runtimes[COUNTY].append([step(moved, extension_request=request)]))
    state = state_of(served, moved)
    due = next(clock for clock in state.clocks if clock.kind is ClockKind.ANSWER)
    served.network.clock.seconds = due.due_micros / 1e6 - 5
    machine = Machine(served)
    # Found due by a machine whose clock is ahead, and extended in time by the node's.
    stale = timeout_draft(TOWN, moved, due)
    granted = calls_pb2.ExtensionDecision(granted=True)
    served.thread.run(served.runtimes[COUNTY].append([step(moved, extension_decision=granted)]))
    served.network.clock.seconds += 10
    ready = [draft for draft in machine.due() if call_of(draft) == other]
    assert machine.write(stale, *ready) == 1
    assert steps_of(served, moved, "timeout") == []
    assert len(steps_of(served, other, "timeout")) == 1
    # Refused is not written: when the extended clock runs out, it does so under the same id.
    served.network.clock.seconds += 30 * DAY
    machine.fire()
    assert [one.timeout.clock for one in steps_of(served, moved, "timeout")][:1] == [
        calls_pb2.CLOCK_ANSWER
    ]


def test_killed_after_the_write_and_before_the_answer_nothing_is_doubled(served):
    """The next process finds what is due from the steps, not from what the last one remembered."""
    call = received(served)
    served.network.clock.seconds += DAY
    killed = Machine(served)
    drafts = killed.due()
    served.thread.run(served.runtimes[COUNTY].append(drafts))  # written; nobody heard of it
    assert Machine(served).fire() == 0
    assert killed.write(*drafts) == 0
    assert len(steps_of(served, call, "timeout")) == 1


def test_nothing_is_written_while_the_node_recovers(served):
    """The engine refuses; what is due stays due, and is written when it may be."""
    call = received(served)
    served.network.clock.seconds += DAY
    machine = Machine(served)
    served.runtimes[COUNTY].append_error = HuyingError(Code.RECOVERING, COUNTY)
    with pytest.raises(HuyingError) as caught:
        machine.fire()
    assert caught.value.code is Code.RECOVERING
    assert steps_of(served, call, "timeout") == []
    served.runtimes[COUNTY].append_error = None
    assert machine.fire() == 1


def test_a_call_that_is_refused_for_good_keeps_no_other_waiting(served, monkeypatch):
    """It is looked at again after a while; the oldest call must not block the table."""
    stuck, other = received(served), received(served)
    served.network.clock.seconds += DAY
    real = timers.due_clock
    looked: list[CallState] = []

    def none_for_the_first(state: CallState, now: int):
        looked.append(state)
        return None if len(looked) == 1 else real(state, now)

    monkeypatch.setattr(timers, "due_clock", none_for_the_first)
    monkeypatch.setattr(timers, "TIMER_BATCH_STEPS_MAX", 1)
    machine = Machine(served)
    assert machine.fire() == 0  # the page held the stuck one alone
    assert machine.fire() == 1
    assert [len(steps_of(served, call, "timeout")) for call in (stuck, other)].count(1) == 1
    served.network.clock.seconds += TIMER_RETRY_SECONDS
    assert machine.fire() == 1


def test_a_call_that_trips_a_fault_of_our_own_stops_no_other_clock(served, monkeypatch):
    """Nobody knows which call will; the first one that is due would else be the last ever."""
    bad, good = received(served), received(served)
    served.network.clock.seconds += DAY
    complete = CallSequencer.complete

    def trip(sequencer, draft, before=()):
        if call_of(draft) == bad:
            raise ValueError("a fault")
        return complete(sequencer, draft, before)

    monkeypatch.setattr(CallSequencer, "complete", trip)
    machine = Machine(served)
    assert machine.fire() == 1
    assert len(steps_of(served, good, "timeout")) == 1
    monkeypatch.undo()
    served.network.clock.seconds += TIMER_RETRY_SECONDS
    assert machine.fire() == 1
    assert len(steps_of(served, bad, "timeout")) == 1


def test_an_outage_is_written_once_for_each_call_that_runs(served):
    """Asked again after a crash, the same steps are found under the same ids."""
    running, ended = handling(served), received(served)
    decline = calls_pb2.Decline(reason=calls_pb2.DECLINE_REASON_UNLAWFUL)
    served.thread.run(served.runtimes[COUNTY].append([step(ended, decline=decline)]))
    since = int(served.network.clock.seconds * 1e6)
    served.network.clock.seconds += 2 * DAY
    outage = Outage(since, int(served.network.clock.seconds * 1e6))
    machine = Machine(served)
    before = state_of(served, running).clock(ClockKind.ANSWER)
    drafts = list(machine.firing.outage_drafts(outage))
    # Of the declined call the window to appeal runs, and grows, too.
    assert sorted(map(call_of, drafts)) == sorted([running, ended])
    assert machine.write(*drafts) == 2
    assert machine.write(*Machine(served).firing.outage_drafts(outage)) == 0
    after = state_of(served, running).clock(ClockKind.ANSWER)
    assert before is not None
    assert after is not None
    assert after.due_micros > before.due_micros
    assert len(steps_of(served, running, "outage")) == 1


def test_request_ids_tell_calls_clocks_and_generations_apart(served):
    """One id for two timeouts would lose one of them without a word."""
    call = handling(served)
    clocks = state_of(served, call).clocks
    drafts = [timeout_draft(TOWN, one, clock) for one in (call, bytes(16)) for clock in clocks]
    drafts += [timeout_draft(COUNTY, call, clock) for clock in clocks]
    drafts += [
        outage_draft(TOWN, call, Outage(since, until))
        for since, until in itertools.product((1, 2), (3, 4))
    ]
    assert len({draft.request_id for draft in drafts}) == len(drafts)


class Asked:
    """A runtime that notes what it is asked to write, and has not written it yet."""

    def __init__(self, state: str) -> None:
        self.state = state
        self.drafts: list[DraftEntry] = []

    def status(self) -> SimpleNamespace:
        return SimpleNamespace(state=self.state)

    async def append(self, drafts: Sequence[DraftEntry]) -> Sequence[AppendReceipt]:
        self.drafts += drafts
        return await asyncio.get_running_loop().create_future()


@pytest.mark.parametrize(("state", "asked"), [("live", 2), ("starting", 2), ("recovering", 0)])
def test_the_steps_of_an_outage_are_asked_for_before_the_node_starts_anything_else(
    served, state, asked
):
    """A link that opens first could bring a step that starts a clock, which was never away."""
    calls = [received(served) for _ in range(2)]
    config = served.configs[COUNTY]
    OutageLog(config.data_dir, 60.0).beat(int(served.network.clock.seconds * 1e6))
    served.network.clock.seconds += DAY
    runtime = Asked(state)
    reader, clock = served.readers[COUNTY], served.network.clock
    node: Any = SimpleNamespace(config=config, runtime=runtime, clock=clock, reader=reader)

    async def start() -> int:
        component = Timers(node)
        await component.start()
        count = len(runtime.drafts)
        await component.stop()
        return count

    assert served.thread.run(start()) == asked
    assert sorted(map(call_of, runtime.drafts)) == sorted(calls if asked else [])


def test_a_defect_in_one_look_does_not_end_all_clocks(served, monkeypatch):
    """The component goes on; a task that died in silence would let every window stay open."""
    monkeypatch.setattr(timers, "TIMER_POLL_SECONDS", 0)
    runtime = Asked("live")
    config, clock = served.configs[COUNTY], served.network.clock
    reader = served.readers[COUNTY]
    node: Any = SimpleNamespace(config=config, runtime=runtime, clock=clock, reader=reader)

    async def look_twice() -> None:
        again = asyncio.Event()
        looks = iter((ValueError("a fault"), None))

        async def look(_: Timers) -> int:
            fault = next(looks, None)
            if fault is not None:
                raise fault
            again.set()
            return 0

        monkeypatch.setattr(Timers, "run_once", look)
        component = Timers(node)
        await component.start()
        await asyncio.wait_for(again.wait(), 5)
        await component.stop()

    served.thread.run(look_twice())


def test_a_node_whose_clock_is_years_off_serves_and_lets_no_clock_run_out(served):
    """What a wrong clock ends stays ended; and a county that does not start helps nobody."""
    received(served)
    clock = served.network.clock
    runtime, reader = Asked("live"), served.readers[COUNTY]
    node: Any = SimpleNamespace(
        config=served.configs[COUNTY], runtime=runtime, clock=clock, reader=reader
    )
    OutageLog(node.config.data_dir, 60.0).beat(int(clock.seconds * 1e6))
    clock.seconds += 9_000 * DAY

    async def start() -> None:
        component = Timers(node)
        await component.start()
        with pytest.raises(HuyingError, match="set the clock"):
            await component.run_once()
        await component.stop()

    served.thread.run(start())
    assert runtime.drafts == []
