"""Lag over time as coordinates: what a template needs to draw it in SVG, by attributes alone.

Lag runs from a tenth of a second to days, so the scale is logarithmic. Where nobody knew the lag
there is no line but a grey ground; a table of the same numbers stands beside every chart.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

__all__ = ["Band", "Chart", "Level", "chart", "spark"]

# As the macro `lag_chart` draws it, in a box of 1,000 by 250.
LEFT: Final = 64
RIGHT: Final = 990
TOP: Final = 12
BOTTOM: Final = 220
_LOW_SECONDS: Final = 0.1
# Seconds, and what stands beside their line.
_LEVELS: Final = (
    (1.0, "1 秒", "1 s"),
    (10.0, "10 秒", "10 s"),
    (60.0, "1 分", "1 min"),
    (600.0, "10 分", "10 min"),
    (3600.0, "1 小时", "1 h"),
    (86_400.0, "1 天", "1 d"),
    (864_000.0, "10 天", "10 d"),
)
# Between two ticks; the first that gives few enough of them is taken.
_STEPS_SECONDS: Final = tuple(
    60.0 * minutes for minutes in (1, 5, 15, 60, 120, 180, 360, 720, 1440)
)
_TICKS_MAX: Final = 8
SPARK_WIDTH: Final = 120
SPARK_HEIGHT: Final = 28


@dataclass(frozen=True, slots=True)
class Band:
    """A time in which lag was not known, in whole or in part."""

    x: float
    width: float
    is_whole: bool


@dataclass(frozen=True, slots=True)
class Level:
    """A line of the grid."""

    y: float
    zh: str
    en: str


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart. `ticks` are (x, unix seconds)."""

    runs: tuple[str, ...]  # SVG point lists
    bands: tuple[Band, ...]
    levels: tuple[Level, ...]
    ticks: tuple[tuple[float, float], ...]


def chart(
    ends: Sequence[float], lags: Sequence[float], unknown: Sequence[float], point_seconds: float
) -> Chart:
    """A chart of points that end at `ends` (unix seconds) and are `point_seconds` long.

    `lags` are in seconds, not a number where nobody knew; `unknown` is the share of each point, 0
    to 1, in which that was so. Points further apart than one and a half lengths are not joined: the
    node was not running in between.
    """
    if not ends:
        return Chart((), (), (), ())
    first, last = ends[0] - point_seconds, ends[-1]
    span = max(last - first, 1.0)
    known = [lag for lag in lags if not math.isnan(lag)]
    worst = max([60.0, *known])
    top = next((level for level, *_ in _LEVELS if level >= worst), worst)

    def at(seconds: float) -> float:
        return round(LEFT + (seconds - first) / span * (RIGHT - LEFT), 1)

    def height(lag: float) -> float:
        share = _log(lag) / _log(top)
        return round(BOTTOM - share * (BOTTOM - TOP), 1)

    runs: list[list[str]] = [[]]
    bands: list[Band] = []
    before = first
    for end, lag, share in zip(ends, lags, unknown, strict=True):
        start = max(end - point_seconds, before)
        if end - before > 1.5 * point_seconds:
            runs.append([])
            _add_band(bands, at(before), at(start), is_whole=True)
        if share > 0:
            _add_band(bands, at(start), at(end), is_whole=math.isnan(lag))
        if math.isnan(lag):
            runs.append([])
        else:
            runs[-1].append(f"{at(end)},{height(lag)}")
        before = end
    levels = tuple(Level(height(level), zh, en) for level, zh, en in _LEVELS if level <= top)
    return Chart(
        tuple(" ".join(_wide(run)) for run in runs if run),
        tuple(bands),
        levels,
        tuple((at(tick), tick) for tick in _ticks(first, last)),
    )


def _add_band(bands: list[Band], start: float, end: float, *, is_whole: bool) -> None:
    """A band, or the last one made longer where the two touch and are alike."""
    if bands and bands[-1].is_whole == is_whole and bands[-1].x + bands[-1].width >= start - 0.2:
        start = bands.pop().x
    bands.append(Band(start, round(max(end - start, 1.0), 1), is_whole))


def _log(lag: float) -> float:
    return math.log10(max(lag, _LOW_SECONDS) / _LOW_SECONDS)


def _wide(run: list[str]) -> list[str]:
    """A single point is drawn as a short line, or nobody would see it."""
    if len(run) > 1:
        return run
    x, y = run[0].split(",")
    return [f"{float(x) - 2:.1f},{y}", f"{float(x) + 2:.1f},{y}"]


def _ticks(first: float, last: float) -> list[float]:
    """Full minutes or hours, few enough to be read."""
    fitting = (step for step in _STEPS_SECONDS if (last - first) / step <= _TICKS_MAX)
    step = next(fitting, _STEPS_SECONDS[-1])
    tick = math.ceil(first / step) * step
    ticks = []
    while tick <= last:
        ticks.append(tick)
        tick += step
    return ticks


def spark(lags: Sequence[float]) -> tuple[str, ...]:
    """Point lists of a small line without a scale of its own: log, a tenth of a second to a day."""
    if len(lags) < 2:
        return ()
    step = SPARK_WIDTH / (len(lags) - 1)
    full = _log(86_400.0)
    runs: list[list[str]] = [[]]
    for place, lag in enumerate(lags):
        if math.isnan(lag):
            runs.append([])
            continue
        y = SPARK_HEIGHT - 3 - min(1.0, _log(lag) / full) * (SPARK_HEIGHT - 6)
        runs[-1].append(f"{place * step:.0f},{y:.0f}")
    return tuple(" ".join(_wide(run)) for run in runs if run)
