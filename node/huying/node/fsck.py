"""Checking a store against itself: what was signed must follow from the raw bytes that are held.

For each feed, from its first entry to its last:

1. the entries are all there, each as a leaf or as the hash of one
2. every opening is the one its leaf commits to
3. the leaves give every stored subtree, the frontier, and the root of every checkpoint held
4. frontier and rest give the newest signed root
5. the counters and the running numbers fit the entries
6. each signature verifies, where the key is given
7. the projections say what the entries say (`huying.node.store.projection_check`)

Reads in pages over one snapshot, so memory stays bounded and a running node does not disturb it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from huying.common.checkpoint import open_checkpoint
from huying.common.errors import HuyingError
from huying.common.leaf import (
    BODY_OFFSET,
    HEAD_SLOT,
    commitment,
    commitment_prefix,
    leaf_commitment,
    leaf_slots,
    unpack_openings,
)
from huying.common.merkle import (
    EMPTY_RANGE,
    STORED_LEVELS,
    CompactRange,
    append,
    leaf_hash,
    merge,
    root,
)
from huying.common.note import VerifierKey
from huying.common.state import FeedState, StoredCheckpoint, StoredEntry
from huying.node.store.projection_check import check_calls, check_projections
from huying.node.store.reader import Reader

__all__ = ["PAGE_ENTRIES", "PROBLEMS_SHOWN_MAX", "FsckReport", "check"]

PAGE_ENTRIES: Final = 1024
PROBLEMS_SHOWN_MAX: Final = 1000  # a store that is damaged all over needs no longer list
_LEVELS: Final = range(STORED_LEVELS, 49, STORED_LEVELS)


@dataclass(slots=True)
class FsckReport:
    """What was checked and what is wrong; a problem names the feed and the place in it."""

    feeds: int = 0
    entries_checked: int = 0
    openings_checked: int = 0
    checkpoints_checked: int = 0
    signatures_checked: int = 0
    rows_checked: int = 0
    problem_count: int = 0
    problems: list[str] = field(default_factory=list)  # the first PROBLEMS_SHOWN_MAX

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problem_count

    def note(self, where: str, what: str) -> None:
        """Count a problem, and keep it while there is room."""
        self.problem_count += 1
        if len(self.problems) < PROBLEMS_SHOWN_MAX:
            self.problems.append(f"{where}: {what}")


def check(reader: Reader, keys: Mapping[str, VerifierKey] | None = None) -> FsckReport:
    """Check the whole store. `keys` are the feed keys known, by origin.

    Problems are reported, not raised, but for HuyingError(STORE_FAILED or CORRUPT) where not even
    the list of feeds can be read.
    """
    report = FsckReport()
    with reader.snapshot() as snapshot:
        for problem in snapshot.integrity():
            report.note("database", problem)
        for feed in snapshot.feeds():
            report.feeds += 1
            try:
                _FeedCheck(snapshot, feed, (keys or {}).get(feed.origin), report).run()
            except HuyingError as error:
                report.note(feed.origin, f"can't be read on: {error}")
        report.rows_checked += check_calls(snapshot, report.note)
    return report


class _FeedCheck:
    """One walk along one feed."""

    def __init__(
        self, reader: Reader, feed: FeedState, key: VerifierKey | None, report: FsckReport
    ) -> None:
        self._reader = reader
        self._feed = feed
        self._key = key
        self._report = report
        self._prefix = commitment_prefix(feed.origin)
        self._held = self._withheld = self._hidden = 0

    def _note(self, what: str) -> None:
        self._report.note(self._feed.origin, what)

    def run(self) -> None:
        frontier = EMPTY_RANGE
        self._compare_roots(frontier, self._signed(-1, 0))
        for start in range(0, self._feed.size, PAGE_ENTRIES):
            stop = min(start + PAGE_ENTRIES, self._feed.size)
            entries = self._reader.entries(self._feed.feed_id, start, stop)
            if len(entries) < stop - start:
                self._note(f"{stop - start - len(entries)} entries of [{start}, {stop}) are gone")
                return
            hashes = [self._entry(start + at, entry) for at, entry in enumerate(entries)]
            frontier = self._grow(frontier, hashes)
            self._report.entries_checked += len(entries)
        if self._reader.entries(self._feed.feed_id, self._feed.size, self._feed.size + 1):
            self._note(f"there are entries past the size {self._feed.size}")
        self._ends(frontier)
        self._numbers()
        self._report.rows_checked += check_projections(self._reader, self._feed, self._report.note)

    # 1 and 2: the entry.

    def _entry(self, index: int, entry: StoredEntry) -> bytes:
        """Check one entry; its leaf hash."""
        if entry.leaf is None:
            self._hidden += 1
            if entry.openings:
                self._note(f"entry {index} has openings and no leaf")
            if entry.leaf_hash is None or len(entry.leaf_hash) != 32:
                self._note(f"entry {index} has neither a leaf nor a leaf hash")
                return bytes(32)
            return entry.leaf_hash
        try:
            self._openings(index, entry.leaf, unpack_openings(entry.openings))
        except HuyingError as error:
            self._note(f"entry {index}: {error.detail}")
        return leaf_hash(entry.leaf)

    def _openings(self, index: int, leaf: bytes, openings: Sequence[bytes]) -> None:
        try:
            slots = leaf_slots(leaf)
        except HuyingError:
            slots = b""  # kept opaque; then nothing of it was opened
        last = -1
        for opening in openings:
            slot = opening[0] if len(opening) >= BODY_OFFSET else -1
            position = slots.find(slot) if slot >= 0 else -1
            if slot <= last or (last < 0 and slot != HEAD_SLOT):
                self._note(f"entry {index}: openings are out of order, or without the head")
            if position < 0 or commitment(self._prefix, opening) != leaf_commitment(leaf, position):
                self._note(f"entry {index}: the opening of slot {slot:#04x} is not the one signed")
            last = slot
        self._held += len(openings)
        self._withheld += len(slots) - len(openings)
        self._report.openings_checked += len(openings)

    # 3: subtrees and checkpoints.

    def _grow(self, frontier: CompactRange, hashes: Sequence[bytes]) -> CompactRange:
        start, stop = frontier.stop, frontier.stop + len(hashes)
        signed = self._signed(start, stop)
        done = start
        for size in sorted({checkpoint.size for checkpoint in signed} | {stop}):
            frontier, subtrees = append(frontier, hashes[done - start : size - start])
            self._compare_subtrees(subtrees)
            self._compare_roots(frontier, [c for c in signed if c.size == size])
            done = size
        return frontier

    def _signed(self, above: int, upto: int) -> list[StoredCheckpoint]:
        """Every checkpoint held whose size is in (above, upto], cosigned ones included."""
        feed = self._feed
        stored = self._reader.checkpoints(
            feed.feed_id, above, upto, newest_first=False, limit=upto - above
        )
        marks = (feed.head, feed.cosigned, feed.witnessed)
        return stored + [c for c in marks if c is not None and above < c.size <= upto]

    def _compare_subtrees(self, subtrees: Sequence[tuple[int, int, bytes]]) -> None:
        for level, first, hashes in _runs(subtrees):
            stored = self._reader.subtrees(self._feed.feed_id, level, first, first + len(hashes))
            if stored != hashes:
                self._note(
                    f"a subtree of level {level} from {first} on is not what the leaves give"
                )

    def _compare_roots(self, frontier: CompactRange, signed: Sequence[StoredCheckpoint]) -> None:
        for checkpoint in signed:
            self._report.checkpoints_checked += 1
            if root(frontier) != checkpoint.root:
                self._note(f"the checkpoint of size {checkpoint.size} has another root")
            self._verify(checkpoint)

    # 6: signatures.

    def _verify(self, checkpoint: StoredCheckpoint) -> None:
        if self._key is None:
            return
        self._report.signatures_checked += 1
        try:
            signed = open_checkpoint(checkpoint.note, self._key).checkpoint
        except HuyingError as error:
            self._note(f"the note of size {checkpoint.size}: {error}")
            return
        if (signed.size, signed.root) != (checkpoint.size, checkpoint.root):
            self._note(f"the note of size {checkpoint.size} says another size or root")

    # 4 and 5: how it ends.

    def _ends(self, frontier: CompactRange) -> None:
        feed = self._feed
        if feed.frontier != frontier.hashes:
            self._note("the stored frontier is not what the leaves give")
        for level in _LEVELS:
            count = feed.size >> level
            if self._reader.subtrees(feed.feed_id, level, count, count + 1):
                self._note(f"there are subtrees of level {level} past the size {feed.size}")
        head = feed.head
        if head is None:
            if feed.size:
                self._note("there are entries and no signed checkpoint")
            return
        if head.size > feed.size:
            self._verify(head)
        try:
            whole = merge(frontier, CompactRange(feed.size, head.size, feed.rest))
        except HuyingError as error:
            self._note(f"the rest does not tile [{feed.size}, {head.size}): {error.detail}")
            return
        if root(whole) != head.root:
            self._note(f"frontier and rest do not give the signed root of size {head.size}")

    def _numbers(self) -> None:
        feed = self._feed
        for name, counted, stored in (
            ("openings held", self._held, feed.openings_held),
            ("openings withheld", self._withheld, feed.openings_withheld),
            ("entries hidden", self._hidden, feed.entries_hidden),
        ):
            if counted != stored:
                self._note(f"{name}: {stored} on record, {counted} counted")
        for name, mark in feed.classes.items():
            if not 0 < mark.number <= mark.index + 1 <= feed.size:
                self._note(f"class {name} stands at number {mark.number}, entry {mark.index}")
        for row in self._reader.missing(feed.feed_id):
            if not 0 <= row.start <= row.stop <= feed.size:
                self._note(f"[{row.start}, {row.stop}) is on record as missing")


def _runs(subtrees: Sequence[tuple[int, int, bytes]]) -> Iterator[tuple[int, int, list[bytes]]]:
    """(level, first index, hashes) for each run of neighbours."""
    at = 0
    while at < len(subtrees):
        level, first, _ = subtrees[at]
        stop = at
        while stop < len(subtrees) and subtrees[stop][:2] == (level, first + stop - at):
            stop += 1
        yield level, first, [digest for _, _, digest in subtrees[at:stop]]
        at = stop
