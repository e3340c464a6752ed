"""A consistent copy of a database in use, as a file that has no name on the disk.

It is copied page by page over one connection that holds one snapshot: what is written meanwhile is
not in it. The copy is as plain as the database, so it lies beside it and is unlinked before its
first page is written: whatever ends this process takes it along.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import quote

from huying.node.store.database import translated

__all__ = ["PagesDone", "unnamed_copy"]

COPY_PAGES: Final = 1024  # between two words on progress; 4 MiB
BUSY_SECONDS: Final = 5.0

PagesDone = Callable[[int, int], None]  # bytes copied, bytes in all
T = TypeVar("T")


@contextlib.contextmanager
def unnamed_copy(
    database: Path,
    look: Callable[[sqlite3.Connection, sqlite3.Connection], T],
    pages_done: PagesDone = lambda _done, _all: None,
    *,
    mends: bool = False,
) -> Iterator[tuple[int, T]]:
    """The copy as a descriptor, and what `look` finds in the snapshot and in the finished copy.

    A database with a write-ahead log must be looked at in the snapshot: looking at its copy would
    make a log beside it. Writers of one with a rollback journal wait until the pages are copied,
    and `mends` lets what a killed one left half done be rolled back first. Raises HuyingError:
    CORRUPT, NODE_RUNNING where it is locked, DISK_FULL or STORE_FAILED.
    """
    path = database.with_name(f".backup-{secrets.token_hex(8)}")
    with translated():
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with translated():
            copy = sqlite3.connect(path, isolation_level=None)
            with contextlib.closing(copy):
                # No journal beside it, and no sync: it is read back by this process alone.
                copy.execute("PRAGMA journal_mode = OFF")
                copy.execute("PRAGMA synchronous = OFF")
                path.unlink()
                found = _copy_pages(database, copy, look, pages_done, mends)
        yield descriptor, found
    finally:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
        os.close(descriptor)


def _copy_pages(
    database: Path,
    copy: sqlite3.Connection,
    look: Callable[[sqlite3.Connection, sqlite3.Connection], T],
    pages_done: PagesDone,
    mends: bool,
) -> T:
    uri = f"file:{quote(str(database.absolute()))}?mode={'rw' if mends else 'ro'}"
    source = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=BUSY_SECONDS)
    with contextlib.closing(source):
        source.execute("PRAGMA query_only = ON")
        # A snapshot that all the steps share: without it each commit would start the copy anew.
        source.execute("BEGIN")
        source.execute("SELECT count(*) FROM sqlite_master").fetchall()
        (page_bytes,) = source.execute("PRAGMA page_size").fetchone()

        def stepped(_status: int, left: int, pages: int) -> None:
            pages_done((pages - left) * page_bytes, pages * page_bytes)

        source.backup(copy, pages=COPY_PAGES, progress=stepped, sleep=0)
        return look(source, copy)
