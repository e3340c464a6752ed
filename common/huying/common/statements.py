"""Entries that say something about trust, loss, erasure or disclosure, and what they do.

Each type has one reaction, called in the transaction that applies the entry. A reaction that raises
quarantines the entry; one that returns has it journalled, and is called again, in the journal's
order, at every start. So what statements said is kept in memory alone, by *keepers*, who go back to
what they knew before where the transaction fails.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from huying.common.codes import Origin
from huying.common.errors import STORE_FAULTS, HuyingError
from huying.common.feed.leaf import unpack_openings
from huying.common.intake import judge_entry
from huying.common.membership.ending import ended
from huying.common.state import Applied

if TYPE_CHECKING:
    from huying.common.replica import Replica

__all__ = ["Keeper", "Reaction", "Statements"]

# What a statement does; HuyingError quarantines it. True at the start, when it is heard again.
Reaction = Callable[[Applied, bool], None]


class Keeper(Protocol):
    """Whoever keeps in memory what statements said."""

    def save(self) -> object:
        """What `restore` goes back to."""
        ...

    def restore(self, saved: object) -> None:
        """Forget everything since `save`."""
        ...


class Statements:
    """The reactions of one replica."""

    def __init__(self, replica: Replica) -> None:
        self.reactions: dict[int, Reaction] = {}  # by record type
        self.keepers: tuple[Keeper, ...] = ()
        self._replica = replica
        self._kept: list[tuple[Keeper, object]] | None = None

    # The transaction.

    def begin(self) -> None:
        """A transaction begins, in which nothing was said yet."""
        self._kept = []

    def rollback(self) -> None:
        """Nothing was said since `begin`."""
        for keeper, saved in self._kept or ():
            keeper.restore(saved)
        self._kept = None

    def keep(self) -> None:
        """Remember what was said so far, before it changes in this transaction."""
        if self._kept is not None and not self._kept:
            self._kept = [(keeper, keeper.save()) for keeper in self.keepers]

    # Reacting.

    def replay(self) -> list[HuyingError]:
        """Learn again, at the start, from every statement that was accepted before.

        Returns what was refused this time: then somebody changed the pins or the store.
        """
        refused = []
        replica = self._replica
        feeds = {feed.feed_id: feed for feed in replica.feeds.values()}
        for feed_id, index, stored in replica.store.statements():
            reader = replica.reader_of(feeds[feed_id])
            if stored.leaf is None:
                continue
            verdict = judge_entry(reader, stored.leaf, unpack_openings(stored.openings))
            if verdict.head is None or verdict.message is None:
                continue
            reaction = self.reactions.get(verdict.head.type)
            if reaction is None:
                continue
            entry = Applied(
                feed_id,
                reader.origin.code,
                reader.origin.epoch,
                index,
                verdict.head,
                verdict.slots,
                verdict.present,
                verdict.message,
            )
            try:
                reaction(entry, True)
            except HuyingError as error:
                refused.append(error)
        return refused

    def take(self, entry: Applied) -> bool:
        """Let an entry take effect; False where it is refused.

        Any entry may be: the same segment may have brought its epoch's end, and it lies behind.
        """
        epoch = self._replica.roster.epoch(self._origin_of(entry))
        if epoch is not None and epoch.stop is not None and entry.index >= epoch.stop:
            self._quarantine(entry, ended(epoch))
            return False
        reaction = self.reactions.get(entry.head.type)
        if reaction is None:
            return True
        if not entry.message.ListFields():
            return False  # its opening is missing; when it comes the entry is applied again
        self.keep()
        try:
            reaction(entry, False)
        except HuyingError as error:
            if error.code in STORE_FAULTS:
                raise
            self._quarantine(entry, error)
            return False
        return True

    def _quarantine(self, entry: Applied, error: HuyingError) -> None:
        replica = self._replica
        feed = replica.feeds[self._origin_of(entry)]
        fault = entry.index, error.code, error.detail
        newly = replica.quarantine(feed, (fault,), replica.clock.now())
        replica.put(replace(feed, quarantined=feed.quarantined + newly))

    def _origin_of(self, entry: Applied) -> str:
        return str(Origin(self._replica.identity.network, entry.home, entry.epoch))
