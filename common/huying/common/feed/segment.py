"""A segment: consecutive entries of one feed, checked at once against a signed checkpoint.

A receiver takes a segment in a fixed order. Steps 1 to 4, here, accept or refuse it as a whole:

1. the checkpoint is a strict signed note of the pinned origin, by the key of this epoch
2. `start` joins on to the size held (what is held already is skipped)
3. counts and limits
4. frontier, items and rest fold to the signed root, and every signed checkpoint seen earlier
   stands on the way

Steps 5 and 6, which judge each entry by itself, are `huying.common.intake`. Nothing here touches
the store: the result says what a transaction would write. docs/FEED.md, "Segment".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from google.protobuf.message import DecodeError

from huying.common.errors import Code, HuyingError
from huying.common.feed.checkpoint import open_checkpoint
from huying.common.feed.merkle import CompactRange, append, build, cover, merge, root
from huying.common.feed.note import VerifierKey
from huying.common.integrity.evidence import ForkError, ForkEvidence
from huying.common.limits import (
    COMPARTMENTS_MAX,
    ENTRY_BYTES_MAX,
    FRAME_BYTES_MAX,
    SEGMENT_ENTRIES_MAX,
    TREE_SIZE_MAX,
)
from huying.common.state import FeedState, StoredCheckpoint
from huying.wire.v1 import feed_pb2, sync_pb2

__all__ = [
    "Accepted",
    "ReceivedEntry",
    "Segment",
    "decode_segment",
    "parse_frame",
    "verify_segment",
]

_HASH_BYTES = 32
_MALFORMED = Code.FRAME_MALFORMED

# (leaf, openings); a hidden entry is (None, []) and its hash stands in Segment.hashes.
ReceivedEntry = tuple[bytes | None, Sequence[bytes]]


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment whose counts and sizes were checked, and nothing else."""

    origin: str
    start: int
    entries: tuple[ReceivedEntry, ...]
    hashes: tuple[bytes, ...]  # leaf hash of each entry
    rest: tuple[bytes, ...]
    note: bytes

    @property
    def stop(self) -> int:
        """The size a holder of these entries holds."""
        return self.start + len(self.entries)


@dataclass(frozen=True, slots=True)
class Accepted:
    """What steps 1 to 4 let in: the new part of the segment, and the feed as it then stands."""

    start: int
    entries: tuple[ReceivedEntry, ...]
    hashes: tuple[bytes, ...]
    frontier: tuple[bytes, ...]
    subtrees: list[tuple[int, int, bytes]]
    head: StoredCheckpoint
    rest: tuple[bytes, ...]

    @property
    def size(self) -> int:
        """The size held once this is stored."""
        return self.start + len(self.entries)


def parse_frame(data: bytes) -> sync_pb2.Frame:
    """One frame of a session. Raises HuyingError(FRAME_TOO_LARGE or FRAME_MALFORMED)."""
    if len(data) > FRAME_BYTES_MAX:
        raise HuyingError(
            Code.FRAME_TOO_LARGE, f"a frame of {len(data)} bytes, the limit is {FRAME_BYTES_MAX}"
        )
    try:
        return sync_pb2.Frame.FromString(data)
    except DecodeError:
        raise HuyingError(_MALFORMED, "not a frame: truncated or altered") from None


def decode_segment(message: feed_pb2.Segment) -> Segment:
    """Step 3. Raises HuyingError(LIMIT_EXCEEDED or FRAME_MALFORMED)."""
    entries: list[ReceivedEntry] = []
    hashes: list[bytes] = []
    for item in message.items:
        entry = item.entry
        leaf = entry.leaf
        if leaf:
            openings = tuple(entry.openings)
            if len(openings) > COMPARTMENTS_MAX:
                raise HuyingError(
                    Code.LIMIT_EXCEEDED, f"{len(openings)} openings, {COMPARTMENTS_MAX} at most"
                )
            # The encoding adds bytes of its own, so only what looks too large is added up.
            if item.ByteSize() > ENTRY_BYTES_MAX and len(leaf) + _total(openings) > ENTRY_BYTES_MAX:
                raise HuyingError(Code.LIMIT_EXCEEDED, f"an entry over {ENTRY_BYTES_MAX} bytes")
            entries.append((leaf, openings))
            hashes.append(sha256(b"\x00" + leaf).digest())
        else:
            run = _split_hashes(item.hidden, "hidden")
            if not run:
                raise HuyingError(_MALFORMED, "an item without a leaf or a hash")
            entries.extend([(None, ())] * len(run))
            hashes.extend(run)
        if len(entries) > SEGMENT_ENTRIES_MAX:
            raise HuyingError(
                Code.LIMIT_EXCEEDED, f"a segment of over {SEGMENT_ENTRIES_MAX} entries"
            )
    if message.start + len(entries) > TREE_SIZE_MAX:
        raise HuyingError(Code.LIMIT_EXCEEDED, f"start {message.start}: no tree is so large")
    return Segment(
        origin=message.origin,
        start=message.start,
        entries=tuple(entries),
        hashes=tuple(hashes),
        rest=tuple(_split_hashes(message.rest, "rest")),
        note=message.checkpoint,
    )


def _total(openings: Sequence[bytes]) -> int:
    return sum(map(len, openings))


def _split_hashes(data: bytes, field: str) -> list[bytes]:
    if len(data) % _HASH_BYTES:
        raise HuyingError(_MALFORMED, f"`{field}` is {len(data)} bytes, not a multiple of 32")
    return [data[at : at + _HASH_BYTES] for at in range(0, len(data), _HASH_BYTES)]


def verify_segment(
    feed: FeedState,
    key: VerifierKey,
    segment: Segment,
    ahead: Sequence[StoredCheckpoint] = (),
) -> Accepted | None:
    """Steps 1, 2 and 4 for the holder of `feed`.

    `ahead` are the signed checkpoints seen earlier whose size is over the size held, by size.
    Returns None where all of it is held already. Raises ForkError where the origin signed two
    histories, and HuyingError with BAD_NOTE, BAD_SIGNATURE, STALE_SIZE, START_MISMATCH,
    FRAME_MALFORMED, BAD_PROOF or FEED_FROZEN.
    """
    if feed.frozen:
        raise HuyingError(Code.FEED_FROZEN, feed.origin)
    checkpoint = open_checkpoint(segment.note, key).checkpoint
    signed = StoredCheckpoint(checkpoint.size, checkpoint.root, segment.note)
    for seen in (*ahead, *((feed.head,) if feed.head else ())):
        if seen.size == signed.size and seen.root != signed.root:
            evidence = ForkEvidence(seen.note, signed.note)
            raise ForkError(f"two roots signed at size {seen.size}", evidence)
    if signed.size < feed.size:
        raise HuyingError(
            Code.STALE_SIZE, f"a checkpoint of size {signed.size}, {feed.size} is held"
        )
    if segment.start > feed.size:
        raise HuyingError(Code.START_MISMATCH, f"starts at {segment.start}, {feed.size} is held")
    if signed.size < segment.stop:
        raise HuyingError(_MALFORMED, f"items up to {segment.stop}, signed size {signed.size}")
    if len(segment.rest) != len(cover(segment.stop, signed.size)):
        raise HuyingError(_MALFORMED, f"`rest` has {len(segment.rest)} hashes, not its cover")
    held = feed.size - segment.start
    if segment.stop < feed.size or (segment.stop == feed.size and feed.head == signed):
        return None
    accepted = _fold(feed, segment, held, signed, ahead)
    if accepted.entries or feed.head is None or feed.head.size <= signed.size:
        return accepted
    return None


def _fold(
    feed: FeedState,
    segment: Segment,
    held: int,
    signed: StoredCheckpoint,
    ahead: Sequence[StoredCheckpoint],
) -> Accepted:
    """Step 4: the frontier, the new hashes and the rest must give the signed root."""
    hashes = segment.hashes[held:]
    frontier = CompactRange(0, feed.size, feed.frontier)
    grown, subtrees = append(frontier, hashes)
    whole = grown
    if segment.rest:
        whole = merge(grown, CompactRange(segment.stop, signed.size, segment.rest))
    if root(whole) != signed.root:
        raise HuyingError(
            Code.BAD_PROOF, f"items [{feed.size}, {segment.stop}) do not fold to size {signed.size}"
        )
    for seen in ahead:
        if feed.size < seen.size <= segment.stop:
            part, _ = append(frontier, hashes[: seen.size - feed.size])
            if root(part) != seen.root:
                suffix = build(seen.size, hashes[seen.size - feed.size :])
                if segment.rest:
                    suffix = merge(suffix, CompactRange(segment.stop, signed.size, segment.rest))
                ranges = b"".join(part.hashes), b"".join(suffix.hashes)
                raise ForkError(
                    f"sizes {seen.size} and {signed.size} have no common history",
                    ForkEvidence(seen.note, signed.note, *ranges),
                )
    return Accepted(
        start=feed.size,
        entries=segment.entries[held:],
        hashes=hashes,
        frontier=grown.hashes,
        subtrees=subtrees,
        head=signed,
        rest=segment.rest,
    )
