"""The high-water mark: the newest size of the own feed that may have left this node.

It stands in a small file beside the database, never inside it or its backups, so that a database
restored from an old copy is noticed before it signs a second history (docs/FEED.md, "Restore,
clone, fork"). One line of text:

    huying-mark/v1 <origin> <size> <root, hex> <host id, hex> <SHA-256 of all before, hex>

A mark that another host wrote counts as no mark: the directory was cloned, and the original may be
alive.
"""

from __future__ import annotations

import contextlib
import os
import re
from hashlib import sha256
from pathlib import Path
from typing import Final

from huying.common.errors import Code, HuyingError
from huying.common.limits import ORIGIN_BYTES_MAX, TREE_SIZE_MAX
from huying.node.folders import sync_folder
from huying.node.store.database import translated

__all__ = ["FileMark", "host_id"]

_LABEL: Final = "huying-mark/v1"
_MARK: Final = re.compile(
    rf"({_LABEL} ([!-~]{{1,{ORIGIN_BYTES_MAX}}}) (0|[1-9][0-9]{{0,15}})"
    r" ([0-9a-f]{64}) ([0-9a-f]{64})) ([0-9a-f]{64})\n"
)
_FILE_BYTES_MAX: Final = 1024
_HOST_FILES: Final = (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id"))


def host_id() -> bytes:
    """32 bytes that tell this machine from its clones, without showing the machine id itself.

    A machine without an id, as some containers are, goes by its host name: a container that is
    made anew under another name then counts as a clone, which is the safe mistake.
    """
    for path in _HOST_FILES:
        with contextlib.suppress(OSError):
            text = path.read_bytes().strip()
            if text:
                return sha256(b"huying/host/v1\n" + text).digest()
    return sha256(b"huying/host-name/v1\n" + os.uname().nodename.encode()).digest()


class FileMark:
    """A `ports.HighWaterMark` in a file."""

    def __init__(self, path: Path, host: bytes) -> None:
        assert len(host) == 32
        self._path = path
        self._host = host

    def read(self) -> tuple[str, int, bytes] | None:
        """See `ports.HighWaterMark`. Raises HuyingError(CORRUPT or STORE_FAILED)."""
        with translated():
            try:
                with self._path.open("rb") as file:
                    data = file.read(_FILE_BYTES_MAX + 1)
            except FileNotFoundError:
                return None
        return _parse(data, self._host, self._path)

    def write(self, origin: str, size: int, root: bytes) -> None:
        """See `ports.HighWaterMark`. Raises HuyingError(DISK_FULL or STORE_FAILED).

        Temporary file, fsync, rename, fsync of the directory: after a power cut there is the old
        mark or the new one.
        """
        data = _format(origin, size, root, self._host)
        temporary = self._path.with_name(self._path.name + ".new")
        with translated():
            descriptor = os.open(
                temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600
            )
            try:
                _write_all(descriptor, data)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            temporary.replace(self._path)
            sync_folder(self._path.parent)

    def store_replaced(self) -> bool:
        """See `ports.HighWaterMark`."""
        return self._sign.exists()

    def note_store_replaced(self) -> None:
        """A restore is about to put an older store in place. Raises as `write`.

        The own feed alone can't tell: where nothing was written since, its mark agrees, and what
        this node had cosigned is forgotten all the same.
        """
        with translated():
            self._sign.touch(0o600)
            sync_folder(self._sign.parent)

    def settle(self) -> None:
        """See `ports.HighWaterMark`. Raises as `write`."""
        with translated():
            self._sign.unlink(missing_ok=True)
            sync_folder(self._sign.parent)

    @property
    def _sign(self) -> Path:
        return self._path.with_name(self._path.name + ".restored")


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def _format(origin: str, size: int, root: bytes, host: bytes) -> bytes:
    body = f"{_LABEL} {origin} {size} {root.hex()} {host.hex()}"
    line = f"{body} {sha256(body.encode('ascii')).hexdigest()}\n"
    assert _MARK.fullmatch(line), "a mark must read back"
    return line.encode("ascii")


def _parse(data: bytes, host: bytes, path: Path) -> tuple[str, int, bytes] | None:
    try:
        match = _MARK.fullmatch(data.decode("ascii"))
    except UnicodeDecodeError:
        match = None
    if match is None:
        raise HuyingError(Code.CORRUPT, f"{path} is not a high-water mark")
    body, origin, size, root, found_host, checksum = match.groups()
    if sha256(body.encode("ascii")).hexdigest() != checksum:
        raise HuyingError(Code.CORRUPT, f"{path}: the checksum does not match")
    if int(size) > TREE_SIZE_MAX:
        raise HuyingError(Code.CORRUPT, f"{path}: size {size} is beyond any tree")
    if bytes.fromhex(found_host) != host:
        return None
    return origin, int(size), bytes.fromhex(root)
