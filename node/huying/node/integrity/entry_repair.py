"""Repairing the entries of one feed whose tree is sound, and all that its row says of them.

An opening that is not the one signed goes; so does one that was erased. What this node may read
and has not got is put on the list of what is missing, so that the running node asks for it: by
compartment where the head is here, by the gap in the running numbers where it is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from google.protobuf.message import DecodeError

from huying.common.codes import parse_origin
from huying.common.disclosure import View, view
from huying.common.errors import HuyingError
from huying.common.feed.leaf import (
    BODY_OFFSET,
    HEAD_SLOT,
    commitment,
    commitment_prefix,
    leaf_commitment,
    leaf_slots,
    pack_openings,
    unpack_openings,
)
from huying.common.late.spans import Spans, erasable
from huying.common.state import DAMAGED, ClassMark, FeedState, Missing, StoredEntry
from huying.node.integrity.repair_report import RepairReport
from huying.node.store.replay import is_past_epoch, lost_of, numberless
from huying.node.store.store import SqlStore
from huying.wire.v1 import feed_pb2

__all__ = ["EntryWalk"]

_PAGE: Final = 512
_UNKNOWN: Final = StoredEntry(None, bytes(32), b"")


class EntryWalk:
    """One feed; `erased` is what was erased of it, `code` this node's own, `now` unix seconds."""

    def __init__(
        self, store: SqlStore, code: str, feed: FeedState, erased: Spans, now: float
    ) -> None:
        self._store = store
        self._code = code
        self._feed = feed
        self._erased = erased
        self._now = now
        self._origin = parse_origin(feed.origin)
        self._own = self._origin.code == code
        self._prefix = commitment_prefix(feed.origin)
        # Nobody asks for what the feed says is lost, nor for anything of an own epoch of before.
        self._lost = lost_of(store, feed)
        self._is_past = is_past_epoch(store, feed, code)
        self._old = store.missing(feed.feed_id)
        self._new: list[Missing] = []
        self._slots: dict[int, bytes] = {}  # what each entry lacks
        self._seen: dict[str, list[tuple[int, int]]] = {}  # class -> (number, index)
        self._held = self._withheld = self._hidden = self._dropped = 0

    def run(self, doubtful: Sequence[tuple[int, int]], report: RepairReport) -> FeedState:
        """Repair; the feed's row. `doubtful` are ranges of leaves that are to be got anew."""
        feed = self._feed
        self._new = [Missing(*place, b"", DAMAGED, 0, 0, self._now) for place in doubtful]
        skipped = numberless(self._store, feed)
        for start in range(0, feed.size, _PAGE):
            self._page(start, min(start + _PAGE, feed.size), doubtful, skipped)
        classes = self._numbers()
        self._keep_old()
        self._tell(doubtful, report)
        self._store.replace_missing(feed.feed_id, self._old, self._new)
        return replace(
            feed,
            classes=classes,
            openings_held=self._held,
            openings_withheld=self._withheld,
            entries_hidden=self._hidden,
        )

    def _page(
        self, start: int, stop: int, doubtful: Sequence[tuple[int, int]], skipped: set[int]
    ) -> None:
        found = self._store.entry_rows(self._feed.feed_id, start, stop)
        for index in range(start, stop):
            in_doubt = any(first <= index < last for first, last in doubtful)
            entry = found.get(index)
            entry = self._in_doubt(entry) if in_doubt else self._sound(index, entry or _UNKNOWN)
            if entry != found.get(index):
                self._store.set_entry(self._feed.feed_id, index, entry)
            self._count(entry)
            if index not in skipped:
                self._look(index, entry, in_doubt)
                self._excuse(index)

    def _in_doubt(self, entry: StoredEntry | None) -> StoredEntry:
        """Kept as it is as far as it can be read: an answer may bear it out."""
        if entry is None or not isinstance(entry.openings, bytes):
            return _UNKNOWN
        try:
            unpack_openings(entry.openings)
        except HuyingError:
            entry = entry._replace(openings=b"")
        if isinstance(entry.leaf, bytes):
            return entry._replace(leaf_hash=None)
        digest = entry.leaf_hash
        sound = isinstance(digest, bytes) and len(digest) == len(_UNKNOWN.leaf_hash or b"")
        return StoredEntry(None, digest, b"") if sound else _UNKNOWN

    def _sound(self, index: int, entry: StoredEntry) -> StoredEntry:
        """An entry whose leaf stands, with those openings alone that belong to it."""
        if entry.leaf is None:
            return StoredEntry(None, entry.leaf_hash, b"")
        try:
            slots = leaf_slots(entry.leaf)
            openings = _openings(entry.openings)
        except (HuyingError, TypeError):
            slots, openings = b"", []
        kept: dict[int, bytes] = {}
        for opening in openings:
            at = slots.find(opening[:1])
            if at >= 0 and commitment(self._prefix, opening) == leaf_commitment(entry.leaf, at):
                kept[opening[0]] = opening
        head = _head(kept)
        gone = erasable(head.type, slots) if head is not None else b""
        for slot in bytes(slot for slot in gone if slot in self._erased.at(index)):
            kept.pop(slot, None)
        if head is None:
            kept = {}  # without it nobody can say who may read the rest
        packed = pack_openings(kept[slot] for slot in sorted(kept))
        self._dropped += packed != entry.openings
        return StoredEntry(entry.leaf, None, packed)

    def _count(self, entry: StoredEntry) -> None:
        """An entry's part in the counters."""
        if entry.leaf is None:
            self._hidden += 1
            return
        try:
            count = len(leaf_slots(entry.leaf))
        except HuyingError:
            count = 0
        held = len(unpack_openings(entry.openings))
        self._held += held
        self._withheld += count - held

    def _look(self, index: int, entry: StoredEntry, in_doubt: bool) -> None:
        """What an entry whose number counts says of the running numbers, and what it lacks.

        One in doubt is asked for as a whole; its number counts where its head is the one signed.
        """
        openings = [opening for opening in unpack_openings(entry.openings) if opening]
        head = _head({opening[0]: opening for opening in openings})
        if head is None or entry.leaf is None:
            if self._own and not in_doubt:
                self._slots[index] = bytes((HEAD_SLOT,))
            return
        try:
            slots = leaf_slots(entry.leaf)
            seen_by = view(self._code, self._origin.code, slots, tuple(head.to))
        except HuyingError:
            return
        if in_doubt:
            if commitment(self._prefix, openings[0]) == leaf_commitment(entry.leaf, 0):
                self._note_numbers(index, head, seen_by)
            return
        present = bytes(opening[0] for opening in openings)
        erased = self._erased.at(index) if erasable(head.type, slots) else b""
        lacking = bytes(s for s in seen_by.readable if s not in present and s not in erased)
        if lacking:
            self._slots[index] = lacking
        self._note_numbers(index, head, seen_by)

    def _excuse(self, index: int) -> None:
        slots = self._slots.pop(index, b"")
        left = bytes(slot for slot in slots if slot not in self._lost.at(index))
        if left and not self._is_past:
            self._slots[index] = left

    def _note_numbers(self, index: int, head: feed_pb2.Head, seen_by: View) -> None:
        if len(head.seen) != len(seen_by.classes):
            return
        names = seen_by.classes if self._own else (seen_by.class_name,)
        for name in filter(None, names):
            number = head.seen[seen_by.classes.index(name)]
            self._seen.setdefault(name, []).append((number, index))

    def _numbers(self) -> dict[str, ClassMark]:
        """The running numbers as the entries say them; a gap among them is missing."""
        classes: dict[str, ClassMark] = {}
        for name, seen in self._seen.items():
            last = ClassMark(0, -1)
            for number, index in seen:
                if number > last.number + 1 and not self._own:
                    self._gap(name, last, number, index)
                if number > last.number:
                    last = ClassMark(number, index)
            classes[name] = last
        for name, mark in self._feed.classes.items():
            last = classes.get(name, ClassMark(0, -1))
            if not last.number < mark.number <= mark.index + 1 <= self._feed.size:
                continue
            if self._own and (self._hidden or self._lost.starts):
                classes[name] = mark  # what was given out, perhaps to an entry that is gone
            elif any(row.name == name and row.last == mark.number for row in self._old):
                classes[name] = mark  # a pulse had shown so much
                self._gap(name, last, mark.number + 1, mark.index + 1)
        return classes

    def _gap(self, name: str, last: ClassMark, number: int, index: int) -> None:
        row = Missing(last.index + 1, index, b"", name, last.number + 1, number - 1, self._now)
        self._new.append(row)

    def _keep_old(self) -> None:
        """What was missing before, and is so still, keeps the time since when it is."""
        for index, slots in self._slots.items():
            self._new.append(Missing(index, index + 1, slots, "", 0, 0, self._now))
        since = {row[:-1]: row.since for row in self._old}
        headless = [row for row in self._old if row.slots and row.start not in self._slots]
        for row in headless:
            # A leaf without its head tells nobody whether it is this node's to read: keep asking.
            (entry,) = self._store.entries(self._feed.feed_id, row.start, row.stop) or (None,)
            if entry is not None and entry.leaf is not None and not entry.openings:
                self._new.append(row)
        self._new = [row._replace(since=since.get(row[:-1], row.since)) for row in self._new]

    def _tell(self, doubtful: Sequence[tuple[int, int]], report: RepairReport) -> None:
        origin = self._feed.origin
        if self._dropped:
            zh = f"{self._dropped} 条的内容与签名不符,已删除"
            en = f"{self._dropped} entries had openings that are not those signed: dropped"
            report.mended(origin, zh, en)
        if doubtful:
            count = sum(stop - start for start, stop in doubtful)
            zh = f"{count} 条的叶子存疑:启动节点,由对方重新取得"
            en = f"{count} leaves are in doubt: run the node, which gets them from its peer"
            report.remains(origin, zh, en)
        lacking = sum(1 for row in self._new if row.name != DAMAGED and row not in self._old)
        if lacking and self._own:
            zh = f"本级 {lacking} 处内容缺失:启动节点,向上下级索取;无人持有的将列为丢失"
            en = f"{lacking} openings of the own feed are gone: run the node, which asks its"
            en += " neighbours; what none of them holds stays listed as lost"
            report.remains(origin, zh, en)
        elif lacking:
            zh = f"{lacking} 处内容缺失:启动节点,由对方补齐"
            en = f"{lacking} things are missing: run the node, which asks its peer for them"
            report.remains(origin, zh, en)


def _openings(packed: bytes) -> list[bytes]:
    """As many as can be read of a value that may be damaged."""
    openings = []
    at = 0
    while at + 2 <= len(packed):
        start = at + 2
        at = start + int.from_bytes(packed[at:start], "big")
        if BODY_OFFSET <= at - start <= len(packed) - start:
            openings.append(packed[start:at])
    return openings


def _head(openings: dict[int, bytes]) -> feed_pb2.Head | None:
    opening = openings.get(HEAD_SLOT)
    if opening is None:
        return None
    try:
        return feed_pb2.Head.FromString(opening[BODY_OFFSET:])
    except DecodeError:
        return None
