"""Search in texts that stand in openings alone: one row after the other, within a bound.

A page of a search ends when it is full, at the list's end, after CALL_SCAN_ROWS_MAX rows, or after
CALL_SCAN_SECONDS_MAX; it says how far it looked, and its token goes on from there.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from huying.common.limits import CALL_SCAN_ROWS_MAX, CALL_SCAN_SECONDS_MAX
from huying.node.store.queries import Page

__all__ = ["Scanned", "has_words", "scan"]

R = TypeVar("R")
_CHUNK: Final = 200


@dataclass(frozen=True, slots=True)
class Scanned(Generic[R]):
    """One page of a search."""

    rows: tuple[R, ...]
    next_token: bytes  # goes on after what was looked at; empty at the list's end
    looked_count: int
    looked_micros: int  # when the last row that was looked at is of; 0 where there was none


def has_words(words: str, *texts: str) -> bool:
    """Whether each of the words stands in one of the texts, in whatever case."""
    within = "\n".join(texts).casefold()
    return all(word in within for word in words.casefold().split())


def scan(
    pages: Callable[[int, bytes], Page[R]],
    matches: Callable[[R], bool],
    place: Callable[[R], tuple[int, bytes]],
    *,
    limit: int,
    token: bytes,
) -> Scanned[R]:
    """The next `limit` rows that match.

    `pages` gives the rows of a list, so many from a token; `place` says of a row when it is of, and
    the token that goes on after it. Raises what `pages` does.
    """
    began = time.monotonic()
    found: list[R] = []
    looked, micros = 0, 0
    while True:
        page = pages(_CHUNK, token)
        for row in page.rows:
            looked += 1
            micros, after = place(row)
            if matches(row):
                found.append(row)
                if len(found) == limit:
                    is_last = row is page.rows[-1] and not page.next_token
                    return Scanned(tuple(found), b"" if is_last else after, looked, micros)
        token = page.next_token
        spent = time.monotonic() - began
        if not token or looked >= CALL_SCAN_ROWS_MAX or spent >= CALL_SCAN_SECONDS_MAX:
            return Scanned(tuple(found), token, looked, micros)
