"""What a simulated machine is made of: a store and a high-water mark that outlive a power cut.

A fuse cuts the power in the middle of an operation, after so many durable writes, by an exception
that nothing in the product may catch.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from huying.common.feed.merkle import EMPTY_ROOT
from huying.common.late.spans import Span
from huying.node.store.store import SqlStore


class PowerCutError(BaseException):
    """Ends an engine in the middle of what it does; nothing in the product may catch it."""


@dataclass(slots=True)
class Fuse:
    """Cuts the power when the store or the mark has been touched so many times."""

    remaining: int | None = None

    def touch(self) -> None:
        """One durable operation is about to happen."""
        if self.remaining is not None:
            self.remaining -= 1
            if self.remaining <= 0:
                self.remaining = None
                raise PowerCutError


class FragileStore:
    """A store whose machine may lose power between any two writes, and before the commit."""

    _WRITES = frozenset(
        {
            "create_feed", "put_feed", "add_entries", "set_entry", "add_subtrees",
            "put_checkpoint", "replace_missing", "quarantine", "add_request", "apply",
            "add_erased",
        }
    )  # fmt: skip

    def __init__(self, store: SqlStore, fuse: Fuse) -> None:
        self.inner = store
        self._fuse = fuse

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.inner, name)
        if name not in self._WRITES:
            return method

        def write(*args: Any) -> Any:
            self._fuse.touch()
            return method(*args)

        return write

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """The store's own, which rolls back what a power cut interrupts."""
        with self.inner.transaction():
            yield
            self._fuse.touch()


class FragileMark:
    """The high-water mark; the power may go just before or just after it is written."""

    def __init__(self, fuse: Fuse, origin: str) -> None:
        self.value: tuple[str, int, bytes] | None = (origin, 0, EMPTY_ROOT)
        self._fuse = fuse

    def read(self) -> tuple[str, int, bytes] | None:
        return self.value

    def write(self, origin: str, size: int, root: bytes) -> None:
        self._fuse.touch()
        self.value = (origin, size, root)
        self._fuse.touch()

    def store_replaced(self) -> bool:
        return False

    def settle(self) -> None:
        """Nothing here puts a store in place but the power."""


class FragileList:
    """The list of erasures; the power may go just before or just after a line is written."""

    def __init__(self, fuse: Fuse) -> None:
        self.spans: list[Span] = []
        self._fuse = fuse

    def read(self) -> list[Span]:
        return list(self.spans)

    def append(self, spans: Sequence[Span]) -> None:
        self._fuse.touch()
        self.spans += spans
        self._fuse.touch()


class SeededEntropy:
    def __init__(self, seed: str) -> None:
        self._random = random.Random(seed)

    def token(self, count_bytes: int) -> bytes:
        return self._random.randbytes(count_bytes)

    def uniform(self, low: float, high: float) -> float:
        return self._random.uniform(low, high)
