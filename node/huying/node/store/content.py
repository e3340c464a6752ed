"""What an entry's openings say: the head, the record as far as it is visible, and the slots."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from google.protobuf.message import DecodeError

from huying.common.errors import Code, HuyingError
from huying.common.feed.leaf import HEAD_SLOT, opening_body, unpack_openings
from huying.wire.v1 import api_pb2, feed_pb2

__all__ = ["OPENINGS_RECORD_AT", "head_bytes", "message_bytes", "peek_head", "slot_states"]

# Where the openings of an entry hold its record's id: after the length, the slot, the salt, kind,
# type and a tag. A head is written in the order of its fields, and kinds and types take one byte.
OPENINGS_RECORD_AT: Final = 2 + 1 + 16 + 2 + 2 + 2

_PRESENT: Final = int(api_pb2.SLOT_STATE_PRESENT)
_WITHHELD: Final = int(api_pb2.SLOT_STATE_WITHHELD)
_ERASED: Final = int(api_pb2.SLOT_STATE_ERASED)


def message_bytes(openings: bytes) -> bytes:
    """The record as far as it is visible: the bodies of the compartments, joined.

    Protobuf parses two messages in a row as their merge, so this parses as the whole. Raises
    HuyingError(CORRUPT).
    """
    return b"".join(
        [opening_body(opening) for opening in unpack_openings(openings) if opening[0] != HEAD_SLOT]
    )


def head_bytes(openings: bytes) -> bytes:
    """The body of the head. Raises HuyingError(CORRUPT) where it is not held."""
    held = unpack_openings(openings)
    if not held or held[0][:1] != bytes((HEAD_SLOT,)):
        raise HuyingError(Code.CORRUPT, "an applied entry without its head")
    return opening_body(held[0])


def peek_head(openings: bytes) -> feed_pb2.Head:
    """The head of an entry; an empty one where it is not held, or does not parse."""
    try:
        return feed_pb2.Head.FromString(head_bytes(openings))
    except (DecodeError, HuyingError):
        return feed_pb2.Head()


@lru_cache(maxsize=4096)
def slot_states(slots: bytes, present: bytes, erased: bytes = b"") -> bytes:
    """Pairs (slot, state). A type shows the same slots every time, so the answers are few."""
    return b"".join(
        bytes((slot, _PRESENT if slot in present else _ERASED if slot in erased else _WITHHELD))
        for slot in slots
    )
