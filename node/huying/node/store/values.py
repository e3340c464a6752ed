"""Values that a peer chose, brought into the range of a column."""

from __future__ import annotations

from typing import Final

__all__ = ["NUMBER_MAX", "TEXT_CHARACTERS_KEPT", "number", "text"]

NUMBER_MAX: Final = 2**63 - 1  # protobuf's uint64 goes to twice that, no database's integer does
TEXT_CHARACTERS_KEPT: Final = 400  # of a filter column; the whole value stays in the entry


def number(value: int) -> int:
    """A uint64, at most what a signed 64-bit column holds."""
    return min(value, NUMBER_MAX)


def text(value: str) -> str:
    """At most TEXT_CHARACTERS_KEPT characters, without NUL, which PostgreSQL refuses."""
    if len(value) <= TEXT_CHARACTERS_KEPT and "\0" not in value:
        return value
    return value[:TEXT_CHARACTERS_KEPT].replace("\0", "")
