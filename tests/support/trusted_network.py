"""A county, a town and two villages in one thread, whose keys change and whose lines break."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from huying.common.effects import (
    Alarm,
    Append,
    Appended,
    Close,
    Direction,
    DraftEntry,
    Effect,
    LinkDown,
    LinkUp,
    Notice,
    Operate,
    Operated,
    Operation,
    Received,
    Send,
)
from huying.common.engine import Engine, Settings
from huying.common.errors import Code
from huying.common.feed.note import KeyType, Signer
from huying.common.membership.roster import Identity, Pin
from huying.common.status import FeedStatus
from huying.node.store.store import SqlStore
from tests.support.tiny_network import (
    COUNTY,
    NETWORK,
    TOWN,
    VILLAGE,
    MemoryMark,
    SeededEntropy,
    StoppedClock,
    event,
    identity,
    pin,
    put,
)

EVENT = 6  # feed_pb2.RECORD_TYPE_EVENT, held by a test
OTHER = "370830108202"
PARENT = {COUNTY: None, TOWN: COUNTY, VILLAGE: TOWN, OTHER: TOWN}


def signer(code: str, epoch: int, seed: int = 0) -> Signer:
    """A node's feed key of a later epoch; another `seed` makes another key."""
    material = (int(code) * 100 + epoch).to_bytes(31, "big") + bytes([seed + 1])
    return Signer.from_seed(f"{NETWORK}/feed/{code}/e{epoch}", KeyType.ORIGIN, material)


@dataclass
class Machine:
    """One node: what it is made of, and what it said."""

    identity: Identity
    store: SqlStore
    mark: MemoryMark
    pins: list[Pin]
    engine: Engine | None = None
    alarms: list[Alarm] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    closed: list[Close] = field(default_factory=list)
    appended: list[Appended] = field(default_factory=list)
    operated: list[Operated] = field(default_factory=list)

    def codes(self) -> set[Code]:
        return {alarm.code for alarm in self.alarms}


class Network:
    """The four nodes; `run` delivers until all is quiet."""

    def __init__(self) -> None:
        self.clock = StoppedClock()
        self.nodes: dict[str, Machine] = {}
        self.dead: set[str] = set()  # children whose line to the parent is cut
        self._numbers = iter(range(1, 1_000_000))
        self._inbox: list[tuple[str, Received | LinkUp | LinkDown]] = []
        self._ends: dict[int, tuple[str, int]] = {}  # link -> (peer, its link)
        self._owner: dict[int, str] = {}
        self.sent: list[tuple[str, str, bytes]] = []  # sender, receiver, frame
        for code, parent in PARENT.items():
            above, at = [], parent
            while at is not None:
                above.append(at)
                at = PARENT[at]
            below = [child for child, upper in PARENT.items() if upper == code]
            mark = MemoryMark(identity(code).origin)
            pins = [pin(one) for one in (*above, *below)]
            self.nodes[code] = Machine(identity(code), SqlStore.open(), mark, pins)
        for code in PARENT:
            self.boot(code)
        for code in PARENT:
            self.connect(code)
        self.run()

    def close(self) -> None:
        for node in self.nodes.values():
            node.store.close()

    def engine(self, code: str) -> Engine:
        engine = self.nodes[code].engine
        assert engine is not None
        return engine

    def boot(self, code: str, identity_: Identity | None = None) -> None:
        """Start the node anew over what is durable; the links it had are gone."""
        node = self.nodes[code]
        if identity_ is not None:
            node.identity = identity_
        for number, owner in list(self._owner.items()):
            if owner == code:
                peer, other = self._ends[number]
                self._inbox.append((peer, LinkDown(other)))
                del self._owner[number]
        node.engine = Engine(
            identity=node.identity,
            parent=PARENT[code],
            pins=node.pins,
            store=node.store,
            clock=self.clock,
            entropy=SeededEntropy(int(code)),
            mark=node.mark,
            settings=Settings(pulse_seconds=60, confirm_seconds=10),
        )
        self._take(code, node.engine.start())

    def connect(self, code: str) -> None:
        """The node dials its parent, if the line is not cut."""
        parent = PARENT[code]
        if parent is None or code in self.dead:
            return
        up, down = next(self._numbers), next(self._numbers)
        self._ends[up], self._ends[down] = (parent, down), (code, up)
        self._owner[up], self._owner[down] = code, parent
        self._inbox.append((parent, LinkUp(down, code, Direction.DOWN)))
        self._inbox.append((code, LinkUp(up, parent, Direction.UP)))

    def cut(self, code: str) -> None:
        """The line between a node and its parent breaks."""
        self.dead.add(code)
        parent = PARENT[code]
        for number, owner in list(self._owner.items()):
            if {owner, self._ends[number][0]} == {code, parent}:
                del self._owner[number]
                self._inbox.append((owner, LinkDown(number)))
        self.run()

    def mend(self, code: str) -> None:
        self.dead.discard(code)
        self.connect(code)
        self.run()

    def _take(self, code: str, effects: Sequence[Effect]) -> None:
        node = self.nodes[code]
        for effect in effects:
            if isinstance(effect, Send):
                peer, link = self._ends[effect.link]
                if effect.link in self._owner and link in self._owner:
                    self._inbox.append((peer, Received(link, effect.frame)))
                    self.sent.append((code, peer, effect.frame))
            elif isinstance(effect, Close):
                node.closed.append(effect)
                peer, link = self._ends[effect.link]
                if self._owner.pop(effect.link, None) and self._owner.pop(link, None):
                    self._inbox.append((peer, LinkDown(link)))
            elif isinstance(effect, Alarm):
                assert effect.fault is None, repr(effect.fault)
                node.alarms.append(effect)
            elif isinstance(effect, Notice):
                node.notices.append(effect)
            elif isinstance(effect, Appended):
                node.appended.append(effect)
            else:
                node.operated.append(effect)

    def run(self, seconds: float = 0.0) -> None:
        """Deliver every frame there is; `seconds`: let time pass, and the timers with it."""
        until = self.clock.seconds + seconds
        for _ in range(20_000):
            if self._inbox:
                code, item = self._inbox.pop(0)
                if not isinstance(item, LinkDown) and item.link not in self._owner:
                    continue
                self._take(code, self.engine(code).step([item]))
                continue
            wakes = [self.engine(code).next_wake() for code in self.nodes]
            if min(wakes) > until:
                self.clock.seconds = until
                return
            self.clock.seconds = max(self.clock.seconds, min(wakes))
            for code in self.nodes:
                self._take(code, self.engine(code).step([]))
        raise AssertionError("the network never falls quiet")

    def result(self, code: str, operation: Operation) -> Any:
        """What an operation that succeeds returns."""
        answer = self.operate(code, operation)
        assert answer.error is None, answer.error
        return answer.result

    def operate(self, code: str, operation: Operation) -> Operated:
        """An operator's decision at one node; let it travel."""
        self._take(code, self.engine(code).step([Operate("test", operation)]))
        self.run()
        return self.nodes[code].operated[-1]

    def write(self, code: str, *drafts: DraftEntry) -> Appended:
        """Write at one node, and let it travel."""
        self.clock.seconds += 1
        self._take(code, self.engine(code).step([Append("test", drafts)]))
        self.run()
        return self.nodes[code].appended[-1]

    def report(self, number: int, code: str = VILLAGE) -> Appended:
        """An event of a village."""
        message = event(number)
        message.grid = code + "001"
        return self.write(code, put(EVENT, message))

    def held(self, code: str, origin: str) -> int:
        """How many entries of a feed a node holds."""
        feed = self.engine(code).replica.feeds.get(origin)
        return feed.size if feed is not None else 0

    def feed(self, code: str, origin: str) -> FeedStatus:
        return next(one for one in self.engine(code).status().feeds if one.origin == origin)


def origin(code: str, epoch: int) -> str:
    return f"{NETWORK}/feed/{code}/e{epoch}"
