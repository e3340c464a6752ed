"""What a queue of calls goes by: the clock that matters, what is asked, who helps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_OPEN = "open = 1"
_LANE = ("lane", "due_micros", "record", "home")
_LOOKED_AT = (
    *("open", "stage", "category", "urgency", "supervision", "card", "reopens", "overdue"),
)
_PARTS = (
    ("open_newest", ("time_micros", "record"), _OPEN),
    ("open_due", ("due_micros", "record"), _OPEN),
    ("open_department_due", ("department", "due_micros", "record"), _OPEN),
    ("open_loads", ("sequencer", "department", "stage", "overdue", "open"), _OPEN),
    ("timer", ("timer_micros",), "timer_micros > 0"),
)
_NEW_PARTS = (
    ("open_lane", (*_LANE, *_LOOKED_AT), _OPEN),
    ("open_department_lane", ("department", *_LANE, "open"), _OPEN),
    ("open_helpers", ("helpers", "lane", "due_micros", "open"), "open = 1 AND helpers <> ''"),
    ("asks", ("asks", "time_micros"), "asks > 0"),
    ("answered", ("answered_micros",), "answered_micros > 0"),
)


def _number(name: str, kind: Callable[[], Any] = sa.BigInteger) -> sa.Column[Any]:
    return sa.Column(name, kind(), nullable=False)


def _text(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.String(), nullable=False)


def _blob(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.LargeBinary(), nullable=False)


def _make(*more: sa.Column[Any]) -> None:
    """The table, empty: the store fills it from the entries when it has been brought up to date."""
    op.drop_table("calls")
    small = sa.SmallInteger
    times = (
        *("received", "admitted", "dispatched", "accepted", "answered"),
        *("first_answered", "confirmed", "ended", "deadline"),
    )
    op.create_table(
        "calls",
        _blob("record"),
        _text("home"),
        _number("feed_id", sa.Integer),
        _number("epoch"),
        _number("idx"),
        _number("time_micros"),
        _number("kind", sa.Integer),
        _blob("slots"),
        _number("late", small),
        *(_text(name) for name in ("sequencer", "category", "grid", "village")),
        _number("raised_micros"),
        _number("stage", small),
        _number("open", small),
        _text("department"),
        _number("urgency", small),
        *(_number(f"{name}_micros") for name in times),
        _number("due_clock", small),
        _number("due_micros"),
        *(_number(name, small) for name in ("overdue", "paused")),
        _number("timer_micros"),
        _number("breaches", small),
        _number("accept_due_micros"),
        *(_number(name, small) for name in ("objections", "reopens", "reworks")),
        _number("urges", sa.Integer),
        *(_number(name, small) for name in ("supervision", "card", "resolved")),
        _number("satisfaction"),
        *(_number(name, small) for name in ("response", "manner")),
        _number("missing", sa.Integer),
        *more,
        sa.PrimaryKeyConstraint("record", "home", name=op.f("pk_calls")),
        sqlite_with_rowid=False,
    )
    for columns in (
        ("time_micros", "record"),
        *((first, "time_micros", "record") for first in ("stage", "department", "home")),
        ("category", "time_micros", "record"),
        ("received_micros", "home", "stage"),
    ):
        op.create_index(op.f(f"ix_calls_{'_'.join(columns)}"), "calls", list(columns))
    for name, columns, condition in _PARTS + (_NEW_PARTS if more else ()):
        op.create_index(
            op.f(f"ix_calls_{name}"),
            "calls",
            list(columns),
            sqlite_where=sa.text(condition),
            postgresql_where=sa.text(condition),
        )


def upgrade() -> None:
    _make(_number("lane", sa.SmallInteger), _number("asks", sa.SmallInteger), _text("helpers"))


def downgrade() -> None:
    _make()
