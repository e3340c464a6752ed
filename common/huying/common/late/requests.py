"""What an operator asks about entries that stand: erase a record, erase by age, disclose fields.

Each is one operation, so it finds, writes and deletes in one transaction. A field that shares its
compartment with another is refused by name: disclosure and erasure act on compartments.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from huying.common.codes import is_within, level, parse_origin
from huying.common.disclosure import in_reach
from huying.common.effects import DraftEntry
from huying.common.errors import Code, HuyingError
from huying.common.feed.audience import fields_by_slot, slot_of
from huying.common.feed.leaf import BODY_OFFSET, HEAD_SLOT, leaf_slots, unpack_openings
from huying.common.late.grants import is_on_line
from huying.common.late.spans import Span, erasable
from huying.common.limits import (
    COMMIT_ENTRIES_MAX,
    LATE_RANGES_MAX,
    LATE_SPAN_ENTRIES_MAX,
    PROVISION_KEPT_DAYS_MIN,
    SELECTORS_MAX,
)
from huying.common.membership.trust import check_may_write
from huying.common.records.registry import REGISTRY
from huying.common.state import StoredEntry
from huying.wire.v1 import feed_pb2, trust_pb2

if TYPE_CHECKING:
    from huying.common.engine import Engine

__all__ = ["DiscloseRecord", "EraseRecord", "EraseSpans", "Erased", "chosen_slots"]


_LEDGER: Final = frozenset(
    {
        int(feed_pb2.RECORD_TYPE_PROVISION_REQUEST),
        int(feed_pb2.RECORD_TYPE_PROVISION_DECISION),
        int(feed_pb2.RECORD_TYPE_PROVISION_RECEIPT),
    }
)


@dataclass(frozen=True, slots=True)
class Erased:
    """What an erasure wrote and deleted."""

    origin: str
    index: int  # of the erase entry; the last, where there are several
    entries: int  # in which something was deleted
    openings: int
    holders: tuple[str, ...]  # codes that will answer with a receipt


class _Target(NamedTuple):
    """An entry of the own feed, and what is to be done with it."""

    origin: str
    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody calls
    slots: bytes  # to be treated
    held: int  # how many of them are held
    to: tuple[str, ...]


def chosen_slots(record_type: int, home: str, fields: Sequence[str]) -> bytes:
    """The compartments that carry just these fields of a record of the division `home`.

    Raises HuyingError: UNKNOWN_TYPE; INVALID_ARGUMENT for a field that the type has not; NOT_ALONE
    for one that shares its compartment with a field not among these.
    """
    spec = REGISTRY.get(record_type)
    if spec is None:
        raise HuyingError(Code.UNKNOWN_TYPE, f"record type {record_type}")
    descriptor: Any = spec.message_class.DESCRIPTOR
    tier = int(level(home))
    chosen = set()
    for name in fields:
        slot = slot_of(descriptor, tier, name)
        others = [o for o in fields_by_slot(descriptor, tier)[slot] if o not in fields]
        if others:
            raise HuyingError(
                Code.NOT_ALONE, f"{name} shares its compartment with {', '.join(others)}"
            )
        chosen.add(slot)
    return bytes(sorted(chosen))


@dataclass(frozen=True, slots=True)
class EraseRecord:
    """Delete a record of this node, in all its versions: whole, or just some of its fields.

    `also`: entries that go along where they are held, as pictures of it do.
    """

    record: bytes
    fields: tuple[str, ...] = ()
    reason: str = ""
    also: tuple[Span, ...] = ()

    def run(self, engine: Engine) -> Erased:
        """Raises HuyingError: NOT_FOUND; as `chosen_slots`; INVALID_ARGUMENT for what stands."""
        check_may_write(engine)
        engine.replica.flush()
        targets = []
        for origin, index, entry, head in _own_entries(engine, self.record):
            assert entry.leaf is not None
            _refuse_ledger(head, engine.clock.now())
            slots = leaf_slots(entry.leaf)
            mine = erasable(head.type, slots)
            if self.fields:
                chosen = chosen_slots(head.type, engine.identity.code, self.fields)
                _refuse_standing(head.type, chosen, slots, mine)
                mine = bytes(slot for slot in mine if slot in chosen)
            held = sum(o[0] in mine for o in unpack_openings(entry.openings))
            if held:
                targets.append(_Target(origin, index, mine, held, tuple(head.to)))
        if not targets:
            raise HuyingError(Code.NOT_FOUND, f"nothing is held of record {self.record.hex()}")
        targets += _in_spans(engine, self.also)
        return _erase(engine, targets, self.reason)


@dataclass(frozen=True, slots=True)
class EraseSpans:
    """Delete entries of this node, all but their heads, or the slots that a span names of them."""

    spans: tuple[Span, ...]
    reason: str = ""

    def run(self, engine: Engine) -> Erased:
        """Raises HuyingError(NOT_FOUND) where nothing of it is held, or as `check_may_write`."""
        check_may_write(engine)
        engine.replica.flush()
        targets = list(_in_spans(engine, self.spans))
        if not targets:
            raise HuyingError(Code.NOT_FOUND, "nothing is held of these entries")
        return _erase(engine, targets, self.reason)


def _in_spans(engine: Engine, spans: Iterable[Span]) -> Iterator[_Target]:
    """What is held of these entries. Raises HuyingError(NOT_FOUND) for another node's feed."""
    replica = engine.replica
    for span in spans:
        feed = replica.feeds.get(span.origin)
        if feed is None or parse_origin(span.origin).code != engine.identity.code:
            raise HuyingError(Code.NOT_FOUND, f"no feed {span.origin} of this node")
        stored = replica.store.entries(feed.feed_id, span.start, min(span.stop, feed.size))
        for index, entry in enumerate(stored, span.start):
            head = _head(entry)
            if head is None or entry.leaf is None:
                continue
            mine = erasable(head.type, leaf_slots(entry.leaf))
            mine = bytes(slot for slot in mine if slot in (span.slots or mine))
            held = sum(o[0] in mine for o in unpack_openings(entry.openings))
            if held:
                yield _Target(span.origin, index, mine, held, tuple(head.to))


@dataclass(frozen=True, slots=True)
class DiscloseRecord:
    """Open fields of a record's newest version to nodes on this node's line."""

    record: bytes
    fields: tuple[str, ...]
    readers: tuple[str, ...]
    purpose: str
    expires_micros: int = 0
    authority: str = ""

    def run(self, engine: Engine) -> tuple[str, int]:
        """Where the disclosure stands: origin and index.

        Raises HuyingError: NOT_FOUND; as `chosen_slots`; INVALID_ARGUMENT naming the field.
        """
        check_may_write(engine)
        engine.replica.flush()
        own = engine.identity.code
        if not self.fields:
            raise HuyingError(Code.INVALID_ARGUMENT, "fields: name what is to be disclosed")
        for reader in self.readers:
            if not is_on_line(own, reader):
                raise HuyingError(
                    Code.INVALID_ARGUMENT, f"readers: {reader} is not on the line of {own}"
                )
        if self.expires_micros and self.expires_micros <= engine.clock.now() * 1e6:
            raise HuyingError(Code.INVALID_ARGUMENT, "expires_micros: that is past")
        found = list(_own_entries(engine, self.record))
        if not found:
            raise HuyingError(Code.NOT_FOUND, f"no record {self.record.hex()}")
        origin, index, entry, head = found[-1]
        slots = chosen_slots(head.type, own, self.fields)
        held = {opening[0] for opening in unpack_openings(entry.openings)}
        if not held.issuperset(slots):
            raise HuyingError(Code.NOT_FOUND, "fields: not held here any more")
        below = [reader for reader in self.readers if is_within(reader, own)]
        above = [reader for reader in self.readers if reader not in below]
        groups = [below[at : at + SELECTORS_MAX] for at in range(0, len(below), SELECTORS_MAX)]
        drafts = []
        for number, group in enumerate(groups or [[]]):
            message = trust_pb2.Disclosure(
                ranges=[trust_pb2.IndexRange(start=index, stop=index + 1, slots=slots)],
                readers=[*([] if number else above), *group],
                purpose=self.purpose,
                expires_micros=self.expires_micros,
                authority=self.authority,
                origin="" if origin == engine.identity.origin else origin,
            )
            kind, type_ = feed_pb2.KIND_DISCLOSE, feed_pb2.RECORD_TYPE_DISCLOSURE
            to = tuple(f"={reader}" for reader in group)
            drafts.append(DraftEntry(kind, type_, message, to=to))
        receipts = engine.replica.append(drafts)
        return receipts[-1].origin, receipts[-1].index


def _own_entries(
    engine: Engine, record: bytes
) -> Iterator[tuple[str, int, StoredEntry, feed_pb2.Head]]:
    """The entries of a record in all epochs of the own feed, oldest first."""
    own = engine.identity.code
    feeds = [f for f in engine.replica.feeds.values() if parse_origin(f.origin).code == own]
    for feed in sorted(feeds, key=lambda one: parse_origin(one.origin).epoch):
        for index, entry in engine.replica.store.find_record(feed.feed_id, record):
            head = _head(entry)
            if head is not None and entry.leaf is not None:
                yield feed.origin, index, entry, head


def _head(entry: StoredEntry) -> feed_pb2.Head | None:
    openings = unpack_openings(entry.openings)
    if not openings or openings[0][0] != HEAD_SLOT:
        return None
    return feed_pb2.Head.FromString(openings[0][BODY_OFFSET:])


def _refuse_standing(record_type: int, chosen: bytes, slots: bytes, mine: bytes) -> None:
    """Raises HuyingError(INVALID_ARGUMENT) for compartments that no erasure takes."""
    if any(slot in slots and slot not in mine for slot in chosen):
        name = REGISTRY[record_type].name
        raise HuyingError(
            Code.INVALID_ARGUMENT, f"fields: what all parties share of a {name} stands"
        )


def _refuse_ledger(head: feed_pb2.Head, now: float) -> None:
    """Raises HuyingError(INVALID_ARGUMENT): what was provided to whom is kept for three years."""
    age_days = (now - head.time_micros / 1e6) / 86400
    if head.type in _LEDGER and age_days < PROVISION_KEPT_DAYS_MIN:
        raise HuyingError(
            Code.INVALID_ARGUMENT,
            f"record: of the ledger of provisions, which is kept {PROVISION_KEPT_DAYS_MIN} days;"
            " to end one now: huying disclosure withdraw",
        )


def _erase(engine: Engine, targets: Sequence[_Target], reason: str) -> Erased:
    """Write the statements; applying them deletes, here as everywhere."""
    selectors = _selectors(engine, targets)
    groups = [
        tuple(selectors[at : at + SELECTORS_MAX])
        for at in range(0, max(len(selectors), 1), SELECTORS_MAX)
    ]
    drafts = []
    for origin, ranges in _statements(targets):
        for to in groups:
            message = trust_pb2.Erasure(
                ranges=ranges,
                reason=reason,
                origin="" if origin == engine.identity.origin else origin,
            )
            kind, type_ = feed_pb2.KIND_ERASE, feed_pb2.RECORD_TYPE_ERASURE
            drafts.append(DraftEntry(kind, type_, message, to=to))
    if len(drafts) > COMMIT_ENTRIES_MAX:
        raise HuyingError(Code.LIMIT_EXCEEDED, f"over {COMMIT_ENTRIES_MAX} erase entries at once")
    receipts = engine.replica.append(drafts)
    own, everybody = engine.identity.code, tuple(selectors)
    # Every ancestor hears of an erasure: its only compartment is of the province's level.
    slots = bytes((HEAD_SLOT, 1))
    holders = {
        pin.code
        for pin in engine.roster.pins()
        if pin.code != own and in_reach(pin.code, own, slots, everybody)
    }
    return Erased(
        origin=receipts[-1].origin,
        index=receipts[-1].index,
        entries=len(targets),
        openings=sum(target.held for target in targets),
        holders=tuple(sorted(holders)),
    )


def _selectors(engine: Engine, targets: Sequence[_Target]) -> list[str]:
    """Whom the targets, and every disclosure of them, reached below; as few as say it."""
    own = engine.identity.code
    found = {selector for target in targets for selector in target.to}
    for target in targets:
        for grant in engine.replica.grants.of(target.origin, target.index, target.index + 1):
            found.update(f"={reader}" for reader in grant.readers if is_within(reader, own))
    regions = {selector[:-2] for selector in found if selector.endswith("/*")}
    return sorted(selector for selector in found if not _is_inside(selector, regions))


def _is_inside(selector: str, regions: Collection[str]) -> bool:
    """Whether a region that is selected, too, holds all that this one selects."""
    if selector.startswith("="):
        return any(is_within(selector[1:], region) for region in regions)
    code = selector[:-2]
    return any(region != code and is_within(code, region) for region in regions)


def _statements(
    targets: Iterable[_Target],
) -> Iterator[tuple[str, list[trust_pb2.IndexRange]]]:
    """The ranges of each statement: neighbours of like slots as one, all within the limits."""
    origin, ranges, entries = "", list[trust_pb2.IndexRange](), 0
    for target in sorted(targets):
        last = ranges[-1] if ranges and target.origin == origin else None
        full = entries >= LATE_SPAN_ENTRIES_MAX
        if (
            last is not None
            and not full
            and (last.stop, last.slots) == (target.index, target.slots)
        ):
            last.stop += 1
            entries += 1
            continue
        if ranges and (target.origin != origin or full or len(ranges) >= LATE_RANGES_MAX):
            yield origin, ranges
            ranges, entries = [], 0
        origin = target.origin
        ranges.append(
            trust_pb2.IndexRange(start=target.index, stop=target.index + 1, slots=target.slots)
        )
        entries += 1
    if ranges:
        yield origin, ranges
