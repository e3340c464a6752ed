"""What the console's store forgets by age: sessions that are over, old drafts, old audit rows."""

from __future__ import annotations

from huying.node.web.audit import Audit
from huying.node.web.drafts import Drafts
from huying.node.web.sessions import Sessions
from huying.node.web.store import ConsoleStore

__all__ = ["tidy"]


def tidy(store: ConsoleStore, sessions: Sessions, now: float) -> None:
    """Remove what is too old. Once at each start is enough. Raises HuyingError as the store."""
    sessions.forget_over(now)
    Drafts(store).forget_old(now)
    audit = Audit(store)
    if count := audit.prune(now):
        audit.write(now, "-", "audit-prune", detail=f"{count} rows were a year old")
