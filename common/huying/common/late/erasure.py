"""Erasures: what a signed statement deletes at every holder, and who has said that it did.

An ERASURE names ranges of entries and their slots, in the feed it stands in or in an earlier epoch
of the same node; so only the origin erases its own. Whoever applies it deletes the salt and the
body of these openings, never takes them again whichever way they come, and answers with a receipt
in its own feed. The leaf stays, and with it every proof. docs/FEED.md, "Late disclosure and
erasure".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from huying.common.codes import Origin, is_within, parse_origin
from huying.common.disclosure import in_reach
from huying.common.effects import DraftEntry
from huying.common.errors import Code, HuyingError
from huying.common.feed.leaf import BODY_OFFSET, HEAD_SLOT, leaf_slots, unpack_openings
from huying.common.late.filling import take_away
from huying.common.late.spans import NO_SPANS, Span, Spans, erasable
from huying.common.limits import (
    LATE_RANGES_MAX,
    LATE_SPAN_ENTRIES_MAX,
    RECEIPT_ERASURES_MAX,
    SELECTORS_MAX,
    TREE_SIZE_MAX,
)
from huying.common.state import Applied, FeedState, Missing, StoredEntry
from huying.wire.v1 import feed_pb2, trust_pb2

if TYPE_CHECKING:
    from huying.common.replica import Replica

__all__ = ["Erasures", "spans_of", "statement_origin"]

_PAGE_ENTRIES: Final = 256
EARLY_RECEIPTS_MAX: Final = 4096  # of what nobody may ever have written

# Where a statement stands: origin and index.
_Place = tuple[str, int]


@dataclass(frozen=True, slots=True)
class _Awaited:
    """An erasure of this node's own, while not every holder has confirmed it."""

    time: float  # when it was written, unix seconds
    slots: bytes  # of the statement's leaf
    to: tuple[str, ...]
    confirmed: frozenset[str] = frozenset()


@dataclass(slots=True)
class _State:
    """What a transaction changes, and a rollback brings back."""

    spans: dict[str, Spans] = field(default_factory=dict)  # by origin
    owed: dict[_Place, None] = field(default_factory=dict)  # erasures of others to confirm
    awaited: dict[_Place, _Awaited] = field(default_factory=dict)
    early: dict[_Place, frozenset[str]] = field(default_factory=dict)  # receipts before erasures

    def copy(self) -> _State:
        return _State(dict(self.spans), dict(self.owed), dict(self.awaited), dict(self.early))


class Erasures:
    """What was erased in the feeds of one replica."""

    def __init__(self, replica: Replica) -> None:
        self.fresh: list[Span] = []  # by this transaction
        self._replica = replica
        self._settled: set[_Place] = set()  # own erasures that everybody confirmed
        self._state = _State()
        self._saved = self._state
        self._add(replica.store.erased())
        replica.statements.reactions[feed_pb2.RECORD_TYPE_ERASURE] = self._on_erasure
        replica.statements.reactions[feed_pb2.RECORD_TYPE_ERASURE_RECEIPT] = self._on_receipt

    def begin(self) -> None:
        """Remember what a rollback returns to."""
        self._saved = self._state.copy()
        self.fresh.clear()

    def rollback(self) -> None:
        """Forget everything since `begin`."""
        self._state = self._saved
        self.fresh.clear()

    def of(self, origin: str) -> Spans:
        """What was erased in a feed."""
        return self._state.spans.get(origin, NO_SPANS)

    def adopt(self, spans: Iterable[Span]) -> None:
        """Erase again, in a store that was restored from before; within a transaction."""
        self._erase(sorted(set(spans) - set(self._replica.store.erased())))

    # Statements.

    def _on_erasure(self, entry: Applied, replaying: bool) -> None:
        """Raises HuyingError(BAD_RECORD) for ranges that are not the writer's to erase."""
        erasure = entry.message
        assert isinstance(erasure, trust_pb2.Erasure)
        replica = self._replica
        place = str(Origin(replica.identity.network, entry.home, entry.epoch)), entry.index
        spans = spans_of(replica.identity.network, entry, erasure.ranges, erasure.origin)
        confirmed = self._state.early.pop(place, frozenset())
        if entry.home == replica.identity.code:
            written = entry.head.time_micros / 1e6
            self._state.awaited[place] = _Awaited(
                written, entry.slots, tuple(entry.head.to), confirmed
            )
        elif replica.identity.code not in confirmed:
            self._state.owed[place] = None
        if not replaying:
            self._erase(spans)

    def _on_receipt(self, entry: Applied, _replaying: bool) -> None:
        receipt = entry.message
        assert isinstance(receipt, trust_pb2.ErasureReceipt)
        for ref in receipt.erasures:
            place = ref.origin, ref.index
            if entry.home == self._replica.identity.code and place in self._state.owed:
                del self._state.owed[place]
            elif (awaited := self._state.awaited.get(place)) is not None:
                confirmed = awaited.confirmed | {entry.home}
                self._state.awaited[place] = replace(awaited, confirmed=confirmed)
            else:
                self._remember(place, entry.home)

    def _remember(self, place: _Place, holder: str) -> None:
        """A node that gets its feeds back may hear a receipt before the erasure that it is for."""
        early = self._state.early
        if place in self._settled:
            return
        if place in early or len(early) < EARLY_RECEIPTS_MAX:
            early[place] = early.get(place, frozenset()) | {holder}

    # Receipts.

    def pending(self) -> dict[_Place, tuple[float, frozenset[str]]]:
        """The own erasures that somebody has not confirmed yet: since when, and who."""
        found: dict[_Place, tuple[float, frozenset[str]]] = {}
        if not self._state.awaited:
            return found
        codes = [pin.code for pin in self._replica.roster.pins()]
        own = self._replica.identity.code
        for place, awaited in list(self._state.awaited.items()):
            lacking = frozenset(
                code
                for code in codes
                if code != own
                and code not in awaited.confirmed
                and in_reach(code, own, awaited.slots, awaited.to)
            )
            if not lacking:
                del self._state.awaited[place]
                self._settled.add(place)
            else:
                found[place] = awaited.time, lacking
        return found

    @property
    def owes(self) -> bool:
        """Whether erasures were applied that this node has not confirmed."""
        return bool(self._state.owed)

    def receipts(self) -> list[DraftEntry]:
        """What confirms all that was applied: few entries, each addressed to at most four origins.

        Whoever stands above hears of every entry of this kind; those below are named.
        """
        own = self._replica.identity.code
        by_code: dict[str, list[_Place]] = {}
        for origin, index in self._state.owed:
            code = parse_origin(origin).code
            by_code.setdefault(code if is_within(code, own) else "", []).append((origin, index))
        above = by_code.pop("", [])
        drafts = list(_receipts(above, ()))
        codes = sorted(by_code)
        for at in range(0, len(codes), SELECTORS_MAX):
            named = codes[at : at + SELECTORS_MAX]
            places = [place for code in named for place in by_code[code]]
            drafts += _receipts(places, tuple(f"={code}" for code in named))
        return drafts

    # Deleting.

    def _add(self, spans: Iterable[Span]) -> None:
        by_origin: dict[str, list[tuple[int, int, bytes]]] = {}
        for span in spans:
            by_origin.setdefault(span.origin, []).append((span.start, span.stop, span.slots))
        for origin, ranges in by_origin.items():
            self._state.spans[origin] = self.of(origin).plus(ranges)

    def _erase(self, spans: Sequence[Span]) -> None:
        before = {span.origin: self.of(span.origin) for span in spans}
        self._add(spans)
        self._replica.store.add_erased(spans)
        self.fresh.extend(spans)
        for span in spans:
            feed = self._replica.feeds.get(span.origin)
            if feed is not None:
                self._delete(feed, span, before[span.origin])
                self._replica.grants.erased(span)

    def _delete(self, feed: FeedState, span: Span, before: Spans) -> None:
        """Delete what is held of a span, and ask no more for what is not.

        Of what had been erased `before`, nothing is left to do.
        """
        replica = self._replica
        deleted = 0
        stop = min(span.stop, feed.size)
        wanted = Spans().plus([(span.start, span.stop, span.slots)]).at(span.start)
        now = replica.clock.now()
        for start in range(span.start, stop, _PAGE_ENTRIES):
            page = replica.store.entries(feed.feed_id, start, min(start + _PAGE_ENTRIES, stop))
            for index, stored in enumerate(page, start):
                slots = _to_delete(stored, wanted)
                if slots and not set(slots) <= set(before.at(index)):
                    granted = replica.grants.of_this_node(feed.origin, index, now)
                    deleted += take_away(replica, feed, index, stored, slots, granted)
        rows = [
            row
            for row in replica.missing.get(feed.origin, ())
            if row.slots and span.start <= row.start < span.stop
        ]
        if rows:
            replica.change_missing(feed, rows, _less(rows, wanted))
        if deleted:
            feed = replace(
                feed,
                openings_held=feed.openings_held - deleted,
                openings_withheld=feed.openings_withheld + deleted,
            )
        replica.put(feed)


def statement_origin(network: str, entry: Applied, named: str) -> Origin:
    """The feed that a statement of erasure or disclosure speaks of.

    Raises HuyingError(BAD_RECORD) for one that is not the writer's own, up to its epoch.
    """
    if not named:
        return Origin(network, entry.home, entry.epoch)
    try:
        origin = parse_origin(named)
    except HuyingError:
        raise HuyingError(Code.BAD_RECORD, "origin: not the name of a feed") from None
    if origin.network != network or origin.code != entry.home or origin.epoch > entry.epoch:
        raise HuyingError(Code.BAD_RECORD, f"origin: not a feed that {entry.home} wrote before")
    return origin


def spans_of(
    network: str, entry: Applied, ranges: Sequence[trust_pb2.IndexRange], named: str
) -> list[Span]:
    """The ranges of a statement, checked. Raises HuyingError(BAD_RECORD)."""
    origin = statement_origin(network, entry, named)
    stop_max = entry.index if origin.epoch == entry.epoch else TREE_SIZE_MAX
    if len(ranges) > LATE_RANGES_MAX:
        raise HuyingError(Code.BAD_RECORD, f"ranges: over {LATE_RANGES_MAX}")
    if sum(one.stop - one.start for one in ranges) > LATE_SPAN_ENTRIES_MAX:
        raise HuyingError(Code.BAD_RECORD, f"ranges: over {LATE_SPAN_ENTRIES_MAX} entries")
    for one in ranges:
        if not one.start < one.stop <= stop_max:
            raise HuyingError(Code.BAD_RECORD, f"ranges: no entries [{one.start}, {one.stop})")
        if list(one.slots) != sorted(set(one.slots)) or HEAD_SLOT in one.slots:
            raise HuyingError(Code.BAD_RECORD, "ranges: slots ascend, and the head is not among")
    return [Span(str(origin), one.start, one.stop, one.slots) for one in ranges]


def _receipts(places: Sequence[_Place], to: tuple[str, ...]) -> Iterable[DraftEntry]:
    for at in range(0, len(places), RECEIPT_ERASURES_MAX):
        receipt = trust_pb2.ErasureReceipt(
            erasures=[
                trust_pb2.ErasureRef(origin=origin, index=index)
                for origin, index in places[at : at + RECEIPT_ERASURES_MAX]
            ]
        )
        kind, type_ = feed_pb2.KIND_RECEIPT, feed_pb2.RECORD_TYPE_ERASURE_RECEIPT
        yield DraftEntry(kind, type_, receipt, to=to)


def _to_delete(stored: StoredEntry, wanted: bytes) -> bytes:
    """The slots of an entry that are to be gone, held here or not; none without its head."""
    if stored.leaf is None or not stored.openings:
        return b""
    openings = unpack_openings(stored.openings)
    if openings[0][0] != HEAD_SLOT:
        return b""
    head = feed_pb2.Head.FromString(openings[0][BODY_OFFSET:])
    mine = erasable(head.type, leaf_slots(stored.leaf))
    return bytes(slot for slot in mine if slot in wanted)


def _less(rows: Iterable[Missing], erased: bytes) -> list[Missing]:
    """What stays missing of these rows. Without its head an entry may yet prove a statement."""
    left = []
    for row in rows:
        slots = bytes(slot for slot in row.slots if slot not in erased)
        if slots:
            left.append(row._replace(slots=slots))
    return left
