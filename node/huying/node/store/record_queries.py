"""Reading records: the newest state of each, lists of them, and the entries as they were applied.

A projection's row tells where the record stands and which of its slots are held; the record itself
is read from that entry's openings.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import DecodeError
from sqlalchemy import Select, Table, select, tuple_

from huying.common.codes import ancestors, grid_village
from huying.common.errors import Code, HuyingError
from huying.common.feed.leaf import HEAD_SLOT, leaf_slots, unpack_openings
from huying.common.membership.roster import Pin
from huying.common.state import StoredEntry
from huying.node.store.content import head_bytes, message_bytes, slot_states
from huying.node.store.log_queries import LogQueries
from huying.node.store.queries import Page, pack_token, page_limit, unpack_token
from huying.node.store.schema import (
    ENTRIES,
    FEEDS,
    MEMBERS,
    QUARANTINE,
    RECORDS,
    STATEMENTS,
    entry_place,
    stands_at,
)
from huying.wire.v1 import feed_pb2

__all__ = ["RecordQueries", "RecordRow"]

_PLACE = ("feed_id", "idx", "time_micros", "kind", "slots")


@dataclass(frozen=True, slots=True)
class RecordRow:
    """A record as far as it is visible here, or one entry of it."""

    type: int  # feed_pb2.RecordType
    home: str
    record: bytes
    origin: str
    index: int
    time_micros: int
    kind: int  # feed_pb2.Kind; KIND_DELETE where the record has ended
    slots: bytes  # pairs (slot, api_pb2.SlotState), one byte each
    message: bytes  # the visible fields, protobuf


class RecordQueries(LogQueries):
    """Lists go by (home, record), so a page never shifts while others write."""

    def get_record(self, record_type: int, home: str, record: bytes) -> RecordRow | None:
        """The record's newest state, also where it has ended; None where it was never here.

        Raises HuyingError(INVALID_ARGUMENT) for a type that has no table.
        """
        table = _table(record_type)
        query = _rows(table).where(table.c.home == home, table.c.record == record)
        with self._reading() as connection:
            row = connection.execute(query).first()
        return None if row is None else _record_row(record_type, row)

    def list_records(
        self,
        record_type: int,
        *,
        home: str = "",
        grid: str = "",
        limit: int = 0,
        page_token: bytes = b"",
    ) -> Page[RecordRow]:
        """Records that have not ended. `home` and `grid` narrow; empty means all.

        Raises HuyingError(INVALID_ARGUMENT) for a type without a table or without a grid, a
        malformed grid code, or a token that is not ours.
        """
        table = _table(record_type)
        wanted = page_limit(limit)
        after = unpack_token(page_token)[1:] if page_token else ("", b"")
        base = _rows(table).where(table.c.kind != feed_pb2.KIND_DELETE)
        if grid:
            if "grid" not in table.c:
                raise HuyingError(Code.INVALID_ARGUMENT, f"{table.name} have no grid")
            base = base.where(table.c.grid == grid)
        found: list[Any] = []
        with self._reading() as connection:
            for query in _pages(table, base, _homes(home, grid), after):
                found += connection.execute(query.limit(wanted + 1 - len(found))).fetchall()
                if len(found) > wanted:
                    break
        rows = tuple(_record_row(record_type, row) for row in found[:wanted])
        more = len(found) > wanted
        return Page(rows, pack_token(0, rows[-1].home, rows[-1].record) if more else b"")

    def members(self) -> list[Pin]:
        """The keys that MEMBER entries say now, by the parent that says it."""
        columns = (MEMBERS.c[name] for name in ("code", "name", "feed_key", "witness_key"))
        query = (
            select(*columns, MEMBERS.c.certificate_sha256)
            .where(MEMBERS.c.kind != feed_pb2.KIND_DELETE)
            .order_by(MEMBERS.c.feed_id, MEMBERS.c.idx)
        )
        with self._reading() as connection:
            return [Pin(*tuple(row)) for row in connection.execute(query)]

    def statements(self, record_type: int | None = None) -> list[tuple[int, int, StoredEntry]]:
        """See `ports.Store`; of one type alone, where one is given."""
        query = (
            select(
                STATEMENTS.c.feed_id,
                STATEMENTS.c.idx,
                ENTRIES.c.leaf,
                ENTRIES.c.leaf_hash,
                ENTRIES.c.openings,
            )
            .select_from(STATEMENTS)
            .join(ENTRIES, stands_at(STATEMENTS))
            .order_by(STATEMENTS.c.seq)
        )
        if record_type is not None:
            query = query.where(STATEMENTS.c.type == record_type)
        with self._reading() as connection:
            return [(row[0], row[1], StoredEntry(*row[2:])) for row in connection.execute(query)]

    def changes(
        self, origin: str, start: int, limit: int, types: Iterable[int] = ()
    ) -> tuple[list[RecordRow], int]:
        """The applied entries among the next `limit` from `start`, and where to go on.

        Entries that are withheld or quarantined are passed over. Where to go on is `start` at the
        end of what is held. Raises HuyingError(NOT_FOUND) for an unknown origin.
        """
        chosen = frozenset(types)
        with self._reading() as connection:
            feed = connection.execute(
                select(FEEDS.c.feed_id, FEEDS.c.code).where(FEEDS.c.origin == origin)
            ).first()
            if feed is None:
                raise HuyingError(Code.NOT_FOUND, f"no feed {origin}")
            first = entry_place(feed.feed_id, start)
            query = select(ENTRIES.c.leaf, ENTRIES.c.openings)
            places = ENTRIES.c.place >= first, ENTRIES.c.place < first + page_limit(limit)
            held = connection.execute(query.where(*places).order_by(ENTRIES.c.place)).fetchall()
            quarantined = connection.execute(
                select(QUARANTINE.c.idx).where(
                    QUARANTINE.c.feed_id == feed.feed_id,
                    QUARANTINE.c.idx >= start,
                    QUARANTINE.c.idx < start + len(held),
                )
            )
            passed_over = set(quarantined.scalars())
        rows = []
        for index, (leaf, openings) in enumerate(held, start):
            if leaf is None or not openings or index in passed_over:
                continue
            row = entry_row(origin, feed.code, index, StoredEntry(leaf, None, openings))
            if row is not None and (not chosen or row.type in chosen):
                rows.append(row)
        return rows, start + len(held)


def entry_row(origin: str, home: str, index: int, entry: StoredEntry) -> RecordRow | None:
    """One entry as a record row; None where its head is not held.

    Raises HuyingError(CORRUPT).
    """
    assert entry.leaf is not None
    present = bytes(opening[0] for opening in unpack_openings(entry.openings))
    if HEAD_SLOT not in present:
        return None
    try:
        head = feed_pb2.Head.FromString(head_bytes(entry.openings))
    except DecodeError:
        raise HuyingError(Code.CORRUPT, f"the head of {origin} {index} does not parse") from None
    return RecordRow(
        type=head.type,
        home=home,
        record=head.record,
        origin=origin,
        index=index,
        time_micros=head.time_micros,
        kind=head.kind,
        slots=slot_states(leaf_slots(entry.leaf), present),
        message=message_bytes(entry.openings),
    )


def _table(record_type: int) -> Table:
    table = RECORDS.get(record_type)
    if table is None:
        raise HuyingError(Code.INVALID_ARGUMENT, f"records of type {record_type} are not listed")
    return table


def _rows(table: Table) -> Select[Any]:
    """The projection's rows with their origin and openings."""
    return (
        select(
            table.c.home,
            table.c.record,
            FEEDS.c.origin,
            *(table.c[name] for name in _PLACE[1:]),
            ENTRIES.c.openings,
        )
        .select_from(table)
        .join(ENTRIES, stands_at(table))
        .join(FEEDS, FEEDS.c.feed_id == table.c.feed_id)
    )


def _record_row(record_type: int, row: Any) -> RecordRow:
    home, record, origin, index, time_micros, kind, slots, openings = row
    message = message_bytes(openings)
    return RecordRow(record_type, home, record, origin, index, time_micros, kind, slots, message)


def _homes(home: str, grid: str) -> Sequence[str] | None:
    """The homes whose records may lie in the grid: its village, and the divisions above it."""
    if not grid:
        return [home] if home else None
    village = grid_village(grid)
    on_the_line = sorted((village, *ancestors(village)))
    return [code for code in on_the_line if not home or code == home]


def _pages(
    table: Table, base: Select[Any], homes: Sequence[str] | None, after: tuple[str, bytes]
) -> Iterable[Select[Any]]:
    """The queries that give the rows after a key, in the order of the key; each uses it."""
    key = tuple_(table.c.home, table.c.record)
    ordered = base.order_by(table.c.home, table.c.record)
    if homes is None:
        return [ordered.where(key > tuple_(*after))]
    queries = []
    for home in homes:
        if home >= after[0]:
            query = ordered.where(table.c.home == home)
            queries.append(query.where(table.c.record > after[1]) if home == after[0] else query)
    return queries
