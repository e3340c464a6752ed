"""What the core asks of the world: a store, a clock, randomness, a high-water mark.

The engine runs in production, in the simulator and in tests over these protocols alone. A store
that passes `tests/contracts/store_contract.py` is a store.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from huying.common.effects import DraftEntry
from huying.common.errors import Code
from huying.common.late.spans import Span
from huying.common.state import Applied, FeedState, Missing, StoredCheckpoint, StoredEntry

__all__ = ["Clock", "Entropy", "ErasureList", "HighWaterMark", "Sequencer", "Store"]


class Clock(Protocol):
    """Wall time informs, monotonic time drives timers; nothing compares two machines' clocks."""

    def now(self) -> float:
        """Unix time in seconds."""
        ...

    def monotonic(self) -> float:
        """Seconds from an arbitrary start, never going back."""
        ...


class Entropy(Protocol):
    """Randomness: cryptographic in production, seeded in the simulator."""

    def token(self, count_bytes: int) -> bytes:
        """`count_bytes` random bytes."""
        ...

    def uniform(self, low: float, high: float) -> float:
        """A number in [low, high), for jitter."""
        ...


class HighWaterMark(Protocol):
    """The newest size of the own feed that may have left this node, kept outside the database."""

    def read(self) -> tuple[str, int, bytes] | None:
        """(origin, size, root), or None where no mark was ever written or it is another host's.

        Raises HuyingError(CORRUPT) for a mark that can't be parsed.
        """
        ...

    def write(self, origin: str, size: int, root: bytes) -> None:
        """Durable when it returns."""
        ...

    def store_replaced(self) -> bool:
        """Whether an older store was put in place, and nobody has been asked since."""
        ...

    def settle(self) -> None:
        """The neighbours were asked: the store that was put in place is the node's own again."""
        ...


class ErasureList(Protocol):
    """What was erased here, kept outside the database: a restored one must not bring it back."""

    def read(self) -> list[Span]:
        """All of it. Raises HuyingError(CORRUPT) where it was altered."""
        ...

    def append(self, spans: Sequence[Span]) -> None:
        """Durable when it returns. Raises HuyingError(DISK_FULL or STORE_FAILED)."""
        ...


class Sequencer(Protocol):
    """Orders the proposals of other nodes; the hub brings one."""

    def take(self, limit: int) -> list[DraftEntry]:
        """What the own feed must say now of proposals in the store, at most `limit` drafts."""
        ...

    def complete(
        self, draft: DraftEntry, before: Sequence[DraftEntry] = ()
    ) -> Sequence[DraftEntry]:
        """A step of this node's own, if the call stands where it applies, with what it must print.

        First the draft itself, then what must be written along with it. Called inside the
        transaction, after everything was projected but `before`: the completed drafts that will be
        written ahead of it. A draft of another type, or a proposal to another sequencer, comes back
        as it is. Raises HuyingError(WRONG_STAGE, NOT_A_PARTY, NOT_FOUND or INVALID_ARGUMENT).
        """
        ...


class Store(Protocol):
    """Durable state. One writer; every method that writes is called inside `transaction`.

    `index` and `start`/`stop` count entries from 0; ranges are half open.
    """

    def transaction(self) -> AbstractContextManager[None]:
        """Begin; commit durably at exit, or undo everything where the block raised.

        Raises HuyingError(DISK_FULL) or HuyingError(STORE_FAILED).
        """
        ...

    def view(self) -> AbstractContextManager[None]:
        """One view for all that is read inside; outside, every read makes one of its own."""
        ...

    # Feeds.
    def feeds(self) -> list[FeedState]:
        """Every feed, in the order of creation."""
        ...

    def create_feed(self, origin: str) -> FeedState:
        """A new, empty feed with a `feed_id` of its own."""
        ...

    def put_feed(self, state: FeedState) -> None:
        """Replace the feed's row."""
        ...

    # Entries.
    def add_entries(self, feed_id: int, start: int, entries: Sequence[StoredEntry]) -> None:
        """Append entries at indexes start, start + 1, …"""
        ...

    def entries(self, feed_id: int, start: int, stop: int) -> list[StoredEntry]:
        """The entries of [start, stop), fewer where the feed ends before `stop`."""
        ...

    def set_entry(self, feed_id: int, index: int, entry: StoredEntry) -> None:
        """Replace one entry: an opening arrived late, or was erased."""
        ...

    def find_record(self, feed_id: int, record: bytes) -> list[tuple[int, StoredEntry]]:
        """(index, entry) of every entry of the feed whose head names the record; a slow search."""
        ...

    # What was erased.
    def erased(self) -> list[Span]:
        """Everything that was ever erased here, in the order of the feeds' names."""
        ...

    def add_erased(self, spans: Iterable[Span]) -> None:
        """Note what is erased from now on; what is noted already stays."""
        ...

    def scrub(self) -> bool:
        """Let nothing that was deleted be left in any file; False where that has to wait.

        Called outside a transaction.
        """
        ...

    # The tree above the leaves: perfect subtrees of every eighth level (8, 16, 24, …), so that any
    # node of the tree is at most 256 hashes away.
    def add_subtrees(self, feed_id: int, subtrees: Iterable[tuple[int, int, bytes]]) -> None:
        """Add (level, index at that level, hash) triples."""
        ...

    def subtrees(self, feed_id: int, level: int, start: int, stop: int) -> list[bytes]:
        """Hashes of [start, stop) at `level`, in order, fewer where they end before `stop`."""
        ...

    # Checkpoints.
    def put_checkpoint(self, feed_id: int, checkpoint: StoredCheckpoint) -> None:
        """Add, or replace the note of, the checkpoint of that size."""
        ...

    def checkpoints(
        self, feed_id: int, above: int, upto: int, newest_first: bool, limit: int
    ) -> list[StoredCheckpoint]:
        """Those with above < size <= upto, by size."""
        ...

    # What is missing and what is quarantined.
    def missing(self, feed_id: int) -> list[Missing]:
        """Everything missing in the feed, by start."""
        ...

    def replace_missing(self, feed_id: int, old: Sequence[Missing], new: Sequence[Missing]) -> None:
        """Remove `old` rows, add `new` ones."""
        ...

    def quarantine(self, feed_id: int, index: int, code: Code, detail: str, now: float) -> None:
        """Note that the entry was kept opaque, and why. Idempotent per (feed, index, code)."""
        ...

    def quarantined(self, feed_id: int, start: int, stop: int) -> list[tuple[int, int, str, float]]:
        """(index, code, detail, unix seconds) of the quarantined entries of [start, stop)."""
        ...

    def release(self, feed_id: int, index: int) -> None:
        """Take the entry out of quarantine, and its acknowledgement with it."""
        ...

    def skip(self, feed_id: int, index: int, actor: str, reason: str, now: float) -> None:
        """Note that a person acknowledged the entry; what was noted before stays."""
        ...

    def skipped(self, feed_id: int, index: int) -> bool:
        """Whether somebody acknowledged the entry."""
        ...

    def count_waiting(self, feed_id: int) -> int:
        """The entries of the feed in quarantine that nobody acknowledged."""
        ...

    # Requests already answered.
    def request(self, request_id: bytes) -> tuple[str, int, bytes] | None:
        """(origin, index, record id) of a request already written, or None."""
        ...

    def add_request(self, request_id: bytes, feed_id: int, index: int, record: bytes) -> None:
        """Remember a request that was written in that epoch of the own feed."""
        ...

    # Statements: the entries that say something about trust, erasure or disclosure.
    def statements(self) -> list[tuple[int, int, StoredEntry]]:
        """(feed_id, index, entry) of every statement that was applied, in the order of that."""
        ...

    # Projections.
    def apply(self, applied: Sequence[Applied]) -> None:
        """Bring the queryable tables up to date with these entries, which are in feed order.

        A put never replaces the state from a later (epoch, index) of the same record.
        """
        ...
