"""What an erasure leaves to do besides deleting: the receipt, the list beside the mark, the log.

Receipts gather for a few seconds, so that a night's erasures are confirmed by one entry. The list
is written after the commit and before anything leaves the node; a store that was restored from an
older copy is brought up to it before the first frame. What was deleted must not stay in the
database's log either, so the store is asked to empty it, again and again while somebody reads.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from huying.common.effects import Notice, NoticeKind
from huying.common.errors import Code, HuyingError
from huying.common.limits import SCRUB_RETRY_SECONDS
from huying.common.ports import ErasureList, Store

if TYPE_CHECKING:
    from huying.common.engine import Engine

__all__ = ["Disposal"]

_NEVER = float("inf")


class Disposal:
    """The leavings of one engine's erasures, and of disclosures that ran out."""

    def __init__(self, engine: Engine, store: Store, erasure_list: ErasureList | None) -> None:
        self._engine = engine
        self._store = store
        self._list = erasure_list
        self._receipts_due = _NEVER  # monotonic seconds
        self._scrub_due = _NEVER

    def start(self) -> None:
        """Erase again what a restored store holds, before anything is served.

        Raises HuyingError(CORRUPT) where the list was altered, or the store's failures.
        """
        replica = self._engine.replica
        if self._list is not None:
            listed = self._list.read()
            replica.begin()
            try:
                with self._store.transaction():
                    replica.erasures.adopt(listed)
                    replica.commit()
            except BaseException:
                replica.rollback()
                raise
            known = set(listed)
            unlisted = [span for span in self._store.erased() if span not in known]
            if unlisted:
                self._list.append(unlisted)
        # A crash may have come between an erasure and the emptying of the log.
        self._scrub_due = self._engine.clock.monotonic()

    def within(self) -> None:
        """In every transaction: what runs out by the clock, and the receipts that are due."""
        engine = self._engine
        replica = engine.replica
        replica.grants.tick(engine.clock.now())
        now = engine.clock.monotonic()
        if not replica.erasures.owes:
            self._receipts_due = _NEVER
            return
        if self._receipts_due == _NEVER:
            self._receipts_due = now + engine.settings.receipt_seconds
        if now >= self._receipts_due and engine.state == "live" and engine.confirmed:
            self._receipts_due = _NEVER
            replica.append(replica.erasures.receipts())

    def committed(self) -> None:
        """The transaction is durable, and nothing has left yet.

        Raises HuyingError(STORE_FAILED) where the list can't be written: a restore would bring
        back what was erased.
        """
        replica = self._engine.replica
        fresh = list(replica.erasures.fresh)
        if fresh or replica.grants.took_away:
            self._scrub_due = self._engine.clock.monotonic()
        if not fresh:
            return
        self._engine.notify(Notice(NoticeKind.ERASED, tuple(fresh)))
        if self._list is not None:
            try:
                self._list.append(fresh)
            except HuyingError as error:
                detail = f"the list of erasures: {error.code.name}: {error.detail}"
                raise HuyingError(Code.STORE_FAILED, detail) from error

    def scrub(self) -> None:
        """Outside every transaction: leave nothing deleted in the store's files.

        Raises HuyingError(STORE_FAILED). A full disk just makes it wait.
        """
        now = self._engine.clock.monotonic()
        if now < self._scrub_due:
            return
        try:
            done = self._store.scrub()
        except HuyingError as error:
            if error.code is not Code.DISK_FULL:
                raise
            done = False
        self._scrub_due = _NEVER if done else now + SCRUB_RETRY_SECONDS

    def timers(self) -> Iterator[float]:
        """When there is something to do though nothing came; monotonic seconds."""
        engine = self._engine
        yield self._scrub_due
        if engine.state == "live" and engine.confirmed:
            yield self._receipts_due
        end = engine.replica.grants.next_end()
        if end != _NEVER:
            yield engine.clock.monotonic() + max(0.0, end - engine.clock.now())
