"""The world's time and randomness, behind the core's protocols."""

from __future__ import annotations

import random
import secrets
import time

__all__ = ["SystemClock", "SystemEntropy"]


class SystemClock:
    """The machine's clocks."""

    __slots__ = ()

    def now(self) -> float:
        """Unix time in seconds."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds from an arbitrary start, never going back."""
        return time.monotonic()


class SystemEntropy:
    """The operating system's randomness for salts; an ordinary generator for jitter."""

    __slots__ = ("_jitter",)

    def __init__(self) -> None:
        self._jitter = random.Random(secrets.randbits(128))

    def token(self, count_bytes: int) -> bytes:
        """`count_bytes` cryptographically random bytes."""
        return secrets.token_bytes(count_bytes)

    def uniform(self, low: float, high: float) -> float:
        """A number in [low, high)."""
        return self._jitter.uniform(low, high)
