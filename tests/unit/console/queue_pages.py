"""The answer desk's queue as its pages show it: the titles of its rows, the tiles' counts."""

from __future__ import annotations

import re
from typing import Any

from tests.support.console_site import ConsoleUnderTest, text_of
from tests.unit.console.call_console import LEAD
from tests.unit.console.queue_desk import QueueDesk

__all__ = ["HOSTILE", "MONDAY", "OTHER_TOWN", "centre", "counts", "department", "titles"]

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{7*7}}"
OTHER_TOWN = "370830101000"
# Monday, 2026-10-19, 10:00 in Beijing.
MONDAY = 1_792_375_200.0


def titles(page: Any) -> list[str]:
    """The titles of the rows, in their order."""
    assert page.status_code == 200, text_of(page.text)[:400]
    found = re.findall(r'id="to-[0-9a-f]{32}">([^<]*)</a>', page.text)
    return [title if "script" not in title else "hostile" for title in found]


def centre(desk: QueueDesk) -> ConsoleUnderTest:
    return desk.consoles.as_centre()


def department(desk: QueueDesk, name: str = LEAD) -> ConsoleUnderTest:
    return desk.consoles.as_department(name)


def counts(page: Any) -> dict[str, int]:
    tiles = re.findall(
        r'<span class="figure">([\d,]+)</span> <span class="label">([^<]+)<', page.text
    )
    return {label: int(number) for number, label in tiles}
