"""What waits for somebody in the village today: events, calls, orders, visits, requests.

Plain functions over the node's reader, for a thread. Each list is short, with what it leaves out
counted, because it is read on a handset; the pages behind it show all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from huying.common.calls.call_state import ClockKind
from huying.node.store.call_queries import CallRow
from huying.node.store.event_queries import EventHandlingRow, EventRow
from huying.node.store.order_queries import OrderRow, OrderWish
from huying.node.store.provision_queries import Provision
from huying.node.store.reader import Page, Reader
from huying.node.web.access.roles import Permission
from huying.node.web.events.handling_words import standing_of
from huying.node.web.events.report_fates import newest_calls
from huying.node.web.ledger.ledger_book import Book, HouseholdLine, days_before, narrowed
from huying.node.web.page import Ask
from huying.node.web.provisions.provision_reads import sees_provision
from huying.wire.v1 import api_pb2, calls_pb2, events_pb2, hotline_pb2, records_pb2

__all__ = ["VISIT_DAYS", "CallTask", "Tasks", "due_households", "tasks_of"]

SHOWN_MAX: Final = 20  # of each list
VISIT_DAYS: Final = 90
_DIVISION_DIGITS: Final = 12
_HOUSEHOLDS_SHOWN: Final = 5
_PROVISIONS_LOOKED_AT: Final = 200  # those of another grid are left out afterwards
# The stages in which somebody from the village should go and look.
_LOOK: Final = frozenset({api_pb2.CALL_STAGE_ANSWERED, api_pb2.CALL_STAGE_UNRESOLVED})


@dataclass(frozen=True, slots=True)
class CallTask:
    """A call that names the village and waits for its side."""

    row: CallRow
    call: calls_pb2.Call
    said: tuple[str, str]  # what to do, Chinese and English


@dataclass(slots=True)
class Tasks:
    """The lists; `more_…` says that there are more than are shown."""

    assigned: Sequence[EventRow] = ()  # open events that the town handed to the village
    more_assigned: bool = False
    events: Sequence[EventRow] = ()  # the other open ones that are the village's own to see to
    more_events: bool = False
    taken: Sequence[EventRow] = ()  # open ones that the town sees to, or has settled just now
    more_taken: bool = False
    words: dict[bytes, EventHandlingRow] = field(default_factory=dict)  # the town's, by the event
    photos: dict[bytes, int] = field(default_factory=dict)
    calls: Sequence[CallTask] = ()
    calls_open: int = 0  # open calls of the village that wait for others
    orders: Sequence[OrderRow] = ()
    more_orders: bool = False
    provisions: Sequence[Provision] = ()
    households: Sequence[HouseholdLine] = ()
    households_due: int = 0

    @property
    def count(self) -> int:
        """How many things are shown, visits apart: those come round again."""
        own = len(self.assigned) + len(self.events)
        return own + len(self.calls) + len(self.orders) + len(self.provisions)


def tasks_of(ask: Ask, reader: Reader, now_micros: int) -> Tasks:
    """What waits at this village for the one who asks, households apart."""
    tasks, area = Tasks(), ask.scope.area
    is_grid = len(area) > _DIVISION_DIGITS
    _events(tasks, reader, ask.node.code, area if is_grid else "")
    if ask.may(Permission.CALLS_READ):
        tasks.calls, tasks.calls_open = _calls(ask, reader)
    if ask.may(Permission.ORDERS) and not is_grid:
        # An order names a village and no grid, so it is for those who see the whole of it.
        wish = OrderWish(
            handler=ask.node.code, filter=hotline_pb2.ORDER_FILTER_OPEN, now_micros=now_micros
        )
        orders = reader.list_orders(wish, limit=SHOWN_MAX)
        tasks.orders = [
            row for row in orders.rows if row.status != hotline_pb2.ORDER_STATUS_RETURNED
        ]
        tasks.more_orders = bool(orders.next_token)
    if ask.may(Permission.PROVISIONS_DECIDE):
        waiting = reader.undecided_provisions(ask.node.code, _PROVISIONS_LOOKED_AT)
        seen = [one for one in waiting if sees_provision(ask, reader, one)]
        tasks.provisions = seen[:SHOWN_MAX]
    return tasks


def _events(tasks: Tasks, reader: Reader, home: str, grid: str) -> None:
    """The open events, by whose they are to see to."""

    def of(word: int) -> Page[EventRow]:
        return reader.list_events(
            area=home,
            grid=grid,
            status=records_pb2.EVENT_STATUS_REPORTED,
            word=word,
            limit=SHOWN_MAX,
        )

    assigned = of(events_pb2.EVENT_HANDLING_STATUS_ASSIGNED)
    taken = of(events_pb2.EVENT_HANDLING_STATUS_TAKEN)
    others = of(0)
    rows = (*assigned.rows, *taken.rows, *others.rows)
    words = reader.event_handlings([(home, row.record) for row in rows])
    tasks.words = {record: word for (_, record), word in words.items()}
    is_open = {
        row.record: standing_of(row, tasks.words.get(row.record)).is_open for row in others.rows
    }
    tasks.assigned, tasks.more_assigned = assigned.rows, bool(assigned.next_token)
    tasks.events = [row for row in others.rows if is_open[row.record]]
    tasks.more_events, tasks.more_taken = bool(others.next_token), bool(taken.next_token)
    # What the town settled is the village's no more, though its node is about to write so.
    tasks.taken = [*taken.rows, *(row for row in others.rows if not is_open[row.record])]
    tasks.photos = reader.evidence_counts([row.record for row in rows])


def _calls(ask: Ask, reader: Reader) -> tuple[list[CallTask], int]:
    """The open calls that wait for the village's side, and how many wait for others."""
    found, others = [], 0
    for row, call in newest_calls(reader):
        seen = ask.scope.sees_call(
            caller=row.caller, village=row.village, grid=row.grid, department=row.department
        )
        if not row.open or row.village != ask.node.code or not seen:
            continue
        said = _said(row)
        if said is None:
            others += 1
        else:
            found.append(CallTask(row, call, said))
    return found[:SHOWN_MAX], others


def _said(row: CallRow) -> tuple[str, str] | None:
    if row.due_clock == ClockKind.SUPPLEMENT:
        return "部门要补充情况,请告诉镇里", "the department asks for more: tell the town"
    if row.stage not in _LOOK:
        return None
    if row.stage == api_pb2.CALL_STAGE_UNRESOLVED:
        return "没解决,部门在重办,留意现场", "not solved, they are at it again: keep an eye on it"
    return "已答复,请到现场看看,告诉镇里是否解决", "answered: go and look, and tell the town"


def due_households(ask: Ask, book: Book, now: float) -> tuple[Sequence[HouseholdLine], int]:
    """The households of the person's grids that nobody visited for long; key people first."""
    grids = [grid for grid in book.grids() if ask.scope.sees_record(ask.node.code, grid)]
    due = narrowed(book, grids=grids, unvisited_since_micros=days_before(now, VISIT_DAYS))
    # Those without a visit at all are the longest ago.
    due.sort(key=lambda line: (not line.populations, line.visited_micros, line.number))
    return due[:_HOUSEHOLDS_SHOWN], len(due)
