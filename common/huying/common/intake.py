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
from functools import lru_cache
from hashlib import sha256
from typing import NamedTuple

from google.protobuf.message import DecodeError, Message

from huying.common.codes import Origin, level
from huying.common.disclosure import View, may_read, view
from huying.common.errors import Code, HuyingError
from huying.common.leaf import (
    BODY_OFFSET,
    HEAD_SLOT,
    commitment_prefix,
    leaf_slots,
    pack_openings,
    slot_level,
)
from huying.common.records import decode
from huying.common.state import Applied, ClassMark, Missing, StoredEntry
from huying.wire.v1 import feed_pb2

__all__ = ["Intake", "Judgement", "Reader", "judge", "judge_entry"]


_NEVER = ClassMark(0, -1)
_TIME_MICROS_MAX = 2**62  # every database's signed 64-bit integer holds it


@dataclass(frozen=True, slots=True)
class Reader:
    """Who judges, and in which feed."""

    code: str  # the node's own division code
    feed: str  # the origin's name
    origin: Origin  # and its parts
    feed_id: int
    now: float  # unix seconds


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
    slots: bytes  # that the leaf shows; empty where it is undecodable
    present: bytes  # slots whose openings are kept
    wanted: bytes  # slots that this node may read and was not given
    head: feed_pb2.Head | None
    view: View | None
    message: Message | None  # the record, where it passed
    quarantine: tuple[Code, str] | None
    breaches: int
    mismatches: int


@lru_cache(maxsize=4096)
def _positions(slots: bytes) -> Mapping[int, int]:
    """Where each slot's commitment starts in the leaf."""
    return {slot: 3 + 33 * position for position, slot in enumerate(slots)}


@lru_cache(maxsize=4096)
def _levels_fit(slots: bytes, origin_code: str) -> bool:
    return all(slot_level(slot) <= level(origin_code) for slot in slots)


def judge_entry(reader: Reader, leaf: bytes, openings: Sequence[bytes]) -> Judgement:
    """Steps 5 and 6 for one entry whose leaf the signed root already covers."""
    try:
        slots = leaf_slots(leaf)
    except HuyingError as error:
        return _opaque(leaf, b"", (Code.BAD_LEAF, error.detail), len(openings))
    if not _levels_fit(slots, reader.origin.code):
        detail = f"a slot below the origin's own level {level(reader.origin.code)}"
        return _opaque(leaf, slots, (Code.BAD_LEAF, detail), len(openings))
    kept, mismatches = _matching(reader.feed, leaf, slots, openings)
    if HEAD_SLOT not in kept:
        return _headless(reader, leaf, slots, openings, mismatches)
    try:
        head = feed_pb2.Head.FromString(kept[HEAD_SLOT][BODY_OFFSET:])
        seen_by = view(reader.code, reader.origin.code, slots, tuple(head.to))
        if head.time_micros > _TIME_MICROS_MAX:
            raise HuyingError(Code.BAD_HEAD, "`time_micros` is beyond any clock")
        if len(head.seen) != len(seen_by.classes):
            raise HuyingError(
                Code.BAD_HEAD,
                f"`seen` has {len(head.seen)} numbers for {len(seen_by.classes)} classes",
            )
    except DecodeError:
        return _opaque(leaf, slots, (Code.BAD_HEAD, "the head does not parse"), mismatches)
    except HuyingError as error:
        return _opaque(leaf, slots, (Code.BAD_HEAD, error.detail), mismatches)
    readable = seen_by.readable
    breaches = 0
    if len(kept) != len(readable) or bytes(kept) != readable:
        for slot in [slot for slot in kept if slot not in readable]:
            del kept[slot]
            breaches += 1
    present = bytes(kept)
    quarantine = None
    message = None
    if present:
        body = b"".join([kept[slot][BODY_OFFSET:] for slot in present[1:]])
        try:
            message = decode(head, reader.origin.code, body)
        except HuyingError as error:
            quarantine = (error.code, error.detail)
    return Judgement(
        entry=StoredEntry(leaf, None, pack_openings(kept.values())),
        slots=slots,
        present=present,
        wanted=bytes(slot for slot in readable if slot not in kept) if present != readable else b"",
        head=head if present else None,
        view=seen_by,
        message=message,
        quarantine=quarantine,
        breaches=breaches,
        mismatches=mismatches,
    )


def _matching(
    feed: str, leaf: bytes, slots: bytes, openings: Iterable[bytes]
) -> tuple[dict[int, bytes], int]:
    """The openings that match the leaf's commitments, by slot ascending, and how many did not."""
    prefix = commitment_prefix(feed)
    positions = _positions(slots)
    kept: dict[int, bytes] = {}
    mismatches = 0
    ascending = True
    last = -1
    for opening in openings:
        slot = opening[0] if len(opening) >= BODY_OFFSET else -1
        at = positions.get(slot)
        if at is None or slot in kept or sha256(prefix + opening).digest() != leaf[at : at + 32]:
            mismatches += 1
            continue
        kept[slot] = opening
        ascending = ascending and slot > last
        last = slot
    return (kept if ascending else dict(sorted(kept.items()))), mismatches


def _opaque(leaf: bytes, slots: bytes, reason: tuple[Code, str], mismatches: int) -> Judgement:
    """Kept as a leaf alone: without a head nobody can say who may read what."""
    return Judgement(
        StoredEntry(leaf, None, b""), slots, b"", b"", None, None, None, reason, 0, mismatches
    )


def _headless(
    reader: Reader, leaf: bytes, slots: bytes, openings: Sequence[bytes], mismatches: int
) -> Judgement:
    """No head came. What the slots alone entitle this node to is missing, the rest unknowable."""
    code, origin = reader.code, reader.origin.code
    readable = [slot for slot in slots[1:] if may_read(code, origin, slot, ())]
    wanted = bytes((HEAD_SLOT, *readable)) if readable else b""
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
) -> Intake:
    """Judge the new entries of a segment, which start at index `start`.

    `classes` are this reader's running numbers so far; the result holds those that moved.
    """
    result = Intake()
    moved = result.classes
    for index, (leaf, openings), digest in zip(
        range(start, start + len(entries)), entries, hashes, strict=True
    ):
        if leaf is None:
            result.stored.append(StoredEntry(None, digest, b""))
            result.hidden += 1
            continue
        verdict = judge_entry(reader, leaf, openings)
        result.stored.append(verdict.entry)
        result.openings_held += len(verdict.present)
        result.openings_withheld += len(verdict.slots) - len(verdict.present)
        if verdict.breaches or verdict.mismatches:
            result.breaches += verdict.breaches
            result.mismatches += verdict.mismatches
        if verdict.wanted:
            result.missing.append(Missing(index, index + 1, verdict.wanted, "", 0, 0, reader.now))
        if verdict.quarantine is not None:
            result.quarantined.append((index, *verdict.quarantine))
        head, seen_by = verdict.head, verdict.view
        if head is None or seen_by is None:
            continue
        fresh = True
        if seen_by.class_position >= 0:
            name = seen_by.classes[seen_by.class_position]
            mark = moved.get(name) or classes.get(name) or _NEVER
            fresh = _count(result, name, mark, head.seen[seen_by.class_position], index, reader)
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
                )
            )
    return result


def _count(
    result: Intake, name: str, mark: ClassMark, number: int, index: int, reader: Reader
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
            Missing(mark.index + 1, index, b"", name, mark.number + 1, number - 1, reader.now)
        )
    result.classes[name] = ClassMark(number, index)
    return True
