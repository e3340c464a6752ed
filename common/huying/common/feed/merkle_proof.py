"""Proofs about a feed's tree: RFC 6962 section 2.1, checked as RFC 9162 section 2.1 says.

An *inclusion proof* shows that one leaf stands at an index of a tree; a *consistency proof* that
one tree is the beginning of another. Making either needs a `Reader` of the stored tree; checking
needs nothing but the proof and what it speaks of.
"""

from __future__ import annotations

from collections.abc import Sequence

from huying.common.errors import Code, HuyingError
from huying.common.feed.merkle import (
    EMPTY_ROOT,
    HASH_BYTES,
    Reader,
    close,
    node_hash,
    range_hashes,
)

__all__ = ["consistency_proof", "inclusion_proof", "verify_consistency", "verify_inclusion"]


def _subtree_root(start: int, stop: int, reader: Reader) -> bytes:
    """MTH of the leaves [start, stop), where `start` is a multiple of a power of 2 >= the width."""
    return close(range_hashes(start, stop, reader))


def _split(width: int) -> int:
    """The largest power of 2 smaller than `width`: how many leaves go under the left child."""
    return 1 << ((width - 1).bit_length() - 1)


def inclusion_proof(index: int, size: int, reader: Reader) -> list[bytes]:
    """The audit path of leaf `index` in the tree of `size` leaves (RFC 6962 section 2.1.1).

    From the leaf's sibling up to the root's child. Raises HuyingError(INVALID_ARGUMENT) for an
    index outside the tree, and whatever `reader` raises.
    """
    if not 0 <= index < size:
        raise HuyingError(Code.INVALID_ARGUMENT, f"index: {index} is outside a tree of {size}")
    path: list[bytes] = []
    start, stop = 0, size
    while stop - start > 1:
        middle = start + _split(stop - start)
        if index < middle:
            path.append(_subtree_root(middle, stop, reader))
            stop = middle
        else:
            path.append(_subtree_root(start, middle, reader))
            start = middle
    path.reverse()
    return path


def consistency_proof(old_size: int, new_size: int, reader: Reader) -> list[bytes]:
    """That the tree of `old_size` is the beginning of that of `new_size` (RFC 6962 section 2.1.2).

    Empty where the old tree is empty or the sizes are equal. Raises HuyingError(INVALID_ARGUMENT)
    for sizes out of order, and whatever `reader` raises.
    """
    if not 0 <= old_size <= new_size:
        raise HuyingError(
            Code.INVALID_ARGUMENT, f"size: {old_size} is not within a tree of {new_size}"
        )
    if old_size in (0, new_size):
        return []
    path: list[bytes] = []
    start, stop = 0, new_size
    while stop != old_size:
        middle = start + _split(stop - start)
        if old_size <= middle:
            path.append(_subtree_root(middle, stop, reader))
            stop = middle
        else:
            path.append(_subtree_root(start, middle, reader))
            start = middle
    if start > 0:  # otherwise it is the old root itself, which the verifier knows
        path.append(_subtree_root(start, stop, reader))
    path.reverse()
    return path


def verify_inclusion(
    index: int, size: int, leaf_digest: bytes, proof: Sequence[bytes], root_digest: bytes
) -> None:
    """Check an audit path (RFC 9162 section 2.1.3.2).

    Raises HuyingError(BAD_PROOF) unless the leaf is at `index` in the tree of that size and root.
    """
    _check_hashes(leaf_digest, root_digest, *proof)
    if not 0 <= index < size:
        raise HuyingError(Code.BAD_PROOF, f"index: {index} is outside a tree of {size}")
    node, last, digest = index, size - 1, leaf_digest
    for sibling in proof:
        if last == 0:
            raise HuyingError(Code.BAD_PROOF, "inclusion proof: too many hashes")
        if node & 1 or node == last:
            digest = node_hash(sibling, digest)
            # A rightmost node without a sibling is carried up unchanged.
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            digest = node_hash(digest, sibling)
        node, last = node >> 1, last >> 1
    if last:
        raise HuyingError(Code.BAD_PROOF, "inclusion proof: too few hashes")
    if digest != root_digest:
        raise HuyingError(Code.BAD_PROOF, "inclusion proof: does not fold to the root")


def verify_consistency(
    old_size: int, new_size: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]
) -> None:
    """Check that one tree is the beginning of another (RFC 9162 section 2.1.4.2).

    Raises HuyingError(BAD_PROOF) unless it is.
    """
    _check_hashes(old_root, new_root, *proof)
    if not 0 <= old_size <= new_size:
        raise HuyingError(Code.BAD_PROOF, f"size: {old_size} is not within a tree of {new_size}")
    if old_size in (0, new_size):
        if proof:
            raise HuyingError(Code.BAD_PROOF, "consistency proof: too many hashes")
        if old_size == 0 and old_root != EMPTY_ROOT:
            raise HuyingError(Code.BAD_PROOF, "consistency proof: not the empty tree's root")
        if old_size == new_size and old_root != new_root:
            raise HuyingError(Code.BAD_PROOF, "consistency proof: one size, two roots")
        return
    # A perfect old tree is one node of the new one, and its root opens the path.
    path = list(proof) if old_size & (old_size - 1) else [old_root, *proof]
    if not path:
        raise HuyingError(Code.BAD_PROOF, "consistency proof: too few hashes")
    node, last = old_size - 1, new_size - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    old_digest = new_digest = path[0]
    for sibling in path[1:]:
        if last == 0:
            raise HuyingError(Code.BAD_PROOF, "consistency proof: too many hashes")
        if node & 1 or node == last:
            old_digest = node_hash(sibling, old_digest)
            new_digest = node_hash(sibling, new_digest)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            new_digest = node_hash(new_digest, sibling)
        node, last = node >> 1, last >> 1
    if last:
        raise HuyingError(Code.BAD_PROOF, "consistency proof: too few hashes")
    if old_digest != old_root or new_digest != new_root:
        raise HuyingError(Code.BAD_PROOF, "consistency proof: does not fold to the two roots")


def _check_hashes(*hashes: bytes) -> None:
    if any(len(digest) != HASH_BYTES for digest in hashes):
        raise HuyingError(Code.BAD_PROOF, f"proof: a hash has {HASH_BYTES} bytes")
