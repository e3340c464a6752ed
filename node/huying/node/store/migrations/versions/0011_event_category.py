"""Events are narrowed by their category within the index of the newest ones."""

from __future__ import annotations

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_COLUMNS = ("kind", "reported_micros", "status", "grid")


def _make(*columns: str) -> None:
    op.drop_index(op.f("ix_events_newest"), "events")
    op.create_index(op.f("ix_events_newest"), "events", list(columns))


def upgrade() -> None:
    _make(*_COLUMNS, "category")


def downgrade() -> None:
    _make(*_COLUMNS)
