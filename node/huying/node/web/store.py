"""console.db: opening it, and the two ways of using it.

The console's process and `huying user` may write at the same time, so it has a rollback journal and
short transactions that wait for each other. All calls block: call them on a thread.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import QueuePool

from huying.common.errors import Code, HuyingError
from huying.common.limits import CONSOLE_FREE_BYTES_MIN
from huying.node.folders import sync_folder
from huying.node.store.database import sqlite_url, translated
from huying.node.web.schema import METADATA, VERSIONS

__all__ = ["FILE_NAME", "ConsoleStore"]

FILE_NAME: Final = "console.db"

_BUSY_MILLISECONDS: Final = 5000
_CONNECTIONS_MAX: Final = 4
_CACHE_KIB: Final = 2 * 1024
_WRITES: Final = "huying_writes"  # the option of a connection that is going to write
# (name, value set, value read back)
_PRAGMAS: Final[tuple[tuple[str, str, object], ...]] = (
    ("busy_timeout", str(_BUSY_MILLISECONDS), _BUSY_MILLISECONDS),
    ("journal_mode", "TRUNCATE", "truncate"),
    ("synchronous", "FULL", 2),
    ("secure_delete", "ON", 1),
    ("foreign_keys", "ON", 1),
    ("trusted_schema", "OFF", 0),
    ("cache_size", str(-_CACHE_KIB), -_CACHE_KIB),
)


class ConsoleStore:
    """What the console remembers. Threads and processes may share the file."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self._engine = engine
        self.folder = folder

    @classmethod
    def open(cls, folder: Path) -> ConsoleStore:
        """Open console.db in `folder`, made where it is not there, and bring it up to date.

        Raises HuyingError: CORRUPT where it is no console.db or damaged, CONFIG where a newer
        program wrote it or others may read it, DISK_FULL, BUSY or STORE_FAILED.
        """
        path = folder / FILE_NAME
        with _faults(path):
            _prepare(path)
        engine = _engine(path)
        try:
            with _faults(path), _begun(engine, writes=True) as connection:
                _upgrade(connection)
        except BaseException:
            engine.dispose()
            raise
        return cls(engine, folder)

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    def size(self) -> int:
        """Bytes of the file. Raises HuyingError(STORE_FAILED) where it is gone."""
        path = self.folder / FILE_NAME
        with _faults(path):
            return path.stat().st_size

    def check_room(self) -> None:
        """Whether a deed could be written down. Raises HuyingError(DISK_FULL or STORE_FAILED)."""
        with _faults(self.folder):
            free = shutil.disk_usage(self.folder).free
        if free < CONSOLE_FREE_BYTES_MIN:
            raise HuyingError(Code.DISK_FULL, f"{free} bytes are free; no form is taken now")

    @contextlib.contextmanager
    def reading(self) -> Iterator[Connection]:
        """One snapshot for several queries; keep it short, since a commit waits for it.

        Raises HuyingError as `open`.
        """
        with _faults(self.folder / FILE_NAME), _begun(self._engine, writes=False) as connection:
            yield connection

    @contextlib.contextmanager
    def writing(self) -> Iterator[Connection]:
        """One transaction that is alone in writing: committed at the end, undone by an exception.

        Raises HuyingError as `open`; BUSY where another held the file for five seconds.
        """
        with _faults(self.folder / FILE_NAME), _begun(self._engine, writes=True) as connection:
            yield connection


@contextlib.contextmanager
def _begun(engine: Engine, *, writes: bool) -> Iterator[Connection]:
    with engine.connect() as connection:
        connection.execution_options(**{_WRITES: writes})
        with connection.begin():
            yield connection


@contextlib.contextmanager
def _faults(path: Path) -> Iterator[None]:
    """The database's exceptions as ours, which name the file and never a value."""
    try:
        yield
    except (DBAPIError, PoolTimeoutError, sqlite3.Error, OSError) as error:
        found = _fault(error)
        if found.code is Code.NODE_RUNNING:
            raise HuyingError(
                Code.BUSY, f"{path}: another program has been writing it for five seconds"
            ) from error
        raise HuyingError(found.code, f"{path}: {found.detail}") from error


def _fault(error: Exception) -> HuyingError:
    try:
        with translated():
            raise error
    except HuyingError as found:
        return found


def _prepare(path: Path) -> None:
    """Folder and file, their owner's alone, before SQLite opens it: its journal takes the mode."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.parent.chmod(0o700)
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(path, flags, 0o600)
    try:
        if stat.S_IMODE(os.fstat(descriptor).st_mode) & 0o077:
            raise HuyingError(Code.CONFIG, f"{path}: others may read it; run: chmod 600 {path}")
    finally:
        os.close(descriptor)
    sync_folder(path.parent)


def _engine(path: Path) -> Engine:
    engine = create_engine(
        sqlite_url(path),
        poolclass=QueuePool,
        pool_size=_CONNECTIONS_MAX,
        max_overflow=0,
        pool_timeout=_BUSY_MILLISECONDS / 1000,
        connect_args={"check_same_thread": False, "timeout": _BUSY_MILLISECONDS / 1000},
        hide_parameters=True,
    )

    @event.listens_for(engine, "connect")
    def _on_connect(connection: sqlite3.Connection, _record: object) -> None:
        # The driver must not begin transactions of its own: _on_begin does.
        connection.isolation_level = None
        for name, value, expected in _PRAGMAS:
            connection.execute(f"PRAGMA {name} = {value}").fetchall()
            (actual,) = connection.execute(f"PRAGMA {name}").fetchone()
            if actual != expected:
                raise HuyingError(Code.STORE_FAILED, f"pragma {name} is {actual}, not {expected}")

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get(_WRITES)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _upgrade(connection: Connection) -> None:
    """Take the steps of the schema that are missing. Raises HuyingError(CONFIG or CORRUPT)."""
    version = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
    if version > len(VERSIONS):
        raise HuyingError(
            Code.CONFIG,
            f"{FILE_NAME} has version {version}, this program {len(VERSIONS)}: update the program",
        )
    for step in VERSIONS[version:]:
        for statement in step:
            connection.exec_driver_sql(statement)
    if version < len(VERSIONS):
        connection.exec_driver_sql(f"PRAGMA user_version = {len(VERSIONS)}")
    found = connection.exec_driver_sql("SELECT name FROM sqlite_master").scalars().all()
    missing = sorted(set(METADATA.tables) - set(found))
    if missing:
        raise HuyingError(Code.CORRUPT, f"{FILE_NAME}: no table {', '.join(missing)}")
