"""Files that are carried by hand: written whole or not at all, read within a limit.

A stick is pulled out early, and its file system may know neither links nor modes. So a file is
written beside its place under another name, synced and moved there; whoever finds the name finds
all of it. What stands there already is never replaced.
"""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path

from huying.common.errors import Code, HuyingError

__all__ = ["check_free", "read_carried", "write_carried"]


def check_free(path: Path) -> None:
    """Raises HuyingError(INVALID_ARGUMENT) where something stands at `path`, or no folder does."""
    if os.path.lexists(path):
        raise HuyingError(Code.INVALID_ARGUMENT, f"{path}: exists already; choose another name")
    if not path.absolute().parent.is_dir():
        raise HuyingError(Code.INVALID_ARGUMENT, f"{path.parent}: no such folder")


def write_carried(path: Path, data: bytes) -> None:
    """Write a new file of mode 0600, durable when this returns.

    Raises HuyingError: INVALID_ARGUMENT where it exists or can't be written; DISK_FULL.
    """
    check_free(path)
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        try:
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            check_free(path)
            draft.rename(path)
        except BaseException:
            with contextlib.suppress(OSError):
                draft.unlink()
            raise
        _sync_folder(path.absolute().parent)
    except OSError as error:
        code = Code.DISK_FULL if error.errno in (errno.ENOSPC, errno.EDQUOT) else None
        raise HuyingError(
            code or Code.INVALID_ARGUMENT, f"{path}: can't be written: {error.strerror}"
        ) from None


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        # Some file systems of sticks refuse to sync a folder; the file's own sync has to do there.
        with contextlib.suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_carried(path: Path, bytes_max: int) -> bytes:
    """The whole file. Raises HuyingError: INVALID_ARGUMENT, or LIMIT_EXCEEDED over `bytes_max`."""
    try:
        with path.open("rb") as file:
            data = file.read(bytes_max + 1)
    except OSError as error:
        raise HuyingError(
            Code.INVALID_ARGUMENT, f"{path}: can't be read: {error.strerror}"
        ) from None
    if len(data) > bytes_max:
        raise HuyingError(Code.LIMIT_EXCEEDED, f"{path}: over {bytes_max} bytes")
    return data
