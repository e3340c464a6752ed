"""Passwords that are known from breaches, looked up in a file that a county may put in place.

The file is `breached.txt` beside console.db: one SHA-1 a line in hex, sorted, with a colon and a
count behind or without, as Have I Been Pwned hands it out. It may have gigabytes: a look-up reads
some thirty lines. Nothing is asked of the network.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import BinaryIO, Final

from huying.common.errors import Code, HuyingError

__all__ = ["FILE_NAME", "is_breached"]

FILE_NAME: Final = "breached.txt"
_HEX_DIGITS: Final = 40
_LINE_BYTES_MAX: Final = 128


def is_breached(folder: Path, password: str) -> bool:
    """Whether the folder's file has the password; no where there is no file.

    Raises HuyingError(CONFIG) for a file that can't be read or is no such list.
    """
    data = password.encode("utf-8", "surrogatepass")
    wanted = hashlib.sha1(data, usedforsecurity=False).hexdigest().upper().encode("ascii")
    path = folder / FILE_NAME
    try:
        with path.open("rb") as file:
            return _search(file, path.stat().st_size, wanted)
    except FileNotFoundError:
        return False
    except (OSError, ValueError) as error:
        raise HuyingError(
            Code.CONFIG, f"{path}: no sorted list of SHA-1 in hex, one a line ({error})"
        ) from None


def _search(file: BinaryIO, size: int, wanted: bytes) -> bool:
    """Binary search by bytes. Lines that begin in [low, high) are still to be looked at."""
    low, high = 0, size
    while low < high:
        middle = (low + high) // 2
        start = _line_start(file, middle)
        file.seek(start)
        line = file.readline(_LINE_BYTES_MAX)
        found = line[:_HEX_DIGITS].upper()
        if len(found) < _HEX_DIGITS or not found.isalnum():
            raise ValueError(f"at byte {start}")
        if found == wanted:
            return True
        if found < wanted:
            low = start + len(line)
        else:
            high = start
    return False


def _line_start(file: BinaryIO, at: int) -> int:
    """Where the line begins that holds a byte."""
    begin = max(0, at - _LINE_BYTES_MAX)
    file.seek(begin)
    before = file.read(at - begin)
    newline = before.rfind(b"\n")
    if newline < 0 and begin > 0:
        raise ValueError(f"a line that is too long at byte {begin}")
    return begin + newline + 1
