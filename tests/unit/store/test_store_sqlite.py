"""The SQLite store: the contract, on a file and in memory, and what is SQLite's alone."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from huying.common.errors import Code, HuyingError
from huying.common.ports import Store
from huying.common.state import StoredEntry
from huying.node.store import database
from huying.node.store.database import sqlite_url
from huying.node.store.reader import FileReader
from huying.node.store.schema import METADATA, SCHEMA_REVISION
from huying.node.store.store import SqlStore
from tests.contracts.store_contract import ORIGIN, StoreContract, entry


class TestSqliteFile(StoreContract):
    @contextmanager
    def make_store(self) -> Iterator[Store]:
        with tempfile.TemporaryDirectory() as folder:
            store = SqlStore.open(sqlite_url(Path(folder) / "node.db"))
            yield store
            store.close()


class TestSqliteMemory(StoreContract):
    @contextmanager
    def make_store(self) -> Iterator[Store]:
        store = SqlStore.open()
        yield store
        store.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "node.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqlStore]:
    store = SqlStore.open(sqlite_url(path))
    yield store
    store.close()


def raw(store: SqlStore) -> sqlite3.Connection:
    with store.reading() as connection:
        return database.raw_connection(connection)


# How it is opened.


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("journal_mode", "wal"),
        ("synchronous", 2),
        ("secure_delete", 1),
        ("foreign_keys", 1),
        ("trusted_schema", 0),
        ("cache_size", -65536),
        ("wal_autocheckpoint", 16000),
    ],
)
def test_the_writer_runs_with_the_pragmas_that_the_promises_need(store, name, value):
    """FULL: no acknowledged entry is lost on a power cut. secure_delete: erased means gone."""
    assert raw(store).execute(f"PRAGMA {name}").fetchone() == (value,)


def test_a_pragma_that_does_not_hold_stops_the_start(path, monkeypatch):
    """SQLite ignores what it does not know, silently."""
    monkeypatch.setattr(database, "_WRITER_PRAGMAS", (("cache_size", "-4", -5),))
    with pytest.raises(HuyingError) as caught:
        SqlStore.open(sqlite_url(path))
    assert caught.value.code is Code.STORE_FAILED


def test_a_transaction_takes_the_write_lock_at_once(store):
    """BEGIN IMMEDIATE: a read that later becomes a write could otherwise fail half way."""
    statements: list[str] = []
    raw(store).set_trace_callback(statements.append)
    with store.transaction():
        store.create_feed(ORIGIN)
    assert statements[0] == "BEGIN IMMEDIATE"
    assert statements[-1] == "COMMIT"


def test_the_files_are_the_owners_alone(store, path):
    """They hold what a village keeps to itself."""
    with store.transaction():
        store.create_feed(ORIGIN)
    for file in path.parent.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_second_writer_is_refused(store, path):
    """Two writers would fork the feed, and can corrupt the log."""
    with pytest.raises(HuyingError) as caught:
        SqlStore.open(sqlite_url(path))
    assert caught.value.code is Code.NODE_RUNNING


def test_a_closed_store_opens_again(path):
    """A restart finds the lock free and the entries there."""
    for size in range(3):
        store = SqlStore.open(sqlite_url(path))
        with store.transaction():
            feed_id = store.feeds()[0].feed_id if size else store.create_feed(ORIGIN).feed_id
            store.add_entries(feed_id, size, [entry(size)])
        store.close()
    assert not path.with_name("node.db-wal").exists()


def test_a_store_is_not_carried_over_a_fork(store, monkeypatch):
    """SQLite's locks do not survive it."""
    monkeypatch.setattr(os, "getpid", lambda: 1)
    with pytest.raises(AssertionError, match="fork"), store.transaction():
        pass


def test_a_memory_store_starts_from_another_ones_image():
    """The simulator restarts a node as it was at some moment."""
    first = SqlStore.open()
    with first.transaction():
        first.create_feed(ORIGIN)
    second = SqlStore.open(template=first.image())
    with first.transaction():
        first.create_feed(ORIGIN.replace("/e1", "/e2"))
    assert [feed.origin for feed in second.feeds()] == [ORIGIN]
    assert SqlStore.open().feeds() == []


# The schema.


def test_the_migrations_lead_to_the_schema_that_the_program_uses(path):
    """A column that only the program knows would fail at the first insert, in production."""
    from alembic.script import ScriptDirectory

    def tables(engine) -> dict[str, set[str]]:
        query = text("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")
        with engine.connect() as connection:
            # Each line of a CREATE says one column or constraint.
            return {row.name: set(row.sql.split("\n")) for row in connection.execute(query)}

    SqlStore.open(sqlite_url(path)).close()
    engine = create_engine(sqlite_url(path))
    migrated = tables(engine)
    engine.dispose()
    engine = create_engine("sqlite://")
    METADATA.create_all(engine)
    del migrated["alembic_version"]
    assert migrated == tables(engine)
    engine.dispose()
    assert "WITHOUT ROWID" in " ".join(migrated["events"])
    folder = Path(database.__file__).with_name("migrations")
    assert ScriptDirectory(str(folder)).get_current_head() == SCHEMA_REVISION


def test_the_first_migration_can_be_undone(path):
    """Every revision goes both ways."""
    from alembic import command
    from alembic.config import Config

    SqlStore.open(sqlite_url(path)).close()
    engine = create_engine(sqlite_url(path))
    with engine.begin() as connection:
        config = Config()
        config.set_main_option(
            "script_location", str(Path(database.__file__).with_name("migrations"))
        )
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
        left = connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'table'"))
        assert list(left.scalars()) == ["alembic_version"]
    engine.dispose()


def test_a_database_of_a_newer_program_is_left_alone(path):
    """Downgrading a program must not damage what the newer one wrote."""
    SqlStore.open(sqlite_url(path)).close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    for open_it in (SqlStore.open, FileReader):
        with pytest.raises(HuyingError) as caught:
            open_it(sqlite_url(path))
        assert caught.value.code is Code.CONFIG
        assert "9999" in caught.value.detail


def test_a_start_without_a_migration_does_not_import_alembic(path):
    """It costs an idle village node memory and start-up time."""
    program = textwrap.dedent(
        """
        import sys
        from huying.node.store.store import SqlStore
        SqlStore.open(sys.argv[1]).close()
        print("alembic" in sys.modules, "sqlalchemy.dialects.postgresql" in sys.modules)
        """
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", program, sqlite_url(path)],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        for _ in range(2)
    ]
    assert [run[0] for run in runs] == ["True", "False"]


# Faults.


def test_a_full_disk_has_its_own_error_and_loses_nothing(store):
    """The operator must free space; what was acknowledged is there."""
    with store.transaction():
        feed = store.create_feed(ORIGIN)
        store.add_entries(feed.feed_id, 0, [entry(0)])
    (pages,) = raw(store).execute("PRAGMA page_count").fetchone()
    raw(store).execute(f"PRAGMA max_page_count = {pages + 2}")
    large = [StoredEntry(b"leaf", None, bytes(4000))] * 100
    with pytest.raises(HuyingError) as caught, store.transaction():
        store.add_entries(feed.feed_id, 1, large)
    assert caught.value.code is Code.DISK_FULL
    assert store.entries(feed.feed_id, 0, 9) == [entry(0)]
    raw(store).execute("PRAGMA max_page_count = 1000000")
    with store.transaction():
        store.add_entries(feed.feed_id, 1, large)


def test_a_file_that_is_no_database_is_corrupt(path):
    """And says so, rather than being overwritten."""
    path.parent.mkdir()
    path.write_bytes(b"not a database, but long enough to look like one" * 100)
    for open_it in (SqlStore.open, FileReader):
        with pytest.raises(HuyingError) as caught:
            open_it(sqlite_url(path))
        assert caught.value.code is Code.CORRUPT


def test_a_damaged_page_is_corrupt(path):
    """The engine stops rather than serving what it can't vouch for."""
    store = SqlStore.open(sqlite_url(path))
    with store.transaction():
        feed = store.create_feed(ORIGIN)
        store.add_entries(feed.feed_id, 0, [StoredEntry(b"leaf", None, bytes(900))] * 500)
    store.close()
    data = bytearray(path.read_bytes())
    pages = len(data) // 4096
    for page in range(pages - 60, pages - 20):  # of the entries, which were written last
        data[page * 4096 : page * 4096 + 64] = b"\xff" * 64
    path.write_bytes(data)
    store = SqlStore.open(sqlite_url(path))
    with pytest.raises(HuyingError) as caught:
        store.entries(feed.feed_id, 0, 500)
    assert caught.value.code is Code.CORRUPT
    store.close()


def test_an_error_shows_no_parameter(store):
    """Openings hold names and phone numbers; exceptions go to the log."""
    secret = b"13800001234"
    with store.transaction():
        feed = store.create_feed(ORIGIN)
        store.add_entries(feed.feed_id, 0, [StoredEntry(secret, None, secret)])
    with pytest.raises(HuyingError) as caught, store.transaction():
        store.add_entries(feed.feed_id, 0, [StoredEntry(secret, None, secret)])
    shown = []
    error: BaseException | None = caught.value
    while error is not None:
        shown.append(str(error) + repr(error))
        error = error.__cause__ or error.__context__
    assert "13800001234" not in " ".join(shown)


def test_a_folder_that_can_not_be_made_is_the_stores_failure(tmp_path):
    """The path is in the configuration; the file system has the last word."""
    (tmp_path / "file").write_text("")
    with pytest.raises(HuyingError) as caught:
        SqlStore.open(sqlite_url(tmp_path / "file" / "node.db"))
    assert caught.value.code is Code.STORE_FAILED


def test_another_database_is_not_opened():
    """Before PostgreSQL is there, its URL is a configuration error, not a crash."""
    with pytest.raises(HuyingError) as caught:
        SqlStore.open("postgresql://localhost/huying")
    assert caught.value.code is Code.CONFIG


# Readers.


def test_a_reader_sees_what_was_committed_and_nothing_else(store, path):
    """It never waits for the writer, and the writer never for it."""
    reader = FileReader(sqlite_url(path))
    with store.transaction():
        feed = store.create_feed(ORIGIN)
        assert reader.feeds() == []
        store.add_entries(feed.feed_id, 0, [entry(0)])
    assert reader.feeds() == [feed]
    assert reader.feed(ORIGIN) == feed
    assert reader.feed("unknown") is None
    assert reader.entries(feed.feed_id, 0, 9) == [entry(0)]
    reader.close()


def test_a_reader_can_not_write(store, path):
    """There is one writer, whatever a program tries."""
    reader = FileReader(sqlite_url(path))
    with pytest.raises(HuyingError) as caught, reader.connection() as connection:
        connection.execute(text("DELETE FROM feeds"))
    assert caught.value.code is Code.STORE_FAILED
    reader.close()


def test_a_snapshot_stays_as_it_was(store, path):
    """A check compares tables with one another while the node writes on."""
    reader = FileReader(sqlite_url(path))
    with reader.snapshot() as snapshot:
        assert snapshot.feeds() == []
        with store.transaction():
            store.create_feed(ORIGIN)
        assert snapshot.feeds() == []
    assert len(reader.feeds()) == 1
    reader.close()


def test_a_reader_of_nothing_says_so(path):
    """`huying record list` before the first run."""
    with pytest.raises(HuyingError) as caught:
        FileReader(sqlite_url(path))
    assert caught.value.code is Code.NOT_FOUND
    assert not path.exists()


WRITE_AND_WAIT = """
import sys, os
from huying.common.state import StoredEntry
from huying.node.store.store import SqlStore
store = SqlStore.open(sys.argv[1])
with store.transaction():
    feed = store.create_feed(sys.argv[2])
for index in range(20):
    with store.transaction():
        store.add_entries(feed.feed_id, index, [StoredEntry(b"leaf %d" % index, None, b"")])
os.write(1, b"x")
with store.transaction():
    store.add_entries(feed.feed_id, 20, [StoredEntry(b"never", None, b"")])
    os.kill(os.getpid(), 9)
"""


def test_what_a_killed_writer_committed_is_read_and_written_on(path):
    """A kill -9 leaves a write-ahead log behind; commands read it before the node has restarted."""
    killed = subprocess.run(
        [sys.executable, "-c", WRITE_AND_WAIT, sqlite_url(path), ORIGIN],
        stdout=subprocess.PIPE,
        check=False,
    )
    assert (killed.returncode, killed.stdout) == (-9, b"x")
    wal = path.with_name("node.db-wal")
    assert wal.stat().st_size > 0
    expected = [StoredEntry(b"leaf %d" % index, None, b"") for index in range(20)]
    reader = FileReader(sqlite_url(path))
    assert reader.entries(reader.feeds()[0].feed_id, 0, 99) == expected
    reader.close()
    assert wal.stat().st_size > 0, "a reader leaves the log to the writer"
    store = SqlStore.open(sqlite_url(path))
    assert store.entries(1, 0, 99) == expected
    with store.transaction():
        store.add_entries(1, 20, [entry(0)])
    store.close()


def test_a_reader_opens_while_no_node_runs(path):
    """A clean stop leaves no log; reading then creates none that outlives it."""
    store = SqlStore.open(sqlite_url(path))
    with store.transaction():
        feed = store.create_feed(ORIGIN)
    store.close()
    reader = FileReader(sqlite_url(path))
    assert reader.feeds() == [feed]
    reader.close()
    SqlStore.open(sqlite_url(path)).close()


def test_erased_openings_leave_the_file(path):
    """secure_delete: a value that was replaced is in no page, and after the close in no log."""
    secret = b"13800001234" * 20
    store = SqlStore.open(sqlite_url(path))
    with store.transaction():
        feed = store.create_feed(ORIGIN)
        store.add_entries(feed.feed_id, 0, [StoredEntry(b"leaf", None, secret)] * 50)
    with store.transaction():
        for index in range(50):
            store.set_entry(feed.feed_id, index, StoredEntry(b"leaf", None, b""))
    store.close()
    for file in path.parent.iterdir():
        assert secret[:11] not in file.read_bytes(), file
