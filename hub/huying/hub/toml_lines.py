"""Where in a TOML file a key stands: the standard library's parser does not say.

It knows the layout that people write, a key at the start of a line below its section's heading. Of
anything else (inline tables, quoted keys) it finds the nearest that encloses it.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["line_of"]

_HEADING: Final = re.compile(r"\s*\[\s*([A-Za-z0-9_.-]+)\s*\]")
_KEY: Final = re.compile(r"\s*([A-Za-z0-9_.-]+)\s*=")


def line_of(text: str, field: str, value: str = "") -> int:
    """The line, from 1, at which the dotted `field` stands; at `value` inside it, where given.

    A field that is not there is placed at the nearest section around it, else at line 1.
    """
    lines = text.splitlines()
    places = _places(lines)
    name = field
    while name and name not in places:
        name = name.rpartition(".")[0]
    line = places.get(name, 1)
    if value and name == field:
        quoted = re.compile(rf"(?<![0-9A-Za-z]){re.escape(value)}(?![0-9A-Za-z])")
        found = (at for at, one in enumerate(lines[line - 1 :], line) if quoted.search(one))
        return next(found, line)
    return line


def _places(lines: list[str]) -> dict[str, int]:
    """The line of every key and section, by its dotted name; the first of one that is twice."""
    places: dict[str, int] = {}
    section = ""
    for number, line in enumerate(lines, 1):
        heading = _HEADING.match(line)
        key = _KEY.match(line)
        if heading is not None:
            section = heading[1]
            places.setdefault(section, number)
        elif key is not None:
            name = f"{section}.{key[1]}" if section else key[1]
            places.setdefault(name, number)
    return places
