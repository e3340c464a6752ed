"""Lines and links of the simulated world.

A line is the wire between a child and its parent. A link is one connection over it, dialled by the
child, which delivers frames late, twice, out of order or not at all while the line is bad.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

__all__ = ["Line", "Link", "Quality", "Tamper"]


@dataclass(slots=True)
class Quality:
    """How a line treats frames. Times in seconds, rates in bytes a second, the rest odds."""

    delay: float = 0.02
    jitter: float = 0.01
    loss: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    rate: float = 0.0  # 0: as much as comes


@dataclass(slots=True, eq=False)
class Link:
    """One connection; each end closes for itself."""

    number: int
    line: Line
    open_at: set[str]
    is_broken: bool = False  # a cut swallowed a frame, so nothing behind it may arrive either
    last_arrival: dict[str, float] = field(default_factory=dict)
    busy_until: dict[str, float] = field(default_factory=dict)  # by receiver, on a thin line


# What a faulty relay makes of one of its frames.
Tamper = Callable[[bytes], Sequence[bytes]]


@dataclass(slots=True, eq=False)
class Line:
    """The wire between a child and its parent."""

    child: str
    parent: str
    quality: Quality = field(default_factory=Quality)
    is_cut: bool = False
    link: Link | None = None
    dialling: bool = False
    pause_seconds_max: float = 3.0  # between two attempts to dial
    tamper: dict[str, Tamper] = field(default_factory=dict)  # by sender

    def other(self, code: str) -> str:
        return self.parent if code == self.child else self.child
