"""What the pages of the calling side read: drafts, the calls that came of events, counts.

Plain functions over the node's reader, for a thread. Drafts and calls of one town are thousands,
not millions, and their filters stand in narrow tables, so none of this needs an index of its own.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf.message import DecodeError
from sqlalchemy import and_, func, select

from huying.common.calls.call_state import ClockKind
from huying.common.codes import Level, ancestors, level
from huying.common.errors import Code, HuyingError
from huying.common.limits import DRAFT_SECONDS
from huying.node.store.call_schema import CALLS, IS_OPEN
from huying.node.store.content import message_bytes
from huying.node.store.desk_schema import CALL_DRAFTS
from huying.node.store.reader import Reader
from huying.node.store.schema import ENTRIES, stands_at
from huying.wire.v1 import calls_pb2, feed_pb2

__all__ = [
    "DRAFTS_SHOWN_MAX",
    "DraftRow",
    "EventCall",
    "calls_of_events",
    "count_awaiting_caller",
    "count_drafts",
    "draft",
    "drafts",
    "drafts_of_event",
    "named_by_drafts",
    "town_of",
]

DRAFTS_SHOWN_MAX: Final = 200
_LOOKED_AT_MAX: Final = 20_000  # rows of one town's newest calls; more than a town has in a year
_LOOKED_AT_MIN: Final = 100  # of each town, where a page shows events of many
_CALLS_READ_MAX: Final = 1000  # whose content is read, of one town
# The clocks that run while it is the caller's turn.
_CALLERS: Final = (int(ClockKind.SUPPLEMENT), int(ClockKind.CONFIRM))


@dataclass(frozen=True, slots=True)
class DraftRow:
    """A call before the town principal approved it."""

    record: bytes
    time_micros: int  # of its newest state
    message: calls_pb2.CallDraft


@dataclass(frozen=True, slots=True)
class EventCall:
    """A call that came of an event, as it stands here."""

    call: bytes
    title: str
    stage: int  # huying.common.calls.call_state.CallStage
    department: str
    time_micros: int


def drafts(
    reader: Reader, home: str, *, state: int = 0, limit: int = DRAFTS_SHOWN_MAX
) -> list[DraftRow]:
    """The newest drafts of a town; `state`: calls_pb2.DraftState, 0: any.

    Raises HuyingError(CORRUPT).
    """
    chosen = select(CALL_DRAFTS.c.record).where(*_of(home, state))
    chosen = chosen.order_by(CALL_DRAFTS.c.time_micros.desc(), CALL_DRAFTS.c.record).limit(limit)
    found = reader.select(_drafts(home).where(CALL_DRAFTS.c.record.in_(chosen)))
    rows = [_draft_row(row) for row in found]
    return sorted(rows, key=lambda one: (-one.time_micros, one.record))


def draft(reader: Reader, home: str, record: bytes) -> DraftRow:
    """One draft. Raises HuyingError(NOT_FOUND or CORRUPT)."""
    found = reader.select(_drafts(home).where(CALL_DRAFTS.c.record == record))
    if not found:
        raise HuyingError(Code.NOT_FOUND, "there is no such draft here")
    return _draft_row(found[0])


def drafts_of_event(reader: Reader, home: str, event: bytes) -> list[DraftRow]:
    """The drafts that wait for the principal and refer to an event. Raises HuyingError(CORRUPT)."""
    waiting = drafts(reader, home, state=calls_pb2.DRAFT_STATE_WAITING)
    return [one for one in waiting if one.message.event == event]


def named_by_drafts(reader: Reader, own: str, now: float) -> frozenset[bytes]:
    """The digests that drafts of this node name which may still be approved, or taken up again."""
    since = (now - DRAFT_SECONDS) * 1e6
    waiting = (calls_pb2.DRAFT_STATE_WAITING, calls_pb2.DRAFT_STATE_REFUSED)
    rows = (row for state in waiting for row in drafts(reader, own, state=state))
    return frozenset(
        one.sha256
        for row in rows
        if row.message.state == calls_pb2.DRAFT_STATE_WAITING or row.time_micros >= since
        for one in row.message.attachments
    )


def count_drafts(reader: Reader, home: str, state: int) -> int:
    """How many drafts of a town are in a state."""
    query = select(func.count()).select_from(CALL_DRAFTS).where(*_of(home, state))
    return int(reader.select(query)[0][0])


def count_awaiting_caller(reader: Reader, caller: str) -> int:
    """How many open calls wait for their caller's word: a supplement, or the follow-up."""
    query = (
        select(func.count())
        .select_from(CALLS)
        .where(IS_OPEN, CALLS.c.home == caller, CALLS.c.due_clock.in_(_CALLERS))
    )
    return int(reader.select(query)[0][0])


def calls_of_events(
    reader: Reader,
    homes: Collection[str],
    events: Collection[bytes],
    *,
    looked_at: int = _LOOKED_AT_MAX,
) -> dict[bytes, list[EventCall]]:
    """The calls that refer to these events of `homes`, newest first.

    Looked through are the newest calls of the towns concerned, `looked_at` together or 100 of each.
    Raises HuyingError(CORRUPT).
    """
    wanted = set(events)
    towns = {town for home in homes if (town := town_of(home))} if wanted else set()
    found: dict[bytes, list[EventCall]] = {}
    for town in sorted(towns):
        villages = {home for home in homes if town_of(home) == town}
        # The town's own event is that of a call that names no village, or any.
        narrowed = [] if town in villages else [villages]
        for row in reader.select(_newest(town, narrowed, looked_at // len(towns))):
            message = _parsed(calls_pb2.Call, row.openings)
            if message.event in wanted:
                one = EventCall(
                    row.record, message.title, row.stage, row.department, row.time_micros
                )
                found.setdefault(message.event, []).append(one)
    for calls in found.values():
        calls.sort(key=lambda one: (-one.time_micros, one.call))
    return found


def town_of(home: str) -> str:
    """The town that calls for a division: itself, or the one above it; empty where none does."""
    lineage = (home, *ancestors(home))
    return next((code for code in lineage if level(code) is Level.TOWN), "")


def _newest(town: str, villages: Sequence[Collection[str]], looked_at: int) -> Any:
    order = (CALLS.c.time_micros.desc(), CALLS.c.record.desc())
    # By the index alone: the rows of a town's calls lie all over the table.
    newest: Any = (
        select(CALLS.c.record, CALLS.c.home, CALLS.c.village)
        .where(CALLS.c.home == town, CALLS.c.late == 0)
        .order_by(*order)
        .limit(max(looked_at, _LOOKED_AT_MIN))
        .subquery("newest")
    )
    shown = (CALLS.c[name] for name in ("record", "stage", "department", "time_micros"))
    here = and_(CALLS.c.record == newest.c.record, CALLS.c.home == newest.c.home)
    query = select(*shown, ENTRIES.c.openings).select_from(newest).join(CALLS, here)
    query = query.join(ENTRIES, stands_at(CALLS))
    for codes in villages:
        query = query.where(newest.c.village.in_(codes))
    return query.order_by(CALLS.c.time_micros.desc()).limit(_CALLS_READ_MAX)


def _of(home: str, state: int) -> Sequence[Any]:
    kept = [CALL_DRAFTS.c.home == home, CALL_DRAFTS.c.kind == feed_pb2.KIND_PUT]
    return [*kept, CALL_DRAFTS.c.state == state] if state else kept


def _drafts(home: str) -> Any:
    return (
        select(CALL_DRAFTS.c.record, CALL_DRAFTS.c.time_micros, ENTRIES.c.openings)
        .select_from(CALL_DRAFTS)
        .join(ENTRIES, stands_at(CALL_DRAFTS))
        .where(*_of(home, 0))
    )


def _draft_row(row: Any) -> DraftRow:
    return DraftRow(row.record, row.time_micros, _parsed(calls_pb2.CallDraft, row.openings))


def _parsed(message_class: Any, openings: bytes) -> Any:
    try:
        return message_class.FromString(message_bytes(openings))
    except DecodeError:
        raise HuyingError(Code.CORRUPT, "a stored record does not parse") from None
