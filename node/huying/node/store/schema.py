"""The tables of one node's database, for SQLite and PostgreSQL alike.

The log (`feeds`, `entries`, `subtrees`, `checkpoints`) is the truth; every other table is derived
from it or speaks about it. A person's name, phone or number stands in `entries.openings` and
nowhere else, so that erasure has one place to go to: the projections hold keys, states, and the few
columns worth a filter.

Records are keyed by (home, record), which clusters a village's records together. A grid's code
begins with its village's code, so a list by grid is a range of that key and needs no index of its
own; each index not kept is a random page not written per entry received.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    literal_column,
    text,
)

from huying.common.errors import Code, HuyingError
from huying.common.limits import CLASSES_MAX
from huying.wire.v1 import feed_pb2

__all__ = [
    "BUNDLES_IMPORTED",
    "BUNDLES_SENT",
    "BUNDLE_PEERS",
    "CALLS",
    "CALL_STEPS",
    "CHECKPOINTS",
    "ENTRIES",
    "ERASED",
    "FEEDS",
    "MEMBERS",
    "METADATA",
    "MISSING",
    "PROPOSAL_ACCEPTED",
    "PROPOSAL_NONE",
    "PROPOSAL_ORPHAN",
    "PROPOSAL_PENDING",
    "PROPOSAL_VOID",
    "QUARANTINE",
    "RECORDS",
    "REQUESTS",
    "SCHEMA_REVISION",
    "SEALED_COPIES",
    "STATEMENTS",
    "STEP_RAISE",
    "SUBTREES",
    "entry_place",
    "stands_at",
]

# The alembic revision this program needs; compared by a plain query at every start.
SCHEMA_REVISION: Final = "0006"

METADATA: Final = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# Where a call step stands with the call's sequencer.
STEP_RAISE: Final = "raise"
PROPOSAL_NONE: Final = 0  # not a proposal: the sequencer's own step, or a note
PROPOSAL_PENDING: Final = 1  # not taken yet, as far as this node knows
PROPOSAL_ACCEPTED: Final = 2
PROPOSAL_VOID: Final = 3
PROPOSAL_ORPHAN: Final = 4  # speaks of a call that is not here (yet)


def _key(
    name: str, kind: type[BigInteger | Integer | SmallInteger | LargeBinary]
) -> Column[object]:
    return Column(name, kind, primary_key=True, autoincrement=False)


def _text(name: str, *, primary_key: bool = False) -> Column[str]:
    # Without a width: no value that a peer chose may fail a transaction; the projections clip it.
    return Column(name, String, primary_key=primary_key, nullable=False)


def _integer(
    name: str, kind: type[BigInteger | Integer | SmallInteger] = BigInteger
) -> Column[int]:
    return Column(name, kind, nullable=False)


def _blob(name: str, *, nullable: bool = False) -> Column[bytes]:
    return Column(name, LargeBinary, nullable=nullable)


FEEDS: Final = Table(
    "feeds",
    METADATA,
    _key("feed_id", Integer),
    Column("origin", String, nullable=False, unique=True),
    _text("code"),
    _integer("epoch"),
    _integer("size"),
    _blob("frontier"),  # n x 32 bytes
    _integer("head_size"),  # 0 and an empty note where there is none
    _blob("head_root"),
    _blob("head_note"),
    _blob("rest"),  # n x 32 bytes
    _blob("classes"),  # packed by huying.node.store.rows
    _integer("cosigned_size"),
    _blob("cosigned_root"),
    _blob("cosigned_note"),
    _integer("witnessed_size"),
    _blob("witnessed_root"),
    _blob("witnessed_note"),
    _blob("frozen"),
    _integer("openings_held"),
    _integer("openings_withheld"),
    _integer("entries_hidden"),
    _integer("quarantined"),
)

# An entry is found by one integer, made of feed and index: `entry_place`. In SQLite that is the
# rowid, whose pages hold rows of up to 4 KB; a rowid-less table moves whatever is over 1 KB to a
# page of its own, which made the entries of long reports three times as slow and as large.
ENTRIES: Final = Table(
    "entries",
    METADATA,
    Column(
        "place",
        BigInteger().with_variant(Integer, "sqlite"),
        primary_key=True,
        autoincrement=False,
    ),
    _blob("leaf", nullable=True),
    _blob("leaf_hash", nullable=True),  # just where the leaf is withheld
    _blob("openings"),
)

_FEED_ENTRIES_MAX: Final = 2**40
_FEEDS_MAX: Final = 2**22


def entry_place(feed_id: int, index: int) -> int:
    """The key of an entry in `entries`.

    Raises HuyingError(LIMIT_EXCEEDED) for the four millionth feed, or the trillionth entry.
    """
    if not 0 <= index <= _FEED_ENTRIES_MAX or not 0 <= feed_id <= _FEEDS_MAX:
        raise HuyingError(Code.LIMIT_EXCEEDED, f"no room for entry {index} of feed {feed_id}")
    return feed_id * _FEED_ENTRIES_MAX + index


def stands_at(table: Table) -> ColumnElement[bool]:
    """Joins the rows of `entries` that the columns feed_id and idx of another table name."""
    return ENTRIES.c.place == table.c.feed_id * literal_column(str(_FEED_ENTRIES_MAX)) + table.c.idx


SUBTREES: Final = Table(
    "subtrees",
    METADATA,
    _key("feed_id", Integer),
    _key("level", SmallInteger),
    _key("idx", BigInteger),
    _blob("hash"),
    sqlite_with_rowid=False,
)

CHECKPOINTS: Final = Table(
    "checkpoints",
    METADATA,
    _key("feed_id", Integer),
    _key("size", BigInteger),
    _blob("root"),
    _blob("note"),
    sqlite_with_rowid=False,
)

MISSING: Final = Table(
    "missing",
    METADATA,
    _key("feed_id", Integer),
    _key("start", BigInteger),
    _key("stop", BigInteger),
    _text("name", primary_key=True),  # class, "CODE" or "CODE/*"
    _key("slots", LargeBinary),
    _key("first", BigInteger),
    _integer("last"),
    Column("since", Double, nullable=False),  # unix seconds
    sqlite_with_rowid=False,
)

QUARANTINE: Final = Table(
    "quarantine",
    METADATA,
    _key("feed_id", Integer),
    _key("idx", BigInteger),
    _key("code", SmallInteger),  # huying.common.errors.Code
    _text("detail"),
    Column("observed", Double, nullable=False),  # unix seconds
    sqlite_with_rowid=False,
)

REQUESTS: Final = Table(
    "requests",
    METADATA,
    _key("request_id", LargeBinary),
    _integer("feed_id"),  # the epoch of the own feed that it was written in
    _integer("idx"),
    _blob("record"),
    sqlite_with_rowid=False,
)


# The entries that say something about trust, erasure or disclosure, in the order they were applied:
# a start hears them again. What they say stands in `entries`.
STATEMENTS: Final = Table(
    "statements",
    METADATA,
    _key("feed_id", Integer),
    _key("idx", BigInteger),
    _integer("seq"),
    _integer("type", Integer),
    sqlite_with_rowid=False,
)


# What was erased, by the name of the feed: openings of these slots are not stored again, whichever
# way they come.
ERASED: Final = Table(
    "erased",
    METADATA,
    _text("origin", primary_key=True),
    _key("start", BigInteger),
    _key("stop", BigInteger),
    _key("slots", LargeBinary),  # one byte each; empty: all, the head excepted
    sqlite_with_rowid=False,
)


# Where each neighbour stands with the bundles that go to it and come from it.
BUNDLE_PEERS: Final = Table(
    "bundle_peers",
    METADATA,
    _text("code", primary_key=True),
    _integer("exported"),  # numbers of bundles, from 1
    _integer("confirmed"),
    _integer("imported"),
    _blob("acked"),  # packed by huying.node.store.bundle_ledger
    _blob("wants"),
    sqlite_with_rowid=False,
)

BUNDLES_SENT: Final = Table(
    "bundles_sent",
    METADATA,
    _text("code", primary_key=True),
    _key("number", BigInteger),
    _blob("sha256"),
    _blob("secret"),
    _blob("sizes"),
    Column("written", Double, nullable=False),  # unix seconds
    sqlite_with_rowid=False,
)

BUNDLES_IMPORTED: Final = Table(
    "bundles_imported",
    METADATA,
    _text("code", primary_key=True),
    _key("number", BigInteger),
    _blob("sha256"),
    Column("imported", Double, nullable=False),  # unix seconds
    sqlite_with_rowid=False,
)


# Sealed copies: those kept for children, and what is known of those of the own feeds. With rowids,
# since a row is as long as a page or a hundred.
SEALED_COPIES: Final = Table(
    "sealed_copies",
    METADATA,
    _text("origin", primary_key=True),
    _key("start", BigInteger),
    _text("code"),  # of the origin
    _integer("stop"),
    _integer("generation"),
    _integer("state", SmallInteger),  # huying.common.sealed.CopyState
    _integer("openings"),
    _integer("size_bytes"),
    _blob("key"),
    _blob("sealed"),  # empty where it is not here
    Index(None, "code", "size_bytes"),
)


def _record_table(name: str, *columns: Column[str] | Column[int] | Column[bytes]) -> Table:
    """A projection: the newest state of each record, pointing at the entry that holds it."""
    return Table(
        name,
        METADATA,
        _text("home", primary_key=True),
        _key("record", LargeBinary),
        _integer("feed_id", Integer),
        _integer("epoch"),
        _integer("idx"),
        _integer("time_micros"),
        _integer("kind", Integer),  # feed_pb2.Kind: put, delete or roster
        _blob("slots"),  # pairs (slot, api_pb2.SlotState), one byte each
        *columns,
        sqlite_with_rowid=False,
    )


MEMBERS: Final = _record_table(
    "members",
    _text("code"),
    _text("name"),  # of the division
    _text("feed_key"),
    _text("witness_key"),
    _blob("certificate_sha256"),
)

# The tables that `get_record` and `list_records` read, by record type.
RECORDS: Final[dict[int, Table]] = {
    feed_pb2.RECORD_TYPE_DIVISION: _record_table("divisions", _text("code")),
    feed_pb2.RECORD_TYPE_GRID: _record_table(
        "grids", _text("grid"), _integer("type", Integer), _integer("grid_level")
    ),
    feed_pb2.RECORD_TYPE_GRID_WORKER: _record_table(
        "grid_workers", _text("grid"), _integer("role", Integer)
    ),
    feed_pb2.RECORD_TYPE_HOUSEHOLD: _record_table(
        "households", _text("grid"), _integer("resident_count")
    ),
    feed_pb2.RECORD_TYPE_RESIDENT: _record_table("residents", _text("grid")),
    feed_pb2.RECORD_TYPE_EVENT: _record_table(
        "events",
        _text("grid"),
        _text("category"),
        _integer("status", Integer),
        _integer("reported_micros"),
    ),
    feed_pb2.RECORD_TYPE_MEMBER: MEMBERS,
}

# `record` is the call's id and `home` its caller. The id comes first in the key, because a call is
# looked up by its id alone.
CALLS: Final = Table(
    "calls",
    METADATA,
    _key("record", LargeBinary),
    _text("home", primary_key=True),
    _integer("feed_id", Integer),
    _integer("epoch"),
    _integer("idx"),
    _integer("time_micros"),
    _integer("kind", Integer),
    _blob("slots"),
    _text("sequencer"),
    _text("category"),
    _text("grid"),
    _text("village"),
    _integer("raised_micros"),
    # Below: folded from the sequencer's steps.
    _integer("stage", SmallInteger),  # api_pb2.CallStage
    _integer("open", SmallInteger),  # 0 once it is confirmed
    _text("department"),
    _integer("received_micros"),
    _integer("deadline_micros"),
    _integer("answered_micros"),
    _integer("confirmed_micros"),
    _integer("satisfaction"),
    Index(None, "time_micros", "record"),
    Index(None, "open", "time_micros", "record"),
    Index(None, "stage", "time_micros", "record"),
    Index(None, "department", "time_micros", "record"),
    sqlite_with_rowid=False,
)

# Every entry that speaks of a call: its raise, the proposals, the sequencer's steps.
CALL_STEPS: Final = Table(
    "call_steps",
    METADATA,
    _key("call", LargeBinary),
    _text("caller", primary_key=True),
    _key("feed_id", Integer),
    _key("idx", BigInteger),
    _text("home"),  # of the writer
    _integer("epoch"),
    _integer("time_micros"),
    _text("step"),  # raise, took, dispatch, answer, confirm, or empty
    # Of a took: the proposal it speaks of.
    _text("took_origin"),
    _integer("took_idx"),
    # Of a proposal, what became of it; of a took, what it says.
    _integer("state", SmallInteger),
    _integer("void_reason", Integer),
    Index(
        "ix_call_steps_pending",
        "feed_id",
        "idx",
        sqlite_where=text(f"state = {PROPOSAL_PENDING}"),
        postgresql_where=text(f"state = {PROPOSAL_PENDING}"),
    ),
    sqlite_with_rowid=False,
)

assert CLASSES_MAX < 256, "the classes blob counts its names in one byte"
