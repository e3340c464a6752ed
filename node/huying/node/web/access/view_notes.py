"""Looks at what is somebody's own, in the trail: one row says so for a while.

A page that is open loads itself again and again, so the trail has a row for a person and a thing
once in ten minutes.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from huying.node.web.app import Site
    from huying.node.web.page import Ask

__all__ = ["note_view"]

_VIEW_SECONDS: Final = 600.0
_VIEWS_MAX: Final = 4096  # remembered; then all are forgotten, and written again
_Views = dict[tuple[str, str, str], float]
_VIEWS: weakref.WeakKeyDictionary[Site, _Views] = weakref.WeakKeyDictionary()


async def note_view(ask: Ask, action: str, object_: str) -> None:
    """Write that the person looked at it, unless they did lately. Raises as the store."""
    seen = _VIEWS.setdefault(ask.site, {})
    key, now = (ask.person.id, action, object_), ask.now()
    if now - seen.get(key, -_VIEW_SECONDS) < _VIEW_SECONDS:
        return
    if len(seen) >= _VIEWS_MAX:
        seen.clear()
    await ask.audit(action, object_)
    seen[key] = now
