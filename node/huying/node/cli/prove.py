"""Making proof files from a node's store, and finding the checkpoint they stand on.

A proof is self-contained, so a checkpoint that a witness cosigned serves it better than a newer one
that nobody has: the newest cosigned one that covers the entry is taken, else the newest signed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from huying.common.codes import parse_origin
from huying.common.errors import Code, HuyingError
from huying.common.feed.checkpoint import merge_signatures
from huying.common.feed.leaf import HEAD_SLOT, leaf_slots, unpack_openings
from huying.common.feed.merkle import SubtreeReader, leaf_hash
from huying.common.feed.merkle_proof import inclusion_proof, verify_inclusion
from huying.common.feed.tlog_proof import TlogProof, format_proof, pack_extra
from huying.node.api.entries import slot_fields
from huying.wire.v1 import feed_pb2

if TYPE_CHECKING:
    from huying.common.state import FeedState, StoredCheckpoint, StoredEntry
    from huying.node.store.reader import FileReader

__all__ = ["ALL", "find_feed", "has_written", "head_note", "make_proof", "read_entry"]

ALL = "all"


def find_feed(reader: FileReader, name: str) -> FeedState:
    """A feed by its origin, or by a division code: then that of its newest epoch.

    Raises HuyingError(NOT_FOUND).
    """
    found = [
        feed for feed in reader.feeds() if name in (feed.origin, parse_origin(feed.origin).code)
    ]
    if not found:
        raise HuyingError(Code.NOT_FOUND, f"no feed {name} here; see: huying feed list")
    return max(found, key=lambda feed: parse_origin(feed.origin).epoch)


def has_written(reader: FileReader, code: str) -> bool:
    """Whether there is anything in a feed of that node."""
    return any(parse_origin(feed.origin).code == code and feed.size for feed in reader.feeds())


def head_note(feed: FeedState) -> bytes:
    """The newest checkpoint's note, with every cosignature gathered for it.

    Raises HuyingError(NOT_FOUND) for a feed without a checkpoint.
    """
    if feed.head is None:
        raise HuyingError(Code.NOT_FOUND, f"{feed.origin}: nothing is signed yet")
    note = feed.head.note
    for other in (feed.witnessed, feed.cosigned):
        if other is not None and (other.size, other.root) == (feed.head.size, feed.head.root):
            note = merge_signatures(note, other.note)
    return note


def read_entry(reader: FileReader, feed: FeedState, index: int) -> StoredEntry:
    """One entry. Raises HuyingError(NOT_FOUND) where the feed does not reach it."""
    found = reader.entries(feed.feed_id, index, index + 1) if index >= 0 else []
    if not found:
        raise HuyingError(Code.NOT_FOUND, f"{feed.origin}: entry {index} of {feed.size}")
    return found[0]


def make_proof(reader: FileReader, feed: FeedState, index: int, opened: Sequence[str]) -> bytes:
    """The proof file of one entry, showing its head and the compartments that `opened` names.

    `opened` holds slots (0x03), names of fields, or "all" for every opening held here. Raises
    HuyingError(NOT_FOUND) for an entry that is not held or not signed yet, INVALID_ARGUMENT for a
    compartment that it does not have or that is withheld here, CORRUPT where the store is damaged.
    """
    entry = read_entry(reader, feed, index)
    if entry.leaf is None:
        raise HuyingError(Code.NOT_FOUND, f"{feed.origin}: entry {index} is withheld whole here")
    checkpoint = _checkpoint_over(reader, feed, index)
    openings = _choose(feed, entry.leaf, unpack_openings(entry.openings), opened)
    path = inclusion_proof(index, checkpoint.size, _tree(reader, feed.feed_id))
    try:
        verify_inclusion(index, checkpoint.size, leaf_hash(entry.leaf), path, checkpoint.root)
    except HuyingError:
        raise HuyingError(
            Code.CORRUPT, f"{feed.origin}: entry {index} is not what was signed"
        ) from None
    extra = pack_extra(entry.leaf, openings)
    return format_proof(TlogProof(index, tuple(path), checkpoint.note, extra))


def _checkpoint_over(reader: FileReader, feed: FeedState, index: int) -> StoredCheckpoint:
    """The checkpoint to prove against, within what is held."""
    for point in (feed.witnessed, feed.cosigned):
        if point is not None and index < point.size <= feed.size:
            return point
    found = reader.checkpoints(feed.feed_id, index, feed.size, newest_first=True, limit=1)
    if not found:
        raise HuyingError(
            Code.NOT_FOUND, f"{feed.origin}: no signed checkpoint covers entry {index} yet"
        )
    return found[0]


def _tree(reader: FileReader, feed_id: int) -> SubtreeReader:
    def leaves(start: int, stop: int) -> list[bytes]:
        return [
            leaf_hash(leaf) if leaf is not None else digest or b""
            for leaf, digest, _ in reader.entries(feed_id, start, stop)
        ]

    def stored(level: int, start: int, stop: int) -> list[bytes]:
        return reader.subtrees(feed_id, level, start, stop)

    return SubtreeReader(leaves, stored)


def _choose(
    feed: FeedState, leaf: bytes, openings: list[bytes], opened: Sequence[str]
) -> list[bytes]:
    """The head and what was asked for. What a proof shows, its readers may pass on: so no more."""
    held = {opening[0]: opening for opening in openings}
    if ALL in opened:
        return openings
    wanted = {HEAD_SLOT} & held.keys()
    names = _slots_by_field(feed.origin, held.get(HEAD_SLOT))
    for name in opened:
        slot = names.get(name)
        if slot is None:
            slot = _parse_slot(name)
        if slot not in leaf_slots(leaf):
            raise HuyingError(Code.INVALID_ARGUMENT, f"--open {name}: the entry has no such part")
        if slot not in held:
            raise HuyingError(Code.INVALID_ARGUMENT, f"--open {name}: withheld from this node")
        wanted.add(slot)
    return [held[slot] for slot in sorted(wanted)]


def _slots_by_field(origin: str, head: bytes | None) -> dict[str, int]:
    if head is None:
        return {}
    from huying.common.feed.leaf import opening_body

    parsed = feed_pb2.Head.FromString(opening_body(head))
    fields = slot_fields(parsed.type, parse_origin(origin).code)
    return {name: slot for slot, names in fields.items() for name in names}


def _parse_slot(text: str) -> int:
    try:
        slot = int(text, 0)
    except ValueError:
        slot = -1
    if not 0 <= slot <= 0xFF:
        raise HuyingError(
            Code.INVALID_ARGUMENT, f"--open {text}: a slot as 0x03, a field's name, or {ALL}"
        )
    return slot
