"""How a setting is declared: a field of a section with its check, its default and its help text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, Field, field
from typing import Any, Final

__all__ = ["checked", "help_of", "setting"]

_CHECK: Final = "check"
_HELP: Final = "help"


def setting(check: Callable[[object], object], help_: str, default: Any = MISSING) -> Any:
    """A field of a section. Without a default the setting is required; None means absent."""
    found: Field[Any] = field(default=default, metadata={_CHECK: check, _HELP: help_})
    return found


def checked(found: Field[Any], value: object) -> Any:
    """The value of a section's field, checked. Raises ValueError with what to do."""
    return found.metadata[_CHECK](value)


def help_of(found: Field[Any]) -> str:
    """The help text of a section's field."""
    return str(found.metadata[_HELP])
