"""What a command printed and exited with, and an event as it is typed."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from tests.support.places import ROOT
from tests.support.tiny_network import GRID

__all__ = ["EVENT_FIELDS", "ROOT", "TOPS", "Result", "Run"]


class Result(NamedTuple):
    code: int
    out: bytes
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Result]


EVENT_FIELDS = (
    *("--field", "category=道路", "--field", "status=reported", "--field", f"grid={GRID}"),
    *("--field", "reported_micros=1", "--field", "description_full=路灯坏了 电话13912345678"),
    *("--field", "reporter_phone=13912345678"),
)


TOPS = ("common", "node", "hub")
