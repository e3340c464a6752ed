"""The reader: read-only queries for other threads, and for commands while no node runs.

A reader on a file opens connections of its own that can't write. The store's own reader shares the
writer's connection, so it sees the transaction that is running.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final

from sqlalchemy import Connection, Row, Select

from huying.common.errors import Code, HuyingError
from huying.node.store import database
from huying.node.store.call_queries import CallQueries
from huying.node.store.census_queries import CensusQueries
from huying.node.store.desk_queries import DeskQueries
from huying.node.store.duty_queries import DutyQueries
from huying.node.store.event_queries import EventQueries
from huying.node.store.evidence_queries import EvidenceQueries
from huying.node.store.ledger_queries import LedgerQueries
from huying.node.store.measure_queries import MeasureQueries
from huying.node.store.order_queries import OrderQueries
from huying.node.store.policy_queries import PolicyQueries
from huying.node.store.provision_queries import ProvisionQueries
from huying.node.store.quarantine_queries import QuarantineQueries
from huying.node.store.queries import Page
from huying.node.store.record_queries import RecordQueries
from huying.node.store.schema import SCHEMA_REVISION

__all__ = ["FileReader", "Page", "Reader"]

INTEGRITY_LINES_MAX: Final = 20


class Reader(
    ProvisionQueries,
    RecordQueries,
    CallQueries,
    DeskQueries,
    DutyQueries,
    PolicyQueries,
    OrderQueries,
    CensusQueries,
    MeasureQueries,
    QuarantineQueries,
    EventQueries,
    EvidenceQueries,
    LedgerQueries,
):
    """Every query there is. What a method returns is one consistent view; two calls may differ."""

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[Reader]:
        """A reader whose queries all see the same state: that at the first of them.

        On a running node the write-ahead log grows while it is held. For one thread.
        """
        with self._reading() as connection:
            yield Reader(lambda: contextlib.nullcontext(connection))

    def connection(self) -> AbstractContextManager[Connection]:
        """A connection for queries that are not here."""
        return self._reading()

    def select(self, query: Select[*tuple[Any, ...]]) -> Sequence[Row[Any]]:
        """The rows of a query, all at once: for those who bring their own."""
        with self._reading() as connection:
            return connection.execute(query).fetchall()

    def integrity(self) -> list[str]:
        """What the database itself finds wrong with its pages; for SQLite only."""
        with self._reading() as connection:
            if connection.dialect.name != "sqlite":
                return []
            found = connection.exec_driver_sql(f"PRAGMA integrity_check({INTEGRITY_LINES_MAX})")
            return [row[0] for row in found if row[0] != "ok"]


class FileReader(Reader):
    """A reader over a database file, for any number of threads."""

    def __init__(self, url: str) -> None:
        """Raises HuyingError(NOT_FOUND, CONFIG, STORE_FAILED or CORRUPT)."""
        self._engine = database.open_reader_engine(url)
        super().__init__(self._view)
        with self._view() as connection:
            found = database.schema_revision(connection)
        if found != SCHEMA_REVISION:
            self.close()
            raise HuyingError(
                Code.CONFIG,
                f"the database has schema {found}, this program {SCHEMA_REVISION}:"
                " start the node once to bring it up to date",
            )

    @contextlib.contextmanager
    def _view(self) -> Iterator[Connection]:
        with database.translated(), self._engine.connect() as connection:
            yield connection

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()
