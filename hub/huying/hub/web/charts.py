"""Charts as coordinates: what a template needs to draw lines and bars in SVG, by attributes.

The table of the same numbers always stands beside a chart, so a chart says nothing by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

__all__ = ["Bar", "Line", "bars", "lines"]

WIDTH: Final = 640
HEIGHT: Final = 200
LEFT: Final = 40
BOTTOM: Final = 24
TOP: Final = 10


@dataclass(frozen=True, slots=True)
class Line:
    """One line: its name, the runs of its points, and each point with its value."""

    name: str
    number: int  # for its colour, from 1
    runs: tuple[str, ...]  # SVG point lists; a value that is not known breaks the line
    points: tuple[tuple[float, float, float], ...]  # x, y, value


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: where it lies, how long it is of WIDTH, and what it says."""

    name: str
    y: int
    width: float
    text: str


def lines(series: Sequence[tuple[str, Sequence[float | None]]]) -> tuple[Line, ...]:
    """Lines of values from 0 to 1 at equal distances; None where a value is not known."""
    found = []
    for number, (name, values) in enumerate(series, start=1):
        step = (WIDTH - LEFT - 10) / max(1, len(values) - 1)
        runs: list[list[str]] = [[]]
        points = []
        for place, value in enumerate(values):
            if value is None:
                runs.append([])
                continue
            x = round(LEFT + place * step, 1)
            y = round(TOP + (1 - value) * (HEIGHT - TOP - BOTTOM), 1)
            runs[-1].append(f"{x},{y}")
            points.append((x, y, value))
        found.append(Line(name, number, tuple(" ".join(run) for run in runs if run), tuple(points)))
    return tuple(found)


def bars(rows: Sequence[tuple[str, float, str]], height: int = 26) -> tuple[Bar, ...]:
    """Bars of (name, share from 0 to 1, text), one below the other."""
    return tuple(
        Bar(name, place * height, round(max(0.0, min(1.0, share)) * WIDTH, 1), text)
        for place, (name, share, text) in enumerate(rows)
    )
