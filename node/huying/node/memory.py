"""Keeping a long-lived process small: a village's node shares a cheap PC with other work.

Two habits of the C library cost a node with a few threads tens of megabytes: a heap for every
thread, and memory that was freed and is kept. Both are mended through glibc's own calls; on
another C library nothing happens.
"""

from __future__ import annotations

import ctypes
from typing import Final

__all__ = ["limit_heaps", "trim"]

_M_ARENA_MAX: Final = -8  # malloc.h
_HEAPS_MAX: Final = 2


def limit_heaps() -> None:
    """Let all threads share two heaps. Call it before any thread starts."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, _HEAPS_MAX)


def trim() -> None:
    """Give freed memory back to the system."""
    malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if malloc_trim is not None:
        malloc_trim(0)
