"""The runbook, read on the spot: no network is needed when it is needed most."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from huying.node.web.access.roles import Permission
from huying.node.web.operations import runbook
from huying.node.web.page import Ask, Page

__all__ = ["PAGES"]


async def show_index(ask: Ask) -> Response:
    """Every page there is, with its heading."""
    titles = await ask.site.on_thread(
        lambda: [(name, runbook.read(name)[:2]) for name in runbook.names()]
    )
    return await ask.render("runbook_index.html", titles=titles)


async def show_page(ask: Ask) -> Response:
    """One page."""
    name = ask.path("name")
    blocks = await ask.site.on_thread(lambda: runbook.read(name))
    return await ask.render("runbook.html", name=name, blocks=blocks)


PAGES: Final = (
    Page("/help/runbook", "runbook-index", show_index, Permission.SIGNED_IN),
    Page("/help/runbook/{name}", "runbook", show_page, Permission.SIGNED_IN),
)
