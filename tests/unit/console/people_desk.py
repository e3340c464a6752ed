"""The form of a new person as an administrator fills it in, and what the page and trail say."""

from __future__ import annotations

import re
from typing import Any

from tests.support.console_site import ConsoleUnderTest, text_of

__all__ = ["EVIL", "OTHER", "add", "drawn", "newest"]

OTHER = "another horse battery"
EVIL = "<script>alert(1)</script>\"'"


def newest(console: ConsoleUnderTest) -> tuple[str, str, str]:
    (row,) = console.site.audit.page(count=1)
    return row.actor, row.action, row.object_


def add(console: ConsoleUnderTest, login: str, *roles: str, **fields: str) -> Any:
    """Fill in the form of a new person."""
    page = console.get("/people/new")
    given: dict[str, Any] = {"login": login, "name": f"人{login}", "role": list(roles)}
    return console.fill(page, "/people/new", **(given | fields))


def drawn(page: Any) -> str:
    found = re.search(r'class="one-time">([^<]+)<', page.text)
    assert found is not None, text_of(page.text)
    return found[1]
