"""What became of an event: settled, handed back, or called for, and how far it has come."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from huying.node.store.call_queries import CallRow
from huying.node.store.event_queries import EventHandlingRow, EventRow
from huying.node.store.reader import Reader
from huying.node.web.events.handling_words import Standing, standing_of
from huying.wire.v1 import api_pb2, calls_pb2, events_pb2, records_pb2

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
_BY_TOWN: Final[dict[Standing, tuple[str, str, str]]] = {
    Standing.TAKEN: ("镇里在办", "the town is at it", "act"),
    Standing.ASSIGNED: ("镇里交办,请村里办", "handed to the village by the town", "warn"),
    Standing.ON_ITS_WAY: ("镇里已办结", "settled by the town", "good"),
}
_WAY: Final = (("上报", "reported"), ("呼叫", "called"), ("答复", "answered"), ("办结", "closed"))
_WAY_OF_TOWN: Final = (("上报", "reported"), ("镇里回话", "the town's word"), ("办结", "closed"))


@dataclass(frozen=True, slots=True)
class Fate:
    """One event and where it is."""

    row: EventRow
    photos: int
    call: CallRow | None  # the newest one about it
    word: EventHandlingRow | None = None  # the town's newest one

    @property
    def record(self) -> bytes:
        """The event's id."""
        return self.row.record

    @property
    def event(self) -> records_pb2.Event:
        """The event."""
        return self.row.event

    @property
    def said(self) -> tuple[str, str, str]:
        """Chinese, English, and the kind of badge."""
        if self.call is not None:
            return _WORDS.get(self.call.stage, ("县里在办", "with the county", "act"))
        if self.event.status == records_pb2.EVENT_STATUS_SETTLED:
            if self.is_settled_by_town:
                return "镇里已办结", "settled by the town", "good"
            return "村里已办结", "settled in the village", "good"
        if (by_town := _BY_TOWN.get(standing_of(self.row, self.word))) is not None:
            return by_town
        if self.event.status == records_pb2.EVENT_STATUS_CALLED:
            return "镇已呼叫县里", "called by the town", "act"
        return "已上报,待处理", "reported, nobody was at it yet", ""

    @property
    def is_settled_by_town(self) -> bool:
        """Whether the town's newest word is that it was settled."""
        settled = events_pb2.EVENT_HANDLING_STATUS_SETTLED
        return self.word is not None and self.word.handling.status == settled

    @property
    def way(self) -> Sequence[tuple[str, str]]:
        """The steps on its way, Chinese and English."""
        return _WAY_OF_TOWN if self.call is None and self.word is not None else _WAY

    @property
    def step(self) -> int:
        """How many of the steps on its way it has behind it."""
        if self.call is None:
            if self.event.status == records_pb2.EVENT_STATUS_SETTLED:
                return len(self.way)
            return 1 if self.word is None else 2
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
    words = reader.event_handlings([(row.home, row.record) for row in found])
    return [
        Fate(
            row,
            photos.get(row.record, 0),
            calls.get(row.record),
            words.get((row.home, row.record)),
        )
        for row in found
    ]
