"""A machine of the simulated world, which may lose power at any moment.

Its engine is dropped then, and with it all that was not durable; the store and the high-water mark
stay. The engine is the product's own, over a real store in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from huying.common.effects import Alarm, Append, Appended, Close, Effect, Input, Operated, Send
from huying.common.engine import Engine
from huying.common.errors import Code
from huying.common.membership.roster import Identity, Pin
from huying.hub.sequencer import CallSequencer
from huying.node.store.schema import ENTRIES, METADATA, entry_place
from huying.node.store.store import SqlStore
from tests.simulator.hardware import (
    FragileList,
    FragileMark,
    FragileStore,
    Fuse,
    PowerCutError,
    SeededEntropy,
)
from tests.simulator.tree import COUNTY, PARENT

if TYPE_CHECKING:
    from tests.simulator.world import World

__all__ = ["EPOCH_SECONDS", "TURN_SECONDS_MAX", "Answerable", "Request", "SimNode", "VirtualClock"]

TURN_SECONDS_MAX = 0.2  # a busy node lets inputs gather, and commits them together
EPOCH_SECONDS = 1_800_000_000.0
_IDLE_TURNS_MAX = 3  # steps of one node at one instant without any input


@dataclass(slots=True)
class VirtualClock:
    """The world's time as one node's clocks show it; wall clocks disagree by minutes."""

    world: World
    skew_seconds: float

    def now(self) -> float:
        return EPOCH_SECONDS + self.world.time + self.skew_seconds

    def monotonic(self) -> float:
        return self.world.time


class SimNode:
    """One machine of the tree."""

    def __init__(self, world: World, code: str, identity: Identity, pins: list[Pin]) -> None:
        self.world = world
        self.code = code
        self.identity = identity
        self.pins = pins
        self.fuse = Fuse()
        self.store = FragileStore(SqlStore.open(), self.fuse)
        self.mark = FragileMark(self.fuse, identity.origin)
        self.erasures = FragileList(self.fuse)
        self.clock = VirtualClock(world, world.random.uniform(-600, 600))
        self.entropy = SeededEntropy(f"{world.seed} {code}")
        self.engine: Engine | None = None
        self.inbox: list[Input] = []
        self.restarts = 0
        self.alarms: list[Alarm] = []
        self.operated: list[Operated] = []
        self._step_planned = False
        self._wake_planned = float("inf")
        self._idle_turns = 0
        self._last_step = -1.0

    @property
    def origin(self) -> str:
        return self.identity.origin

    def boot(self) -> None:
        """A new engine over what is durable."""
        assert self.engine is None
        sequencer = (
            CallSequencer(self.code, self.store.inner, self.clock) if self.code == COUNTY else None
        )
        engine = Engine(
            identity=self.identity,
            parent=PARENT[self.code],
            pins=self.pins,
            store=self.store,
            clock=self.clock,
            entropy=self.entropy,
            mark=self.mark,
            settings=self.world.settings,
            sequencer=sequencer,
            erasure_list=self.erasures,
        )
        self.engine = engine
        self._act(engine.start)
        for line in self.world.lines_of(self.code):
            self.world.dial_soon(line)

    def held(self, origin: str) -> int:
        """How many entries of a feed the running engine holds."""
        feed = self.engine.replica.feeds.get(origin) if self.engine is not None else None
        return feed.size if feed is not None else 0

    def give(self, one: Input) -> None:
        """Something for the engine; a machine without power hears nothing."""
        if self.engine is None:
            return
        self.inbox.append(one)
        if not self._step_planned:
            self._step_planned = True
            self.world.after(self.world.random.uniform(0.001, TURN_SECONDS_MAX), self._turn)

    def _turn(self) -> None:
        self._step_planned = False
        if self.engine is not None:
            inputs, self.inbox = self.inbox, []
            self._act(lambda: self.engine.step(inputs) if self.engine else [], inputs)

    def _wake(self, planned: float) -> None:
        if self._wake_planned == planned and self.engine is not None:
            self._wake_planned = float("inf")
            if not self._step_planned:
                self._turn()

    def _act(self, run: Callable[[], list[Effect]], inputs: Sequence[Input] = ()) -> None:
        """Let the engine work, carry out what it wants, and come back when it asks to."""
        world = self.world
        idle = not inputs and world.time == self._last_step
        self._idle_turns = self._idle_turns + 1 if idle else 0
        self._last_step = world.time
        assert self._idle_turns < _IDLE_TURNS_MAX, f"{self.code} spins at {world.time}"
        try:
            effects = run()
        except PowerCutError:
            self.lose_power()
            return
        assert self.engine is not None
        world.note(self.code, inputs, effects)
        for effect in effects:
            self._carry_out(effect)
        for watch in world.watchers:
            watch(self)
        wake = self.engine.next_wake()
        if wake != self._wake_planned and wake != float("inf"):
            self._wake_planned = wake
            world.at(max(wake, world.time), partial(self._wake, wake))

    def _carry_out(self, effect: Effect) -> None:
        if isinstance(effect, Send):
            self.world.transmit(self.code, effect.link, effect.frame)
        elif isinstance(effect, Close):
            self.world.hang_up(self.code, effect.link)
        elif isinstance(effect, Appended):
            assert isinstance(effect.token, Request)
            waits = effect.error is not None and effect.error.code in (Code.RECOVERING, Code.FORKED)
            lost = effect.error is not None and effect.error.code is Code.WRONG_STAGE
            lost = lost and effect.token.is_contested
            assert effect.error is None or waits or lost, f"{self.code} refused: {effect.error}"
            effect.token.answered = None if waits else effect
        elif isinstance(effect, Operated):
            self.operated.append(effect)
            if isinstance(effect.token, Answerable):
                effect.token.answered(effect)
        elif isinstance(effect, Alarm):
            assert effect.fault is None, f"{self.code}: {effect.detail}"
            self.alarms.append(effect)

    def lose_power(self, seconds: float | None = None) -> None:
        """Drop the engine with all that is not durable; come back after a while."""
        if self.engine is None:
            return
        self.engine = None
        self.inbox.clear()
        self.restarts += 1
        self._wake_planned = float("inf")
        self.world.note(self.code, (), ())
        for line in self.world.lines_of(self.code):
            if line.link is not None:
                self.world.hang_up(self.code, line.link.number)
        pause = self.world.random.uniform(0.2, 8.0) if seconds is None else seconds
        self.world.after(pause, self.boot)

    def forget(self, origins: Sequence[str]) -> None:
        """Have the stopped machine's database lose its copy of these feeds."""
        assert self.engine is None
        store = self.store.inner
        with store.transaction(), store.reading() as connection:
            for origin in origins:
                feed = store.feed(origin)
                if feed is None:
                    continue
                first, stop = entry_place(feed.feed_id, 0), entry_place(feed.feed_id + 1, 0)
                in_feed = ENTRIES.c.place >= first, ENTRIES.c.place < stop
                connection.execute(ENTRIES.delete().where(*in_feed))
                for table in reversed(METADATA.sorted_tables):
                    if "feed_id" in table.c:
                        connection.execute(table.delete().where(table.c.feed_id == feed.feed_id))


@runtime_checkable
class Answerable(Protocol):
    """The token of an operation that wants to hear what became of it."""

    def answered(self, effect: Operated) -> None: ...


@dataclass(slots=True, eq=False)
class Request:
    """What somebody asked a node to write, until it is acknowledged; also the append's token."""

    node: SimNode
    append: Append
    answered: Appended | None = None
    is_contested: bool = False  # another's step may come first, and then this is refused
