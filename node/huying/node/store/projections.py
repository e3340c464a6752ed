"""From applied entries to the queryable tables.

A projection holds of a record its newest entry's place, the state of each of its slots, and the
columns worth a filter. Everything else of the record is read again from that entry's openings. A
peer chose the values, so each is brought into the range of its column: none may fail a transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from sqlalchemy import Connection, func, select

from huying.common.calls import Folding
from huying.common.records.registry import STATEMENT_TYPES
from huying.common.state import Applied
from huying.node.store.call_projection import CallProjection
from huying.node.store.content import slot_states
from huying.node.store.desk_projection import DESK_COLUMNS
from huying.node.store.schema import RECORDS, STATEMENTS
from huying.node.store.statements import insert_sql, upsert_sql
from huying.node.store.values import number, text
from huying.wire.v1 import feed_pb2

__all__ = ["Projections", "projected_row"]

# The columns of a record type after the common ones, from its message.
_COLUMNS: Final[dict[int, Callable[[Any], tuple[Any, ...]]]] = {
    feed_pb2.RECORD_TYPE_DIVISION: lambda m: (text(m.code),),
    feed_pb2.RECORD_TYPE_GRID: lambda m: (text(m.code), m.type, m.grid_level),
    feed_pb2.RECORD_TYPE_GRID_WORKER: lambda m: (text(m.grid), m.role),
    feed_pb2.RECORD_TYPE_HOUSEHOLD: lambda m: (text(m.grid), m.resident_count),
    feed_pb2.RECORD_TYPE_RESIDENT: lambda m: (text(m.grid), m.household),
    feed_pb2.RECORD_TYPE_EVENT: lambda m: (
        text(m.grid),
        text(m.category),
        m.status,
        number(m.reported_micros),
    ),
    feed_pb2.RECORD_TYPE_VISIT: lambda m: (
        text(m.grid),
        m.kind,
        number(m.visited_micros),
        m.household,
    ),
    feed_pb2.RECORD_TYPE_EVIDENCE: lambda m: (m.of, m.of_type, m.sha256, m.part, m.parts),
    feed_pb2.RECORD_TYPE_MEMBER: lambda m: (
        text(m.code),
        text(m.name),
        text(m.feed_key),
        text(m.witness_key),
        m.certificate_sha256,
    ),
    **DESK_COLUMNS,
}


def projected_row(entry: Applied) -> tuple[Any, ...]:
    """The row of an entry in the table of its type, in the order of the columns."""
    feed_id, home, epoch, index, head, slots, present, message, erased = entry
    return (
        home,
        head.record,
        feed_id,
        epoch,
        index,
        number(head.time_micros),
        head.kind,
        slot_states(slots, present, erased),
        *_COLUMNS[head.type](message),
    )


class Projections:
    """Writes the projections over the store's connection, inside its transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        dialect = connection.dialect.name
        self._upsert = {
            kind: upsert_sql(table, dialect, newer=True) for kind, table in RECORDS.items()
        }
        self._calls = CallProjection(connection)
        self._journal = insert_sql(STATEMENTS, dialect, ignore=True)

    def forget(self) -> None:
        """Keep nothing in memory of what the tables say: see `CallProjection.forget`."""
        self._calls.forget()

    def folding(self, sequencer: str, caller: str, call: bytes) -> Folding:
        """See `CallProjection.folding`."""
        return self._calls.folding(sequencer, caller, call)

    def settle_calls(self) -> None:
        """What `apply` without `settle` left to do."""
        self._calls.settle_all()

    def apply(self, applied: Sequence[Applied], *, settle: bool = True) -> None:
        """Bring every table up to date. Entries of a type without a table are passed over.

        Without `settle`, what is derived of calls waits for `settle_calls`.
        """
        rows: dict[int, list[tuple[Any, ...]]] = {}
        calls: list[Applied] = []
        statements: list[Applied] = []
        for entry in applied:
            kind: int = entry.head.type
            if kind in STATEMENT_TYPES:
                statements.append(entry)
                if kind not in _COLUMNS:
                    continue
            if kind not in _COLUMNS:
                calls.append(entry)
            elif kind in rows:
                rows[kind].append(projected_row(entry))
            else:
                rows[kind] = [projected_row(entry)]
        for kind, batch in rows.items():
            self._connection.exec_driver_sql(self._upsert[kind], batch)
        if calls:
            self._calls.apply(calls, settle=settle)
        if statements:
            self._write_journal(statements)

    def _write_journal(self, statements: Sequence[Applied]) -> None:
        newest = select(func.coalesce(func.max(STATEMENTS.c.seq), 0))
        seq = self._connection.execute(newest).scalar_one()
        rows = [
            (entry.feed_id, entry.index, seq + number, entry.head.type)
            for number, entry in enumerate(statements, 1)
        ]
        self._connection.exec_driver_sql(self._journal, rows)
