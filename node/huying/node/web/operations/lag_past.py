"""The last day's lag as pages show it: charts, their numbers, and when the node did not run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from huying.node.web.operations.lag_chart import Chart, chart, spark
from huying.wire.v1 import admin_pb2

__all__ = ["Hole", "LagRow", "chart_of", "holes", "rows_of", "sparks", "worst", "worst_rows"]

_SPARK_POINTS: Final = 48


@dataclass(frozen=True, slots=True)
class LagRow:
    """One point of a chart, as a row of its table."""

    end: float  # unix seconds
    lag_seconds: float | None
    unknown: int  # samples, or feeds, that were not known
    of: int  # samples in the point; 0 where `unknown` counts feeds
    away: int  # samples in which the node did not run


@dataclass(frozen=True, slots=True)
class Hole:
    """A time in which the node did not run, as far as points are long."""

    start: float  # unix seconds
    end: float
    seconds: float  # it did not run in that time


def sparks(past: admin_pb2.ShowHistoryResponse) -> dict[str, tuple[str, ...]]:
    """Small lines of the feeds, by origin."""
    return {one.origin: spark(_halved(one.lag_seconds_max)) for one in past.feeds}


def _halved(lags: Sequence[float]) -> list[float]:
    """Half as many points, each the worst of two that was known."""
    if len(lags) <= _SPARK_POINTS:
        return list(lags)
    pairs = [lags[max(0, at - 1) : at + 1] for at in range(len(lags) - 1, -1, -2)]
    return [
        max((lag for lag in pair if not math.isnan(lag)), default=math.nan)
        for pair in reversed(pairs)
    ]


def worst(past: admin_pb2.ShowHistoryResponse) -> Chart:
    """The worst lag of all feeds; grey wherever that of some feed was unknown."""
    points = zip(past.unknown_feeds_max, _missed(past), strict=True)
    shares = [1.0 if unknown or missed else 0.0 for unknown, missed in points]
    return chart(past.ends_seconds, past.worst_lag_seconds_max, shares, _point_seconds(past))


def worst_rows(past: admin_pb2.ShowHistoryResponse) -> list[LagRow]:
    """The same in numbers, newest first."""
    points = zip(
        past.ends_seconds,
        past.worst_lag_seconds_max,
        past.unknown_feeds_max,
        _missed(past),
        strict=True,
    )
    return [LagRow(end, _known(lag), count, 0, away) for end, lag, count, away in points][::-1]


def _missed(past: admin_pb2.ShowHistoryResponse) -> Sequence[int]:
    """Of each point, the samples in which the node did not run; an older node can't tell."""
    return past.missed_samples or [0] * len(past.ends_seconds)


def holes(past: admin_pb2.ShowHistoryResponse | None) -> list[Hole]:
    """When the node did not run, newest first, as far as a point is long."""
    found: list[Hole] = []
    if past is None:
        return found
    points = zip(past.ends_seconds, past.samples, _missed(past), strict=True)
    joined = False
    for end, samples, missed in points:
        if missed:
            began = found.pop() if joined else Hole(end - samples * past.interval_seconds, end, 0.0)
            seconds = began.seconds + missed * past.interval_seconds
            found.append(Hole(began.start, end, seconds))
        joined = bool(missed)
    return found[::-1]


def _known(lag: float) -> float | None:
    return None if math.isnan(lag) else lag


def _point_seconds(past: admin_pb2.ShowHistoryResponse) -> float:
    return past.interval_seconds * max(past.samples, default=1)


def chart_of(past: admin_pb2.ShowHistoryResponse, feed: admin_pb2.FeedHistory) -> Chart:
    """The lag of one feed."""
    shares = [
        count / max(1, of) for count, of in zip(feed.unknown_samples, past.samples, strict=True)
    ]
    return chart(past.ends_seconds, feed.lag_seconds_max, shares, _point_seconds(past))


def rows_of(past: admin_pb2.ShowHistoryResponse, feed: admin_pb2.FeedHistory) -> list[LagRow]:
    """The same in numbers, newest first."""
    points = zip(
        past.ends_seconds,
        feed.lag_seconds_max,
        feed.unknown_samples,
        past.samples,
        _missed(past),
        strict=True,
    )
    return [LagRow(end, _known(lag), *counts) for end, lag, *counts in points][::-1]
