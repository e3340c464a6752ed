"""The calls that a town raised about a hotline order: those whose text names the order's number.

A call has no field for an order; the form that is filled in from one puts its number into the text,
and so does a clerk who types it. The search is that of the list of calls, with its bound.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from huying.common.codes import Level
from huying.node.store.desk_filter import CallFilter
from huying.node.store.reader import Reader
from huying.node.web.access.roles import Permission
from huying.node.web.calling.calling_reads import DraftRow, drafts
from huying.node.web.calls.call_filters import sees
from huying.node.web.page import Ask
from huying.wire.v1 import calls_pb2, hotline_pb2

__all__ = ["CallAbout", "OrderCalls", "calls_about", "may_call_about"]

_SHOWN_MAX: Final = 10
_NUMBER_CHARACTERS_MIN: Final = 4  # a shorter number stands in many a text


@dataclass(frozen=True, slots=True)
class CallAbout:
    """One call that names the order."""

    call: bytes
    title: str
    stage: int  # api_pb2.CallStage
    department: str


@dataclass(frozen=True, slots=True)
class OrderCalls:
    """What was called about an order, and what waits for the principal's word."""

    calls: tuple[CallAbout, ...] = ()
    drafts: tuple[DraftRow, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.calls or self.drafts)


def may_call_about(ask: Ask) -> bool:
    """Whether the person calls the county: for the orders of a town, and of its villages."""
    return (
        ask.node.level is Level.TOWN
        and ask.may(Permission.CALLS_CALLER)
        and "call-new" in ask.site.pages
    )


async def calls_about(ask: Ask, order: hotline_pb2.Order) -> OrderCalls:
    """The newest calls and drafts of this town that name the order's number."""
    number = order.source_id
    if len(number) < _NUMBER_CHARACTERS_MIN or not may_call_about(ask):
        return OrderCalls()
    scope, own = ask.scope, ask.node.code
    wanted = CallFilter(caller=own, words=number)

    def read(reader: Reader) -> OrderCalls:
        found = reader.find_calls(
            wanted, order="newest", limit=_SHOWN_MAX, token="", sees=lambda row: sees(scope, row)
        )
        calls = []
        for row in found.rows:
            content = calls_pb2.Call.FromString(row.message)
            if number in f"{content.title}\n{content.description}":
                calls.append(CallAbout(row.call, content.title, row.stage, row.department))
        waiting = drafts(reader, own, state=calls_pb2.DRAFT_STATE_WAITING)
        return OrderCalls(
            tuple(calls),
            tuple(
                row
                for row in waiting
                if number in f"{row.message.title}\n{row.message.description}"
                and scope.sees_call(
                    caller=own, village=row.message.village, grid=row.message.grid, department=""
                )
            ),
        )

    return await ask.node.read(read)
