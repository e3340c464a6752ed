"""Feeds and peers made by hand: honest unless a test makes them otherwise."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from google.protobuf.message import Message

from huying.common.codes import level
from huying.common.disclosure import classes
from huying.common.effects import (
    Alarm,
    Append,
    Appended,
    Close,
    Direction,
    DraftEntry,
    Effect,
    Input,
    LinkUp,
    Notice,
    Operated,
    Received,
    Send,
)
from huying.common.engine import Engine, Settings
from huying.common.errors import Code
from huying.common.feed.audience import split
from huying.common.feed.checkpoint import Checkpoint, sign_checkpoint
from huying.common.feed.leaf import make_entry
from huying.common.feed.merkle import EMPTY_ROOT, append, build, leaf_hash, root
from huying.common.feed.merkle import CompactRange as Range
from huying.common.feed.note import Signer
from huying.common.ports import ErasureList, Sequencer, Store
from huying.common.records.registry import member_record
from huying.node.store.store import SqlStore
from huying.wire.v1 import feed_pb2, records_pb2, sync_pb2, trust_pb2
from tests.support.tiny_network import (
    COUNTY,
    GRID,
    TOWN,
    VILLAGE,
    MemoryMark,
    SeededEntropy,
    StoppedClock,
    identity,
    pin,
)

FAMILY = {COUNTY: (None, [TOWN]), TOWN: (COUNTY, [VILLAGE]), VILLAGE: (TOWN, [])}
MICROS = 1_700_000_000_000_000


def an_event(number: int = 0) -> records_pb2.Event:
    return records_pb2.Event(
        category="噪声",
        descriptor=f"event {number}",
        grid=GRID,
        status=records_pb2.EVENT_STATUS_REPORTED,
        reported_micros=MICROS,
        address=f"address {number}",
        description_full=f"full {number}",
        reporter_phone="13800000000",
    )


def event_draft(number: int = 0) -> DraftEntry:
    return DraftEntry(feed_pb2.KIND_PUT, feed_pb2.RECORD_TYPE_EVENT, an_event(number))


class HandmadeFeed:
    """The feed of one node, entry by entry, with whatever a test puts into it."""

    def __init__(self, code: str) -> None:
        self.code = code
        self.identity = identity(code)
        self.origin = self.identity.origin
        self.leaves: list[bytes] = []
        self.openings: list[list[bytes]] = []
        self.numbers: dict[str, int] = {}
        self._entropy = SeededEntropy(1)

    @property
    def hashes(self) -> list[bytes]:
        return [leaf_hash(leaf) for leaf in self.leaves]

    def put(
        self,
        message: Message | None = None,
        *,
        type_: int = feed_pb2.RECORD_TYPE_EVENT,
        kind: int = feed_pb2.KIND_PUT,
        to: Sequence[str] = (),
        seen: Sequence[int] | None = None,
        time_micros: int = MICROS,
        record: bytes | None = None,
        head: bytes | None = None,
        bodies: Sequence[tuple[int, bytes]] | None = None,
    ) -> int:
        """Add an entry; returns its index. What is not given is as an honest writer makes it."""
        message = an_event(len(self.leaves)) if message is None else message
        if bodies is None:
            bodies = split(message, int(level(self.code)))
        names = classes(self.code, bytes((0, *(slot for slot, _ in bodies))), tuple(to))
        if seen is None:
            for name in names:
                self.numbers[name] = self.numbers.get(name, 0) + 1
            seen = [self.numbers[name] for name in names]
        if record is None:
            record = self._entropy.token(16)
            if isinstance(message, trust_pb2.Member):
                record = member_record(message.code)
        if head is None:
            head = feed_pb2.Head(
                kind=kind,  # type: ignore[arg-type]
                type=type_,  # type: ignore[arg-type]
                record=record,
                schema_version=1,
                time_micros=time_micros,
                to=to,
                seen=seen,
            ).SerializeToString()
        compartments = ((0, head), *bodies)
        salts = self._entropy.token(16 * len(compartments))
        leaf, openings = make_entry(self.origin, compartments, salts)
        return self.add(leaf, openings)

    def add(self, leaf: bytes, openings: Iterable[bytes]) -> int:
        """Add an entry as it is."""
        self.leaves.append(leaf)
        self.openings.append(list(openings))
        return len(self.leaves) - 1

    def put_many(self, count: int) -> HandmadeFeed:
        for _ in range(count):
            self.put()
        return self

    def root(self, size: int) -> bytes:
        if not size:
            return EMPTY_ROOT
        return root(append(Range(0, 0, ()), self.hashes[:size])[0])

    def note(self, size: int | None = None, signer: Signer | None = None) -> bytes:
        """A checkpoint of the first `size` entries."""
        size = len(self.leaves) if size is None else size
        signer = signer or self.identity.feed_signer
        return sign_checkpoint(signer, Checkpoint(self.origin, size, self.root(size)))

    def segment(
        self, start: int, stop: int, *, size: int | None = None, readable: bytes | None = None
    ) -> feed_pb2.Segment:
        """Entries [start, stop) under the checkpoint of `size`; `readable` are slots to open."""
        size = len(self.leaves) if size is None else size
        segment = feed_pb2.Segment(
            origin=self.origin,
            start=start,
            rest=b"".join(build(stop, self.hashes[stop:size]).hashes),
            checkpoint=self.note(size),
        )
        for leaf, openings in zip(self.leaves[start:stop], self.openings[start:stop], strict=True):
            shown = [o for o in openings if readable is None or o[0] in readable]
            segment.items.add(entry=feed_pb2.Entry(leaf=leaf, openings=shown))
        return segment

    def disclose(self, *indexes: int, readable: bytes | None = None) -> sync_pb2.Frame:
        """A late answer that opens these entries."""
        disclose = sync_pb2.Disclose(origin=self.origin, last=True)
        disclose.start, disclose.stop = min(indexes), max(indexes) + 1
        for index in indexes:
            shown = [o for o in self.openings[index] if readable is None or o[0] in readable]
            entry = feed_pb2.Entry(leaf=self.leaves[index], openings=shown)
            disclose.entries.add(index=index, entry=entry)
        return sync_pb2.Frame(disclose=disclose)


class Host:
    """One engine in a room with its test, which plays everybody else."""

    def __init__(
        self,
        code: str = TOWN,
        *,
        store: Store | None = None,
        mark: MemoryMark | None = None,
        sequencer: Sequencer | None = None,
        settings: Settings | None = None,
        erasure_list: ErasureList | None = None,
        start: bool = True,
    ) -> None:
        parent, children = FAMILY[code]
        above = [upper for upper in (TOWN, COUNTY) if int(upper[6:]) < int(code[6:])]
        self.code = code
        self.clock = StoppedClock()
        self.store = SqlStore.open() if store is None else store
        self.mark = mark or MemoryMark(identity(code).origin)
        self.alarms: list[Alarm] = []
        self.appended: list[Appended] = []
        self.operated: list[Operated] = []
        self.notices: list[Notice] = []
        self.closed: list[Close] = []
        self._links = 0
        self.engine = Engine(
            identity=identity(code),
            parent=parent,
            pins=[pin(other) for other in (*above, *children)],
            store=self.store,
            clock=self.clock,
            entropy=SeededEntropy(int(code)),
            mark=self.mark,
            settings=settings or Settings(pulse_seconds=60, confirm_seconds=10),
            sequencer=sequencer,
            erasure_list=erasure_list,
        )
        if start:
            self.take(self.engine.start())

    def take(self, effects: Iterable[Effect]) -> list[tuple[int, sync_pb2.Frame]]:
        """Keep what the engine says to people; return what it says to peers, by link."""
        sent = []
        for effect in effects:
            if isinstance(effect, Send):
                sent.append((effect.link, sync_pb2.Frame.FromString(effect.frame)))
            elif isinstance(effect, Alarm):
                self.alarms.append(effect)
            elif isinstance(effect, Appended):
                self.appended.append(effect)
            elif isinstance(effect, Operated):
                self.operated.append(effect)
            elif isinstance(effect, Notice):
                self.notices.append(effect)
            else:
                self.closed.append(effect)
        return sent

    def step(self, *inputs: Input) -> list[tuple[int, sync_pb2.Frame]]:
        return self.take(self.engine.step(inputs))

    def wait(self, seconds: float) -> list[tuple[int, sync_pb2.Frame]]:
        """Let time pass, stopping at every timer."""
        until = self.clock.seconds + seconds
        sent = []
        while (wake := self.engine.next_wake()) <= until:
            self.clock.seconds = max(self.clock.seconds, wake)
            sent += self.step()
            assert self.engine.next_wake() > self.clock.seconds, "a timer that stays due"
        self.clock.seconds = until
        return sent

    def link(
        self, peer: str, held: Iterable[sync_pb2.Held] = (), *, greet: bool = True
    ) -> tuple[int, list[sync_pb2.Frame]]:
        """Open a link to a neighbour who holds that; returns its number and what came of it."""
        self._links += 1
        up = FAMILY[self.code][0] == peer
        sent = self.step(LinkUp(self._links, peer, Direction.UP if up else Direction.DOWN))
        if greet:
            sent += self.step(Received(self._links, hello(peer, held).SerializeToString()))
        return self._links, [frame for link, frame in sent if link == self._links]

    def hear(self, link: int, *frames: sync_pb2.Frame | feed_pb2.Segment) -> list[sync_pb2.Frame]:
        """The peer says this in one breath; returns what it is answered."""
        inputs = [
            Received(
                link,
                (
                    frame if isinstance(frame, sync_pb2.Frame) else sync_pb2.Frame(segment=frame)
                ).SerializeToString(),
            )
            for frame in frames
        ]
        return [frame for to, frame in self.step(*inputs) if to == link]

    def write(self, *drafts: DraftEntry) -> Appended:
        self.step(Append("test", drafts))
        return self.appended[-1]

    def codes(self) -> set[Code]:
        return {alarm.code for alarm in self.alarms}

    def size(self, feed: HandmadeFeed) -> int:
        held = self.engine.replica.feeds.get(feed.origin)
        return held.size if held is not None else 0


def hello(code: str, held: Iterable[sync_pb2.Held] = ()) -> sync_pb2.Frame:
    return sync_pb2.Frame(
        hello=sync_pb2.Hello(
            version_min=1, version_max=1, network="wenshang.example", code=code, held=held
        )
    )


def refusals(frames: Iterable[sync_pb2.Frame]) -> list[Code]:
    return [Code(f.refusal.code) for f in frames if f.WhichOneof("frame") == "refusal"]


def of_kind(frames: Iterable[sync_pb2.Frame], kind: str) -> list[sync_pb2.Frame]:
    return [frame for frame in frames if frame.WhichOneof("frame") == kind]


def flip(data: bytes, at: int = -1) -> bytes:
    """`data` with one bit turned in one byte."""
    at %= len(data)
    return data[:at] + bytes((data[at] ^ 1,)) + data[at + 1 :]
