"""The console's own state in a backup: accounts and audit trail, and pictures that were handed in.

None of it is in the feed, so nobody else has it. `console.db` is copied as it stood at one moment,
and with it the pictures that its rows name; pictures that somebody began to hand in are left out.

What comes back is as old as the backup, and so is what people may do. Sessions and set-up links in
it are void, and a row of the audit trail says that it was put back. A console.db that stands in the
folder and is whole is newer, and stays.
"""

from __future__ import annotations

import contextlib
import enum
import os
import re
import shutil
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import delete, text, update

from huying.common.errors import Code, HuyingError
from huying.common.limits import BACKUP_PICTURES_MAX, PHOTO_BYTES_MAX
from huying.node import keys
from huying.node.backups.backup_file import CHUNK_BYTES, PartWriter
from huying.node.backups.unnamed_copy import unnamed_copy
from huying.node.config import Config
from huying.node.folders import sync_folder
from huying.node.store.database import translated
from huying.node.web.access.audit import Audit
from huying.node.web.schema import ORIGINALS, SESSIONS, SETUP, UPLOADS
from huying.node.web.store import FILE_NAME, ConsoleStore

__all__ = [
    "DATABASE_PART",
    "PICTURES",
    "ConsoleReport",
    "ConsoleShare",
    "ConsoleState",
    "Staged",
    "copied",
    "is_picture",
    "prepare",
    "put",
    "write",
]

DATABASE_PART: Final = FILE_NAME
PICTURES: Final = "pictures"  # their parts' folder; in a node it is console/files
_PICTURE: Final = re.compile(r"[0-9a-f]{64}\.(jpg|png|webp|pdf)")
_JOURNAL: Final = "-journal"
# A preview is in the feed as well, but that of a call which is still a draft is nowhere else.
_NAMES: Final = (
    "SELECT preview FROM owned_uploads UNION SELECT picture FROM owned_uploads"
    " UNION SELECT original FROM originals"
)
_FORMER_NAMES: Final = "SELECT preview FROM uploads UNION SELECT picture FROM uploads"


class ConsoleShare(enum.Enum):
    """How much of the console's state a backup takes along."""

    ALL = "all"
    ACCOUNTS = "accounts"  # without the pictures, which may be many gigabytes
    NONE = "none"


@dataclass(frozen=True, slots=True)
class ConsoleState:
    """What goes into a backup."""

    image: int | None  # descriptor of the copy of console.db
    bytes_: int | None  # of it
    pictures: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Staged:
    """A console.db that was unpacked, made ready, and may be put into place."""

    file: Path
    replaces: bool  # false: the one that stands in the node's folder stays


@dataclass(frozen=True, slots=True)
class ConsoleReport:
    """What a restore did with the console's state."""

    is_restored: bool = False
    is_kept: bool = False  # the backup had one, and the newer one in the folder stays
    aside: Path | None = None  # the damaged one that was there
    pictures: int = 0  # put back


# Into a backup.


@contextlib.contextmanager
def copied(config: Config, share: ConsoleShare) -> Iterator[ConsoleState]:
    """The console's state as it stands; nothing where there is none.

    Raises HuyingError(CORRUPT) for a damaged console.db, BUSY, LIMIT_EXCEEDED, DISK_FULL or
    STORE_FAILED.
    """
    database = config.console_dir / FILE_NAME
    if share is ConsoleShare.NONE or not database.is_file():
        yield ConsoleState(None, None, ())
        return
    with contextlib.ExitStack() as stack:
        try:
            image, names = stack.enter_context(
                unnamed_copy(database, lambda _source, copy: _checked_names(copy), mends=True)
            )
        except HuyingError as error:
            code = Code.BUSY if error.code is Code.NODE_RUNNING else error.code
            advice = "; --console none leaves it out" if code is Code.CORRUPT else ""
            raise HuyingError(code, f"{database}: {error.detail}{advice}") from error
        names = names if share is ConsoleShare.ALL else frozenset()
        pictures = tuple(_pictures(config.console_dir / "files", names))
        yield ConsoleState(image, os.fstat(image).st_size, pictures)


def write(state: ConsoleState, writer: PartWriter) -> tuple[int, int]:
    """Write the parts; how many pictures there were, and their bytes."""
    if state.image is None:
        return 0, 0
    writer.begin(DATABASE_PART, state.bytes_ or 0)
    for at in range(0, state.bytes_ or 0, CHUNK_BYTES):
        with translated():
            writer.write(os.pread(state.image, CHUNK_BYTES, at))
    count = total = 0
    for path in state.pictures:
        # One that was erased since the list was made is gone, and has no place in a backup.
        with contextlib.suppress(FileNotFoundError), translated(), path.open("rb") as file:
            data = file.read(PHOTO_BYTES_MAX + 1)
            if len(data) > PHOTO_BYTES_MAX:
                raise HuyingError(Code.LIMIT_EXCEEDED, f"{path}: over {PHOTO_BYTES_MAX} bytes")
            writer.begin(f"{PICTURES}/{path.name}", len(data))
            writer.write(data)
            count, total = count + 1, total + len(data)
    return count, total


def is_picture(part: str) -> bool:
    """Whether a part is a picture."""
    folder, _, name = part.partition("/")
    return folder == PICTURES and _PICTURE.fullmatch(name) is not None


def _checked_names(copy: sqlite3.Connection) -> frozenset[str]:
    """The digests of all pictures that it names. Raises HuyingError(CORRUPT)."""
    _check(copy)
    tables = {name for (name,) in copy.execute("SELECT name FROM sqlite_master")}
    # A console that has not been opened since the program was updated has its former table.
    rows = copy.execute(_NAMES if "owned_uploads" in tables else _FORMER_NAMES).fetchall()
    return frozenset(name for (name,) in rows if name)


def _check(connection: sqlite3.Connection) -> None:
    (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        raise HuyingError(Code.CORRUPT, "its check fails")


def _pictures(folder: Path, names: frozenset[str]) -> Iterator[Path]:
    count = 0
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.stem in names and _PICTURE.fullmatch(path.name) and path.is_file():
            count += 1
            if count > BACKUP_PICTURES_MAX:
                raise HuyingError(
                    Code.LIMIT_EXCEEDED,
                    f"{folder}: over {BACKUP_PICTURES_MAX} pictures; --console accounts leaves"
                    " them out",
                )
            yield path


# Back from it.


def prepare(stage: Path, folder: Path, made: float, now: float, actor: str) -> Staged | None:
    """Make an unpacked console.db ready, and see what stands in `folder`; None: there was none.

    Nothing outside `stage` is changed. `made` is when the backup was, in unix seconds; `actor` is
    who restores. Raises HuyingError: BACKUP_DAMAGED for a copy that can't be used, CONFIG where one
    of the two is of a newer program, BUSY or STORE_FAILED.
    """
    part = stage / DATABASE_PART
    if not part.exists():
        return None
    place = stage / "console" / FILE_NAME
    with translated():
        place.parent.mkdir(mode=0o700)
        part.rename(place)
    try:
        store = ConsoleStore.open(place.parent)
    except HuyingError as error:
        if error.code is not Code.CORRUPT:
            raise
        raise HuyingError(Code.BACKUP_DAMAGED, "the console.db in it can't be read") from None
    with contextlib.closing(store):
        _void(store, made, now, actor)
    return Staged(place, replaces=not _is_whole(folder))


def _void(store: ConsoleStore, made: float, now: float, actor: str) -> None:
    """End what must not live again, and say in the trail that this is a copy from then."""
    with store.writing() as connection:
        connection.execute(delete(SESSIONS))
        connection.execute(delete(SETUP))
        # Its entry may be one that the neighbours give back: until then it is nobody's evidence.
        connection.execute(update(UPLOADS).values(at_seconds=now))
        connection.execute(update(ORIGINALS).values(at_seconds=now))
    when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(made))
    Audit(store).write(now, actor, "console-restore", detail=f"as of {when}")


def _is_whole(folder: Path) -> bool:
    """Whether a console.db stands in the folder that can be used. Raises but for CORRUPT."""
    if not (folder / FILE_NAME).is_file():
        return False
    try:
        store = ConsoleStore.open(folder)
        with contextlib.closing(store), store.reading() as connection:
            return bool(connection.execute(text("PRAGMA quick_check(1)")).scalar() == "ok")
    except HuyingError as error:
        if error.code is Code.CORRUPT:
            return False
        raise


def put(staged: Staged | None, folder: Path, stage: Path, now: float) -> ConsoleReport:
    """Put into `folder` what belongs there. Raises HuyingError(DISK_FULL or STORE_FAILED)."""
    if staged is None:
        return ConsoleReport()
    with translated():
        keys.private_folder(folder)
        place, aside = folder / FILE_NAME, None
        if staged.replaces:
            stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
            # The journal, too: beside the new database it would be rolled back into it.
            for ending in (_JOURNAL, ""):
                old = folder / (FILE_NAME + ending)
                if old.exists():
                    aside = folder / f"{FILE_NAME}.before-{stamp}{ending}"
                    old.rename(aside)
            _move(staged.file, place)
        names = _names(folder)
        count = 0
        unpacked = stage / PICTURES
        for path in sorted(unpacked.iterdir()) if unpacked.is_dir() else ():
            target = folder / "files" / path.name
            if path.stem in names and not target.exists():
                keys.private_folder(target.parent)
                _move(path, target)
                count += 1
        for each in (folder / "files", folder):
            if each.is_dir():
                sync_folder(each)
    return ConsoleReport(staged.replaces, not staged.replaces, aside, count)


def _names(folder: Path) -> frozenset[str]:
    """The pictures that the console.db in the folder names: no other comes back."""
    store = ConsoleStore.open(folder)
    with contextlib.closing(store), store.reading() as connection:
        return frozenset(connection.execute(text(_NAMES)).scalars())


def _move(source: Path, target: Path) -> None:
    """Rename, or copy where the console's folder is on another disk; durable either way."""
    shutil.move(source, target)
    target.chmod(0o600)
    with target.open("rb") as file:
        os.fsync(file.fileno())
