"""The seven nodes of the simulated world: a county, two towns, four villages."""

from __future__ import annotations

__all__ = ["COUNTY", "LEVEL", "NETWORK", "PARENT", "TOWNS", "VILLAGES"]

NETWORK = "wenshang.example"
COUNTY = "370830000000"
TOWNS = ("370830108000", "370830101000")
VILLAGES = ("370830108201", "370830108202", "370830101201", "370830101202")

# The tree as it was planned, by hand: the oracles must not learn it from the code under test.
PARENT: dict[str, str | None] = {
    COUNTY: None,
    TOWNS[0]: COUNTY,
    TOWNS[1]: COUNTY,
    VILLAGES[0]: TOWNS[0],
    VILLAGES[1]: TOWNS[0],
    VILLAGES[2]: TOWNS[1],
    VILLAGES[3]: TOWNS[1],
}
LEVEL = {COUNTY: 3, **dict.fromkeys(TOWNS, 4), **dict.fromkeys(VILLAGES, 5)}
