"""Reading duty lists: whose there are, which version is in force, and its items.

A list is in force once its header is here with as many items of its version: a version whose items
are still on their way leaves the one before it in force. Everything is a record of the node whose
list it is, its home.
"""

from __future__ import annotations

import unicodedata
from typing import Final, NamedTuple

from google.protobuf.message import DecodeError
from sqlalchemy import func, select

from huying.common.errors import Code, HuyingError
from huying.common.limits import LIST_ENTRIES_MAX
from huying.node.store.content import message_bytes
from huying.node.store.desk_schema import DUTY_ITEMS, DUTY_LISTS
from huying.node.store.queries import Queries
from huying.node.store.schema import ENTRIES, FEEDS, stands_at
from huying.wire.v1 import feed_pb2, policy_pb2

__all__ = ["DutyListRow", "DutyQueries", "folded"]

_NOT_DELETED: Final = DUTY_LISTS.c.kind != feed_pb2.KIND_DELETE


class DutyListRow(NamedTuple):
    """One version of a list, and where its header was written."""

    home: str  # division code
    header: policy_pb2.DutyList
    items_held: int
    origin: str
    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody calls
    time_micros: int

    @property
    def version(self) -> int:
        """Its number, from 1."""
        return self.header.version

    @property
    def is_whole(self) -> bool:
        """Whether all its items are here."""
        return self.items_held >= self.header.item_count


class DutyQueries(Queries):
    """`home` is a division code."""

    def duty_homes(self) -> list[str]:
        """The nodes whose lists have come here, in the order of their codes."""
        query = select(DUTY_LISTS.c.home).where(_NOT_DELETED).distinct().order_by("home")
        with self._reading() as connection:
            return list(connection.execute(query).scalars())

    def duty_lists(self, home: str, limit: int = LIST_ENTRIES_MAX) -> list[DutyListRow]:
        """The newest `limit` versions of a node's list, newest first.

        Raises HuyingError(CORRUPT) where a stored one does not parse.
        """
        held = (
            select(func.count())
            .select_from(DUTY_ITEMS)
            .where(DUTY_ITEMS.c.version == DUTY_LISTS.c.version, DUTY_ITEMS.c.home == home)
            .where(DUTY_ITEMS.c.kind != feed_pb2.KIND_DELETE)
            .scalar_subquery()
        )
        query = (
            select(
                held,
                FEEDS.c.origin,
                DUTY_LISTS.c.idx,
                DUTY_LISTS.c.time_micros,
                ENTRIES.c.openings,
            )
            .select_from(DUTY_LISTS)
            .join(ENTRIES, stands_at(DUTY_LISTS))
            .join(FEEDS, FEEDS.c.feed_id == DUTY_LISTS.c.feed_id)
            .where(DUTY_LISTS.c.home == home, _NOT_DELETED)
            .order_by(
                DUTY_LISTS.c.version.desc(), DUTY_LISTS.c.epoch.desc(), DUTY_LISTS.c.idx.desc()
            )
            .limit(limit)
        )
        with self._reading() as connection:
            rows = connection.execute(query).fetchall()
        try:
            return [
                DutyListRow(home, _header(openings), held_here, origin, index, time_micros)
                for held_here, origin, index, time_micros, openings in rows
            ]
        except DecodeError:
            raise HuyingError(Code.CORRUPT, "a stored DutyList does not parse") from None

    def duty_list_in_force(self, home: str) -> DutyListRow | None:
        """The newest version whose items are all here. Raises as `duty_lists`."""
        return next((row for row in self.duty_lists(home) if row.is_whole), None)

    def duty_item(self, home: str, version: int, number: str) -> policy_pb2.DutyItem | None:
        """The item of that number, whatever its width and case; None where there is none."""
        wanted = folded(number)
        items = self.duty_items(home, version)
        return next((item for item in items if folded(item.number) == wanted), None)

    def duty_items(self, home: str, version: int) -> list[policy_pb2.DutyItem]:
        """The items of one version, in the list's order. Raises as `duty_lists`."""
        query = (
            select(ENTRIES.c.openings)
            .select_from(DUTY_ITEMS)
            .join(ENTRIES, stands_at(DUTY_ITEMS))
            .where(DUTY_ITEMS.c.version == version, DUTY_ITEMS.c.home == home)
            .where(DUTY_ITEMS.c.kind != feed_pb2.KIND_DELETE)
            .order_by(DUTY_ITEMS.c.epoch, DUTY_ITEMS.c.idx)
        )
        with self._reading() as connection:
            found = connection.execute(query).scalars().all()
        try:
            return [policy_pb2.DutyItem.FromString(message_bytes(one)) for one in found]
        except DecodeError:
            raise HuyingError(Code.CORRUPT, "a stored DutyItem does not parse") from None


def _header(openings: bytes) -> policy_pb2.DutyList:
    return policy_pb2.DutyList.FromString(message_bytes(openings))


def folded(text: str) -> str:
    """What two spellings of a number or a word share: width, case and blanks apart."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
