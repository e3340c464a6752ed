"""The page of an order's life: imported, changed, assigned, taken, settled, returned."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from starlette.responses import Response

from huying.node.web.access.roles import Permission
from huying.node.web.calling.order_history import order_history, order_turns
from huying.node.web.calling.order_pages import load_order
from huying.node.web.history.record_turns import with_people
from huying.node.web.page import Ask, Page

__all__ = ["PAGES"]

_DEEDS: Final[Mapping[str, frozenset[str]]] = {"order-assign": frozenset({"assigned"})}


async def show_history(ask: Ask) -> Response:
    """What happened to the order, oldest first, as far as it is visible here."""
    loaded = await load_order(ask, ask.path("order"))
    before = ask.query("before")
    view, scope = loaded.view, ask.scope
    history = await ask.node.read(lambda reader: order_history(reader, view, before))
    turns = order_turns(view.home, history, scope.sees_record)
    older = history.versions.before
    return await ask.render(
        "order_history.html",
        loaded=loaded,
        order=view.order,
        turns=await with_people(ask, turns, view.record, _DEEDS),
        has_all_words=history.has_all_words,
        looked_micros=history.versions.looked_micros,
        is_newest=not before,
        older_url=ask.url("order-history", order=loaded.hex, before=older) if older else "",
    )


PAGES: Final = (Page("/orders/{order}/history", "order-history", show_history, Permission.ORDERS),)
