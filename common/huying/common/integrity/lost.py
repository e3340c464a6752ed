"""What a loss took: the openings that nobody held, and the running numbers that they carried.

A node that lost the end of its feed gets the leaves back, and what openings its neighbours hold.
What is not among them is lost, and said so in a `Recovered` entry; so that a reader who misses it
takes the loss for what it is, and not for somebody's withholding. Where heads are lost, each class
of readers may have been given as many numbers: the writer goes on behind them, and a gap that the
lost heads can explain is no one's fault. docs/FEED.md, "Restore, clone, fork".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from huying.common.codes import Origin, parse_origin
from huying.common.disclosure import classes, may_read, view
from huying.common.errors import Code, HuyingError
from huying.common.feed.leaf import ADDRESSED, BODY_OFFSET, HEAD_SLOT, leaf_slots, unpack_openings
from huying.common.intake import NUMBERLESS
from huying.common.limits import SEGMENT_ENTRIES_MAX
from huying.common.state import Applied, ClassMark, FeedState, Missing
from huying.wire.v1 import feed_pb2, trust_pb2

if TYPE_CHECKING:
    from huying.common.engine import Engine
    from huying.common.ports import Store

__all__ = [
    "ANY_CLASS",
    "Losses",
    "LostEntry",
    "LostRange",
    "Survey",
    "coalesced",
    "lacking",
    "may_hold",
    "recovered_message",
    "survey",
]

ANY_CLASS: Final = ""  # in place of a class's name: any of which nothing is known
RANGES_MAX: Final = 64  # of each kind in one Recovered entry, which has a limit of its own
NUMBERS_MAX: Final = 128
EXPLAINED_MAX: Final = 4096  # rows settled in one transaction

Erased = Callable[[int], bytes]  # the slots of an entry, by index, that were erased


class LostRange(NamedTuple):
    """Entries start <= index < stop lack these slots; slot 0 among them: the head, and so all."""

    start: int
    stop: int
    slots: bytes


class LostEntry(NamedTuple):
    """One entry of the own feed of which something is not held."""

    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody calls
    slots: bytes  # that are lacking; where only the hash of the leaf is held, just the head's
    shown: bytes  # every slot of the leaf; empty where only its hash is held
    to: tuple[str, ...]  # selectors; empty where the head is lacking


@dataclass(frozen=True, slots=True)
class Survey:
    """What a node lost of its own feed, and how far its running numbers may have come."""

    ranges: tuple[LostRange, ...]
    classes: dict[str, ClassMark]
    skipped: dict[str, int]  # classes whose number is the largest possible, not one that was seen


def _head(openings: Sequence[bytes]) -> feed_pb2.Head | None:
    if not openings or openings[0][0] != HEAD_SLOT:
        return None
    return feed_pb2.Head.FromString(openings[0][BODY_OFFSET:])


def _entries(
    store: Store, feed: FeedState, start: int
) -> Iterator[tuple[LostEntry, feed_pb2.Head | None]]:
    """Every entry of the own feed from `start`, with its head where that is held."""
    for first in range(start, feed.size, SEGMENT_ENTRIES_MAX):
        stop = min(first + SEGMENT_ENTRIES_MAX, feed.size)
        for index, entry in enumerate(store.entries(feed.feed_id, first, stop), first):
            if entry.leaf is None:
                yield LostEntry(index, bytes((HEAD_SLOT,)), b"", ()), None
                continue
            openings = unpack_openings(entry.openings)
            held = {opening[0] for opening in openings}
            shown = leaf_slots(entry.leaf)
            head = _head(openings)
            to = tuple(head.to) if head is not None else ()
            slots = bytes(slot for slot in shown if slot not in held)
            yield LostEntry(index, slots, shown, to), head


def lacking(
    store: Store, feed: FeedState, start: int, erased: Erased = lambda _index: b""
) -> Iterator[LostEntry]:
    """The entries of the own feed, from `start`, of which something is neither held nor erased."""
    for entry, _ in _entries(store, feed, start):
        gone = erased(entry.index) if entry.slots else b""
        slots = bytes(slot for slot in entry.slots if slot not in gone)
        if slots:
            yield entry._replace(slots=slots)


def survey(
    store: Store, feed: FeedState, start: int, erased: Erased = lambda _index: b""
) -> Survey:
    """What is lost of the own feed from `start` on, and where its running numbers go on.

    `feed.classes` are the numbers of the entries below `start`.
    """
    home = parse_origin(feed.origin).code
    numbers = {name: (mark.number, mark.index, 0) for name, mark in feed.classes.items()}
    gone = 0  # heads that nobody held
    lost: list[LostRange] = []
    for entry, head in _entries(store, feed, start):
        slots = bytes(slot for slot in entry.slots if slot not in erased(entry.index))
        if slots:
            lost.append(LostRange(entry.index, entry.index + 1, slots))
        if head is None:
            gone += 1
            continue
        for name, number in zip(classes(home, entry.shown, entry.to), head.seen, strict=True):
            numbers[name] = (number, entry.index, gone)
    marks: dict[str, ClassMark] = {}
    skipped: dict[str, int] = {}
    numbers.setdefault(ANY_CLASS, (0, -1, 0))
    for name, (number, index, before) in numbers.items():
        if gone > before:
            skipped[name] = number + gone - before
            marks[name] = ClassMark(skipped[name], feed.size - 1)
        elif name != ANY_CLASS or number:
            marks[name] = ClassMark(number, index)
    return Survey(coalesced(lost), marks, skipped)


def coalesced(lost: Iterable[LostRange]) -> tuple[LostRange, ...]:
    """Runs of like entries; where they are too many, neighbours share a range that covers both.

    Then it may name an entry that is there. Ranges of lost heads stay apart from the others, since
    they explain missing numbers.
    """
    runs: dict[bool, list[LostRange]] = {True: [], False: []}
    for one in lost:
        kind = runs[HEAD_SLOT in one.slots]
        if kind and kind[-1].stop == one.start and kind[-1].slots == one.slots:
            kind[-1] = kind[-1]._replace(stop=one.stop)
        else:
            kind.append(one)
    for kind in runs.values():
        while len(kind) > RANGES_MAX:
            kind[:] = [_cover(kind[at : at + 2]) for at in range(0, len(kind), 2)]
    return tuple(sorted((*runs[True], *runs[False])))


def _cover(pair: Sequence[LostRange]) -> LostRange:
    slots = bytes(sorted({slot for one in pair for slot in one.slots}))
    return LostRange(pair[0].start, pair[-1].stop, slots)


def recovered_message(start: int, feed: FeedState, found: Survey) -> trust_pb2.Recovered:
    """The entry that says what a recovery brought, and what it did not."""
    message = trust_pb2.Recovered(from_size=start, upto_size=feed.size)
    for one in found.ranges:
        message.lost.add(start=one.start, stop=one.stop, slots=one.slots)
    skipped = sorted(found.skipped.items())
    for name, number in skipped[:NUMBERS_MAX]:
        message.numbers.add(name=name, number=number)
    if skipped[NUMBERS_MAX:]:  # then the first, which sorts there, speaks for them
        message.numbers[0].number = max(number for _, number in skipped[NUMBERS_MAX:])
    return message


def may_hold(peer: str, origin: str, entry: LostEntry) -> bytes:
    """What a neighbour may have of what is lacking in an entry of the own feed: its slots.

    The head's slot stands for all of an entry of which nothing is known.
    """
    if HEAD_SLOT not in entry.slots:
        readable = view(peer, origin, entry.shown, entry.to).readable
        return bytes(slot for slot in entry.slots if slot in readable)
    # Without the head nobody here knows whom it was addressed to.
    body = [
        slot for slot in entry.shown[1:] if slot & ADDRESSED or may_read(peer, origin, slot, ())
    ]
    return bytes((HEAD_SLOT, *body)) if body or not entry.shown else b""


class _Jump(NamedTuple):
    """Running numbers that nobody may ever see: those of entries whose heads were lost."""

    start: int  # index of the first such entry
    numbers: Mapping[str, int]  # by class, the last that may have been given out


class Losses:
    """What the feeds that a node holds have said of losses of their own."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._ranges: dict[str, tuple[LostRange, ...]] = {}
        self._jumps: dict[str, tuple[_Jump, ...]] = {}
        self._vain: dict[tuple[str, Missing], None] = {}
        engine.replica.statements.keepers += (self,)

    def save(self) -> object:
        """What `restore` goes back to."""
        return dict(self._ranges), dict(self._jumps)

    def restore(self, saved: object) -> None:
        """Forget what was said since `save`; said twice, a loss would excuse twice as much."""
        assert isinstance(saved, tuple)
        self._ranges, self._jumps = saved

    def ranges(self, origin: str) -> tuple[LostRange, ...]:
        """What a feed says it lost."""
        return self._ranges.get(origin, ())

    def react(self, entry: Applied, replaying: bool) -> None:
        """A `Recovered` entry. Raises HuyingError(BAD_RECORD) for one that can't be."""
        message = entry.message
        assert isinstance(message, trust_pb2.Recovered)
        engine = self._engine
        origin = str(Origin(engine.identity.network, entry.home, entry.epoch))
        if not message.from_size <= message.upto_size <= entry.index:
            raise HuyingError(Code.BAD_RECORD, "upto_size: beyond the entry that says so")
        ranges = [LostRange(one.start, one.stop, one.slots) for one in message.lost]
        if any(not one.start < one.stop <= message.upto_size for one in ranges):
            raise HuyingError(Code.BAD_RECORD, "lost: a range beyond upto_size")
        if not ranges:
            return
        self._ranges[origin] = (*self.ranges(origin), *ranges)
        heads = [one.start for one in ranges if HEAD_SLOT in one.slots]
        numbers = {one.name: one.number for one in message.numbers}
        if heads:
            self._jumps[origin] = (*self._jumps.get(origin, ()), _Jump(min(heads), numbers))
        if not replaying:
            entries = sum(one.stop - one.start for one in ranges)
            detail = f"of up to {entries} entries below {message.upto_size}, says the feed itself"
            engine.alarm(Code.LOST, feed=origin, detail=detail)

    def explains(self, origin: str, row: Missing) -> bool:
        """Whether what is missing may be what its origin says it lost."""
        ranges = self._ranges.get(origin, ())
        if row.slots:
            return any(
                one.start <= row.start < one.stop
                and (HEAD_SLOT in one.slots or set(row.slots) <= set(one.slots))
                for one in ranges
            )
        heads = sum(
            max(0, min(one.stop, row.stop) - max(one.start, row.start))
            for one in ranges
            if HEAD_SLOT in one.slots
        )
        if row.last - row.first < heads + self._undecodable(origin, row):
            return True
        # Where the writer could not know, it skipped as many numbers as heads were lost.
        return any(
            row.stop > jump.start
            and row.last <= jump.numbers.get(row.name, jump.numbers.get(ANY_CLASS, 0))
            for jump in self._jumps.get(origin, ())
        )

    def _undecodable(self, origin: str, row: Missing) -> int:
        """Entries in a gap whose own number nobody can tell, and that is their origin's doing.

        A relay can't make one: the leaf is under the signed root, and the head matched it.
        """
        feed = self._engine.replica.feeds.get(origin)
        if feed is None:
            return 0
        found = self._engine.replica.store.quarantined(feed.feed_id, row.start, row.stop)
        return len({index for index, code, _, _ in found if code in NUMBERLESS})

    def asked_in_vain(self, origin: str, rows: Iterable[Missing]) -> bool:
        """Those rows were asked for, and nobody gave them. True where a loss explains them all."""
        explained = True
        for row in rows:
            if self.explains(origin, row):
                if len(self._vain) < EXPLAINED_MAX:
                    self._vain[origin, row] = None
            else:
                explained = False
        return explained

    def timers(self, now: float) -> Iterator[float]:
        """There is something to settle now; monotonic seconds."""
        if self._vain:
            yield now

    def settle(self) -> None:
        """Take what is lost off the lists of what is missing, within the transaction."""
        vain, self._vain = self._vain, {}
        replica, own = self._engine.replica, self._engine.identity.origin
        if own in replica.missing and own in self._ranges:
            vain.update(
                ((own, row), None) for row in replica.missing[own] if self.explains(own, row)
            )
        for origin, row in vain:
            if row in replica.missing.get(origin, ()):
                replica.change_missing(replica.feeds[origin], (row,), ())
