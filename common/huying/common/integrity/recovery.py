"""The way back of a node that may have forgotten the end of its own feed.

A node that signs one size twice has forked. So whenever entries may have left it that its store
does not hold, it is *recovering*: it follows and relays, signs nothing and writes nothing, and asks
its parent and its children for its own feed. It goes on, in the same epoch, once it holds as much
as the largest note that anyone shows, and no less than its high-water mark says; after the openings
that its neighbours still had are back, and what nobody had is written down. A node that was shown
two histories of its own has *forked*, and halts; both copies of a cloned node do.
docs/FEED.md, "Restore, clone, fork".
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from huying.common.bundles.carriage import NO_LINK
from huying.common.codes import is_within, parse_origin
from huying.common.effects import Direction, DraftEntry
from huying.common.errors import Code, HuyingError
from huying.common.feed.leaf import HEAD_SLOT
from huying.common.integrity.lost import LostEntry, lacking, may_hold, recovered_message, survey
from huying.common.limits import WANT_ENTRIES_MAX
from huying.common.membership.roster import EpochStatus
from huying.common.ports import HighWaterMark
from huying.common.state import StoredCheckpoint
from huying.wire.v1 import feed_pb2, sync_pb2

if TYPE_CHECKING:
    from huying.common.engine import Engine
    from huying.common.sync.session import Session

__all__ = ["Recovery"]

ASK_SECONDS_MAX: Final = 5.0  # an unanswered question is asked again
UNSURE_SECONDS_MAX: Final = 60.0  # how long the root waits for children that recover, too
ASKS_MAX: Final = 3  # times; then the neighbour has nothing to say


def _is_below(origin: str, code: str) -> bool:
    try:
        named = parse_origin(origin).code
    except HuyingError:
        return False
    return named != code and is_within(named, code)


@dataclass(slots=True)
class _Asking:
    """What one neighbour is asked for of the own feed, window by window."""

    windows: deque[tuple[int, int, bytes]]  # start, stop, slots; no slots: all
    sent: float = float("-inf")  # monotonic seconds
    times: int = 0  # that the first window was asked for


class Recovery:
    """The standing of one engine's own feed."""

    def __init__(self, engine: Engine, mark: HighWaterMark) -> None:
        self.reason = ""
        self.mark: tuple[str, int, bytes] | None = None  # as it was read
        self.base: dict[str, int] = {}  # of each feed, what was held when the recovery began
        self._engine = engine
        self._file = mark
        self._from_size = 0
        self._heard: dict[str, int] = {}  # by neighbour: the largest note that it shows
        self._heard_of = ""  # the epoch that they spoke of
        self._carried = 0  # the largest note of it that a bundle showed
        self._unsure: set[str] = set()  # neighbours that are recovering themselves
        self._below: dict[str, int] = {}  # what the parent holds of the feeds below this node
        self._asking: dict[int, _Asking] = {}  # by link
        self._begun = 0.0  # monotonic seconds
        self._reached: float | None = None  # when all leaves were back; monotonic seconds
        self._replaced = False  # an older store was put in place: others know what is forgotten
        self._signed = False  # this process wrote, so only a copy can have gone on from there
        self._before = ""  # the state that this transaction ended
        self._greet = False  # every neighbour is to hear how this node stands now

    @property
    def is_on(self) -> bool:
        """Whether the node is recovering."""
        return self._engine.state == "recovering"

    # Into it.

    def start(self) -> None:
        """Compare the store with the high-water mark.

        Where the mark is ahead of the store, of another host, or missing (a new node is made with
        one), the node is recovering. Evidence of a fork that was kept halts it again.
        """
        own = self._engine.replica.own
        self.mark = self._file.read()
        self._replaced = self._file.store_replaced()
        if own.frozen:
            self.halt()
        elif self.mark is None:
            self.begin("the high-water mark is missing, or another host's")
        elif not self._stands(self.mark):
            self.begin("the store is behind its high-water mark")
        elif self._replaced:
            self.begin("the store was restored from a backup")
        elif self.mark[:2] != (own.origin, own.size):
            self.write_mark()

    def _stands(self, mark: tuple[str, int, bytes]) -> bool:
        """Whether the store holds what the mark says has left this node, maybe an epoch ago."""
        origin, size, digest = mark
        replica = self._engine.replica
        feed, own = replica.feeds.get(origin), parse_origin(replica.own.origin)
        named = parse_origin(origin)
        if feed is None or named.code != own.code or named.epoch > own.epoch:
            return False
        return size <= feed.size and replica.root_at(feed, size) == digest

    def write_mark(self) -> None:
        """Raises HuyingError(STORE_FAILED): the entries are durable, and may not leave.

        So the node ends, also where the disk is just full; its next start writes the mark.
        """
        own = self._engine.replica.own
        if not self.is_on:  # what comes back is less, until all is back
            self._put_mark(own.origin, own.size, self._engine.replica.root_at(own, own.size))
            self._signed = self._engine.state == "live"

    def _put_mark(self, origin: str, size: int, root: bytes) -> None:
        try:
            self._file.write(origin, size, root)
        except HuyingError as error:
            raise HuyingError(
                Code.STORE_FAILED, f"the high-water mark: {error.code.name}: {error.detail}"
            ) from error
        self.mark = (origin, size, root)

    def begin(self, reason: str, shown: StoredCheckpoint | None = None) -> None:
        """Sign nothing more: somebody may hold entries of this feed that the store has not.

        Nor cosign: what this witness signed for may be forgotten, too. The note `shown` raises the
        mark, so that a restart does not forget what has left this node; a mark that is missing
        stays so, for nobody knows what else has.
        """
        engine = self._engine
        own = engine.replica.own
        if engine.state == "forked":
            return
        mark = self.mark
        if shown and mark and mark[0] == own.origin and shown.size > mark[1]:
            self._put_mark(own.origin, shown.size, shown.root)
        if self.is_on:
            return
        engine.state = "recovering"
        engine.replica.may_cosign = False
        self.reason = reason
        self._from_size = own.size
        self.base = {one.origin: one.size for one in engine.replica.feeds.values()}
        self._begun = engine.clock.monotonic()
        self._reached = None
        self._asking.clear()
        engine.alarm(Code.RECOVERING, feed=own.origin, detail=reason)

    def halt(self, reason: str = "two histories are signed with this node's key") -> None:
        """Two machines sign for this node: write nothing until its operator decides."""
        engine = self._engine
        if engine.state != "forked":
            engine.state = "forked"
            engine.replica.may_cosign = False
            self.reason = reason
            engine.alarm(Code.FORKED, feed=engine.identity.origin, detail=self.reason)

    # What others show.

    def heard(self, session: Session, size: int, hello: sync_pb2.Hello) -> None:
        """A neighbour greeted, and showed a note of this feed of that size, or 0 for none.

        The word of one that is recovering itself is not its last. What a bundle says was true when
        it was written, which may be long ago, and anybody can seal one: so just the note counts.
        """
        peer, origin = session.peer, self._engine.identity.origin
        if self._heard_of != origin:  # an epoch of its own begins with nobody's word
            self._heard_of = origin
            self._heard.clear()
            self._carried = 0
        if session.link == NO_LINK:
            self._carried = max(self._carried, size)
            return
        self._heard[peer] = size
        self._asking.pop(session.link, None)  # it may have more by now
        self._unsure.discard(peer)
        if hello.recovering:
            self._unsure.add(peer)
        if session.direction is Direction.UP and self.is_on:
            own = self._engine.identity.code
            self._below = {
                held.origin: held.size for held in hello.held if _is_below(held.origin, own)
            }
        if self._engine.roster.parent is None and self._all_children_heard():
            self._engine.confirmed = True

    def _all_children_heard(self) -> bool:
        return all(code in self._words for code in self._engine.roster.children)

    @property
    def _words(self) -> dict[str, int]:
        """What was heard of the present epoch."""
        return self._heard if self._heard_of == self._engine.identity.origin else {}

    def neighbours(self) -> tuple[str, ...]:
        """Those who may hold this node's own feed: its parent and its children."""
        roster = self._engine.roster
        return (*((roster.parent,) if roster.parent else ()), *roster.children)

    def shown(self) -> dict[str, int]:
        """The largest note of this feed that each neighbour showed, of those that were heard."""
        return dict(self._words)

    def answered(self) -> frozenset[str]:
        """The neighbours, of those linked, that have given back all they hold."""
        sessions = self._engine.sessions
        return frozenset(
            sessions[link].peer
            for link, asking in self._asking.items()
            if link in sessions and not asking.windows
        )

    def needed_size(self) -> int:
        """How many entries must be held, at least, before the node goes on."""
        own = self._engine.identity.origin
        floor = self.mark[1] if self.mark is not None and self.mark[0] == own else 0
        carried = self._carried if self._heard_of == own else 0
        return max((floor, carried, *self._words.values()))

    def standstill(self) -> str:
        """In a few words, what is waited for."""
        own = self._engine.replica.own
        if not self._mark_agrees():
            return f"the mark is of {self.mark[0]}, or of another history" if self.mark else ""
        if not self._authority(self._engine.clock.monotonic()):
            return "the mark is missing, and not everybody who must be asked has answered"
        if own.size < self.needed_size():
            shown = max(self._words.values(), default=0)
            return f"{own.size} entries are held, {self.needed_size()} needed, {shown} shown"
        if self._is_succeeded():
            return "this epoch is closed, and the key of the one after it is not here"
        return "the neighbours are asked for what is missing"

    def _mark_agrees(self) -> bool:
        own = self._engine.replica.own
        if self.mark is None or (self.mark[0] == own.origin and self.mark[1] > own.size):
            return True
        return self._stands(self.mark)

    def _authority(self, now: float) -> bool:
        """Whether those were heard who know what has left this node.

        The mark knows, unless the store was replaced under it. Else the parent's word counts; the
        root of the tree has none, so all of its children must have spoken.
        """
        if self.mark is not None and not self._replaced:
            return True
        roster = self._engine.roster
        if roster.parent is not None:
            return roster.parent in self._words and roster.parent not in self._unsure
        # Of the children that are recovering none may ever be sure without this node.
        is_sure = not self._unsure or now >= self._begun + UNSURE_SECONDS_MAX
        return bool(roster.children) and self._all_children_heard() and is_sure

    # Back again.

    def go(self, now: float) -> None:
        """After each step: greet anew where the state changed, and ask for what is lacking."""
        engine = self._engine
        for session in list(engine.sessions.values()):
            if session.greeted and (self._greet or session.said_recovering != self.is_on):
                engine.send(session, engine.hello(session))
        self._greet = False
        if self.is_on and not self._has_leaves(now):
            self._reached = None
        elif self.is_on and self._reached is None:
            self._reached = now
        for link in [link for link in self._asking if link not in engine.sessions]:
            del self._asking[link]
        if not (
            self._reached is not None
            if self.is_on
            else engine.losses.ranges(engine.identity.origin)
        ):
            return
        for session in engine.sessions.values():
            if session.greeted:
                self._ask(session, now)

    def _has_leaves(self, now: float) -> bool:
        own = self._engine.replica.own
        return self._authority(now) and own.size >= self.needed_size() and self._mark_agrees()

    def _ask(self, session: Session, now: float) -> None:
        asking = self._asking.get(session.link)
        if asking is None:
            asking = self._asking[session.link] = _Asking(deque(self._windows(session.peer)))
        if not asking.windows or now < asking.sent + ASK_SECONDS_MAX:
            return
        if asking.times >= ASKS_MAX:
            asking.windows.clear()
            return
        start, stop, slots = asking.windows[0]
        asking.sent, asking.times = now, asking.times + 1
        want = sync_pb2.Want(
            origin=self._engine.identity.origin, start=start, stop=stop, slots=slots
        )
        self._engine.send(session, sync_pb2.Frame(want=want))

    def _lacking(self) -> Iterator[LostEntry]:
        """The entries of which something is not here and was not erased."""
        engine = self._engine
        own, erased = engine.replica.own, self._erased
        if self.is_on:
            yield from lacking(engine.replica.store, own, self._known_size(), erased)
            return
        spans = [(one.start, one.stop) for one in engine.losses.ranges(own.origin)]
        start = min((start for start, _ in spans), default=own.size)
        stop = max((stop for _, stop in spans), default=own.size)
        for entry in lacking(engine.replica.store, own, start, erased):
            if entry.index >= stop:
                return
            yield entry

    def lacking(self) -> list[LostEntry]:
        """Everything of the own feed that is neither here nor erased, as it stands now."""
        return list(self._lacking())

    def _windows(self, peer: str) -> Iterator[tuple[int, int, bytes]]:
        """What to ask a neighbour for, in windows as long as a Want may be."""
        code = self._engine.identity.code
        first, last, slots, whole = 0, 0, set[int](), False
        for entry in self._lacking():
            held = may_hold(peer, code, entry)
            if not held:
                continue
            if last and entry.index >= first + WANT_ENTRIES_MAX:
                yield first, last, b"" if whole else bytes(sorted(slots))
                last, slots, whole = 0, set(), False
            if not last:
                first = entry.index
            last = entry.index + 1
            slots.update(held)
            whole |= HEAD_SLOT in held
        if last:
            yield first, last, b"" if whole else bytes(sorted(slots))

    def answer(self, session: Session, start: int, stop: int) -> None:
        """A neighbour has said all it has to say about a window."""
        asking = self._asking.get(session.link)
        if asking is not None and asking.windows and asking.windows[0][:2] == (start, stop):
            asking.windows.popleft()
            asking.sent, asking.times = float("-inf"), 0

    def _known_size(self) -> int:
        """Where the feed may begin to lack something: behind the last running number of its own.

        The numbers stand still while the node recovers, also over a restart.
        """
        marks = self._engine.replica.own.classes.values()
        return min(self._from_size, 1 + max((mark.index for mark in marks), default=-1))

    def _erased(self, index: int) -> bytes:
        """The slots of an entry of the own feed that were erased."""
        replica = self._engine.replica
        return replica.erasures.of(replica.own.origin).at(index)

    def finish(self, now: float) -> None:
        """Within the transaction: go on in the same epoch, if everything is back that can be."""
        if (
            not self.is_on
            or self._reached is None
            or not self._has_leaves(now)
            or not self._is_patient(now)
            or self._is_succeeded()
        ):
            return
        engine = self._engine
        own = engine.replica.own
        if self._signed:
            size = f"{self._from_size} to {own.size}"
            self.halt(f"a copy of this node runs, and signed entries {size} with its key")
            return
        found = survey(engine.replica.store, own, self._known_size(), self._erased)
        engine.replica.put(replace(own, classes=found.classes))
        message = recovered_message(self._from_size, own, found)
        record = engine.entropy.token(16)
        draft = DraftEntry(feed_pb2.KIND_RECOVERED, feed_pb2.RECORD_TYPE_RECOVERED, message, record)
        engine.replica.append((draft,))
        self.give_up()
        engine.appends.sequence_soon()

    def _is_succeeded(self) -> bool:
        """Whether this node went on in a later epoch, whose key was not restored with this one.

        Nobody takes what is written behind the end of an epoch.
        """
        epoch = self._engine.roster.epoch(self._engine.identity.origin)
        return epoch is not None and epoch.status is EpochStatus.CLOSED

    def give_up(self) -> None:
        """Within the transaction: nothing is waited for any more, and the node writes again."""
        engine = self._engine
        self._before, engine.state = engine.state, "live"
        engine.replica.may_cosign = True
        engine.confirmed = True

    def _is_patient(self, now: float) -> bool:
        """Whether everybody who is there has answered, or had the time to."""
        engine = self._engine
        assert self._reached is not None
        if now >= self._reached + engine.settings.confirm_seconds:
            return True
        feeds = engine.replica.feeds
        has_below = all(
            origin in feeds and feeds[origin].size >= size for origin, size in self._below.items()
        )
        return has_below and not self._unsure and self.answered() >= set(self.neighbours())

    def commit(self) -> None:
        """The transaction is durable."""
        if self._before:
            self._before = ""
            self._reached = None
            self._greet = True
            if self._replaced:
                self._file.settle()
                self._replaced = False

    def rollback(self) -> None:
        """The transaction came to nothing."""
        if self._before:
            self._engine.state, self._before = self._before, ""
            self._engine.replica.may_cosign = False

    def timers(self) -> Iterator[float]:
        """When there is something to do though nothing came; monotonic seconds."""
        now = self._engine.clock.monotonic()
        if self.is_on and self._reached is None and now < self._begun + UNSURE_SECONDS_MAX:
            yield self._begun + UNSURE_SECONDS_MAX
        if self.is_on and self._reached is not None and not self._is_succeeded():
            yield self._reached + self._engine.settings.confirm_seconds
        for link, asking in self._asking.items():
            if asking.windows and link in self._engine.sessions:
                yield asking.sent + ASK_SECONDS_MAX
