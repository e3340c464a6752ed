"""`huying` run in the test's own process at a node: what it printed, and what it exited with."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from tests.support.tiny_network import GRID

__all__ = ["EVENT_FIELDS", "Result", "Run"]

# An event as it is typed. Its phone number is to be seen in the village alone.
EVENT_FIELDS = (
    *("--field", "category=道路", "--field", "status=reported", "--field", f"grid={GRID}"),
    *("--field", "reported_micros=1", "--field", "description_full=路灯坏了 电话13912345678"),
    *("--field", "reporter_phone=13912345678"),
)


class Result(NamedTuple):
    """What a person, or the program behind a pipe, got from a command."""

    code: int
    out: bytes
    err: str

    @property
    def text(self) -> str:
        return self.out.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Result]
