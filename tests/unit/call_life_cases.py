"""Lives of calls for the tests of their tables."""

from __future__ import annotations

from tests.unit.call_desk import (
    ONE,
)

__all__ = ["OCTOBER", "shown"]


OCTOBER = 1_792_720_800.0  # Friday, 2026-10-23, 10:00 in Beijing


def shown(store, call: bytes = ONE) -> tuple:
    """The call's row and its steps, which are here."""
    found = store.get_call(call)
    assert found is not None
    return found
