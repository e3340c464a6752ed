"""Calls with their whole life, and the tables of what a desk writes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def _number(name: str, kind: Callable[[], Any] = sa.BigInteger) -> sa.Column[Any]:
    return sa.Column(name, kind(), nullable=False)


def _text(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.String(), nullable=False)


def _blob(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.LargeBinary(), nullable=False)


def _rowless(name: str, key: tuple[str, ...], *columns: sa.Column[Any]) -> None:
    op.create_table(
        name,
        *columns,
        sa.PrimaryKeyConstraint(*key, name=op.f(f"pk_{name}")),
        sqlite_with_rowid=False,
    )


def _place_of_record() -> tuple[sa.Column[Any], ...]:
    return (
        _number("feed_id", sa.Integer),
        _number("epoch"),
        _number("idx"),
        _number("time_micros"),
        _number("kind", sa.Integer),
        _blob("slots"),
    )


def _record_table(name: str, *columns: sa.Column[Any]) -> None:
    _rowless(
        name,
        ("home", "record"),
        _text("home"),
        _blob("record"),
        *_place_of_record(),
        *columns,
    )


def _index(table: str, *columns: str) -> None:
    op.create_index(op.f(f"ix_{table}_{'_'.join(columns)}"), table, list(columns))


def upgrade() -> None:
    _calls()
    small = sa.SmallInteger
    _record_table("call_drafts", _number("state", small))
    _record_table("policies", _number("version"))
    _record_table("calendars", _number("version"))
    _record_table("departments", _text("name"))
    _record_table(
        "duty_items",
        _number("version"),
        _text("number"),
        _number("duty_kind", small),
        _text("lead"),
    )
    _index("duty_items", "version", "number")
    _record_table("duty_lists", _number("version"), _number("item_count"))
    _record_table(
        "provision_requests",
        _text("target"),
        _text("department"),
        _number("expires_micros"),
        _blob("call"),
        _blob("subject"),
    )
    _index("provision_requests", "target", "expires_micros")
    _index("provision_requests", "subject")
    _index("provision_requests", "time_micros")
    _record_table(
        "provision_decisions",
        _number("verdict", small),
        _number("expires_micros"),
        _number("sealed", small),
    )
    _index("provision_decisions", "record")
    _index("provision_decisions", "sealed", "expires_micros")
    _index("provision_decisions", "expires_micros")
    _record_table(
        "provision_receipts",
        _blob("request_record"),
        _number("use", small),
        _number("used_micros"),
    )
    _index("provision_receipts", "request_record")
    _record_table(
        "questions",
        _text("template"),
        _number("template_version"),
        _blob("template_sha256"),
        _text("area"),
        _text("month"),
    )
    _record_table(
        "tallies",
        _text("template"),
        _number("template_version"),
        _text("month"),
        _number("verdict", small),
    )
    _record_table(
        "orders",
        _text("handler"),
        _text("source"),
        _text("source_id"),
        _text("category"),
        _number("created_micros"),
        _number("due_micros"),
        _number("source_closed_micros"),
        _blob("near_duplicate_of"),
    )
    _index("orders", "handler", "created_micros")
    _index("orders", "category", "created_micros")
    _index("orders", "created_micros")
    _record_table("order_results", _text("order_home"), _number("status", sa.Integer))
    _index("order_results", "record")


def _calls() -> None:
    """Projections: made anew from the entries when the store has been brought up to date."""
    op.drop_table("calls")
    small = sa.SmallInteger
    _rowless(
        "calls",
        ("record", "home"),
        _blob("record"),
        _text("home"),
        *_place_of_record(),
        _number("late", small),
        *_content_of_call(),
        _number("stage", small),
        _number("open", small),
        _text("department"),
        _number("urgency", small),
        *(
            _number(f"{name}_micros")
            for name in (
                *("received", "admitted", "dispatched", "accepted", "answered"),
                *("first_answered", "confirmed", "ended", "deadline"),
            )
        ),
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
    )
    _index("calls", "time_micros", "record")
    for first in ("stage", "department", "home", "category"):
        _index("calls", first, "time_micros", "record")
    _index("calls", "received_micros", "home", "stage")
    for name, columns in (
        ("newest", ("time_micros", "record")),
        ("due", ("due_micros", "record")),
        ("department_due", ("department", "due_micros", "record")),
        ("loads", ("sequencer", "department", "stage", "overdue", "open")),
    ):
        _part("calls", f"open_{name}", columns, "open = 1")
    _part("calls", "timer", ("timer_micros",), "timer_micros > 0")
    _rowless(
        "call_turns",
        ("call", "caller", "number"),
        _blob("call"),
        _text("caller"),
        _number("number", sa.Integer),
        _text("sequencer"),
        *(_number(name, small) for name in ("kind", "cause")),
        _text("department"),
        *(_number(f"{name}_micros") for name in ("begun", "ended", "due")),
        _number("outcome", small),
        _number("accept_due_micros"),
        *(_number(name, small) for name in ("accept_outcome", "objection", "reworks")),
        *(_number(f"{name}_micros") for name in ("yellow", "red")),
        *(_number(name, small) for name in ("resolved", "sequel")),
        *(_number(name, small) for name in ("satisfaction", "response", "manner")),
    )


def _content_of_call() -> tuple[sa.Column[Any], ...]:
    texts = (_text(name) for name in ("sequencer", "category", "grid", "village"))
    return (*texts, _number("raised_micros"))


def _part(table: str, name: str, columns: tuple[str, ...], condition: str) -> None:
    """An index over some of the rows."""
    op.create_index(
        op.f(f"ix_{table}_{name}"),
        table,
        list(columns),
        sqlite_where=sa.text(condition),
        postgresql_where=sa.text(condition),
    )


_TABLES = (
    *("call_drafts", "policies", "calendars", "departments", "duty_items", "duty_lists"),
    *("provision_requests", "provision_decisions", "provision_receipts"),
    *("questions", "tallies", "orders", "order_results"),
)


def downgrade() -> None:
    for name in (*_TABLES, "call_turns", "calls"):
        op.drop_table(name)
    small = sa.SmallInteger
    _rowless(
        "calls",
        ("record", "home"),
        _blob("record"),
        _text("home"),
        *_place_of_record(),
        *_content_of_call(),
        *(_number(name, small) for name in ("stage", "open")),
        _text("department"),
        *(_number(f"{name}_micros") for name in ("received", "deadline", "answered", "confirmed")),
        _number("satisfaction"),
    )
    for first in ([], ["open"], ["stage"], ["department"]):
        _index("calls", *first, "time_micros", "record")
