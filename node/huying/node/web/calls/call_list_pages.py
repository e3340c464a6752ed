"""The list of calls, at every tier: filters, order, pages by key, and a search that says its bound.

A search reads the text of one call after the other, so it looks at a bounded number of them for
each page, the open ones first, and tells how far it looked.
"""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from huying.node.store.desk_queries import FoundCalls
from huying.node.store.reader import Reader
from huying.node.web.access.roles import Permission
from huying.node.web.calls.call_filters import Choices, asked, choices, day_ends, sees
from huying.node.web.calls.call_rows import GROUPS, Rests, listed
from huying.node.web.page import Ask, Nav, Page

__all__ = ["PAGES", "ROWS_OF_PAGE", "drafted_calls"]

ROWS_OF_PAGE: Final = 50


async def drafted_calls(ask: Ask) -> frozenset[str]:
    """The calls, in hex, in which the person left something written and not sent."""
    keys = await ask.site.on_thread(lambda: ask.site.drafts.keys(ask.person.id))
    parts = (key.split(":") for key in keys)
    return frozenset(part[1] for part in parts if len(part) == 3 and part[0] == "call")


async def show_calls(ask: Ask) -> Response:
    """A page of calls."""
    offset = await ask.node.offset_minutes()
    names = await ask.node.names()
    wish = asked(ask, ask.request.query_params, offset)
    scope = ask.scope

    def read(reader: Reader) -> tuple[FoundCalls, Rests, Choices]:
        found = reader.find_calls(
            wish.wanted,
            order=wish.order,
            limit=ROWS_OF_PAGE,
            token=wish.token,
            sees=lambda row: sees(scope, row),
        )
        return found, reader.paused_rests(found.rows), choices(ask, reader, names)

    found, rests, offered = await ask.node.read(read)
    ends = day_ends(ask.now(), offset)
    return await ask.render(
        "call_list.html",
        {
            "wish": wish,
            "found": found,
            "rows": [listed(row, ends, rests) for row in found.rows],
            "drafted": await drafted_calls(ask),
            "choices": offered,
            "groups": {group.key: group for group in GROUPS},
            "next_url": ask.url("calls", **wish.params, after=found.next_token)
            if found.next_token
            else "",
            "first_url": ask.url("calls", **wish.params) if wish.token else "",
        },
    )


PAGES: Final = (
    Page(
        "/calls",
        "calls",
        show_calls,
        Permission.CALLS_READ,
        nav=Nav("呼叫", "Calls", 50, "calls"),
    ),
)
