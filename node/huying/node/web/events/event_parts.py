"""What of an event is visible here, and what stays where it was written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from huying.node.api.call_views import slot_views
from huying.node.store.event_queries import EventRow
from huying.wire.v1 import api_pb2, feed_pb2

__all__ = ["FIELD_NAMES", "Absent", "absent_parts", "is_whole"]

# Of the fields that are shown by name, in the order of the page.
FIELD_NAMES: Final[Mapping[str, tuple[str, str]]] = {
    "category": ("类别", "Category"),
    "descriptor": ("事项", "Matter"),
    "grid": ("网格", "Grid"),
    "status": ("状态", "Status"),
    "source": ("来源", "Source"),
    "reported_micros": ("上报时间", "Reported"),
    "settled_micros": ("办结时间", "Settled"),
    "description_public": ("情况", "What it is"),
    "address": ("地点", "Place"),
    "description_full": ("详细情况", "In full"),
    "reporter_name": ("反映人", "Reporter"),
    "reporter_phone": ("反映人电话", "Reporter's phone"),
}
_STATES: Final[Mapping[int, str]] = {
    api_pb2.SLOT_STATE_WITHHELD: "withheld",
    api_pb2.SLOT_STATE_ERASED: "erased",
    api_pb2.SLOT_STATE_LOST: "lost",
}


@dataclass(frozen=True, slots=True)
class Absent:
    """One compartment whose fields are not here."""

    state: str  # withheld, erased or lost
    fields: tuple[str, ...]

    @property
    def names(self) -> Sequence[tuple[str, str]]:
        """The fields in Chinese and English."""
        return [FIELD_NAMES.get(name, (name, name)) for name in self.fields]


def absent_parts(row: EventRow) -> list[Absent]:
    """The compartments of an event that are not here, the newest state of each."""
    return [
        Absent(_STATES[slot.state], tuple(slot.fields))
        for slot in slot_views(feed_pb2.RECORD_TYPE_EVENT, row.home, row.slots)
        if slot.state in _STATES and slot.fields
    ]


def is_whole(row: EventRow) -> bool:
    """Whether nothing of the event is withheld or lost: what was erased is meant to be gone."""
    return not any(part.state in ("withheld", "lost") for part in absent_parts(row))
