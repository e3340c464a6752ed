"""The feed's row, and the two small encodings inside it."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any, Final

from huying.common.codes import parse_origin
from huying.common.errors import Code, HuyingError
from huying.common.state import ClassMark, FeedState, StoredCheckpoint

__all__ = ["feed_from_row", "feed_row", "pack_classes", "split_hashes", "unpack_classes"]

HASH_BYTES: Final = 32
_MARK: Final = struct.Struct(">QQ")


def pack_classes(classes: Mapping[str, ClassMark]) -> bytes:
    """Per class: u8 len(name), name, u64 number, u64 index; names ascending."""
    return b"".join(
        bytes((len(name),)) + name.encode("ascii") + _MARK.pack(*classes[name])
        for name in sorted(classes)
    )


def unpack_classes(packed: bytes) -> dict[str, ClassMark]:
    """Reverse of `pack_classes`. Raises HuyingError(CORRUPT)."""
    classes: dict[str, ClassMark] = {}
    at = 0
    try:
        while at < len(packed):
            name_end = at + 1 + packed[at]
            name = packed[at + 1 : name_end].decode("ascii")
            classes[name] = ClassMark(*_MARK.unpack_from(packed, name_end))
            at = name_end + _MARK.size
    except (struct.error, UnicodeDecodeError, TypeError):
        raise HuyingError(Code.CORRUPT, "feeds.classes does not parse") from None
    return classes


def split_hashes(packed: bytes) -> tuple[bytes, ...]:
    """Hashes of 32 bytes each. Raises HuyingError(CORRUPT)."""
    if len(packed) % HASH_BYTES:
        raise HuyingError(Code.CORRUPT, "a row of hashes is not a multiple of 32 bytes")
    return tuple(packed[i : i + HASH_BYTES] for i in range(0, len(packed), HASH_BYTES))


def _checkpoint_row(checkpoint: StoredCheckpoint | None) -> tuple[int, bytes, bytes]:
    if checkpoint is None:
        return 0, b"", b""
    return checkpoint.size, checkpoint.root, checkpoint.note


def _checkpoint(size: int, root: bytes, note: bytes) -> StoredCheckpoint | None:
    return StoredCheckpoint(size, root, note) if note else None


def feed_row(state: FeedState) -> tuple[Any, ...]:
    """The values of `feeds`, in the order of its columns.

    Raises HuyingError(INVALID_ARGUMENT) for a malformed origin.
    """
    origin = parse_origin(state.origin)
    return (
        state.feed_id,
        state.origin,
        origin.code,
        origin.epoch,
        state.size,
        b"".join(state.frontier),
        *_checkpoint_row(state.head),
        b"".join(state.rest),
        pack_classes(state.classes),
        *_checkpoint_row(state.cosigned),
        *_checkpoint_row(state.witnessed),
        state.frozen,
        state.openings_held,
        state.openings_withheld,
        state.entries_hidden,
        state.quarantined,
    )


def feed_from_row(row: Sequence[Any]) -> FeedState:
    """Reverse of `feed_row`. Raises HuyingError(CORRUPT)."""
    return FeedState(
        feed_id=row[0],
        origin=row[1],
        size=row[4],
        frontier=split_hashes(row[5]),
        head=_checkpoint(*row[6:9]),
        rest=split_hashes(row[9]),
        classes=unpack_classes(row[10]),
        cosigned=_checkpoint(*row[11:14]),
        witnessed=_checkpoint(*row[14:17]),
        frozen=row[17],
        openings_held=row[18],
        openings_withheld=row[19],
        entries_hidden=row[20],
        quarantined=row[21],
    )
