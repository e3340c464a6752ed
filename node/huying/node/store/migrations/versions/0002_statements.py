"""The journal of statements about trust, erasure and disclosure."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_MEMBER = 9  # huying.wire.v1.RecordType


def upgrade() -> None:
    op.create_table(
        "statements",
        sa.Column("feed_id", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("idx", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("type", sa.Integer(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.execute(
        "INSERT INTO statements (feed_id, idx, seq, type) SELECT feed_id, idx, "
        f"ROW_NUMBER() OVER (ORDER BY feed_id, idx), {_MEMBER} FROM members"
    )


def downgrade() -> None:
    op.drop_table("statements")
