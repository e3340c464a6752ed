"""What a node holds: its own feed, which it writes, and the feeds it follows.

A replica changes only inside `begin` … `commit`/`rollback`, one store transaction each, and keeps
in memory just what that transaction made durable. Every path into the store leads through here:
`append` for the own feed, `receive` for segments, `receive_disclosed` for late answers,
`adopt_cosignature` for what a witness returned.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from huying.common.checkpoint import open_checkpoint, parse_checkpoint
from huying.common.codes import Origin, parse_origin
from huying.common.effects import AppendReceipt, DraftEntry
from huying.common.errors import STORE_FAULTS, Code, HuyingError
from huying.common.intake import Intake, Reader, judge, judge_entry
from huying.common.late import settle
from huying.common.leaf import unpack_openings
from huying.common.limits import ENTRY_BYTES_MAX
from huying.common.mending import mend
from huying.common.merkle import CompactRange, leaf_hash, range_hashes, root
from huying.common.note import parse_note
from huying.common.outgoing import entry_hash, tree_reader
from huying.common.own_feed import OwnFeed
from huying.common.ports import Clock, Entropy, Store
from huying.common.records import STATEMENT_TYPES, member_record
from huying.common.roster import Identity, Pin, Roster
from huying.common.segment import ForkError, Segment, verify_segment
from huying.common.state import Applied, ClassMark, FeedState, Missing, StoredCheckpoint
from huying.common.witness import countersign, merge_cosignature
from huying.wire.v1 import feed_pb2, sync_pb2, trust_pb2

__all__ = ["Reaction", "Replica"]

# What a statement does; HuyingError quarantines it. True at the start, when it is heard again.
Reaction = Callable[[Applied, bool], None]

AHEAD_MAX: Final = 64  # signed checkpoints of a feed that are beyond what is held


@dataclass(slots=True)
class _Saved:
    """What a rollback returns to."""

    feeds: dict[str, FeedState]
    ahead: dict[str, tuple[StoredCheckpoint, ...]]
    missing: dict[str, tuple[Missing, ...]]


class Replica:
    """The feeds of one node over one store."""

    def __init__(
        self, identity: Identity, roster: Roster, store: Store, clock: Clock, entropy: Entropy
    ) -> None:
        self.identity = identity
        self.roster = roster
        self.store = store
        self._clock = clock
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
        self.reactions: dict[int, Reaction] = {feed_pb2.RECORD_TYPE_MEMBER: self._learn}
        self.may_cosign = True
        self._readers: dict[int, Reader] = {}
        self._saved: _Saved | None = None
        self._applied: list[Applied] = []
        self._dirty: set[str] = set()

    @property
    def own(self) -> FeedState:
        """The own feed."""
        return self.feeds[self.identity.origin]

    # The transaction.

    def begin(self) -> None:
        """Remember what a rollback returns to. The store's transaction is the caller's."""
        self._saved = _Saved(dict(self.feeds), dict(self._ahead), dict(self.missing))
        self._own_feed.begin()
        self._applied = []
        self._dirty.clear()

    def rollback(self) -> None:
        """Forget everything since `begin`."""
        assert self._saved is not None
        self.feeds, self._ahead, self.missing = (
            self._saved.feeds,
            self._saved.ahead,
            self._saved.missing,
        )
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
            self._set(self._own_feed.flush(self.own))
        applied, self._applied = self._applied, []
        if any(entry.head.type in STATEMENT_TYPES for entry in applied):
            # What is refused is not journalled: a start learns from the journal, in its order.
            applied = [entry for entry in applied if self._react(entry)]
        if applied:
            self.store.apply(applied)
        return applied

    def replay(self) -> list[HuyingError]:
        """Learn again, at the start, from every statement that was accepted before.

        Returns what was refused this time: then somebody changed the pins or the store.
        """
        refused = []
        origins = {feed.feed_id: feed for feed in self.feeds.values()}
        for feed_id, index, stored in self.store.statements():
            reader = self._reader(origins[feed_id])
            if stored.leaf is None:
                continue
            verdict = judge_entry(reader, stored.leaf, unpack_openings(stored.openings))
            if verdict.head is None or verdict.message is None:
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
                self.reactions[verdict.head.type](entry, True)
            except HuyingError as error:
                refused.append(error)
            except KeyError:
                continue
        return refused

    def _react(self, entry: Applied) -> bool:
        """Let a statement take effect; False where it is refused."""
        reaction = self.reactions.get(entry.head.type)
        if reaction is None:
            return True
        if not entry.message.ListFields():
            return False  # its opening is missing; when it comes the entry is applied again
        try:
            reaction(entry, False)
        except HuyingError as error:
            if error.code in STORE_FAULTS:
                raise
            self.store.quarantine(
                entry.feed_id, entry.index, error.code, error.detail, self._clock.now()
            )
            feed = self.feeds[str(Origin(self.identity.network, entry.home, entry.epoch))]
            self._set(replace(feed, quarantined=feed.quarantined + 1))
            return False
        return True

    def _learn(self, entry: Applied, _replaying: bool) -> None:
        """Trust the keys that a parent names. Raises HuyingError(KEY or BAD_RECORD)."""
        member = entry.message
        assert isinstance(member, trust_pb2.Member)
        keys = member.feed_key, member.witness_key, member.certificate_sha256
        if entry.head.record != member_record(member.code):
            raise HuyingError(Code.BAD_RECORD, f"not the record of member {member.code}")
        self.roster.add(Pin(member.code, member.name, *keys))

    # The own feed.

    def append(self, drafts: Sequence[DraftEntry]) -> tuple[AppendReceipt, ...]:
        """Compose all drafts, or none. Raises as `OwnFeed.compose`."""
        receipts, applied = self._own_feed.compose(self.own, drafts)
        self._applied.extend(applied)
        return receipts

    def known_request(self, request_id: bytes) -> tuple[int, bytes] | None:
        """(index, record) of a request that was written, in this transaction or an earlier one."""
        return self._own_feed.known_request(request_id)

    # Other nodes' feeds.

    def receive(self, segment: Segment) -> Intake:
        """Steps 1 to 7 for a segment from a peer entitled to send this feed.

        Raises HuyingError with the codes of `verify_segment`, or UNKNOWN_ORIGIN. Fork evidence is
        kept and the feed frozen before a ForkError leaves.
        """
        key = self.roster.feed_key(segment.origin)
        if key is None:
            raise HuyingError(Code.UNKNOWN_ORIGIN, segment.origin)
        feed = self.feeds.get(segment.origin) or FeedState(feed_id=0, origin=segment.origin)
        try:
            accepted = verify_segment(feed, key, segment, self._ahead.get(segment.origin, ()))
        except ForkError as error:
            self._set(replace(feed, frozen=error.first + b"\n" + error.second))
            raise
        if accepted is None:
            return Intake()
        if not feed.feed_id:
            feed = self.store.create_feed(segment.origin)
        reader = self._reader(feed)
        now = self._clock.now()
        intake = judge(reader, accepted.start, accepted.entries, accepted.hashes, feed.classes, now)
        store = self.store
        store.add_entries(feed.feed_id, accepted.start, intake.stored)
        store.add_subtrees(feed.feed_id, accepted.subtrees)
        store.put_checkpoint(feed.feed_id, accepted.head)
        for index, code, detail in intake.quarantined:
            store.quarantine(feed.feed_id, index, code, detail, now)
        if intake.missing:
            self._change_missing(feed, (), intake.missing)
        self._applied.extend(intake.applied)
        ahead = [*self._ahead.get(feed.origin, ()), accepted.head]
        ahead = [seen for seen in ahead if seen.size > accepted.size]
        ahead.sort(key=lambda seen: seen.size)
        # An origin may sign any number of them: those that are passed next stay, and the newest.
        self._ahead[feed.origin] = (*ahead[: AHEAD_MAX - 1], *ahead[AHEAD_MAX - 1 :][-1:])
        self._set(
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
                quarantined=feed.quarantined + len(intake.quarantined),
            )
        )
        return intake

    def receive_disclosed(self, origin: str, index: int, entry: feed_pb2.Entry) -> bool:
        """Fill in one entry from a late answer; True where it brought anything.

        Raises HuyingError(BAD_PROOF) where the leaf is not the one held as a hash, LIMIT_EXCEEDED
        for an entry over 16 KiB, OPENING_MISMATCH or BREACH where an opening does not belong here.
        """
        feed = self.feeds.get(origin)
        if feed is None or index >= feed.size:
            raise HuyingError(Code.NOT_SERVED, f"entry {index} of {origin} is not held")
        if len(entry.leaf) + sum(map(len, entry.openings)) > ENTRY_BYTES_MAX:
            raise HuyingError(Code.LIMIT_EXCEEDED, f"an entry over {ENTRY_BYTES_MAX} bytes")
        held = self.store.entries(feed.feed_id, index, index + 1)[0]
        if leaf_hash(entry.leaf) != entry_hash(held):
            raise HuyingError(Code.BAD_PROOF, f"another leaf for entry {index} of {origin}")
        before = unpack_openings(held.openings)
        known = {opening[0] for opening in before}
        fresh = [o for o in entry.openings if o and o[0] not in known]
        reader = self._reader(feed)
        verdict = judge_entry(reader, entry.leaf, sorted((*before, *fresh)))
        gained = len(verdict.present) - len(before)
        if verdict.breaches:
            raise HuyingError(Code.BREACH, f"entry {index} of {origin}")
        if verdict.mismatches:
            raise HuyingError(Code.OPENING_MISMATCH, f"entry {index} of {origin}")
        if gained <= 0 and held.leaf is not None:
            return False
        self.store.set_entry(feed.feed_id, index, verdict.entry)
        settlement = settle(
            self.missing.get(origin, ()),
            feed.classes,
            index,
            verdict,
            newly_headed=not before,
            now=self._clock.now(),
        )
        if settlement.old or settlement.new:
            self._change_missing(feed, settlement.old, settlement.new)
        hidden = held.leaf is None
        shown = len(verdict.slots) - len(verdict.present)
        was_shown = 0 if hidden else len(verdict.slots) - len(before)
        quarantined = list(settlement.quarantine)
        if verdict.quarantine is not None:
            quarantined.append((index, *verdict.quarantine))
        for place, code, detail in quarantined:
            self.store.quarantine(feed.feed_id, place, code, detail, self._clock.now())
        if verdict.head is not None and verdict.message is not None and settlement.counts:
            self._applied.append(
                Applied(
                    feed.feed_id,
                    reader.origin.code,
                    reader.origin.epoch,
                    index,
                    verdict.head,
                    verdict.slots,
                    verdict.present,
                    verdict.message,
                )
            )
        self._set(
            replace(
                feed,
                classes={**feed.classes, **settlement.classes},
                openings_held=feed.openings_held + gained,
                openings_withheld=feed.openings_withheld + shown - was_shown,
                entries_hidden=feed.entries_hidden - hidden,
                quarantined=feed.quarantined + len(quarantined),
            )
        )
        return gained > 0

    def mend(self, message: sync_pb2.Disclose) -> None:
        """Put leaves in place of damaged ones. Raises as `huying.common.mending.mend`."""
        reader = self._reader(self.feeds[message.origin])
        self._applied.extend(mend(self, reader, message, self._clock.now()))
        self._dirty.add(message.origin)

    def add_gap(self, origin: str, row: Missing) -> None:
        """Note a gap at the end of a feed, which a pulse showed; later numbers go on behind it."""
        feed = self.feeds[origin]
        self._change_missing(feed, (), (row,))
        mark = ClassMark(row.last, row.stop - 1)
        self._set(replace(feed, classes={**feed.classes, row.name: mark}))

    def _change_missing(
        self, feed: FeedState, old: Sequence[Missing], new: Sequence[Missing]
    ) -> None:
        self.store.replace_missing(feed.feed_id, old, new)
        rows = [row for row in self.missing.get(feed.origin, ()) if row not in old]
        rows.extend(new)
        if rows:
            self.missing[feed.origin] = tuple(rows)
        else:
            self.missing.pop(feed.origin, None)

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

    def adopt_cosignature(self, peer: str, data: bytes) -> None:
        """Keep the cosignature that witness `peer` returned on a checkpoint of the own feed.

        Raises HuyingError(NOT_ENROLLED, NOT_FOUND), or as `merge_cosignature`.
        """
        witness = self.roster.witness_key(peer)
        if witness is None:
            raise HuyingError(Code.NOT_ENROLLED, f"no witness key of {peer}")
        own = self.own
        size = parse_checkpoint(parse_note(data).text).size
        found = self.store.checkpoints(own.feed_id, size - 1, size, newest_first=True, limit=1)
        if not found:
            raise HuyingError(Code.NOT_FOUND, f"no checkpoint of size {size} was kept")
        merged = merge_cosignature(found[0], data, self.identity.feed_signer.key, witness)
        self.store.put_checkpoint(own.feed_id, merged)
        witnessed = own.witnessed
        self._set(
            replace(
                own,
                head=merged if own.head is not None and own.head.size == size else own.head,
                witnessed=merged if witnessed is None or witnessed.size <= size else witnessed,
            )
        )

    # Reading.

    def signed_and_held(self, note: bytes) -> bool:
        """Whether a checkpoint note of the own feed stands in what is held.

        Raises HuyingError(BAD_NOTE or BAD_SIGNATURE) for one that this node never signed.
        """
        signed = open_checkpoint(note, self.identity.feed_signer.key).checkpoint
        own = self.own
        return signed.size <= own.size and self.root_at(own, signed.size) == signed.root

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

    def _reader(self, feed: FeedState) -> Reader:
        reader = self._readers.get(feed.feed_id)
        if reader is None:
            reader = Reader(self.identity.code, feed.origin, feed.feed_id)
            self._readers[feed.feed_id] = reader
        return reader

    def _set(self, feed: FeedState) -> None:
        if not feed.feed_id:  # a fork seen before anything was held
            feed = replace(self.store.create_feed(feed.origin), frozen=feed.frozen)
        self.feeds[feed.origin] = feed
        self._dirty.add(feed.origin)
