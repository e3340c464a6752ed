"""Division codes, grid codes, and the names that feeds and witnesses have because of them.

A division code (统计用区划代码) has 12 digits: province 2, prefecture 2, county 2 (GB/T 2260),
town 3 (GB/T 10114), village 3; what a division does not need is zero. So a code alone tells its
level, its ancestors and what lies within it, and no table is asked. A division may skip the
county, as the towns of Dongguan do (441900003000): its parent is then the prefecture.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from huying.common.errors import Code, HuyingError
from huying.common.limits import EPOCH_MAX, ORIGIN_BYTES_MAX

__all__ = [
    "DivisionKind",
    "Level",
    "Origin",
    "ancestors",
    "division_kind",
    "grid_village",
    "is_within",
    "level",
    "origin",
    "parent",
    "parse_code",
    "parse_grid",
    "parse_network",
    "parse_origin",
    "witness_name",
]

# A whole district is under 1,000 divisions; the bound keeps a peer from growing the caches.
_CACHE_ENTRIES_MAX: Final = 8192

_CODE: Final = re.compile(r"[0-9]{12}")
_GRID: Final = re.compile(r"[0-9]{15}")
_LABEL: Final = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_NETWORK: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_ORIGIN: Final = re.compile(r"([a-z0-9.-]+)/feed/([0-9]{12})/e([1-9][0-9]{0,9})")


class Level(enum.IntEnum):
    """The tiers of division, from the top; the numbers are those of the wire's `Level`."""

    PROVINCE = 1
    PREFECTURE = 2
    COUNTY = 3
    TOWN = 4
    VILLAGE = 5


# Digits that a division of each level may use; the rest are zero.
_WIDTHS: Final = {
    Level.PROVINCE: 2,
    Level.PREFECTURE: 4,
    Level.COUNTY: 6,
    Level.TOWN: 9,
    Level.VILLAGE: 12,
}


class DivisionKind(enum.Enum):
    """What a division is called; the value is the Chinese term."""

    PROVINCE = "省"
    PREFECTURE = "地"
    COUNTY = "县"
    SUBDISTRICT = "街道"
    TOWN = "镇"
    TOWNSHIP = "乡"
    TOWN_LIKE = "类似乡级单位"
    RESIDENTS_COMMITTEE = "居委会"
    VILLAGERS_COMMITTEE = "村委会"
    VILLAGE_LIKE = "类似村级单位"


@dataclass(frozen=True, slots=True)
class Origin:
    """The parts of a feed's name `<network>/feed/<code>/e<epoch>`."""

    network: str
    code: str
    epoch: int

    def __str__(self) -> str:
        return f"{self.network}/feed/{self.code}/e{self.epoch}"


def parse_code(text: str, field: str = "code") -> str:
    """`text` itself, if it is a division code.

    Raises HuyingError(INVALID_ARGUMENT), naming `field`.
    """
    if not _CODE.fullmatch(text):
        raise HuyingError(Code.INVALID_ARGUMENT, f"{field}: a division code has 12 digits")
    if text[0] == "0":
        raise HuyingError(Code.INVALID_ARGUMENT, f"{field}: no province begins with 0")
    if text[2:4] == "00" and text[4:] != "00000000":
        raise HuyingError(Code.INVALID_ARGUMENT, f"{field}: the prefecture's digits are missing")
    if text[6:9] == "000" and text[9:] != "000":
        raise HuyingError(Code.INVALID_ARGUMENT, f"{field}: the town's digits are missing")
    return text


@lru_cache(maxsize=_CACHE_ENTRIES_MAX)
def level(code: str) -> Level:
    """The level of a division: that of its last part which is not zero.

    Raises HuyingError(INVALID_ARGUMENT) for what is no division code.
    """
    parse_code(code)
    if code[9:] != "000":
        return Level.VILLAGE
    if code[6:9] != "000":
        return Level.TOWN
    if code[4:6] != "00":
        return Level.COUNTY
    return Level.PREFECTURE if code[2:4] != "00" else Level.PROVINCE


@lru_cache(maxsize=_CACHE_ENTRIES_MAX)
def ancestors(code: str) -> tuple[str, ...]:
    """Every division above, nearest first, up to the province; empty for a province.

    Raises HuyingError(INVALID_ARGUMENT) for what is no division code.
    """
    above = []
    for upper in range(level(code) - 1, 0, -1):
        region = code[: _WIDTHS[Level(upper)]].ljust(12, "0")
        # A town right below a prefecture has no county: cutting it there gives the prefecture.
        if level(region) == upper:
            above.append(region)
    return tuple(above)


def parent(code: str) -> str | None:
    """The nearest division above, or None for a province."""
    above = ancestors(code)
    return above[0] if above else None


@lru_cache(maxsize=_CACHE_ENTRIES_MAX)
def _stem(region: str) -> str:
    """The digits that a region shares with everything in it."""
    return region[: _WIDTHS[level(region)]]


def is_within(code: str, region: str) -> bool:
    """Whether `code` is `region` or lies below it. `code` must be a division code."""
    return code.startswith(_stem(region))


def division_kind(code: str) -> DivisionKind:
    """What the division is called, by the ranges of GB/T 10114 and the statistical village codes.

    Town part 001-099 subdistrict, 100-199 town, 200-399 township; village part 001-199 residents'
    committee, 200-399 villagers' committee; farms, parks and the like have higher numbers.
    """
    tier = level(code)
    if tier == Level.TOWN:
        number = int(code[6:9])
        if number >= 400:
            return DivisionKind.TOWN_LIKE
        if number >= 200:
            return DivisionKind.TOWNSHIP
        return DivisionKind.TOWN if number >= 100 else DivisionKind.SUBDISTRICT
    if tier == Level.VILLAGE:
        number = int(code[9:])
        if number >= 400:
            return DivisionKind.VILLAGE_LIKE
        if number >= 200:
            return DivisionKind.VILLAGERS_COMMITTEE
        return DivisionKind.RESIDENTS_COMMITTEE
    return DivisionKind[tier.name]


def parse_grid(text: str, field: str = "grid") -> str:
    """`text` itself, if it is a grid code: a village's code and three digits.

    Raises HuyingError(INVALID_ARGUMENT), naming `field`.
    """
    if not _GRID.fullmatch(text):
        raise HuyingError(Code.INVALID_ARGUMENT, f"{field}: a grid code has 15 digits")
    if level(parse_code(text[:12], field)) != Level.VILLAGE:
        raise HuyingError(Code.INVALID_ARGUMENT, f"{field}: a grid lies in a village")
    return text


def grid_village(grid: str) -> str:
    """The code of the village that a grid is drawn in.

    Raises HuyingError(INVALID_ARGUMENT) for what is no grid code.
    """
    return parse_grid(grid)[:12]


def parse_network(text: str, field: str = "network") -> str:
    """`text` itself, if it can name a network: lower-case DNS labels joined by dots.

    Raises HuyingError(INVALID_ARGUMENT), naming `field` and the limit.
    """
    if not _NETWORK.fullmatch(text):
        raise HuyingError(Code.INVALID_ARGUMENT, f"{field}: not a lower-case domain name")
    # The longest name made of it is the origin with the highest epoch.
    if len(str(Origin(text, "0" * 12, EPOCH_MAX))) > ORIGIN_BYTES_MAX:
        raise HuyingError(
            Code.INVALID_ARGUMENT, f"{field}: its origins would be over {ORIGIN_BYTES_MAX} bytes"
        )
    return text


def origin(network: str, code: str, epoch: int) -> str:
    """The name of a feed, and of the key that signs it.

    Raises HuyingError(INVALID_ARGUMENT) where a part can't stand in an origin.
    """
    parse_network(network)
    parse_code(code)
    if not 1 <= epoch <= EPOCH_MAX:
        raise HuyingError(Code.INVALID_ARGUMENT, f"epoch: not within 1 and {EPOCH_MAX}")
    return str(Origin(network, code, epoch))


@lru_cache(maxsize=_CACHE_ENTRIES_MAX)
def parse_origin(text: str) -> Origin:
    """The parts of a feed's name, which re-format to `text`.

    Raises HuyingError(INVALID_ARGUMENT): over 200 bytes, or any part not in its one spelling.
    """
    if len(text) > ORIGIN_BYTES_MAX:
        raise HuyingError(Code.INVALID_ARGUMENT, f"origin: over {ORIGIN_BYTES_MAX} bytes")
    match = _ORIGIN.fullmatch(text)
    if match is None:
        raise HuyingError(Code.INVALID_ARGUMENT, "origin: not <network>/feed/<code>/e<epoch>")
    network, code, epoch = match[1], match[2], int(match[3])
    if origin(network, code, epoch) != text:
        raise HuyingError(Code.INVALID_ARGUMENT, "origin: does not re-format to itself")
    return Origin(network, code, epoch)


def witness_name(network: str, code: str) -> str:
    """The name of the key that a node cosigns other nodes' checkpoints with.

    Raises HuyingError(INVALID_ARGUMENT) where a part can't stand in the name.
    """
    return f"{parse_network(network)}/witness/{parse_code(code)}"
