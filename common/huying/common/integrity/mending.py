"""Getting leaves back that the disk spoilt.

`huying fsck --repair` notes which leaves are in doubt: at most one range in each aligned block of
256 entries, as a row of what is missing under the name `DAMAGED`. The running node asks a peer for
the leaf hashes of the range, and for the leaves that it may have. The block's own hash is held
(docs/FEED.md, "Tree"): it followed from a signed root before the damage, so whatever folds to it
is what was signed, whoever says so. What an opening still lacks then is asked for as ever.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from huying.common.codes import Origin
from huying.common.errors import Code, HuyingError
from huying.common.feed.leaf import HEAD_SLOT, shown_slots, unpack_openings
from huying.common.feed.merkle import HASH_BYTES, STORED_LEVELS, build, cover_count, leaf_hash
from huying.common.intake import Judgement, Reader, judge_entry
from huying.common.late.filling import settle
from huying.common.ports import Store
from huying.common.state import DAMAGED, Applied, FeedState, Missing, StoredEntry
from huying.common.sync.outgoing import disclosed_entry, entry_hash
from huying.wire.v1 import feed_pb2, sync_pb2

if TYPE_CHECKING:
    from huying.common.replica import Replica

__all__ = ["BLOCK_ENTRIES", "block_of", "leaves_answer", "mend", "signed_block"]

BLOCK_ENTRIES: Final = 1 << STORED_LEVELS


def block_of(index: int, size: int) -> tuple[int, int]:
    """The aligned block, as (start, stop), that holds an entry of a feed of `size` entries."""
    start = index - index % BLOCK_ENTRIES
    return start, min(start + BLOCK_ENTRIES, size)


def signed_block(store: Store, feed: FeedState, start: int) -> tuple[bytes, ...]:
    """What the entries of the block that begins at `start` must fold to: its compact range.

    A whole block has one hash, in the tree; the last one's stand at the end of the frontier.
    """
    stop = min(start + BLOCK_ENTRIES, feed.size)
    if stop - start == BLOCK_ENTRIES:
        index = start >> STORED_LEVELS
        return tuple(store.subtrees(feed.feed_id, STORED_LEVELS, index, index + 1))
    return feed.frontier[len(feed.frontier) - cover_count(start, stop) :]


def leaves_answer(
    want: sync_pb2.Want, entries: Sequence[StoredEntry], peer: str, origin: Origin
) -> sync_pb2.Disclose:
    """The answer to a Want for leaves, from the entries that it names."""
    answer = sync_pb2.Disclose(origin=want.origin, start=want.start, stop=want.stop, last=True)
    answer.hashes = b"".join(map(entry_hash, entries))
    for index, entry in enumerate(entries, want.start):
        given = disclosed_entry(entry, peer, origin)
        if given is not None:
            answer.entries.add(index=index, entry=feed_pb2.Entry(leaf=given[0]))
    return answer


def mend(replica: Replica, reader: Reader, message: sync_pb2.Disclose, now: float) -> list[Applied]:
    """Put the leaves of an answer in place, within the transaction; the entries to apply anew.

    `reader` is this node's for the feed, `now` unix seconds. An answer to a question that does not
    stand any more changes nothing. Raises HuyingError(FRAME_MALFORMED), or BAD_PROOF where the
    answer does not fold to what was signed.
    """
    feed = replica.feeds[message.origin]
    place = DAMAGED, message.start, message.stop
    rows = [
        row
        for row in replica.missing.get(message.origin, ())
        if (row.name, row.start, row.stop) == place
    ]
    if not rows:
        return []
    (row,) = rows
    hashes = _split(message, row)
    first, stop = block_of(row.start, feed.size)
    block = replica.store.entries(feed.feed_id, first, stop)
    held = [entry_hash(entry) for entry in block]
    told = held[: row.start - first] + hashes + held[row.stop - first :]
    if build(first, told).hashes != signed_block(replica.store, feed, first):
        raise HuyingError(
            Code.BAD_PROOF, f"the leaves of [{row.start}, {row.stop}) are not what was signed"
        )
    leaves = {one.index: one.entry.leaf for one in message.entries}
    work = _Mending(replica, reader, feed, row, now)
    for index, digest in enumerate(hashes, row.start):
        entry = block[index - first]
        leaf = leaves.get(index, b"")
        if entry.leaf is not None and entry_hash(entry) == digest:
            leaf = entry.leaf
        if leaf_hash(leaf) == digest:
            work.put_leaf(index, entry, leaf)
        elif entry_hash(entry) != digest or (work.own and entry.leaf is None):
            work.put_hash(index, entry, digest)
    return work.finish()


def _split(message: sync_pb2.Disclose, row: Missing) -> list[bytes]:
    count = row.stop - row.start
    if len(message.hashes) != count * HASH_BYTES:
        detail = f"`hashes` is {len(message.hashes)} bytes for {count} entries"
        raise HuyingError(Code.FRAME_MALFORMED, detail)
    return [message.hashes[at * HASH_BYTES :][:HASH_BYTES] for at in range(count)]


class _Mending:
    """The change of one block: its entries, and what follows for the feed's row and lists."""

    def __init__(
        self, replica: Replica, reader: Reader, feed: FeedState, row: Missing, now: float
    ) -> None:
        self.own = feed.origin == replica.identity.origin
        self._replica = replica
        self._reader = reader
        self._feed = feed
        self._before = replica.missing[feed.origin]
        self._missing = [one for one in self._before if one is not row]
        self._classes = dict(feed.classes)
        self._applied: list[Applied] = []
        self._now = now
        self._held = self._withheld = self._hidden = self._quarantined = 0

    def put_leaf(self, index: int, entry: StoredEntry, leaf: bytes) -> None:
        """The signed leaf, with those of the openings held that belong to it."""
        erased = self._reader.erased.at(index)
        held = unpack_openings(entry.openings)
        verdict = judge_entry(self._reader, leaf, held, erased=erased)
        if verdict.entry == entry and not self._is_news(verdict):
            return
        self._forget(entry)
        self._replica.store.set_entry(self._feed.feed_id, index, verdict.entry)
        self._held += len(verdict.present)
        self._withheld += len(verdict.slots) - len(verdict.present)
        settlement = settle(
            self._missing,
            self._classes,
            index,
            verdict,
            newly_headed=self._is_news(verdict),
            now=self._now,
        )
        self._missing = [one for one in self._missing if one not in settlement.old]
        self._missing += settlement.new
        self._classes.update(settlement.classes)
        self._quarantined += self._replica.quarantine(self._feed, settlement.quarantine, self._now)
        if verdict.head is not None and verdict.message is not None and settlement.counts:
            origin = self._reader.origin
            place = self._feed.feed_id, origin.code, origin.epoch, index
            shown = verdict.slots, verdict.present
            self._applied.append(
                Applied(*place, verdict.head, *shown, verdict.message, verdict.erased)
            )

    def _is_news(self, verdict: Judgement) -> bool:
        """Whether the entry's running number was not counted while its leaf was in doubt."""
        if verdict.head is None or verdict.view is None or not verdict.view.class_name:
            return False
        name = verdict.view.class_name
        number = verdict.head.seen[verdict.view.class_position]
        mark = self._classes.get(name)
        return (mark is None or number > mark.number) or any(
            row.name == name and row.first <= number <= row.last for row in self._missing
        )

    def put_hash(self, index: int, entry: StoredEntry, digest: bytes) -> None:
        """Just the hash: the peer may not have the leaf, or has not got it either."""
        self._forget(entry)
        self._hidden += 1
        self._replica.store.set_entry(self._feed.feed_id, index, StoredEntry(None, digest, b""))
        # Elsewhere the running numbers tell what is missing; the origin reads everything.
        wanted = Missing(index, index + 1, bytes((HEAD_SLOT,)), "", 0, 0, self._now)
        if self.own and not any(one.slots and one.start == index for one in self._missing):
            self._missing.append(wanted)

    def _forget(self, entry: StoredEntry) -> None:
        """Take an entry's part out of the counters."""
        count = len(unpack_openings(entry.openings))
        self._held -= count
        if entry.leaf is None:
            self._hidden -= 1
        else:
            self._withheld -= len(shown_slots(entry.leaf)) - count

    def finish(self) -> list[Applied]:
        """Write the feed's row and lists."""
        origin, store = self._feed.origin, self._replica.store
        gone = [one for one in self._before if one not in self._missing]
        fresh = [one for one in self._missing if one not in self._before]
        store.replace_missing(self._feed.feed_id, gone, fresh)
        self._replica.missing.pop(origin, None)
        if self._missing:
            self._replica.missing[origin] = tuple(self._missing)
        feed = replace(
            self._feed,
            classes=self._classes,
            openings_held=self._feed.openings_held + self._held,
            openings_withheld=self._feed.openings_withheld + self._withheld,
            entries_hidden=self._feed.entries_hidden + self._hidden,
            quarantined=self._feed.quarantined + self._quarantined,
        )
        store.put_feed(feed)
        self._replica.feeds[origin] = feed
        return self._applied
