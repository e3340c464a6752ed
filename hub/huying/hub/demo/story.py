"""What has happened so far: counts for the progress bars, and the conversation of one call.

Plain state, written by the demo's people and read by its screen.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from huying.common import codes

__all__ = ["Counted", "Line", "Story", "tier"]

Counted = Literal[
    "loaded",  # entries of the register
    "reported",  # events
    "raised",
    "received",
    "dispatched",
    "answered",  # calls answered at least once
    "answered_again",
    "unresolved",
    "returned",  # objected to
    "ruled",
    "supplemented",
    "provided",  # fields that stay at home, shown on request
    "breached",  # answer clocks that ran out
    "confirmed",  # at least once
    "reopened",
    "closed",
    "settled",  # events
]
_TIERS: Final = {codes.Level.COUNTY: "县", codes.Level.TOWN: "镇", codes.Level.VILLAGE: "村"}


def tier(code: str) -> str:
    """One character for the tier of a division."""
    return _TIERS[codes.level(code)]


@dataclass(frozen=True, slots=True)
class Line:
    """One thing said about the call that is followed."""

    seconds: float  # since the first
    code: str  # of the node it was written at
    who: str
    text: str


class Story:
    """`totals` are known beforehand, because all decisions are functions of the input."""

    def __init__(self, totals: dict[Counted, int], followed: bytes) -> None:
        self.totals = totals
        self.counts: Counter[Counted] = Counter()
        self.lines: list[Line] = []
        self.settled = asyncio.Event()  # every event is
        self.listener: Callable[[Line], None] = lambda _line: None
        self._followed = followed
        self._started: float | None = None

    def count(self, what: Counted, how_many: int = 1) -> None:
        """Something happened."""
        self.counts[what] += how_many
        if self.counts["settled"] >= self.totals["settled"]:
            self.settled.set()

    def say(self, event: bytes, code: str, who: str, text: str) -> None:
        """Somebody at the node `code` wrote about the event; kept where it is followed."""
        if event != self._followed:
            return
        now = time.monotonic()
        if self._started is None:
            self._started = now
        line = Line(now - self._started, code, who, text)
        self.lines.append(line)
        self.listener(line)
