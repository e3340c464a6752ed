"""The parts that tables are made of: the naming of constraints, columns, a record's table.

`huying.node.store.schema` has the tables.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
)

__all__ = ["METADATA", "blob", "integer", "key", "record_table", "text_column"]

METADATA: Final = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def key(name: str, kind: type[BigInteger | Integer | SmallInteger | LargeBinary]) -> Column[object]:
    """A column of the primary key."""
    return Column(name, kind, primary_key=True, autoincrement=False)


def text_column(name: str, *, primary_key: bool = False) -> Column[str]:
    """Text, never null."""
    # Without a width: no value that a peer chose may fail a transaction; the projections clip it.
    return Column(name, String, primary_key=primary_key, nullable=False)


def integer(name: str, kind: type[BigInteger | Integer | SmallInteger] = BigInteger) -> Column[int]:
    """A number, never null."""
    return Column(name, kind, nullable=False)


def blob(name: str, *, nullable: bool = False) -> Column[bytes]:
    """Bytes."""
    return Column(name, LargeBinary, nullable=nullable)


def record_table(name: str, *columns: Column[str] | Column[int] | Column[bytes] | Index) -> Table:
    """A projection: the newest state of each record, pointing at the entry that holds it."""
    return Table(
        name,
        METADATA,
        text_column("home", primary_key=True),
        key("record", LargeBinary),
        integer("feed_id", Integer),
        integer("epoch"),
        integer("idx"),
        integer("time_micros"),
        integer("kind", Integer),  # feed_pb2.Kind: put, delete or roster
        blob("slots"),  # pairs (slot, api_pb2.SlotState), one byte each
        *columns,
        sqlite_with_rowid=False,
    )
