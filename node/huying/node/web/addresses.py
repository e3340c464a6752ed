"""Addresses as the site's pages have them: which page one fits, how much it takes, what is above.

A page's path is Starlette's: a part in braces, as in `/calls/{call}`, stands for any part.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import quote

from huying.common.limits import MIB
from huying.node.web.guard import BODY_BYTES_MAX
from huying.node.web.page import Page

__all__ = ["body_limit", "page_above"]


def body_limit(limits: Mapping[str, int], path: str) -> int:
    """How many bytes an address takes, of `limits` by path; the largest of those it fits."""
    if path in limits:
        return limits[path]
    parts = path.split("/")
    fitting = [limit for pattern, limit in limits.items() if _fits(pattern.split("/"), parts)]
    return min(max(fitting, default=MIB), BODY_BYTES_MAX)


def page_above(pages: Iterable[Page], path: str) -> str:
    """The nearest page above an address that can be looked at; empty where just the first is.

    The address of a form that was refused is one that nobody can look at: who loads it again, or
    changes the language there, goes to the page that the form is of.
    """
    shown = [page.path.split("/") for page in pages if "GET" in page.methods]
    parts = path.split("/")
    while len(parts) > 2:
        parts.pop()
        if any(_fits(pattern, parts) for pattern in shown):
            return quote("/".join(parts))
    return ""


def _fits(pattern: Sequence[str], parts: Sequence[str]) -> bool:
    return len(pattern) == len(parts) and all(
        ours == theirs or ours.startswith("{") for ours, theirs in zip(pattern, parts, strict=True)
    )
