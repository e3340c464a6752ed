r"""An entry's bytes: compartments, their commitments, and the leaf that binds them.

An entry is 1 to 16 compartments. Each has a slot (who may read it), a salt and a body; an
*opening* is the three together. The leaf carries a commitment for every compartment and no
plaintext, so it may travel to everyone and stay for ever, while openings are withheld or erased:

    opening    = u8 slot | 16-byte salt | body
    commitment = SHA-256("huying/commitment/v1\n" | u8 len(origin) | origin | opening)
    leaf       = 0x01 | u8 count | count * (u8 slot | 32-byte commitment)

Slots ascend strictly and nothing trails. docs/FEED.md, "Entry", is the specification; the test
vectors are in tests/data/feed_vectors.json.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from hashlib import sha256
from itertools import pairwise
from typing import Final

from huying.common.errors import Code, HuyingError
from huying.common.limits import COMPARTMENTS_MAX, ENTRY_BYTES_MAX, SALT_BYTES

__all__ = [
    "ADDRESSED",
    "HEAD_SLOT",
    "commitment",
    "commitment_prefix",
    "encode_leaf",
    "leaf_commitment",
    "leaf_slots",
    "make_entry",
    "make_opening",
    "opening_body",
    "pack_openings",
    "shown_slots",
    "slot_level",
    "unpack_openings",
]

HEAD_SLOT: Final = 0x00
ADDRESSED: Final = 0x80
BODY_OFFSET: Final = 1 + SALT_BYTES

_LEAF_VERSION: Final = 1
_PAIR_BYTES: Final = 33  # slot and commitment
_COMMITMENT_LABEL: Final = b"huying/commitment/v1\n"


def slot_level(slot: int) -> int:
    """The level number (1 province … 5 village) in a slot; 0 in the head's."""
    return slot & 0x07


@lru_cache(maxsize=4096)
def commitment_prefix(origin: str) -> bytes:
    """What every commitment of a feed starts with."""
    name = origin.encode("ascii")
    return _COMMITMENT_LABEL + bytes((len(name),)) + name


def commitment(prefix: bytes, opening: bytes) -> bytes:
    """The 32-byte commitment of an opening, under its feed's `commitment_prefix`."""
    return sha256(prefix + opening).digest()


def make_opening(slot: int, salt: bytes, body: bytes) -> bytes:
    """Slot | salt | body."""
    return bytes((slot,)) + salt + body


def opening_body(opening: bytes) -> bytes:
    """The body of an opening whose length was checked."""
    return opening[BODY_OFFSET:]


def encode_leaf(slots: Sequence[int], commitments: Sequence[bytes]) -> bytes:
    """The leaf over commitments in slot order. Slots must ascend strictly."""
    assert len(slots) == len(commitments)
    _check_slots(bytes(slots))
    pairs = b"".join(
        bytes((slot,)) + digest for slot, digest in zip(slots, commitments, strict=True)
    )
    return bytes((_LEAF_VERSION, len(slots))) + pairs


@lru_cache(maxsize=4096)
def _check_slots(slots: bytes) -> None:
    """Slots are the same few rows for every entry of a type, so the verdict is kept."""
    if not 1 <= len(slots) <= COMPARTMENTS_MAX:
        raise HuyingError(Code.BAD_LEAF, f"{len(slots)} compartments, 1 to {COMPARTMENTS_MAX}")
    if slots[0] != HEAD_SLOT:
        raise HuyingError(Code.BAD_LEAF, "the head's slot 0x00 is not first")
    for left, right in pairwise(slots):
        if left >= right:
            raise HuyingError(Code.BAD_LEAF, f"slot {right:#04x} after {left:#04x}")
    for slot in slots[1:]:
        if not 1 <= slot_level(slot) <= 5:
            raise HuyingError(Code.BAD_LEAF, f"slot {slot:#04x} has level {slot_level(slot)}")


def leaf_slots(leaf: bytes) -> bytes:
    """The slots that a leaf shows, one byte each, ascending.

    Raises HuyingError(BAD_LEAF) for anything that `encode_leaf` would not have written.
    """
    if len(leaf) < 2 or leaf[0] != _LEAF_VERSION or len(leaf) != 2 + _PAIR_BYTES * leaf[1]:
        raise HuyingError(Code.BAD_LEAF, f"{len(leaf)} bytes, version or count do not fit")
    slots = leaf[2::_PAIR_BYTES]
    _check_slots(slots)
    return slots


def shown_slots(leaf: bytes) -> bytes:
    """The slots that a leaf shows; none of one that is malformed."""
    try:
        return leaf_slots(leaf)
    except HuyingError:
        return b""


def leaf_commitment(leaf: bytes, position: int) -> bytes:
    """The commitment of the compartment at `position` (its rank, not its slot)."""
    at = 3 + _PAIR_BYTES * position
    return leaf[at : at + 32]


def make_entry(
    origin: str, compartments: Iterable[tuple[int, bytes]], salts: bytes
) -> tuple[bytes, list[bytes]]:
    """A leaf and its openings from (slot, body) pairs in slot order.

    `salts` holds 16 fresh random bytes for each compartment. Raises HuyingError(ENTRY_TOO_LARGE).
    """
    prefix = commitment_prefix(origin)
    openings = [
        bytes((slot,)) + salts[SALT_BYTES * i : SALT_BYTES * (i + 1)] + body
        for i, (slot, body) in enumerate(compartments)
    ]
    assert len(salts) >= SALT_BYTES * len(openings)
    leaf = encode_leaf(
        bytes([opening[0] for opening in openings]),
        [sha256(prefix + opening).digest() for opening in openings],
    )
    size_bytes = len(leaf) + sum(map(len, openings))
    if size_bytes > ENTRY_BYTES_MAX:
        raise HuyingError(
            Code.ENTRY_TOO_LARGE,
            f"the entry is {size_bytes} bytes, the limit is {ENTRY_BYTES_MAX} (16 KiB)",
        )
    return leaf, openings


def pack_openings(openings: Iterable[bytes]) -> bytes:
    """Openings in one value for storage: each after its length in two bytes."""
    return b"".join([len(opening).to_bytes(2, "big") + opening for opening in openings])


def unpack_openings(packed: bytes) -> list[bytes]:
    """The openings of a packed value. Raises HuyingError(CORRUPT) where it does not parse."""
    openings = []
    at, end = 0, len(packed)
    while at < end:
        start = at + 2
        at = start + int.from_bytes(packed[at:start], "big")
        openings.append(packed[start:at])
    if at != end:
        raise HuyingError(Code.CORRUPT, "stored openings do not parse")
    return openings
