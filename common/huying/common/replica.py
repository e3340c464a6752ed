"""What a node holds: its own feed, which it writes, and the feeds it follows.

A replica changes only inside `begin` … `commit`/`rollback`, one store transaction each, and keeps
in memory just what that transaction made durable. Every path into the store leads through here:
`append` for the own feed, `receive` for segments, `receive_disclosed` for late answers; and
`huying.common.integrity.witness` for what a witness returned.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from huying.common.codes import parse_origin
from huying.common.effects import AppendReceipt, DraftEntry
from huying.common.errors import Code, HuyingError
from huying.common.feed.merkle import CompactRange, range_hashes, root
from huying.common.feed.note import Signer, VerifierKey
from huying.common.feed.segment import Segment, verify_segment
from huying.common.intake import Intake, Reader, judge
from huying.common.integrity.evidence import ForkError, ForkEvidence
from huying.common.integrity.mending import mend
from huying.common.integrity.witness import compare, countersign
from huying.common.late.erasure import Erasures
from huying.common.late.filling import fill_in
from huying.common.late.grants import Grants
from huying.common.membership.ending import cut_at_end, ended
from huying.common.membership.roster import Identity, Roster
from huying.common.own_feed import OwnFeed
from huying.common.ports import Clock, Entropy, Store
from huying.common.records.registry import STATEMENT_TYPES
from huying.common.state import Applied, ClassMark, FeedState, Missing, StoredCheckpoint
from huying.common.statements import Statements
from huying.common.sync.outgoing import tree_reader
from huying.wire.v1 import feed_pb2, sync_pb2

__all__ = ["Replica"]

AHEAD_MAX: Final = 64  # signed checkpoints of a feed that are beyond what is held


@dataclass(slots=True)
class _Saved:
    """What a rollback returns to."""

    feeds: dict[str, FeedState]
    ahead: dict[str, tuple[StoredCheckpoint, ...]]
    missing: dict[str, tuple[Missing, ...]]
    identity: Identity
    own_feed: OwnFeed


class Replica:
    """The feeds of one node over one store."""

    def __init__(
        self, identity: Identity, roster: Roster, store: Store, clock: Clock, entropy: Entropy
    ) -> None:
        self.identity = identity
        self.roster = roster
        self.store = store
        self._clock = clock
        self._entropy = entropy
        self.feeds: dict[str, FeedState] = {feed.origin: feed for feed in store.feeds()}
        self.missing: dict[str, tuple[Missing, ...]] = {}
        self._ahead: dict[str, tuple[StoredCheckpoint, ...]] = {}
        for feed in self.feeds.values():
            ahead = store.checkpoints(
                feed.feed_id, feed.size, 2**62, newest_first=False, limit=AHEAD_MAX
            )
            if feed.cosigned is not None and feed.cosigned.size > feed.size:
                ahead.append(feed.cosigned)  # a damaged copy was rewound below it
                ahead.sort(key=lambda seen: seen.size)
            self._ahead[feed.origin] = tuple(ahead)
            if missing := store.missing(feed.feed_id):
                self.missing[feed.origin] = tuple(missing)
        if identity.origin not in self.feeds:
            with store.transaction():
                self.feeds[identity.origin] = store.create_feed(identity.origin)
        self._own_feed = OwnFeed(identity.feed_signer, self.own.feed_id, store, clock, entropy)
        self.statements = Statements(self)
        self.erasures = Erasures(self)
        self.grants = Grants(self)
        self.may_cosign = True
        self._readers: dict[int, Reader] = {}
        self._saved: _Saved | None = None
        self._applied: list[Applied] = []
        self._changed: dict[tuple[int, int], Applied] = {}
        self._dirty: set[str] = set()

    @property
    def own(self) -> FeedState:
        """The own feed."""
        return self.feeds[self.identity.origin]

    @property
    def clock(self) -> Clock:
        """This node's clock."""
        return self._clock

    # The transaction.

    def begin(self) -> None:
        """Remember what a rollback returns to. The store's transaction is the caller's."""
        self._saved = _Saved(
            dict(self.feeds),
            dict(self._ahead),
            dict(self.missing),
            self.identity,
            self._own_feed,
        )
        self.statements.begin()
        self._own_feed.begin()
        self._applied = []
        self._changed.clear()
        self._dirty.clear()
        self.erasures.begin()
        self.grants.begin()

    def rollback(self) -> None:
        """Forget everything since `begin`."""
        assert self._saved is not None
        self.feeds, self._ahead, self.missing = (
            self._saved.feeds,
            self._saved.ahead,
            self._saved.missing,
        )
        self.identity, self._own_feed = self._saved.identity, self._saved.own_feed
        self.statements.rollback()
        self.erasures.rollback()
        self.grants.rollback()
        self._readers.clear()  # of feeds that were not created after all
        self._saved = None

    def commit(self) -> set[str]:
        """Write what the transaction changed, cosigning what may be; the origins that changed.

        `rollback` still takes all of it back, for the store's commit comes after this and may fail.
        """
        self.flush()
        for origin in self._dirty:
            self._cosign(origin)
            self.store.put_feed(self.feeds[origin])
        return set(self._dirty)

    def flush(self) -> list[Applied]:
        """Store the composed entries under checkpoints, and project all that was applied.

        Returns what was projected, so that a sequencer can be asked what it makes of it.
        """
        if self._own_feed.waiting:
            self.put(self._own_feed.flush(self.own))
        applied, self._applied = self._applied, []
        if any(entry.head.type in STATEMENT_TYPES for entry in applied):
            # What is refused is not journalled: a start learns from the journal, in its order.
            applied = [entry for entry in applied if self.statements.take(entry)]
        if self._changed:
            changed, self._changed = self._changed, {}
            applied = [changed.pop((one.feed_id, one.index), one) for one in applied]
            applied += changed.values()
        if applied:
            self.store.apply(applied)
        return applied

    # The own feed.

    def append(self, drafts: Sequence[DraftEntry]) -> tuple[AppendReceipt, ...]:
        """Compose all drafts, or none. Raises as `OwnFeed.compose`."""
        receipts, applied = self._own_feed.compose(self.own, drafts)
        self._applied.extend(applied)
        return receipts

    def known_request(self, request_id: bytes) -> tuple[str, int, bytes] | None:
        """(origin, index, record) of a request that was written, just now or long ago."""
        return self._own_feed.known_request(request_id)

    def begin_epoch(self, signer: Signer) -> None:
        """Go on under another key, in a feed of its own. What was composed is stored before."""
        self.flush()
        former = (*self.identity.former, self.identity.feed_signer.key)
        self.identity = replace(self.identity, feed_signer=signer, former=former)
        if signer.name not in self.feeds:
            self.feeds[signer.name] = self.store.create_feed(signer.name)
        feed_id = self.own.feed_id
        self._own_feed = OwnFeed(signer, feed_id, self.store, self._clock, self._entropy)
        self._dirty.add(signer.name)

    # Other nodes' feeds.

    def receive(self, segment: Segment) -> Intake:
        """Steps 1 to 7 for a segment from a peer entitled to send this feed.

        Raises HuyingError with the codes of `verify_segment`, or UNKNOWN_ORIGIN. Fork evidence is
        kept and the feed frozen before a ForkError leaves. Of a segment that runs over the end of
        its epoch what lies before it is kept, and REVOKED or EPOCH_CLOSED raised for the rest.
        """
        key = self.feed_key(segment.origin)
        if key is None:
            raise HuyingError(Code.UNKNOWN_ORIGIN, segment.origin)
        feed = self.feeds.get(segment.origin) or FeedState(feed_id=0, origin=segment.origin)
        try:
            accepted = verify_segment(feed, key, segment, self._ahead.get(segment.origin, ()))
        except ForkError as error:
            self.freeze(segment.origin, error.evidence)
            raise
        except HuyingError as error:
            if error.code is Code.STALE_SIZE:  # old, or another history?
                compare(self, segment.origin, segment.note)
            raise
        epoch = self.roster.epoch(segment.origin)
        refused = None
        if accepted is not None and epoch is not None and epoch.stop is not None:
            whole = accepted
            accepted = cut_at_end(feed, whole, epoch.stop)
            if accepted is None:
                raise ended(epoch)
            refused = ended(epoch) if accepted is not whole else None
        if accepted is None:
            return Intake()
        if not feed.feed_id:
            feed = self.store.create_feed(segment.origin)
        reader = self.reader_of(feed)
        now = self._clock.now()
        intake = judge(reader, accepted.start, accepted.entries, accepted.hashes, feed.classes, now)
        store = self.store
        store.add_entries(feed.feed_id, accepted.start, intake.stored)
        store.add_subtrees(feed.feed_id, accepted.subtrees)
        store.put_checkpoint(feed.feed_id, accepted.head)
        newly = self.quarantine(feed, intake.quarantined, now)
        # Of the own feed, recovery asks everybody for whatever is not there.
        if intake.missing and segment.origin != self.identity.origin:
            self.change_missing(feed, (), intake.missing)
        self._applied.extend(intake.applied)
        ahead = [*self._ahead.get(feed.origin, ()), accepted.head]
        ahead = [seen for seen in ahead if seen.size > accepted.size]
        ahead.sort(key=lambda seen: seen.size)
        # An origin may sign any number of them: those that are passed next stay, and the newest.
        self._ahead[feed.origin] = (*ahead[: AHEAD_MAX - 1], *ahead[AHEAD_MAX - 1 :][-1:])
        self.put(
            replace(
                feed,
                size=accepted.size,
                frontier=accepted.frontier,
                head=accepted.head,
                rest=accepted.rest,
                classes={**feed.classes, **intake.classes} if intake.classes else feed.classes,
                openings_held=feed.openings_held + intake.openings_held,
                openings_withheld=feed.openings_withheld + intake.openings_withheld,
                entries_hidden=feed.entries_hidden + intake.hidden,
                quarantined=feed.quarantined + newly,
            )
        )
        if refused is not None:
            raise refused
        return intake

    def receive_disclosed(self, origin: str, index: int, entry: feed_pb2.Entry) -> bool:
        """Fill in one entry from a late answer; True where it brought anything.

        Raises as `huying.common.late.filling.fill_in`.
        """
        gained, verdict = fill_in(self, origin, index, entry, self._clock.now())
        self.grants.filled(origin, index, verdict)
        return gained

    def mend(self, message: sync_pb2.Disclose) -> None:
        """Put leaves in place of damaged ones. Raises as `huying.common.integrity.mending.mend`."""
        reader = self.reader_of(self.feeds[message.origin])
        self._applied.extend(mend(self, reader, message, self._clock.now()))
        self._dirty.add(message.origin)

    def add_gap(self, origin: str, row: Missing) -> None:
        """Note a gap at the end of a feed, which a pulse showed; later numbers go on behind it."""
        feed = self.feeds[origin]
        self.change_missing(feed, (), (row,))
        mark = ClassMark(row.last, row.stop - 1)
        self.put(replace(feed, classes={**feed.classes, row.name: mark}))

    def change_missing(
        self, feed: FeedState, old: Sequence[Missing], new: Sequence[Missing]
    ) -> None:
        """Take rows off the list of what is missing in a feed, and put others on."""
        self.store.replace_missing(feed.feed_id, old, new)
        rows = [row for row in self.missing.get(feed.origin, ()) if row not in old]
        rows.extend(new)
        if rows:
            self.missing[feed.origin] = tuple(rows)
        else:
            self.missing.pop(feed.origin, None)

    def quarantine(
        self, feed: FeedState, faults: Sequence[tuple[int, Code, str]], now: float
    ) -> int:
        """Note why entries were kept opaque; how many wait in quarantine that did not before.

        A fault is (index, code, detail). One that comes late to an entry that is there already, or
        that somebody has acknowledged, adds nothing to the count.
        """
        newly = 0
        for index, code, detail in faults:
            newly += not self.store.quarantined(feed.feed_id, index, index + 1)
            self.store.quarantine(feed.feed_id, index, code, detail, now)
        return newly

    def wanted(self) -> Mapping[str, tuple[Missing, ...]]:
        """What is to be asked for, by origin: what is missing, and what disclosures opened."""
        granted = self.grants.wants
        if not granted:
            return self.missing
        origins = {**self.missing, **granted}
        return {one: self.missing.get(one, ()) + granted.get(one, ()) for one in origins}

    # Forks.

    def freeze(self, origin: str, evidence: ForkEvidence) -> bool:
        """Keep the evidence, and take no more of the feed; False where it was frozen before."""
        feed = self.feeds.get(origin) or FeedState(feed_id=0, origin=origin)
        if feed.frozen:
            return False
        self.put(replace(feed, frozen=evidence.encode(origin)))
        return True

    def expect(self, origin: str, signed: StoredCheckpoint) -> None:
        """Keep a verified checkpoint of more than is held: what comes must lead to it."""
        ahead = [*self._ahead.get(origin, ()), signed]
        self._ahead[origin] = tuple(sorted(ahead, key=lambda one: one.size)[:AHEAD_MAX])
        self.store.put_checkpoint(self.feeds[origin].feed_id, signed)

    # Witnessing.

    def _cosign(self, origin: str) -> None:
        """Cosign the newest checkpoint of a parent's or a child's feed, if it is held whole."""
        feed = self.feeds[origin]
        if not self.may_cosign or not self.roster.is_witness_of(parse_origin(origin).code):
            return
        signed = countersign(feed, self.identity.witness_signer, self._clock.now())
        if signed is not None:
            self.store.put_checkpoint(feed.feed_id, signed)
            self.feeds[origin] = replace(feed, head=signed, cosigned=signed)

    # Reading.

    def feed_key(self, origin: str) -> VerifierKey | None:
        """The key that signs a feed, the own one included; None where the roster tells none."""
        own = self.identity.feed_signer.key
        return own if origin == own.name else self.roster.feed_key(origin)

    def root_at(self, feed: FeedState, size: int) -> bytes:
        """The root of the first `size` entries, which must be held."""
        if feed.head is not None and feed.head.size == size:
            return feed.head.root
        if size == feed.size:
            return root(CompactRange(0, size, feed.frontier))
        reader = tree_reader(self.store, feed.feed_id)
        return root(CompactRange(0, size, range_hashes(0, size, reader)))

    def remote_head(self, feed: FeedState) -> int:
        """The newest signed size that was seen of a feed."""
        ahead = self._ahead.get(feed.origin, ())
        return max((feed.size, *(seen.size for seen in ahead)))

    def reader_of(self, feed: FeedState) -> Reader:
        """Who judges the entries of a feed for this node."""
        reader = self._readers.get(feed.feed_id)
        if reader is None:
            reader = Reader(self.identity.code, feed.origin, feed.feed_id)
            self._readers[feed.feed_id] = reader
        reader.erased = self.erasures.of(feed.origin)
        return reader

    def project(self, entries: Iterable[Applied]) -> None:
        """Have the projections show these entries, after what was applied before."""
        self._applied.extend(entries)

    def project_again(self, entries: Iterable[Applied]) -> None:
        """Have the projections show less of these entries, from which openings were taken."""
        self._changed.update({(entry.feed_id, entry.index): entry for entry in entries})

    def put(self, feed: FeedState) -> None:
        """The feed as it stands now, in the transaction that makes it so."""
        if not feed.feed_id:  # something is known of it before anything is held
            feed = replace(feed, feed_id=self.store.create_feed(feed.origin).feed_id)
        self.feeds[feed.origin] = feed
        self._dirty.add(feed.origin)
