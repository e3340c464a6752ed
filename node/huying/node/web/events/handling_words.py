"""Where an event stands between its village and its town, in words.

The event is the village's record and the town's word is the town's, so the two may be apart for a
while: an event that the town settled is open until the village's node has heard of it, and one that
the village wrote anew since then is the town's to look at again. Each word of a town names the
version of the event that it was said of, which tells the two cases apart.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Final

from huying.node.store.event_queries import EventHandlingRow, EventRow
from huying.wire.v1 import events_pb2, records_pb2

__all__ = ["Standing", "standing_of"]

Words = tuple[str, str, str]  # Chinese, English, the kind of badge


class Standing(enum.Enum):
    """Where an event stands; the value is what a page's address calls it."""

    NOBODY = "nobody"  # no town has said anything of it
    TAKEN = "taken"
    ASSIGNED = "assigned"
    ON_ITS_WAY = "settling"  # the town settled it, and the village's node has not heard of it yet
    REOPENED = "reopened"  # the village wrote it anew since the town settled it, and it is open
    SETTLED = "settled"

    @property
    def is_open(self) -> bool:
        """Whether it waits for somebody's word or work, in the town or in the village."""
        return self not in (Standing.ON_ITS_WAY, Standing.SETTLED)

    @property
    def said(self) -> Words | None:
        """A badge's words beside the event's own status; None where there is nothing to add."""
        return _SAID.get(self)


_SAID: Final[Mapping[Standing, Words]] = {
    Standing.TAKEN: ("镇已接办", "taken on by the town", "act"),
    Standing.ASSIGNED: ("已交办村里", "handed to the village", "warn"),
    Standing.ON_ITS_WAY: (
        "镇已办结,待村里的节点收到",
        "settled by the town; the village's node has not heard of it yet",
        "good",
    ),
    Standing.REOPENED: (
        "镇办结后村里又有改动",
        "changed by the village since the town settled it",
        "warn",
    ),
}
_OF_WORD: Final[Mapping[int, Standing]] = {
    events_pb2.EVENT_HANDLING_STATUS_TAKEN: Standing.TAKEN,
    events_pb2.EVENT_HANDLING_STATUS_ASSIGNED: Standing.ASSIGNED,
}


def standing_of(row: EventRow, word: EventHandlingRow | None) -> Standing:
    """By the event's newest version and the town's newest word, as far as both are here."""
    if row.event.status == records_pb2.EVENT_STATUS_SETTLED:
        return Standing.SETTLED
    if word is None:
        return Standing.NOBODY
    said = word.handling
    if said.status in _OF_WORD:
        return _OF_WORD[said.status]
    if said.status != events_pb2.EVENT_HANDLING_STATUS_SETTLED:
        return Standing.NOBODY  # a word that this program does not know yet
    is_same = (said.version_origin, said.version_index) == (row.origin, row.index)
    return Standing.ON_ITS_WAY if is_same else Standing.REOPENED
