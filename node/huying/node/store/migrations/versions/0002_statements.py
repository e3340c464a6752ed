"""The journal of statements about trust, erasure and disclosure."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "statements",
        sa.Column("feed_id", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("idx", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("type", sa.Integer(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.execute(  # 9 is the record type of a member
        "INSERT INTO statements (feed_id, idx, seq, type) SELECT feed_id, idx, "
        "ROW_NUMBER() OVER (ORDER BY feed_id, idx), 9 FROM members"
    )


def downgrade() -> None:
    op.drop_table("statements")
