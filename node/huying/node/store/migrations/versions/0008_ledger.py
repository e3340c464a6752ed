"""Visits, evidence, residents by household, and events from the newest on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_OF_HOUSEHOLD = "length(household) > 0"
_PLACE = "home, record, feed_id, epoch, idx, time_micros, kind, slots"


def _number(name: str, kind: Callable[[], Any] = sa.BigInteger) -> sa.Column[Any]:
    return sa.Column(name, kind(), nullable=False)


def _text(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.String(), nullable=False)


def _blob(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.LargeBinary(), nullable=False)


def _record_table(name: str, *columns: sa.Column[Any]) -> None:
    op.create_table(
        name,
        _text("home"),
        _blob("record"),
        _number("feed_id", sa.Integer),
        _number("epoch"),
        _number("idx"),
        _number("time_micros"),
        _number("kind", sa.Integer),
        _blob("slots"),
        *columns,
        sa.PrimaryKeyConstraint("home", "record", name=op.f(f"pk_{name}")),
        sqlite_with_rowid=False,
    )


def _index(table: str, *columns: str) -> None:
    op.create_index(op.f(f"ix_{table}_{'_'.join(columns)}"), table, list(columns))


def _by_household(table: str, *columns: str) -> None:
    op.create_index(
        op.f(f"ix_{table}_household"),
        table,
        ["household", *columns],
        sqlite_where=sa.text(_OF_HOUSEHOLD),
        postgresql_where=sa.text(_OF_HOUSEHOLD),
    )


def _put_back(columns: str) -> None:
    op.execute(f"INSERT INTO residents SELECT {columns} FROM residents_before")  # noqa: S608  # ours
    op.drop_table("residents_before")


def _empty() -> str:
    """No bytes, as the database writes them."""
    return "x''" if op.get_bind().dialect.name == "sqlite" else "''::bytea"


def upgrade() -> None:
    # The places are kept: they tell which entries were applied. The store fills the new column when
    # it has been brought up to date.
    op.execute("CREATE TABLE residents_before AS SELECT * FROM residents")
    op.drop_table("residents")
    _record_table("residents", _text("grid"), _blob("household"))
    _put_back(f"{_PLACE}, grid, {_empty()}")
    _by_household("residents")
    newest = ["kind", "reported_micros", "status", "grid"]
    op.create_index(op.f("ix_events_newest"), "events", newest)
    _record_table(
        "visits",
        _text("grid"),
        _number("visit_kind", sa.Integer),
        _number("visited_micros"),
        _blob("household"),
    )
    newest = ["kind", "visited_micros", "visit_kind", "grid"]
    op.create_index(op.f("ix_visits_newest"), "visits", newest)
    _by_household("visits", "visited_micros")
    _record_table(
        "evidence",
        _blob("subject"),
        _number("subject_type"),
        _blob("sha256"),
        _number("part"),
        _number("parts"),
    )
    _index("evidence", "subject")
    _index("evidence", "sha256")


def downgrade() -> None:
    op.drop_table("evidence")
    op.drop_table("visits")
    op.drop_index(op.f("ix_events_newest"), "events")
    op.execute("CREATE TABLE residents_before AS SELECT * FROM residents")
    op.drop_table("residents")
    _record_table("residents", _text("grid"))
    _put_back(f"{_PLACE}, grid")
