"""Judging the entries of an accepted segment, one by one (steps 5 and 6 of docs/FEED.md).

5. An opening that this node must not have is dropped before storage (a *breach*); one that matches
   no commitment, or comes twice or without its head, is dropped and counts as *missing*.
6. A leaf or head that can't be decoded, or a record that this origin may not write, is kept opaque
   and *quarantined*. The running number of this reader's class shows a gap: what stands in it is
   *missing* too.

One bad entry stops nothing. This is the receive path's inner loop: every entry of every feed
passes here once at every node that may hear of it, so the common case runs on cached verdicts and
plain tuples, and the rare cases are functions of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final, NamedTuple

from google.protobuf.message import DecodeError, Message

from huying.common.codes import Origin, level, parse_origin
from huying.common.disclosure import View, may_read, view
from huying.common.errors import Code, HuyingError
from huying.common.feed.leaf import (
    BODY_OFFSET,
    HEAD_SLOT,
    commitment_prefix,
    leaf_slots,
    pack_openings,
    shown_slots,
    slot_level,
)
from huying.common.late.spans import NO_SPANS, Spans, erasable
from huying.common.records.registry import decode
from huying.common.state import Applied, ClassMark, Missing, StoredEntry
from huying.wire.v1 import feed_pb2

__all__ = [
    "NUMBERLESS",
    "Granted",
    "Intake",
    "Judgement",
    "Reader",
    "count_number",
    "judge",
    "judge_entry",
]

# An entry that is quarantined so has no running number that counts.
NUMBERLESS: Final = frozenset({Code.BAD_LEAF, Code.BAD_HEAD, Code.NUMBER_REUSED})
_NEVER = ClassMark(0, -1)
_HEAD = bytes((HEAD_SLOT,))
_TIME_MICROS_MAX = 2**62  # every database's signed 64-bit integer holds it
_SHAPES_MAX = 4096  # a peer may show many distinct ones; an honest feed has a dozen


class Reader:
    """Who judges, in which feed, and what it found out about the shapes of its entries.

    An entry's shape is its slots and its `to`: a feed of a million entries has a dozen, so verdicts
    on them are kept. `code` is the node's own division code, `feed` the origin's name, `erased`
    what was erased in it: it is not taken again, and not missed.
    """

    __slots__ = ("_places", "_views", "code", "erased", "feed", "feed_id", "origin", "prefix")

    def __init__(self, code: str, feed: str, feed_id: int) -> None:
        self.code = code
        self.feed = feed
        self.feed_id = feed_id
        self.origin: Origin = parse_origin(feed)
        self.prefix = commitment_prefix(feed)
        self.erased: Spans = NO_SPANS
        self._places: dict[bytes, dict[int, int]] = {}
        self._views: dict[tuple[bytes, tuple[str, ...]], View] = {}

    def places(self, leaf: bytes) -> dict[int, int]:
        """Where each slot's commitment starts in the leaf, by slot ascending.

        Raises HuyingError(BAD_LEAF).
        """
        if len(leaf) >= 2 and leaf[0] == 1 and len(leaf) == 2 + 33 * leaf[1]:
            found = self._places.get(leaf[2::33])
            if found is not None:
                return found
        slots = leaf_slots(leaf)
        own_level = level(self.origin.code)
        if any(slot_level(slot) > own_level for slot in slots):
            raise HuyingError(Code.BAD_LEAF, f"a slot below the origin's own level {own_level}")
        if len(self._places) >= _SHAPES_MAX:
            self._places.clear()
        made = {slot: 3 + 33 * position for position, slot in enumerate(slots)}
        self._places[slots] = made
        return made

    def view(self, slots: bytes, to: tuple[str, ...]) -> View:
        """What the reader may see of entries of this shape. Raises HuyingError(BAD_HEAD)."""
        found = self._views.get((slots, to))
        if found is None:
            found = view(self.code, self.origin.code, slots, to)
            if len(self._views) >= _SHAPES_MAX:
                self._views.clear()
            self._views[slots, to] = found
        return found


@dataclass(slots=True)
class Intake:
    """What a transaction writes for the entries of one segment."""

    stored: list[StoredEntry] = field(default_factory=list)
    applied: list[Applied] = field(default_factory=list)
    quarantined: list[tuple[int, Code, str]] = field(default_factory=list)
    missing: list[Missing] = field(default_factory=list)
    classes: dict[str, ClassMark] = field(default_factory=dict)
    openings_held: int = 0
    openings_withheld: int = 0
    hidden: int = 0
    breaches: int = 0
    mismatches: int = 0


class Judgement(NamedTuple):
    """One entry after steps 5 and 6. A plain tuple, since one is made for every entry."""

    entry: StoredEntry
    slots: bytes  # that the leaf shows; empty where the leaf is undecodable
    present: bytes  # slots whose openings are kept
    wanted: bytes  # slots that this node may read and was not given
    head: feed_pb2.Head | None
    view: View | None
    message: Message | None  # the record, where it passed
    quarantine: tuple[Code, str] | None
    breaches: int
    mismatches: int
    erased: bytes = b""  # slots that an erasure took


@dataclass(frozen=True, slots=True)
class Granted:
    """What disclosures open of one entry to this node, beyond the rule; its head with it."""

    slots: bytes
    lapsed: bytes = b""  # slots whose disclosure has run out: dropped, and nobody's fault


def judge_entry(
    reader: Reader,
    leaf: bytes,
    openings: Sequence[bytes],
    *,
    erased: bytes = b"",
    granted: Granted | None = None,
) -> Judgement:
    """Steps 5 and 6 for one entry whose leaf the signed root already covers.

    `erased` are the slots that erasures name of it; `granted` what disclosures open to this node,
    which no segment ever brings.
    """
    try:
        places = reader.places(leaf)
    except HuyingError as error:
        fault = (Code.BAD_LEAF, error.detail)
        return _opaque(leaf, shown_slots(leaf), fault, len(openings))
    slots = leaf[2::33]
    kept, mismatches = _matching(reader.prefix, leaf, places, openings)
    if HEAD_SLOT not in kept:
        return _headless(reader, leaf, slots, openings, mismatches, erased)
    try:
        head = feed_pb2.Head.FromString(kept[HEAD_SLOT][BODY_OFFSET:])
        seen_by = reader.view(slots, tuple(head.to))
        _check_head(head, seen_by)
    except DecodeError:
        return _opaque(leaf, slots, (Code.BAD_HEAD, "the head does not parse"), mismatches)
    except HuyingError as error:
        return _opaque(leaf, slots, (Code.BAD_HEAD, error.detail), mismatches)
    readable = seen_by.readable
    present = bytes(kept)
    breaches, wanted, gone = 0, b"", b""
    if present != readable or erased:
        if erased:
            gone = bytes(slot for slot in erasable(head.type, slots) if slot in erased)
        allowed, silent = readable, gone
        if granted is not None:
            allowed, silent = _HEAD + readable + granted.slots, gone + granted.lapsed
        for slot in present:
            if slot in gone or slot not in allowed:
                del kept[slot]
                breaches += slot not in silent
        present = bytes(kept)
        wanted = bytes(slot for slot in readable if slot not in kept and slot not in gone)
    quarantine = message = None
    if present:
        bodies = [opening[BODY_OFFSET:] for opening in kept.values()]
        try:
            message = decode(head, reader.origin.code, b"".join(bodies[1:]))
        except HuyingError as error:
            quarantine = (error.code, error.detail)
    return Judgement(
        StoredEntry(leaf, None, pack_openings(kept.values())),
        slots,
        present,
        wanted,
        head if present else None,
        seen_by,
        message,
        quarantine,
        breaches,
        mismatches,
        gone,
    )


def _check_head(head: feed_pb2.Head, seen_by: View) -> None:
    if head.time_micros > _TIME_MICROS_MAX:
        raise HuyingError(Code.BAD_HEAD, "`time_micros` is beyond any clock")
    if len(head.seen) != len(seen_by.classes):
        raise HuyingError(
            Code.BAD_HEAD,
            f"`seen` has {len(head.seen)} numbers for {len(seen_by.classes)} classes",
        )


def _matching(
    prefix: bytes, leaf: bytes, places: Mapping[int, int], openings: Iterable[bytes]
) -> tuple[dict[int, bytes], int]:
    """The openings that match the leaf's commitments, by slot ascending, and how many did not."""
    kept: dict[int, bytes] = {}
    mismatches = 0
    last = -1
    for opening in openings:
        slot = opening[0] if len(opening) >= BODY_OFFSET else -1
        at = places.get(slot)
        if at is None or slot <= last or sha256(prefix + opening).digest() != leaf[at : at + 32]:
            mismatches += 1
            continue
        kept[slot] = opening
        last = slot
    return kept, mismatches


def _opaque(leaf: bytes, slots: bytes, reason: tuple[Code, str], mismatches: int) -> Judgement:
    """Kept as a leaf alone: without a head nobody can say who may read what."""
    return Judgement(
        StoredEntry(leaf, None, b""), slots, b"", b"", None, None, None, reason, 0, mismatches
    )


def _headless(
    reader: Reader,
    leaf: bytes,
    slots: bytes,
    openings: Sequence[bytes],
    mismatches: int,
    erased: bytes,
) -> Judgement:
    """No head came. What the slots alone entitle this node to is missing, the rest unknowable."""
    code, origin = reader.code, reader.origin.code
    readable = [slot for slot in slots[1:] if may_read(code, origin, slot, ())]
    asked = (slot for slot in readable if slot not in erased)
    wanted = bytes((HEAD_SLOT, *asked)) if readable else b""
    dropped = mismatches if wanted else max(mismatches, len(openings))
    return Judgement(
        StoredEntry(leaf, None, b""), slots, b"", wanted, None, None, None, None, 0, dropped
    )


def judge(
    reader: Reader,
    start: int,
    entries: Sequence[tuple[bytes | None, Sequence[bytes]]],
    hashes: Sequence[bytes],
    classes: Mapping[str, ClassMark],
    now: float,
) -> Intake:
    """Judge the new entries of a segment, which start at index `start`.

    `classes` are this reader's running numbers so far; the result holds those that moved. `now` is
    unix seconds.
    """
    result = Intake()
    moved = result.classes
    spans = reader.erased if reader.erased.meets(start, start + len(entries)) else None
    for index, (leaf, openings), digest in zip(
        range(start, start + len(entries)), entries, hashes, strict=True
    ):
        if leaf is None:
            result.stored.append(StoredEntry(None, digest, b""))
            result.hidden += 1
            continue
        erased = spans.at(index) if spans is not None else b""
        verdict = judge_entry(reader, leaf, openings, erased=erased)
        result.stored.append(verdict.entry)
        result.openings_held += len(verdict.present)
        result.openings_withheld += len(verdict.slots) - len(verdict.present)
        if verdict.breaches or verdict.mismatches:
            result.breaches += verdict.breaches
            result.mismatches += verdict.mismatches
        if verdict.wanted:
            result.missing.append(Missing(index, index + 1, verdict.wanted, "", 0, 0, now))
        if verdict.quarantine is not None:
            result.quarantined.append((index, *verdict.quarantine))
        head, seen_by = verdict.head, verdict.view
        if head is None or seen_by is None:
            continue
        fresh = True
        if seen_by.class_position >= 0:
            name = seen_by.classes[seen_by.class_position]
            mark = moved.get(name) or classes.get(name) or _NEVER
            number = head.seen[seen_by.class_position]
            fresh = count_number(result, name, mark, number, index, now)
        if verdict.message is not None and fresh:
            result.applied.append(
                Applied(
                    reader.feed_id,
                    reader.origin.code,
                    reader.origin.epoch,
                    index,
                    head,
                    verdict.slots,
                    verdict.present,
                    verdict.message,
                    verdict.erased,
                )
            )
    return result


def count_number(
    result: Intake, name: str, mark: ClassMark, number: int, index: int, now: float
) -> bool:
    """Move the class's running number on; False where the number was used before."""
    if number > index + 1:
        detail = f"number {number} of class {name} in the entry at index {index}"
        result.quarantined.append((index, Code.BAD_HEAD, detail))
        return False
    if number <= mark.number:
        detail = f"number {number} of class {name} again, {mark.number} was seen"
        result.quarantined.append((index, Code.NUMBER_REUSED, detail))
        return False
    if number > mark.number + 1:
        result.missing.append(
            Missing(mark.index + 1, index, b"", name, mark.number + 1, number - 1, now)
        )
    result.classes[name] = ClassMark(number, index)
    return True
