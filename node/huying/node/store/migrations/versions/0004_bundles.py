"""The bundles written for neighbours, and those imported from them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "bundle_peers",
        sa.Column("code", sa.String(), primary_key=True),
        sa.Column("exported", sa.BigInteger(), nullable=False),
        sa.Column("confirmed", sa.BigInteger(), nullable=False),
        sa.Column("imported", sa.BigInteger(), nullable=False),
        sa.Column("acked", sa.LargeBinary(), nullable=False),
        sa.Column("wants", sa.LargeBinary(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "bundles_sent",
        sa.Column("code", sa.String(), primary_key=True),
        sa.Column("number", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("sizes", sa.LargeBinary(), nullable=False),
        sa.Column("written", sa.Double(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "bundles_imported",
        sa.Column("code", sa.String(), primary_key=True),
        sa.Column("number", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("imported", sa.Double(), nullable=False),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    op.drop_table("bundles_imported")
    op.drop_table("bundles_sent")
    op.drop_table("bundle_peers")
