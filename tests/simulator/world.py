"""A seeded world in one thread: virtual time, a tree of real engines, and lines that misbehave.

Time jumps from one event to the next, so hours cost nothing; whatever is random comes from the
seed, so a run repeats exactly. `tree.py` says who is below whom, `machine.py` what a node is, and
`lines.py` what is between two of them.
"""

from __future__ import annotations

import hashlib
import heapq
import random
from collections.abc import Callable, Sequence
from functools import partial
from itertools import count

from huying.common import codes
from huying.common.effects import (
    Appended,
    Direction,
    Effect,
    Input,
    LinkDown,
    LinkUp,
    Received,
    Send,
)
from huying.common.engine import Settings
from huying.common.feed.note import KeyType, Signer
from huying.common.membership.roster import Identity, Pin
from tests.simulator.lines import Line, Link, Quality
from tests.simulator.machine import SimNode
from tests.simulator.tree import NETWORK, PARENT

__all__ = ["SETTINGS", "World"]

# Shorter than in production, so that a run is; their proportions are the same.
SETTINGS = Settings(pulse_seconds=30.0, confirm_seconds=10.0, withheld_grace_seconds=10.0)


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
