"""What a faulty row of a table does to the others: the choice of whoever imports it."""

from __future__ import annotations

import enum

__all__ = ["OnError"]


class OnError(enum.StrEnum):
    """As an option of a command; a module of its own, since every command line loads it."""

    SKIP = "skip"  # good rows are kept
    STOP = "stop"  # all or nothing
