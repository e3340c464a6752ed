"""The list of erasures: what must not come back when a database is restored from an older copy.

It stands beside the high-water mark, outside the database and its backups, and only grows
(docs/FEED.md, "Late disclosure and erasure"). One line of text for each range:

    huying-erased/v1 <origin> <start> <stop> <slots, hex, or "-"> <checksum>

The checksum is the first 16 hex digits of the SHA-256 of all before it. A line names at most 255
slots, which is 510 digits.

A line that a power cut left half written was never acted upon: it is cut off. Any other line that
does not read back stops the start, for nobody could say what would come back.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Final

from huying.common.errors import Code, HuyingError
from huying.common.late.spans import Span
from huying.common.limits import ORIGIN_BYTES_MAX, TREE_SIZE_MAX
from huying.node.folders import sync_folder
from huying.node.store.database import translated

__all__ = ["FileErasureList"]

_LABEL: Final = "huying-erased/v1"
_LINE_BYTES_MAX: Final = 1024
_NUMBER: Final = "0|[1-9][0-9]{0,15}"
_LINE: Final = re.compile(
    rf"({_LABEL} ([!-~]{{1,{ORIGIN_BYTES_MAX}}}) ({_NUMBER}) ({_NUMBER}) (-|(?:[0-9a-f]{{2}})+))"
    r" ([0-9a-f]{16})"
)


class FileErasureList:
    """A `ports.ErasureList` in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> list[Span]:
        """See `ports.ErasureList`; empty where there is no file yet."""
        with translated():
            try:
                data = self._path.read_bytes()
            except FileNotFoundError:
                return []
        whole = data[: data.rfind(b"\n") + 1]
        lines = whole.decode("ascii", "replace").split("\n")[:-1]
        return [self._parse(number, line) for number, line in enumerate(lines, 1)]

    def append(self, spans: Sequence[Span]) -> None:
        """See `ports.ErasureList`. The file is synced, and its folder where it is new."""
        data = "".join(_format(span) for span in spans).encode("ascii")
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        with translated():
            is_new = not self._path.exists()
            descriptor = os.open(self._path, flags, 0o600)
            try:
                os.lseek(descriptor, _whole_bytes(descriptor), os.SEEK_SET)
                os.ftruncate(descriptor, os.lseek(descriptor, 0, os.SEEK_CUR))
                while data:
                    data = data[os.write(descriptor, data) :]
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            if is_new:
                sync_folder(self._path.parent)

    def _parse(self, number: int, line: str) -> Span:
        match = _LINE.fullmatch(line)
        if match is None or _digest(match[1]) != match[6]:
            raise HuyingError(Code.CORRUPT, f"{self._path}: line {number} is not as it was written")
        slots = b"" if match[5] == "-" else bytes.fromhex(match[5])
        span = Span(match[2], int(match[3]), int(match[4]), slots)
        if not span.start < span.stop <= TREE_SIZE_MAX:
            raise HuyingError(Code.CORRUPT, f"{self._path}: line {number} names no entries")
        return span


def _whole_bytes(descriptor: int) -> int:
    """Where the last whole line ends."""
    size = os.fstat(descriptor).st_size
    start = max(0, size - _LINE_BYTES_MAX)
    return start + os.pread(descriptor, size - start, start).rfind(b"\n") + 1


def _format(span: Span) -> str:
    body = f"{_LABEL} {span.origin} {span.start} {span.stop} {span.slots.hex() or '-'}"
    line = f"{body} {_digest(body)}"
    assert _LINE.fullmatch(line), "a line must read back"
    return line + "\n"


def _digest(body: str) -> str:
    return sha256(body.encode("ascii")).hexdigest()[:16]
