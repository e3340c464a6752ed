"""Record types by name, and the message class of each, as the proto names them.

`grid_worker` is `RECORD_TYPE_GRID_WORKER` and the message `GridWorker`: one spelling for the
command line, JSON and tables.
"""

from __future__ import annotations

from google.protobuf.message import Message

from huying.common.errors import Code, HuyingError
from huying.common.records.registry import REGISTRY
from huying.wire.v1 import feed_pb2

__all__ = ["kind_name", "message_class", "type_name", "type_names", "type_number"]

_TYPE_PREFIX = "RECORD_TYPE_"
_KIND_PREFIX = "KIND_"


def message_class(type_: int) -> type[Message] | None:
    """The message of a record type, or None for a type that this program does not know."""
    spec = REGISTRY.get(type_)
    return None if spec is None else spec.message_class


def type_name(type_: int) -> str:
    """`event` for RECORD_TYPE_EVENT; the number where it is unknown."""
    value = feed_pb2.RecordType.DESCRIPTOR.values_by_number.get(type_)
    return str(type_) if value is None else value.name.removeprefix(_TYPE_PREFIX).lower()


def kind_name(kind: int) -> str:
    """`put` for KIND_PUT; the number where it is unknown."""
    value = feed_pb2.Kind.DESCRIPTOR.values_by_number.get(kind)
    return str(kind) if value is None else value.name.removeprefix(_KIND_PREFIX).lower()


def type_names() -> list[str]:
    """Every known name, in the order of the numbers."""
    return [type_name(number) for number in sorted(REGISTRY)]


def type_number(name: str) -> feed_pb2.RecordType.ValueType:
    """The number of a type by its name, hyphens allowed.

    Raises HuyingError(INVALID_ARGUMENT), listing the names there are.
    """
    for number in REGISTRY:
        if type_name(number) == name.replace("-", "_").lower():
            return feed_pb2.RecordType.ValueType(number)
    raise HuyingError(Code.INVALID_ARGUMENT, f"type: one of {', '.join(type_names())}")
