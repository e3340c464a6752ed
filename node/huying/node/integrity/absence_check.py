"""Whether all that is absent from one feed is on record: as erased, or as missing.

What this node may read and has not got must be on its list of what is missing, or it would never
ask for it; an opening that was erased must not be there again; and the running numbers of the
node's own class must have no gap that the list does not name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from google.protobuf.message import DecodeError

from huying.common.codes import Origin, parse_origin
from huying.common.disclosure import view
from huying.common.errors import HuyingError
from huying.common.feed.leaf import BODY_OFFSET, HEAD_SLOT
from huying.common.late.spans import erasable
from huying.common.state import DAMAGED, FeedState, Missing
from huying.node.integrity.fsck_report import FsckReport
from huying.node.store.reader import Reader
from huying.node.store.replay import erased_of, is_past_epoch, lost_of, numberless
from huying.wire.v1 import feed_pb2

__all__ = ["AbsenceCheck"]


class AbsenceCheck:
    """One feed; its entries come in order. `code` is the node's own; empty: nothing is checked."""

    def __init__(
        self, reader: Reader, feed: FeedState, code: str, note: Callable[[str], None]
    ) -> None:
        self._feed = feed
        self._code = code
        self._note = note
        self._origin: Origin = parse_origin(feed.origin)
        self._own = self._origin.code == code
        # An own epoch of before may have been lost, and come back without what nobody held.
        self._is_past = is_past_epoch(reader, feed, code)
        self._erased = erased_of(reader, feed.origin)
        self._lost = lost_of(reader, feed)
        self._rows = reader.missing(feed.feed_id)
        self._slots: dict[int, set[int]] = {}
        for row in self._rows:
            if row.slots:
                self._slots.setdefault(row.start, set()).update(row.slots)
        self._damaged = [row for row in self._rows if row.name == DAMAGED]
        self._numberless = numberless(reader, feed)
        self._numbers: dict[str, list[tuple[int, int]]] = {}  # class -> gaps (first, last)
        self._last: dict[str, tuple[int, int]] = {}
        self._unread = 0

    def hidden(self, index: int) -> None:
        """An entry of which just the hash is held."""
        self._unread += 1
        listed = index in self._slots or self._is_past or self._lost.at(index)
        if self._own and not listed and not self._is_damaged(index):
            self._note(f"entry {index}: the own entry is gone, and not on record as missing")

    def _is_damaged(self, index: int) -> bool:
        return any(row.start <= index < row.stop for row in self._damaged)

    def entry(self, index: int, slots: bytes, openings: Sequence[bytes]) -> None:
        """An entry whose leaf is held; `slots` are empty where it is undecodable."""
        present = bytes(opening[0] for opening in openings if opening)
        if not slots or self._is_damaged(index):
            self._unread += 1
            return
        if HEAD_SLOT not in present:
            self._unread += 1
            known = (*self._slots.get(index, ()), *self._lost.at(index))
            listed = HEAD_SLOT in known or self._is_past
            if self._own and not listed:
                self._note(f"entry {index}: its head is gone, and not on record as missing")
            return
        try:
            head = feed_pb2.Head.FromString(openings[0][BODY_OFFSET:])
            gone = erasable(head.type, slots)
        except DecodeError:
            return  # in quarantine
        erased = bytes(slot for slot in gone if slot in self._erased.at(index))
        for slot in present:
            if slot in erased:
                self._note(
                    f"entry {index}: the opening of slot {slot:#04x} was erased, and is there"
                )
        if self._code:
            self._readable(index, slots, present, erased, head)

    def _readable(
        self, index: int, slots: bytes, present: bytes, erased: bytes, head: feed_pb2.Head
    ) -> None:
        try:
            seen_by = view(self._code, self._origin.code, slots, tuple(head.to))
        except HuyingError:
            return  # in quarantine
        asked = self._slots.get(index, set()).union(self._lost.at(index))
        for slot in seen_by.readable if not self._is_past else b"":
            if slot not in present and slot not in erased and slot not in asked:
                self._note(
                    f"entry {index}: the opening of slot {slot:#04x} is gone, and not on record"
                    " as erased or missing"
                )
        if len(head.seen) != len(seen_by.classes) or index in self._numberless:
            return
        names = seen_by.classes if self._own else (seen_by.class_name,)
        for name in filter(None, names):
            self._count(name, head.seen[seen_by.classes.index(name)], index)

    def _count(self, name: str, number: int, index: int) -> None:
        last = self._last.get(name, (0, -1))[0]
        if number > last + 1:
            self._numbers.setdefault(name, []).append((last + 1, number - 1))
        self._last[name] = (number, index)

    def finish(self, report: FsckReport) -> None:
        """Compare with the running numbers on record, and with the list."""
        for row in self._rows:
            if not 0 <= row.start <= row.stop <= self._feed.size or not _is_sound(row):
                self._note(f"[{row.start}, {row.stop}) is on record as missing")
        if self._own:
            report.openings_lost += sum(len(row.slots) for row in self._rows)
        else:
            report.entries_missing += len(self._rows) - len(self._damaged)
        report.entries_damaged += sum(row.stop - row.start for row in self._damaged)
        for name, mark in self._feed.classes.items():
            if not 0 < mark.number <= mark.index + 1 <= self._feed.size:
                self._note(f"class {name} stands at number {mark.number}, entry {mark.index}")
        # Nobody numbers the entries of an epoch that came back any more.
        unnumbered = self._is_past and not self._feed.classes
        if self._code and not unnumbered and not self._damaged:
            self._compare_numbers()

    def _compare_numbers(self) -> None:
        """Gaps are on record; what is on record was seen, or named by a gap at the end."""
        listed: dict[str, list[Missing]] = {}
        for row in self._rows:
            if row.name and row.name != DAMAGED:
                listed.setdefault(row.name, []).append(row)
        for name in self._last.keys() | self._feed.classes.keys():
            mark = self._feed.classes.get(name)
            number, index = self._last.get(name, (0, -1))
            gaps = [] if self._own else self._numbers.get(name, [])
            rows = listed.get(name, [])
            for first, last in gaps:
                covered = sum(
                    max(0, min(last, row.last) - max(first, row.first) + 1) for row in rows
                )
                if covered < last - first + 1:
                    self._note(f"class {name}: numbers {first} to {last} are gone, and not missed")
            if mark is None or (mark.number, mark.index) == (number, index):
                if mark is None:
                    self._note(f"class {name} stands at number {number}, and is not on record")
                continue
            ends = any(row.last == mark.number and row.stop - 1 == mark.index for row in rows)
            # The own numbers may have gone on where entries were lost, or given out anew.
            excused = self._own and self._unread and mark.number >= number
            if not ends and not excused:
                self._note(
                    f"class {name} stands at number {mark.number}, entry {mark.index}:"
                    f" the entries say {number}, entry {index}"
                )


def _is_sound(row: Missing) -> bool:
    if row.slots:
        return row.stop == row.start + 1 and not row.name and (row.first, row.last) == (0, 0)
    if row.name == DAMAGED:
        return (row.first, row.last) == (0, 0)
    return bool(row.name) and 1 <= row.first <= row.last
