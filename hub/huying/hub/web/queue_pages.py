"""The answer desk: the queue of open calls by the clock that matters, for a department or for all.

A department's responder has the calls that the department leads, and beside them those it helps
with; the centre has all. The tiles on top count, and filter; the numbers are of all calls in scope,
whatever else is chosen.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from typing import Final

from starlette.responses import Response

from huying.hub.web.queue_filters import MARKS, asked_queue
from huying.hub.web.queue_views import OwnViews, change_views, own_views, params_of
from huying.hub.web.urge_pages import urge
from huying.node.store.desk_filter import CallFilter
from huying.node.store.desk_queries import FoundCalls, QueueCounts
from huying.node.store.reader import Reader
from huying.node.web.access.roles import Permission
from huying.node.web.calls.call_filters import Choices, choices, day_ends, sees
from huying.node.web.calls.call_list_pages import ROWS_OF_PAGE, drafted_calls
from huying.node.web.calls.call_rows import GROUPS, Rests, listed
from huying.node.web.page import Ask, Nav, Page, query_string

__all__ = ["PAGES"]

_LOOK_SECONDS: Final = 15 * 60  # within it, coming back to the queue is the same look
_COOKIE_SECONDS: Final = 30 * 86_400


async def show_queue(ask: Ask) -> Response:
    """The queue; a saved view where one is named, or opens first."""
    offset = await ask.node.offset_minutes()
    names = await ask.node.names()
    views = await own_views(ask)
    query, view_id = _query(ask, views)
    ends = day_ends(ask.now(), offset)
    wish = asked_queue(ask, query, ends, offset)
    scope = ask.scope

    def read(
        reader: Reader,
    ) -> tuple[FoundCalls, Rests, QueueCounts, QueueCounts | None, Choices]:
        found = reader.find_calls(
            wish.wanted,
            order="lane",
            limit=ROWS_OF_PAGE,
            token=wish.token,
            sees=lambda row: sees(scope, row),
        )
        days = (ends.now, ends.today, ends.week)
        counts = reader.queue_counts(wish.wanted, *days)
        helped = None
        if scope.department:
            other = _other_tab(wish.wanted, scope.department, is_helping=wish.is_helping)
            helped = reader.queue_counts(other, *days)
        rests = reader.paused_rests(found.rows)
        return found, rests, counts, helped, choices(ask, reader, names)

    found, rests, counts, other, offered = await ask.node.read(read)
    looked, cookie = _look(ask)
    rows = [listed(row, ends, rests, looked) for row in found.rows]
    grouped = {key: list(part) for key, part in groupby(rows, key=lambda item: item.group)}
    chosen = dict(wish.params)
    response = await ask.render(
        "queue.html",
        {
            "wish": wish,
            "found": found,
            "grouped": [(group, grouped[group.key]) for group in GROUPS if group.key in grouped],
            "counts": dict(zip((group.key for group in GROUPS), counts, strict=True)),
            "total": counts.total,
            "other_total": other.total if other is not None else 0,
            "groups": GROUPS,
            "marks": MARKS,
            "drafted": await drafted_calls(ask),
            "choices": offered,
            "views": views,
            "view_id": view_id,
            "kept": query_string(chosen).removeprefix("?"),
            "may_urge": ask.may(Permission.CALLS_CENTRE),
            "without": {
                name: {key: value for key, value in chosen.items() if key != name}
                for name in ("group", "mark")
            },
            "next_url": ask.url("queue", **chosen, after=found.next_token)
            if found.next_token
            else "",
            "first_url": ask.url("queue", **(chosen or {"group": "all"})) if wish.token else "",
        },
    )
    response.set_cookie(
        _cookie_name(ask),
        cookie,
        max_age=_COOKIE_SECONDS,
        httponly=True,
        samesite="lax",
        secure=ask.site.is_tls,
    )
    return response


def _query(ask: Ask, views: OwnViews) -> tuple[Mapping[str, str], str]:
    """The filter that the address asks for, and the id of the view that it is."""
    given = {k: v for k, v in ask.request.query_params.items() if k != "notice"}
    view_id = given.pop("view", "")
    if not given and not view_id:
        view_id = views.first
    if not view_id:
        return given, ""
    return {**params_of(views.of(view_id)), **given}, view_id


def _other_tab(wanted: CallFilter, department: str, *, is_helping: bool) -> CallFilter:
    if is_helping:
        return CallFilter(department=department, area=wanted.area)
    return CallFilter(helper=department, area=wanted.area)


# --- since when a call is new ------------------------------------------------------------------


def _cookie_name(ask: Ask) -> str:
    return f"huying-look-{ask.person.id[:8]}"


def _look(ask: Ask) -> tuple[int, str]:
    """Since when a call is new, in unix µs, and what the browser remembers of it.

    The cookie has two instants: since when calls are new in this look, and when the queue was shown
    last. Who comes back within a quarter of an hour is still at the same look. What a script loads
    again by itself is nobody's look.
    """
    now = int(ask.now())
    since, _, last = ask.request.cookies.get(_cookie_name(ask), "").partition("-")
    if not (since.isdigit() and last.isdigit() and len(since) < 12 and len(last) < 12):
        return 0, f"{now}-{now}"
    if ask.request.headers.get("x-live"):
        return int(since) * 10**6, f"{since}-{last}"
    if now - int(last) > _LOOK_SECONDS:
        since = last
    return int(since) * 10**6, f"{since}-{now}"


PAGES: Final = (
    Page(
        "/queue",
        "queue",
        show_queue,
        Permission.CALLS_DEPARTMENT,
        nav=Nav("答复台", "Answer desk", 5, "calls"),
        also=Permission.CALLS_CENTRE,
    ),
    Page(
        "/queue/views",
        "queue-views",
        change_views,
        Permission.CALLS_DEPARTMENT,
        ("POST",),
        also=Permission.CALLS_CENTRE,
    ),
    Page("/queue/urge", "queue-urge", urge, Permission.CALLS_CENTRE, ("POST",)),
)
