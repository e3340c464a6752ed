"""Which epoch of the own feed a request was written in."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.rename_table("requests", "requests_before")
    op.create_table(
        "requests",
        sa.Column("request_id", sa.LargeBinary(), primary_key=True),
        sa.Column("feed_id", sa.BigInteger(), nullable=False),
        sa.Column("idx", sa.BigInteger(), nullable=False),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        sqlite_with_rowid=False,
    )
    # The own feed is the first that a store gets, and until now there was one epoch of it.
    op.execute(
        "INSERT INTO requests (request_id, feed_id, idx, record) "
        "SELECT request_id, (SELECT MIN(feed_id) FROM feeds), idx, record FROM requests_before"
    )
    op.drop_table("requests_before")


def downgrade() -> None:
    with op.batch_alter_table("requests") as table:
        table.drop_column("feed_id")
