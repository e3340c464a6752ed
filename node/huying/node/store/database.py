"""Opening the database: the engine, its pragmas, the rules of its connections, and its errors.

One connection writes, and it alone checkpoints the write-ahead log: SQLite up to 3.51.2 can corrupt
a WAL when two connections do. A lock file beside the database makes that hold between processes
too. Readers open the file read-only and may live in other threads or other processes, also while no
node runs. No connection survives a fork.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import NullPool, QueuePool, StaticPool

from huying.common.errors import Code, HuyingError
from huying.node.store.schema import SCHEMA_REVISION

__all__ = [
    "MEMORY_URL",
    "database_path",
    "lock_database",
    "migrate",
    "open_reader_engine",
    "open_writer_engine",
    "sqlite_url",
    "translated",
    "truncate_log",
]

MEMORY_URL: Final = "sqlite://"

CACHE_KIB: Final = 64 * 1024  # grows as pages are read; the projections' random keys need it
WAL_CHECKPOINT_PAGES: Final = 16000  # 62 MiB: rarer checkpoints write each hot page fewer times
WAL_BYTES_KEPT_MAX: Final = 64 * 1024 * 1024  # a longer WAL is cut back after its checkpoint
READER_CACHE_KIB: Final = 2 * 1024
READER_CONNECTIONS_MAX: Final = 4
BUSY_MILLISECONDS: Final = 5000

# (name, value set, value read back). journal_mode is asserted apart, since it is the file's.
_WRITER_PRAGMAS: Final[tuple[tuple[str, str, object], ...]] = (
    ("busy_timeout", str(BUSY_MILLISECONDS), BUSY_MILLISECONDS),
    ("synchronous", "FULL", 2),
    ("secure_delete", "ON", 1),
    ("foreign_keys", "ON", 1),
    ("trusted_schema", "OFF", 0),
    ("cache_size", str(-CACHE_KIB), -CACHE_KIB),
    ("wal_autocheckpoint", str(WAL_CHECKPOINT_PAGES), WAL_CHECKPOINT_PAGES),
    ("journal_size_limit", str(WAL_BYTES_KEPT_MAX), WAL_BYTES_KEPT_MAX),
)
_READER_PRAGMAS: Final[tuple[tuple[str, str, object], ...]] = (
    ("busy_timeout", str(BUSY_MILLISECONDS), BUSY_MILLISECONDS),
    ("query_only", "ON", 1),
    ("trusted_schema", "OFF", 0),
    ("cache_size", str(-READER_CACHE_KIB), -READER_CACHE_KIB),
)


def sqlite_url(path: Path) -> str:
    """The URL of a database file."""
    return f"sqlite:///{path.absolute()}"


def database_path(url: str) -> Path | None:
    """The file behind a SQLite URL; None for a database in memory.

    Raises HuyingError(CONFIG) for any other database.
    """
    if url == MEMORY_URL:
        return None
    if not url.startswith("sqlite:///"):
        raise HuyingError(Code.CONFIG, "the database URL must start with sqlite:///")
    return Path(url.removeprefix("sqlite:///"))


def open_writer_engine(url: str) -> Engine:
    """The engine whose one connection writes. Asserts each pragma after setting it.

    Raises HuyingError(STORE_FAILED or CORRUPT) where the file can't be opened so.
    """
    memory = database_path(url) is None
    engine = create_engine(
        url,
        poolclass=StaticPool if memory else NullPool,
        connect_args={"check_same_thread": False, "cached_statements": 256},
        hide_parameters=True,
    )

    @event.listens_for(engine, "connect")
    def _on_connect(connection: sqlite3.Connection, _record: object) -> None:
        # The driver must not begin transactions of its own: _on_begin does, and immediately.
        connection.isolation_level = None
        if not memory:
            _set_journal(connection)
        _set_pragmas(connection, _WRITER_PRAGMAS)

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def open_reader_engine(url: str) -> Engine:
    """Read-only connections to a database file, for any thread.

    They never write a page and never checkpoint. A WAL that a killed writer left behind is read as
    it is.
    """
    path = database_path(url)
    assert path is not None, "a database in memory is read over the writer's connection"
    if not path.exists():
        raise HuyingError(Code.NOT_FOUND, f"no database at {path}")
    uri = f"file:{_uri_quote(path)}?mode=ro"
    engine = create_engine(
        "sqlite://",
        creator=lambda: sqlite3.connect(
            uri, uri=True, isolation_level=None, check_same_thread=False
        ),
        poolclass=QueuePool,
        pool_size=READER_CONNECTIONS_MAX,
        max_overflow=0,
        hide_parameters=True,
    )

    @event.listens_for(engine, "connect")
    def _on_connect(connection: sqlite3.Connection, _record: object) -> None:
        _set_pragmas(connection, _READER_PRAGMAS)

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Connection) -> None:
        # One snapshot for all the queries of a call.
        connection.exec_driver_sql("BEGIN")

    return engine


def _uri_quote(path: Path) -> str:
    from urllib.parse import quote

    return quote(str(path.absolute()))


def _set_journal(connection: sqlite3.Connection) -> None:
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise HuyingError(Code.STORE_FAILED, f"journal_mode is {mode}, it must be wal")


def _set_pragmas(
    connection: sqlite3.Connection, pragmas: tuple[tuple[str, str, object], ...]
) -> None:
    for name, value, expected in pragmas:
        connection.execute(f"PRAGMA {name} = {value}").fetchall()
        (actual,) = connection.execute(f"PRAGMA {name}").fetchone()
        if actual != expected:
            raise HuyingError(Code.STORE_FAILED, f"pragma {name} is {actual}, not {expected}")


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """The one place where the database's exceptions become ours.

    Raises HuyingError(DISK_FULL, CORRUPT, NODE_RUNNING, BUSY or STORE_FAILED); never shows a
    parameter.
    """
    try:
        yield
    except DBAPIError as error:
        raise _translate(error.orig) from error
    except PoolTimeoutError as error:
        raise HuyingError(Code.BUSY, "every reading connection is in use") from error
    except (sqlite3.Error, OSError) as error:
        raise _translate(error) from error


def _translate(error: BaseException | None) -> HuyingError:
    if isinstance(error, OSError):
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        name = errno.errorcode.get(error.errno or 0, "OSError")
        return HuyingError(Code.DISK_FULL if full else Code.STORE_FAILED, name)
    extended = getattr(error, "sqlite_errorcode", None)
    name = getattr(error, "sqlite_errorname", None) or type(error).__name__
    primary = extended & 0xFF if isinstance(extended, int) else None
    if primary == sqlite3.SQLITE_FULL:
        return HuyingError(Code.DISK_FULL, name)
    if primary in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return HuyingError(Code.CORRUPT, name)
    if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return HuyingError(Code.NODE_RUNNING, f"{name}: another process writes this database")
    return HuyingError(Code.STORE_FAILED, name)


def lock_database(path: Path) -> int:
    """Take the writer's lock, held until the returned descriptor is closed or the process ends.

    Raises HuyingError(NODE_RUNNING) where another process or store holds it.
    """
    with translated():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        descriptor = os.open(path.with_name(path.name + ".lock"), flags, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            raise HuyingError(Code.NODE_RUNNING, f"{path} is open for writing") from None
        raise _translate(error) from error
    return descriptor


def migrate(engine: Engine, refill: Callable[[Connection, str], object] | None = None) -> None:
    """Bring the schema to SCHEMA_REVISION, in one transaction.

    `refill` is called in it where an older database was upgraded, with the revision that it had:
    some of its tables follow from the entries and are new. Alembic is imported just where there is
    something to do: it costs a start a third of a second and an idle node 20 MB. Raises
    HuyingError(CONFIG) for a database of a newer program.
    """
    with translated(), engine.begin() as connection:
        found = schema_revision(connection)
        if found == SCHEMA_REVISION:
            return
        if found is not None and found > SCHEMA_REVISION:
            raise HuyingError(
                Code.CONFIG, f"the database has schema {found}, this program {SCHEMA_REVISION}"
            )
        _upgrade(connection)
        if found is not None and refill is not None:
            refill(connection, found)


def schema_revision(connection: Connection) -> str | None:
    """The revision the database is at, or None where it is empty."""
    if not connection.dialect.has_table(connection, "alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _upgrade(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def truncate_log(connection: Any) -> bool:
    """Bring the write-ahead log into the database file and empty it; False while somebody reads.

    `connection` is the writer's `raw_connection`. Waits for nobody: a long reading would stop the
    node. What was overwritten or deleted is then in neither file, for `secure_delete` fills freed
    space with zeros.
    """
    connection.execute("PRAGMA busy_timeout = 0")
    try:
        busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    finally:
        connection.execute(f"PRAGMA busy_timeout = {BUSY_MILLISECONDS}")
    return not busy


def raw_connection(connection: Connection) -> Any:
    """The driver's own connection, for what SQLAlchemy has no words for."""
    return connection.connection.driver_connection
