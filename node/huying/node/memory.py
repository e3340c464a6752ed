"""Keeping a long-lived process small and quick: a village's node shares a cheap PC.

Two habits of the C library cost a node with a few threads tens of megabytes: a heap for every
thread, and memory that was freed and is kept. Both are mended through glibc's own calls; on
another C library nothing happens. And Python looks for reference cycles after every few hundred
new objects, of which a batch of entries makes tens of thousands and no cycle: looking less often
takes about a tenth off the receive path.
"""

from __future__ import annotations

import ctypes
import gc
from typing import Final

__all__ = ["collect_seldom", "limit_heaps", "set_start_aside", "trim"]

_M_ARENA_MAX: Final = -8  # malloc.h
_HEAPS_MAX: Final = 2


def limit_heaps() -> None:
    """Let all threads share two heaps. Call it before any thread starts."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, _HEAPS_MAX)


def collect_seldom() -> None:
    """Look for cycles after 20,000 new objects, and never among those of the start."""
    gc.collect()
    set_start_aside()


def set_start_aside() -> None:
    """The same without a look for what is left of the start: that takes a tenth of a second.

    Else each such look, which no thread escapes, goes through all that was imported; a file of some
    thousand rows brings one about, and everybody's page waits for it.
    """
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


def trim() -> None:
    """Give freed memory back to the system."""
    malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if malloc_trim is not None:
        malloc_trim(0)
