"""A seeded world in one thread: virtual time, a tree of real engines, and lines that misbehave.

Every engine is the product's own, over a real store in memory. Time jumps from one event to the
next, so hours cost nothing; whatever is random comes from the seed, so a run repeats exactly.

A node is a machine that may lose power: its engine is dropped and with it all that was not durable;
the store and the high-water mark stay. A line is the wire between a child and its parent. A link
is one connection over it, dialled by the child, which delivers frames late, twice, out of order or
not at all while the line is bad.
"""

from __future__ import annotations

import hashlib
import heapq
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import Protocol, runtime_checkable

from huying.common import codes
from huying.common.effects import (
    Alarm,
    Append,
    Appended,
    Close,
    Direction,
    Effect,
    Input,
    LinkDown,
    LinkUp,
    Operated,
    Received,
    Send,
)
from huying.common.engine import Engine, Settings
from huying.common.errors import Code
from huying.common.feed.note import KeyType, Signer
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

NETWORK = "wenshang.example"
COUNTY = "370830000000"
TOWNS = ("370830108000", "370830101000")
VILLAGES = ("370830108201", "370830108202", "370830101201", "370830101202")

# The tree as it was planned, by hand: the oracles must not learn it from the code under test.
PARENT: dict[str, str | None] = {
    COUNTY: None,
    TOWNS[0]: COUNTY,
    TOWNS[1]: COUNTY,
    VILLAGES[0]: TOWNS[0],
    VILLAGES[1]: TOWNS[0],
    VILLAGES[2]: TOWNS[1],
    VILLAGES[3]: TOWNS[1],
}
LEVEL = {COUNTY: 3, **dict.fromkeys(TOWNS, 4), **dict.fromkeys(VILLAGES, 5)}

# Shorter than in production, so that a run is; their proportions are the same.
SETTINGS = Settings(pulse_seconds=30.0, confirm_seconds=10.0, withheld_grace_seconds=10.0)

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


@dataclass(slots=True)
class Quality:
    """How a line treats frames. Times in seconds, rates in bytes a second, the rest odds."""

    delay: float = 0.02
    jitter: float = 0.01
    loss: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    rate: float = 0.0  # 0: as much as comes


@dataclass(slots=True, eq=False)
class Link:
    """One connection; each end closes for itself."""

    number: int
    line: Line
    open_at: set[str]
    is_broken: bool = False  # a cut swallowed a frame, so nothing behind it may arrive either
    last_arrival: dict[str, float] = field(default_factory=dict)
    busy_until: dict[str, float] = field(default_factory=dict)  # by receiver, on a thin line


# What a faulty relay makes of one of its frames.
Tamper = Callable[[bytes], Sequence[bytes]]


@dataclass(slots=True, eq=False)
class Line:
    """The wire between a child and its parent."""

    child: str
    parent: str
    quality: Quality = field(default_factory=Quality)
    is_cut: bool = False
    link: Link | None = None
    dialling: bool = False
    pause_seconds_max: float = 3.0  # between two attempts to dial
    tamper: dict[str, Tamper] = field(default_factory=dict)  # by sender

    def other(self, code: str) -> str:
        return self.parent if code == self.child else self.child


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


class World:
    """The clock, the machines, the lines, and the events to come."""

    def __init__(self, seed: int, settings: Settings = SETTINGS) -> None:
        self.seed = seed
        self.random = random.Random(f"world {seed}")
        self.time = 0.0
        self.watchers: list[Callable[[SimNode], None]] = []
        self.wiretaps: list[Callable[[str, str, bytes], None]] = []  # sender, receiver, frame
        self.frames_sent = 0
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count(1)
        self._links: dict[int, Link] = {}
        self._trace = hashlib.sha256()
        identities = {code: self._identity(code) for code in PARENT}
        self.settings = settings
        self.nodes = {
            code: SimNode(self, code, identities[code], _pins(code, identities)) for code in PARENT
        }
        self.lines = [Line(child, parent) for child, parent in PARENT.items() if parent]

    def _identity(self, code: str) -> Identity:
        randbytes = self.random.randbytes
        return Identity(
            NETWORK,
            code,
            Signer.from_seed(codes.origin(NETWORK, code, 1), KeyType.ORIGIN, randbytes(32)),
            Signer.from_seed(codes.witness_name(NETWORK, code), KeyType.COSIGNATURE, randbytes(32)),
        )

    def boot(self) -> None:
        """Switch every machine on."""
        for node in self.nodes.values():
            node.boot()

    def close(self) -> None:
        for node in self.nodes.values():
            node.store.inner.close()

    # Time.

    def at(self, time: float, event: Callable[[], None]) -> None:
        heapq.heappush(self._events, (time, next(self._numbers), event))

    def after(self, seconds: float, event: Callable[[], None]) -> None:
        self.at(self.time + seconds, event)

    def run_until(self, time: float) -> None:
        """Let everything happen that happens up to then."""
        while self._events and self._events[0][0] <= time:
            self.time, _, event = heapq.heappop(self._events)
            event()
        self.time = time

    def note(self, code: str, inputs: Sequence[Input], effects: Sequence[Effect]) -> None:
        """Everything that any engine took in or gave out goes into the trace."""
        self._trace.update(f"{self.time:.9f} {code} {len(inputs)} {len(effects)}".encode())
        for effect in effects:
            if isinstance(effect, Send):
                self._trace.update(effect.frame)
            elif not isinstance(effect, Appended):
                self._trace.update(repr(effect).encode())

    def trace(self) -> str:
        """The same for the same seed, on any machine."""
        return self._trace.hexdigest()

    # Lines and links.

    def lines_of(self, code: str) -> list[Line]:
        return [line for line in self.lines if code in (line.child, line.parent)]

    def line(self, child: str) -> Line:
        return next(line for line in self.lines if line.child == child)

    def dial_soon(self, line: Line) -> None:
        """The child dials until it gets through."""
        if not line.dialling:
            line.dialling = True
            pause = self.random.uniform(0.1, line.pause_seconds_max)
            self.after(pause, partial(self._dial, line))

    def _dial(self, line: Line) -> None:
        line.dialling = False
        child, parent = self.nodes[line.child], self.nodes[line.parent]
        if child.engine is None or (line.link is not None and line.child in line.link.open_at):
            return
        if line.is_cut or parent.engine is None:
            self.dial_soon(line)
            return
        link = Link(next(self._numbers), line, {line.child, line.parent})
        self._links[link.number] = line.link = link
        parent.give(LinkUp(link.number, line.child, Direction.DOWN))
        child.give(LinkUp(link.number, line.parent, Direction.UP))

    def transmit(self, sender: str, number: int, frame: bytes) -> None:
        """Put a frame on a link, through whoever tampers with it."""
        link = self._links[number]
        line = link.line
        receiver = line.other(sender)
        tamper = line.tamper.get(sender)
        for data in tamper(frame) if tamper is not None else (frame,):
            self.frames_sent += 1
            for tap in self.wiretaps:
                tap(sender, receiver, data)
            link.is_broken |= line.is_cut
            if sender not in link.open_at or link.is_broken:
                continue
            quality, chance = line.quality, self.random.random
            if quality.loss and chance() < quality.loss:
                continue
            leaves = self.time
            if quality.rate:
                leaves = max(leaves, link.busy_until.get(receiver, 0.0)) + len(data) / quality.rate
                link.busy_until[receiver] = leaves
            copies = 2 if quality.duplicate and chance() < quality.duplicate else 1
            for _ in range(copies):
                arrival = leaves + quality.delay + quality.jitter * chance()
                if not (quality.reorder and chance() < quality.reorder):
                    arrival = max(arrival, link.last_arrival.get(receiver, 0.0))
                    link.last_arrival[receiver] = arrival
                self.at(arrival, partial(self._deliver, link, receiver, data))

    def _deliver(self, link: Link, receiver: str, frame: bytes) -> None:
        link.is_broken |= link.line.is_cut
        if receiver in link.open_at and not link.is_broken:
            self.nodes[receiver].give(Received(link.number, frame))

    def hang_up(self, code: str, number: int) -> None:
        """One end closes a link; the other hears of it behind the frames on their way."""
        link = self._links[number]
        link.open_at.discard(code)
        other = link.line.other(code)
        notice = max(self.time, link.last_arrival.get(other, 0.0)) + self.random.uniform(0.001, 2.0)
        self.at(notice, partial(self._lost, link, other))
        if code == link.line.child:
            self.dial_soon(link.line)

    def _lost(self, link: Link, code: str) -> None:
        if code in link.open_at:
            link.open_at.discard(code)
            self.nodes[code].give(LinkDown(link.number))
            if code == link.line.child:
                self.dial_soon(link.line)

    def cut(self, line: Line) -> None:
        """Nothing passes any more; each end finds out in its own time."""
        line.is_cut = True
        if line.link is not None:
            for code in sorted(line.link.open_at):
                self.after(self.random.uniform(0.0, 30.0), partial(self._lost, line.link, code))

    def snap(self, line: Line) -> None:
        """The connection breaks, with all that is on its way; both ends notice at once."""
        if line.link is not None:
            line.link.is_broken = True
            for code in sorted(line.link.open_at):
                self._lost(line.link, code)

    def mend(self, line: Line) -> None:
        line.is_cut = False

    def heal(self) -> None:
        """From now on all lines are good, and every machine keeps its power."""
        for line in self.lines:
            line.quality = Quality()
            line.tamper.clear()
            self.mend(line)
        for node in self.nodes.values():
            node.fuse.remaining = None


def _pins(code: str, identities: dict[str, Identity]) -> list[Pin]:
    """The keys of the ancestors, nearest first, and of the children."""
    known = []
    above = PARENT[code]
    while above is not None:
        known.append(above)
        above = PARENT[above]
    known += [child for child, parent in PARENT.items() if parent == code]
    return [
        Pin(
            code=one,
            name=f"node {one}",
            feed_key=str(identities[one].feed_signer.key),
            witness_key=str(identities[one].witness_signer.key),
        )
        for one in known
    ]
