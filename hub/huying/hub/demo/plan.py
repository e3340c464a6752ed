"""Which network the demo makes, and how much it does.

One real county with two of its towns and two villages of each, from the division file. A decision
that people would make, such as what to call the county for, is a function of the input: so two
runs do the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from huying.common.limits import RECORD_ID_BYTES
from huying.hub.demo.divisions import DivisionRow, read_divisions
from huying.hub.demo.requests import Request
from huying.hub.fleet import Place

__all__ = [
    "COUNTY",
    "NETWORK",
    "TIMING",
    "TOWNS",
    "Duties",
    "Sizes",
    "places",
    "record_id",
    "share",
    "villages",
]

NETWORK: Final = "wenshang.example"
COUNTY: Final = "370830000000"  # 汶上县
# Town -> its villages: 义桥镇 and 南旺镇.
TOWNS: Final[Mapping[str, tuple[str, ...]]] = {
    "370830108000": ("370830108201", "370830108202"),
    "370830102000": ("370830102200", "370830102201"),
}
# A demo is watched: pulses come often, and a node whose parent starts with it waits less.
TIMING: Final = {"pulse_seconds": 2.0, "confirm_seconds": 2.0, "retry_seconds_max": 2.0}
_SEED: Final = 370830


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much the demo does."""

    households: int = 280  # in each village
    requests: int = 1000  # of the whole network
    requests_per_second: float = 30.0  # on average; they come as unevenly as they did

    @property
    def stream_seconds(self) -> float:
        """How long the stream of requests lasts."""
        return self.requests / self.requests_per_second


def villages() -> list[str]:
    """The codes of all villages."""
    return [village for town in TOWNS.values() for village in town]


def places() -> list[Place]:
    """The nodes to be made, parents before children."""
    rows = read_divisions()

    def place(row: DivisionRow, parent: str | None) -> Place:
        return Place(row.code, row.name, parent)

    made = [place(rows[COUNTY], None)]
    made += [place(rows[town], COUNTY) for town in TOWNS]
    made += [place(rows[one], town) for town, below in TOWNS.items() for one in below]
    return made


def record_id(*parts: object) -> bytes:
    """The id of a record that the demo writes, from what it is about."""
    text = "/".join(str(part) for part in (_SEED, *parts))
    return hashlib.sha256(text.encode()).digest()[:RECORD_ID_BYTES]


def share(record: bytes, purpose: str) -> float:
    """A number from 0 to 1, drawn from a record's id for one purpose."""
    digest = hashlib.sha256(purpose.encode() + b"\n" + record).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


class Duties:
    """职责清单: which department leads for a category, and which categories exceed a town."""

    CALLED_SHARE: Final = 0.5  # of the matters beyond a town; the rest it settles all the same

    def __init__(self, requests: Sequence[Request]) -> None:
        self._department = {one.category: one.department for one in requests}
        self._beyond = {one.category for one in requests if one.beyond_town}

    def department(self, category: str) -> str:
        """主办: the county department that leads."""
        return self._department[category]

    def is_called(self, category: str, event: bytes) -> bool:
        """Whether the town calls the county for this event, by its record id."""
        return category in self._beyond and share(event, "call") < self.CALLED_SHARE
