"""A county, a town and a village in one thread, over real stores: something to look into."""

from __future__ import annotations

import random
from collections.abc import Sequence

from huying.common.codes import ancestors
from huying.common.effects import (
    Append,
    Appended,
    AppendReceipt,
    Direction,
    DraftEntry,
    Effect,
    LinkUp,
    Received,
    Send,
)
from huying.common.engine import Engine
from huying.common.feed.merkle import EMPTY_ROOT
from huying.common.feed.note import KeyType, Signer
from huying.common.membership.roster import Identity, Pin
from huying.hub.sequencer import CallSequencer
from huying.node.store.store import SqlStore
from huying.wire.v1 import calls_pb2, feed_pb2, records_pb2

NETWORK = "wenshang.example"
COUNTY, TOWN, VILLAGE = "370830000000", "370830108000", "370830108201"
GRID = VILLAGE + "001"


class StoppedClock:
    """A clock that its test moves."""

    def __init__(self) -> None:
        self.seconds = 1_700_000_000.0

    def now(self) -> float:
        return self.seconds

    def monotonic(self) -> float:
        return self.seconds


class SeededEntropy:
    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def token(self, count_bytes: int) -> bytes:
        return self._random.randbytes(count_bytes)

    def uniform(self, low: float, high: float) -> float:
        return self._random.uniform(low, high)


class MemoryMark:
    def __init__(self, origin: str) -> None:
        self._mark: tuple[str, int, bytes] | None = (origin, 0, EMPTY_ROOT)
        self.replaced = False

    def read(self) -> tuple[str, int, bytes] | None:
        return self._mark

    def write(self, origin: str, size: int, root: bytes) -> None:
        self._mark = (origin, size, root)

    def store_replaced(self) -> bool:
        return self.replaced

    def settle(self) -> None:
        self.replaced = False


def identity(code: str) -> Identity:
    seed = int(code).to_bytes(32, "big")
    return Identity(
        NETWORK,
        code,
        Signer.from_seed(f"{NETWORK}/feed/{code}/e1", KeyType.ORIGIN, seed),
        Signer.from_seed(f"{NETWORK}/witness/{code}", KeyType.COSIGNATURE, seed[::-1]),
    )


def pin(code: str) -> Pin:
    who = identity(code)
    return Pin(code, f"name of {code}", str(who.feed_signer.key), str(who.witness_signer.key))


class TinyNetwork:
    """The three nodes, and `also` others below them, linked; `run` delivers until all is quiet."""

    def __init__(self, url_of=lambda code: "sqlite://", also: Sequence[str] = ()) -> None:
        self.clock = StoppedClock()
        self.stores: dict[str, SqlStore] = {}
        self.engines: dict[str, Engine] = {}
        self._inbox: list[tuple[str, Received | LinkUp]] = []
        self._ends: dict[int, tuple[str, int]] = {}  # link -> (peer, its link)
        self.away: set[str] = set()  # what is sent to these waits until they are back
        self.receipts: list[AppendReceipt] = []
        codes = (COUNTY, TOWN, VILLAGE, *also)
        parents = {
            code: next((upper for upper in ancestors(code) if upper in codes), None)
            for code in codes
        }
        for code, parent in parents.items():
            children = [child for child, above in parents.items() if above == code]
            store = self.stores[code] = SqlStore.open(url_of(code))
            above = [upper for upper in ancestors(code) if upper in codes]
            self.engines[code] = Engine(
                identity=identity(code),
                parent=parent,
                pins=[pin(other) for other in (*above, *children)],
                store=store,
                clock=self.clock,
                entropy=SeededEntropy(int(code)),
                mark=MemoryMark(identity(code).origin),
                sequencer=CallSequencer(code, store, self.clock) if code == COUNTY else None,
            )
        for code, engine in self.engines.items():
            self._effects(code, engine.start())
        for number, (child, parent) in enumerate(parents.items()):
            if parent is not None:
                self._link(child, parent, 2 * number - 1)
        self.run()

    def _link(self, child: str, parent: str, number: int) -> None:
        self._ends[number] = (parent, number + 1)
        self._ends[number + 1] = (child, number)
        self._inbox.append((parent, LinkUp(number + 1, child, Direction.DOWN)))
        self._inbox.append((child, LinkUp(number, parent, Direction.UP)))

    def _effects(self, code: str, effects: Sequence[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Send):
                peer, link = self._ends[effect.link]
                self._inbox.append((peer, Received(link, effect.frame)))
            elif isinstance(effect, Appended) and effect.token is not None:
                assert effect.error is None, effect.error
                self.receipts += effect.receipts

    def run(self) -> None:
        """Deliver every frame there is, and run the timers that are due."""
        for _ in range(2000):
            if self._next() is None:
                for code, engine in self.engines.items():
                    self._effects(code, engine.step([]))
            if (at := self._next()) is None:
                return
            code, item = self._inbox.pop(at)
            self._effects(code, self.engines[code].step([item]))
        raise AssertionError("the network never falls quiet")

    def _next(self) -> int | None:
        """The oldest frame whose receiver is there."""
        places = (at for at, (code, _) in enumerate(self._inbox) if code not in self.away)
        return next(places, None)

    def append(self, code: str, *drafts: DraftEntry) -> list[AppendReceipt]:
        """Write at one node, and let it travel."""
        self.clock.seconds += 1
        self.receipts.clear()
        self._effects(code, self.engines[code].step([Append(object(), drafts)]))
        self.run()
        return list(self.receipts)

    def close(self) -> None:
        for store in self.stores.values():
            store.close()


def put(kind: int, message, record: bytes = b"", to: tuple[str, ...] = ()) -> DraftEntry:
    """A record's new state."""
    return DraftEntry(feed_pb2.KIND_PUT, kind, message, record, to)


def event(number: int, status: int = 1) -> records_pb2.Event:
    return records_pb2.Event(
        category="道路",
        grid=GRID,
        status=status,  # type: ignore[arg-type]
        reported_micros=number + 1,
        description_full=f"full {number}",
        description_public=f"public {number}",
        reporter_phone="13800000000",
    )


def resident(number: int) -> records_pb2.Resident:
    return records_pb2.Resident(grid=GRID, name=f"person {number}", generated=True)


def step(call: bytes, **kind) -> DraftEntry:
    message = calls_pb2.CallStep(call=call, caller=TOWN, **kind)
    return DraftEntry(feed_pb2.KIND_STEP, feed_pb2.RECORD_TYPE_CALL_STEP, message, to=())


def raise_call(network: TinyNetwork, title: str = "路灯") -> bytes:
    """A call from the town, taken by the county; its id."""
    call = calls_pb2.Call(
        sequencer=COUNTY, category="道路", title=title, village=VILLAGE, raised_micros=5
    )
    draft = put(feed_pb2.RECORD_TYPE_CALL, call, to=(f"={VILLAGE}",))
    return network.append(TOWN, draft)[0].record
