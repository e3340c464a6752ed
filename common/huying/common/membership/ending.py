"""What is taken of a feed whose epoch has ended: everything up to its end, and nothing behind.

Only the index counts. A revoked key can sign what it likes under whatever date it likes; readers
refuse every entry from the size on that the revocation names.
"""

from __future__ import annotations

from dataclasses import replace

from huying.common.errors import Code, HuyingError
from huying.common.feed.merkle import CompactRange, append, build, merge
from huying.common.feed.segment import Accepted
from huying.common.membership.roster import Epoch, EpochStatus
from huying.common.state import FeedState

__all__ = ["cut_at_end", "ended"]


def ended(epoch: Epoch) -> HuyingError:
    """Why nothing behind the end of this epoch is taken."""
    code = Code.REVOKED if epoch.status is EpochStatus.REVOKED else Code.EPOCH_CLOSED
    return HuyingError(code, f"{epoch.origin} ended at size {epoch.stop}")


def cut_at_end(feed: FeedState, accepted: Accepted, stop: int) -> Accepted | None:
    """The part of an accepted segment before index `stop`; None where all of it lies behind.

    The rest of it stays provable: its hashes go into the compact range up to the signed size.
    """
    kept = stop - accepted.start
    if kept < 0 or (kept == 0 and (accepted.entries or accepted.head.size > stop)):
        return None
    if kept >= len(accepted.entries):
        return accepted
    frontier = CompactRange(0, feed.size, feed.frontier)
    grown, subtrees = append(frontier, accepted.hashes[:kept])
    behind = build(stop, accepted.hashes[kept:])
    if accepted.rest:
        behind = merge(behind, CompactRange(accepted.size, accepted.head.size, accepted.rest))
    return replace(
        accepted,
        entries=accepted.entries[:kept],
        hashes=accepted.hashes[:kept],
        frontier=grown.hashes,
        subtrees=subtrees,
        rest=behind.hashes,
    )
