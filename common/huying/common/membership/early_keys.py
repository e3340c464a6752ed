"""Keys that a parent named before what explains them was heard.

An epoch of a feed may come before the end of the one before it: the key of a rotated feed is known
by its own parent's word, too, and frames are lost and sent again. What a parent said of a child at
that end may be what the next thing it says builds on, or what refutes it. So a key that comes with
an old key's word waits, without an alarm, until the Close has come, and is judged then.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from huying.common.codes import parse_origin
from huying.common.errors import HuyingError
from huying.common.membership.roster import EpochStatus, Pin, Roster
from huying.common.state import Applied

__all__ = ["EarlyKeys"]


class EarlyKeys:
    """What one engine heard too early, and the ends of epochs that it knows to be on their way."""

    def __init__(self, roster: Roster) -> None:
        self._roster = roster
        self._unheard: frozenset[str] = frozenset()  # epochs whose Close has not come
        self._kept: dict[str, tuple[Applied, Pin]] = {}  # by feed key

    def save(self) -> object:
        """What `restore` goes back to."""
        return self._unheard, dict(self._kept)

    def restore(self, saved: Any) -> None:
        """Forget what was learnt since `save`."""
        self._unheard, self._kept = saved

    def closed_elsewhere(self, origin: str) -> None:
        """Somebody passed on that the feed was closed, before its Close came."""
        self._unheard |= {origin}

    def closed(self, origin: str) -> None:
        """Its Close is here."""
        self._unheard -= {origin}

    def is_early(self, entry: Applied) -> bool:
        """Whether the end of an epoch before is missing of the feed that the entry stands in."""
        return any(
            one.origin in self._unheard
            and parse_origin(one.origin).epoch < entry.epoch
            and one.status is EpochStatus.CLOSED
            for one in self._roster.epochs_of(entry.home)
        )

    def keep(self, entry: Applied, pin: Pin) -> None:
        """Judge the key that this Member names once more, when the Close has come."""
        self._kept[pin.feed_key] = entry, pin

    def judge_again(
        self, judge: Callable[[Applied, Pin], None], refuse: Callable[[Pin, HuyingError], None]
    ) -> None:
        """Hand `judge` whatever still waits, in the order of the epochs; it may keep it again."""
        waiting = {one.pin.feed_key for one in self._roster.waiting()}
        kept, self._kept = self._kept, {}
        again = [one for key, one in kept.items() if key in waiting]
        for entry, pin in sorted(again, key=lambda one: parse_origin(one[1].origin).epoch):
            try:
                judge(entry, pin)
            except HuyingError as error:
                refuse(pin, error)
