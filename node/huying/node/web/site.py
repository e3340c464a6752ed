"""Which pages every node serves; a tier with children adds its own."""

from __future__ import annotations

from typing import Final

from huying.node.web import (
    home_pages,
    household_pages,
    household_view,
    ledger_pages,
    report_pages,
    visit_pages,
)
from huying.node.web.page import Page

__all__ = ["NODE_PAGES"]

NODE_PAGES: Final[tuple[Page, ...]] = (
    *home_pages.PAGES,
    *ledger_pages.PAGES,
    *household_view.PAGES,
    *household_pages.PAGES,
    *visit_pages.PAGES,
    *report_pages.PAGES,
)
