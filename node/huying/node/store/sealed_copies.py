"""The sealed copies in the store: `common.copy_shelf.CopyShelf` over the writing connection.

Commands read them over a reader, also while no node runs. A copy that is deleted or replaced is
overwritten on the disk, as everything is that this database deletes.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from sqlalchemy import Row, func, literal, select

from huying.common.codes import parse_origin
from huying.common.copies.sealed import CopyState, SealedCopy
from huying.node.store.reader import Reader
from huying.node.store.schema import SEALED_COPIES
from huying.node.store.statements import delete_sql, upsert_sql
from huying.node.store.store import SqlStore

__all__ = ["SqlCopyShelf", "read_copies", "read_copy"]

_COLUMNS = SEALED_COPIES.c


def read_copies(reader: Reader, code: str) -> list[SealedCopy]:
    """Every copy of a node's feeds, by origin and start, without what is sealed."""
    query = (
        select(*_known(), literal(b"").label("sealed"))
        .where(_COLUMNS.code == code)
        .order_by(_COLUMNS.origin, _COLUMNS.start)
    )
    return [_copy(row) for row in reader.select(query)]


def read_copy(reader: Reader, origin: str, start: int) -> SealedCopy | None:
    """One copy, with what is sealed."""
    query = select(*_known(), _COLUMNS.sealed).where(
        _COLUMNS.origin == origin, _COLUMNS.start == start
    )
    rows = reader.select(query)
    return _copy(rows[0]) if rows else None


class SqlCopyShelf:
    """See `huying.common.copies.copy_shelf.CopyShelf`."""

    def __init__(self, store: SqlStore) -> None:
        self._store = store

    def copies(self, code: str) -> list[SealedCopy]:
        """See `CopyShelf`."""
        return read_copies(self._store, code)

    def copy(self, origin: str, start: int) -> SealedCopy | None:
        """See `CopyShelf`."""
        return read_copy(self._store, origin, start)

    def load_of(self, code: str) -> tuple[int, int]:
        """See `CopyShelf`."""
        query = select(func.count(), func.coalesce(func.sum(_COLUMNS.size_bytes), 0)).where(
            _COLUMNS.code == code
        )
        (row,) = self._store.select(query)
        copies, size_bytes = tuple(row)
        return int(copies), int(size_bytes)

    def put_copy(self, copy: SealedCopy) -> None:
        """See `CopyShelf`."""
        row = (
            copy.origin,
            copy.start,
            parse_origin(copy.origin).code,
            copy.stop,
            copy.generation,
            int(copy.state),
            copy.openings,
            copy.size_bytes,
            copy.key,
            copy.sealed,
        )
        self._store.write(upsert_sql(SEALED_COPIES, self._store.dialect), [row])

    def delete_copy(self, origin: str, start: int) -> None:
        """See `CopyShelf`."""
        self._store.write(delete_sql(SEALED_COPIES, self._store.dialect), [(origin, start)])


@lru_cache
def _known() -> tuple[Any, ...]:
    """The columns of a copy but for what is sealed, in the order of `SealedCopy`."""
    names = ("origin", "start", "stop", "generation", "state", "openings", "size_bytes", "key")
    return tuple(_COLUMNS[name] for name in names)


def _copy(row: Row[Any]) -> SealedCopy:
    values: tuple[Any, ...] = tuple(row)
    origin, start, stop, generation, state, *rest = values
    return SealedCopy(origin, start, stop, generation, CopyState(state), *rest)
