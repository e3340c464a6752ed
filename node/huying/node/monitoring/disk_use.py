"""What the database takes on the disk, and what is left beside it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import NamedTuple

from huying.node.config import Config

__all__ = ["DiskUse", "disk_use"]


class DiskUse(NamedTuple):
    """In bytes."""

    free: int
    database: int
    log: int  # the write-ahead log


def disk_use(config: Config) -> DiskUse | None:
    """As it is now; None where the folder can't be asked."""
    file = config.database_file
    try:
        free = shutil.disk_usage(config.data_dir).free
        return DiskUse(free, file.stat().st_size, _size(file.with_name(file.name + "-wal")))
    except OSError:
        return None


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0  # a database at rest has none
