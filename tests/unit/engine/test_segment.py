"""Steps 1 to 4: a segment is taken whole or refused whole, and each refusal has its own name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from huying.common.errors import Code, HuyingError
from huying.common.feed.merkle import CompactRange, build, root
from huying.common.feed.segment import decode_segment, parse_frame, verify_segment
from huying.common.integrity.evidence import ForkError
from huying.common.limits import FRAME_BYTES_MAX, TREE_SIZE_MAX
from huying.common.state import FeedState, StoredCheckpoint
from huying.wire.v1 import feed_pb2, sync_pb2
from tests.support.handmade import HandmadeFeed, flip
from tests.support.tiny_network import VILLAGE

FEED = HandmadeFeed(VILLAGE).put_many(12)
KEY = FEED.identity.feed_signer.key


def held(size: int) -> FeedState:
    """What a receiver that holds `size` entries knows."""
    if not size:
        return FeedState(1, FEED.origin)
    frontier = build(0, FEED.hashes[:size]).hashes
    return FeedState(1, FEED.origin, size, frontier, point(size))


def point(size: int, feed: HandmadeFeed = FEED) -> StoredCheckpoint:
    return StoredCheckpoint(size, feed.root(size), feed.note(size))


def verify(message: feed_pb2.Segment, size: int, *ahead: StoredCheckpoint):
    return verify_segment(held(size), KEY, decode_segment(message), ahead)


def refused(message: feed_pb2.Segment, size: int, *ahead: StoredCheckpoint) -> Code:
    with pytest.raises(HuyingError) as caught:
        verify(message, size, *ahead)
    return caught.value.code


@given(st.integers(0, 12), st.integers(0, 12), st.integers(0, 12), st.integers(0, 12))
@settings(max_examples=300)
def test_any_cut_of_an_honest_feed_is_taken_and_leads_to_the_same_tree(
    a: int, b: int, c: int, d: int
) -> None:
    """Wherever a link breaks, the stream goes on from what the receiver holds."""
    start, size, stop, signed = sorted((a, b, c, d))
    accepted = verify(FEED.segment(start, stop, size=signed), size) if signed else None
    if accepted is None:
        assert stop <= size
        return
    assert accepted.start == size
    assert accepted.size == stop
    assert list(accepted.hashes) == FEED.hashes[size:stop]
    assert root(CompactRange(0, stop, accepted.frontier)) == FEED.root(stop)
    assert accepted.rest == build(stop, FEED.hashes[stop:signed]).hashes


def test_what_is_held_already_is_no_news_and_no_fault() -> None:
    """Duplicates are harmless."""
    assert verify(FEED.segment(0, 5, size=5), 5) is None
    assert verify(FEED.segment(2, 4, size=12), 5) is None


def test_the_leaf_hash_of_a_withheld_entry_stands_for_it() -> None:
    """What is withheld whole still verifies under the origin's signature."""
    message = FEED.segment(0, 2, size=4)
    message.items.add(hidden=b"".join(FEED.hashes[2:4]))
    message.rest = b""
    accepted = verify(message, 0)
    assert accepted is not None
    assert [leaf for leaf, _ in accepted.entries[2:]] == [None, None]


@pytest.mark.parametrize("index", range(7))
def test_a_flipped_byte_in_any_leaf_is_a_bad_proof(index: int) -> None:
    """Whichever byte it is; the whole segment is refused."""
    honest = FEED.leaves[index]
    for at in range(0, len(honest), 13):
        message = FEED.segment(0, 7)
        message.items[index].entry.leaf = flip(honest, at)
        assert refused(message, 0) is Code.BAD_PROOF


def test_a_flipped_byte_in_rest_is_a_bad_proof() -> None:
    """`rest` stands for what the sender left out; it is covered by the same signature."""
    message = FEED.segment(0, 7)
    for at in range(0, len(message.rest), 11):
        altered = FEED.segment(0, 7)
        altered.rest = flip(message.rest, at)
        assert refused(altered, 0) is Code.BAD_PROOF


def test_a_flipped_byte_in_a_hidden_hash_is_a_bad_proof() -> None:
    """A relay can't put another entry in the place of one that it withholds."""
    message = FEED.segment(0, 2, size=4)
    message.items.add(hidden=flip(b"".join(FEED.hashes[2:4]), 40))
    message.rest = b""
    assert refused(message, 0) is Code.BAD_PROOF


def test_entries_left_out_or_put_in_another_order_are_a_bad_proof_or_malformed() -> None:
    """Order comes from the position in the feed."""
    swapped = FEED.segment(0, 7)
    first = feed_pb2.Item()
    first.CopyFrom(swapped.items[0])
    swapped.items[0].CopyFrom(swapped.items[1])
    swapped.items[1].CopyFrom(first)
    assert refused(swapped, 0) is Code.BAD_PROOF
    shorter = FEED.segment(0, 12)
    del shorter.items[3]
    assert refused(shorter, 0) is Code.FRAME_MALFORMED


def forged(change: Callable[[bytes], bytes]) -> feed_pb2.Segment:
    message = FEED.segment(0, 3)
    message.checkpoint = change(message.checkpoint)
    return message


def test_a_bad_signature_is_named_so() -> None:
    """By another key, or altered."""
    other = HandmadeFeed("370830108202").identity.feed_signer
    renamed = type(other).from_seed(FEED.origin, other.type, bytes(31) + b"\x07")
    message = FEED.segment(0, 3)
    message.checkpoint = FEED.note(signer=renamed)
    assert refused(message, 0) is Code.BAD_SIGNATURE
    altered = forged(lambda note: note.replace(b"\n12\n", b"\n13\n"))
    assert refused(altered, 0) is Code.BAD_SIGNATURE


@pytest.mark.parametrize(
    "change",
    [
        lambda note: b"",
        lambda note: note[:-1],
        lambda note: note.replace(b"\n12\n", b"\n012\n"),
        lambda note: note.replace(b"\n", b"\r\n"),
        lambda note: note + b"\xff",
        lambda note: b"x" * 70_000,
    ],
    ids=["empty", "truncated", "not canonical", "other line ends", "not UTF-8", "too long"],
)
def test_a_checkpoint_in_any_other_form_is_a_bad_note(change: Callable[[bytes], bytes]) -> None:
    """The strict parser is the first step, before anything is believed."""
    assert refused(forged(change), 0) in (Code.BAD_NOTE, Code.BAD_SIGNATURE)


def test_another_origin_s_checkpoint_is_not_this_feed_s() -> None:
    """A note says whose it is."""
    message = FEED.segment(0, 3)
    message.checkpoint = HandmadeFeed("370830108202").put_many(12).note()
    assert refused(message, 0) in (Code.BAD_NOTE, Code.BAD_SIGNATURE)


def test_a_shrinking_checkpoint_is_stale() -> None:
    """A feed never gets shorter, whoever says so."""
    assert refused(FEED.segment(0, 5, size=5), 8) is Code.STALE_SIZE
    assert refused(FEED.segment(5, 5, size=5), 8) is Code.STALE_SIZE


def test_a_segment_that_does_not_join_on_is_told_where_to_start() -> None:
    """The receiver's word on its size wins."""
    assert refused(FEED.segment(6, 9), 5) is Code.START_MISMATCH


def test_more_items_than_are_signed_for_are_malformed() -> None:
    """Nothing beyond the checkpoint's size is vouched for."""
    message = FEED.segment(0, 8)
    message.checkpoint = FEED.note(6)
    message.rest = b""
    assert refused(message, 0) is Code.FRAME_MALFORMED


@pytest.mark.parametrize("count", [0, 1, 3, 31, 33, 96])
def test_rest_must_be_exactly_the_cover_of_what_is_left_out(count: int) -> None:
    """One way to say it, or two proofs would exist for one thing."""
    message = FEED.segment(0, 8)
    assert len(message.rest) == 32
    message.rest = bytes(count)
    assert refused(message, 0) is Code.FRAME_MALFORMED


def test_an_item_that_holds_nothing_is_malformed() -> None:
    """An empty run of hashes, or neither entry nor hash."""
    for item in (feed_pb2.Item(), feed_pb2.Item(hidden=b""), feed_pb2.Item(hidden=bytes(31))):
        message = FEED.segment(0, 3)
        message.items.append(item)
        assert refused(message, 0) is Code.FRAME_MALFORMED


def test_every_count_and_size_has_a_limit() -> None:
    """Before anything is hashed or kept."""
    many = feed_pb2.Segment(origin=FEED.origin)
    many.items.add(hidden=bytes(32 * 1025))
    big = feed_pb2.Segment(origin=FEED.origin)
    big.items.add(entry=feed_pb2.Entry(leaf=FEED.leaves[0], openings=[bytes(17_000)]))
    wide = feed_pb2.Segment(origin=FEED.origin)
    wide.items.add(entry=feed_pb2.Entry(leaf=FEED.leaves[0], openings=[bytes(20)] * 17))
    far = feed_pb2.Segment(origin=FEED.origin, start=TREE_SIZE_MAX)
    far.items.add(hidden=bytes(32))
    for message in (many, big, wide, far):
        with pytest.raises(HuyingError) as caught:
            decode_segment(message)
        assert caught.value.code is Code.LIMIT_EXCEEDED


def test_a_frozen_feed_takes_nothing_more() -> None:
    """After a fork an operator decides."""
    with pytest.raises(HuyingError) as caught:
        verify_segment(replace(held(3), frozen=b"x"), KEY, decode_segment(FEED.segment(3, 5)))
    assert caught.value.code is Code.FEED_FROZEN


def the_other_history() -> HandmadeFeed:
    """The same first five entries, and others behind them."""
    other = HandmadeFeed(VILLAGE)
    for index in range(5):
        other.add(FEED.leaves[index], FEED.openings[index])
    other.numbers = dict.fromkeys(FEED.numbers, 5)
    for number in range(5, 12):
        other.put(time_micros=number)
    return other


def test_two_roots_signed_at_one_size_are_a_fork_with_both_notes_as_evidence() -> None:
    """Nobody rewrites history."""
    other = the_other_history()
    with pytest.raises(ForkError) as caught:
        verify(other.segment(0, 12), 12)
    evidence = caught.value.evidence
    assert {evidence.first, evidence.second} == {FEED.note(12), other.note(12)}
    with pytest.raises(ForkError):
        verify(other.segment(0, 7), 5, point(12))


def test_a_checkpoint_seen_ahead_is_checked_when_the_items_pass_it() -> None:
    """A fork inside a span that was not held shows as soon as the span is."""
    other = the_other_history()
    assert verify(FEED.segment(5, 9), 5, point(7)) is not None
    with pytest.raises(ForkError):
        verify(FEED.segment(5, 9), 5, point(7, other))


def test_a_frame_over_the_limit_is_refused_by_its_size_alone() -> None:
    """5 MiB are never parsed."""
    with pytest.raises(HuyingError) as caught:
        parse_frame(bytes(5 * 1024 * 1024))
    assert caught.value.code is Code.FRAME_TOO_LARGE
    assert str(FRAME_BYTES_MAX) in caught.value.detail


def test_a_truncated_frame_is_malformed_or_fails_its_proof() -> None:
    """Whatever is cut off, nothing of it is believed."""
    data = sync_pb2.Frame(segment=FEED.segment(0, 3, size=3)).SerializeToString()
    for length in range(1, len(data), 37):
        with pytest.raises(HuyingError) as caught:
            verify(parse_frame(data[:length]).segment, 0)
        assert caught.value.code in (Code.FRAME_MALFORMED, Code.BAD_NOTE)


@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_a_frame_or_named_malformed(data: bytes) -> None:
    """A parser of foreign bytes has two exits."""
    try:
        parse_frame(data)
    except HuyingError as error:
        assert error.code is Code.FRAME_MALFORMED  # noqa: PT017  # either way out is right
