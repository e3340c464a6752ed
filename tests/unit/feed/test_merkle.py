"""The tree is what makes a feed one history; every shape it can take at small size is tried."""

from __future__ import annotations

import json
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huying.common.errors import Code, HuyingError
from huying.common.feed.merkle import (
    EMPTY_RANGE,
    EMPTY_ROOT,
    CompactRange,
    SubtreeReader,
    append,
    build,
    cover,
    cover_count,
    fold,
    leaf_hash,
    leaf_hashes,
    merge,
    node_hash,
    range_hashes,
    root,
    unpack_range,
)
from huying.common.feed.merkle_proof import (
    consistency_proof,
    inclusion_proof,
    verify_consistency,
    verify_inclusion,
)
from tests.support.places import DATA

VECTORS: dict[str, Any] = json.loads((DATA / "feed_vectors.json").read_text())
LEAVES = leaf_hashes(b"%d" % number for number in range(1300))


def mth(hashes: list[bytes]) -> bytes:
    """RFC 6962 section 2.1 word for word, slow and obvious."""
    if not hashes:
        return sha256(b"").digest()
    if len(hashes) == 1:
        return hashes[0]
    split = 1
    while split * 2 < len(hashes):
        split *= 2
    return sha256(b"\x01" + mth(hashes[:split]) + mth(hashes[split:])).digest()


def read(level: int, index: int) -> bytes:
    """A reader over LEAVES by definition."""
    part = LEAVES[index << level : (index + 1) << level]
    assert len(part) == 1 << level, "read beyond the tree"
    return mth(part)


def frontier(size: int) -> CompactRange:
    return append(EMPTY_RANGE, LEAVES[:size])[0]


def unhex(hashes: list[str]) -> list[bytes]:
    return [bytes.fromhex(digest) for digest in hashes]


def test_leaf_hashes_and_roots_are_those_of_the_reference_tree() -> None:
    """Other people's verifiers read our trees only if these bytes agree."""
    tree = VECTORS["rfc6962"]
    hashes = unhex(tree["leaf_hashes_hex"])
    assert leaf_hashes(unhex(tree["leaf_inputs_hex"])) == hashes
    assert [leaf_hash(leaf) for leaf in unhex(tree["leaf_inputs_hex"])] == hashes
    for size, expected in enumerate(unhex(tree["roots_hex"])):
        assert root(append(EMPTY_RANGE, hashes[:size])[0]) == expected
    assert root(EMPTY_RANGE) == EMPTY_ROOT


def test_proofs_are_those_of_the_reference_tree() -> None:
    """The order of hashes in a proof is part of the format."""
    hashes = unhex(VECTORS["rfc6962"]["leaf_hashes_hex"])

    def reader(level: int, index: int) -> bytes:
        return mth(hashes[index << level : (index + 1) << level])

    proofs = VECTORS["proofs"]
    assert consistency_proof(6, 8, reader) == unhex(proofs["consistency_6_8_hex"])
    assert consistency_proof(6, 7, reader) == unhex(proofs["consistency_6_7_hex"])
    assert inclusion_proof(5, 8, reader) == unhex(proofs["inclusion_5_of_8_hex"])
    assert inclusion_proof(2, 3, reader) == unhex(proofs["inclusion_2_of_3_hex"])


@pytest.mark.parametrize(
    "case", VECTORS["cover"], ids=lambda case: f"{case['start']}-{case['end']}"
)
def test_covers_are_those_of_the_vectors(case: dict[str, Any]) -> None:
    """Sender and receiver must tile a range alike: hashes travel without their places."""
    expected = [tuple(node) for node in case["nodes_level_index"]]
    assert list(cover(case["start"], case["end"])) == expected


def test_every_small_cover_tiles_its_range_with_the_largest_subtrees() -> None:
    """Two neighbours that could be one would make two spellings of a range."""
    for start in range(100):
        for stop in range(start, 100):
            nodes = cover(start, stop)
            assert len(nodes) == cover_count(start, stop)
            position = start
            for level, index in nodes:
                assert index << level == position
                position += 1 << level
                bigger = (index >> 1) << (level + 1)
                assert bigger < start or bigger + (2 << level) > stop, "a larger one fits"
            assert position == stop


def test_every_small_range_is_the_merge_of_its_parts_wherever_it_is_cut() -> None:
    """One operation serves appending, checking a segment and closing a proof."""
    for start in range(40):
        for stop in range(start, 40):
            whole = build(start, LEAVES[start:stop])
            assert whole.hashes == range_hashes(start, stop, read)
            for middle in range(start, stop + 1):
                left, right = build(start, LEAVES[start:middle]), build(middle, LEAVES[middle:stop])
                assert merge(left, right) == whole


def test_a_tree_grows_to_the_same_frontier_in_whatever_batches() -> None:
    """A feed that came in segments is the feed that was written in one commit."""
    for old in range(70):
        grown = frontier(old)
        assert root(grown) == mth(LEAVES[:old])
        for new in range(old, 70):
            after, _ = append(grown, LEAVES[old:new])
            assert after == build(0, LEAVES[:new])


@given(st.lists(st.integers(0, 400), max_size=6))
def test_appending_reports_every_completed_subtree_just_once(batches: list[int]) -> None:
    """The store keeps just these; a hole would make a proof impossible months later."""
    tree, reported, size = EMPTY_RANGE, [], 0
    for wanted in batches:
        count = min(wanted, len(LEAVES) - size)
        tree, subtrees = append(tree, LEAVES[size : size + count])
        reported += subtrees
        size += count
    assert tree == build(0, LEAVES[:size])
    assert reported == [(8, index, read(8, index)) for index in range(size >> 8)]


def test_a_subtree_of_the_second_stored_level_is_reported() -> None:
    """Level 16 has 65,536 leaves; it is completed in the middle of a batch."""
    hashes = [sha256(b"%d" % number).digest() for number in range(66_000)]
    tree, low = append(EMPTY_RANGE, hashes[:65_000])
    _, high = append(tree, hashes[65_000:])
    assert {level for level, _, _ in low} == {8}
    assert (16, 0, mth(hashes[:65_536])) in high


def test_a_segment_folds_to_the_signed_root_as_in_the_vectors() -> None:
    """Frontier, items and rest: step 4 of the order in which a segment is checked."""
    case = VECTORS["segment"]
    held = CompactRange(0, 3, tuple(bytes.fromhex(node[2]) for node in case["frontier"]))
    items = unhex(case["leaf_hashes"])
    rest = unpack_range(6, 8, b"".join(bytes.fromhex(node[2]) for node in case["rest"]))
    assert fold(held, items, rest).hex() == case["root_hex"]
    after, _ = append(held, items)
    assert [digest.hex() for digest in after.hashes] == [node[2] for node in case["frontier_after"]]
    assert list(cover(0, 6)) == [(node[0], node[1]) for node in case["frontier_after"]]


def test_every_small_segment_folds_and_a_flipped_bit_anywhere_shows() -> None:
    """A relay that alters a leaf hash or a rest is found out before anything is stored."""
    for held, stop, size in [(0, 1, 1), (0, 3, 9), (3, 6, 8), (5, 6, 7), (8, 13, 29), (7, 7, 30)]:
        items, rest = LEAVES[held:stop], build(stop, LEAVES[stop:size])
        expected = mth(LEAVES[:size])
        assert fold(frontier(held), items, rest) == expected
        for at in range(len(items)):
            altered = [*items[:at], flip(items[at]), *items[at + 1 :]]
            assert fold(frontier(held), altered, rest) != expected
        for at, digest in enumerate(rest.hashes):
            hashes = (*rest.hashes[:at], flip(digest), *rest.hashes[at + 1 :])
            assert fold(frontier(held), items, CompactRange(stop, size, hashes)) != expected


def flip(digest: bytes) -> bytes:
    return bytes([digest[0] ^ 1]) + digest[1:]


@pytest.mark.parametrize(
    "make",
    [
        lambda: CompactRange(0, 3, (b"a" * 32,)),
        lambda: CompactRange(0, 1, (b"a" * 32, b"b" * 32)),
        lambda: CompactRange(4, 3, ()),
        lambda: CompactRange(-1, 0, ()),
        lambda: CompactRange(0, 3, (b"a" * 31, b"b" * 33)),
        lambda: unpack_range(0, 3, b"a" * 63),
        lambda: unpack_range(0, 3, b"a" * 32),
        lambda: merge(build(0, LEAVES[:3]), build(4, LEAVES[4:5])),
        lambda: fold(frontier(3), LEAVES[3:5], build(6, LEAVES[6:8])),
    ],
)
def test_hashes_that_can_not_tile_the_range_are_a_bad_proof(make: Callable[[], object]) -> None:
    """A peer chooses how many hashes it sends."""
    with pytest.raises(HuyingError) as caught:
        make()
    assert caught.value.code == Code.BAD_PROOF


def test_every_inclusion_proof_of_every_small_tree_verifies_just_for_its_leaf() -> None:
    """Exhaustive at small size, since proof code fails at shapes, not at sizes."""
    for size in range(1, 65):
        top = mth(LEAVES[:size])
        for index in range(size):
            proof = inclusion_proof(index, size, read)
            verify_inclusion(index, size, LEAVES[index], proof, top)
            wrong = [
                (index, size, LEAVES[index + 1], proof, top),
                (index, size, LEAVES[index], proof, flip(top)),
                (index, size, LEAVES[index], [*proof, top], top),
                (size, size, LEAVES[index], proof, top),
                (-1, size, LEAVES[index], proof, top),
            ]
            if proof:
                wrong.append((index, size, LEAVES[index], proof[:-1], top))
                wrong.append((index, size, LEAVES[index], proof[1:], top))
                wrong.append((index ^ 1, size, LEAVES[index], proof, top))
                wrong.append((index, size, LEAVES[index], [flip(proof[0]), *proof[1:]], top))
                wrong.append((index, size, LEAVES[index], [*proof[:-1], proof[-1][:31]], top))
            for case in wrong:
                with pytest.raises(HuyingError) as caught:
                    verify_inclusion(*case)
                assert caught.value.code == Code.BAD_PROOF


def test_every_consistency_proof_of_every_small_tree_verifies_just_for_its_roots() -> None:
    """A child shows its parent that it only grew; a rewritten history must not pass."""
    for new in range(65):
        new_root = mth(LEAVES[:new])
        for old in range(new + 1):
            old_root = mth(LEAVES[:old])
            proof = consistency_proof(old, new, read)
            verify_consistency(old, new, old_root, new_root, proof)
            wrong = [
                (old, new, flip(old_root), new_root, proof),
                (old, new, old_root, new_root, [*proof, new_root]),
                (new + 1, new, old_root, new_root, proof),
            ]
            if old:
                wrong.append((old, new, old_root, flip(new_root), proof))
            if proof:
                wrong.append((old, new, old_root, new_root, proof[:-1]))
                wrong.append((old, new, old_root, new_root, proof[1:]))
                wrong.append((old, new, old_root, new_root, [flip(proof[0]), *proof[1:]]))
                wrong.append((old, new, old_root, new_root, []))
            for case in wrong:
                with pytest.raises(HuyingError) as caught:
                    verify_consistency(*case)
                assert caught.value.code == Code.BAD_PROOF


def test_asking_for_a_proof_outside_the_tree_is_a_bad_request() -> None:
    """`prove` takes its index from a person."""
    for ask in (
        lambda: inclusion_proof(8, 8, read),
        lambda: inclusion_proof(-1, 8, read),
        lambda: inclusion_proof(0, 0, read),
        lambda: consistency_proof(9, 8, read),
    ):
        with pytest.raises(HuyingError) as caught:
            ask()
        assert caught.value.code == Code.INVALID_ARGUMENT


class Shelf:
    """What a store keeps: leaf hashes, and subtrees of the levels that are multiples of 8."""

    def __init__(self, hashes: list[bytes]) -> None:
        self.hashes = hashes
        self.by_level: dict[int, list[bytes]] = {}
        self.largest_read = 0
        for level, index, digest in append(EMPTY_RANGE, hashes)[1]:
            kept = self.by_level.setdefault(level, [])
            assert len(kept) == index
            kept.append(digest)

    def leaf_hashes(self, start: int, stop: int) -> list[bytes]:
        self.largest_read = max(self.largest_read, stop - start)
        return self.hashes[start:stop]

    def subtrees(self, level: int, start: int, stop: int) -> list[bytes]:
        self.largest_read = max(self.largest_read, stop - start)
        return self.by_level.get(level, [])[start:stop]


def test_a_reader_finds_every_node_from_what_a_store_keeps() -> None:
    """Any node is at most 256 hashes away, however large the feed."""
    shelf = Shelf(LEAVES)
    reader = SubtreeReader(shelf.leaf_hashes, shelf.subtrees)
    for level in range(11):
        for index in range(len(LEAVES) >> level):
            assert reader(level, index) == read(level, index)
    assert shelf.largest_read == 256


def test_a_reader_of_a_large_tree_proves_across_stored_levels() -> None:
    """66,000 entries need all three stored layers."""
    hashes = [sha256(b"%d" % number).digest() for number in range(66_000)]
    shelf = Shelf(hashes)
    reader = SubtreeReader(shelf.leaf_hashes, shelf.subtrees)
    top = root(append(EMPTY_RANGE, hashes)[0])
    for index in (0, 255, 256, 65_535, 65_536, 65_999):
        verify_inclusion(index, 66_000, hashes[index], inclusion_proof(index, 66_000, reader), top)
    old = root(append(EMPTY_RANGE, hashes[:300])[0])
    verify_consistency(300, 66_000, old, top, consistency_proof(300, 66_000, reader))


def test_a_reader_follows_a_feed_that_grows() -> None:
    """What was read of an unfinished tile is read again when more of it is needed."""
    held = LEAVES[:10]
    reader = SubtreeReader(lambda start, stop: held[start:stop], lambda *_: [])
    assert reader(1, 4) == read(1, 4)
    with pytest.raises(HuyingError) as caught:
        reader(1, 5)
    assert caught.value.code == Code.CORRUPT
    held += LEAVES[10:40]
    assert reader(1, 5) == read(1, 5)
    assert reader(5, 0) == read(5, 0)


def test_a_node_is_hashed_apart_from_a_leaf() -> None:
    """Without the prefixes an inner node could be passed off as an entry."""
    left, right = LEAVES[0], LEAVES[1]
    assert node_hash(left, right) != leaf_hash(left + right)
