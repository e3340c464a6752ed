"""What one link showed of each feed, in the order in which it did.

A link is ordered, and an honest neighbour never shows on it an older head of a feed than before:
its segments end at checkpoints that do not go back (`huying.common.sync.outgoing`), its pulses are
passed on in the order they were signed, and one that is passed on twice is young. So a head that
*is* older, on the same link, is being shown in place of the newest. Nothing is remembered across
links: a neighbour that was restored, and says so by its greeting, is not accused by what it showed
before. docs/SYNC.md, "Replayed heads".
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["LinkOrder"]


class _Heard(NamedTuple):
    """The newest pulse of one origin on this link."""

    time: float  # unix seconds, by the origin's clock
    size: int
    since: float  # unix seconds, by this node's clock: when it first came


class LinkOrder:
    """The newest checkpoint and the newest pulse of each feed on one link."""

    __slots__ = ("_heard", "_shown")

    def __init__(self) -> None:
        self._shown: dict[str, int] = {}
        self._heard: dict[str, _Heard] = {}

    def told(self, origin: str, size: int) -> None:
        """This node said in its greeting that it holds so much, and the peer starts there."""
        self._shown.setdefault(origin, size)

    def checkpoint(self, origin: str, size: int) -> int:
        """A signed checkpoint came. Below 0: it is older than one before; over 0: it is news."""
        before = self._shown.get(origin, 0)
        if size > before:
            self._shown[origin] = size
        return size - before

    def is_old_pulse(
        self, origin: str, time: float, size: int, now: float, repeat_seconds: float
    ) -> bool:
        """A signed pulse came at `now`; whether it is one that an honest neighbour would not show.

        That is one of fewer entries than an earlier one, or the same again when it is older than
        `repeat_seconds`. An earlier time alone says nothing: an origin's clock may be set back.
        """
        last = self._heard.get(origin)
        if last is not None and size < last.size:
            return True
        if last is not None and (time, size) == last[:2]:
            return now - last.since > repeat_seconds
        self._heard[origin] = _Heard(time, size, now)
        return False
