"""The hours in which a node's links are expected to be silent, such as `22:00-06:00`.

A village office that is switched off at night is not an incident, and an alert each evening teaches
people to look away. The window is in the node's local time, once a day, and only informs: the node
works through it as ever. What is exported are two timestamps, which monitoring still knows once the
node itself is gone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Final

__all__ = ["OfflineWindow"]

_WINDOW: Final = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])-([01][0-9]|2[0-3]):([0-5][0-9])")


@dataclass(frozen=True, slots=True)
class OfflineWindow:
    """From `start` to `stop` each day, over midnight where `stop` comes first."""

    start: time
    stop: time

    @classmethod
    def parse(cls, text: str) -> OfflineWindow:
        """Of `HH:MM-HH:MM`. Raises ValueError with what to write."""
        found = _WINDOW.fullmatch(text)
        if found is not None:
            hours = [int(one) for one in found.groups()]
            window = cls(time(hours[0], hours[1]), time(hours[2], hours[3]))
            if window.start != window.stop:
                return window
        raise ValueError("must be HH:MM-HH:MM with two different times, e.g. 22:00-06:00")

    def around(self, now: float) -> tuple[float, float]:
        """The start and the end of the window that is open at `now`, or else of the next one.

        Unix seconds; local time is that of the machine.
        """
        today = datetime.fromtimestamp(now).date()  # noqa: DTZ006  # the office keeps local time
        for days in (-1, 0, 1):
            opens = datetime.combine(today + timedelta(days), self.start)
            closes = datetime.combine(today + timedelta(days), self.stop)
            if self.stop <= self.start:
                closes += timedelta(1)
            if closes.timestamp() > now:
                break
        return opens.timestamp(), closes.timestamp()
