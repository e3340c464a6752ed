"""Getting rows out of a database whose pages are damaged, into a new one.

Nothing that comes out is trusted: the repair that follows proves every row of the log again and
makes the projections anew, so just the log and what can't be derived from it are copied. The
damaged file is read as it is; with its first bytes put right; with its whole first page put right,
where the tables are listed; and whichever gives the most rows counts. It stays beside the new one,
since it holds what a specialist may still want.
"""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Column, LargeBinary, Numeric, String, Table

from huying.common.errors import Code, HuyingError
from huying.node.folders import sync_folder
from huying.node.store.database import sqlite_url, translated
from huying.node.store.projection_rebuild import PROJECTED
from huying.node.store.schema import ENTRIES, METADATA, STATEMENTS
from huying.node.store.store import SqlStore

__all__ = ["DAMAGED_SUFFIX", "is_readable", "salvage"]

DAMAGED_SUFFIX: Final = ".damaged-"
_HEADER_BYTES: Final = 100
_PAGE_COUNT: Final = slice(28, 32)  # of the header
_SKIP_STEPS: Final = 4096  # entries passed over one by one, then by twos, fours, …
_PLACE_MAX: Final = 2**63 - 1
_WRONG: Final = object()  # in place of a value that is not of its column's type
_TABLES: Final[tuple[Table, ...]] = tuple(
    table for table in METADATA.sorted_tables if table not in PROJECTED or table is STATEMENTS
)


def is_readable(path: Path) -> bool:
    """Whether the database opens, with sound pages and the tables that there should be.

    Nobody else may be writing it.
    """
    try:
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
            (found,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
            tables = dict(connection.execute("SELECT name, sql FROM sqlite_schema"))
    except (sqlite3.Error, TypeError, ValueError):
        return False
    return found == "ok" and tables == _definitions()


def _definitions() -> dict[str, str]:
    """The tables of a new database."""
    fresh = SqlStore.open()
    try:
        with fresh.reading() as connection:
            rows = connection.exec_driver_sql("SELECT name, sql FROM sqlite_schema")
            return {row[0]: row[1] for row in rows}
    finally:
        fresh.close()


def salvage(path: Path, now: float) -> tuple[Path, int]:
    """Put a new database with what can be read in the place of the one at `path`.

    Returns where the damaged one lies now, and how many rows came out. The caller holds the
    writer's lock. Raises HuyingError(CORRUPT) where nothing can be read at all, DISK_FULL or
    STORE_FAILED; then everything is as it was.
    """
    with translated():
        folder = path.with_name(path.name + ".salvage")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
        try:
            new, count = _best(path, folder)
            if not count:
                raise HuyingError(Code.CORRUPT, f"{path}: nothing in it can be read")
            stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime(now))
            aside = path.with_name(f"{path.name}{DAMAGED_SUFFIX}{stamp}")
            for suffix in ("-wal", "-shm", ""):
                part = path.with_name(path.name + suffix)
                if part.exists():
                    part.replace(aside.with_name(aside.name + suffix))
            new.replace(path)
            sync_folder(path.parent)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    return aside, count


def _best(path: Path, folder: Path) -> tuple[Path, int]:
    """The attempt that gave the most rows, and how many."""
    empty = folder / "empty.db"
    _create(empty)
    best: tuple[Path, int] = (empty, 0)
    for number, patch in enumerate((_as_it_is, _with_header, _with_first_page)):
        copy, made = folder / f"copy{number}.db", folder / f"made{number}.db"
        _private_copy(path, copy)
        wal = path.with_name(path.name + "-wal")
        if wal.exists():
            _private_copy(wal, copy.with_name(copy.name + "-wal"))
        patch(copy, empty)
        _create(made)
        count = _copy_rows(copy, made)
        if count > best[1]:
            best = made, count
        copy.unlink()
    return best


def _private_copy(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)
    target.chmod(0o600)


def _create(path: Path) -> None:
    SqlStore.open(sqlite_url(path)).close()


def _as_it_is(_copy: Path, _empty: Path) -> None:
    """No patch."""


def _with_header(copy: Path, empty: Path) -> None:
    _overwrite(copy, empty, _HEADER_BYTES)


def _with_first_page(copy: Path, empty: Path) -> None:
    """A database that the same program made lists its tables at the same places."""
    with empty.open("rb") as file:
        _overwrite(copy, empty, _page_bytes(file.read(_HEADER_BYTES)))


def _overwrite(copy: Path, empty: Path, count: int) -> None:
    """Put the first bytes of a new database before the rest of a damaged one."""
    with empty.open("rb") as file:
        first = bytearray(file.read(count))
    pages = copy.stat().st_size // _page_bytes(first)
    first[_PAGE_COUNT] = pages.to_bytes(4, "big")
    with copy.open("r+b") as file:
        file.write(first)


def _page_bytes(header: bytes | bytearray) -> int:
    return int.from_bytes(header[16:18], "big")


def _copy_rows(copy: Path, made: Path) -> int:
    count = 0
    with (
        contextlib.closing(sqlite3.connect(copy, isolation_level=None)) as source,
        contextlib.closing(sqlite3.connect(made, isolation_level=None)) as target,
    ):
        source.text_factory = bytes
        target.execute("BEGIN IMMEDIATE")
        for table in _TABLES:
            marks = ", ".join("?" * len(table.c))
            sql = f"INSERT OR IGNORE INTO {table.name} VALUES ({marks})"  # noqa: S608  (our own names)
            for row in _rows(source, table):
                values = _checked(table, row)
                if values is not None:
                    with contextlib.suppress(sqlite3.IntegrityError, OverflowError):
                        count += target.execute(sql, values).rowcount
        target.execute("COMMIT")
    return count


def _checked(table: Table, row: tuple[Any, ...]) -> tuple[Any, ...] | None:
    """The row, if each value is of its column's type."""
    values = [_value(column, value) for column, value in zip(table.c, row, strict=True)]
    return None if _WRONG in values else tuple(values)


def _value(column: Column[Any], value: Any) -> Any:
    """The value of a column of this type, or `_WRONG`. Text comes as bytes."""
    if value is None:
        return None if column.nullable else _WRONG
    if isinstance(column.type, LargeBinary):
        return value if isinstance(value, bytes) else _WRONG
    if isinstance(column.type, String):
        try:
            return value.decode() if isinstance(value, bytes) else _WRONG
        except UnicodeDecodeError:
            return _WRONG
    number = float | int if isinstance(column.type, Numeric) else int
    return value if isinstance(value, number) else _WRONG


def _rows(source: sqlite3.Connection, table: Table) -> Iterator[tuple[Any, ...]]:
    """Every row that can be read, some of them twice."""
    columns = ", ".join(column.name for column in table.c)
    keys = [column.name for column in table.primary_key.columns]
    if table is ENTRIES:
        yield from _entries(source, columns)
        return
    for direction in ("ASC", "DESC"):
        order = ", ".join(f"{key} {direction}" for key in keys)
        try:
            sql = f"SELECT {columns} FROM {table.name} ORDER BY {order}"  # noqa: S608  (our own names)
            yield from source.execute(sql)
        except sqlite3.Error:
            continue
        return  # to the end without a fault


def _entries(source: sqlite3.Connection, columns: str) -> Iterator[tuple[Any, ...]]:
    """Past each damaged page, from both sides of it."""
    sql = f"SELECT {columns} FROM {ENTRIES.name} WHERE place >= ? ORDER BY place"  # noqa: S608
    start, step, skipped = 0, 1, 0
    while start <= _PLACE_MAX:
        try:
            for row in source.execute(sql, (start,)):
                if isinstance(row[0], int) and row[0] >= start:
                    start, step, skipped = row[0] + 1, 1, 0
                yield row
            return
        except sqlite3.Error:
            start += step
            skipped += 1
            if skipped > _SKIP_STEPS:
                step *= 2
