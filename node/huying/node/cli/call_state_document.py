"""The folded state of a call as plain values: what an export writes and a verification compares."""

from __future__ import annotations

import dataclasses
import enum
from typing import Any

from huying.common.calls.call_state import CallState, Place

__all__ = ["state_document"]


def state_document(state: CallState) -> dict[str, Any]:
    """Every field of the state by its name; enums by their names, places as {epoch, index}."""
    document: dict[str, Any] = _plain(state)
    return document


def _plain(value: Any) -> Any:
    if isinstance(value, enum.Enum):
        return value.name.lower()
    if isinstance(value, Place):
        return {"epoch": value.epoch, "index": value.index}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = dataclasses.fields(value)
        return {field.name: _plain(getattr(value, field.name)) for field in fields}
    if isinstance(value, frozenset):
        return [_plain(each) for each in sorted(value)]
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    if isinstance(value, bytes):
        return value.hex()
    return value
