"""Records as people and scripts write them: JSON with the proto's field names.

Unlike protobuf's own JSON mapping, whole numbers stay numbers, bytes are hex, and an enum value is
its name without the prefix of its type (`reported`, not `EVENT_STATUS_REPORTED`). `from_plain`
reads what `to_plain` wrote, and refuses what it does not understand.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, TypeVar

from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message

from huying.common.errors import Code, HuyingError

__all__ = ["enum_name", "from_plain", "parse_fields", "to_plain"]

M = TypeVar("M", bound=Message)

_INTEGERS: Final = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
}
_FLOATS: Final = (FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT)
_DECIMAL: Final = re.compile(r"-?(0|[1-9][0-9]{0,19})")
_HEX: Final = re.compile(r"([0-9a-fA-F]{2})*")


def to_plain(message: Message) -> dict[str, Any]:
    """The fields that are set, by name, in the order of their numbers."""
    plain: dict[str, Any] = {}
    for field, value in message.ListFields():
        if field.is_repeated:
            plain[field.name] = [_to_value(field, item) for item in value]
        else:
            plain[field.name] = _to_value(field, value)
    return plain


def _to_value(field: FieldDescriptor, value: Any) -> Any:
    if field.message_type is not None:
        return to_plain(value)
    if field.enum_type is not None:
        return enum_name(field.enum_type, value)
    if isinstance(value, bytes):
        return value.hex()
    return value


@lru_cache(maxsize=64)
def _prefix(enum: EnumDescriptor) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", enum.name).upper() + "_"


def enum_name(enum: EnumDescriptor, number: int) -> str | int:
    """The value's short name, or its number where this program does not know it."""
    value = enum.values_by_number.get(number)
    return number if value is None else value.name.removeprefix(_prefix(enum)).lower()


def from_plain(message_class: type[M], plain: Mapping[str, Any]) -> M:
    """A message from its fields by name.

    Raises HuyingError(INVALID_ARGUMENT), naming the field and what it takes.
    """
    message = message_class()
    _fill(message, plain, "")
    return message


def _fill(message: Message, plain: Mapping[str, Any], path: str) -> None:
    fields: Mapping[str, Any] = message.DESCRIPTOR.fields_by_name
    for name, value in plain.items():
        field = fields.get(name)
        if field is None:
            raise _refuse(f"{path}{name}", f"no such field; there are {', '.join(fields)}")
        place = f"{path}{name}"
        if field.is_repeated:
            if not isinstance(value, list):
                raise _refuse(place, "a list")
            for at, item in enumerate(value):
                _put(getattr(message, name), field, item, f"{place}[{at}]")
        elif field.message_type is not None:
            if not isinstance(value, Mapping):
                raise _refuse(place, "an object")
            child = getattr(message, name)
            child.SetInParent()
            _fill(child, value, f"{place}.")
        else:
            setattr(message, name, _from_value(field, value, place))


def _put(target: Any, field: FieldDescriptor, item: Any, place: str) -> None:
    if field.message_type is None:
        target.append(_from_value(field, item, place))
    elif isinstance(item, Mapping):
        _fill(target.add(), item, f"{place}.")
    else:
        raise _refuse(place, "an object")


def _from_value(field: FieldDescriptor, value: Any, place: str) -> Any:
    if field.enum_type is not None:
        return _enum_number(field.enum_type, value, place)
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        if not isinstance(value, bool):
            raise _refuse(place, "true or false")
        return value
    if field.cpp_type in _FLOATS:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _refuse(place, "a number")
        return float(value)
    bounds = _INTEGERS.get(field.cpp_type)
    if bounds is not None:
        low, high = bounds
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise _refuse(place, f"a whole number from {low} to {high}")
        return value
    if not isinstance(value, str):
        raise _refuse(place, "a text")
    if field.type == FieldDescriptor.TYPE_BYTES:
        return _from_hex(value, place)
    try:
        value.encode()
    except UnicodeEncodeError:
        raise _refuse(place, "a text in Unicode, without lone surrogates") from None
    return value


def _from_hex(value: str, place: str) -> bytes:
    digits = value.replace("-", "")  # a UUID may be written with its hyphens
    if not _HEX.fullmatch(digits):
        raise _refuse(place, "bytes in hex")
    return bytes.fromhex(digits)


def _enum_number(enum: EnumDescriptor, value: Any, place: str) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value in enum.values_by_number:
        return value
    if isinstance(value, str):
        for name in (value.upper(), _prefix(enum) + value.upper()):
            found = enum.values_by_name.get(name)
            if found is not None:
                return found.number
    names = (str(enum_name(enum, each.number)) for each in enum.values if each.number)
    raise _refuse(place, f"one of {', '.join(names)}")


def parse_fields(message_class: type[Message], pairs: list[str]) -> dict[str, Any]:
    """`name=value` pairs of the command line as values for `from_plain`.

    A repeated field is given once for each value; `a.b=value` reaches into a message. Raises
    HuyingError(INVALID_ARGUMENT).
    """
    plain: dict[str, Any] = {}
    for pair in pairs:
        path, equals, text = pair.partition("=")
        if not equals:
            raise _refuse(pair[:40], "name=value")
        target: dict[str, Any] = plain
        descriptor: Any = message_class.DESCRIPTOR
        *parents, name = path.split(".")
        for parent in parents:
            field = descriptor.fields_by_name.get(parent)
            if field is None or field.message_type is None or field.is_repeated:
                raise _refuse(path, f"{parent} is no message here")
            target, descriptor = target.setdefault(parent, {}), field.message_type
        field = descriptor.fields_by_name.get(name)
        value = text if field is None else _from_text(field, text, path)
        if field is not None and field.is_repeated:
            target.setdefault(name, []).append(value)
        elif name in target:
            raise _refuse(path, "given once")
        else:
            target[name] = value
    return plain


def _from_text(field: FieldDescriptor, text: str, place: str) -> Any:
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        if text.lower() not in ("true", "false"):
            raise _refuse(place, "true or false")
        return text.lower() == "true"
    if field.cpp_type in _INTEGERS or (field.enum_type is not None and text.isdigit()):
        if not _DECIMAL.fullmatch(text):
            raise _refuse(place, "a whole number")
        return int(text)
    return text


def _refuse(place: str, wanted: str) -> HuyingError:
    return HuyingError(Code.INVALID_ARGUMENT, f"{place}: {wanted}")
