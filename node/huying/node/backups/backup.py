"""`huying backup`: everything that makes a node, but its high-water mark, in one encrypted file.

A backup is made while the node runs or while it is down, with or without its console. Each of the
two databases is copied as it stood at one moment (`unnamed_copy`).

In the file: the configuration, the pins, the private keys, the database, and what the console keeps
(`console_state`). Never in it: the mark, since a node that is restored must not believe that it
knows how far it had come; the period keys; open join tokens.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from huying.common import codes
from huying.common.errors import Code, HuyingError
from huying.common.limits import (
    BACKUP_FILE_BYTES_MAX,
    BACKUP_FILES_MAX,
    BACKUP_HEADER_BYTES_MAX,
)
from huying.node import department_keys
from huying.node.backups import console_state, period_keys
from huying.node.backups.backup_file import CHUNK_BYTES, SALT_BYTES, Header, PartWriter
from huying.node.backups.backup_note import note_backup
from huying.node.backups.console_state import ConsoleShare
from huying.node.backups.period_keys import PeriodKey
from huying.node.backups.unnamed_copy import PagesDone, unnamed_copy
from huying.node.config import Config
from huying.node.folders import sync_folder
from huying.node.membership.enrol import OWN_PIN_FILE
from huying.node.store.database import translated

__all__ = [
    "BackupReport",
    "Progress",
    "back_up",
    "database_size",
    "file_places",
]

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_HINT_BYTES_MAX: Final = BACKUP_HEADER_BYTES_MAX // 16  # JSON may need six characters for one

Progress = PagesDone  # bytes done, bytes in all


@dataclass(frozen=True, slots=True)
class BackupReport:
    """What a backup holds."""

    file: Path
    file_bytes: int
    database_bytes: int
    files: int  # beside the database
    header: Header
    key: PeriodKey
    console_bytes: int | None  # of console.db; None: there was none, or it was left out
    pictures: int  # that were handed in at the console
    picture_bytes: int


def back_up(
    config: Config,
    file: Path,
    now: float,
    progress: Progress = lambda _done, _all: None,
    *,
    share: ConsoleShare = ConsoleShare.ALL,
) -> BackupReport:
    """Write a backup of the node to `file`, whole or not at all; `now` is unix seconds.

    `share` is how much of the console's own state goes in. Raises HuyingError(INVALID_ARGUMENT)
    where the file exists or its folder does not, NOT_FOUND without a database, CONFIG for a key
    folder that a backup would hold, KEY, CORRUPT also where console.db is damaged, LIMIT_EXCEEDED,
    STORE_FAILED or DISK_FULL.
    """
    _check_places(config, file)
    small = list(_small_files(config))
    with contextlib.ExitStack() as stack:
        # The console first: what its rows name as evidence is then in the node's copy as well.
        kept = stack.enter_context(console_state.copied(config, share))
        image, (origin, feed_size) = stack.enter_context(
            unnamed_copy(
                config.database_file,
                lambda source, _copy: _own_feed(source, config.node.network, config.node.code),
                lambda done, all_: progress(done, 2 * all_),
            )
        )
        size = os.fstat(image).st_size
        key = period_keys.for_time(
            config.backup_keys_dir, config.node.network, config.node.code, now
        )
        header = Header(
            network=config.node.network,
            code=config.node.code,
            origin=origin,
            size=feed_size,
            created=int(now),
            period=key.period,
            key_id=key.key_id,
            keys=str(config.backup_keys_dir)[:_HINT_BYTES_MAX],
            salt=secrets.token_hex(SALT_BYTES),
        )
        with _whole(file) as out:
            writer = PartWriter(out, header, key.key)
            for name, data in small:
                writer.begin(name, len(data))
                writer.write(data)
            pictures = console_state.write(kept, writer)
            writer.begin("node.db", size)
            _pour(image, size, writer, progress)
            writer.close()
    note_backup(config, now)
    return BackupReport(
        file, file.stat().st_size, size, len(small), header, key, kept.bytes_, *pictures
    )


def database_size(config: Config) -> int:
    """Bytes of the database file; raises HuyingError(NOT_FOUND) where there is none."""
    try:
        return config.database_file.stat().st_size
    except OSError:
        raise HuyingError(Code.NOT_FOUND, f"no database at {config.database_file}") from None


def file_places(config: Config) -> dict[str, Path]:
    """Where the parts of a backup stand in a node's folder: part or `folder/` to path."""
    return {
        "node.toml": config.file,
        "pin.toml": config.file.parent / OWN_PIN_FILE,
        "token": config.token_file,
        "pins/": config.pins_dir,
        "keys/": config.keys_dir,
        "departments/": config.keys_dir / department_keys.FOLDER,
        "node.db": config.database_file,
    }


def _check_places(config: Config, file: Path) -> None:
    database_size(config)
    if file.exists():
        raise HuyingError(
            Code.INVALID_ARGUMENT, f"FILE: {file} exists; a backup never replaces another"
        )
    if not file.absolute().parent.is_dir():
        raise HuyingError(Code.INVALID_ARGUMENT, f"FILE: no folder {file.absolute().parent}")
    inside = (config.keys_dir, config.pins_dir)
    if config.backup_keys_dir.resolve() in [folder.resolve() for folder in inside]:
        raise HuyingError(
            Code.CONFIG, "[backup] keys: a folder of its own, or each backup would hold its key"
        )


def _small_files(config: Config) -> Iterator[tuple[str, bytes]]:
    """(part, contents) of every file beside the database."""
    count = 0
    token = config.token_file.resolve()
    for part, path in file_places(config).items():
        if part.endswith("/"):
            found = sorted(path.iterdir()) if path.is_dir() else []
            for each in found:
                if each.is_file() and each.resolve() != token and _NAME.fullmatch(each.name):
                    count += 1
                    if count > BACKUP_FILES_MAX:
                        raise HuyingError(
                            Code.LIMIT_EXCEEDED, f"{path}: over {BACKUP_FILES_MAX} files"
                        )
                    yield part + each.name, _small(each)
        elif part != "node.db" and path.is_file():
            yield part, _small(path)


def _small(path: Path) -> bytes:
    with translated(), path.open("rb") as file:
        data = file.read(BACKUP_FILE_BYTES_MAX + 1)
    if len(data) > BACKUP_FILE_BYTES_MAX:
        raise HuyingError(Code.LIMIT_EXCEEDED, f"{path}: over {BACKUP_FILE_BYTES_MAX} bytes")
    return data


# The database.


def _own_feed(source: sqlite3.Connection, network: str, code: str) -> tuple[str, int]:
    """(origin, size) of the newest epoch of the node's own feed."""
    row = source.execute(
        "SELECT origin, size FROM feeds WHERE code = ? ORDER BY epoch DESC LIMIT 1", (code,)
    ).fetchone()
    return (str(row[0]), int(row[1])) if row else (codes.origin(network, code, 1), 0)


def _pour(image: int, size: int, writer: PartWriter, progress: Progress) -> None:
    done = 0
    while done < size:
        with translated():
            data = os.pread(image, CHUNK_BYTES, done)
        if not data:
            raise HuyingError(Code.STORE_FAILED, "the copy of the database is short")
        writer.write(data)
        done += len(data)
        progress(size + done, 2 * size)


# The file.


@contextlib.contextmanager
def _whole(file: Path) -> Iterator[BinaryIO]:
    """A new file of mode 0600 that has its name just once it is whole and durable."""
    temporary = file.with_name(f".{file.name}.{secrets.token_hex(4)}.part")
    with translated():
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as out:
                yield out
                out.flush()
                os.fsync(out.fileno())
            temporary.rename(file)
        finally:
            with contextlib.suppress(FileNotFoundError):
                temporary.unlink()
        sync_folder(file.absolute().parent)
