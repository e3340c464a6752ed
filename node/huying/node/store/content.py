"""Reading a record again from the openings of its entry."""

from __future__ import annotations

from huying.common.errors import Code, HuyingError
from huying.common.leaf import HEAD_SLOT, opening_body, unpack_openings

__all__ = ["head_bytes", "message_bytes"]


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
