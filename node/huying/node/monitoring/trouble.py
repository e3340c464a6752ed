"""What a store says is wrong with its feeds: two signed histories, and what is missing.

The running node knows more (`huying.node.admin.trouble`); this much is told while it is away, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice

from huying.common.errors import HuyingError
from huying.common.feed.checkpoint import parse_checkpoint
from huying.common.feed.note import parse_note
from huying.common.integrity.evidence import ForkEvidence
from huying.common.limits import TROUBLE_ROWS_MAX
from huying.common.state import DAMAGED, FeedState, Missing
from huying.wire.v1 import admin_pb2

__all__ = ["fork_evidence", "missing_range", "stored_trouble"]


def stored_trouble(
    feeds: Iterable[FeedState], missing: Mapping[str, Iterable[Missing]]
) -> admin_pb2.ShowTroubleResponse:
    """Forks, and what is missing, at most `TROUBLE_ROWS_MAX` rows; `missing` is by origin."""
    response = admin_pb2.ShowTroubleResponse()
    for feed in feeds:
        if feed.frozen:
            response.forks.append(fork_evidence(feed.origin, feed.frozen))
    rows = ((origin, row) for origin, of_feed in missing.items() for row in of_feed)
    for origin, row in islice(rows, TROUBLE_ROWS_MAX):
        response.missing.append(missing_range(origin, row))
    response.missing_left_out = sum(1 for _ in rows)
    return response


def fork_evidence(origin: str, frozen: bytes) -> admin_pb2.ForkEvidence:
    """The evidence that a frozen feed keeps. What does not parse is shown as it is, unsized."""
    try:
        kept = ForkEvidence.decode(frozen)
    except HuyingError:
        return admin_pb2.ForkEvidence(origin=origin, first=frozen)
    return admin_pb2.ForkEvidence(
        origin=origin,
        first=kept.first,
        second=kept.second,
        prefix=kept.prefix,
        suffix=kept.suffix,
        first_size=_size(kept.first),
        second_size=_size(kept.second),
    )


def _size(note: bytes) -> int:
    try:
        return parse_checkpoint(parse_note(note).text).size
    except HuyingError:
        return 0


def missing_range(origin: str, row: Missing) -> admin_pb2.MissingRange:
    """One row of what is missing."""
    kind = "slots" if row.slots else "leaves" if row.name == DAMAGED else "numbers"
    return admin_pb2.MissingRange(
        origin=origin,
        kind=kind,
        start=row.start,
        stop=row.stop,
        class_name=row.name if kind == "numbers" else "",
        first=row.first,
        last=row.last,
        slots=row.slots,
        since_seconds=row.since,
    )
