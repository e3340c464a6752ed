"""All pages there are: the node's, and those of a tier with children.

The console's process loads this, whatever the tier: a page that needs a permission which no role of
the tier grants is simply nobody's.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from huying.hub.web import (
    centre_pages,
    measure_pages,
    order_assign_pages,
    order_import_pages,
    queue_pages,
    wall_pages,
)
from huying.node.web.page import Page
from huying.node.web.site import NODE_PAGES

__all__ = ["PAGES", "STATIC", "TEMPLATES"]

TEMPLATES: Final = Path(__file__).with_name("templates")
STATIC: Final = Path(__file__).with_name("static")
PAGES: Final[tuple[Page, ...]] = (
    # Before the node's pages that take an id where this has a word.
    *order_import_pages.PAGES,
    *NODE_PAGES,
    *order_assign_pages.PAGES,
    *queue_pages.PAGES,
    *centre_pages.PAGES,
    *wall_pages.PAGES,
    *measure_pages.PAGES,
)
