"""What waits for the dispatch centre, list by list: which calls, how they are ordered, what is due.

Each list is a filter and a deed; a call stands in every list that it belongs to.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from huying.common.calls.call_state import CallStage
from huying.node.store.call_queries import CallRow
from huying.node.store.call_schema import ASKS_EXTENSION, ASKS_SUPPLEMENT, LANE_OURS
from huying.node.store.desk_filter import CallFilter, Order
from huying.node.store.reader import Reader

__all__ = ["WORKLISTS", "FilledList", "Worklist", "fill"]

ROWS_OF_LIST: Final = 6


@dataclass(frozen=True, slots=True)
class Worklist:
    """One list."""

    key: str
    zh: str
    en: str
    hint_zh: str
    hint_en: str
    wanted: CallFilter
    order: Order
    more: tuple[tuple[str, str], ...]  # of the queue's address that shows all of it
    can_admit: bool = False


@dataclass(frozen=True, slots=True)
class FilledList:
    """A list with its first rows and the number of all."""

    worklist: Worklist
    rows: tuple[CallRow, ...]
    count: int


def _of_stage(stage: CallStage) -> CallFilter:
    return CallFilter(stage=int(stage), is_open=False)


WORKLISTS: Final = (
    Worklist(
        *(
            "admit",
            "待受理",
            "To admit",
            "受理,或按清单不予受理",
            "admit, or decline with a reason",
        ),
        *(_of_stage(CallStage.RECEIVED), "oldest", (("stage", "received"),)),
        can_admit=True,
    ),
    Worklist(
        *(
            "dispatch",
            "待派单",
            "To dispatch",
            "按职责清单定主办、协办",
            "choose who leads and helps",
        ),
        *(_of_stage(CallStage.ADMITTED), "oldest", (("stage", "admitted"),)),
    ),
    Worklist(
        *(
            "objected",
            "异议待裁决",
            "Objections to rule",
            "首接负责,裁决后不得再退",
            "uphold or assign",
        ),
        *(_of_stage(CallStage.OBJECTED), "oldest", (("stage", "objected"),)),
    ),
    Worklist(
        *("extension", "延期待审批", "Extensions to decide", "同意或不同意", "grant or refuse"),
        *(CallFilter(asks=ASKS_EXTENSION), "oldest", (("mark", "extension"),)),
    ),
    Worklist(
        *(
            "review",
            "答复待审核",
            "Answers to review",
            "发给乡镇,或退回重办",
            "send, or return for rework",
        ),
        *(_of_stage(CallStage.REVIEW), "oldest", (("stage", "review"),)),
    ),
    Worklist(
        *(
            "unresolved",
            "回访未解决",
            "Unresolved",
            "乡镇说没解决,部门要再办",
            "the town says so; back to work",
        ),
        *(_of_stage(CallStage.UNRESOLVED), "oldest", (("stage", "unresolved"),)),
    ),
    Worklist(
        *(
            "supervise",
            "超期待督办",
            "Overdue, not supervised",
            "超期最久的在前",
            "longest overdue first",
        ),
        CallFilter(is_open=True, lanes=(LANE_OURS,), is_overdue=True, is_supervised=False),
        *("lane", (("group", "overdue"),)),
    ),
    Worklist(
        *(
            "supplement",
            "等乡镇补充",
            "Supplements awaited",
            "先到期的在前",
            "soonest to run out first",
        ),
        *(CallFilter(is_open=True, asks=ASKS_SUPPLEMENT), "lane", (("mark", "supplement"),)),
    ),
)


def fill(reader: Reader, area: str, sees: Callable[[CallRow], bool]) -> list[FilledList]:
    """Every list, within an area."""
    found = []
    for worklist in WORKLISTS:
        wanted = replace(worklist.wanted, area=area)
        page = reader.find_calls(
            wanted, order=worklist.order, limit=ROWS_OF_LIST, token="", sees=sees
        )
        found.append(FilledList(worklist, page.rows, reader.count_calls(wanted)))
    return found
