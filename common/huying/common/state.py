"""What a node knows of one feed: the values that one transaction changes together.

Everything here is immutable; the engine replaces a `FeedState` in the transaction that stores the
entries it speaks of, so memory and database never disagree for longer than that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from huying.wire.v1 import feed_pb2

__all__ = [
    "DAMAGED",
    "Applied",
    "ClassMark",
    "FeedState",
    "Missing",
    "StoredCheckpoint",
    "StoredEntry",
]

# In place of a class's name: the leaves themselves are in doubt (huying.common.integrity.mending).
DAMAGED: Final = "!damaged"


class StoredEntry(NamedTuple):
    """One entry as it is held. A plain tuple, since they pass by the hundred thousand.

    Either `leaf` is there, or the entry was withheld whole and only `leaf_hash` is.
    """

    leaf: bytes | None
    leaf_hash: bytes | None  # 32 bytes, just where `leaf` is None
    openings: bytes  # packed by `huying.common.feed.leaf.pack_openings`; empty where none is held


class ClassMark(NamedTuple):
    """How far the running number of one class of readers has come in one feed."""

    number: int  # last number seen (or given, in one's own feed)
    index: int  # type: ignore[assignment]  # of the entry that carried it; hides tuple.index


@dataclass(frozen=True, slots=True)
class StoredCheckpoint:
    """A signed checkpoint that was seen: `note` with whatever cosignatures it has gathered."""

    size: int
    root: bytes
    note: bytes


@dataclass(frozen=True, slots=True)
class FeedState:
    """One feed as this node durably holds it."""

    feed_id: int
    origin: str
    size: int = 0  # entries held, in full, in part, or as a leaf hash
    frontier: tuple[bytes, ...] = ()  # the compact range [0, size)
    head: StoredCheckpoint | None = None  # newest signed checkpoint; its size may be ahead
    rest: tuple[bytes, ...] = ()  # the compact range [size, head.size)
    classes: Mapping[str, ClassMark] = field(default_factory=dict)  # by class name
    cosigned: StoredCheckpoint | None = None  # newest that this node's witness key signed
    witnessed: StoredCheckpoint | None = None  # newest with another node's cosignature
    frozen: bytes = b""  # fork evidence, two notes; a frozen feed takes no more entries
    openings_held: int = 0
    openings_withheld: int = 0  # compartments seen in leaves, and not held
    entries_hidden: int = 0  # entries withheld whole
    quarantined: int = 0  # entries kept opaque that nobody acknowledged


class Missing(NamedTuple):
    """What this node may read and was not given.

    Either the entries start <= index < stop of one feed hold the running numbers first..last of
    class `name` (a gap), or entry `start` lacks the compartments `slots`, or `name` is `DAMAGED`
    and the leaves of these entries are to be got anew.
    """

    start: int
    stop: int
    slots: bytes  # empty for a gap
    name: str  # class; empty for slots
    first: int
    last: int
    since: float  # unix seconds when it was found missing


class Applied(NamedTuple):
    """An entry that passed every check, on its way into the projections."""

    feed_id: int
    home: str  # division code of the origin: half of the record's key
    epoch: int
    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody calls
    head: feed_pb2.Head
    slots: bytes  # every slot the leaf shows
    present: bytes  # the slots whose openings are held
    message: Message  # the record as far as it is visible here
    erased: bytes = b""  # slots whose openings were deleted by a signed erasure
