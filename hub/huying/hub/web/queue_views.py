"""Saved views of the queue: a filter under a name, each its owner's alone, one of them the first.

Which one opens first is itself kept as a view, of a page that does not exist.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl

from starlette.responses import Response

from huying.common.errors import Code, HuyingError
from huying.common.limits import NAME_CHARACTERS_MAX
from huying.hub.web.queue_filters import kept_query
from huying.node.web.page import Ask
from huying.node.web.views import SavedView

__all__ = ["OwnViews", "change_views", "own_views", "params_of"]

PAGE: Final = "queue"
_FIRST_PAGE: Final = "queue-first"
_FIRST_NAME: Final = "first"


@dataclass(frozen=True, slots=True)
class OwnViews:
    """The person's views of the queue."""

    views: tuple[SavedView, ...]
    first: str  # the id of the one that opens first; empty: none does

    def of(self, view_id: str) -> SavedView:
        """One of them. Raises HuyingError(NOT_FOUND) for another person's, too."""
        for view in self.views:
            if view.id == view_id:
                return view
        raise HuyingError(Code.NOT_FOUND, "there is no such view of yours")


async def own_views(ask: Ask) -> OwnViews:
    """The views of who asks. Raises HuyingError as the console's store does."""
    person = ask.person.id

    def read() -> OwnViews:
        views = ask.site.views.list(person, PAGE)
        first = ask.site.views.list(person, _FIRST_PAGE)
        chosen = first[0].query if first else ""
        return OwnViews(views, chosen if any(view.id == chosen for view in views) else "")

    return await ask.site.on_thread(read)


def params_of(view: SavedView) -> dict[str, str]:
    """A view's filter, as an address would say it."""
    return dict(parse_qsl(view.query))


async def change_views(ask: Ask) -> Response:
    """Save the present filter under a name, remove a view, or let one open first."""
    form = await ask.form()
    person, now = ask.person.id, ask.now()
    what = form.required("what", 16)
    if what == "save":
        name = form.required("name", NAME_CHARACTERS_MAX)
        query = kept_query(form.text("query"))
        view = await ask.site.on_thread(lambda: ask.site.views.save(person, PAGE, name, query, now))
        return ask.redirect("queue", notice="saved", view=view.id)
    views = await own_views(ask)
    if what == "unset":
        await ask.site.on_thread(lambda: _forget_first(ask, person))
        return ask.redirect("queue", notice="saved", group="all")
    view = views.of(form.required("view", 64))
    if what == "drop":
        await ask.site.on_thread(lambda: ask.site.views.drop(person, view.id))
        return ask.redirect("queue", notice="saved", group="all")
    if what != "first":
        raise HuyingError(Code.INVALID_ARGUMENT, "what: one of save, drop, first, unset")
    await ask.site.on_thread(
        lambda: ask.site.views.save(person, _FIRST_PAGE, _FIRST_NAME, view.id, now)
    )
    return ask.redirect("queue", notice="saved", view=view.id)


def _forget_first(ask: Ask, person: str) -> None:
    for view in ask.site.views.list(person, _FIRST_PAGE):
        ask.site.views.drop(person, view.id)
