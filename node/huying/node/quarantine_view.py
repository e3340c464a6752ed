"""An entry in quarantine, as far as it can be looked into, for a terminal and for a page.

The bytes of what was opened may be a person's: whoever shows them says so first, and on purpose.
"""

from __future__ import annotations

from dataclasses import dataclass

from huying.common.errors import ADVICE, Advice, Code, HuyingError
from huying.common.feed.leaf import HEAD_SLOT, leaf_slots, unpack_openings
from huying.common.feed.merkle import leaf_hash
from huying.node.api.types import type_name
from huying.node.store.quarantine_queries import Quarantined

__all__ = ["SlotView", "advice_of", "fault_name", "hash_of", "slots_of", "type_of"]


@dataclass(frozen=True, slots=True)
class SlotView:
    """One compartment of an entry."""

    slot: int
    opening: bytes | None  # slot, salt and body as they are held; None: not held

    @property
    def is_head(self) -> bool:
        """Whether it is the head, which holds nobody's data."""
        return self.slot == HEAD_SLOT


def slots_of(found: Quarantined) -> list[SlotView]:
    """What the leaf shows; nothing where it is not held, or is malformed."""
    if found.entry.leaf is None:
        return []
    try:
        slots = leaf_slots(found.entry.leaf)
        held = {opening[0]: opening for opening in unpack_openings(found.entry.openings)}
    except HuyingError:
        return []
    return [SlotView(slot, held.get(slot)) for slot in slots]


def hash_of(found: Quarantined) -> bytes:
    """The leaf's hash, which the signed root covers."""
    leaf = found.entry.leaf
    return found.entry.leaf_hash or b"" if leaf is None else leaf_hash(leaf)


def type_of(found: Quarantined) -> str:
    """`event`; the number of a type that this program does not know; empty without a head."""
    return type_name(found.head.type) if found.entry.openings else ""


def fault_name(code: int) -> str:
    """`UNKNOWN_TYPE`; the number where it is none of ours."""
    try:
        return Code(code).name
    except ValueError:
        return str(code)


def advice_of(code: int) -> Advice:
    """What to do about a reason."""
    try:
        return ADVICE[Code(code)]
    except ValueError:
        return ADVICE[Code.UNKNOWN]
