"""What became of an event: settled here, or called for, and how far the county has come with it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from huying.node.store.call_queries import CallRow
from huying.node.store.reader import Reader
from huying.wire.v1 import api_pb2, calls_pb2, records_pb2

__all__ = ["Fate", "calls_of", "fates_of", "newest_calls"]

_CALLS_MAX: Final = 1000  # that are looked through for an event, newest first
_STAGE: Final = api_pb2.CallStage
# Where a matter is, in words that somebody in the village says.
_WORDS: Final[dict[int, tuple[str, str, str]]] = {
    _STAGE.CALL_STAGE_RAISED: ("镇已呼叫,县还没收到", "called by the town, on its way", "act"),
    _STAGE.CALL_STAGE_RECEIVED: ("县已收到,待受理", "received by the county", "act"),
    _STAGE.CALL_STAGE_ADMITTED: ("县已受理,待派单", "admitted by the county", "act"),
    _STAGE.CALL_STAGE_DISPATCHED: ("已派给部门", "sent to a department", "act"),
    _STAGE.CALL_STAGE_OBJECTED: ("部门有异议,县里在裁决", "the department objects", "warn"),
    _STAGE.CALL_STAGE_HANDLING: ("部门正在办理", "a department is at it", "act"),
    _STAGE.CALL_STAGE_REVIEW: ("部门已答复,县里在审核", "answered, under review", "act"),
    _STAGE.CALL_STAGE_ANSWERED: ("已答复,请到现场看看", "answered: go and look", "warn"),
    _STAGE.CALL_STAGE_UNRESOLVED: ("没解决,退回部门重办", "not solved, back with them", "warn"),
    _STAGE.CALL_STAGE_CONFIRMED: ("镇里确认已解决", "solved, says the town", "good"),
    _STAGE.CALL_STAGE_CLOSED: ("已办结", "closed", "good"),
    _STAGE.CALL_STAGE_DECLINED: ("县里不予受理", "declined by the county", "bad"),
    _STAGE.CALL_STAGE_WITHDRAWN: ("镇里已撤回", "taken back by the town", ""),
    _STAGE.CALL_STAGE_MERGED: ("已并入另一件", "merged into another one", ""),
}
_ENDED: Final = frozenset({"已办结", "镇里确认已解决"})


@dataclass(frozen=True, slots=True)
class Fate:
    """One event and where it is."""

    record: bytes
    event: records_pb2.Event
    photos: int
    call: CallRow | None  # the newest one about it

    @property
    def said(self) -> tuple[str, str, str]:
        """Chinese, English, and the kind of badge."""
        if self.call is not None:
            return _WORDS.get(self.call.stage, ("县里在办", "with the county", "act"))
        if self.event.status == records_pb2.EVENT_STATUS_SETTLED:
            return "村里已办结", "settled in the village", "good"
        if self.event.status == records_pb2.EVENT_STATUS_CALLED:
            return "镇已呼叫县里", "called by the town", "act"
        return "已上报,待处理", "reported, nobody was at it yet", ""

    @property
    def step(self) -> int:
        """How far it has come: 1 reported, 2 called, 3 answered, 4 closed."""
        if self.call is None:
            return 4 if self.event.status == records_pb2.EVENT_STATUS_SETTLED else 1
        if not self.call.open or self.said[0] in _ENDED:
            return 4
        return 3 if self.call.stage == _STAGE.CALL_STAGE_ANSWERED else 2


def newest_calls(reader: Reader) -> list[tuple[CallRow, calls_pb2.Call]]:
    """The newest calls that this node holds: a village holds just those that name it."""
    rows = reader.list_calls(limit=_CALLS_MAX).rows
    return [(row, calls_pb2.Call.FromString(row.message)) for row in rows]


def calls_of(reader: Reader, events: Collection[bytes]) -> dict[bytes, CallRow]:
    """The newest call about each of these events."""
    found: dict[bytes, CallRow] = {}
    for row, call in newest_calls(reader) if events else ():
        if call.event in events:
            found.setdefault(call.event, row)
    return found


def fates_of(reader: Reader, home: str, records: Sequence[bytes]) -> list[Fate]:
    """What became of these events of a node, in their order; those that ended are left out."""
    rows = [reader.get_event(home, record) for record in records]
    found = [row for row in rows if row is not None]
    calls = calls_of(reader, {row.record for row in found})
    photos = reader.evidence_counts([row.record for row in found])
    return [
        Fate(row.record, row.event, photos.get(row.record, 0), calls.get(row.record))
        for row in found
    ]
