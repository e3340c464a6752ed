"""Repairing one feed: what still stands is kept, what does not is noted to be got anew.

1. checkpoints: those whose signature verifies, with the root that their note says
2. leaves: as `huying.node.integrity.leaf_repair` finds them; a followed feed whose damage nothing
   bears out is rewound to its last good checkpoint, and the session brings the rest. What this node
   cosigned is remembered: it never cosigns below, and checks the rest against it
3. openings: one that is not the one signed, or was erased, goes; what may be read and is not there
   is put on the list of what is missing
4. the feed's row: size, frontier, newest checkpoint, counters and running numbers
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from sqlalchemy import Connection, delete, select

from huying.common.codes import parse_origin
from huying.common.errors import HuyingError
from huying.common.feed.checkpoint import open_checkpoint, parse_checkpoint
from huying.common.feed.leaf import commitment_prefix
from huying.common.feed.merkle import EMPTY_RANGE, CompactRange, append, cover_count, merge, root
from huying.common.feed.note import Note, VerifierKey, format_note, parse_note, verify
from huying.common.integrity.mending import BLOCK_ENTRIES
from huying.common.state import FeedState, StoredCheckpoint, StoredEntry
from huying.node.integrity.entry_repair import EntryWalk
from huying.node.integrity.leaf_repair import Block, LeafWalk, entry_digest
from huying.node.integrity.repair_report import RepairReport
from huying.node.store.replay import erased_of
from huying.node.store.schema import CHECKPOINTS, ENTRIES, SUBTREES, entry_place
from huying.node.store.store import SqlStore

__all__ = ["FeedRepair"]

_AHEAD_MAX: Final = 4 * BLOCK_ENTRIES  # a commit, or a segment, has at most 1024 entries


@dataclass(slots=True)
class Found:
    """How far the leaves stand, and the tree over them."""

    stands: int
    frontier: CompactRange
    subtrees: list[tuple[int, int, bytes]]
    doubtful: list[tuple[int, int]]
    mended: int  # leaves made anew from their openings
    good: int  # the largest signed size below any doubt


class FeedRepair:
    """One feed of a store that is open for writing, within its transaction.

    `row` is the feed's row, as far as it could be read; `code` this node's own.
    """

    def __init__(
        self,
        store: SqlStore,
        row: FeedState,
        code: str,
        keys: Mapping[str, VerifierKey],
        witnesses: Mapping[str, VerifierKey],
        report: RepairReport,
        now: float,
    ) -> None:
        self._store = store
        self._row = row
        self._code = code
        self._own = parse_origin(row.origin).code == code
        self._key = keys.get(row.origin)
        self._witnesses = witnesses
        self._report = report
        self._now = now
        self._prefix = commitment_prefix(row.origin)

    def run(self) -> FeedState:
        """Repair; the feed's row as it is now."""
        told = len(self._report.done), len(self._report.left)
        with self._store.reading() as connection:
            signed = self._checkpoints(connection)
            size = self._size(connection, signed)
            tail = self._tail(size)
            found = self._walk(signed, size, tail)
            feed = self._settle(connection, signed, size, found)
            self._write_tree(connection, feed, found)
        feed = self._entries(feed, [one for one in found.doubtful if one[0] < feed.size])
        self._store.put_feed(feed)
        if feed != self._row and told == (len(self._report.done), len(self._report.left)):
            zh, en = "登记行更正", "the feed's row put right"
            self._report.mended(feed.origin, zh, en)
        return feed

    # 1: checkpoints.

    def _checkpoints(self, connection: Connection) -> dict[int, StoredCheckpoint]:
        """What was signed, by size; rows that say something else are put right or dropped."""
        feed_id = self._row.feed_id
        query = select(CHECKPOINTS.c.size, CHECKPOINTS.c.root, CHECKPOINTS.c.note)
        rows = connection.execute(query.where(CHECKPOINTS.c.feed_id == feed_id)).fetchall()
        marks = (self._row.head, self._row.cosigned, self._row.witnessed)
        signed: dict[int, StoredCheckpoint] = {}
        for mark in filter(None, marks):
            opened = self._open(mark.note)
            if opened is not None:
                signed[opened.size] = opened
        wrong = 0
        for size, digest, note in rows:
            opened = self._open(note)
            if opened is None or (opened.size, opened.root) != (size, digest):
                wrong += 1
                key = CHECKPOINTS.c.feed_id == feed_id, CHECKPOINTS.c.size == size
                connection.execute(delete(CHECKPOINTS).where(*key))
            if opened is not None:
                signed[opened.size] = opened
        for checkpoint in signed.values():
            self._store.put_checkpoint(feed_id, checkpoint)
        if wrong:
            zh = f"{wrong} 个检查点与签名不符,已更正或删除"
            en = f"{wrong} checkpoints did not say what was signed: put right, or dropped"
            self._report.mended(self._row.origin, zh, en)
        return signed

    def _open(self, note: bytes) -> StoredCheckpoint | None:
        try:
            note = _sound_lines(note, [*self._witnesses.values(), *filter(None, [self._key])])
            if self._key is not None:
                checkpoint = open_checkpoint(note, self._key).checkpoint
            else:
                checkpoint = parse_checkpoint(parse_note(note).text)
        except (HuyingError, TypeError, AttributeError):
            return None
        if checkpoint.origin != self._row.origin:
            return None
        return StoredCheckpoint(checkpoint.size, checkpoint.root, note)

    # 2: leaves.

    def _size(self, connection: Connection, signed: Mapping[int, StoredCheckpoint]) -> int:
        """How many entries there are: what the row says, if anything was signed up to there."""
        newest = max(signed, default=0)
        if self._own:
            return newest  # every commit of the own feed is signed whole
        first = entry_place(self._row.feed_id, 0)
        query = select(ENTRIES.c.place).where(
            ENTRIES.c.place >= first, ENTRIES.c.place < first + newest
        )
        last = connection.execute(query.order_by(ENTRIES.c.place.desc()).limit(1)).scalar()
        held = 0 if last is None else last - first + 1
        return self._row.size if held <= self._row.size <= newest else held

    def _tail(self, size: int) -> tuple[bytes, ...]:
        """The row's compact range over a last block that is not whole, where the row is sound."""
        count = cover_count(size - size % BLOCK_ENTRIES, size)
        sound = self._row.size == size and len(self._row.frontier) == size.bit_count()
        return self._row.frontier[len(self._row.frontier) - count :] if sound and count else ()

    def _walk(
        self, signed: Mapping[int, StoredCheckpoint], size: int, tail: tuple[bytes, ...]
    ) -> Found:
        roots = {at: checkpoint.root for at, checkpoint in signed.items()}
        walk = LeafWalk(roots, self._prefix)
        doubtful: list[tuple[int, int]] = []
        mended = 0
        for start in range(0, size, BLOCK_ENTRIES):
            stop = min(start + BLOCK_ENTRIES, size)
            stored = self._store.subtrees(
                self._row.feed_id, 8, start // BLOCK_ENTRIES, start // BLOCK_ENTRIES + 1
            )
            block = Block(start, self._block(start, stop), stored[0] if stored else None)
            if not walk.take(block, self._ahead(roots, stop, size), tail):
                break
            for index, leaf in block.mended.items():
                mended += self._put_leaf(index, block.entries[index - start], leaf)
            if block.doubtful is not None:
                doubtful.append(block.doubtful)
        firm = min([walk.stands, *(start for start, _ in doubtful)])
        good = max((at for at in signed if at <= firm), default=0)
        return Found(walk.stands, walk.frontier, walk.subtrees, doubtful, mended, good)

    def _block(self, start: int, stop: int) -> list[StoredEntry | None]:
        found = self._store.entry_rows(self._row.feed_id, start, stop)
        return [found.get(index) for index in range(start, stop)]

    def _ahead(self, roots: Mapping[int, bytes], stop: int, size: int) -> list[bytes] | None:
        """The leaf hashes up to the next signed size."""
        following = [at for at in range(stop, min(size, stop + _AHEAD_MAX) + 1) if at in roots]
        if not following:
            return None
        hashes = [entry_digest(entry) for entry in self._block(stop, following[0])]
        return None if None in hashes else [digest for digest in hashes if digest is not None]

    def _put_leaf(self, index: int, entry: StoredEntry | None, leaf: bytes) -> int:
        if entry is None or entry.leaf == leaf:
            return 0
        fixed = StoredEntry(leaf, None, entry.openings)
        self._store.set_entry(self._row.feed_id, index, fixed)
        return 1

    def _settle(
        self,
        connection: Connection,
        signed: Mapping[int, StoredCheckpoint],
        size: int,
        found: Found,
    ) -> FeedState:
        """The row's size, frontier and newest checkpoint; a rewind where there is no other way."""
        if found.mended:
            zh = f"{found.mended} 个叶子由其内容重算"
            en = f"{found.mended} leaves made anew from their openings"
            self._report.mended(self._row.origin, zh, en)
        head, rest = self._head(signed, size, found)
        if head is not None:
            feed = replace(
                self._row, size=size, frontier=found.frontier.hashes, head=head, rest=rest
            )
        elif self._own:
            feed = self._beyond(signed, size, found)
        else:
            feed = self._rewind(signed, size, found)
        self._drop_past(connection, feed)
        return self._marks(feed, signed)

    def _head(
        self, signed: Mapping[int, StoredCheckpoint], size: int, found: Found
    ) -> tuple[StoredCheckpoint | None, tuple[bytes, ...]]:
        """The newest signed checkpoint that frontier and rest bear out, and that rest."""
        if found.stands < size:
            return None, ()
        frontier = found.frontier
        for at in sorted((one for one in signed if one >= size), reverse=True):
            rest = () if at == size else self._row.rest
            try:
                if root(merge(frontier, CompactRange(size, at, rest))) == signed[at].root:
                    return signed[at], rest
            except HuyingError:
                continue
        return None, ()

    def _rewind(self, signed: Mapping[int, StoredCheckpoint], size: int, found: Found) -> FeedState:
        good = found.good
        found.doubtful.clear()
        found.stands, found.frontier, found.subtrees = good, EMPTY_RANGE, []
        for start in range(0, good, BLOCK_ENTRIES):
            block = self._block(start, min(start + BLOCK_ENTRIES, good))
            hashes = [digest for digest in map(entry_digest, block) if digest is not None]
            found.frontier, subtrees = append(found.frontier, hashes)
            found.subtrees += subtrees
        zh = f"退回到 {good} 条(原 {size} 条),其余由会话重新取得"
        en = f"rewound from {size} entries to {good}; the session brings the rest again"
        self._report.mended(self._row.origin, zh, en)
        self._report.remains(
            self._row.origin,
            "启动节点并保持与对方连通,直到取回其余条目",
            "run the node, linked to its peer, until the other entries have come",
        )
        return replace(
            self._row, size=good, frontier=found.frontier.hashes, head=signed.get(good), rest=()
        )

    def _beyond(self, signed: Mapping[int, StoredCheckpoint], size: int, found: Found) -> FeedState:
        """The own feed is never rewound: what is on record of it stands, if it was signed."""
        head = signed.get(size)
        frontier = self._row.frontier
        sound = head is not None and len(frontier) == size.bit_count()
        if sound and head is not None and root(CompactRange(0, size, frontier)) == head.root:
            first = found.stands - found.stands % BLOCK_ENTRIES
            for start in range(first, size, BLOCK_ENTRIES):
                found.doubtful.append((start, min(start + BLOCK_ENTRIES, size)))
            return replace(self._row, size=size, head=head, rest=())
        self._report.remains(
            self._row.origin,
            "本级数据流损坏过重:恢复备份,或移走高水位标记后启动,由上级取回",
            "the own feed is damaged too far: restore a backup; or move the high-water mark away"
            " and start, to recover it from the parent",
        )
        return self._row

    def _drop_past(self, connection: Connection, feed: FeedState) -> None:
        first = entry_place(feed.feed_id, feed.size)
        last = entry_place(feed.feed_id + 1, 0)
        dropped = connection.execute(
            delete(ENTRIES).where(ENTRIES.c.place >= first, ENTRIES.c.place < last)
        ).rowcount
        if dropped and feed.size == self._row.size:
            zh, en = f"删除末尾之后的 {dropped} 条", f"{dropped} entries past the end dropped"
            self._report.mended(feed.origin, zh, en)

    def _marks(self, feed: FeedState, signed: Mapping[int, StoredCheckpoint]) -> FeedState:
        """What was cosigned, by this node and by others, as the notes bear it out."""
        mine = f"/witness/{self._code}"
        cosigned = witnessed = None
        for at in sorted(signed):
            lines = {line.name for line in parse_note(signed[at].note).signatures}
            if any(name.endswith(mine) for name in lines):
                cosigned = signed[at]
            if any("/witness/" in name and not name.endswith(mine) for name in lines):
                witnessed = signed[at]
        own = self._own
        return replace(
            feed, cosigned=None if own else cosigned, witnessed=witnessed if own else feed.witnessed
        )

    # The tree, and 3 and 4.

    def _write_tree(self, connection: Connection, feed: FeedState, found: Found) -> None:
        if found.stands < feed.size:
            return
        query = select(SUBTREES.c.level, SUBTREES.c.idx, SUBTREES.c.hash)
        of_feed = SUBTREES.c.feed_id == feed.feed_id
        stored = {tuple(row) for row in connection.execute(query.where(of_feed))}
        wrong = stored ^ set(found.subtrees)
        if not wrong:
            return
        connection.execute(delete(SUBTREES).where(of_feed))
        self._store.add_subtrees(feed.feed_id, sorted(found.subtrees))
        if feed.size == self._row.size:
            zh, en = "重算哈希树", "the hash tree made anew"
            self._report.mended(feed.origin, zh, en)

    def _entries(self, feed: FeedState, doubtful: list[tuple[int, int]]) -> FeedState:
        erased = erased_of(self._store, feed.origin)
        return EntryWalk(self._store, self._code, feed, erased, self._now).run(
            doubtful, self._report
        )


def _sound_lines(data: bytes, keys: Iterable[VerifierKey]) -> bytes:
    """The note without those lines of known keys that don't verify."""
    note = parse_note(data)
    lines = []
    for line in note.signatures:
        with contextlib.suppress(HuyingError):
            verify(Note(note.text, (line,)), keys)
            lines.append(line)
    return format_note(Note(note.text, tuple(lines)))
