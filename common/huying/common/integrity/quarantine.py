"""Entries in quarantine, as an operator decides about them: judged again, or acknowledged.

    Retry   judge entries anew, with the program, the keys and the erasures as they are now
    Skip    acknowledge one: it stays as it came, and waits for nobody any more

Each is one transaction of the engine, so an entry never takes effect while its row still says that
it did not. What was signed is never touched: every root and proof stays as it was. An entry whose
head did not decode is kept as a leaf alone, so there is nothing of it to judge again; nor is it
asked for again, for a relay that could not read it either would look as if it kept it back.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from huying.common.errors import Code, HuyingError
from huying.common.feed.leaf import unpack_openings
from huying.common.intake import Judgement, judge_entry
from huying.common.late.filling import projected
from huying.common.limits import RETRIED_ENTRIES_MAX
from huying.common.records.field_checks import one_line, refuse

if TYPE_CHECKING:
    from huying.common.engine import Engine
    from huying.common.replica import Replica

__all__ = ["Fault", "Retried", "Retry", "RetryOutcome", "Skip"]

Fault = tuple[Code, str]  # why an entry is in quarantine, and the detail


class RetryOutcome(enum.Enum):
    """What came of judging an entry again."""

    APPLIED = "applied"  # it counts like any other now
    REFUSED = "refused"  # it stays, and waits for somebody again
    BARE = "bare"  # its leaf alone is here, so there was nothing to judge


@dataclass(frozen=True, slots=True)
class Retried:
    """One entry after a retry; `faults` are empty where it was applied."""

    index: int
    outcome: RetryOutcome
    faults: tuple[Fault, ...]


@dataclass(frozen=True, slots=True)
class Retry:
    """Judge entries of one feed again, in the order of the feed."""

    origin: str
    indexes: tuple[int, ...]

    def run(self, engine: Engine) -> tuple[Retried, ...]:
        """Raises HuyingError(NOT_FOUND) for an entry that is not in quarantine, LIMIT_EXCEEDED."""
        if len(self.indexes) > RETRIED_ENTRIES_MAX:
            raise HuyingError(
                Code.LIMIT_EXCEEDED, f"{len(self.indexes)} entries, {RETRIED_ENTRIES_MAX} at once"
            )
        replica = engine.replica
        indexes = sorted(set(self.indexes))
        judged = [index for index in indexes if _judge_again(replica, self.origin, index)]
        _recount(replica, self.origin)
        engine.appends.project()  # here a statement may be refused, and back in quarantine
        return tuple(_retried(replica, self.origin, index, index in judged) for index in indexes)


@dataclass(frozen=True, slots=True)
class Skip:
    """Acknowledge one entry. Who and why are for the people of this node, and leave it never."""

    origin: str
    index: int
    actor: str
    reason: str

    def run(self, engine: Engine) -> bool:
        """Whether it was acknowledged before; then the first word stands.

        Raises HuyingError(NOT_FOUND) for an entry that is not in quarantine, INVALID_ARGUMENT.
        """
        for field, value in (("actor", self.actor), ("reason", self.reason)):
            one_line(field, value, "")
            if not value.strip():
                raise refuse(field, "missing")
        replica = engine.replica
        _faults(replica, self.origin, self.index)
        feed_id = replica.feeds[self.origin].feed_id
        if replica.store.skipped(feed_id, self.index):
            return True
        replica.store.skip(feed_id, self.index, self.actor, self.reason, replica.clock.now())
        _recount(replica, self.origin)
        return False


def _faults(replica: Replica, origin: str, index: int) -> list[tuple[Code, str, float]]:
    """Why an entry is in quarantine, and since when. Raises HuyingError(NOT_FOUND)."""
    feed = replica.feeds.get(origin)
    rows = (
        replica.store.quarantined(feed.feed_id, index, index + 1)
        if feed is not None and 0 <= index < feed.size
        else []
    )
    if not rows:
        where = origin if feed is not None else "a feed that is not here"
        raise HuyingError(Code.NOT_FOUND, f"entry {index} of {where} is not in quarantine")
    return [(Code(code), detail, since) for _, code, detail, since in rows]


def _judge_again(replica: Replica, origin: str, index: int) -> bool:
    """Judge one entry, and let it take effect where it passes; False where just its leaf is here.

    An entry that is refused again keeps the time since when it is, and loses its acknowledgement:
    whoever asks for a verdict has a new one to read.
    """
    rows = _faults(replica, origin, index)
    feed = replica.feeds[origin]
    (held,) = replica.store.entries(feed.feed_id, index, index + 1)
    if held.leaf is None or not held.openings:
        return False
    now = replica.clock.now()
    reader = replica.reader_of(feed)
    verdict = judge_entry(
        reader,
        held.leaf,
        unpack_openings(held.openings),
        erased=reader.erased.at(index),
        granted=replica.grants.of_this_node(origin, index, now),
    )
    if verdict.message is None and verdict.quarantine is None:
        return False  # nothing of it may be read here any more
    faults = _number_faults(verdict, index, rows)
    if verdict.quarantine is not None:
        faults.append(verdict.quarantine)
    since = {code: at for code, _, at in rows}
    replica.store.release(feed.feed_id, index)
    for code, detail in faults:
        replica.store.quarantine(
            feed.feed_id, index, code, detail, since.get(code, min(since.values()))
        )
    if not faults:
        # Its running number was counted when it came, so no list of what is missing changes.
        replica.project(projected(reader, index, verdict))
    return True


def _number_faults(
    verdict: Judgement, index: int, rows: list[tuple[Code, str, float]]
) -> list[Fault]:
    """What stays wrong with the entry's running number, whatever the program understands by now."""
    if verdict.head is None or verdict.view is None or not verdict.view.class_name:
        return []
    ahead = verdict.head.seen[verdict.view.class_position] > index + 1
    return [
        (code, detail)
        for code, detail, _ in rows
        if code is Code.NUMBER_REUSED or (code is Code.BAD_HEAD and ahead)
    ]


def _recount(replica: Replica, origin: str) -> None:
    feed = replica.feeds[origin]
    waiting = replica.store.count_waiting(feed.feed_id)
    replica.put(replace(feed, quarantined=waiting))


def _retried(replica: Replica, origin: str, index: int, was_judged: bool) -> Retried:
    feed_id = replica.feeds[origin].feed_id
    left = replica.store.quarantined(feed_id, index, index + 1)
    outcome = RetryOutcome.REFUSED if left else RetryOutcome.APPLIED
    if not was_judged:
        outcome = RetryOutcome.BARE
    return Retried(index, outcome, tuple((Code(code), detail) for _, code, detail, _ in left))
