"""The wall: a county's calls and nodes at a glance, for a screen that nobody touches.

The numbers of open and overdue calls are those of the metrics, by the same query; today's curve
goes by the instants that the county wrote. Nothing is kept between two looks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from starlette.responses import Response

from huying.common.calls.call_state import ENDED_STAGES, CallStage
from huying.common.errors import Code, HuyingError
from huying.hub.web.wall_tree import Lag, branch_counts, tree
from huying.node.store.call_queries import CallLoad, CallRow
from huying.node.store.call_schema import LANE_OURS
from huying.node.store.desk_filter import CallFilter
from huying.node.store.reader import Reader
from huying.node.web.access.roles import Permission
from huying.node.web.calls.call_filters import day_ends, sees
from huying.node.web.calls.call_rows import listed
from huying.node.web.page import Ask, Nav, Page

__all__ = ["PAGES", "Bar", "by_department", "by_stage"]

DEPARTMENTS_SHOWN: Final = 9
STUCK_SHOWN: Final = 3  # beneath the curve, without making its panel the tallest
SPELT_OUT_MAX: Final = 40  # nodes below: so many have their names beside them
_HOURS: Final = 24
_DAY_MICROS: Final = 86_400 * 10**6


@dataclass(frozen=True, slots=True)
class Bar:
    """Open calls of a stage or a department, and how many of them are overdue."""

    key: str  # a department's name; empty: not dispatched yet
    stage: int
    open: int
    overdue: int
    merged_count: int = 0  # the other departments that it stands for

    @property
    def stage_key(self) -> str:
        """The stage as an address of /calls has it."""
        return CallStage(self.stage).name.lower()


def by_stage(loads: Sequence[CallLoad]) -> list[Bar]:
    """One for each stage that a call may be open in, in the order of a call's life."""
    order = (
        *(CallStage.RAISED, CallStage.RECEIVED, CallStage.ADMITTED, CallStage.DISPATCHED),
        *(CallStage.OBJECTED, CallStage.HANDLING, CallStage.REVIEW, CallStage.ANSWERED),
        CallStage.UNRESOLVED,
    )
    assert set(order) == set(CallStage) - ENDED_STAGES
    return [
        Bar(
            "",
            int(stage),
            sum(load.open for load in loads if load.stage == stage),
            sum(load.overdue for load in loads if load.stage == stage),
        )
        for stage in order
    ]


def by_department(loads: Sequence[CallLoad], most: int = DEPARTMENTS_SHOWN) -> list[Bar]:
    """The departments with most that is overdue, then most that is open; the others as one."""
    totals: dict[str, tuple[int, int]] = {}
    for load in loads:
        opened, overdue = totals.get(load.department, (0, 0))
        totals[load.department] = opened + load.open, overdue + load.overdue
    bars = [Bar(name, 0, *counts) for name, counts in totals.items()]
    bars.sort(key=lambda bar: (-bar.overdue, -bar.open, bar.key))
    if len(bars) <= most:
        return bars
    shown, rest = bars[: most - 1], bars[most - 1 :]
    return [
        *shown,
        Bar("", 0, sum(b.open for b in rest), sum(b.overdue for b in rest), len(rest)),
    ]


async def show_wall(ask: Ask) -> Response:
    """The wall. It shows the whole node, so it is not for who is bound to a part of it."""
    if not ask.scope.sees_record(ask.node.code):
        raise HuyingError(Code.NOT_FOUND, "the wall shows the whole node; yours is a part of it")
    offset = await ask.node.offset_minutes()
    ends = day_ends(ask.now(), offset)
    since = ends.today - _DAY_MICROS
    own = ask.node.code

    scope = ask.scope

    def read(
        reader: Reader,
    ) -> tuple[list[CallLoad], list[tuple[int, int]], list[str], tuple[CallRow, ...]]:
        members = [pin.code for pin in reader.members()]
        wanted = CallFilter(is_open=True, lanes=(LANE_OURS,))
        stuck = reader.find_calls(
            wanted, order="lane", limit=STUCK_SHOWN, token="", sees=lambda row: sees(scope, row)
        )
        hours = reader.calls_by_hour(own, since, _HOURS)
        return reader.call_loads(own), hours, members, stuck.rows

    loads, hours, members, stuck = await ask.node.read(read)
    freshness = await ask.node.state()
    feeds = freshness.status.feeds if freshness.status is not None else ()
    root = tree(own, feeds, await ask.node.names(), members, is_up=freshness.is_up)
    counts = branch_counts(root)
    stages = by_stage(loads)
    hour_now = min(_HOURS - 1, (ends.now - since) // (3600 * 10**6))
    return await ask.render(
        "wall.html",
        {
            "open": sum(load.open for load in loads),
            "overdue": sum(load.overdue for load in loads),
            "received_today": sum(received for received, _ in hours),
            "answered_today": sum(answered for _, answered in hours),
            "stages": stages,
            "stage_max": max([1, *(bar.open for bar in stages)]),
            "departments": by_department(loads),
            "stuck": [listed(row, ends, {}) for row in stuck],  # whose clocks run
            "hours": hours,
            "hour_now": hour_now,
            "hour_max": max([1, *(max(pair) for pair in hours)]),
            "root": root,
            "lags": Lag,
            "counts": counts,
            "node_count": sum(counts.values()),
            "is_spelt_out": sum(counts.values()) <= SPELT_OUT_MAX,
            "branch_counts": branch_counts,
        },
    )


PAGES: Final = (
    Page(
        "/wall",
        "wall",
        show_wall,
        Permission.WALL,
        nav=Nav("大屏", "Wall", 8, "calls"),
        stays=True,
    ),
)
