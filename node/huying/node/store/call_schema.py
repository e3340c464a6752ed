"""The tables of calls: how each stands, whose turn it was and is, and every entry about it.

All three follow from the entries, whatever their order of arrival. Open calls are a small part of
all of them, so the indexes that lists of work go by hold just those.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    literal_column,
    text,
)

from huying.node.store.tables import METADATA, blob, integer, key, text_column
from huying.node.store.values import NUMBER_MAX

__all__ = [
    "ASKS_EXTENSION",
    "ASKS_SUPPLEMENT",
    "CALLS",
    "CALL_STEPS",
    "CALL_TURNS",
    "FIRST_FOLDED",
    "IS_HELPED",
    "IS_OPEN",
    "LANE_CALLER",
    "LANE_ENDED",
    "LANE_NONE",
    "LANE_OURS",
    "LANE_PAUSED",
    "NOTHING_DUE",
    "PROPOSAL_ACCEPTED",
    "PROPOSAL_NONE",
    "PROPOSAL_ORPHAN",
    "PROPOSAL_PENDING",
    "PROPOSAL_VOID",
    "STEP_RAISE",
]

# Where a call step stands with the call's sequencer.
STEP_RAISE: Final = "raise"
PROPOSAL_NONE: Final = 0  # not a proposal: the sequencer's own step, or a note
PROPOSAL_PENDING: Final = 1  # not taken yet, as far as this node knows
PROPOSAL_ACCEPTED: Final = 2
PROPOSAL_VOID: Final = 3
PROPOSAL_ORPHAN: Final = 4  # speaks of a call that is not here (yet)

# `due_micros` of a call that waits for no clock: such calls come last in a list by deadline.
NOTHING_DUE: Final = NUMBER_MAX


def _where(condition: str) -> dict[str, Any]:
    # PostgreSQL's own option would load its dialect into every node; the migrations name it.
    return {"sqlite_where": text(condition)}


_OPEN: Final = _where("open = 1")
_HELPED: Final = "open = 1 AND helpers <> ''"

# Which clock of an open call matters; the order is that of a queue.
LANE_ENDED: Final = 0
LANE_OURS: Final = 1  # the answering side's own: to admit, to accept, to answer
LANE_PAUSED: Final = 2  # the answer clock waits for a supplement
LANE_CALLER: Final = 3  # the caller's, to confirm
LANE_NONE: Final = 4  # no clock runs
# What an open call asks of others than its lead.
ASKS_SUPPLEMENT: Final = 1  # of the caller
ASKS_EXTENSION: Final = 2  # of the centre

# `record` is the call's id and `home` its caller. The id comes first in the key, because a call is
# looked up by its id alone. A row stands on the call's own entry; or, at a node that joined late
# and never gets that, on the sequencer's party step, whose summary is then the content.
# What a gauge of open calls reads, in the order in which it groups.
_LOAD: Final = ("sequencer", "department", "stage", "overdue", "open")
# The order of a queue, and what filters one, or a list of open calls: so the calls that a filter
# drops are never read.
_LANE: Final = ("lane", "due_micros", "record", "home")
_LOOKED_AT: Final = (
    *("open", "stage", "category", "urgency", "supervision", "card", "reopens", "overdue"),
)

CALLS: Final = Table(
    "calls",
    METADATA,
    key("record", LargeBinary),
    text_column("home", primary_key=True),
    integer("feed_id", Integer),
    integer("epoch"),
    integer("idx"),
    integer("time_micros"),
    integer("kind", Integer),
    blob("slots"),  # empty where `late`
    integer("late", SmallInteger),  # 1: stands on a party step
    text_column("sequencer"),
    text_column("category"),
    text_column("grid"),
    text_column("village"),
    integer("raised_micros"),
    # Below: folded from the sequencer's steps. Times are 0 where it has not happened.
    integer("stage", SmallInteger),  # huying.common.calls.call_state.CallStage
    integer("open", SmallInteger),  # 0 once its stage is one of ENDED_STAGES
    text_column("department"),
    integer("urgency", SmallInteger),
    integer("received_micros"),
    integer("admitted_micros"),
    integer("dispatched_micros"),
    integer("accepted_micros"),
    integer("answered_micros"),  # the newest answer that was sent
    integer("first_answered_micros"),
    integer("confirmed_micros"),
    integer("ended_micros"),
    integer("deadline_micros"),  # to answer, as printed on the call
    # The clock that the stage waits for and that is due first; one that ran out stays.
    integer("due_clock", SmallInteger),  # huying.common.calls.call_state.ClockKind; 0: none
    integer("due_micros"),  # NOTHING_DUE: none
    integer("overdue", SmallInteger),  # 1: it ran out, and the answering side is late
    integer("paused", SmallInteger),  # 1: the answer clock is
    # When the sequencer has to look at the call again: the running clock, YELLOW and RED included,
    # that is due first; 0: none.
    integer("timer_micros"),
    integer("breaches", SmallInteger),  # bit n: clock n ran out at some time
    integer("accept_due_micros"),
    integer("objections", SmallInteger),
    integer("reopens", SmallInteger),
    integer("reworks", SmallInteger),
    integer("urges", Integer),
    integer("supervision", SmallInteger),
    integer("card", SmallInteger),
    integer("resolved", SmallInteger),  # 0 not followed up, 1 resolved, 2 not
    integer("satisfaction"),
    integer("response", SmallInteger),
    integer("manner", SmallInteger),
    integer("missing", Integer),  # steps of the sequencer that are not here
    # Of an open call. `lane` says which clock matters (a LANE_…), `asks` what is asked of others
    # than the lead: ASKS_… as bits.
    integer("lane", SmallInteger),
    integer("asks", SmallInteger),
    text_column("helpers"),  # the co-handling departments, each between line feeds; empty: none
    # Lists from the newest to the oldest.
    Index(None, "time_micros", "record"),
    Index(None, "stage", "time_micros", "record"),
    Index(None, "department", "time_micros", "record"),
    # With what the calls of a village's events are found by.
    Index("ix_calls_home_time_micros_record", "home", "time_micros", "record", "village", "late"),
    Index(None, "category", "time_micros", "record"),
    # Lists of work, by what is due first.
    Index("ix_calls_open_newest", "time_micros", "record", "home", *_LOOKED_AT, **_OPEN),
    Index("ix_calls_open_due", "due_micros", "record", **_OPEN),
    Index("ix_calls_open_department_due", "department", "due_micros", "record", **_OPEN),
    Index("ix_calls_open_loads", *_LOAD, **_OPEN),
    Index("ix_calls_timer", "timer_micros", **_where("timer_micros > 0")),
    # The queue of an answer desk: by the clock that matters, of all, of a lead, of a co-handler.
    Index("ix_calls_open_lane", *_LANE, *_LOOKED_AT, **_OPEN),
    Index("ix_calls_open_department_lane", "department", *_LANE, "open", **_OPEN),
    Index("ix_calls_open_helpers", "helpers", "lane", "due_micros", "open", **_where(_HELPED)),
    Index("ix_calls_asks", "asks", "time_micros", **_where("asks > 0")),
    # Today's answers, hour by hour.
    Index("ix_calls_answered", "answered_micros", **_where("answered_micros > 0")),
    # What came in during a month.
    Index(None, "received_micros", "home", "stage"),
    sqlite_with_rowid=False,
)

# The first of the columns that the fold writes; all after it are, too.
FIRST_FOLDED: Final = "stage"

# Spelt out in the SQL, as in the indexes' own condition: a bound value would not use them.
IS_OPEN: Final = CALLS.c.open == literal_column("1")
IS_HELPED: Final = text(_HELPED)

# Every entry that speaks of a call: its raise, the proposals, the sequencer's steps.
CALL_STEPS: Final = Table(
    "call_steps",
    METADATA,
    key("call", LargeBinary),
    text_column("caller", primary_key=True),
    key("feed_id", Integer),
    key("idx", BigInteger),
    text_column("home"),  # of the writer
    integer("epoch"),
    integer("time_micros"),
    text_column("step"),  # the field of CallStep's oneof, "raise", or empty
    # Of a took: the proposal it speaks of.
    text_column("took_origin"),
    integer("took_idx"),
    # Of a proposal, what became of it; of a took, what it says.
    integer("state", SmallInteger),
    integer("void_reason", Integer),
    Index("ix_call_steps_pending", "feed_id", "idx", **_where(f"state = {PROPOSAL_PENDING}")),
    sqlite_with_rowid=False,
)


def _clock_columns(prefix: str) -> tuple[Column[int], Column[int]]:
    """When a clock runs out, as the sequencer printed it last; and what became of it."""
    return integer(f"{prefix}due_micros"), integer(f"{prefix}outcome", SmallInteger)


# Whose turn it was, one row each: the columns are explained at
# huying.common.calls.call_turns.Turn.
CALL_TURNS: Final = Table(
    "call_turns",
    METADATA,
    key("call", LargeBinary),
    text_column("caller", primary_key=True),
    key("number", Integer),
    text_column("sequencer"),
    integer("kind", SmallInteger),
    integer("cause", SmallInteger),
    text_column("department"),
    integer("begun_micros"),
    integer("ended_micros"),
    *_clock_columns(""),
    *_clock_columns("accept_"),
    integer("objection", SmallInteger),
    integer("reworks", SmallInteger),
    integer("yellow_micros"),
    integer("red_micros"),
    integer("resolved", SmallInteger),
    integer("sequel", SmallInteger),
    integer("satisfaction", SmallInteger),
    integer("response", SmallInteger),
    integer("manner", SmallInteger),
    sqlite_with_rowid=False,
)
