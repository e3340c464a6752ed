"""What every set of read queries stands on: a way to a connection, pages, and page tokens."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from sqlalchemy import Connection

from huying.common.errors import Code, HuyingError
from huying.common.limits import LIST_ENTRIES_DEFAULT, LIST_ENTRIES_MAX

__all__ = ["Page", "Queries", "Reading", "pack_token", "page_limit", "unpack_token"]

T = TypeVar("T")

# Opens one consistent view of the database for the queries inside it; translates its errors.
Reading = Callable[[], AbstractContextManager[Connection]]

_TOKEN_VERSION: Final = 1
_ASCENDING_VERSION: Final = 2
_PLACE_BYTES: Final = 8


class Queries:
    """Read-only queries over `reading`; what is written elsewhere meanwhile is not seen."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Rows of a list, and the token that goes on after them; empty at the end."""

    rows: tuple[T, ...]
    next_token: bytes


def page_limit(limit: int) -> int:
    """The rows of a page: what was asked for, within LIST_ENTRIES_MAX; 0 asks for the default."""
    if limit < 0:
        raise HuyingError(Code.INVALID_ARGUMENT, f"limit {limit} is negative")
    return min(limit or LIST_ENTRIES_DEFAULT, LIST_ENTRIES_MAX)


def pack_token(place: int, home: str, record: bytes, *, ascending: bool = False) -> bytes:
    """The key of the last row given: u8 version, u64 place, u8 len(home), home, record.

    A list that may go both ways has a version for each.
    """
    name = home.encode("ascii")
    return (
        bytes((_ASCENDING_VERSION if ascending else _TOKEN_VERSION,))
        + place.to_bytes(_PLACE_BYTES, "big")
        + bytes((len(name),))
        + name
        + record
    )


def unpack_token(token: bytes, *, ascending: bool = False) -> tuple[int, str, bytes]:
    """Reverse of `pack_token`. Raises HuyingError(INVALID_ARGUMENT)."""
    start = 2 + _PLACE_BYTES
    try:
        version, length = token[0], token[start - 1]
        home = token[start : start + length].decode("ascii")
    except (IndexError, UnicodeDecodeError):
        raise HuyingError(Code.INVALID_ARGUMENT, "page_token is not one of ours") from None
    place = int.from_bytes(token[1 : start - 1], "big")
    record = token[start + length :]
    expected = _ASCENDING_VERSION if ascending else _TOKEN_VERSION
    if version != expected or len(home) != length or not record or place >= 2**63:
        raise HuyingError(Code.INVALID_ARGUMENT, "page_token is not one of ours")
    return place, home, record
