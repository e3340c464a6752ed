"""Evidence of a fork: two notes that one origin signed and that can't both be true.

Either they give one size two roots, or the smaller is no beginning of the larger: then two compact
ranges show it, which fold to the larger's root while the first does not fold to the smaller's.
Whoever has the origin's key can check it, so it may come from anybody. docs/FEED.md, "Fork".
"""

from __future__ import annotations

from dataclasses import dataclass

from google.protobuf.message import DecodeError

from huying.common.errors import Code, HuyingError
from huying.common.feed.checkpoint import Checkpoint, open_checkpoint
from huying.common.feed.merkle import CompactRange, merge, range_hashes, root, unpack_range
from huying.common.feed.note import VerifierKey
from huying.common.ports import Store
from huying.common.state import FeedState, StoredCheckpoint
from huying.common.sync.outgoing import tree_reader
from huying.wire.v1 import sync_pb2

__all__ = ["ForkError", "ForkEvidence", "contradiction"]


@dataclass(frozen=True, slots=True)
class ForkEvidence:
    """The two notes, the smaller first, and the ranges where their sizes differ."""

    first: bytes
    second: bytes
    prefix: bytes = b""  # compact range [0, first), 32 bytes a hash
    suffix: bytes = b""  # compact range [first, second)

    def verify(self, key: VerifierKey) -> tuple[Checkpoint, Checkpoint]:
        """The two checkpoints, if `key` signed both and they contradict each other.

        Raises HuyingError(BAD_NOTE, BAD_SIGNATURE or BAD_PROOF).
        """
        first = open_checkpoint(self.first, key).checkpoint
        second = open_checkpoint(self.second, key).checkpoint
        if first.size == second.size:
            if first.root == second.root:
                raise HuyingError(Code.BAD_PROOF, f"both notes agree at size {first.size}")
            return first, second
        if first.size > second.size:
            raise HuyingError(Code.BAD_PROOF, "the smaller note comes first")
        prefix = unpack_range(0, first.size, self.prefix)
        suffix = unpack_range(first.size, second.size, self.suffix)
        if root(merge(prefix, suffix)) != second.root or root(prefix) == first.root:
            detail = f"sizes {first.size} and {second.size}: the ranges show no contradiction"
            raise HuyingError(Code.BAD_PROOF, detail)
        return first, second

    def refusal(self, origin: str, detail: str) -> sync_pb2.Refusal:
        """The evidence as it travels, and as it is kept."""
        return sync_pb2.Refusal(
            code=Code.FORK,
            detail=detail,
            origin=origin,
            first=self.first,
            second=self.second,
            prefix=self.prefix,
            suffix=self.suffix,
        )

    @classmethod
    def of(cls, refusal: sync_pb2.Refusal) -> ForkEvidence:
        """What a refusal carries; verify it before it is believed."""
        return cls(refusal.first, refusal.second, refusal.prefix, refusal.suffix)

    def encode(self, origin: str) -> bytes:
        """The bytes that `FeedState.frozen` keeps."""
        return self.refusal(origin, "").SerializeToString()

    @classmethod
    def decode(cls, data: bytes) -> ForkEvidence:
        """Reverse of `encode`. Raises HuyingError(CORRUPT)."""
        try:
            return cls.of(sync_pb2.Refusal.FromString(data))
        except DecodeError:
            raise HuyingError(Code.CORRUPT, "the fork evidence that was kept") from None


class ForkError(HuyingError):
    """An origin signed two histories."""

    def __init__(self, detail: str, evidence: ForkEvidence) -> None:
        super().__init__(Code.FORK, detail)
        self.evidence = evidence


def contradiction(
    store: Store, feed: FeedState, signed: StoredCheckpoint, root_held: bytes
) -> ForkEvidence | None:
    """What proves that a signed note is no beginning of the feed that is held, or None.

    `signed` is of at most the size held, and verified; `root_held` is what is held at that size.
    """
    assert signed.size <= feed.size
    if root_held == signed.root or feed.head is None:
        return None
    kept = store.checkpoints(feed.feed_id, signed.size - 1, signed.size, True, 1)
    head = feed.head if feed.head.size == signed.size else kept[0] if kept else None
    if head is not None and head.root != signed.root:
        return ForkEvidence(head.note, signed.note)
    reader = tree_reader(store, feed.feed_id)
    prefix = range_hashes(0, signed.size, reader)
    suffix = CompactRange(signed.size, feed.size, range_hashes(signed.size, feed.size, reader))
    if feed.head.size > feed.size:
        suffix = merge(suffix, CompactRange(feed.size, feed.head.size, feed.rest))
    return ForkEvidence(signed.note, feed.head.note, b"".join(prefix), b"".join(suffix.hashes))
