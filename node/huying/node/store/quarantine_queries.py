"""Reading what is in quarantine: how much waits for somebody, and each entry with its reasons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, func, or_, select

from huying.common.errors import Code, HuyingError
from huying.common.limits import TREE_SIZE_MAX
from huying.common.state import StoredEntry
from huying.node.store.content import peek_head
from huying.node.store.log_queries import LogQueries
from huying.node.store.queries import Page, page_limit
from huying.node.store.schema import FEEDS, QUARANTINE, QUARANTINE_SKIPS
from huying.wire.v1 import feed_pb2

__all__ = ["Acknowledged", "QuarantineCount", "QuarantineFault", "QuarantineQueries", "Quarantined"]

_WITH_SKIP: Final = QUARANTINE.outerjoin(
    QUARANTINE_SKIPS,
    and_(
        QUARANTINE_SKIPS.c.feed_id == QUARANTINE.c.feed_id,
        QUARANTINE_SKIPS.c.idx == QUARANTINE.c.idx,
    ),
)
_WAITS: Final[ColumnElement[bool]] = QUARANTINE_SKIPS.c.feed_id.is_(None)


@dataclass(frozen=True, slots=True)
class QuarantineFault:
    """One reason why an entry was kept opaque."""

    code: int  # huying.common.errors.Code; a damaged row may hold any number
    detail: str  # may quote what a peer wrote
    since: float  # unix seconds


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """Who of this node's people skipped an entry, when and why."""

    at: float  # unix seconds
    actor: str
    reason: str


@dataclass(frozen=True, slots=True)
class Quarantined:
    """One entry in quarantine."""

    origin: str
    index: int
    entry: StoredEntry
    head: feed_pb2.Head  # empty where it is not held, or does not decode
    faults: tuple[QuarantineFault, ...]
    skip: Acknowledged | None


@dataclass(frozen=True, slots=True)
class QuarantineCount:
    """Entries of one feed."""

    waiting: int
    skipped: int


class QuarantineQueries(LogQueries):
    """Lists go by feed and index, so a page does not shift while entries come."""

    def count_waiting(self, feed_id: int) -> int:
        """See `ports.Store`."""
        query = (
            select(func.count(QUARANTINE.c.idx.distinct()))
            .select_from(_WITH_SKIP)
            .where(QUARANTINE.c.feed_id == feed_id, _WAITS)
        )
        with self._reading() as connection:
            return connection.execute(query).scalar_one()

    def skipped(self, feed_id: int, index: int) -> bool:
        """See `ports.Store`."""
        return self._skip(feed_id, index) is not None

    def quarantine_counts(self) -> dict[str, QuarantineCount]:
        """By origin, of the feeds that have any."""
        query = (
            select(
                FEEDS.c.origin,
                func.count(QUARANTINE.c.idx.distinct()),
                func.count(QUARANTINE_SKIPS.c.idx.distinct()),
            )
            .select_from(_WITH_SKIP.join(FEEDS, FEEDS.c.feed_id == QUARANTINE.c.feed_id))
            .group_by(FEEDS.c.origin)
        )
        with self._reading() as connection:
            return {
                origin: QuarantineCount(count - skipped, skipped)
                for origin, count, skipped in connection.execute(query)
            }

    def list_quarantined(
        self, origin: str = "", *, waiting: bool | None = None, token: bytes = b"", limit: int = 0
    ) -> Page[Quarantined]:
        """A page of one feed, or of all; `waiting` True or False: those nobody skipped, or did.

        Raises HuyingError(INVALID_ARGUMENT) for a token of another list.
        """
        feed_id, index = _unpack(token)
        place = QUARANTINE.c.feed_id, QUARANTINE.c.idx
        query = (
            select(FEEDS.c.origin, *place)
            .select_from(_WITH_SKIP.join(FEEDS, FEEDS.c.feed_id == QUARANTINE.c.feed_id))
            .where(or_(place[0] > feed_id, and_(place[0] == feed_id, place[1] > index)))
            .group_by(FEEDS.c.origin, *place)
            .order_by(*place)
            .limit((size := page_limit(limit)) + 1)
        )
        if origin:
            query = query.where(FEEDS.c.origin == origin)
        if waiting is not None:
            query = query.where(_WAITS if waiting else ~_WAITS)
        with self._reading() as connection:
            found = connection.execute(query).fetchall()
        rows = tuple(self._quarantined(*row) for row in found[:size])
        more = len(found) > size
        return Page(rows, f"{found[size - 1][1]}.{found[size - 1][2]}".encode() if more else b"")

    def find_quarantined(self, origin: str, index: int) -> Quarantined | None:
        """One entry; None where it is not in quarantine."""
        feed = self.feed(origin)
        if feed is None or not 0 <= index < feed.size:
            return None
        found = self._quarantined(origin, feed.feed_id, index)
        return found if found.faults else None

    def _quarantined(self, origin: str, feed_id: int, index: int) -> Quarantined:
        held = self.entries(feed_id, index, index + 1)
        entry = held[0] if held else StoredEntry(None, b"", b"")
        return Quarantined(
            origin=origin,
            index=index,
            entry=entry,
            head=peek_head(entry.openings),
            faults=tuple(
                QuarantineFault(code, detail, since)
                for _, code, detail, since in self.quarantined(feed_id, index, index + 1)
            ),
            skip=self._skip(feed_id, index),
        )

    def _skip(self, feed_id: int, index: int) -> Acknowledged | None:
        table: Any = QUARANTINE_SKIPS.c
        query = select(table.skipped, table.actor, table.reason).where(
            table.feed_id == feed_id, table.idx == index
        )
        with self._reading() as connection:
            row = connection.execute(query).first()
        return None if row is None else Acknowledged(*row)


def _unpack(token: bytes) -> tuple[int, int]:
    """The last row given; before the first where the token is empty."""
    if not token:
        return -1, -1
    feed_id, _, index = token.decode("ascii", "replace").partition(".")
    if not (feed_id.isdecimal() and index.isdecimal() and len(token) < 32):
        raise HuyingError(Code.INVALID_ARGUMENT, "page_token is not one of ours")
    return min(int(feed_id), 2**31), min(int(index), TREE_SIZE_MAX)
