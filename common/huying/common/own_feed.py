"""Writing the own feed: drafts become entries, and entries are stored under a signed checkpoint.

One `OwnFeed` writes one epoch. What it composed is stored at the end of the transaction, or earlier
where something has to be seen there; until then it is told apart from what is held by `waiting`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from huying.common.effects import AppendReceipt, DraftEntry
from huying.common.errors import HuyingError
from huying.common.feed.checkpoint import Checkpoint, sign_checkpoint
from huying.common.feed.merkle import CompactRange, append, root
from huying.common.feed.note import Signer
from huying.common.limits import COMMIT_ENTRIES_MAX
from huying.common.ports import Clock, Entropy, Store
from huying.common.state import Applied, ClassMark, FeedState, StoredCheckpoint
from huying.common.writer import Composed, Writer

__all__ = ["OwnFeed"]


class OwnFeed:
    """The writer of one epoch of the own feed, whose row in the store is `feed_id`."""

    def __init__(
        self, signer: Signer, feed_id: int, store: Store, clock: Clock, entropy: Entropy
    ) -> None:
        self._signer = signer
        self._store = store
        self._clock = clock
        self._writer = Writer(signer.name, feed_id, entropy)
        self._composed: list[Composed] = []
        self._marks: dict[str, ClassMark] = {}
        self._requests: dict[bytes, tuple[str, int, bytes]] = {}

    def begin(self) -> None:
        """A transaction begins, or the one before was undone: nothing waits."""
        self._composed.clear()
        self._marks.clear()
        self._requests.clear()

    @property
    def waiting(self) -> int:
        """How many entries are composed and not stored."""
        return len(self._composed)

    def compose(
        self, own: FeedState, drafts: Sequence[DraftEntry]
    ) -> tuple[tuple[AppendReceipt, ...], list[Applied]]:
        """Compose all drafts, or none: a draft that is refused leaves no trace.

        Raises HuyingError(INVALID_ARGUMENT or ENTRY_TOO_LARGE), naming the draft and the field.
        """
        next_index = own.size + len(self._composed)
        time_micros = int(self._clock.now() * 1e6)
        marks = {**own.classes, **self._marks}
        receipts: list[AppendReceipt] = []
        composed: list[Composed] = []
        requests: dict[bytes, tuple[str, int, bytes]] = {}
        for number, draft in enumerate(drafts):
            known = requests.get(draft.request_id) or self.known_request(draft.request_id)
            if known is not None:
                receipts.append(AppendReceipt(*known, repeated=True))
                continue
            try:
                entry, moved = self._writer.compose(draft, next_index, time_micros, marks)
            except HuyingError as error:
                where = f"draft {number}: " if len(drafts) > 1 else ""
                raise HuyingError(error.code, where + error.detail) from None
            marks.update(moved)
            composed.append(entry)
            record = entry.applied.head.record
            if draft.request_id:
                requests[draft.request_id] = (own.origin, next_index, record)
            receipts.append(AppendReceipt(own.origin, next_index, record, repeated=False))
            next_index += 1
        for request_id, (_, index, record) in requests.items():
            self._store.add_request(request_id, own.feed_id, index, record)
        self._requests.update(requests)
        self._composed.extend(composed)
        self._marks = marks
        return tuple(receipts), [entry.applied for entry in composed]

    def known_request(self, request_id: bytes) -> tuple[str, int, bytes] | None:
        """(origin, index, record) of a request that was written, just now or long ago."""
        if not request_id:
            return None
        return self._requests.get(request_id) or self._store.request(request_id)

    def flush(self, own: FeedState) -> FeedState:
        """Store what was composed, under a checkpoint for each 1,024 entries; the feed as it is."""
        for at in range(0, len(self._composed), COMMIT_ENTRIES_MAX):
            own = self._store_entries(own, self._composed[at : at + COMMIT_ENTRIES_MAX])
        self._composed.clear()
        return own

    def _store_entries(self, own: FeedState, composed: Sequence[Composed]) -> FeedState:
        frontier, subtrees = append(
            CompactRange(0, own.size, own.frontier), [entry.leaf_hash for entry in composed]
        )
        self._store.add_entries(own.feed_id, own.size, [entry.entry for entry in composed])
        self._store.add_subtrees(own.feed_id, subtrees)
        digest = root(frontier)
        note = sign_checkpoint(self._signer, Checkpoint(own.origin, frontier.stop, digest))
        head = StoredCheckpoint(frontier.stop, digest, note)
        self._store.put_checkpoint(own.feed_id, head)
        return replace(
            own,
            size=frontier.stop,
            frontier=frontier.hashes,
            head=head,
            rest=(),
            classes={**own.classes, **self._marks},
            openings_held=own.openings_held + sum(entry.openings for entry in composed),
        )
