"""Splitting a record into compartments by audience, and merging back what a reader was given.

Every field of a record message declares its audience with the option in audience.proto. From it
follows the slot byte of the compartment that carries the field:

    slot = addressed (bit 7) | ordinal (bits 6-3) | level (bits 2-0)

- level: the declared one, but never below the origin: a town has no compartment that only a
  village could read.
- ordinal: 0 for all fields that share an audience; each field (or oneof) marked `alone` has its
  own, from 1 on in the order of field numbers.

A type at a level always writes the same slots, filled or not, so the presence of a slot tells
nothing. The slots are on the wire and under signatures: tests/data/slots.txt pins them.
docs/FEED.md, "Entry", has the rule.

Nothing is readable by default: a field without the option, with a level outside 1 to 5, or with an
audience unlike the rest of its oneof raises `TypeError` when the plan is made, which is when the
program starts (`huying.common.records.registry`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from operator import attrgetter
from types import MappingProxyType
from typing import Any, Final, NamedTuple, TypeVar

from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet

from huying.common.errors import Code, HuyingError
from huying.common.feed.leaf import ADDRESSED
from huying.common.limits import COMPARTMENTS_MAX
from huying.wire.v1 import audience_pb2

__all__ = [
    "FieldAudience",
    "SplitPlan",
    "fields_by_slot",
    "merge",
    "plan",
    "slot_of",
    "split",
]

_LEVEL_MAX: Final = 5
_ORDINAL_MAX: Final = 15
_SLOTS_MAX: Final = COMPARTMENTS_MAX - 1  # the head has one of the compartments

M = TypeVar("M", bound=Message)


class FieldAudience(NamedTuple):
    """What one field declares."""

    level: int  # 1 province … 5 village
    addressed: bool
    alone: bool


@dataclass(frozen=True, slots=True)
class SplitPlan:
    """How messages of one type are split at nodes of one level."""

    message_class: type[Message]
    origin_level: int
    slots: bytes  # one byte each, ascending
    fields: Mapping[int, tuple[str, ...]]  # slot -> names of its fields, by field number
    slot_by_field: Mapping[str, int]
    splitter: Callable[[Any], tuple[tuple[int, bytes], ...]]


def _audience_of(field: FieldDescriptor) -> FieldAudience:
    """The option of one field. Raises TypeError where it is missing or makes no sense."""
    options = field.GetOptions()
    if not options.HasExtension(audience_pb2.audience):
        raise TypeError(f"{field.full_name} declares no audience")
    declared = options.Extensions[audience_pb2.audience]
    if not 1 <= declared.level <= _LEVEL_MAX:
        raise TypeError(f"{field.full_name} declares no level from 1 to {_LEVEL_MAX}")
    return FieldAudience(declared.level, declared.addressed, declared.alone)


def _audiences(descriptor: Descriptor) -> dict[str, FieldAudience]:
    """Field name -> audience, by field number. Raises TypeError, also for a oneof of two minds."""
    by_name = {
        field.name: _audience_of(field)
        for field in sorted(descriptor.fields, key=lambda field: field.number)
    }
    for oneof in descriptor.oneofs:
        if len({by_name[member.name] for member in oneof.fields}) > 1:
            raise TypeError(f"the members of {oneof.full_name} declare different audiences")
    return by_name


def _assign_slots(descriptor: Descriptor, origin_level: int) -> dict[str, int]:
    """Field name -> slot. Raises TypeError where they don't fit into an entry."""
    given: dict[str, int] = {}  # by field, or by oneof: its members share one compartment
    last_ordinal: dict[tuple[int, bool], int] = {}
    slots: dict[str, int] = {}
    for name, audience in _audiences(descriptor).items():
        level = min(audience.level, origin_level)
        ordinal = 0
        if audience.alone:
            oneof = descriptor.fields_by_name[name].containing_oneof
            unit = oneof.full_name if oneof is not None else name
            if unit not in given:
                group = (level, audience.addressed)
                last_ordinal[group] = last_ordinal.get(group, 0) + 1
                given[unit] = last_ordinal[group]
            ordinal = given[unit]
        if ordinal > _ORDINAL_MAX:
            raise TypeError(f"{descriptor.full_name} has over {_ORDINAL_MAX} fields alone")
        slots[name] = (ADDRESSED if audience.addressed else 0) | ordinal << 3 | level
    if len(set(slots.values())) > _SLOTS_MAX:
        raise TypeError(f"{descriptor.full_name} needs over {_SLOTS_MAX} compartments and a head")
    return slots


def _copier(message_class: type[Message], names: tuple[str, ...]) -> Callable[[Any], bytes]:
    """Serializes just the fields `names`, scalars without presence: a default writes nothing."""
    if len(names) == 1:
        name = names[0]

        def copy_one(message: Any) -> bytes:
            value = getattr(message, name)
            return message_class(**{name: value}).SerializeToString() if value else b""

        return copy_one
    values_of = attrgetter(*names)

    def copy(message: Any) -> bytes:
        part = message_class(**dict(zip(names, values_of(message), strict=True)))
        return part.SerializeToString(deterministic=True)

    return copy


def _clearer(message_class: type[Message], cleared: tuple[str, ...]) -> Callable[[Any], bytes]:
    """Serializes a copy without the fields `cleared`. Good for fields of every kind."""

    def clear(message: Any) -> bytes:
        part = message_class()
        part.CopyFrom(message)
        for name in cleared:
            part.ClearField(name)
        return part.SerializeToString(deterministic=True)

    return clear


def _splitter(
    message_class: type[Message], fields: Mapping[int, tuple[str, ...]]
) -> Callable[[Any], tuple[tuple[int, bytes], ...]]:
    """Copies the fields of a slot or clears those of the others, whichever is less work."""
    every = message_class.DESCRIPTOR.fields
    plain = all(not field.is_repeated and not field.has_presence for field in every)
    takers = []
    for slot, names in fields.items():
        others = tuple(field.name for field in every if field.name not in names)
        if plain and len(names) <= len(others):
            takers.append((slot, _copier(message_class, names)))
        else:
            takers.append((slot, _clearer(message_class, others)))

    def splitter(message: Any) -> tuple[tuple[int, bytes], ...]:
        return tuple([(slot, take(message)) for slot, take in takers])

    return splitter


@lru_cache(maxsize=256)
def plan(descriptor: Descriptor, origin_level: int) -> SplitPlan:
    """The plan for one message type at one level (1 province … 5 village).

    Raises TypeError for a type whose fields don't declare a usable audience.
    """
    assert 1 <= origin_level <= _LEVEL_MAX, origin_level
    slot_by_field = _assign_slots(descriptor, origin_level)
    fields: dict[int, tuple[str, ...]] = dict.fromkeys(sorted(slot_by_field.values()), ())
    for name, slot in slot_by_field.items():
        fields[slot] += (name,)
    message_class = message_factory.GetMessageClass(descriptor)
    return SplitPlan(
        message_class=message_class,
        origin_level=origin_level,
        slots=bytes(fields),
        fields=MappingProxyType(fields),
        slot_by_field=MappingProxyType(slot_by_field),
        splitter=_splitter(message_class, fields),
    )


def split(message: Message, origin_level: int) -> tuple[tuple[int, bytes], ...]:
    """(slot, body) for every slot of the type at that level, ascending; a body may be empty.

    Raises HuyingError(INVALID_ARGUMENT) where the message holds a field this program doesn't know:
    it has no audience, so it can't be put anywhere.
    """
    split_plan = plan(message.DESCRIPTOR, origin_level)
    _refuse_unknown(message)
    return split_plan.splitter(message)


def _refuse_unknown(message: Message) -> None:
    """Raises HuyingError(INVALID_ARGUMENT) for a field without a declaration, at any depth."""
    unknown = UnknownFieldSet(message)
    if len(unknown):
        raise HuyingError(
            Code.INVALID_ARGUMENT,
            f"{message.DESCRIPTOR.name} has the unknown field {unknown[0].field_number}; "
            "upgrade this node, or leave the field out",
        )
    for field in _nested(message.DESCRIPTOR):
        value = getattr(message, field.name)
        if field.is_repeated:
            for entry in value.values() if isinstance(value, Mapping) else value:
                if isinstance(entry, Message):
                    _refuse_unknown(entry)
        elif message.HasField(field.name):
            _refuse_unknown(value)


@lru_cache(maxsize=256)
def _nested(descriptor: Descriptor) -> tuple[FieldDescriptor, ...]:
    """The fields that hold messages."""
    return tuple(field for field in descriptor.fields if field.message_type is not None)


def merge(message_class: type[M], bodies: Iterable[bytes]) -> M:
    """What the bodies show together: protobuf's merge, which is the parse of the concatenation.

    Raises google.protobuf.message.DecodeError where a body is not protobuf.
    """
    return message_class.FromString(b"".join(bodies))


def fields_by_slot(descriptor: Descriptor, origin_level: int) -> Mapping[int, tuple[str, ...]]:
    """Slot -> the names of its fields: what a reader is shown of a compartment it doesn't hold."""
    return plan(descriptor, origin_level).fields


def slot_of(descriptor: Descriptor, origin_level: int, field: str) -> int:
    """The slot that carries `field`. Raises HuyingError(INVALID_ARGUMENT) for an unknown name."""
    try:
        return plan(descriptor, origin_level).slot_by_field[field]
    except KeyError:
        raise HuyingError(
            Code.INVALID_ARGUMENT, f"{descriptor.name} has no field {field!r}"
        ) from None
