"""The first schema: the log, what is missing or quarantined, and the projections."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create every table."""
    op.create_table(
        "call_steps",
        sa.Column("call", sa.LargeBinary(), autoincrement=False, nullable=False),
        sa.Column("caller", sa.String(), nullable=False),
        sa.Column("feed_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("idx", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("home", sa.String(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("time_micros", sa.BigInteger(), nullable=False),
        sa.Column("step", sa.String(), nullable=False),
        sa.Column("took_origin", sa.String(), nullable=False),
        sa.Column("took_idx", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.SmallInteger(), nullable=False),
        sa.Column("void_reason", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("call", "caller", "feed_id", "idx", name=op.f("pk_call_steps")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_call_steps_pending",
        "call_steps",
        ["feed_id", "idx"],
        unique=False,
        sqlite_where=sa.text("state = 1"),
        postgresql_where=sa.text("state = 1"),
    )
    op.create_table(
        "calls",
        sa.Column("record", sa.LargeBinary(), autoincrement=False, nullable=False),
        sa.Column("home", sa.String(), nullable=False),
        sa.Column("feed_id", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("idx", sa.BigInteger(), nullable=False),
        sa.Column("time_micros", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Integer(), nullable=False),
        sa.Column("slots", sa.LargeBinary(), nullable=False),
        sa.Column("sequencer", sa.String(), nullable=False),
        sa.Column("category", sa.String(), nullable=False),
        sa.Column("grid", sa.String(), nullable=False),
        sa.Column("village", sa.String(), nullable=False),
        sa.Column("raised_micros", sa.BigInteger(), nullable=False),
        sa.Column("stage", sa.SmallInteger(), nullable=False),
        sa.Column("open", sa.SmallInteger(), nullable=False),
        sa.Column("department", sa.String(), nullable=False),
        sa.Column("received_micros", sa.BigInteger(), nullable=False),
        sa.Column("deadline_micros", sa.BigInteger(), nullable=False),
        sa.Column("answered_micros", sa.BigInteger(), nullable=False),
        sa.Column("confirmed_micros", sa.BigInteger(), nullable=False),
        sa.Column("satisfaction", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("record", "home", name=op.f("pk_calls")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        op.f("ix_calls_department_time_micros_record"),
        "calls",
        ["department", "time_micros", "record"],
        unique=False,
    )
    op.create_index(
        op.f("ix_calls_open_time_micros_record"),
        "calls",
        ["open", "time_micros", "record"],
        unique=False,
    )
    op.create_index(
        op.f("ix_calls_stage_time_micros_record"),
        "calls",
        ["stage", "time_micros", "record"],
        unique=False,
    )
    op.create_index(
        op.f("ix_calls_time_micros_record"), "calls", ["time_micros", "record"], unique=False
    )
    op.create_table(
        "checkpoints",
        sa.Column("feed_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("size", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("note", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("feed_id", "size", name=op.f("pk_checkpoints")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "divisions",
        sa.Column("home", sa.String(), nullable=False),
        sa.Column("record", sa.LargeBinary(), autoincrement=False, nullable=False),
        sa.Column("feed_id", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("idx", sa.BigInteger(), nullable=False),
        sa.Column("time_micros", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Integer(), nullable=False),
        sa.Column("slots", sa.LargeBinary(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("home", "record", name=op.f("pk_divisions")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "entries",
        sa.Column(
            "place",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("leaf", sa.LargeBinary(), nullable=True),
        sa.Column("leaf_hash", sa.LargeBinary(), nullable=True),
        sa.Column("openings", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("place", name=op.f("pk_entries")),
    )
    op.create_table(
        "events",
        sa.Column("home", sa.String(), nullable=False),
        sa.Column("record", sa.LargeBinary(), autoincrement=False, nullable=False),
        sa.Column("feed_id", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("idx", sa.BigInteger(), nullable=False),
        sa.Column("time_micros", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Integer(), nullable=False),
        sa.Column("slots", sa.LargeBinary(), nullable=False),
        sa.Column("grid", sa.String(), nullable=False),
        sa.Column("category", sa.String(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("reported_micros", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("home", "record", name=op.f("pk_events")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "feeds",
        sa.Column("feed_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("origin", sa.String(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("frontier", sa.LargeBinary(), nullable=False),
        sa.Column("head_size", sa.BigInteger(), nullable=False),
        sa.Column("head_root", sa.LargeBinary(), nullable=False),
        sa.Column("head_note", sa.LargeBinary(), nullable=False),
        sa.Column("rest", sa.LargeBinary(), nullable=False),
        sa.Column("classes", sa.LargeBinary(), nullable=False),
        sa.Column("cosigned_size", sa.BigInteger(), nullable=False),
        sa.Column("cosigned_root", sa.LargeBinary(), nullable=False),
        sa.Column("cosigned_note", sa.LargeBinary(), nullable=False),
        sa.Column("witnessed_size", sa.BigInteger(), nullable=False),
        sa.Column("witnessed_root", sa.LargeBinary(), nullable=False),
        sa.Column("witnessed_note", sa.LargeBinary(), nullable=False),
        sa.Column("frozen", sa.LargeBinary(), nullable=False),
        sa.Column("openings_held", sa.BigInteger(), nullable=False),
        sa.Column("openings_withheld", sa.BigInteger(), nullable=False),
        sa.Column("entries_hidden", sa.BigInteger(), nullable=False),
        sa.Column("quarantined", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("feed_id", name=op.f("pk_feeds")),
        sa.UniqueConstraint("origin", name=op.f("uq_feeds_origin")),
    )
    op.create_table(
        "grid_workers",
        sa.Column("home", sa.String(), nullable=False),
        sa.Column("record", sa.LargeBinary(), autoincrement=False, nullable=False),
        sa.Column("feed_id", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("idx", sa.BigInteger(), nullable=False),
        sa.Column("time_micros", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Integer(), nullable=False),
        sa.Column("slots", sa.LargeBinary(), nullable=False),
        sa.Column("grid", sa.String(), nullable=False),
        sa.Column("role", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("home", "record", name=op.f("pk_grid_workers")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "grids",
        sa.Column("home", sa.String(), nullable=False),
        sa.Column("record", sa.LargeBinary(), autoincrement=False, nullable=False),
        sa.Column("feed_id", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("idx", sa.BigInteger(), nullable=False),
        sa.Column("time_micros", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Integer(), nullable=False),
        sa.Column("slots", sa.LargeBinary(), nullable=False),
        sa.Column("grid", sa.String(), nullable=False),
        sa.Column("type", sa.Integer(), nullable=False),
        sa.Column("grid_level", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("home", "record", name=op.f("pk_grids")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "households",
        sa.Column("home", sa.String(), nullable=False),
        sa.Column("record", sa.LargeBinary(), autoincrement=False, nullable=False),
        sa.Column("feed_id", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("idx", sa.BigInteger(), nullable=False),
        sa.Column("time_micros", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Integer(), nullable=False),
        sa.Column("slots", sa.LargeBinary(), nullable=False),
        sa.Column("grid", sa.String(), nullable=False),
        sa.Column("resident_count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("home", "record", name=op.f("pk_households")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "members",
        sa.Column("home", sa.String(), nullable=False),
        sa.Column("record", sa.LargeBinary(), autoincrement=False, nullable=False),
        sa.Column("feed_id", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("idx", sa.BigInteger(), nullable=False),
        sa.Column("time_micros", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Integer(), nullable=False),
        sa.Column("slots", sa.LargeBinary(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("feed_key", sa.String(), nullable=False),
        sa.Column("witness_key", sa.String(), nullable=False),
        sa.Column("certificate_sha256", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("home", "record", name=op.f("pk_members")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "missing",
        sa.Column("feed_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("start", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("stop", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("slots", sa.LargeBinary(), autoincrement=False, nullable=False),
        sa.Column("first", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.Column("since", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint(
            "feed_id", "start", "stop", "name", "slots", "first", name=op.f("pk_missing")
        ),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "quarantine",
        sa.Column("feed_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("idx", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("code", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("detail", sa.String(), nullable=False),
        sa.Column("observed", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("feed_id", "idx", "code", name=op.f("pk_quarantine")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "requests",
        sa.Column("request_id", sa.LargeBinary(), autoincrement=False, nullable=False),
        sa.Column("idx", sa.BigInteger(), nullable=False),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("request_id", name=op.f("pk_requests")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "residents",
        sa.Column("home", sa.String(), nullable=False),
        sa.Column("record", sa.LargeBinary(), autoincrement=False, nullable=False),
        sa.Column("feed_id", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("idx", sa.BigInteger(), nullable=False),
        sa.Column("time_micros", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Integer(), nullable=False),
        sa.Column("slots", sa.LargeBinary(), nullable=False),
        sa.Column("grid", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("home", "record", name=op.f("pk_residents")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "subtrees",
        sa.Column("feed_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("level", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("idx", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("feed_id", "level", "idx", name=op.f("pk_subtrees")),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    """Drop every table."""
    op.drop_table("subtrees")
    op.drop_table("residents")
    op.drop_table("requests")
    op.drop_table("quarantine")
    op.drop_table("missing")
    op.drop_table("members")
    op.drop_table("households")
    op.drop_table("grids")
    op.drop_table("grid_workers")
    op.drop_table("feeds")
    op.drop_table("events")
    op.drop_table("entries")
    op.drop_table("divisions")
    op.drop_table("checkpoints")
    op.drop_index(op.f("ix_calls_time_micros_record"), table_name="calls")
    op.drop_index(op.f("ix_calls_stage_time_micros_record"), table_name="calls")
    op.drop_index(op.f("ix_calls_open_time_micros_record"), table_name="calls")
    op.drop_index(op.f("ix_calls_department_time_micros_record"), table_name="calls")
    op.drop_table("calls")
    op.drop_index(
        "ix_call_steps_pending",
        table_name="call_steps",
        sqlite_where=sa.text("state = 1"),
        postgresql_where=sa.text("state = 1"),
    )
    op.drop_table("call_steps")
