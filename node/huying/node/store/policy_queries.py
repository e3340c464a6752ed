"""Reading policies and calendars: the one in force, a version that a call names, and their history.

Both are records of the node that answers the calls, its *sequencer*; the newest version in its feed
is in force, and below the first one the shipped version 0 is.
"""

from __future__ import annotations

from typing import Final, NamedTuple, TypeVar

from google.protobuf.message import DecodeError, Message
from sqlalchemy import Table, select

from huying.common.errors import Code, HuyingError
from huying.common.policies import shipped_calendar, shipped_policy
from huying.node.store.content import message_bytes
from huying.node.store.desk_schema import CALENDARS, POLICIES
from huying.node.store.queries import Queries
from huying.node.store.schema import ENTRIES, FEEDS, stands_at
from huying.wire.v1 import feed_pb2, policy_pb2

__all__ = ["PolicyQueries", "VersionPlace"]

M = TypeVar("M", bound=Message)
_VERSION_MAX: Final = 2**31 - 1


class VersionPlace(NamedTuple):
    """Where a version was written, and when by the writer's clock."""

    version: int
    title: str
    origin: str
    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody calls
    time_micros: int


class PolicyQueries(Queries):
    """`sequencer` is a division code."""

    def policy(self, sequencer: str, version: int | None = None) -> policy_pb2.Policy:
        """That version, or the one in force for None; version 0 is the shipped one.

        A version that is not here is answered by the newest one below it.

        Raises HuyingError(CORRUPT) where a stored one does not parse.
        """
        found = self._newest(POLICIES, sequencer, version, policy_pb2.Policy)
        return shipped_policy() if found is None else found

    def calendar(self, sequencer: str, version: int | None = None) -> policy_pb2.Calendar:
        """The same for calendars; what reckons a step takes the newest."""
        found = self._newest(CALENDARS, sequencer, version, policy_pb2.Calendar)
        return shipped_calendar() if found is None else found

    def policy_places(self, sequencer: str, limit: int) -> list[VersionPlace]:
        """The newest `limit` versions that were written, newest first."""
        return self._places(POLICIES, sequencer, limit, policy_pb2.Policy)

    def calendar_places(self, sequencer: str, limit: int) -> list[VersionPlace]:
        """The same for calendars."""
        return self._places(CALENDARS, sequencer, limit, policy_pb2.Calendar)

    def _newest(self, table: Table, sequencer: str, version: int | None, kind: type[M]) -> M | None:
        query = (
            select(ENTRIES.c.openings)
            .select_from(table)
            .join(ENTRIES, stands_at(table))
            .where(table.c.home == sequencer, table.c.kind != feed_pb2.KIND_DELETE)
            .where(table.c.version <= (_VERSION_MAX if version is None else version))
            .order_by(table.c.version.desc(), table.c.epoch.desc(), table.c.idx.desc())
            .limit(1)
        )
        with self._reading() as connection:
            openings = connection.execute(query).scalar()
        return None if openings is None else _parse(kind, openings)

    def _places(
        self, table: Table, sequencer: str, limit: int, kind: type[Message]
    ) -> list[VersionPlace]:
        query = (
            select(
                table.c.version,
                FEEDS.c.origin,
                table.c.idx,
                table.c.time_micros,
                ENTRIES.c.openings,
            )
            .select_from(table)
            .join(ENTRIES, stands_at(table))
            .join(FEEDS, FEEDS.c.feed_id == table.c.feed_id)
            .where(table.c.home == sequencer, table.c.kind != feed_pb2.KIND_DELETE)
            .order_by(table.c.version.desc(), table.c.epoch.desc(), table.c.idx.desc())
            .limit(limit)
        )
        with self._reading() as connection:
            rows = connection.execute(query).fetchall()
        return [
            VersionPlace(version, str(getattr(_parse(kind, openings), "title", "")), *place)
            for version, *place, openings in rows
        ]


def _parse(kind: type[M], openings: bytes) -> M:
    try:
        return kind.FromString(message_bytes(openings))
    except DecodeError:
        name = kind.DESCRIPTOR.name
        raise HuyingError(Code.CORRUPT, f"a stored {name} does not parse") from None
