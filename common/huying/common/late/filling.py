"""What changes in an entry after it was received: answers fill it in, openings are taken away.

An answer may bring all that was asked for, a part, or a leaf that shows how much more there is; and
the head it brings may carry a running number that no entry has shown yet. Whoever answers with less
than the rule allows leaves the rest on the list, so that nothing is settled by half an answer.
What an erasure or the end of a disclosure takes away leaves the leaf, and so every root, as it was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from huying.common.errors import Code, HuyingError
from huying.common.feed.leaf import pack_openings, unpack_openings
from huying.common.feed.merkle import leaf_hash
from huying.common.intake import Granted, Intake, Judgement, Reader, count_number, judge_entry
from huying.common.limits import ENTRY_BYTES_MAX
from huying.common.state import Applied, ClassMark, FeedState, Missing, StoredEntry
from huying.common.sync.outgoing import entry_hash
from huying.wire.v1 import feed_pb2

if TYPE_CHECKING:
    from huying.common.replica import Replica

__all__ = ["Settlement", "fill_in", "projected", "settle", "take_away"]


@dataclass(frozen=True, slots=True)
class Settlement:
    """What changes in a feed's list of missing rows, its running numbers and its quarantine."""

    old: tuple[Missing, ...]
    new: tuple[Missing, ...]
    classes: Mapping[str, ClassMark]  # those that moved
    quarantine: tuple[tuple[int, Code, str], ...]
    counts: bool  # whether the entry's running number is its own, so that it may be applied


def settle(
    missing: Sequence[Missing],
    classes: Mapping[str, ClassMark],
    index: int,
    verdict: Judgement,
    *,
    newly_headed: bool,
    now: float,
) -> Settlement:
    """Settle the entry at `index`, judged with all that is held of it now.

    `classes` are this reader's running numbers so far, `now` is unix seconds. A row that stays
    missing keeps the time since when it is.
    """
    name, number = "", 0
    if newly_headed and verdict.head is not None and verdict.view is not None:
        name = verdict.view.class_name
        number = verdict.head.seen[verdict.view.class_position] if name else 0
    old: list[Missing] = []
    new: list[Missing] = []
    since, expected = now, False
    for row in missing:
        if row.slots and row.start == index:
            old.append(row)
            since = row.since
        elif name and row.name == name and row.first <= number <= row.last:
            old.append(row)
            expected = True
            if row.first < number:
                new.append(row._replace(stop=index, last=number - 1))
            if number < row.last:
                new.append(row._replace(start=index + 1, first=number + 1))
    if verdict.wanted:
        new.append(Missing(index, index + 1, verdict.wanted, "", 0, 0, since))
    counted = Intake()
    counts = True
    if name and not expected:
        mark = classes.get(name, ClassMark(0, -1))
        counts = count_number(counted, name, mark, number, index, now)
        new.extend(counted.missing)
    return Settlement(
        old=tuple(row for row in old if row not in new),
        new=tuple(row for row in new if row not in old),
        classes=counted.classes,
        quarantine=tuple(counted.quarantined),
        counts=counts,
    )


def fill_in(
    replica: Replica, origin: str, index: int, entry: feed_pb2.Entry, now: float
) -> tuple[bool, Judgement]:
    """Fill in one entry from a late answer; whether it brought anything, and what is held then.

    `now` is unix seconds. Raises HuyingError(BAD_PROOF) where the leaf is not the one held as a
    hash, LIMIT_EXCEEDED for an entry over 16 KiB, OPENING_MISMATCH or BREACH where an opening does
    not belong here.
    """
    feed = replica.feeds.get(origin)
    if feed is None or index >= feed.size:
        raise HuyingError(Code.NOT_SERVED, f"entry {index} of {origin} is not held")
    if len(entry.leaf) + sum(map(len, entry.openings)) > ENTRY_BYTES_MAX:
        raise HuyingError(Code.LIMIT_EXCEEDED, f"an entry over {ENTRY_BYTES_MAX} bytes")
    held = replica.store.entries(feed.feed_id, index, index + 1)[0]
    if leaf_hash(entry.leaf) != entry_hash(held):
        raise HuyingError(Code.BAD_PROOF, f"another leaf for entry {index} of {origin}")
    before = unpack_openings(held.openings)
    known = {opening[0] for opening in before}
    fresh = [o for o in entry.openings if o and o[0] not in known]
    reader = replica.reader_of(feed)
    granted = replica.grants.of_this_node(origin, index, now)
    openings = sorted((*before, *fresh))
    erased = reader.erased.at(index)
    verdict = judge_entry(reader, entry.leaf, openings, erased=erased, granted=granted)
    gained = len(verdict.present) - len(before)
    if verdict.breaches:
        raise HuyingError(Code.BREACH, f"entry {index} of {origin}")
    if verdict.mismatches:
        raise HuyingError(Code.OPENING_MISMATCH, f"entry {index} of {origin}")
    if gained <= 0 and held.leaf is not None:
        return False, verdict
    replica.store.set_entry(feed.feed_id, index, verdict.entry)
    missing = replica.missing.get(origin, ())
    settlement = settle(missing, feed.classes, index, verdict, newly_headed=not before, now=now)
    if settlement.old or settlement.new:
        replica.change_missing(feed, settlement.old, settlement.new)
    hidden = held.leaf is None
    shown = len(verdict.slots) - len(verdict.present)
    was_shown = 0 if hidden else len(verdict.slots) - len(before)
    quarantined = list(settlement.quarantine)
    if verdict.quarantine is not None:
        quarantined.append((index, *verdict.quarantine))
    newly = replica.quarantine(feed, quarantined, now)
    if settlement.counts:
        replica.project(projected(reader, index, verdict))
    replica.put(
        replace(
            feed,
            classes={**feed.classes, **settlement.classes},
            openings_held=feed.openings_held + gained,
            openings_withheld=feed.openings_withheld + shown - was_shown,
            entries_hidden=feed.entries_hidden - hidden,
            quarantined=feed.quarantined + newly,
        )
    )
    return gained > 0, verdict


def take_away(
    replica: Replica,
    feed: FeedState,
    index: int,
    entry: StoredEntry,
    slots: bytes,
    granted: Granted | None,
) -> int:
    """Delete the openings of `slots` that are held of one entry; how many there were.

    The projections show of the others, too, why they are not there.

    `granted` is what disclosures still open to this node. The caller takes the number out of the
    feed's counters.
    """
    held = unpack_openings(entry.openings)
    kept = [opening for opening in held if opening[0] not in slots]
    assert entry.leaf is not None, "an entry with openings has its leaf"
    if len(kept) < len(held):
        stored = StoredEntry(entry.leaf, None, pack_openings(kept))
        replica.store.set_entry(feed.feed_id, index, stored)
    reader = replica.reader_of(feed)
    erased = reader.erased.at(index)
    verdict = judge_entry(reader, entry.leaf, kept, erased=erased, granted=granted)
    replica.project_again(projected(reader, index, verdict))
    return len(held) - len(kept)


def projected(reader: Reader, index: int, verdict: Judgement) -> list[Applied]:
    """The entry for the projections; none where it did not pass."""
    if verdict.head is None or verdict.message is None:
        return []
    place = reader.feed_id, reader.origin.code, reader.origin.epoch, index
    shown = verdict.slots, verdict.present
    return [Applied(*place, verdict.head, *shown, verdict.message, verdict.erased)]
