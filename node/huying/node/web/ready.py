"""What a console's process does before it takes the first request, and while nobody asks.

Compiling a template takes as long as answering a page: those around every page are compiled at
once, the others one at a time in quiet moments. So the first visitor waits no longer than need be,
and the second one's page is as fast as any later one.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from functools import partial
from typing import Final

from jinja2 import TemplateError

from huying.common.errors import HuyingError
from huying.node.web.app import Site

__all__ = ["get_ready", "prepare_templates"]

_EVERYWHERE: Final = ("base.html", "macros.html")
_QUIET_SECONDS: Final = 0.05
_NODE_SECONDS: Final = 0.5


async def get_ready(site: Site) -> None:
    """Open what every page needs: both databases, the way to the node, the templates around it.

    What is not there is left to the page that needs it, which says so.
    """
    for name in _EVERYWHERE:
        site.templates.get_template(name)
    with contextlib.suppress(HuyingError):
        await site.on_thread(lambda: site.sessions.find("", site.clock.now()))
    with contextlib.suppress(HuyingError):
        await site.node.names()
    # A node that does not answer delays nobody for long.
    await asyncio.wait([asyncio.ensure_future(site.node.state())], timeout=_NODE_SECONDS)


async def prepare_templates(site: Site, is_quiet: Callable[[], bool]) -> None:
    """Compile every template, one at a time while no request runs, on a thread."""
    for name in site.templates.list_templates():
        await asyncio.sleep(_QUIET_SECONDS)
        while not is_quiet():  # noqa: ASYNC110  # quiet is no event
            await asyncio.sleep(_QUIET_SECONDS)
        # One that has a fault fails on its own page.
        with contextlib.suppress(TemplateError):
            await site.on_thread(partial(site.templates.get_template, name))
