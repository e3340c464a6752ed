"""Sealed copies at work: a child makes them, its parent keeps them, and gives them back.

The child seals in the background: one copy at a time, at most one a second, and a few new entries
wait half a minute for more. It compares what it sealed with what the parent says it holds, so a
parent that was restored gets again what it lost. Where the parent holds a later generation than
this node remembers, this node is the one that was restored: it leaves that copy alone, fetches it,
and keeps it until the operator brings the key (`PutBack`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from huying.common.copies.copy_shelf import CopyShelf, check_copy, give_copy, keep_copy, list_copies
from huying.common.copies.own_copies import OwnCopies
from huying.common.copies.sealed import (
    CopyState,
    SealedCopy,
    check_range,
    key_id,
    parse_opened,
    seal_range,
)
from huying.common.effects import Direction
from huying.common.errors import STORE_FAULTS, Code, HuyingError
from huying.common.limits import (
    SEALED_BYTES_MAX,
    SEALED_CHILD_COPIES_MAX,
    SEALED_ENTRIES_MAX,
    SEALED_RANGES_MAX,
    SEALED_SECONDS,
    UNACKED_BYTES_MAX,
)
from huying.wire.v1 import sync_pb2

if TYPE_CHECKING:
    from huying.common.engine import Engine
    from huying.common.late.spans import Span
    from huying.common.sync.session import Session

__all__ = ["SEALED_FRAMES", "PutBack", "PutBackReport", "Sealing"]

SEALED_FRAMES: Final = frozenset({"sealed_copy", "sealed_want", "sealed_held"})

_NEVER: Final = float("inf")
_ANSWER_SECONDS_MIN: Final = 30.0  # a copy that is not confirmed is sent again; then twice as long
_ANSWER_SECONDS_MAX: Final = 3600.0
_WORKING: Final = ("live", "recovering")


class Sealing:
    """The sealed copies of one engine. Without a shelf it does nothing."""

    def __init__(self, engine: Engine, shelf: CopyShelf | None, recovery_key: bytes) -> None:
        """`recovery_key` is an X25519 public key; empty: this node's feed is not sealed."""
        self._engine = engine
        self._shelf = shelf
        self._recovery_key = recovery_key
        self._quiet_seconds = engine.settings.sealed_quiet_seconds
        self._key_id = key_id(recovery_key) if recovery_key else b""
        self._own = None if shelf is None else OwnCopies(engine.replica, shelf, self._key_id)
        self._told: dict[tuple[str, int], int] | None = None  # generations at the parent
        self._telling: dict[tuple[str, int], int] = {}  # while its list is coming
        self._flight: tuple[str, int] | None = None  # sent or asked for, and not answered
        self._flight_ends = 0.0
        self._patience_seconds = _ANSWER_SECONDS_MIN
        self._due = _NEVER  # monotonic seconds
        self._tail_since: float | None = None  # since when entries wait to be sealed
        self._outbox: list[tuple[Session, sync_pb2.Frame]] = []
        self._served_bytes: dict[int, int] = {}  # in this step, by link

    @property
    def _copies(self) -> OwnCopies:
        assert self._own is not None, "there is a shelf"
        return self._own

    # Around the transaction.

    def within(self) -> None:
        """At the end of every transaction: follow its erasures, and seal what is due."""
        if self._shelf is None:
            return
        self._served_bytes.clear()
        self.erased(self._engine.replica.erasures.fresh)
        if self._told is None or self._engine.state not in _WORKING:
            return
        now = self._engine.clock.monotonic()
        if self._tail_since is None and self._recovery_key and self._copies.uncovered():
            self._tail_since = now
            quiet = 0.0 if self._copies.uncovered() >= SEALED_ENTRIES_MAX else self._quiet_seconds
            self._due = min(self._due, now + quiet)
        if now >= self._due:
            self._work(now)

    def erased(self, spans: Iterable[Span]) -> None:
        """Something was erased, in this transaction: what holds it has to go.

        A copy that was not opened yet stays until it is, or all that else is in it would be lost.
        """
        for span in spans if self._shelf is not None else ():
            for row in self._copies.met(span):
                self._copies.recount(replace(row, generation=row.generation + 1))
                self._due = self._engine.clock.monotonic()

    def rollback(self) -> None:
        """Nothing of this transaction happened."""
        if self._own is not None:
            self._own.forget()
        self._outbox.clear()
        self._flight = None

    def send(self) -> None:
        """The transaction is durable: what it said may leave."""
        outbox, self._outbox = self._outbox, []
        for session, frame in outbox:
            if session.link in self._engine.sessions:
                self._engine.send(session, frame)

    def timers(self) -> Iterator[float]:
        """When there is something to do though nothing came; monotonic seconds."""
        working = self._told is not None and self._engine.state in _WORKING
        if working and self._parent() is not None:
            yield self._due

    # Frames.

    def greeted(self, session: Session) -> None:
        """A link was greeted: ask the parent what it holds."""
        if self._shelf is None or session.direction is not Direction.UP:
            return
        self._told, self._telling, self._flight = None, {}, None
        self._patience_seconds = _ANSWER_SECONDS_MIN
        self._say(session, sync_pb2.Frame(sealed_want=sync_pb2.SealedWant(list=True)))

    def on_frame(self, session: Session, frame: sync_pb2.Frame) -> None:
        """Raises HuyingError(NOT_SERVED, LIMIT_EXCEEDED, INVALID_ARGUMENT), or as the store."""
        if self._shelf is None:
            raise HuyingError(Code.NOT_SERVED, "no sealed copies are kept here")
        up = session.direction is Direction.UP
        kind = frame.WhichOneof("frame")
        if kind == "sealed_held" and up:
            self._hear(frame.sealed_held)
        elif kind == "sealed_copy" and up:
            self._take_back(frame.sealed_copy)
        elif kind == "sealed_copy":
            check_copy(frame.sealed_copy, self._engine.roster.network, session.peer)
            held = keep_copy(self._shelf, frame.sealed_copy, session.peer)
            self._say(session, sync_pb2.Frame(sealed_held=held))
        elif kind == "sealed_want" and not up:
            self._give(session, frame.sealed_want, self._shelf)
        else:
            raise HuyingError(Code.NOT_SERVED, f"{kind} does not travel this link")

    def _give(self, session: Session, want: sync_pb2.SealedWant, shelf: CopyShelf) -> None:
        """What a child asks for. A want is small and its answer is not: so much in one step."""
        served = self._served_bytes.get(session.link, 0)
        if served > UNACKED_BYTES_MAX:
            return
        if want.list:
            frames = [sync_pb2.Frame(sealed_held=held) for held in list_copies(shelf, session.peer)]
        else:
            copy = give_copy(shelf, want, self._engine.roster.network, session.peer)
            frames = [sync_pb2.Frame(sealed_copy=copy)]
        for frame in frames:
            served += frame.ByteSize()
            self._say(session, frame)
        self._served_bytes[session.link] = served

    # The child's side: what the parent says.

    def _hear(self, held: sync_pb2.SealedHeld) -> None:
        counts = {len(held.starts), len(held.stops), len(held.generations)}
        if len(counts) != 1 or counts.pop() > SEALED_RANGES_MAX:
            raise HuyingError(Code.LIMIT_EXCEEDED, "a list of sealed copies that does not fit")
        told = self._telling if self._told is None else self._told
        for start, stop, generation in zip(held.starts, held.stops, held.generations, strict=True):
            check_range(held.origin, start, stop, generation)
            if not self._copies.is_own(held.origin) or len(told) >= SEALED_CHILD_COPIES_MAX:
                continue
            told[held.origin, start] = generation
            self._compare(held.origin, start, stop, generation)
            if self._flight == (held.origin, start):
                self._landed()
        if held.last and self._told is None:
            self._told, self._telling = self._telling, {}
            self._due = self._engine.clock.monotonic()

    def _compare(self, origin: str, start: int, stop: int, generation: int) -> None:
        """Take note of a copy that this node knows nothing of, or less: it was restored."""
        own = self._engine.replica.own
        known = self._copies.rows().get((origin, start))
        if known is not None and known.generation >= generation:
            return
        if origin == own.origin and stop > own.size and self._engine.state == "live":
            return  # of entries that never were
        self._copies.put(SealedCopy(origin, start, stop, generation, CopyState.TOLD))

    def _take_back(self, message: sync_pb2.SealedCopy) -> None:
        """A copy that this node asked for."""
        place = message.origin, message.start
        known = self._copies.rows().get(place)
        if self._flight != place or known is None or known.state is not CopyState.TOLD:
            return
        self._landed()
        same = (message.stop, message.generation) == (known.stop, known.generation)
        if not same or not 0 < len(message.sealed) <= SEALED_BYTES_MAX:
            if self._told is not None:
                self._told.pop(place, None)  # it does not hold it after all: not asked again
            return
        self._copies.put(
            replace(
                known,
                state=CopyState.FETCHED,
                size_bytes=len(message.sealed),
                sealed=message.sealed,
            )
        )

    def _landed(self) -> None:
        self._flight = None
        self._patience_seconds = _ANSWER_SECONDS_MIN
        self._due = min(self._due, self._engine.clock.monotonic() + SEALED_SECONDS)

    # The child's side: what is due.

    def _work(self, now: float) -> None:
        """Send or ask for one copy, and say when there is more to do."""
        session = self._parent()
        if session is None:
            self._due = _NEVER  # the next greeting starts anew
            return
        if self._flight is not None:
            if now < self._flight_ends:
                self._due = self._flight_ends
                return
            self._flight = None
            self._patience_seconds = min(2 * self._patience_seconds, _ANSWER_SECONDS_MAX)
        frame = self._next_frame(now)
        if frame is None:
            waiting = self._tail_since is not None or any(
                row.state is CopyState.TOLD for row in self._copies.rows().values()
            )
            self._due = now + self._quiet_seconds if waiting else _NEVER
            return
        message = frame.sealed_copy if frame.HasField("sealed_copy") else frame.sealed_want
        self._flight = message.origin, message.start
        self._flight_ends = self._due = now + self._patience_seconds
        self._say(session, frame)

    def _next_frame(self, now: float) -> sync_pb2.Frame | None:
        """The first of what is due: a copy to fetch, one to seal anew, the newest entries."""
        assert self._told is not None
        for place, row in sorted(self._copies.rows().items()):
            if row.state is CopyState.TOLD and place in self._told:
                if self._copies.is_whole(row):
                    self._copies.recount(replace(row, state=CopyState.OURS))
                elif self._copies.has_come(row):
                    want = sync_pb2.SealedWant(origin=row.origin, start=row.start)
                    return sync_pb2.Frame(sealed_want=want)
        if self._engine.state != "live":
            return None
        for place, known in sorted(self._copies.rows().items()):
            row = known
            if row.state is not CopyState.OURS:
                continue
            if self._recovery_key and row.key != self._key_id:
                changed = replace(row, generation=row.generation + 1, key=self._key_id)
                row = self._copies.recount(changed)
            told = self._told.get(place)
            there = told is not None  # also a copy that holds nothing any more has to go
            if told != row.generation and (there or (row.openings and self._recovery_key)):
                return self._sealed(row)
        return self._seal_tail(now) if self._recovery_key else None

    def _seal_tail(self, now: float) -> sync_pb2.Frame | None:
        """The next entries that are in no copy yet, with the last copy where that is small."""
        waited = self._tail_since is not None and now >= self._tail_since + self._quiet_seconds
        while waited or self._copies.uncovered() >= SEALED_ENTRIES_MAX:
            tail = self._copies.tail()
            if tail is None:
                break
            row = self._copies.recount(tail)
            if row.openings:
                self._tail_since = None
                return self._sealed(row)
        if not self._copies.uncovered():
            self._tail_since = None
        return None

    def _sealed(self, row: SealedCopy) -> sync_pb2.Frame:
        sealed = b""
        if self._recovery_key:
            sealed = seal_range(
                self._recovery_key, row.origin, self._copies.gather(row), row.generation
            )
        return sync_pb2.Frame(
            sealed_copy=sync_pb2.SealedCopy(
                origin=row.origin,
                start=row.start,
                stop=row.stop,
                sealed=sealed,
                generation=row.generation,
            )
        )

    # Looking.

    def _parent(self) -> Session | None:
        for session in self._engine.sessions.values():
            if session.direction is Direction.UP and session.greeted:
                return session
        return None

    def _say(self, session: Session, frame: sync_pb2.Frame) -> None:
        self._outbox.append((session, frame))

    # The operator's key.

    def put_back(self, origin: str, start: int, opened: bytes) -> PutBackReport:
        """Fill in what a copy brought, once the operator opened it; in a transaction.

        Raises HuyingError(NOT_FOUND) for a copy that is not waiting, or as `parse_opened`.
        """
        known = self._copies.rows().get((origin, start)) if self._own is not None else None
        if known is None or known.state is not CopyState.FETCHED:
            raise HuyingError(Code.NOT_FOUND, f"no sealed copy of {origin} from {start} waits here")
        replica = self._engine.replica
        counts = [0, 0, 0]
        erased = replica.erasures.of(origin)
        holds_erased = False
        for disclosed in parse_opened(opened, origin, start).entries:
            slots = {opening[0] for opening in disclosed.entry.openings if opening}
            holds_erased = holds_erased or not slots.isdisjoint(erased.at(disclosed.index))
            try:
                gained = replica.receive_disclosed(origin, disclosed.index, disclosed.entry)
                counts[0 if gained else 1] += 1
            except HuyingError as error:
                if error.code in STORE_FAULTS:
                    raise
                counts[2] += 1
        # Sealed anew: to this node's present key, and without what was erased since.
        generation = known.generation + holds_erased
        self._copies.put(
            replace(known, state=CopyState.OURS, generation=generation, key=b"", size_bytes=0)
        )
        self._due = min(self._due, self._engine.clock.monotonic())
        return PutBackReport(*counts)


@dataclass(frozen=True, slots=True)
class PutBackReport:
    """What one copy brought, in entries."""

    entries: int
    repeated: int
    refused: int


@dataclass(frozen=True, slots=True)
class PutBack:
    """An operator's request (`effects.Operation`): one copy, opened, back into the own feed."""

    origin: str
    start: int
    opened: bytes = field(repr=False)

    def run(self, engine: Engine) -> PutBackReport:
        """Raises as `Sealing.put_back`."""
        return engine.sealing.put_back(self.origin, self.start, self.opened)
