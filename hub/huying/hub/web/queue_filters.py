"""What a queue is narrowed by: a tile's group, marks, and the filters of every list of calls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final
from urllib.parse import parse_qsl, urlencode

from huying.common.errors import Code, HuyingError
from huying.node.store.call_schema import (
    ASKS_EXTENSION,
    ASKS_SUPPLEMENT,
    LANE_CALLER,
    LANE_NONE,
    LANE_OURS,
    LANE_PAUSED,
)
from huying.node.store.desk_filter import CallFilter
from huying.node.web.calls.call_filters import Asked, DayEnds, asked
from huying.node.web.calls.call_rows import GROUPS
from huying.node.web.page import Ask
from huying.wire.v1 import policy_pb2

__all__ = ["MARKS", "asked_queue", "kept_query"]

_GROUPS: Final = {group.key for group in GROUPS}
# What marks a call: its key in the address, Chinese, English.
MARKS: Final = (
    ("urgent", "紧急", "urgent"),
    ("supervised", "已督办", "supervised"),
    ("card", "黄红牌", "cards"),
    ("reopened", "重办", "reopened"),
    ("supplement", "待补充", "awaiting supplement"),
    ("extension", "申请延期", "extension asked"),
)
_MARKED: Final[Mapping[str, Mapping[str, object]]] = {
    "urgent": {"urgency_min": int(policy_pb2.URGENCY_URGENT)},
    "supervised": {"is_supervised": True},
    "card": {"has_card": True},
    "reopened": {"is_reopened": True},
    "supplement": {"asks": ASKS_SUPPLEMENT},
    "extension": {"asks": ASKS_EXTENSION},
}
# The parts of a queue's address that a saved view keeps.
_KEPT: Final = ("tab", "group", "mark", "stage", "department", "town", "category", "q")


def asked_queue(ask: Ask, query: Mapping[str, str], ends: DayEnds, offset_minutes: int) -> Asked:
    """The filter of /queue: open calls, by the clock that matters. Raises as `asked`."""
    known = {name: value for name, value in query.items() if name in (*_KEPT, "after")}
    base = asked(ask, {**known, "order": "deadline"}, offset_minutes)
    group, mark = known.get("group", ""), known.get("mark", "")
    if group not in ("", "all", *_GROUPS):
        raise HuyingError(Code.INVALID_ARGUMENT, f"group: one of {', '.join(sorted(_GROUPS))}")
    if mark not in ("", *_MARKED):
        raise HuyingError(Code.INVALID_ARGUMENT, f"mark: one of {', '.join(_MARKED)}")
    wanted: CallFilter = _in_group(base.wanted, group, ends)
    if mark:
        wanted = replace(wanted, **_MARKED[mark])  # type: ignore[arg-type]  # each names a field
    params = {name: base.params[name] for name in _KEPT if name in base.params}
    params |= {name: value for name, value in (("group", group), ("mark", mark)) if value}
    return replace(base, wanted=wanted, params=params)


def _in_group(wanted: CallFilter, group: str, ends: DayEnds) -> CallFilter:
    spans = {
        "overdue": (0, ends.now),
        "today": (ends.now, ends.today),
        "week": (ends.today, ends.week),
        "later": (ends.week, 0),
    }
    lanes = {"paused": LANE_PAUSED, "caller": LANE_CALLER, "none": LANE_NONE}
    if group in spans:
        since, until = spans[group]
        return replace(wanted, lanes=(LANE_OURS,), due_since_micros=since, due_until_micros=until)
    return replace(wanted, lanes=(lanes[group],)) if group in lanes else wanted


def kept_query(query: str) -> str:
    """A queue's query string with just what a view keeps, each part once."""
    parts = dict(parse_qsl(query[:4000]))
    return urlencode([(name, parts[name][:200]) for name in _KEPT if parts.get(name)])
