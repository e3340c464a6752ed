"""The Merkle tree of a feed: RFC 6962 section 2.1, worked on through compact ranges.

    leaf hash  H(0x00 || leaf)      node  H(0x01 || left || right)      empty tree  H("")

Node (level, index) is the root of the perfect subtree over the leaves [index << level,
(index + 1) << level). A *compact range* over [start, stop) is the list of the largest such nodes
that tile it, left to right; the tile's places follow from start and stop alone, so only hashes are
kept. A range from 0 is a tree's *frontier*: it holds all that appending needs, at most 48 hashes.

    start 1, stop 7:     (0,1) (1,1) (1,2) (0,6)          start 0, stop 7:     (2,0) (1,2) (0,6)

Two adjacent ranges merge into one. Appending, checking a segment against a signed root and closing
a proof are all that one operation. `huying.common.feed.merkle_proof` makes and checks proofs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from huying.common.errors import Code, HuyingError

__all__ = [
    "EMPTY_RANGE",
    "EMPTY_ROOT",
    "HASH_BYTES",
    "STORED_LEVELS",
    "CompactRange",
    "Reader",
    "SubtreeReader",
    "append",
    "build",
    "close",
    "cover",
    "cover_count",
    "fold",
    "leaf_hash",
    "leaf_hashes",
    "merge",
    "node_hash",
    "range_hashes",
    "root",
    "unpack_range",
]

HASH_BYTES: Final = 32
EMPTY_ROOT: Final = sha256(b"").digest()
# Perfect subtrees of every eighth level are stored, so any node is at most 256 hashes away.
STORED_LEVELS: Final = 8
_TILE_HASHES: Final = 1 << STORED_LEVELS
_TILES_MAX: Final = 16  # half a megabyte; one path through the largest tree takes 6

# The hash of the perfect subtree (level, index).
Reader = Callable[[int, int], bytes]


def leaf_hash(leaf: bytes) -> bytes:
    """The hash that stands for a leaf in the tree."""
    return sha256(b"\x00" + leaf).digest()


def leaf_hashes(leaves: Iterable[bytes]) -> list[bytes]:
    """`leaf_hash` of each."""
    return [sha256(b"\x00" + leaf).digest() for leaf in leaves]


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of a node over its two children."""
    return sha256(b"\x01" + left + right).digest()


def _masks(start: int, stop: int) -> tuple[int, int]:
    """The levels of the tiles of [start, stop) as bits: those that ascend, those that descend."""
    if start == 0:
        return 0, stop
    if start == stop:
        return 0, 0
    # The path to the leaf before `start` and the path to `stop` part at bit `depth`: left of
    # there the tiles hang to the right of the first path, right of it to the left of the second.
    before = start - 1
    below = (1 << ((before ^ stop).bit_length() - 1)) - 1
    return ~before & below, stop & below


def cover_count(start: int, stop: int) -> int:
    """How many nodes `cover(start, stop)` has, without listing them."""
    ascending, descending = _masks(start, stop)
    return ascending.bit_count() + descending.bit_count()


def cover(start: int, stop: int) -> tuple[tuple[int, int], ...]:
    """The (level, index) of the largest perfect subtrees that tile [start, stop), left to right."""
    nodes: list[tuple[int, int]] = []
    ascending, descending = _masks(start, stop)
    position = start
    while ascending:
        level = (ascending & -ascending).bit_length() - 1
        nodes.append((level, position >> level))
        position += 1 << level
        ascending &= ascending - 1
    while descending:
        level = descending.bit_length() - 1
        nodes.append((level, position >> level))
        position += 1 << level
        descending ^= 1 << level
    return tuple(nodes)


@dataclass(frozen=True, slots=True)
class CompactRange:
    """The hashes of `cover(start, stop)`, left to right, 32 bytes each.

    Raises HuyingError(BAD_PROOF) for hashes that can't tile the range.
    """

    start: int
    stop: int
    hashes: tuple[bytes, ...]

    def __post_init__(self) -> None:
        if not 0 <= self.start <= self.stop:
            raise HuyingError(Code.BAD_PROOF, f"range [{self.start}, {self.stop}): not ascending")
        expected = cover_count(self.start, self.stop)
        if len(self.hashes) != expected:
            raise HuyingError(
                Code.BAD_PROOF,
                f"range [{self.start}, {self.stop}): {len(self.hashes)} hashes, not {expected}",
            )
        # Hashes of 31 and 33 bytes would join to the same 64, and fold to the same root.
        if any(len(digest) != HASH_BYTES for digest in self.hashes):
            raise HuyingError(Code.BAD_PROOF, f"range: a hash has {HASH_BYTES} bytes")


EMPTY_RANGE: Final = CompactRange(0, 0, ())


def unpack_range(start: int, stop: int, data: bytes) -> CompactRange:
    """A compact range from its hashes joined into one string, as a segment's `rest` carries it.

    Raises HuyingError(BAD_PROOF) where `data` is not exactly the hashes of that range.
    """
    if len(data) % HASH_BYTES:
        raise HuyingError(Code.BAD_PROOF, f"range: {len(data)} bytes are no whole hashes")
    hashes = tuple(data[at : at + HASH_BYTES] for at in range(0, len(data), HASH_BYTES))
    return CompactRange(start, stop, hashes)


def merge(left: CompactRange, right: CompactRange) -> CompactRange:
    """The range over both.

    Raises HuyingError(BAD_PROOF) unless `right` begins where `left` ends.
    """
    if left.stop != right.start:
        raise HuyingError(
            Code.BAD_PROOF, f"range: [..., {left.stop}) does not join on [{right.start}, ...)"
        )
    if not right.hashes:
        return left
    if not left.hashes:
        return right
    stack = list(zip(cover(left.start, left.stop), left.hashes, strict=True))
    for place, digest in zip(cover(right.start, right.stop), right.hashes, strict=True):
        (level, index), joined = place, digest
        while index & 1 and stack and stack[-1][0] == (level, index - 1):
            joined = node_hash(stack.pop()[1], joined)
            level, index = level + 1, index >> 1
        stack.append(((level, index), joined))
    return CompactRange(left.start, right.stop, tuple(digest for _, digest in stack))


def root(tree: CompactRange) -> bytes:
    """The root of the tree whose frontier this is; `tree.start` must be 0."""
    assert tree.start == 0, "only a range from 0 is a whole tree"
    return close(tree.hashes) if tree.hashes else EMPTY_ROOT


def close(hashes: Sequence[bytes]) -> bytes:
    """Join the hashes of a frontier, at least one, right to left under one node."""
    digest = hashes[-1]
    for left in hashes[-2::-1]:
        digest = node_hash(left, digest)
    return digest


def append(
    frontier: CompactRange, leaf_hashes: Sequence[bytes]
) -> tuple[CompactRange, list[tuple[int, int, bytes]]]:
    """The frontier after these leaves, and the stored subtrees which they complete.

    `frontier` is a range from 0. The subtrees are (level, index, hash), the level a multiple of 8,
    by level and index. The whole batch goes up one level at a time: per leaf that is one hash and
    very little else.
    """
    assert frontier.start == 0, "only a range from 0 is a frontier"
    held = list(frontier.hashes)
    first = frontier.stop  # index, at this level, of the first node that is new
    nodes = list(leaf_hashes)
    tail: list[bytes] = []
    subtrees: list[tuple[int, int, bytes]] = []
    level = 0
    while nodes:
        if level and level % STORED_LEVELS == 0:
            subtrees += [(level, first + at, digest) for at, digest in enumerate(nodes)]
        if first & 1:
            nodes.insert(0, held.pop())
        if len(nodes) & 1:
            tail.append(nodes.pop())
        nodes = _pair(nodes)
        first >>= 1
        level += 1
    stop = frontier.stop + len(leaf_hashes)
    return CompactRange(0, stop, (*held, *reversed(tail))), subtrees


def _pair(nodes: list[bytes]) -> list[bytes]:
    """The nodes one level up, of an even number of neighbours."""
    return [
        sha256(b"\x01" + left + right).digest()
        for left, right in zip(nodes[::2], nodes[1::2], strict=True)
    ]


def build(start: int, leaf_hashes: Sequence[bytes]) -> CompactRange:
    """The compact range over these leaves, the first of which has index `start`."""
    low, high = start, start + len(leaf_hashes)
    nodes = list(leaf_hashes)
    ascending: list[bytes] = []
    descending: list[bytes] = []
    while nodes:
        if low & 1:
            ascending.append(nodes.pop(0))
        if high & 1 and nodes:
            descending.append(nodes.pop())
        nodes = _pair(nodes)
        low, high = (low + 1) >> 1, high >> 1
    hashes = (*ascending, *reversed(descending))
    return CompactRange(start, start + len(leaf_hashes), hashes)


def fold(frontier: CompactRange, leaf_hashes: Sequence[bytes], rest: CompactRange) -> bytes:
    """The root of the tree made of what is held, the leaves of a segment, and its rest.

    Raises HuyingError(BAD_PROOF) unless the three join on.
    """
    return root(merge(append(frontier, leaf_hashes)[0], rest))


def range_hashes(start: int, stop: int, reader: Reader) -> tuple[bytes, ...]:
    """The hashes of the compact range over [start, stop)."""
    return tuple(reader(level, index) for level, index in cover(start, stop))


class SubtreeReader:
    """A `Reader` over a store.

    It is given `leaf_hashes(start, stop)`, and `subtrees(level, start, stop)` for levels that are
    multiples of 8; both give fewer where they end before `stop`.

    Hashes are read in tiles of 256, the levels between are computed, and the last few tiles are
    kept. So a reader is good as long as nothing below it is undone: make one per transaction that
    may be rolled back.
    """

    def __init__(
        self,
        leaf_hashes: Callable[[int, int], Sequence[bytes]],
        subtrees: Callable[[int, int, int], Sequence[bytes]],
    ) -> None:
        self._leaf_hashes = leaf_hashes
        self._subtrees = subtrees
        # By (stored level, tile number): the tile's hashes, then each level above them.
        self._tiles: dict[tuple[int, int], list[list[bytes]]] = {}

    def __call__(self, level: int, index: int) -> bytes:
        """The hash of the perfect subtree (level, index).

        Raises HuyingError(CORRUPT) where the store lacks a hash that it needs.
        """
        rise = level % STORED_LEVELS
        stored = level - rise
        number, place = divmod(index << rise, _TILE_HASHES)
        needed = place + (1 << rise)
        key = (stored, number)
        tile = self._tiles.get(key)
        if tile is None or len(tile[0]) < needed:
            tile = [self._read(stored, number)]
            if len(tile[0]) < needed:
                raise HuyingError(Code.CORRUPT, f"tree: subtree ({level}, {index}) is not stored")
            if len(self._tiles) >= _TILES_MAX:
                del self._tiles[next(iter(self._tiles))]
            self._tiles[key] = tile
        while len(tile) <= rise:
            below = tile[-1]
            tile.append(_pair(below[: len(below) & ~1]))
        return tile[rise][place >> rise]

    def _read(self, level: int, number: int) -> list[bytes]:
        start, stop = number * _TILE_HASHES, (number + 1) * _TILE_HASHES
        if level == 0:
            return list(self._leaf_hashes(start, stop))
        return list(self._subtrees(level, start, stop))
