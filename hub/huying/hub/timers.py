"""What time does to the calls that this node answers: clocks that run out, and outages.

A clock that is due ends in a `Timeout` step, written by this component under a request id that
follows from the call, the clock and its generation. So it is written once, however many processes
find it due, and after a crash between finding and writing; and the sequencer, which completes the
step inside the transaction, refuses it where the clock was stopped, paused or extended meanwhile.
Nothing is written while the node recovers: the engine refuses, and the clock is found due again.

At its start the node asks first whether it was away (`huying.hub.outage`); the extensions of the
open windows are on their way to the engine before any link opens and before any clock is looked at.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from huying.common.calls import SequencedStep, fold
from huying.common.calls.call_state import CallState, ClockState, ClockStatus
from huying.common.codes import Level, level
from huying.common.effects import AppendReceipt, DraftEntry
from huying.common.errors import Code, HuyingError
from huying.common.limits import TIMER_BATCH_STEPS_MAX, TIMER_POLL_SECONDS, TIMER_RETRY_SECONDS
from huying.common.ports import Clock
from huying.common.records.record_keys import keyed
from huying.hub.outage import Outage, OutageLog
from huying.node import logs
from huying.node.background import end_task
from huying.wire.v1 import calls_pb2, feed_pb2

if TYPE_CHECKING:
    from huying.node.services import Component, Node

__all__ = ["Firing", "Timers", "outage_draft", "timeout_draft", "timers_component"]

# What says that a step is out of place, and nothing of the node; or that one call trips a fault of
# our own, for which the others must not wait.
_OUT_OF_PLACE: Final = (
    Code.WRONG_STAGE,
    Code.NOT_A_PARTY,
    Code.INVALID_ARGUMENT,
    Code.BAD_RECORD,
    Code.ENTRY_TOO_LARGE,
    Code.UNKNOWN,
)


class _Key(NamedTuple):
    """One call."""

    caller: str
    call: bytes


class CallReader(Protocol):
    """What is read of the calls; the methods block."""

    def due_timers(self, sequencer: str, now_micros: int, limit: int) -> list[tuple[str, bytes]]:
        """(caller, call) of calls with a running clock that is due, oldest first."""
        ...

    def running_timers(
        self, sequencer: str, after: tuple[str, bytes], limit: int
    ) -> list[tuple[str, bytes]]:
        """(caller, call) of calls with a running clock, by caller and id, from beyond `after`."""
        ...

    def sequenced_steps(self, sequencer: str, caller: str, call: bytes) -> list[SequencedStep]:
        """Everything the sequencer wrote about that call."""
        ...


Append = Callable[[Sequence[DraftEntry]], Awaitable[Sequence[AppendReceipt]]]


def timeout_draft(caller: str, call: bytes, clock: ClockState) -> DraftEntry:
    """The step that says the clock ran out."""
    timeout = calls_pb2.Timeout(
        clock=calls_pb2.Clock.ValueType(clock.kind), generation=clock.generation
    )
    request_id = keyed("timer", caller, call.hex(), int(clock.kind), clock.generation)
    return _draft(calls_pb2.CallStep(call=call, caller=caller, timeout=timeout), request_id)


def outage_draft(caller: str, call: bytes, outage: Outage) -> DraftEntry:
    """The step that lets the call's windows grow by an outage."""
    message = calls_pb2.Outage(from_micros=outage.from_micros, until_micros=outage.until_micros)
    request_id = keyed("outage", caller, call.hex(), *outage)
    return _draft(calls_pb2.CallStep(call=call, caller=caller, outage=message), request_id)


def _draft(step: calls_pb2.CallStep, request_id: bytes) -> DraftEntry:
    return DraftEntry(
        kind=feed_pb2.KIND_STEP,
        type=feed_pb2.RECORD_TYPE_CALL_STEP,
        message=step,
        request_id=request_id,
    )


def due_clock(state: CallState, now_micros: int) -> ClockState | None:
    """The running clock that was due first, of those that are due; None where none is."""
    due = (
        clock
        for clock in state.clocks
        if clock.status is ClockStatus.RUNNING and clock.due_micros <= now_micros
    )
    return min(due, key=lambda clock: (clock.due_micros, clock.kind), default=None)


class Firing:
    """Finds what is due and writes it, one step a call at a time."""

    def __init__(self, code: str, reader: CallReader, append: Append, clock: Clock) -> None:
        self._code = code
        self._reader = reader
        self._append = append
        self._clock = clock
        self._aside: dict[_Key, float] = {}  # monotonic time from which to try again

    async def fire_due(self) -> int:
        """Write a Timeout for every clock that is due now; how many were new.

        Raises as the engine refuses to write; what was not written is found due again.
        """
        fired = 0
        while drafts := await asyncio.to_thread(self._due):
            for batch in _batches(drafts):
                fired += await self.write(batch)
        return fired

    def _due(self) -> list[DraftEntry]:
        now = self._clock.monotonic()
        self._aside = {key: again for key, again in self._aside.items() if again > now}
        micros = int(self._clock.now() * 1e6)
        limit = TIMER_BATCH_STEPS_MAX + len(self._aside)
        drafts = []
        for key in map(_Key._make, self._reader.due_timers(self._code, micros, limit)):
            if key in self._aside:
                continue
            try:
                clock = due_clock(self._fold(key), micros)
            except HuyingError as error:
                logs.say("timer_refused", code=error.code.name, detail=error.detail)
                clock = None
            if clock is None:
                # The table and the steps differ for a moment, or for good: the others go on.
                self._set_aside(key)
            else:
                drafts.append(timeout_draft(*key, clock))
        return drafts

    def outage_drafts(self, outage: Outage) -> Iterator[DraftEntry]:
        """A step for each call with a clock that ran when the outage began. Blocks; in pages."""
        after = _Key("", b"")
        while page := self._reader.running_timers(self._code, after, TIMER_BATCH_STEPS_MAX):
            for key in map(_Key._make, page):
                if any(
                    clock.status is ClockStatus.RUNNING and clock.due_micros > outage.from_micros
                    for clock in self._fold(key).clocks
                ):
                    yield outage_draft(*key, outage)
            after = _Key._make(page[-1])

    def _fold(self, key: _Key) -> CallState:
        return fold(self._reader.sequenced_steps(self._code, *key))

    async def write(self, drafts: Sequence[DraftEntry]) -> int:
        """Write steps of different calls; how many were new. What is out of place is set aside."""
        try:
            receipts = await self._append(drafts)
        except HuyingError as error:
            if error.code not in _OUT_OF_PLACE:
                raise
            if len(drafts) > 1:
                # One of them: somebody moved that call on since it was read.
                return sum([await self.write((draft,)) for draft in drafts])
            self._set_aside(_key_of(drafts[0]))
            logs.say("timer_refused", code=error.code.name, detail=error.detail)
            return 0
        for draft, receipt in zip(drafts, receipts, strict=False):
            if receipt.repeated:
                self._set_aside(_key_of(draft))  # another process wrote it
        return sum(not receipt.repeated for receipt in receipts)

    def _set_aside(self, key: _Key) -> None:
        self._aside[key] = self._clock.monotonic() + TIMER_RETRY_SECONDS


def _key_of(draft: DraftEntry) -> _Key:
    step = draft.message
    assert isinstance(step, calls_pb2.CallStep)
    return _Key(step.caller, step.call)


def _batches(drafts: Sequence[DraftEntry]) -> Iterator[Sequence[DraftEntry]]:
    for start in range(0, len(drafts), TIMER_BATCH_STEPS_MAX):
        yield drafts[start : start + TIMER_BATCH_STEPS_MAX]


class Timers:
    """The component: accounts for outages, then fires what is due, until the node stops."""

    def __init__(self, node: Node) -> None:
        self._node = node
        code = node.config.node.code
        self._firing = Firing(code, node.reader, node.runtime.append, node.clock)
        minutes = node.config.calls.outage_minutes
        self._log = OutageLog(node.config.data_dir, minutes * 60.0)
        self._silent_until = float("-inf")
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """See `services.Component`. Called before any link opens."""
        begun: tuple[Outage, asyncio.Future[list[int]]] | None = None
        if self._can_write(starting=True):
            outage = await self._found_at_start()
            if outage is not None:
                writes = await self._begin(outage)
                await asyncio.sleep(0)  # the engine's queue has them before any link brings a step
                begun = outage, writes
        self._task = asyncio.create_task(self._run(begun))

    async def _found_at_start(self) -> Outage | None:
        try:
            return await asyncio.to_thread(self._log.due, self._now_micros())
        except HuyingError as error:
            self._say_waiting(error)  # no clock is looked at before it is mended; the node serves
            return None

    async def stop(self) -> None:
        """See `services.Component`."""
        await end_task(self._task)

    async def _run(self, begun: tuple[Outage, asyncio.Future[list[int]]] | None) -> None:
        while True:
            try:
                if begun is not None:
                    first, begun = begun, None
                    await self._finish(*first)
                if self._can_write():
                    await self.run_once()
            except HuyingError as error:
                # A node that recovers, drains or has no room tries again: nothing is lost by it.
                self._say_waiting(error)
            except Exception as error:  # noqa: BLE001  # a defect must not end all clocks
                # Its words stay out of the log, since they may quote a record.
                self._say_waiting(HuyingError(Code.UNKNOWN, type(error).__name__))
            await asyncio.sleep(TIMER_POLL_SECONDS)

    async def run_once(self) -> int:
        """Account for the time away, then fire what is due; how many clocks ran out.

        Raises as the engine refuses to write.
        """
        while (outage := await asyncio.to_thread(self._log.due, self._now_micros())) is not None:
            await self._finish(outage, await self._begin(outage))
        return await self._firing.fire_due()

    async def _begin(self, outage: Outage) -> asyncio.Future[list[int]]:
        """Ask for the steps of an outage; resolved with how many each batch wrote."""
        drafts = await asyncio.to_thread(lambda: list(self._firing.outage_drafts(outage)))
        return asyncio.gather(*map(self._firing.write, _batches(drafts)))

    async def _finish(self, outage: Outage, writes: asyncio.Future[list[int]]) -> None:
        calls = sum(await writes)
        await asyncio.to_thread(self._log.settled)
        seconds = (outage.until_micros - outage.from_micros) // 1_000_000
        logs.say("outage_extended", seconds=seconds, calls=calls)

    def _say_waiting(self, error: HuyingError) -> None:
        """A line a minute, however often it tries."""
        now = self._node.clock.monotonic()
        if now >= self._silent_until:
            self._silent_until = now + TIMER_RETRY_SECONDS
            logs.say("timers_wait", code=error.code.name, detail=error.detail)

    def _can_write(self, *, starting: bool = False) -> bool:
        state = self._node.runtime.status().state
        return state == "live" or (starting and state == "starting")

    def _now_micros(self) -> int:
        return int(self._node.clock.now() * 1e6)


def timers_component(node: Node) -> Component | None:
    """The timers of a node that can have children, and so calls to answer; None at a village."""
    return None if level(node.config.node.code) is Level.VILLAGE else Timers(node)
