"""A call as a row of a list: which clock matters, what marks it, whether it is new."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from huying.common.calls.call_state import CallStage
from huying.node.api.call_views import call_view
from huying.node.store.call_queries import CallRow
from huying.node.store.call_schema import (
    ASKS_EXTENSION,
    ASKS_SUPPLEMENT,
    LANE_CALLER,
    LANE_ENDED,
    LANE_NONE,
    LANE_OURS,
    LANE_PAUSED,
)
from huying.node.web.calls.call_filters import DayEnds, helpers_of
from huying.wire.v1 import api_pb2, policy_pb2

__all__ = ["GROUPS", "Group", "ListedCall", "Rests", "group_of", "listed"]

Rests = Mapping[tuple[bytes, str], int]


@dataclass(frozen=True, slots=True)
class Group:
    """A part of a queue."""

    key: str
    zh: str
    en: str
    kind: str = ""  # of its tile: bad, warn or none


GROUPS: Final = (
    Group("overdue", "已超期", "overdue", "bad"),
    Group("today", "今天到期", "due today", "warn"),
    Group("week", "本周到期", "due this week"),
    Group("later", "以后到期", "due later"),
    Group("paused", "计时暂停", "paused"),
    Group("caller", "等回访", "with the caller"),
    Group("none", "无时限", "no clock"),
)
_BY_LANE: Final = {LANE_PAUSED: "paused", LANE_CALLER: "caller", LANE_NONE: "none"}
_TRANSIT_SECONDS_MIN: Final = 90  # from which on it is worth a word
_SHORT_DIGITS: Final = 12  # of a call's id: when it was drawn, to the millisecond


@dataclass(frozen=True, slots=True)
class ListedCall:
    """One row."""

    view: api_pb2.CallView
    group: str  # a key of GROUPS; empty once the call ended
    badges: tuple[tuple[str, str, str], ...]  # Chinese, English, kind
    helpers: tuple[str, ...]
    is_new: bool
    mark: str  # changes whenever something in the row does
    rest_micros: int | None  # what a clock that stands still has left, in its own time

    @property
    def hex(self) -> str:
        """The call's id in hex."""
        return self.view.call.hex()

    @property
    def short(self) -> str:
        """The beginning of the id, which people say on the phone and a search finds it by."""
        return self.hex[:_SHORT_DIGITS]

    @property
    def title(self) -> str:
        """What to call it; empty where nothing of it is visible."""
        return self.view.content.title or self.view.content.category

    @property
    def place(self) -> str:
        """The code of where the matter is: the village, else who calls."""
        return self.view.content.village or self.view.caller

    @property
    def transit_seconds(self) -> int:
        """Between raised and received; 0 where that is not worth a word."""
        if not self.view.received_micros or not self.view.raised_micros:
            return 0
        seconds = (self.view.received_micros - self.view.raised_micros) // 10**6
        return seconds if seconds >= _TRANSIT_SECONDS_MIN else 0


def group_of(row: CallRow, ends: DayEnds) -> str:
    """The part of a queue in which a call stands."""
    if row.lane == LANE_ENDED:
        return ""
    if row.lane != LANE_OURS:
        return _BY_LANE.get(row.lane, "none")
    for key, end in (("overdue", ends.now), ("today", ends.today), ("week", ends.week)):
        if row.due_micros < end:
            return key
    return "later"


def listed(row: CallRow, ends: DayEnds, rests: Rests, looked_micros: int = 0) -> ListedCall:
    """A row. `rests`: of `Reader.paused_rests`.

    `looked_micros`: when the person looked last, 0 where that is not known.
    """
    came = max(row.received_micros, row.dispatched_micros)
    state = (row.stage, row.department, row.due_micros, row.lane, row.asks, row.urges, row.card)
    return ListedCall(
        view=call_view(row),
        group=group_of(row, ends),
        badges=tuple(_badges(row)),
        helpers=helpers_of(row),
        is_new=0 < looked_micros < came,
        mark="-".join(map(str, (*state, row.supervision, row.urgency))),
        rest_micros=rests.get((row.call, row.caller)),
    )


def _badges(row: CallRow) -> list[tuple[str, str, str]]:
    found = []
    if row.urgency >= policy_pb2.URGENCY_CRITICAL:
        found.append(("特急", "critical", "bad"))
    elif row.urgency == policy_pb2.URGENCY_URGENT:
        found.append(("紧急", "urgent", "warn"))
    if row.supervision:
        words = (("日常督办", "supervised"), ("挂牌督办", "listed"), ("约谈", "interview"))
        zh, en = words[min(row.supervision, len(words)) - 1]
        found.append((zh, en, "warn"))
    if row.card:
        red = row.card >= 2  # calls_pb2.CARD_COLOUR_RED
        found.append(("红牌", "red card", "bad") if red else ("黄牌", "yellow card", "warn"))
    if row.reopens:
        found.append(("重办", "reopened", "warn"))
    if row.stage == CallStage.UNRESOLVED:
        found.append(("回访未解决", "unresolved", "bad"))
    if row.asks & ASKS_SUPPLEMENT:
        found.append(("待补充", "awaiting supplement", "act"))
    if row.asks & ASKS_EXTENSION:
        found.append(("申请延期", "extension asked", "act"))
    if row.urges:
        found.append((f"催办 {row.urges}", f"urged {row.urges}", ""))
    return found
