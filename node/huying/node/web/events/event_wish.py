"""Which events a person wishes to see, from the page's address and from what they may see."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from huying.common.codes import parse_code, parse_grid
from huying.common.errors import Code, HuyingError
from huying.node.web.events.handling_words import Standing
from huying.node.web.page import Ask
from huying.node.web.words import key_of
from huying.wire.v1 import events_pb2, records_pb2

__all__ = ["PERIODS", "EventWish", "event_wish", "page_token"]

PERIODS: Final[tuple[int, ...]] = (1, 7, 30, 90, 365)  # days
_DAY_MICROS: Final = 86_400_000_000
_DIVISION_DIGITS: Final = 12
_STATUSES: Final = {
    key_of("event", number): number
    for number in records_pb2.EventStatus.values()
    if number != records_pb2.EVENT_STATUS_UNSPECIFIED
}
# The town's newest word about an open event, as the address has it.
_WORDS: Final[Mapping[str, int]] = {
    Standing.NOBODY.value: 0,
    Standing.TAKEN.value: int(events_pb2.EVENT_HANDLING_STATUS_TAKEN),
    Standing.ASSIGNED.value: int(events_pb2.EVENT_HANDLING_STATUS_ASSIGNED),
}


@dataclass(frozen=True, slots=True)
class EventWish:
    """What narrows the list; empty or 0 does not."""

    area: str  # a division
    grid: str
    status: int  # records_pb2.EventStatus
    category: str
    since_micros: int
    words: str
    page: bytes
    word: int | None  # as `Reader.list_events` takes it; of open events, unless a status is named
    params: Mapping[str, str]  # as the address has them, without the page

    @property
    def is_narrowed(self) -> bool:
        """Whether the person narrowed the list themselves."""
        return any(self.params.values())


def event_wish(ask: Ask) -> EventWish:
    """Raises HuyingError: INVALID_ARGUMENT for what is malformed, NOT_FOUND beyond the scope."""
    names = ("q", "status", "town", "village", "grid", "category", "days")
    params = {name: ask.query(name) for name in names}
    area, grid = ask.scope.area, params["grid"]
    if len(area) > _DIVISION_DIGITS:  # bound to a grid, whatever was asked for
        grid = grid or area
        area = ""
    if params["village"]:
        area = parse_code(params["village"], "village")
        ask.scope.record(area, grid)
    if grid:
        ask.scope.record(parse_grid(grid), grid)
    status = params["status"]
    if status and status not in _STATUSES:
        raise HuyingError(Code.INVALID_ARGUMENT, f"status: one of {', '.join(_STATUSES)}")
    town = params["town"]
    if town and town not in _WORDS:
        raise HuyingError(Code.INVALID_ARGUMENT, f"town: one of {', '.join(_WORDS)}")
    return EventWish(
        area=area,
        grid=grid,
        status=_STATUSES.get(status, int(records_pb2.EVENT_STATUS_REPORTED) if town else 0),
        word=_WORDS[town] if town else None,
        category=params["category"],
        since_micros=_since(params["days"], ask.now()),
        words=params["q"],
        page=page_token(ask),
        params=params,
    )


def _since(days: str, now: float) -> int:
    if not days:
        return 0
    if days not in map(str, PERIODS):
        raise HuyingError(Code.INVALID_ARGUMENT, f"days: one of {', '.join(map(str, PERIODS))}")
    return int(now * 1e6) - int(days) * _DAY_MICROS


def page_token(ask: Ask) -> bytes:
    """Where a list goes on. Raises HuyingError(INVALID_ARGUMENT)."""
    text = ask.query("page")
    if not re.fullmatch(r"(?:[0-9a-f]{2})*", text):
        raise HuyingError(Code.INVALID_ARGUMENT, "page: not one of ours; go to the first page")
    return bytes.fromhex(text)
