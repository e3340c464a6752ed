"""A report as a person fills it in, and the event that becomes of it.

What is typed is kept twice: as it is, for the village alone, and masked, for the tiers above. The
category and the address leave the village too, so a number in the first is refused and one in the
second masked.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from huying.common.errors import Code, HuyingError
from huying.common.limits import NAME_CHARACTERS_MAX
from huying.common.masking import mask
from huying.common.records.record_keys import keyed
from huying.node.web.forms import Form
from huying.wire.v1 import records_pb2

__all__ = ["FIELDS", "REPORT_CHARACTERS_MAX", "SOURCE", "Report", "event_record", "read_report"]

SOURCE: Final = "网格上报"
# What a person types or chooses, photos apart: it is shown again where a report is refused.
FIELDS: Final = (
    "category",
    "category_other",
    "grid",
    "text",
    "address",
    "coordinates",
    "reporter_name",
    "reporter_phone",
    "photos_stay",
    "keep_metadata",
)
REPORT_CHARACTERS_MAX: Final = 1000
_CATEGORY_CHARACTERS_MAX: Final = 40
_TITLE_CHARACTERS_MAX: Final = 40
_WAITED_SECONDS_MAX: Final = 30 * 86_400  # what waited longer in a handset counts as this old
_MICROS: Final = 1_000_000
# As the handset writes it: latitude, longitude, and the radius in metres.
_PLACE: Final = re.compile(r"-?[0-9]{1,2}\.[0-9]{1,7},-?[0-9]{1,3}\.[0-9]{1,7} ±[0-9]{1,6} m")


@dataclass(frozen=True, slots=True)
class Report:
    """What was filled in, checked for its form; nothing of it is masked yet."""

    category: str
    grid: str  # empty where the village has no grids
    text: str
    address: str
    coordinates: str  # of the handset, WGS 84; stays in the village
    reporter_name: str
    reporter_phone: str
    photos_stay: bool
    keep_metadata: bool  # of the photos: the files themselves stay here, too
    waited_seconds: int  # in the handset, until the node answered

    @property
    def public_text(self) -> str:
        """What town and county see."""
        return mask(self.text).text

    def event(self, now: float) -> records_pb2.Event:
        """The event, reported when the person pressed the button. `now`: unix seconds."""
        title = self.public_text.partition("\n")[0]
        full = self.text
        if self.coordinates:
            full = f"{full}\n坐标(WGS 84):{self.coordinates}".strip()
        return records_pb2.Event(
            category=self.category,
            descriptor=title[:_TITLE_CHARACTERS_MAX],
            grid=self.grid,
            status=records_pb2.EVENT_STATUS_REPORTED,
            reported_micros=int((now - self.waited_seconds) * _MICROS),
            description_public=self.public_text,
            source=SOURCE,
            address=mask(self.address).text[:NAME_CHARACTERS_MAX],
            description_full=full,
            reporter_name=self.reporter_name,
            reporter_phone=self.reporter_phone,
        )


def event_record(person_id: str, request_id: bytes) -> bytes:
    """The event's id: that of one form of one person, so that it is written once."""
    return keyed("console-report", person_id, request_id)


def read_report(form: Form, grids: Sequence[str]) -> Report:
    """The report in a form. `grids`: codes that the person may report from.

    Raises HuyingError(INVALID_ARGUMENT), naming the field; NOT_FOUND for a grid that is not theirs.
    """
    category = form.text("category", _CATEGORY_CHARACTERS_MAX)
    if category in ("", "other"):
        category = form.text("category_other", _CATEGORY_CHARACTERS_MAX)
    if not category:
        raise HuyingError(Code.INVALID_ARGUMENT, "category: 请先点选是什么事 · choose what it is")
    if "\n" in category or mask(category).hits:
        raise HuyingError(Code.INVALID_ARGUMENT, "category: one line without a phone or ID number")
    coordinates = form.text("coordinates", 60)
    if coordinates and not _PLACE.fullmatch(coordinates):
        raise HuyingError(Code.INVALID_ARGUMENT, "coordinates: LATITUDE,LONGITUDE ±METRES m")
    return Report(
        category=category,
        grid=_grid(form.text("grid", 20), grids),
        text=form.text("text", REPORT_CHARACTERS_MAX),
        address=" ".join(form.text("address", 100).split()),
        coordinates=coordinates,
        reporter_name=" ".join(form.text("reporter_name", 40).split()),
        reporter_phone=form.text("reporter_phone", 30),
        photos_stay=form.flag("photos_stay"),
        keep_metadata=form.flag("keep_metadata"),
        waited_seconds=_waited(form.text("waited_seconds", 20)),
    )


def _grid(chosen: str, grids: Sequence[str]) -> str:
    """The grid that was chosen, or the only one there is."""
    if not chosen and len(grids) <= 1:
        return grids[0] if grids else ""
    if not chosen:
        raise HuyingError(Code.INVALID_ARGUMENT, "grid: 请选网格 · choose the grid")
    if chosen not in grids:
        # Of one that lies elsewhere nothing is told, not even whether it is there.
        raise HuyingError(Code.NOT_FOUND, "grid: there is no such grid here, or it is not yours")
    return chosen


def _waited(text: str) -> int:
    """Seconds in the handset; what makes no sense counts as none."""
    if not re.fullmatch(r"[0-9]{1,9}", text):
        return 0
    return min(int(text), _WAITED_SECONDS_MAX)
