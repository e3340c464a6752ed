"""Comparing the projections with what the entries give, row by row and column by column.

The tables are made anew in a scratch database (`huying.node.store.projection_rebuild`) and both
are read side by side, in the order of their keys: so a row too many, one too few and one that says
something else are all found, whatever the column.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Table, select

from huying.common.errors import HuyingError
from huying.node.store.projection_rebuild import PROJECTED, fill, scratch
from huying.node.store.reader import Reader
from huying.node.store.schema import CALL_TURNS, CALLS, STATEMENTS

__all__ = ["check_projections"]

# Takes where and what.
Note = Callable[[str, str], None]

_FETCH: Final = 512
# The order of the journal is that of arrival, which the entries don't tell.
_NOT_COMPARED: Final = {STATEMENTS.name: frozenset({"seq"})}


def check_projections(reader: Reader, note: Note) -> int:
    """Compare every projection; how many rows there were."""
    origins = {feed.feed_id: feed.origin for feed in reader.feeds()}
    with scratch() as connection:
        try:
            fill(connection, reader)
        except HuyingError as error:
            note("projections", f"can't be made from the entries: {error.detail}")
            return 0
        rows = 0
        for table in PROJECTED:
            with reader.connection() as stored:
                rows += _compare(table, connection, stored, origins, note)
        _check_order(reader, note)
    return rows


def _compare(
    table: Table,
    made: Connection,
    stored: Connection,
    origins: dict[int, str],
    note: Note,
) -> int:
    names = [column.name for column in table.c]
    skipped = _NOT_COMPARED.get(table.name, frozenset())
    width = len(table.primary_key.columns)
    keys = [names.index(column.name) for column in table.primary_key.columns]
    assert keys == list(range(width)), "a projection's key comes first"
    expected, found = _rows(table, made), _rows(table, stored)
    right, here = next(expected, None), next(found, None)
    count = 0
    while right is not None or here is not None:
        order = _order(right, here, width)
        if order < 0:
            note(*_place(table, right, names, origins, "does not know of it"))
            right = next(expected, None)
            continue
        count += 1
        if order > 0:
            note(*_place(table, here, names, origins, "has a row that no entry gives"))
            here = next(found, None)
            continue
        assert right is not None
        assert here is not None
        wrong = [
            name
            for name, one, other in zip(names, right, here, strict=True)
            if name not in skipped and (one != other or type(one) is not type(other))
        ]
        if wrong:
            what = f"has a row that differs in {', '.join(wrong)}"
            note(*_place(table, right, names, origins, what))
        right, here = next(expected, None), next(found, None)
    return count


def _rows(table: Table, connection: Connection) -> Iterator[Sequence[Any]]:
    query = select(table).order_by(*table.primary_key.columns)
    result = connection.execute(query)
    while page := result.fetchmany(_FETCH):
        yield from page


def _order(one: Sequence[Any] | None, other: Sequence[Any] | None, width: int) -> int:
    """Whose key comes first: negative for `one`, positive for `other`."""
    if one is None or other is None:
        return 1 if one is None else -1
    left, right = ([_rank(value) for value in row[:width]] for row in (one, other))
    return (left > right) - (left < right)


def _rank(value: Any) -> tuple[int, Any]:
    """SQLite's order over values of all types: a damaged row may hold any."""
    if value is None:
        return 0, 0
    if isinstance(value, int | float):
        return 1, value
    return (2, value.encode("utf-8", "surrogateescape")) if isinstance(value, str) else (3, value)


def _place(
    table: Table, row: Sequence[Any] | None, names: list[str], origins: dict[int, str], what: str
) -> tuple[str, str]:
    assert row is not None
    at = dict(zip(names, row, strict=True))
    if table is CALL_TURNS:
        call = at["call"].hex() if isinstance(at["call"], bytes) else "?"
        return f"call {call} turn {at['number']}", f"{table.name} {what}"
    where = f"{origins.get(at['feed_id'], 'no feed')} entry {at['idx']}"
    if table is CALLS:
        where += f", call {at['record'].hex() if isinstance(at['record'], bytes) else '?'}"
    return where, f"{table.name} {what}"


def _check_order(reader: Reader, note: Note) -> None:
    """Each statement has a place of its own in the journal."""
    seqs = [row[0] for row in reader.select(select(STATEMENTS.c.seq))]
    if len(set(seqs)) < len(seqs) or any(not isinstance(seq, int) or seq < 1 for seq in seqs):
        note("statements", "the order of the journal is damaged")
