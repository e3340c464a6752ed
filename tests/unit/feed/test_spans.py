"""Ranges of entries and their slots: what is looked up for every opening that arrives."""

from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from huying.common.late.spans import NO_SPANS, erasable
from huying.wire.v1 import feed_pb2

ranges = st.tuples(
    st.integers(0, 40), st.integers(0, 40), st.sampled_from([b"", b"\x03", b"\x05\x0d", b"\x0d"])
)


@given(st.lists(ranges, max_size=12), st.integers(0, 12))
def test_spans_say_of_every_entry_what_the_ranges_say_one_by_one(added, cut):
    """Merged ranges must name neither less (it would come back) nor more (it would be lost)."""
    spans = NO_SPANS.plus(added[:cut]).plus(added[cut:])
    for index in range(-1, 42):
        expected: set[int] = set()
        for start, stop, slots in added:
            if start <= index < stop:
                expected |= set(slots or range(1, 256))
        assert set(spans.at(index)) == expected
        assert spans.meets(index, index + 1) == bool(expected)


@given(st.lists(ranges, max_size=12))
def test_the_order_in_which_ranges_come_changes_nothing(added):
    """Nodes hear of erasures in different orders, and must agree."""
    assert NO_SPANS.plus(added) == NO_SPANS.plus(reversed(added))


def test_neighbours_of_like_slots_are_one_range():
    """A night's erasures of a contiguous year must not cost a range per entry for ever."""
    spans = NO_SPANS.plus((index, index + 1, b"\x05") for index in range(100))
    assert len(spans.starts) == 1


@given(st.lists(ranges, max_size=12), st.lists(ranges, max_size=4))
def test_what_is_added_later_gives_what_all_at_once_give(before, after):
    """Two nodes that heard the same, one of them after a restart, hold the same value."""
    grown = NO_SPANS.plus(before)
    for one in after:
        grown = grown.plus([one])
    assert grown == NO_SPANS.plus([*before, *after])


def test_another_erasure_costs_little_where_there_are_many():
    """A node below may write any number of them, and each is taken within a step."""
    spans = NO_SPANS.plus((2 * index, 2 * index + 1, b"\x05") for index in range(100_000))
    before = time.process_time()
    for index in range(100):
        spans = spans.plus([(2 * index + 1, 2 * index + 2, b"\x05")])
    assert len(spans.starts) == 100_000 - 100
    assert time.process_time() - before < 4  # seconds; to sort them all each time takes twice that


def test_the_head_a_statement_and_what_a_call_shares_stand():
    """Heads number the readers; statements took effect; a call's state is a fold of its steps."""
    slots = bytes((0, 3, 5, 0x83, 0x0D))
    assert erasable(feed_pb2.RECORD_TYPE_RESIDENT, slots) == bytes((3, 5, 0x83, 0x0D))
    assert erasable(feed_pb2.RECORD_TYPE_CALL_STEP, slots) == bytes((3, 5, 0x0D))
    assert erasable(feed_pb2.RECORD_TYPE_MEMBER, slots) == b""
    assert erasable(feed_pb2.RECORD_TYPE_ERASURE, slots) == b""
