"""What narrows a list of events or calls stands in the index that the list goes by."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_COLUMNS = ("kind", "reported_micros", "status", "grid")
_OPEN = ("time_micros", "record")
_HOME = ("home", "time_micros", "record")
_LOOKED_AT = (
    *("open", "stage", "category", "urgency", "supervision", "card", "reopens", "overdue"),
)


def _make(*columns: str) -> None:
    op.drop_index(op.f("ix_events_newest"), "events")
    op.create_index(op.f("ix_events_newest"), "events", list(columns))


def _make_open(*columns: str) -> None:
    op.drop_index(op.f("ix_calls_open_newest"), "calls")
    condition = sa.text("open = 1")
    op.create_index(
        op.f("ix_calls_open_newest"),
        "calls",
        list(columns),
        sqlite_where=condition,
        postgresql_where=condition,
    )


def _make_home(*columns: str) -> None:
    op.drop_index(op.f("ix_calls_home_time_micros_record"), "calls")
    op.create_index(op.f("ix_calls_home_time_micros_record"), "calls", list(columns))


def upgrade() -> None:
    _make(*_COLUMNS, "category")
    _make_open(*_OPEN, "home", *_LOOKED_AT)
    _make_home(*_HOME, "village", "late")


def downgrade() -> None:
    _make_home(*_HOME)
    _make_open(*_OPEN)
    _make(*_COLUMNS)
