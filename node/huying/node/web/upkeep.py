"""What the console forgets: old sessions, drafts, audit rows and imports, erased pictures."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Final

from huying.common.codes import Level
from huying.common.errors import HuyingError
from huying.node import logs
from huying.node.store.reader import Reader
from huying.node.web.access.audit import Audit
from huying.node.web.access.sessions import Sessions
from huying.node.web.calling.calling_reads import named_by_drafts
from huying.node.web.drafts import Drafts
from huying.node.web.ledger.sheet_jobs import Jobs
from huying.node.web.store import ConsoleStore

if TYPE_CHECKING:
    from huying.node.web.app import Site

__all__ = ["keep_tidy", "tidy", "tidy_imports", "tidy_pictures"]

_EVERY_SECONDS: Final = 3600.0


def tidy(store: ConsoleStore, sessions: Sessions, now: float) -> None:
    """Remove what is too old. Once at each start is enough. Raises HuyingError as the store."""
    sessions.forget_over(now)
    Drafts(store).forget_old(now)
    audit = Audit(store)
    if count := audit.prune(now):
        audit.write(now, "-", "audit-prune", detail=f"{count} rows were a year old")


async def tidy_pictures(site: Site) -> int:
    """Remove the pictures that no entry of this node holds any more, nor a draft names; how many.

    Raises HuyingError as the stores.
    """
    own, now = site.node.code, site.clock.now()

    def work(reader: Reader) -> int:
        drafted = named_by_drafts(reader, own, now)

        def stands(digest: bytes, subject: bytes) -> bool | None:
            found = reader.evidence_stands(own, digest, subject)
            return True if found is None and digest in drafted else found

        return site.uploads.tidy(now, stands)

    return await site.node.read(work)


async def tidy_imports(site: Site) -> None:
    """Remove what was brought in to be imported and is too old, though nobody looks at it again.

    Raises HuyingError as the folders.
    """
    now = site.clock.now()
    if site.node.level is Level.VILLAGE:
        await site.on_thread(partial(Jobs(site.console.folder).forget_old, now))
    for forget in site.forgetting:
        await site.on_thread(partial(forget, now))


async def keep_tidy(site: Site) -> None:
    """Tidy now, and every hour while the console runs. Ends when it is cancelled."""
    while True:
        try:
            now = site.clock.now()
            await site.on_thread(partial(tidy, site.console, site.sessions, now))
            await site.on_thread(site.audit.tell)
            await tidy_imports(site)
            await tidy_pictures(site)
        except HuyingError as error:
            # A database that is away, or busy, is tidied an hour later.
            logs.say("console_untidy", code=error.code.name, detail=error.detail)
        await asyncio.sleep(_EVERY_SECONDS)
