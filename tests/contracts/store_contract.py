"""What every store must do, whatever database is under it. Subclass, and give `make_store`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from huying.common.errors import Code, HuyingError
from huying.common.feed.leaf import make_opening, pack_openings
from huying.common.late.spans import Span
from huying.common.ports import Store
from huying.common.records.registry import STATEMENT_TYPES
from huying.common.state import (
    Applied,
    ClassMark,
    FeedState,
    Missing,
    StoredCheckpoint,
    StoredEntry,
)
from huying.wire.v1 import feed_pb2, records_pb2, trust_pb2

VILLAGE = "370830108201"
ORIGIN = f"wenshang.example/feed/{VILLAGE}/e1"
OTHER_ORIGIN = "wenshang.example/feed/370830108000/e1"


def digest(number: int) -> bytes:
    """A recognisable 32-byte value."""
    return number.to_bytes(32, "big")


def checkpoint(size: int, note: bytes = b"note") -> StoredCheckpoint:
    return StoredCheckpoint(size, digest(size), note)


def entry(number: int) -> StoredEntry:
    """Every third is withheld whole."""
    if number % 3 == 2:
        return StoredEntry(None, digest(number), b"")
    return StoredEntry(b"leaf %d" % number, None, b"openings %d" % number)


class BrokenOnPurposeError(Exception):
    """Raised by tests in the middle of a transaction."""


class StoreContract:
    """Inherit as `class TestX(StoreContract)` and override `make_store`."""

    def make_store(self) -> AbstractContextManager[Store]:
        """A new, empty store, closed at the end."""
        raise NotImplementedError

    @pytest.fixture
    def store(self) -> Iterator[Store]:
        with self.make_store() as store:
            yield store

    @pytest.fixture
    def feed(self, store: Store) -> FeedState:
        with store.transaction():
            return store.create_feed(ORIGIN)

    # Transactions.

    def test_a_transaction_that_raises_leaves_nothing_behind(self, store: Store, feed: FeedState):
        """The engine's memory and the database may differ by one transaction, never by half."""

        def write_and_break() -> None:
            with store.transaction():
                store.add_entries(feed.feed_id, 0, [entry(0)])
                store.put_feed(FeedState(feed_id=feed.feed_id, origin=ORIGIN, size=1))
                store.create_feed(OTHER_ORIGIN)
                raise BrokenOnPurposeError

        with pytest.raises(BrokenOnPurposeError):
            write_and_break()
        assert store.entries(feed.feed_id, 0, 10) == []
        assert store.feeds() == [feed]

    def test_a_transaction_after_one_that_raised_works(self, store: Store, feed: FeedState):
        """One refused batch must not stop the node."""
        with pytest.raises(BrokenOnPurposeError), store.transaction():
            raise BrokenOnPurposeError
        with store.transaction():
            store.add_entries(feed.feed_id, 0, [entry(0)])
        assert store.entries(feed.feed_id, 0, 10) == [entry(0)]

    def test_a_transaction_sees_its_own_writes(self, store: Store, feed: FeedState):
        """The sequencer takes proposals in the transaction that brought them."""
        with store.transaction():
            store.add_entries(feed.feed_id, 0, [entry(0)])
            assert store.entries(feed.feed_id, 0, 1) == [entry(0)]

    def test_an_index_is_never_written_twice(self, store: Store, feed: FeedState):
        """Appending over an entry that is held would rewrite history: the store itself says no."""
        with store.transaction():
            store.add_entries(feed.feed_id, 0, [entry(0), entry(1)])
        with pytest.raises(HuyingError) as caught, store.transaction():
            store.add_entries(feed.feed_id, 1, [entry(4)])
        assert caught.value.code is Code.STORE_FAILED
        assert store.entries(feed.feed_id, 0, 9) == [entry(0), entry(1)]

    # Feeds.

    def test_feeds_come_in_the_order_of_their_creation(self, store: Store):
        """A node's own feed is made first, and stays first."""
        with store.transaction():
            first = store.create_feed(ORIGIN)
            second = store.create_feed(OTHER_ORIGIN)
        assert store.feeds() == [first, second]
        assert first.feed_id != second.feed_id

    def test_an_origin_has_one_feed(self, store: Store, feed: FeedState):
        """Two rows for one origin would be two truths."""
        with pytest.raises(HuyingError), store.transaction():
            store.create_feed(ORIGIN)

    def test_an_origin_that_is_no_origin_is_refused(self, store: Store):
        """The code and the epoch are read from it."""
        with pytest.raises(HuyingError), store.transaction():
            store.create_feed("nonsense")

    def test_a_feed_comes_back_as_it_was_put(self, store: Store, feed: FeedState):
        """Frontier, rest, checkpoint and running numbers stand or fall together."""
        state = FeedState(
            feed_id=feed.feed_id,
            origin=ORIGIN,
            size=7,
            frontier=(digest(1), digest(2), digest(3)),
            head=checkpoint(12, b"head"),
            rest=(digest(4), digest(5)),
            classes={"370830000000": ClassMark(3, 6), "370830108000/*": ClassMark(2**40, 2**47)},
            cosigned=checkpoint(7, b"cosigned"),
            witnessed=checkpoint(6, b"witnessed"),
            frozen=b"two notes",
            openings_held=11,
            openings_withheld=12,
            entries_hidden=13,
            quarantined=14,
        )
        with store.transaction():
            store.put_feed(state)
        assert store.feeds() == [state]

    def test_a_checkpoint_of_size_zero_is_not_no_checkpoint(self, store: Store, feed: FeedState):
        """An empty feed has a signed checkpoint too, and it was cosigned."""
        state = FeedState(feed_id=feed.feed_id, origin=ORIGIN, head=checkpoint(0))
        with store.transaction():
            store.put_feed(state)
        assert store.feeds() == [state]

    # Entries.

    def test_entries_come_back_in_order_and_within_their_range(self, store: Store, feed: FeedState):
        """Ranges are half open, and end where the feed ends."""
        with store.transaction():
            other = store.create_feed(OTHER_ORIGIN)
            store.add_entries(other.feed_id, 0, [entry(100)])
            store.add_entries(feed.feed_id, 0, [entry(i) for i in range(5)])
            store.add_entries(feed.feed_id, 5, [entry(i) for i in range(5, 10)])
        assert store.entries(feed.feed_id, 3, 7) == [entry(i) for i in range(3, 7)]
        assert store.entries(feed.feed_id, 8, 100) == [entry(8), entry(9)]
        assert store.entries(feed.feed_id, 10, 20) == []
        assert store.entries(feed.feed_id, 4, 4) == []
        assert isinstance(store.entries(feed.feed_id, 0, 1)[0], StoredEntry)

    def test_an_entry_of_the_largest_size_comes_back(self, store: Store, feed: FeedState):
        """16 KiB spans several database pages."""
        large = StoredEntry(b"\x01" * 530, None, bytes(range(256)) * 64)
        with store.transaction():
            store.add_entries(feed.feed_id, 0, [large])
        assert store.entries(feed.feed_id, 0, 1) == [large]

    def test_an_entry_can_be_replaced(self, store: Store, feed: FeedState):
        """Openings arrive late, and a hidden entry may become visible."""
        with store.transaction():
            store.add_entries(feed.feed_id, 0, [entry(i) for i in range(3)])
            store.set_entry(feed.feed_id, 2, StoredEntry(b"leaf", None, b"late"))
        assert store.entries(feed.feed_id, 0, 3) == [
            entry(0),
            entry(1),
            StoredEntry(b"leaf", None, b"late"),
        ]

    def test_a_record_is_found_by_its_head_in_every_version(self, store: Store, feed: FeedState):
        """Who asks what is held of a person must be told of every entry, and of no other."""
        person, other = b"p" * 16, b"q" * 16
        heads = [
            feed_pb2.Head(record=record, type=feed_pb2.RECORD_TYPE_RESIDENT)
            for record in (person, other, person)
        ]
        # A body that quotes the record's id is not an entry of the record.
        heads[1].to.append("=370830108201")
        held = [
            StoredEntry(
                b"leaf",
                None,
                pack_openings(
                    [
                        make_opening(0, bytes(16), head.SerializeToString()),
                        make_opening(5, bytes(16), person),
                    ]
                ),
            )
            for head in heads
        ]
        with store.transaction():
            store.add_entries(feed.feed_id, 0, [*held, StoredEntry(None, digest(3), b"")])
        assert store.find_record(feed.feed_id, person) == [(0, held[0]), (2, held[2])]
        assert store.find_record(feed.feed_id + 1, person) == []

    # Erasures.

    def test_what_is_erased_is_noted_once_and_for_good(self, store: Store):
        """The same erasure comes by several ways: the list, the statement, a repetition."""
        spans = [Span(ORIGIN, 3, 4, b""), Span(OTHER_ORIGIN, 0, 2, b"\x05")]
        for _ in range(2):
            with store.transaction():
                store.add_erased(spans)
        assert sorted(store.erased()) == sorted(spans)

    def test_a_scrub_succeeds_while_nobody_reads(self, store: Store, feed: FeedState):
        """What was deleted must be in no file of a node at rest."""
        with store.transaction():
            store.add_entries(feed.feed_id, 0, [entry(0)])
        assert store.scrub()
        assert store.entries(feed.feed_id, 0, 1) == [entry(0)]

    # The tree.

    def test_subtrees_come_back_by_level_and_range(self, store: Store, feed: FeedState):
        """Proofs are built from them."""
        with store.transaction():
            store.add_subtrees(feed.feed_id, [(8, i, digest(i)) for i in range(4)])
            store.add_subtrees(feed.feed_id, ((16, i, digest(90 + i)) for i in range(1)))
            store.add_subtrees(feed.feed_id, [])
        assert store.subtrees(feed.feed_id, 8, 1, 3) == [digest(1), digest(2)]
        assert store.subtrees(feed.feed_id, 8, 2, 256) == [digest(2), digest(3)]
        assert store.subtrees(feed.feed_id, 16, 0, 256) == [digest(90)]
        assert store.subtrees(feed.feed_id, 24, 0, 256) == []

    # Checkpoints.

    def test_checkpoints_come_by_size_from_either_end(self, store: Store, feed: FeedState):
        """A sender cuts at the newest one within its limits; a receiver checks those ahead."""
        with store.transaction():
            for size in (3, 5, 8, 13):
                store.put_checkpoint(feed.feed_id, checkpoint(size))
        sizes = [c.size for c in store.checkpoints(feed.feed_id, 3, 13, False, 10)]
        assert sizes == [5, 8, 13]
        newest = store.checkpoints(feed.feed_id, 0, 12, True, 2)
        assert newest == [checkpoint(8), checkpoint(5)]

    def test_a_checkpoint_gathers_cosignatures(self, store: Store, feed: FeedState):
        """Putting the same size again replaces the note."""
        with store.transaction():
            store.put_checkpoint(feed.feed_id, checkpoint(3, b"alone"))
            store.put_checkpoint(feed.feed_id, checkpoint(3, b"cosigned"))
        assert store.checkpoints(feed.feed_id, 0, 9, False, 9) == [checkpoint(3, b"cosigned")]

    # Missing, quarantined, requested.

    def test_what_is_missing_is_replaced_exactly(self, store: Store, feed: FeedState):
        """A gap that is partly filled becomes two."""
        gap = Missing(2, 9, b"", "370830000000", 2, 5, 1e9)
        slots = Missing(2, 3, b"\x03\x04", "", 0, 0, 1e9)
        with store.transaction():
            store.replace_missing(feed.feed_id, [], [slots, gap])
        assert sorted(store.missing(feed.feed_id)) == sorted([slots, gap])
        left = gap._replace(stop=4, last=2)
        right = gap._replace(start=5, first=4)
        with store.transaction():
            store.replace_missing(feed.feed_id, [gap], [right, left])
        held = store.missing(feed.feed_id)
        assert sorted(held) == sorted([slots, left, right])
        assert [m.start for m in held] == [2, 2, 5]
        with store.transaction():
            store.replace_missing(feed.feed_id, held, [])
        assert store.missing(feed.feed_id) == []

    def test_quarantining_twice_is_quarantining_once(self, store: Store, feed: FeedState):
        """An entry is judged again when its openings arrive late."""
        with store.transaction():
            store.quarantine(feed.feed_id, 3, Code.BAD_HEAD, "first", 1e9)
            store.quarantine(feed.feed_id, 3, Code.BAD_HEAD, "again", 2e9)
            store.quarantine(feed.feed_id, 3, Code.NUMBER_REUSED, "too", 2e9)

    def test_a_request_is_remembered(self, store: Store, feed: FeedState):
        """A client that lost the answer asks again, and nothing is written twice."""
        assert store.request(b"r" * 16) is None
        with store.transaction():
            store.add_request(b"r" * 16, feed.feed_id, 7, b"record")
        assert store.request(b"r" * 16) == (feed.origin, 7, b"record")

    # Projections.

    def test_every_type_is_applied_and_again(self, store: Store, feed: FeedState):
        """A late opening applies an entry a second time."""
        applied = [
            applied_entry(feed.feed_id, i, kind, message)
            for i, (kind, message) in enumerate(ONE_OF_EACH)
        ]
        with store.transaction():
            store.add_entries(feed.feed_id, 0, [stored(a) for a in applied])
            store.apply(applied)
            store.apply(applied)
            store.apply([])
        assert [(at, index) for at, index, _ in store.statements()] == [
            (feed.feed_id, index)
            for index, (kind, _) in enumerate(ONE_OF_EACH)
            if kind in STATEMENT_TYPES
        ]

    def test_statements_come_in_the_order_they_were_applied(self, store: Store, feed: FeedState):
        """The first key seen for an origin is the one that stays."""
        applied = [
            applied_entry(
                feed.feed_id,
                i,
                feed_pb2.RECORD_TYPE_MEMBER,
                trust_pb2.Member(code=f"37083010820{i}", name="村", feed_key="f", witness_key="w"),
                record=bytes([9 - i]) * 16,
            )
            for i in range(3)
        ]
        with store.transaction():
            store.add_entries(feed.feed_id, 0, [stored(a) for a in applied])
            store.apply(applied[2:])
            store.apply(applied[:2])
        assert [index for _, index, _ in store.statements()] == [2, 0, 1]

    def test_values_beyond_any_column_fail_no_transaction(self, store: Store, feed: FeedState):
        """A peer chose them, and one bad entry must never stop a feed."""
        event = records_pb2.Event(
            category="c" * 5000,
            grid="g\0" * 900,
            reported_micros=2**64 - 1,
            status=cast("Any", 2**31 - 1),
        )
        household = records_pb2.Household(resident_count=2**32 - 1)
        applied = [
            applied_entry(feed.feed_id, 0, feed_pb2.RECORD_TYPE_EVENT, event),
            applied_entry(feed.feed_id, 1, feed_pb2.RECORD_TYPE_HOUSEHOLD, household),
            applied_entry(feed.feed_id, 2, 12345, household),
        ]
        with store.transaction():
            store.add_entries(feed.feed_id, 0, [stored(a) for a in applied])
            store.apply(applied)

    @given(sizes=st.lists(st.integers(0, 40), max_size=8), data=st.data())
    @settings(
        max_examples=25, deadline=None, suppress_health_check=[HealthCheck.differing_executors]
    )
    def test_any_batches_give_the_same_log(self, sizes: list[int], data: st.DataObject):
        """Group commit cuts the log anywhere."""
        with self.make_store() as store:
            with store.transaction():
                feed_id = store.create_feed(ORIGIN).feed_id
            written = 0
            for size in sizes:
                with store.transaction():
                    batch = [entry(i) for i in range(written, written + size)]
                    store.add_entries(feed_id, written, batch)
                written += size
            start = data.draw(st.integers(0, written + 1))
            stop = data.draw(st.integers(start, written + 2))
            expected = [entry(i) for i in range(start, min(stop, written))]
            assert store.entries(feed_id, start, stop) == expected


ONE_OF_EACH = (
    (feed_pb2.RECORD_TYPE_DIVISION, records_pb2.Division(code=VILLAGE, name="村")),
    (feed_pb2.RECORD_TYPE_GRID, records_pb2.Grid(code=VILLAGE + "001", grid_level=3)),
    (
        feed_pb2.RECORD_TYPE_GRID_WORKER,
        records_pb2.GridWorker(grid=VILLAGE + "001", role=records_pb2.GRID_ROLE_WORKER),
    ),
    (feed_pb2.RECORD_TYPE_HOUSEHOLD, records_pb2.Household(grid=VILLAGE + "001")),
    (feed_pb2.RECORD_TYPE_RESIDENT, records_pb2.Resident(grid=VILLAGE + "001")),
    (
        feed_pb2.RECORD_TYPE_EVENT,
        records_pb2.Event(grid=VILLAGE + "001", status=records_pb2.EVENT_STATUS_REPORTED),
    ),
    (feed_pb2.RECORD_TYPE_MEMBER, trust_pb2.Member(code=VILLAGE, feed_key="k")),
)


def applied_entry(
    feed_id: int,
    index: int,
    kind: int,
    message,
    *,
    record: bytes | None = None,
    home: str = VILLAGE,
    epoch: int = 1,
    delete: bool = False,
) -> Applied:
    """An entry with one body slot, all of it held."""
    head = feed_pb2.Head(
        kind=feed_pb2.KIND_DELETE if delete else feed_pb2.KIND_PUT,
        type=kind,  # type: ignore[arg-type]
        record=record or index.to_bytes(16, "big"),
        time_micros=1_700_000_000_000_000 + index,
    )
    slots = b"\x00\x03"
    return Applied(feed_id, home, epoch, index, head, slots, slots, message)


def stored(applied: Applied) -> StoredEntry:
    """The entry that `applied` was read from."""
    openings = [
        make_opening(0x00, b"s" * 16, applied.head.SerializeToString()),
        make_opening(0x03, b"s" * 16, applied.message.SerializeToString()),
    ]
    return StoredEntry(b"leaf", None, pack_openings(openings))
