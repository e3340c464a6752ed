"""What a child knows of the sealed copies of its own feeds, and which entries are in none yet.

The rows stand in the store; they are kept in memory as well, until a transaction fails.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from huying.common.codes import parse_origin
from huying.common.copies.copy_shelf import CopyShelf
from huying.common.copies.sealed import CopyState, Gathered, SealedCopy, gather, is_whole
from huying.common.limits import SEALED_ENTRIES_MAX, SEALED_GROWN_BYTES_MAX

if TYPE_CHECKING:
    from huying.common.late.spans import Span
    from huying.common.replica import Replica
    from huying.common.state import StoredEntry

__all__ = ["OwnCopies"]


class OwnCopies:
    """The rows of one node's own feeds. What writes is called inside the store's transaction."""

    def __init__(self, replica: Replica, shelf: CopyShelf, key: bytes) -> None:
        """`key` is the `key_id` of the present recovery key, or empty."""
        self._replica = replica
        self._shelf = shelf
        self._key = key
        self._rows: dict[tuple[str, int], SealedCopy] | None = None
        self._last: dict[str, SealedCopy] = {}

    def forget(self) -> None:
        """The transaction failed: read the store again."""
        self._rows = None

    def rows(self) -> dict[tuple[str, int], SealedCopy]:
        """Every row, by origin and start, without what is sealed."""
        if self._rows is None:
            copies = self._shelf.copies(self._replica.identity.code)
            self._rows = {(copy.origin, copy.start): copy for copy in copies}
            self._last = {}
            for copy in copies:
                self._note_last(copy)
        return self._rows

    def _lasts(self) -> dict[str, SealedCopy]:
        """The copy that reaches furthest, by origin."""
        self.rows()
        return self._last

    def _note_last(self, copy: SealedCopy) -> None:
        last = self._last.get(copy.origin)
        if last is None or copy.stop >= last.stop or copy.start == last.start:
            self._last[copy.origin] = copy

    def put(self, copy: SealedCopy) -> None:
        """Add or replace a row."""
        rows = self.rows()
        self._shelf.put_copy(copy)
        known = rows[copy.origin, copy.start] = replace(copy, sealed=b"")
        self._note_last(known)

    def origins(self) -> list[str]:
        """The own feeds that are held, by name."""
        return sorted(origin for origin in self._replica.feeds if self.is_own(origin))

    def is_own(self, origin: str) -> bool:
        """Whether a feed is of this node, in whatever epoch. Raises as `parse_origin`."""
        parsed, identity = parse_origin(origin), self._replica.identity
        return (parsed.network, parsed.code) == (identity.network, identity.code)

    def uncovered(self) -> int:
        """How many entries of the own feeds are in no copy."""
        feeds = self._replica.feeds
        lasts = self._lasts()
        return sum(
            max(0, feeds[origin].size - (lasts[origin].stop if origin in lasts else 0))
            for origin in self.origins()
        )

    def tail(self) -> SealedCopy | None:
        """The range to seal next: new, or the last one, grown; None where all is covered."""
        for origin in self.origins():
            size = self._replica.feeds[origin].size
            last = self._lasts().get(origin)
            covered = last.stop if last is not None else 0
            if covered >= size:
                continue
            if last is not None and self._may_grow(last):
                stop = min(size, last.start + SEALED_ENTRIES_MAX)
                return replace(last, stop=stop, generation=last.generation + 1)
            stop = min(size, covered + SEALED_ENTRIES_MAX)
            return SealedCopy(origin, covered, stop, 1, CopyState.OURS, key=self._key)
        return None

    def _may_grow(self, row: SealedCopy) -> bool:
        """Whether a copy may take more entries: never at the price of what is in it."""
        return (
            row.state is CopyState.OURS
            and row.key == self._key
            and row.stop - row.start < SEALED_ENTRIES_MAX
            and row.size_bytes < SEALED_GROWN_BYTES_MAX
            and self.gather(row).openings >= row.openings
        )

    def _entries(self, row: SealedCopy) -> list[StoredEntry]:
        """What is held of a range; fewer where the feed has not come so far."""
        feed = self._replica.feeds.get(row.origin)
        if feed is None or row.start >= feed.size:
            return []
        store = self._replica.store
        return store.entries(feed.feed_id, row.start, min(row.stop, feed.size))

    def is_whole(self, row: SealedCopy) -> bool:
        """Whether all that a copy can hold is here, but for what was erased."""
        entries = self._entries(row)
        erased = self._replica.erasures.of(row.origin)
        return len(entries) == row.stop - row.start and is_whole(entries, row.start, erased)

    def has_come(self, row: SealedCopy) -> bool:
        """Whether the feed reaches the end of a copy."""
        feed = self._replica.feeds.get(row.origin)
        return feed is not None and feed.size >= row.stop

    def gather(self, row: SealedCopy) -> Gathered:
        """What is to be sealed of a row's entries."""
        parent = self._replica.roster.parent
        assert parent is not None, "a copy goes to the parent"
        return gather(row.origin, parent, row.start, self._entries(row))

    def recount(self, row: SealedCopy) -> SealedCopy:
        """Put a row as its entries stand now; its range ends where a copy is full."""
        gathered = self.gather(row)
        row = replace(
            row, stop=gathered.stop, openings=gathered.openings, size_bytes=len(gathered.plain)
        )
        self.put(row)
        return row

    def met(self, span: Span) -> Iterable[SealedCopy]:
        """The rows that this node sealed, and something of whose entries is in `span`."""
        return [
            row
            for row in self.rows().values()
            if row.origin == span.origin
            and row.start < span.stop
            and span.start < row.stop
            and row.state is CopyState.OURS
        ]
