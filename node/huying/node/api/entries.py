"""One entry of a feed, as far as it is visible here: what `Watch` sends and `feed show` prints.

The leaf says which compartments there are; the openings held say what is in some of them. A
compartment that is not held is listed with the names of its fields, so that a reader sees what is
withheld, not just less.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import DecodeError, Message

from huying.common import codes
from huying.common.errors import Code, HuyingError
from huying.common.feed import audience
from huying.common.feed.leaf import (
    ADDRESSED,
    HEAD_SLOT,
    commitment,
    commitment_prefix,
    leaf_commitment,
    leaf_slots,
    opening_body,
    slot_level,
)
from huying.common.late.spans import erasable
from huying.node.api.types import message_class
from huying.wire.v1 import feed_pb2

__all__ = ["EntryView", "SlotView", "check_openings", "slot_fields", "view_entry"]


@dataclass(frozen=True, slots=True)
class SlotView:
    """One compartment."""

    slot: int
    level: int  # 1 province … 5 village; 0 for the head
    addressed: bool
    present: bool
    fields: tuple[str, ...]  # names of its fields; empty for the head and for unknown slots
    erased: bool = False


@dataclass(frozen=True, slots=True)
class EntryView:
    """What is visible of an entry. `message` is None where its type is unknown or undecodable."""

    origin: str
    slots: tuple[SlotView, ...]
    head: feed_pb2.Head | None  # None where it is not shown
    message: Message | None


def slot_fields(type_: int, code: str) -> dict[int, tuple[str, ...]]:
    """Slot -> names of its fields, for a record type written by division `code`."""
    known = message_class(type_)
    if known is None:
        return {}
    descriptor: Any = known.DESCRIPTOR  # the stubs know two classes of descriptor
    return dict(audience.fields_by_slot(descriptor, int(codes.level(code))))


def check_openings(origin: str, leaf: bytes, openings: Iterable[bytes]) -> None:
    """Each opening must hash to the leaf's commitment at its slot.

    Raises HuyingError(BAD_LEAF) or HuyingError(OPENING_MISMATCH).
    """
    slots = leaf_slots(leaf)
    prefix = commitment_prefix(origin)
    seen: set[int] = set()
    for opening in openings:
        slot = opening[0] if opening else -1
        if slot not in slots or slot in seen:
            raise HuyingError(Code.OPENING_MISMATCH, f"slot {slot:#04x}: not in the leaf, or twice")
        seen.add(slot)
        if commitment(prefix, opening) != leaf_commitment(leaf, slots.index(slot)):
            raise HuyingError(Code.OPENING_MISMATCH, f"slot {slot:#04x}: not what was committed to")


def view_entry(
    origin: str, leaf: bytes, openings: Iterable[bytes], erased: bytes = b""
) -> EntryView:
    """What these openings, which are taken as checked, show of the entry.

    `erased` are the slots that erasures name of it.
    Raises HuyingError(BAD_LEAF); a head or a body that does not parse is shown as absent.
    """
    by_slot = {opening[0]: opening_body(opening) for opening in openings}
    head = _parse_head(by_slot.get(HEAD_SLOT))
    fields = slot_fields(head.type, codes.parse_origin(origin).code) if head is not None else {}
    slots_shown = leaf_slots(leaf)
    taken = erasable(head.type, slots_shown) if head is not None else b""
    gone = bytes(slot for slot in taken if slot in erased)
    slots = tuple(
        SlotView(
            slot=slot,
            level=slot_level(slot),
            addressed=bool(slot & ADDRESSED),
            present=slot in by_slot,
            fields=fields.get(slot, ()),
            erased=slot in gone and slot not in by_slot,
        )
        for slot in slots_shown
    )
    return EntryView(origin, slots, head, _parse_message(head, by_slot))


def _parse_head(body: bytes | None) -> feed_pb2.Head | None:
    if body is None:
        return None
    try:
        return feed_pb2.Head.FromString(body)
    except DecodeError:
        return None


def _parse_message(head: feed_pb2.Head | None, by_slot: dict[int, bytes]) -> Message | None:
    known = message_class(head.type) if head is not None else None
    if known is None:
        return None
    bodies = [body for slot, body in sorted(by_slot.items()) if slot != HEAD_SLOT]
    try:
        return audience.merge(known, bodies)
    except DecodeError:
        return None
