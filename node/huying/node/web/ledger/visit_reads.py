"""Visits as pages show them.

A visit's text stays in the village; phone and ID numbers in it are masked on the page.
"""

from __future__ import annotations

from typing import Any, Final

from huying.common.masking import mask
from huying.node.store.record_queries import RecordRow
from huying.node.web.page import Ask
from huying.node.web.render import local_time
from huying.wire.v1 import records_pb2

__all__ = ["KINDS", "LOCAL_TIME", "visit_shown", "visits_shown"]

KINDS: Final = (
    (records_pb2.VISIT_KIND_HOUSEHOLD, "household", ("入户走访", "Visit to the home")),
    (records_pb2.VISIT_KIND_MICRO_SERVICE, "micro_service", ("微服务", "Small service")),
    (records_pb2.VISIT_KIND_MEETING, "meeting", ("议事会", "Meeting")),
)
LOCAL_TIME: Final = "%Y-%m-%dT%H:%M"  # as browsers send it
_ROWS: Final = 20


async def visits_shown(ask: Ask, household: bytes) -> dict[str, Any]:
    """What a household's page needs of its visits: the newest, and the form's time."""
    page = await ask.node.read(lambda reader: reader.visits_of(household, limit=_ROWS))
    offset = await ask.node.offset_minutes()
    return {
        "visits": [visit_shown(ask, row) for row in page.rows],
        "more_visits": bool(page.next_token),
        "visit_kinds": [(key, ask.t(*names)) for _, key, names in KINDS[:2]],
        "visit_now": local_time(int(ask.now() * 1e6), offset).strftime(LOCAL_TIME),
    }


def visit_shown(ask: Ask, row: RecordRow) -> dict[str, Any]:
    """One visit or meeting."""
    one = records_pb2.Visit.FromString(row.message)
    names = {number: names for number, _, names in KINDS}
    return {
        "grid": one.grid,
        "at": one.visited_micros,
        "kind": ask.t(*names.get(one.kind, ("其他", "Other"))),
        "actor": one.actor,
        "text": mask(one.text).text,
        "household": one.household.hex(),
    }
