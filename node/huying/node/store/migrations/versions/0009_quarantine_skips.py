"""Entries in quarantine that somebody acknowledged, and an exact count of those that wait."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "quarantine_skips",
        sa.Column("feed_id", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("idx", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("skipped", sa.Double(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sqlite_with_rowid=False,
    )
    # Until now an entry was counted again with each reason that came late.
    op.execute(
        "UPDATE feeds SET quarantined = (SELECT COUNT(DISTINCT idx) FROM quarantine "
        "WHERE quarantine.feed_id = feeds.feed_id)"
    )


def downgrade() -> None:
    op.drop_table("quarantine_skips")
