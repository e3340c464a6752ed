"""SQL compiled once in a process, run with tuples through `exec_driver_sql`.

SQLAlchemy writes the SQL, so that one source serves SQLite and PostgreSQL; but the hot paths don't
pay for its parameter processing, which costs a fifth to a third of an insert. A database is named
here by its SQLAlchemy dialect name.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any

from sqlalchemy import (
    ClauseElement,
    Column,
    ColumnElement,
    Dialect,
    Table,
    bindparam,
    delete,
    literal_column,
    or_,
    tuple_,
)
from sqlalchemy.dialects import sqlite

__all__ = ["compile_sql", "delete_sql", "insert_sql", "upsert_sql"]


@lru_cache
def _dialect(name: str) -> Dialect:
    if name == "sqlite":
        return sqlite.dialect()
    assert name == "postgresql", name
    from sqlalchemy.dialects.postgresql import psycopg

    dialect: Dialect = psycopg.dialect(paramstyle="format")  # type: ignore[no-untyped-call]
    return dialect


def _insert(table: Table, name: str) -> Any:
    if name == "sqlite":
        return sqlite.insert(table)
    from sqlalchemy.dialects import postgresql

    return postgresql.insert(table)


def compile_sql(statement: ClauseElement, name: str, parameters: Sequence[str]) -> str:
    """The SQL of `statement`, which is then given tuples in the order of `parameters`."""
    compiled = statement.compile(dialect=_dialect(name))
    found: Any = getattr(compiled, "positiontup", None) or []
    assert list(found) == list(parameters), f"parameters are {found}, not {parameters}"
    return str(compiled)


@cache
def insert_sql(table: Table, name: str, *, ignore: bool = False) -> str:
    """INSERT of a whole row, in the order of the table's columns.

    `ignore`: where a row of the same key stands, it stays.
    """
    statement = _insert(table, name)
    if ignore:
        statement = statement.on_conflict_do_nothing()
    return compile_sql(statement, name, [column.name for column in table.c])


@cache
def upsert_sql(
    table: Table, name: str, *, newer: bool = False, keep: tuple[str, ...] = (), unless: str = ""
) -> str:
    """INSERT of a whole row that replaces the row of the same key.

    `newer`: a lower (epoch, idx) than the row's changes nothing, `unless` the row's column of that
    name is 1. `keep`: columns that only the first insert sets.
    """
    statement = _insert(table, name)
    excluded = statement.excluded
    replaced: list[Column[Any]] = [
        column for column in table.c if not column.primary_key and column.name not in keep
    ]
    where: ColumnElement[bool] | None = None
    if newer:
        where = tuple_(excluded.epoch, excluded.idx) >= tuple_(table.c.epoch, table.c.idx)
    if where is not None and unless:
        where = or_(where, table.c[unless] == literal_column("1"))
    statement = statement.on_conflict_do_update(
        index_elements=list(table.primary_key.columns),
        set_={column.name: excluded[column.name] for column in replaced},
        where=where,
    )
    return compile_sql(statement, name, [column.name for column in table.c])


@cache
def delete_sql(table: Table, name: str) -> str:
    """DELETE by the whole primary key, in the order of its columns."""
    keys = list(table.primary_key.columns)
    statement = delete(table).where(*(column == bindparam(column.name) for column in keys))
    return compile_sql(statement, name, [column.name for column in keys])
