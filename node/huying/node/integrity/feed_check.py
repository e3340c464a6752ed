"""One walk along one feed: everything about it that can be computed is computed again.

1. the entries are all there, each as a leaf or as the hash of one
2. every opening is the one its leaf commits to, and none is there that was erased
3. the leaves give every stored subtree, the frontier, and the root of every checkpoint held
4. frontier and rest give the newest signed root
5. the counters and the running numbers fit the entries, and what is absent is on record: as
   erased, or as missing
6. each signature verifies, where the key is given
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from huying.common.codes import parse_origin
from huying.common.errors import HuyingError
from huying.common.feed.checkpoint import open_checkpoint
from huying.common.feed.leaf import (
    BODY_OFFSET,
    HEAD_SLOT,
    commitment,
    commitment_prefix,
    leaf_commitment,
    leaf_slots,
    unpack_openings,
)
from huying.common.feed.merkle import (
    EMPTY_RANGE,
    HASH_BYTES,
    STORED_LEVELS,
    CompactRange,
    append,
    leaf_hash,
    merge,
    root,
)
from huying.common.feed.note import VerifierKey, verify
from huying.common.state import DAMAGED, FeedState, StoredCheckpoint, StoredEntry
from huying.node.integrity.absence_check import AbsenceCheck
from huying.node.integrity.fsck_report import FsckReport
from huying.node.store.reader import Reader

__all__ = ["FeedCheck"]

_PAGE_ENTRIES: Final = 1024
_LEVELS: Final = range(STORED_LEVELS, 49, STORED_LEVELS)


class FeedCheck:
    """One feed of one store."""

    def __init__(
        self,
        reader: Reader,
        feed: FeedState,
        code: str,
        key: VerifierKey | None,
        witnesses: Iterable[VerifierKey],
        report: FsckReport,
    ) -> None:
        self._reader = reader
        self._feed = feed
        self._key = key
        self._witnesses = tuple(witnesses)
        self._report = report
        self._prefix = commitment_prefix(feed.origin)
        self._absence = AbsenceCheck(reader, feed, code, self._note)
        self._held = self._withheld = self._hidden = 0
        self._verified: dict[bytes, int] = {}  # note -> lines of keys that are known
        # Leaves that a repair left in doubt: what they fold to says nothing until others come.
        self._doubtful = [row for row in reader.missing(feed.feed_id) if row.name == DAMAGED]

    def _note(self, what: str) -> None:
        self._report.note(self._feed.origin, what)

    def run(self) -> None:
        """Walk, and report what is wrong. Raises HuyingError where the store can't be read."""
        for row in self._doubtful:
            self._note(
                f"entries [{row.start}, {row.stop}) are damaged: the running node gets them anew"
            )
        frontier = EMPTY_RANGE
        self._compare_roots(frontier, self._signed(-1, 0))
        for start in range(0, self._feed.size, _PAGE_ENTRIES):
            stop = min(start + _PAGE_ENTRIES, self._feed.size)
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
        self._witnessed()
        self._counters()
        self._absence.finish(self._report)

    # 1 and 2: the entry.

    def _entry(self, index: int, entry: StoredEntry) -> bytes:
        """Check one entry; its leaf hash."""
        leaf, digest, packed = entry
        if leaf is None:
            self._hidden += 1
            if packed:
                self._note(f"entry {index} has openings and no leaf")
            if not isinstance(digest, bytes) or len(digest) != HASH_BYTES:
                self._note(f"entry {index} has neither a leaf nor a leaf hash")
                return bytes(HASH_BYTES)
            self._absence.hidden(index)
            return digest
        if digest is not None:
            self._note(f"entry {index} has a leaf hash beside its leaf")
        stored: tuple[object, ...] = (leaf, packed)  # a damaged row may hold values of any type
        if not all(isinstance(value, bytes) for value in stored):
            self._note(f"entry {index} is not bytes")
            return bytes(HASH_BYTES)
        try:
            self._openings(index, leaf, unpack_openings(packed))
        except HuyingError as error:
            self._note(f"entry {index}: {error.detail}")
        return leaf_hash(leaf)

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
                if any(row.start <= index < row.stop for row in self._doubtful):
                    continue
                self._note(f"entry {index}: the opening of slot {slot:#04x} is not the one signed")
            last = slot
        self._held += len(openings)
        self._withheld += len(slots) - len(openings)
        self._report.openings_checked += len(openings)
        self._absence.entry(index, slots, openings)

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
            if stored != hashes and not self._doubtful:
                self._note(
                    f"a subtree of level {level} from {first} on is not what the leaves give"
                )

    def _compare_roots(self, frontier: CompactRange, signed: Sequence[StoredCheckpoint]) -> None:
        for checkpoint in signed:
            self._report.checkpoints_checked += 1
            if root(frontier) != checkpoint.root and not self._doubtful:
                self._note(f"the checkpoint of size {checkpoint.size} has another root")
            self._verify(checkpoint)

    # 6: signatures.

    def _verify(self, checkpoint: StoredCheckpoint) -> None:
        if self._key is None:
            return
        self._report.signatures_checked += 1
        if checkpoint.note in self._verified:
            return  # the head is a stored checkpoint, too
        try:
            opened = open_checkpoint(checkpoint.note, self._key, self._witnesses)
        except HuyingError as error:
            self._note(f"the note of size {checkpoint.size}: {error}")
            return
        signed, note = opened.checkpoint, opened.note
        known = len(verify(note, (self._key, *self._witnesses)))
        self._verified[checkpoint.note] = known
        self._report.signatures_unknown += len(note.signatures) - known
        if (signed.size, signed.root) != (checkpoint.size, checkpoint.root):
            self._note(f"the note of size {checkpoint.size} says another size or root")

    def _witnessed(self) -> None:
        """What is on record as cosigned bears a witness's line."""
        for name in ("cosigned", "witnessed"):
            checkpoint: StoredCheckpoint | None = getattr(self._feed, name)
            if checkpoint is None or self._key is None or not self._witnesses:
                continue
            if checkpoint.size > self._feed.size:
                self._verify(checkpoint)
            if self._verified.get(checkpoint.note, 0) < 2:
                self._note(f"the {name} note of size {checkpoint.size} bears no witness's line")

    # 4 and 5: how it ends.

    def _ends(self, frontier: CompactRange) -> None:
        feed = self._feed
        if feed.frontier != frontier.hashes and not self._doubtful:
            self._note("the stored frontier is not what the leaves give")
        ahead = self._reader.checkpoints(
            feed.feed_id, feed.size, 2**62, newest_first=False, limit=_PAGE_ENTRIES
        )
        for checkpoint in ahead:
            self._verify(checkpoint)
        head = feed.head
        if head is None:
            if feed.size:
                self._note("there are entries and no signed checkpoint")
            return
        if head.size > feed.size:
            self._verify(head)
        try:
            held = CompactRange(0, feed.size, feed.frontier) if self._doubtful else frontier
            whole = merge(held, CompactRange(feed.size, head.size, feed.rest))
        except HuyingError as error:
            self._note(f"the rest does not tile [{feed.size}, {head.size}): {error.detail}")
            return
        if root(whole) != head.root:
            self._note(f"frontier and rest do not give the signed root of size {head.size}")

    def _counters(self) -> None:
        feed = self._feed
        count = self._reader.count_subtrees(feed.feed_id)
        if count != sum(feed.size >> level for level in _LEVELS):
            self._note(f"there are {count} subtrees, not as many as {feed.size} entries give")
        code, epoch = self._reader.feed_name(feed.feed_id)
        origin = parse_origin(feed.origin)
        if (code, epoch) != (origin.code, origin.epoch):
            self._note(f"its row says code {code}, epoch {epoch}")
        for name, counted, stored in (
            ("openings held", self._held, feed.openings_held),
            ("openings withheld", self._withheld, feed.openings_withheld),
            ("entries hidden", self._hidden, feed.entries_hidden),
        ):
            if counted != stored:
                self._note(f"{name}: {stored} on record, {counted} counted")


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
