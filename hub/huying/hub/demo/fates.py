"""What befalls each call of the demo, so that every part of a call's life shows.

All of it is known beforehand, from the order of the events that become calls: two runs tell the
same story. The call that is followed on the screen is returned, ruled on, asked about and reopened.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Fates", "fates_of"]

_UNRESOLVED_EVERY = 7
_OBJECTED_EVERY = 9
_SUPPLEMENTED_EVERY = 12
_PROVIDED_EVERY = 14
_OVERDUE_EVERY = 50
_REOPENED_EVERY = 60


@dataclass(frozen=True, slots=True)
class Fates:
    """Events, by their record ids."""

    unresolved: frozenset[bytes] = frozenset()  # the first answer does not settle it
    objected: frozenset[bytes] = frozenset()  # went to the wrong department first, which returns it
    supplemented: frozenset[bytes] = frozenset()  # the department asks the town for more
    provided: frozenset[bytes] = frozenset()  # it asks the village for the reporter's number
    overdue: frozenset[bytes] = frozenset()  # answered after the clock ran out
    reopened: frozenset[bytes] = frozenset()  # confirmed, and not settled after all
    followed: bytes = b""


def fates_of(called: Sequence[bytes]) -> Fates:
    """The fates of the events that become calls, in their order."""
    if not called:
        return Fates()
    followed = called[len(called) // 3]

    def every(step: int, first: int) -> set[bytes]:
        chosen = called[first % step % len(called) :: step]
        return {event for event in chosen if event != followed}

    overdue = every(_OVERDUE_EVERY, 2)
    return Fates(
        unresolved=frozenset(every(_UNRESOLVED_EVERY, 3) - overdue),
        objected=frozenset(every(_OBJECTED_EVERY, 1) | {followed}),
        supplemented=frozenset(every(_SUPPLEMENTED_EVERY, 4) - overdue),
        provided=frozenset(every(_PROVIDED_EVERY, 5) | {followed}),
        overdue=frozenset(overdue),
        reopened=frozenset(every(_REOPENED_EVERY, 6) | {followed}),
        followed=followed,
    )
