"""What a town says about its villages' events."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_TABLE = "event_handlings"


def upgrade() -> None:
    op.create_table(
        _TABLE,
        sa.Column("home", sa.String(), nullable=False),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        sa.Column("feed_id", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("idx", sa.BigInteger(), nullable=False),
        sa.Column("time_micros", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Integer(), nullable=False),
        sa.Column("slots", sa.LargeBinary(), nullable=False),
        sa.Column("event_home", sa.String(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("home", "record", name=op.f(f"pk_{_TABLE}")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f(f"ix_{_TABLE}_event_home_record"), _TABLE, ["event_home", "record"])


def downgrade() -> None:
    op.drop_table(_TABLE)
