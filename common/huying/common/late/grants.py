"""Grants: what signed disclosures open, to whom, until when.

A DISCLOSURE stands in the feed of the origin and names entries, slots, and readers on the origin's
line. It opens them to these readers and to every node between: a node on the way fetches first,
and then passes on. Disclosure is pulled: a node that finds itself granted asks up the line, and
whoever is asked looks into its own copy of the statement. Segments never apply grants.

A grant that has run out gives nothing more, by the giver's clock; what came by it is deleted here
when it has run out by ours. The head stays: the statement told as much.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from huying.common.codes import ancestors, is_within, parse_origin
from huying.common.disclosure import view
from huying.common.errors import Code, HuyingError
from huying.common.feed.leaf import BODY_OFFSET, HEAD_SLOT, leaf_slots, unpack_openings
from huying.common.intake import Granted, Judgement
from huying.common.late.erasure import spans_of
from huying.common.late.filling import take_away
from huying.common.late.spans import NO_SPANS, Span, Spans
from huying.common.limits import DISCLOSURE_READERS_MAX, LATE_SPAN_ENTRIES_MAX
from huying.common.state import Applied, FeedState, Missing, StoredEntry
from huying.wire.v1 import feed_pb2, trust_pb2

if TYPE_CHECKING:
    from huying.common.replica import Replica

__all__ = ["Grant", "Grants", "is_on_line"]

# Nobody withholds what is granted: a giver may be offline, or not have it yet.
_NEVER_WITHHELD: Final = float("inf")
_HEAD: Final = bytes((HEAD_SLOT,))


@dataclass(frozen=True, slots=True)
class Grant:
    """One range of one disclosure."""

    span: Span
    readers: tuple[str, ...]  # codes
    expires: float  # unix seconds; infinity: never

    def is_for(self, code: str) -> bool:
        """Whether `code` is a reader, or lies between the origin and one."""
        home = parse_origin(self.span.origin).code
        return any(code == reader or _between(code, home, reader) for reader in self.readers)


def _start(grant: Grant) -> int:
    return grant.span.start


def _expiry(grant: Grant) -> float:
    return grant.expires


def _between(code: str, home: str, reader: str) -> bool:
    top, bottom = (home, reader) if is_within(reader, home) else (reader, home)
    return code not in (top, bottom) and is_within(code, top) and is_within(bottom, code)


def is_on_line(home: str, reader: str) -> bool:
    """Whether a node may be given what `home` holds: its path there is one line of the tree."""
    return reader in ancestors(home) or (reader != home and is_within(reader, home))


@dataclass(slots=True)
class _State:
    """What a transaction changes, and a rollback brings back."""

    grants: dict[str, tuple[Grant, ...]] = field(default_factory=dict)  # by origin, by start
    wants: dict[str, tuple[Missing, ...]] = field(default_factory=dict)  # by origin
    # Of this node and by origin, not yet turned into wants; and the least size that is waited for.
    waiting: dict[str, tuple[int, tuple[Grant, ...]]] = field(default_factory=dict)
    running: tuple[Grant, ...] = ()  # of this node; the first to run out is the first

    def copy(self) -> _State:
        return _State(dict(self.grants), dict(self.wants), dict(self.waiting), self.running)

    def wait(self, origin: str, grants: Iterable[Grant]) -> None:
        known = self.waiting.get(origin, (0, ()))[1]
        if found := (*known, *grants):
            self.waiting[origin] = min(grant.span.stop for grant in found), found


class Grants:
    """What disclosures open in the feeds of one replica."""

    def __init__(self, replica: Replica) -> None:
        self.took_away = False  # in this transaction
        self._replica = replica
        self._state = _State()
        self._saved = self._state
        replica.statements.reactions[feed_pb2.RECORD_TYPE_DISCLOSURE] = self._on_disclosure

    def begin(self) -> None:
        """Remember what a rollback returns to."""
        self._saved = self._state.copy()
        self.took_away = False

    def rollback(self) -> None:
        """Forget everything since `begin`."""
        self._state = self._saved
        self.took_away = False

    @property
    def wants(self) -> dict[str, tuple[Missing, ...]]:
        """What this node is granted and lacks, by origin, as rows to ask for."""
        return self._state.wants

    def of(self, origin: str, start: int, stop: int) -> Iterator[Grant]:
        """The grants, run out or not, that touch the entries [start, stop) of a feed."""
        grants = self._state.grants.get(origin, ())
        first = bisect_right(grants, start - LATE_SPAN_ENTRIES_MAX, key=_start)
        for grant in grants[first : bisect_left(grants, stop, key=_start)]:
            if start < grant.span.stop:
                yield grant

    def for_peer(self, peer: str, origin: str, start: int, stop: int, now: float) -> Spans:
        """What `peer` may be given of the entries [start, stop), beyond the rule."""
        return NO_SPANS.plus(
            grant.span[1:]
            for grant in self.of(origin, start, stop)
            if now < grant.expires and grant.is_for(peer)
        )

    def of_this_node(self, origin: str, index: int, now: float) -> Granted | None:
        """What this node may hold of one entry, beyond the rule; None where that is nothing."""
        code = self._replica.identity.code
        mine = [grant for grant in self.of(origin, index, index + 1) if grant.is_for(code)]
        if not mine:
            return None
        force = NO_SPANS.plus(grant.span[1:] for grant in mine if now < grant.expires).at(index)
        ever = NO_SPANS.plus(grant.span[1:] for grant in mine).at(index)
        return Granted(_HEAD + force, bytes(slot for slot in ever if slot not in force))

    # The statement.

    def _on_disclosure(self, entry: Applied, replaying: bool) -> None:
        """Raises HuyingError(BAD_RECORD) for what is not the writer's to disclose, so."""
        message = entry.message
        assert isinstance(message, trust_pb2.Disclosure)
        network, own = self._replica.identity.network, self._replica.identity.code
        spans = spans_of(network, entry, message.ranges, message.origin)
        readers = tuple(dict.fromkeys(message.readers))
        if not 1 <= len(readers) <= DISCLOSURE_READERS_MAX:
            raise HuyingError(Code.BAD_RECORD, f"readers: 1 to {DISCLOSURE_READERS_MAX}")
        for reader in readers:
            if not _is_code_on_line(entry.home, reader):
                raise HuyingError(Code.BAD_RECORD, f"readers: not on the line of {entry.home}")
        expires = message.expires_micros / 1e6 if message.expires_micros else float("inf")
        grants = [Grant(span, readers, expires) for span in spans]
        if not grants:
            return
        state, origin = self._state, grants[0].span.origin
        known = list(state.grants.get(origin, ()))
        for grant in grants:
            insort(known, grant, key=_start)
        state.grants[origin] = tuple(known)
        if entry.home != own and grants[0].is_for(own):
            state.wait(origin, grants)
            if expires != float("inf"):
                place = bisect_right(state.running, expires, key=_expiry)
                state.running = (*state.running[:place], *grants, *state.running[place:])
        if not replaying:
            self._ask_for_waiting()

    # Asking.

    def tick(self, now: float) -> None:
        """Within a transaction: ask for what can be asked for, delete what has run out."""
        state = self._state
        if state.waiting:
            self._ask_for_waiting()
        count = bisect_right(state.running, now, key=_expiry)
        over, state.running = state.running[:count], state.running[count:]
        for grant in over:
            self._end(grant, now)

    def next_end(self) -> float:
        """When the next grant runs out; unix seconds."""
        return self._state.running[0].expires if self._state.running else float("inf")

    def _ask_for_waiting(self) -> None:
        """A statement may come before an entry that it speaks of, of an earlier epoch."""
        now, waiting = self._replica.clock.now(), self._state.waiting
        for origin, (size, grants) in list(waiting.items()):
            feed = self._replica.feeds.get(origin)
            if feed is None or feed.size < size:
                continue
            del waiting[origin]
            current = [grant for grant in grants if grant.expires > now]
            self._want(feed, [one.span for one in current if one.span.stop <= feed.size])
            self._state.wait(origin, [one for one in current if one.span.stop > feed.size])

    def _want(self, feed: FeedState, spans: Iterable[Span]) -> None:
        rows = {row.start: row for row in self._state.wants.get(feed.origin, ())}
        for span in spans:
            stored = self._replica.store.entries(feed.feed_id, span.start, span.stop)
            granted = NO_SPANS.plus([span[1:]])
            for index, entry in enumerate(stored, span.start):
                lacking = self._lacking(feed.origin, index, entry, granted.at(index))
                if not lacking:
                    continue
                known = rows[index].slots if index in rows else b""
                slots = bytes(sorted({*lacking, *known}))
                rows[index] = Missing(index, index + 1, slots, "", 0, 0, _NEVER_WITHHELD)
        self._set(feed.origin, rows.values())

    def _lacking(self, origin: str, index: int, entry: StoredEntry, slots: bytes) -> bytes:
        """Of the slots granted those to ask for, with the head where it is not held."""
        erased = self._replica.erasures.of(origin).at(index)
        held = {opening[0] for opening in unpack_openings(entry.openings)}
        granted = _HEAD + bytes(slot for slot in slots if slot not in erased)
        shown = granted if entry.leaf is None else leaf_slots(entry.leaf)
        lacking = bytes(slot for slot in shown if slot in granted and slot not in held)
        return lacking if lacking.strip(_HEAD) else b""

    def filled(self, origin: str, index: int, verdict: Judgement) -> None:
        """An answer came: what it brought is wanted no more."""
        rows = self._state.wants.get(origin, ())
        if not any(row.start == index for row in rows):
            return
        done = {*verdict.present, *verdict.erased}
        now = self._replica.clock.now()
        granted = self.of_this_node(origin, index, now) or Granted(b"")
        lacking = bytes(s for s in verdict.slots if s in granted.slots and s not in done)
        left = [row for row in rows if row.start != index]
        if lacking:
            left.append(Missing(index, index + 1, lacking, "", 0, 0, _NEVER_WITHHELD))
        self._set(origin, left)

    def erased(self, span: Span) -> None:
        """What was erased is wanted no more."""
        rows = self._state.wants.get(span.origin, ())
        if not rows:
            return
        gone = self._replica.erasures.of(span.origin)
        left = []
        for row in rows:
            slots = bytes(slot for slot in row.slots if slot not in gone.at(row.start))
            if slots.strip(_HEAD):
                left.append(row._replace(slots=slots))
        self._set(span.origin, left)

    def _set(self, origin: str, rows: Iterable[Missing]) -> None:
        wanted = tuple(rows)
        if wanted:
            self._state.wants[origin] = wanted
        else:
            self._state.wants.pop(origin, None)

    # Running out.

    def _end(self, grant: Grant, now: float) -> None:
        """Delete what this node holds by a grant that has run out, and by nothing else."""
        origin, start, stop, _ = grant.span
        rows = self._state.wants.get(origin, ())
        self._set(origin, [row for row in rows if not start <= row.start < stop])
        replica = self._replica
        feed = replica.feeds.get(origin)
        if feed is None:
            return
        deleted = 0
        stored = replica.store.entries(feed.feed_id, start, min(stop, feed.size))
        for index, entry in enumerate(stored, start):
            granted = self.of_this_node(origin, index, now) or Granted(b"")
            slots = self._beyond_rule(origin, entry, granted.slots)
            if slots:
                deleted += take_away(replica, feed, index, entry, slots, granted)
        if deleted:
            self.took_away = True
            replica.put(
                replace(
                    feed,
                    openings_held=feed.openings_held - deleted,
                    openings_withheld=feed.openings_withheld + deleted,
                )
            )
        # Another grant may still open what this one asked for.
        others = (one for one in self.of(origin, start, stop) if one.expires > now)
        code = replica.identity.code
        self._state.wait(origin, [one for one in others if one.is_for(code)])

    def _beyond_rule(self, origin: str, entry: StoredEntry, granted: bytes) -> bytes:
        """The slots held of an entry that neither the rule nor a grant allows, but the head."""
        if entry.leaf is None or not entry.openings:
            return b""
        openings = unpack_openings(entry.openings)
        head = feed_pb2.Head.FromString(openings[0][BODY_OFFSET:])
        home, code = parse_origin(origin).code, self._replica.identity.code
        readable = view(code, home, leaf_slots(entry.leaf), tuple(head.to)).readable
        allowed = {HEAD_SLOT, *readable, *granted}
        return bytes(opening[0] for opening in openings if opening[0] not in allowed)


def _is_code_on_line(home: str, reader: str) -> bool:
    try:
        return is_on_line(home, reader)
    except HuyingError:
        return False
