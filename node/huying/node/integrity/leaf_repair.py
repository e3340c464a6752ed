"""Which leaves of a feed still stand, block by block, by what was signed over them.

The feed is walked in aligned blocks of 256 entries. A block stands if its leaves give the roots
that were signed inside it and the hash stored for it. Where they don't, each suspect leaf is made
anew from its openings, which is enough for most damage in the own feed; and where that fails the
block's own hash, if a later signed root bears it out, is held on to as what an answer of a peer
must fold to. The walk ends where neither leaves nor hash can be borne out.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from huying.common.errors import HuyingError
from huying.common.feed.leaf import (
    BODY_OFFSET,
    HEAD_SLOT,
    commitment,
    encode_leaf,
    leaf_commitment,
    leaf_slots,
    unpack_openings,
)
from huying.common.feed.merkle import (
    EMPTY_RANGE,
    HASH_BYTES,
    STORED_LEVELS,
    CompactRange,
    append,
    build,
    leaf_hash,
    merge,
    root,
)
from huying.common.integrity.mending import BLOCK_ENTRIES
from huying.common.state import StoredEntry

__all__ = ["Block", "LeafWalk", "entry_digest"]

_VARIANTS_MAX: Final = 4096  # of one block: a few suspects, a few ways to read each


@dataclass(slots=True)
class Block:
    """The entries [start, stop) of a feed as they are on the disk; None where one is gone."""

    start: int
    entries: list[StoredEntry | None]
    stored: bytes | None  # the subtree's hash on record; None where there is none
    mended: dict[int, bytes] = field(default_factory=dict)  # index -> leaf made anew
    doubtful: tuple[int, int] | None = None  # range of leaves that are to be got anew

    @property
    def stop(self) -> int:
        """After its last entry."""
        return self.start + len(self.entries)


class LeafWalk:
    """One feed, block by block, from its first.

    `signed` are the roots borne out by a signature, by size; `prefix` is the feed's commitment
    prefix. `stands` says how far the blocks taken go, `subtrees` is the tree above them.
    """

    def __init__(self, signed: Mapping[int, bytes], prefix: bytes) -> None:
        self._signed = signed
        self._prefix = prefix
        self._blocks = EMPTY_RANGE  # over block hashes in place of leaves
        self._tail: tuple[bytes, ...] = ()
        self.stands = 0
        self.subtrees: list[tuple[int, int, bytes]] = []

    @property
    def frontier(self) -> CompactRange:
        """The compact range over all entries taken."""
        whole = CompactRange(0, self._whole, self._blocks.hashes)
        return merge(whole, CompactRange(self._whole, self.stands, self._tail))

    @property
    def _whole(self) -> int:
        return self._blocks.stop * BLOCK_ENTRIES

    def take(self, block: Block, ahead: Sequence[bytes] | None, tail: Sequence[bytes]) -> bool:
        """Take the next block in; False where nothing bears it out, and the walk ends before it.

        `ahead` are the leaf hashes that follow it, up to the next signed size or the feed's end,
        None where one of them is gone. `tail` is the compact range that the feed's row gives for
        a last block that is not whole.
        """
        for hashes in self._readings(block):
            target = self._bears_out(block, hashes, ahead, tail)
            if target is not None:
                self._add(block, target)
                return True
            block.mended.clear()
        target = self._on_record(block, ahead, tail)
        if target is None:
            return False
        good = self._good_prefix(block)
        block.doubtful = good, block.stop
        self._add(block, target)
        return True

    # What the leaves may have been.

    def _readings(self, block: Block) -> Iterator[list[bytes]]:
        """The leaf hashes as they are; then with suspect leaves made anew, in every combination.

        `block.mended` holds those of the reading that was given last.
        """
        hashes = [entry_digest(entry) for entry in block.entries]
        if None not in hashes:
            yield [digest for digest in hashes if digest is not None]
        choices: list[list[tuple[int, bytes]]] = []
        for at, entry in enumerate(block.entries):
            leaves = list(self._leaves(entry)) if entry is not None else []
            if leaves:
                choices.append([(at, leaf) for leaf in leaves])
            elif hashes[at] is None:
                return  # gone, and nothing to make it from
        combinations = itertools.product(*choices) if choices else iter(())
        for chosen in itertools.islice(combinations, _VARIANTS_MAX):
            block.mended = {block.start + at: leaf for at, leaf in chosen}
            made = list(hashes)
            for at, leaf in chosen:
                made[at] = leaf_hash(leaf)
            yield [digest for digest in made if digest is not None]

    def _leaves(self, entry: StoredEntry) -> Iterator[bytes]:
        """What the leaf of an entry in doubt may be, made from its openings; none if it fits."""
        try:
            openings = [one for one in unpack_openings(entry.openings) if len(one) >= BODY_OFFSET]
        except (HuyingError, TypeError):
            return
        made = {opening[0]: commitment(self._prefix, opening) for opening in openings}
        if not made or HEAD_SLOT not in made:
            return
        leaf = entry.leaf if isinstance(entry.leaf, bytes) else b""
        try:
            slots = leaf_slots(leaf)
        except HuyingError:
            slots = b""
        stored = {slot: leaf_commitment(leaf, at) for at, slot in enumerate(slots)}
        wrong = [slot for slot, digest in made.items() if stored.get(slot) != digest]
        if slots and not wrong:
            yield leaf  # it fits; another compartment's commitment may still be the one spoilt
            return
        if slots and not set(wrong) - set(slots):
            # Each compartment that does not fit is spoilt in the leaf, or in its opening.
            for count in range(len(wrong), -1, -1):
                for chosen in itertools.combinations(wrong, count):
                    mixed = {**stored, **{slot: made[slot] for slot in chosen}}
                    yield encode_leaf(sorted(mixed), [mixed[slot] for slot in sorted(mixed)])
        try:
            yield encode_leaf(sorted(made), [made[slot] for slot in sorted(made)])
        except HuyingError:
            return

    # What bears them out.

    def _bears_out(
        self,
        block: Block,
        hashes: list[bytes],
        ahead: Sequence[bytes] | None,
        tail: Sequence[bytes],
    ) -> tuple[bytes, ...] | None:
        """The block's compact range, if every signed root in it fits and something vouches."""
        vouched = False
        for size in self._sizes(block.start, block.stop):
            if self._root(block.start, hashes[: size - block.start]) != self._signed[size]:
                return None
            vouched = vouched or size == block.stop
        target = build(block.start, hashes).hashes
        if not self._is_whole(block):
            if vouched or target == tuple(tail):
                return target
            return target if self._fits_later(block, target, ahead) is True else None
        if vouched or (block.stored is not None and (block.stored,) == target):
            return target
        return target if self._fits_later(block, target, ahead) is True else None

    def _on_record(
        self, block: Block, ahead: Sequence[bytes] | None, tail: Sequence[bytes]
    ) -> tuple[bytes, ...] | None:
        """What is on record for a block whose leaves don't fit, unless a signed root denies it."""
        if not self._is_whole(block):
            target = tuple(tail)
            whole = CompactRange(0, self._whole, self._blocks.hashes)
            try:
                digest = root(merge(whole, CompactRange(block.start, block.stop, target)))
            except HuyingError:
                return None
            signed = self._signed.get(block.stop)
            # Where no root was signed at this size, `rest` is what binds it: the caller looks.
            return target if signed in (None, digest) else None
        if block.stored is None:
            return None
        target = (block.stored,)
        # Visible damage goes on into the next block more often than it hits the tree above it.
        visible = any(self._is_damaged(entry) for entry in block.entries)
        return target if visible or self._fits_later(block, target, ahead) is not False else None

    def _is_damaged(self, entry: StoredEntry | None) -> bool:
        """Whether an entry shows by itself that it is not as it was stored."""
        if entry is None or entry_digest(entry) is None:
            return True
        if entry.leaf is None:
            return False
        try:
            slots = leaf_slots(entry.leaf)
            for opening in unpack_openings(entry.openings):
                at = slots.find(opening[:1])
                made = commitment(self._prefix, opening)
                if at < 0 or made != leaf_commitment(entry.leaf, at):
                    return True
        except (HuyingError, TypeError):
            return bool(entry.openings)
        return False

    def _fits_later(
        self, block: Block, target: tuple[bytes, ...], ahead: Sequence[bytes] | None
    ) -> bool | None:
        """Whether the next signed root bears the block out; None where nobody can say."""
        if ahead is None or not self._is_whole(block):
            return None
        size = block.stop + len(ahead)
        if size not in self._signed:
            return None
        before = CompactRange(0, self._whole, self._blocks.hashes)
        joined = merge(before, CompactRange(block.start, block.stop, target))
        return root(append(joined, ahead)[0]) == self._signed[size]

    def _good_prefix(self, block: Block) -> int:
        """Up to which index the leaves are borne out by the roots signed inside the block."""
        hashes = [entry_digest(entry) for entry in block.entries]
        good = block.start
        for size in self._sizes(block.start, block.stop):
            part = [digest for digest in hashes[: size - block.start] if digest is not None]
            if (
                len(part) < size - block.start
                or self._root(block.start, part) != self._signed[size]
            ):
                break
            good = size
        return good

    def _sizes(self, above: int, upto: int) -> list[int]:
        return [size for size in range(above + 1, upto + 1) if size in self._signed]

    def _root(self, start: int, hashes: Sequence[bytes]) -> bytes:
        before = CompactRange(0, self._whole, self._blocks.hashes)
        return root(merge(before, build(start, hashes)))

    @staticmethod
    def _is_whole(block: Block) -> bool:
        return len(block.entries) == BLOCK_ENTRIES

    def _add(self, block: Block, target: tuple[bytes, ...]) -> None:
        if self._is_whole(block):
            self.subtrees.append((STORED_LEVELS, self._blocks.stop, target[0]))
            self._blocks, above = append(self._blocks, target)
            self.subtrees += [
                (level + STORED_LEVELS, index, digest) for level, index, digest in above
            ]
        else:
            self._tail = target
        self.stands = block.stop


def entry_digest(entry: StoredEntry | None) -> bytes | None:
    """The leaf hash of what stands on the disk, or None where there is none to be had."""
    if entry is None:
        return None
    if isinstance(entry.leaf, bytes):
        return leaf_hash(entry.leaf)
    digest = entry.leaf_hash
    return digest if isinstance(digest, bytes) and len(digest) == HASH_BYTES else None
