"""The first schema: the log, what is missing or quarantined, and the projections."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_TABLES = (
    *("feeds", "entries", "subtrees", "checkpoints", "missing", "quarantine", "requests"),
    *("divisions", "grids", "grid_workers", "households", "residents", "events", "members"),
    *("calls", "call_steps"),
)
_PENDING = sa.text("state = 1")
# A BIGINT key is no rowid in SQLite; INTEGER, which holds as much there, is.
_PLACE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _number(name: str, kind: Callable[[], Any] = sa.BigInteger) -> sa.Column[Any]:
    return sa.Column(name, kind(), nullable=False)


def _text(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.String(), nullable=False)


def _blob(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.LargeBinary(), nullable=nullable)


def _checkpoint(name: str) -> tuple[sa.Column[Any], ...]:
    return _number(f"{name}_size"), _blob(f"{name}_root"), _blob(f"{name}_note")


def _table(name: str, key: tuple[str, ...], *columns: Any, **options: bool) -> None:
    op.create_table(
        name, *columns, sa.PrimaryKeyConstraint(*key, name=op.f(f"pk_{name}")), **options
    )


def _rowless(name: str, key: tuple[str, ...], *columns: sa.Column[Any]) -> None:
    _table(name, key, *columns, sqlite_with_rowid=False)


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
    key = ("home", "record")
    _rowless(name, key, _text("home"), _blob("record"), *_place_of_record(), *columns)


def upgrade() -> None:
    _log()
    _notes()
    _records()
    _calls()


def _log() -> None:
    _table(
        "feeds",
        ("feed_id",),
        _number("feed_id", sa.Integer),
        _text("origin"),
        _text("code"),
        _number("epoch"),
        _number("size"),
        _blob("frontier"),
        *_checkpoint("head"),
        _blob("rest"),
        _blob("classes"),
        *_checkpoint("cosigned"),
        *_checkpoint("witnessed"),
        _blob("frozen"),
        _number("openings_held"),
        _number("openings_withheld"),
        _number("entries_hidden"),
        _number("quarantined"),
        sa.UniqueConstraint("origin", name=op.f("uq_feeds_origin")),
    )
    _table(
        "entries",
        ("place",),
        sa.Column("place", _PLACE, autoincrement=False, nullable=False),
        _blob("leaf", nullable=True),
        _blob("leaf_hash", nullable=True),
        _blob("openings"),
    )
    _rowless(
        "subtrees",
        ("feed_id", "level", "idx"),
        _number("feed_id", sa.Integer),
        _number("level", sa.SmallInteger),
        _number("idx"),
        _blob("hash"),
    )
    _rowless(
        "checkpoints",
        ("feed_id", "size"),
        _number("feed_id", sa.Integer),
        _number("size"),
        _blob("root"),
        _blob("note"),
    )


def _notes() -> None:
    _rowless(
        "missing",
        ("feed_id", "start", "stop", "name", "slots", "first"),
        _number("feed_id", sa.Integer),
        _number("start"),
        _number("stop"),
        _text("name"),
        _blob("slots"),
        _number("first"),
        _number("last"),
        _number("since", sa.Double),
    )
    _rowless(
        "quarantine",
        ("feed_id", "idx", "code"),
        _number("feed_id", sa.Integer),
        _number("idx"),
        _number("code", sa.SmallInteger),
        _text("detail"),
        _number("observed", sa.Double),
    )
    _rowless("requests", ("request_id",), _blob("request_id"), _number("idx"), _blob("record"))


def _records() -> None:
    _record_table("divisions", _text("code"))
    _record_table("grids", _text("grid"), _number("type", sa.Integer), _number("grid_level"))
    _record_table("grid_workers", _text("grid"), _number("role", sa.Integer))
    _record_table("households", _text("grid"), _number("resident_count"))
    _record_table("residents", _text("grid"))
    _record_table(
        "events",
        _text("grid"),
        _text("category"),
        _number("status", sa.Integer),
        _number("reported_micros"),
    )
    _record_table(
        "members",
        _text("code"),
        _text("name"),
        _text("feed_key"),
        _text("witness_key"),
        _blob("certificate_sha256"),
    )


def _calls() -> None:
    _rowless(
        "calls",
        ("record", "home"),
        _blob("record"),
        _text("home"),
        *_place_of_record(),
        *(_text(name) for name in ("sequencer", "category", "grid", "village")),
        _number("raised_micros"),
        _number("stage", sa.SmallInteger),
        _number("open", sa.SmallInteger),
        _text("department"),
        *(_number(f"{name}_micros") for name in ("received", "deadline", "answered", "confirmed")),
        _number("satisfaction"),
    )
    for first in ([], ["open"], ["stage"], ["department"]):
        columns = [*first, "time_micros", "record"]
        op.create_index(op.f(f"ix_calls_{'_'.join(columns)}"), "calls", columns)
    _rowless(
        "call_steps",
        ("call", "caller", "feed_id", "idx"),
        _blob("call"),
        _text("caller"),
        _number("feed_id", sa.Integer),
        _number("idx"),
        _text("home"),
        _number("epoch"),
        _number("time_micros"),
        _text("step"),
        _text("took_origin"),
        _number("took_idx"),
        _number("state", sa.SmallInteger),
        _number("void_reason", sa.Integer),
    )
    op.create_index(
        "ix_call_steps_pending",
        "call_steps",
        ["feed_id", "idx"],
        sqlite_where=_PENDING,
        postgresql_where=_PENDING,
    )


def downgrade() -> None:
    for name in _TABLES:
        op.drop_table(name)
