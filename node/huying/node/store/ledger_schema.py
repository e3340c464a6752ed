"""The tables of a village's ledger that are asked by more than their key, and of evidence.

A household's id stands in a column, since it is no personal data; away from the village it is
empty, and so in no index.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Index, Integer, text

from huying.node.store.tables import blob, integer, record_table, text_column

__all__ = ["EVENTS", "EVIDENCE", "OF_HOUSEHOLD", "RESIDENTS", "VISITS"]

# The condition of the indexes by household; a query that uses one says it in the same words.
OF_HOUSEHOLD: Final = "length(household) > 0"
# PostgreSQL's own option would load its dialect into every node; the migrations name it.
_OF_HOUSEHOLD: Final[dict[str, Any]] = {"sqlite_where": text(OF_HOUSEHOLD)}

RESIDENTS: Final = record_table(
    "residents",
    text_column("grid"),
    blob("household"),
    Index("ix_residents_household", "household", **_OF_HOUSEHOLD),
)
EVENTS: Final = record_table(
    "events",
    text_column("grid"),
    text_column("category"),
    integer("status", Integer),
    integer("reported_micros"),
    # Lists of events go from the newest on. All that they are narrowed by is in the index (the home
    # as part of the key), so what is passed over costs no row of its own.
    Index("ix_events_newest", "kind", "reported_micros", "status", "grid", "category"),
)
VISITS: Final = record_table(
    "visits",
    text_column("grid"),
    integer("visit_kind", Integer),
    integer("visited_micros"),
    blob("household"),
    Index("ix_visits_newest", "kind", "visited_micros", "visit_kind", "grid"),  # as of events
    Index("ix_visits_household", "household", "visited_micros", **_OF_HOUSEHOLD),
)
EVIDENCE: Final = record_table(
    "evidence",
    blob("subject"),  # the record that it is evidence of
    integer("subject_type"),
    blob("sha256"),  # of the whole picture
    integer("part"),
    integer("parts"),
    Index(None, "subject"),
    Index(None, "sha256"),
)
