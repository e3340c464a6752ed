"""`huying restore`: a node from its backup, into a new folder or over what is left of the old one.

Everything is unpacked and checked beside its place before anything is put into it. A folder that
was there keeps its high-water mark, its list of erasures, its keys and its configuration, which are
at least as new as the backup's; its database is moved aside, under a name that is returned. A new
folder has no mark. Either way the node's next start finds that others may know more of its feed
than it does, gets that back from them, and writes nothing before. What the console keeps comes back
by `console_state`.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import sqlite3
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, cast
from urllib.parse import quote

from huying.common.errors import Code, HuyingError
from huying.common.limits import (
    BACKUP_FILE_BYTES_MAX,
    BACKUP_FILES_MAX,
    BACKUP_PICTURES_MAX,
    INTEGER_MAX,
    PHOTO_BYTES_MAX,
)
from huying.node import config as config_module
from huying.node import keys, pins
from huying.node.backups import console_state, period_keys
from huying.node.backups.backup import Progress, file_places
from huying.node.backups.backup_file import Header, Part, PartReader
from huying.node.backups.console_state import ConsoleReport
from huying.node.backups.period_keys import PeriodKey
from huying.node.config import Config
from huying.node.folders import sync_folder
from huying.node.highwater import FileMark, host_id
from huying.node.membership.enrol import CONFIG_FILE
from huying.node.store.database import lock_database, translated
from huying.node.store.schema import SCHEMA_REVISION

__all__ = ["RestoreReport", "read_header", "restore"]

_STAGE: Final = ".restore-"
_WAL: Final = ("-wal", "-shm")  # move with their database, or belong to another one
# Settings that name a place; one that leads out of the folder is left to its default.
_PLACES: Final = (
    ("node", "data"),
    ("node", "keys"),
    ("node", "mark"),
    ("api", "token_file"),
    ("trust", "pins"),
    ("console", "folder"),
)
_WHOLE: Final = ("node.db", console_state.DATABASE_PART)  # parts of any size


@dataclass(frozen=True, slots=True)
class RestoreReport:
    """What a restore did."""

    config: Config
    header: Header
    database_bytes: int
    aside: Path | None  # the database that was there before
    kept: tuple[Path, ...]  # files of the folder that differ from the backup's
    moved: tuple[str, ...]  # settings that led out of the folder
    console: ConsoleReport


def read_header(file: Path) -> Header:
    """What a backup says of itself. Raises HuyingError(NOT_FOUND or BACKUP_DAMAGED)."""
    with _opened(file) as source:
        return Header.read(source)


def restore(
    file: Path,
    folder: Path,
    *,
    keys_folder: Path | None = None,
    environ: Mapping[str, str] | None = None,
    now: float | None = None,
    actor: str = "-",
    progress: Progress = lambda _done, _all: None,
) -> RestoreReport:
    """Restore the backup `file` into `folder`, whole or not at all; `actor` is for its audit trail.

    The key comes from `keys_folder`, the folder that the environment names, the one that the header
    names, those beside the file and in `folder`. Raises HuyingError(NOT_FOUND), BACKUP_DAMAGED,
    BACKUP_KEY, NODE_RUNNING, CONFIG where the folder is another node's or holds something else or
    the database is of a newer program, DISK_FULL or STORE_FAILED; nothing is changed then.
    """
    environment = os.environ if environ is None else environ
    header = read_header(file)
    present = _present(folder, header)
    now = time.time() if now is None else now
    key = period_keys.find(
        header.period,
        header.key_id,
        _key_folders(file, folder, header, present, keys_folder, environment),
    )
    with contextlib.ExitStack() as stack:
        if present is not None:
            lock = lock_database(present.database_file)
            stack.callback(os.close, lock)
        else:
            stack.enter_context(_new_folder(folder))
        # On the database's disk, so that the new one takes its place in one step.
        on_disk = folder if present is None else present.database_file.parent
        stage = stack.enter_context(_stage(on_disk))
        with _opened(file) as source:
            Header.read(source)
            parts = _unpack(source, header, key.key, stage, file.stat().st_size, progress)
        _check_database(stage / "node.db", header)
        config, moved = (present, ()) if present is not None else _place(stage, folder, header)
        staged = console_state.prepare(stage, config.console_dir, header.created, now, actor)
        kept = _install(config, stage, parts) + _keep_key(config, key)
        if present is not None:  # else there is no mark, which says the same
            FileMark(config.mark_file, host_id()).note_store_replaced()
        aside = _put_database(config, stage / "node.db", now)
        console = console_state.put(staged, config.console_dir, stage, now)
        if present is None:
            # Last, so that a folder with a node.toml is a whole node.
            _move(stage / CONFIG_FILE, config.file)
    return RestoreReport(
        config, header, config.database_file.stat().st_size, aside, tuple(kept), moved, console
    )


# Before anything is written.


def _present(folder: Path, header: Header) -> Config | None:
    """The configuration of the node that is in the folder, or None where the folder is new.

    Raises HuyingError(CONFIG).
    """
    if (folder / CONFIG_FILE).exists():
        config = config_module.load(folder / CONFIG_FILE, {})
        if (config.node.network, config.node.code) != (header.network, header.code):
            raise HuyingError(
                Code.CONFIG,
                f"{config.file} is of {config.node.code} in {config.node.network}, the backup of "
                f"{header.code} in {header.network}",
            )
        return config
    others = [path for path in (folder.iterdir() if folder.is_dir() else ()) if not _is_stage(path)]
    if folder.exists() and (others or not folder.is_dir()):
        raise HuyingError(
            Code.CONFIG, f"{folder}: neither new nor a node's; name a folder that does not exist"
        )
    return None


def _key_folders(
    file: Path,
    folder: Path,
    header: Header,
    present: Config | None,
    given: Path | None,
    environ: Mapping[str, str],
) -> Iterator[Path]:
    if given is not None:
        if not given.is_dir():
            raise HuyingError(Code.INVALID_ARGUMENT, f"--keys: no folder {given}")
        yield given
    if named := environ.get(period_keys.KEYS_VARIABLE):
        yield Path(named)
    if present is not None:
        yield present.backup_keys_dir
    yield Path(header.keys)
    beside = file.absolute().parent
    yield beside
    yield beside / "backup-keys"
    yield folder / "backup-keys"


@contextlib.contextmanager
def _new_folder(folder: Path) -> Iterator[None]:
    """A folder that is gone again where the restore fails."""
    there = folder.exists()
    keys.private_folder(folder)
    try:
        yield
    except BaseException:
        for path in folder.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        if not there:
            folder.rmdir()
        raise


def _is_stage(path: Path) -> bool:
    return path.name.startswith(_STAGE)


@contextlib.contextmanager
def _stage(folder: Path) -> Iterator[Path]:
    """A private folder to unpack into, on the same disk. One that a crash left is removed."""
    for old in folder.iterdir():
        if _is_stage(old):
            shutil.rmtree(old)
    stage = folder / f"{_STAGE}{secrets.token_hex(4)}"
    with translated():
        stage.mkdir(mode=0o700)
    try:
        yield stage
    finally:
        shutil.rmtree(stage, ignore_errors=True)


# Unpacking.


@contextlib.contextmanager
def _opened(file: Path) -> Iterator[BinaryIO]:
    try:
        source = file.open("rb")
    except OSError as error:
        raise HuyingError(Code.NOT_FOUND, f"FILE: {file}: {error.strerror}") from None
    with source:
        yield source


def _unpack(
    source: BinaryIO, header: Header, key: bytes, stage: Path, size: int, progress: Progress
) -> list[str]:
    """Write every part below `stage`; the names of the small files, in the order of the backup."""
    reader = PartReader(source, header, key)
    names: set[str] = set()
    small: list[str] = []
    for part in reader.parts():
        many = len(small) > BACKUP_FILES_MAX or len(names) > BACKUP_FILES_MAX + BACKUP_PICTURES_MAX
        if part.name in names or many:
            raise HuyingError(Code.BACKUP_DAMAGED, "a part comes twice, or there are too many")
        if part.size > (bytes_max := _bytes_max(part)):
            raise HuyingError(Code.BACKUP_DAMAGED, f"{part.name}: over {bytes_max}")
        path = stage / part.name
        path.parent.mkdir(mode=0o700, exist_ok=True)
        _write(path, reader.read, lambda: progress(source.tell(), size))
        names.add(part.name)
        if part.name not in _WHOLE and not console_state.is_picture(part.name):
            small.append(part.name)
    for needed in (CONFIG_FILE, "node.db"):
        if needed not in names:
            raise HuyingError(Code.BACKUP_DAMAGED, f"no {needed} in it")
    return small


def _bytes_max(part: Part) -> int:
    if part.name in _WHOLE:
        return INTEGER_MAX
    return PHOTO_BYTES_MAX if console_state.is_picture(part.name) else BACKUP_FILE_BYTES_MAX


def _write(path: Path, read: Callable[[], bytes], written: Callable[[], None]) -> None:
    with translated():
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            while data := read():
                file.write(data)
                written()
            file.flush()
            os.fsync(file.fileno())


def _check_database(path: Path, header: Header) -> None:
    """Whether this program can open it. Raises HuyingError(BACKUP_DAMAGED or CONFIG)."""
    uri = f"file:{quote(str(path.absolute()))}?mode=ro&immutable=1"
    try:
        with contextlib.closing(sqlite3.connect(uri, uri=True)) as reader:
            (revision,) = reader.execute("SELECT version_num FROM alembic_version").fetchone()
            row = reader.execute(
                "SELECT size FROM feeds WHERE origin = ?", (header.origin,)
            ).fetchone()
    except (sqlite3.Error, TypeError):
        raise HuyingError(Code.BACKUP_DAMAGED, "the database in it can't be read") from None
    if revision > SCHEMA_REVISION:
        raise HuyingError(
            Code.CONFIG, f"the backup has schema {revision}, this program {SCHEMA_REVISION}"
        )
    if (row[0] if row else 0) != header.size:
        raise HuyingError(Code.BACKUP_DAMAGED, "the database in it is not the header's")


# Putting into place.


def _place(stage: Path, folder: Path, header: Header) -> tuple[Config, tuple[str, ...]]:
    """The configuration for a new folder, with every place inside it, and the settings changed."""
    path = stage / CONFIG_FILE
    text = path.read_text(encoding="utf-8")
    table: dict[str, Any] = tomllib.loads(text)
    moved = []
    for section, name in _PLACES:
        value = table.get(section, {}).get(name)
        if isinstance(value, str) and not _is_inside(value):
            del table[section][name]
            moved.append(f"[{section}] {name}")
    if moved:
        text = _render(table)
        path.write_text(text, encoding="utf-8")
    config = config_module.parse(text, folder / CONFIG_FILE)
    if (config.node.network, config.node.code) != (header.network, header.code):
        raise HuyingError(Code.BACKUP_DAMAGED, "the configuration in it is another node's")
    return config, tuple(moved)


def _is_inside(value: str) -> bool:
    path = Path(value)
    return not path.is_absolute() and ".." not in path.parts


def _render(table: Mapping[str, Mapping[str, object]]) -> str:
    lines = ["# docs/CONFIGURATION.md explains every setting."]
    for section, values in table.items():
        plain = {key: value for key, value in values.items() if not _is_tables(value)}
        if plain:
            lines += ["", f"[{section}]", *_pairs(plain)]
        for key in values.keys() - plain.keys():
            for one in cast("list[dict[str, object]]", values[key]):
                lines += ["", f"[[{section}.{key}]]", *_pairs(one)]
    return "\n".join(lines) + "\n"


def _is_tables(value: object) -> bool:
    return isinstance(value, list) and any(isinstance(one, dict) for one in value)


def _pairs(values: Mapping[str, object]) -> list[str]:
    return [f"{key} = {_value(value)}" for key, value in values.items()]


def _value(value: object) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    return pins.quote(value) if isinstance(value, str) else str(value)


def _install(config: Config, stage: Path, parts: Sequence[str]) -> list[Path]:
    """Move every file into its place where there is none; those that are there and differ."""
    places = file_places(config)
    kept: list[Path] = []
    touched: set[Path] = set()
    for part in parts:
        if part == CONFIG_FILE:
            continue
        folder, slash, name = part.partition("/")
        place = places.get(folder + slash)
        if place is None:
            continue  # of a later version
        target = place / name if slash else place
        private = part == "token" or folder in ("keys", "departments")
        if target.exists():
            if target.read_bytes() != (stage / part).read_bytes():
                kept.append(target)
            continue
        if private:
            keys.private_folder(target.parent)
        target.parent.mkdir(parents=True, exist_ok=True)
        with (stage / part).open("rb") as source:
            _write(target, source.read, lambda: None)
        touched.add(target.parent)
    for each in touched:
        sync_folder(each)
    return kept


def _keep_key(config: Config, key: PeriodKey) -> list[Path]:
    """Have the next backup go on under the same key; the file that is in its way, if there is one.

    A second key of the month would have the same name, and copied away it would replace the first.
    """
    try:
        place = period_keys.keep(key, config.backup_keys_dir)
        differs = place.read_bytes() != key.path.read_bytes()
    except (HuyingError, OSError):
        return []  # a medium that is not there today, say: the next backup names it
    return [place] if differs else []


def _put_database(config: Config, image: Path, now: float) -> Path | None:
    """The new database in, the old one and its log aside; where that is, if there was one."""
    place = config.database_file
    with translated():
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        aside = None
        if place.exists():
            stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
            aside = place.with_name(f"{place.name}.before-{stamp}")
            while aside.exists():
                aside = aside.with_name(aside.name + "+")
            # The log first: beside the new database it would be taken for its own.
            for ending in (*_WAL, ""):
                old = place.with_name(place.name + ending)
                if old.exists():
                    old.rename(aside.with_name(aside.name + ending))
            sync_folder(place.parent)
        else:
            for ending in _WAL:
                place.with_name(place.name + ending).unlink(missing_ok=True)
        image.rename(place)
        sync_folder(place.parent)
    return aside


def _move(source: Path, target: Path) -> None:
    with translated():
        source.rename(target)
        sync_folder(target.parent)
