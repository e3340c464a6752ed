"""The database that the bench asks is one that calls would have made."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from huying.hub.bench import rival
from huying.hub.bench.call_store import Size, build
from huying.hub.bench.calls import measure_calls
from huying.node.store.database import sqlite_url
from huying.node.store.projection_check import check_projections
from huying.node.store.reader import FileReader

SMALL = Size(calls=120, departments=3, towns=2)


def test_every_row_is_what_its_entries_give(tmp_path):
    """A figure about rows that no program would write says nothing."""
    file, built = build(tmp_path / "kept", SMALL)
    assert built
    reader = FileReader(sqlite_url(file))
    notes: list[tuple[str, str]] = []
    assert check_projections(reader, lambda *note: notes.append(note)) > 120 * 10
    assert notes == []
    assert {row.stage for row in reader.list_calls(limit=200).rows} >= {4, 9, 11, 12}
    reader.close()


def test_the_rivals_answer_the_same_from_what_is_kept(tmp_path):
    """Both designs are asked for the same list; the second run builds nothing."""
    folder = tmp_path / "kept"
    said: list[str] = []
    result = measure_calls(folder, SMALL, 1, said.append)
    assert result["calls"] == 120
    assert all(name.startswith(("calls", "rival")) or value for name, value in result.items())
    file, built = build(folder, SMALL)
    assert not built
    reader = FileReader(sqlite_url(file))
    with closing(sqlite3.connect(file)) as connection:
        for number in range(SMALL.departments):
            name = SMALL.department(number)
            ours = [row.call for row in reader.list_calls(department=name, order="deadline").rows]
            assert ours == rival.list_by_state(connection, name, 100) != []
            assert ours == rival.list_by_history(connection, name, 100)
    reader.close()
