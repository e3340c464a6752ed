"""The runbook, read on the spot: no network is needed when it is needed most."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from huying.node.web.access.roles import Permission
from huying.node.web.operations import runbook
from huying.node.web.operations.runbook import Block
from huying.node.web.page import Ask, Page

__all__ = ["PAGES"]


async def show_index(ask: Ask) -> Response:
    """Every page there is, with its heading: what an alert means, and how something is done."""

    def read() -> list[tuple[str, str, Block]]:
        pages = [(name, runbook.read(name, ask.language)) for name in runbook.names()]
        return [(name, runbook.title(blocks), blocks[1]) for name, blocks in pages]

    found = await ask.site.on_thread(read)
    alerts = [one for one in found if one[0].startswith("Huying")]
    deeds = [one for one in found if one not in alerts]
    return await ask.render(
        "runbook_index.html",
        alerts=alerts,
        deeds=deeds,
        may_operate=ask.may(Permission.OPERATIONS_READ),
    )


async def show_page(ask: Ask) -> Response:
    """One page."""
    name = ask.path("name")
    blocks = await ask.site.on_thread(lambda: runbook.read(name, ask.language))
    return await ask.render(
        "runbook.html",
        title=runbook.title(blocks),
        blocks=blocks,
        may_operate=ask.may(Permission.OPERATIONS_READ),
    )


PAGES: Final = (
    Page("/help/runbook", "runbook-index", show_index, Permission.SIGNED_IN),
    Page("/help/runbook/{name}", "runbook", show_page, Permission.SIGNED_IN),
)
