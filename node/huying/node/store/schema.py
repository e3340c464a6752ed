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
    SmallInteger,
    String,
    Table,
    literal_column,
)

from huying.common.errors import Code, HuyingError
from huying.common.limits import CLASSES_MAX
from huying.node.store.call_schema import (
    CALL_STEPS,
    CALL_TURNS,
    CALLS,
    PROPOSAL_ACCEPTED,
    PROPOSAL_NONE,
    PROPOSAL_ORPHAN,
    PROPOSAL_PENDING,
    PROPOSAL_VOID,
    STEP_RAISE,
)
from huying.node.store.desk_schema import DESK_RECORDS
from huying.node.store.ledger_schema import EVENTS, EVIDENCE, RESIDENTS, VISITS
from huying.node.store.tables import METADATA, blob, integer, key, record_table, text_column
from huying.wire.v1 import feed_pb2

__all__ = [
    "BUNDLES_IMPORTED",
    "BUNDLES_SENT",
    "BUNDLE_PEERS",
    "CALLS",
    "CALL_STEPS",
    "CALL_TURNS",
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
    "QUARANTINE_SKIPS",
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
SCHEMA_REVISION: Final = "0012"


FEEDS: Final = Table(
    "feeds",
    METADATA,
    key("feed_id", Integer),
    Column("origin", String, nullable=False, unique=True),
    text_column("code"),
    integer("epoch"),
    integer("size"),
    blob("frontier"),  # n x 32 bytes
    integer("head_size"),  # 0 and an empty note where there is none
    blob("head_root"),
    blob("head_note"),
    blob("rest"),  # n x 32 bytes
    blob("classes"),  # packed by huying.node.store.rows
    integer("cosigned_size"),
    blob("cosigned_root"),
    blob("cosigned_note"),
    integer("witnessed_size"),
    blob("witnessed_root"),
    blob("witnessed_note"),
    blob("frozen"),
    integer("openings_held"),
    integer("openings_withheld"),
    integer("entries_hidden"),
    integer("quarantined"),
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
    blob("leaf", nullable=True),
    blob("leaf_hash", nullable=True),  # just where the leaf is withheld
    blob("openings"),
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
    key("feed_id", Integer),
    key("level", SmallInteger),
    key("idx", BigInteger),
    blob("hash"),
    sqlite_with_rowid=False,
)

CHECKPOINTS: Final = Table(
    "checkpoints",
    METADATA,
    key("feed_id", Integer),
    key("size", BigInteger),
    blob("root"),
    blob("note"),
    sqlite_with_rowid=False,
)

MISSING: Final = Table(
    "missing",
    METADATA,
    key("feed_id", Integer),
    key("start", BigInteger),
    key("stop", BigInteger),
    text_column("name", primary_key=True),  # class, "CODE" or "CODE/*"
    key("slots", LargeBinary),
    key("first", BigInteger),
    integer("last"),
    Column("since", Double, nullable=False),  # unix seconds
    sqlite_with_rowid=False,
)

QUARANTINE: Final = Table(
    "quarantine",
    METADATA,
    key("feed_id", Integer),
    key("idx", BigInteger),
    key("code", SmallInteger),  # huying.common.errors.Code
    text_column("detail"),
    Column("observed", Double, nullable=False),  # unix seconds
    sqlite_with_rowid=False,
)

# Entries in quarantine that a person of this node acknowledged: they are not waited for any more.
QUARANTINE_SKIPS: Final = Table(
    "quarantine_skips",
    METADATA,
    key("feed_id", Integer),
    key("idx", BigInteger),
    Column("skipped", Double, nullable=False),  # unix seconds
    text_column("actor"),
    text_column("reason"),
    sqlite_with_rowid=False,
)

REQUESTS: Final = Table(
    "requests",
    METADATA,
    key("request_id", LargeBinary),
    integer("feed_id"),  # the epoch of the own feed that it was written in
    integer("idx"),
    blob("record"),
    sqlite_with_rowid=False,
)


# The entries that say something about trust, erasure or disclosure, in the order they were applied:
# a start hears them again. What they say stands in `entries`.
STATEMENTS: Final = Table(
    "statements",
    METADATA,
    key("feed_id", Integer),
    key("idx", BigInteger),
    integer("seq"),
    integer("type", Integer),
    sqlite_with_rowid=False,
)


# What was erased, by the name of the feed: openings of these slots are not stored again, whichever
# way they come.
ERASED: Final = Table(
    "erased",
    METADATA,
    text_column("origin", primary_key=True),
    key("start", BigInteger),
    key("stop", BigInteger),
    key("slots", LargeBinary),  # one byte each; empty: all, the head excepted
    sqlite_with_rowid=False,
)


# Where each neighbour stands with the bundles that go to it and come from it.
BUNDLE_PEERS: Final = Table(
    "bundle_peers",
    METADATA,
    text_column("code", primary_key=True),
    integer("exported"),  # numbers of bundles, from 1
    integer("confirmed"),
    integer("imported"),
    blob("acked"),  # packed by huying.node.store.bundle_ledger
    blob("wants"),
    sqlite_with_rowid=False,
)

BUNDLES_SENT: Final = Table(
    "bundles_sent",
    METADATA,
    text_column("code", primary_key=True),
    key("number", BigInteger),
    blob("sha256"),
    blob("secret"),
    blob("sizes"),
    Column("written", Double, nullable=False),  # unix seconds
    sqlite_with_rowid=False,
)

BUNDLES_IMPORTED: Final = Table(
    "bundles_imported",
    METADATA,
    text_column("code", primary_key=True),
    key("number", BigInteger),
    blob("sha256"),
    Column("imported", Double, nullable=False),  # unix seconds
    sqlite_with_rowid=False,
)


# Sealed copies: those kept for children, and what is known of those of the own feeds. With rowids,
# since a row is as long as a page or a hundred.
SEALED_COPIES: Final = Table(
    "sealed_copies",
    METADATA,
    text_column("origin", primary_key=True),
    key("start", BigInteger),
    text_column("code"),  # of the origin
    integer("stop"),
    integer("generation"),
    integer("state", SmallInteger),  # huying.common.copies.sealed.CopyState
    integer("openings"),
    integer("size_bytes"),
    blob("key"),
    blob("sealed"),  # empty where it is not here
    Index(None, "code", "size_bytes"),
)


MEMBERS: Final = record_table(
    "members",
    text_column("code"),
    text_column("name"),  # of the division
    text_column("feed_key"),
    text_column("witness_key"),
    blob("certificate_sha256"),
)

# The tables that `get_record` and `list_records` read, by record type.
RECORDS: Final[dict[int, Table]] = {
    feed_pb2.RECORD_TYPE_DIVISION: record_table("divisions", text_column("code")),
    feed_pb2.RECORD_TYPE_GRID: record_table(
        "grids", text_column("grid"), integer("type", Integer), integer("grid_level")
    ),
    feed_pb2.RECORD_TYPE_GRID_WORKER: record_table(
        "grid_workers", text_column("grid"), integer("role", Integer)
    ),
    feed_pb2.RECORD_TYPE_HOUSEHOLD: record_table(
        "households", text_column("grid"), integer("resident_count")
    ),
    feed_pb2.RECORD_TYPE_RESIDENT: RESIDENTS,
    feed_pb2.RECORD_TYPE_EVENT: EVENTS,
    feed_pb2.RECORD_TYPE_VISIT: VISITS,
    feed_pb2.RECORD_TYPE_EVIDENCE: EVIDENCE,
    feed_pb2.RECORD_TYPE_MEMBER: MEMBERS,
    **DESK_RECORDS,
}

assert CLASSES_MAX < 256, "the classes blob counts its names in one byte"
