"""The engine's thread and its bridge to the event loop.

One thread owns the engine and the store's only writing connection; the loop owns every socket.
Inputs cross by one bounded queue, are taken in batches and handled in one durable transaction;
effects come back to the loop in one batch per step. Nobody else touches the engine: who wants to
know something reads the snapshot. When the store fails the runtime fails for good, and the process
ends: a write that may be half done is verified at the next start, never retried.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import threading
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from huying.common.effects import (
    Alarm,
    Append,
    Appended,
    AppendReceipt,
    Close,
    DraftEntry,
    Drain,
    Effect,
    Input,
    LinkDown,
    LinkUp,
    Notice,
    Operate,
    Operated,
    Operation,
    Received,
    Send,
)
from huying.common.errors import Code, HuyingError
from huying.common.limits import APPEND_QUEUE_MAX
from huying.common.ports import Clock
from huying.common.status import NodeStatus
from huying.node import logs
from huying.node.inputs import InputQueue
from huying.node.transport.link import Link

__all__ = ["EngineLike", "Runtime"]

STATUS_SECONDS: Final = 0.25  # between snapshots while busy: one costs as much as a small commit
STATUS_IDLE_SECONDS: Final = 1.0  # and while idle, so that an age in it goes on growing
ALARM_LINE_SECONDS: Final = 60.0  # between two log lines of one alarm about one peer
REST_SECONDS: Final = 5.0  # without a batch of work: time to give memory back
FEW_INPUTS: Final = 2  # pulses and their like come at rest, too
DISPATCHES_MAX: Final = 8  # steps whose effects the loop has not carried out yet
QUIET_SECONDS: Final = 0.2  # of silence on every link: the last acknowledgements are through
RETRY_AFTER_SECONDS: Final = 1.0  # what a drain tells the peers


class EngineLike(Protocol):
    """What of `huying.common.engine.Engine` the runtime uses, all on one thread."""

    @property
    def change_count(self) -> int:
        """Grows with every applied entry."""
        ...

    def start(self) -> list[Effect]:
        """Load the store."""
        ...

    def step(self, inputs: Sequence[Input]) -> list[Effect]:
        """Handle the inputs, and the timers that are due, in one durable transaction."""
        ...

    def next_wake(self) -> float:
        """Monotonic time of the next timer."""
        ...

    def status(self) -> NodeStatus:
        """A snapshot."""
        ...


class Runtime:
    """Runs one engine. Everything here is called on the loop, unless it says otherwise."""

    def __init__(
        self, engine: EngineLike, clock: Clock, on_idle: Callable[[], None] = lambda: None
    ) -> None:
        """`on_idle` is called on the engine's thread once the node has rested for a while."""
        self._engine = engine
        self._on_idle = on_idle
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._queue = InputQueue(self._loop)
        self._numbers = itertools.count(1)
        self._links: dict[int, Link] = {}
        self._appends: dict[int, asyncio.Future[Any]] = {}  # and operations, by token
        self._tokens = itertools.count(1)
        self._permits = threading.Semaphore(DISPATCHES_MAX)
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._stopping = False
        self._draining = False
        self._failure: HuyingError | None = None
        self._last_frame = clock.monotonic()
        self._snapshot: NodeStatus | None = None
        self._change_count = 0
        self._change = asyncio.Event()
        self.started: asyncio.Future[None] = self._loop.create_future()
        self.ended: asyncio.Future[None] = self._loop.create_future()
        # Told how many entries each step wrote for those who asked.
        self.observe_commit: Callable[[int], None] = lambda _entries: None
        self.observers: list[Callable[[Notice], None]] = []  # told on the loop
        self._said: dict[tuple[Code, str], tuple[float, int]] = {}  # when logged, how many not
        self.alarms: Counter[tuple[Code, str, str]] = Counter()  # by (code, feed, peer)

    # Life.

    async def start(self) -> None:
        """Start the thread and wait until the engine has loaded the store.

        Raises what the engine's start raised.
        """
        self._thread.start()
        await asyncio.shield(self.started)

    async def drain(self, seconds: float) -> None:
        """Refuse further appends, say goodbye, and wait for the last acknowledgements.

        Returns when every link has sent its queue and heard nothing for a moment, at the latest
        after `seconds`.
        """
        if self._draining or self._failure is not None:
            return
        self._draining = True
        self._queue.push(Drain(RETRY_AFTER_SECONDS))
        self._last_frame = self._clock.monotonic()
        deadline = self._clock.monotonic() + seconds
        while self._links and self._clock.monotonic() < deadline:
            silence = self._clock.monotonic() - self._last_frame
            queued = sum(link.queued_bytes for link in self._links.values())
            if silence >= QUIET_SECONDS and not queued and not self._appends:
                break
            await asyncio.sleep(QUIET_SECONDS / 4)

    async def stop(self) -> None:
        """End the thread after the step it is in, and whatever was queued before."""
        self._stopping = True
        self._draining = True
        self._queue.wake()
        if self._thread.is_alive():
            await asyncio.wait([self.ended])
            await asyncio.to_thread(self._thread.join)
        stopped = self._failure or HuyingError(Code.DRAINING, "the node is stopping")
        self._refuse_appends(stopped)

    @property
    def failure(self) -> HuyingError | None:
        """Why the engine ended by itself, if it did."""
        return self._failure

    # What the API asks.

    async def append(self, drafts: Sequence[DraftEntry]) -> tuple[AppendReceipt, ...]:
        """Write all or none; returns after the durable commit.

        Raises what the engine refused with, HuyingError(BUSY) where 8,192 appends wait already, or
        HuyingError(DRAINING).
        """
        token, answer = self._ask()
        self._queue.push(Append(token, tuple(drafts)))
        # A caller who goes away leaves the append to be written all the same; see `_answer`.
        receipts: tuple[AppendReceipt, ...] = await answer
        return receipts

    async def operate(self, operation: Operation) -> Any:
        """Run one operation in a transaction of its own; what it returned, once it is durable.

        Raises what the operation raised, after all of it was undone; BUSY or DRAINING as `append`.
        """
        token, answer = self._ask()
        self._queue.push(Operate(token, operation))
        return await answer

    def _ask(self) -> tuple[int, asyncio.Future[Any]]:
        """A token, and the future that its answer resolves."""
        if self._failure is not None:
            raise HuyingError(self._failure.code, self._failure.detail)
        if self._draining:
            raise HuyingError(Code.DRAINING, "the node is stopping")
        if len(self._appends) >= APPEND_QUEUE_MAX:
            raise HuyingError(Code.BUSY, f"{APPEND_QUEUE_MAX} appends are waiting")
        token = next(self._tokens)
        answer = self._appends[token] = self._loop.create_future()
        return token, answer

    def status(self) -> NodeStatus:
        """The newest snapshot, about a second old at most. Safe on any thread; never blocks."""
        snapshot = self._snapshot
        assert snapshot is not None, "the runtime was started before it was asked"
        return snapshot

    async def wait_change(self, seen: int) -> int:
        """Wait until the count of applied entries differs from `seen`; returns the new count."""
        while self._change_count == seen:
            await self._change.wait()
        return self._change_count

    # What links ask (`huying.node.transport.link.Host`).

    def number(self) -> int:
        """A link number that was never used."""
        return next(self._numbers)

    def opened(self, link: Link) -> None:
        """The link is up."""
        self._links[link.number] = link
        self._queue.push(LinkUp(link.number, link.code, link.direction))

    async def received(self, link: Link, frame: bytes) -> None:
        """One frame came; returns when there is room for the next."""
        self._last_frame = self._clock.monotonic()
        await self._queue.put(Received(link.number, frame))

    def closed(self, link: Link) -> None:
        """The link is gone."""
        if self._links.pop(link.number, None) is not None:
            self._queue.push(LinkDown(link.number))

    # The engine's thread.

    def _run(self) -> None:
        """Start, then step until told to stop. Whatever the engine raises ends the runtime."""
        try:
            effects = self._engine.start()
            self._take_snapshot()
            self._hand_over(effects)
            self._post(_resolve, self.started, None, None)
            self._cycle()
        except HuyingError as error:
            self._post(self._fail, error)
        except BaseException as error:  # noqa: BLE001  # whatever it is, the process must end
            # A defect of ours. Its words stay out of the log, since they may quote a record.
            logs.say("engine_defect", trace=traceback.format_tb(error.__traceback__))
            self._post(self._fail, HuyingError(Code.UNKNOWN, type(error).__name__))
        finally:
            self._post(_resolve, self.ended, None, None)

    def _cycle(self) -> None:
        snapshot_at = worked_at = self._clock.monotonic()
        dirty, rested = False, False
        while True:
            idle_seconds = STATUS_SECONDS if dirty else STATUS_IDLE_SECONDS
            wake = min(self._engine.next_wake(), snapshot_at + idle_seconds)
            inputs = self._queue.take(wake - self._clock.monotonic())
            if self._stopping and not inputs:
                return
            effects: list[Effect] = []
            if inputs or self._clock.monotonic() >= self._engine.next_wake():
                effects = self._engine.step(inputs)
                dirty = True
            now = self._clock.monotonic()
            if sum(isinstance(one, Append | Received) for one in inputs) > FEW_INPUTS:
                worked_at, rested = now, False
            elif not rested and now - worked_at >= REST_SECONDS:
                rested = True
                self._on_idle()
            if now >= snapshot_at + (STATUS_SECONDS if dirty else STATUS_IDLE_SECONDS):
                self._take_snapshot()
                snapshot_at, dirty = now, False
            self._hand_over(effects)

    def _take_snapshot(self) -> None:
        self._snapshot = self._engine.status()

    def _hand_over(self, effects: list[Effect]) -> None:
        """Give the loop a step's effects; wait where it is `DISPATCHES_MAX` steps behind."""
        change_count = self._engine.change_count
        if effects or change_count != self._change_count:
            self._permits.acquire()
            self._post(self._dispatch, effects, change_count)

    def _post(self, function: Callable[..., object], *values: Any) -> None:
        # A loop that was closed under us means that the process is ending.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(function, *values)

    # Back on the loop.

    def _dispatch(self, effects: list[Effect], change_count: int) -> None:
        self._permits.release()
        appended = [effect for effect in effects if isinstance(effect, Appended)]
        written = sum(not receipt.repeated for each in appended for receipt in each.receipts)
        if written:
            self.observe_commit(written)
        for effect in effects:
            if isinstance(effect, Send):
                link = self._links.get(effect.link)
                if link is not None:
                    link.send(effect.frame)
            elif isinstance(effect, Appended):
                self._answer(effect, effect.receipts)
            elif isinstance(effect, Operated):
                self._answer(effect, effect.result)
            elif isinstance(effect, Notice):
                for observe in self.observers:
                    observe(effect)
            elif isinstance(effect, Close):
                self._close(effect)
            else:
                self._alarm(effect)
        if change_count != self._change_count:
            self._change_count = change_count
            self._change.set()
            self._change = asyncio.Event()

    def _answer(self, effect: Appended | Operated, result: object) -> None:
        assert isinstance(effect.token, int), "tokens are numbers given by append() and operate()"
        answer = self._appends.pop(effect.token, None)
        if answer is not None:
            _resolve(answer, result, effect.error)

    def _close(self, effect: Close) -> None:
        link = self._links.get(effect.link)
        if link is not None:
            logs.say("link_closed", peer=link.code, code=effect.code.name, reason=effect.detail)
            link.close(effect.code, effect.detail)

    def _alarm(self, effect: Alarm) -> None:
        self.alarms[effect.code, effect.feed, effect.peer] += 1
        # A peer may cause one with every frame: the counters see each, the log one a minute.
        said_at, unsaid = self._said.get((effect.code, effect.peer), (float("-inf"), 0))
        now = self._clock.monotonic()
        if now - said_at < ALARM_LINE_SECONDS and effect.fault is None:
            self._said[effect.code, effect.peer] = (said_at, unsaid + 1)
            return
        self._said[effect.code, effect.peer] = (now, 0)
        logs.say(
            "alarm",
            unsaid=unsaid,
            code=effect.code.name,
            feed=effect.feed,
            peer=effect.peer,
            detail=effect.detail,
            advice=HuyingError(effect.code).advice.zh,
        )

    def _fail(self, error: HuyingError) -> None:
        self._failure = error
        if not self.started.done():
            self.started.set_exception(error)
            self.started.exception()  # It may be that nobody waits any more.
        self._refuse_appends(error)

    def _refuse_appends(self, error: HuyingError) -> None:
        waiting, self._appends = self._appends, {}
        for answer in waiting.values():
            _resolve(answer, None, HuyingError(error.code, error.detail))


def _resolve(future: asyncio.Future[Any], value: object, error: BaseException | None) -> None:
    if future.done():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(value)
