"""An operator holds a note beside what this node holds: two readers compare what they were shown.

Siblings exchange nothing, so an origin above them could tell each another history, and each would
see a consistent one. A note that one of them prints and the other compares ends that: it either
stands in the history that is held, or is half of the evidence that freezes the feed. docs/SYNC.md,
"Two histories".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from huying.common.errors import Code, HuyingError
from huying.common.feed.checkpoint import parse_checkpoint
from huying.common.feed.note import parse_note
from huying.common.integrity.evidence import ForkError, ForkEvidence
from huying.common.integrity.witness import compare

if TYPE_CHECKING:
    from huying.common.engine import Engine

__all__ = ["CompareNote", "Compared"]


@dataclass(frozen=True, slots=True)
class Compared:
    """What came of it. Neither `evidence` nor `is_held`: the note speaks of entries to come."""

    origin: str
    size: int  # that the note signs
    held: int
    is_held: bool  # the note stands in what is held
    evidence: ForkEvidence | None = None


@dataclass(frozen=True, slots=True)
class CompareNote:
    """An operation of the engine; `note` is a signed checkpoint from anywhere."""

    note: bytes

    def run(self, engine: Engine) -> Compared:
        """Compare; freeze the feed and tell the neighbours where both can't be true.

        A note of more than is held is kept: what comes must lead to it. Raises
        HuyingError(BAD_NOTE, BAD_SIGNATURE); UNKNOWN_ORIGIN where the key is not known, and
        NOT_FOUND where nothing of the feed is held.
        """
        origin = parse_checkpoint(parse_note(self.note).text).origin
        replica = engine.replica
        if replica.feed_key(origin) is None:
            raise HuyingError(Code.UNKNOWN_ORIGIN, origin)
        feed = replica.feeds.get(origin)
        if feed is None or not feed.feed_id:
            raise HuyingError(Code.NOT_FOUND, f"nothing of {origin} is held here")
        if feed.frozen:
            evidence = ForkEvidence.decode(feed.frozen)
            return Compared(origin, 0, feed.size, is_held=False, evidence=evidence)
        try:
            signed = compare(replica, origin, self.note)
        except ForkError as error:
            engine.alarm(error.code, origin, detail=error.detail)
            engine.forks.found(origin, error.evidence)
            size = parse_checkpoint(parse_note(self.note).text).size
            return Compared(origin, size, feed.size, is_held=False, evidence=error.evidence)
        if signed.size > feed.size and origin != engine.identity.origin:
            replica.expect(origin, signed)
        return Compared(origin, signed.size, feed.size, is_held=signed.size <= feed.size)
