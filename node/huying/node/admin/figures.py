"""The node's figures and their history, for pages: the same that a scrape finds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from huying.common.errors import Code, HuyingError
from huying.common.limits import HISTORY_SAMPLES, HISTORY_SECONDS
from huying.node.monitoring.figures import COUNTERS, GAUGES, Figure, counters, feed_label, gauges
from huying.wire.v1 import admin_pb2

if TYPE_CHECKING:
    from huying.common.status import FeedStatus
    from huying.node.admin import AdminNode

__all__ = ["show_figures", "show_history"]


async def show_figures(
    node: AdminNode, _request: admin_pb2.ShowFiguresRequest
) -> admin_pb2.ShowFiguresResponse:
    """Every gauge and counter that has a value now, and each feed's state in words.

    Raises HuyingError(UNREACHABLE) where no node runs: then nothing is measured.
    """
    if node.observe is None:
        raise HuyingError(Code.UNREACHABLE, "figures are of a node that runs")
    observed = node.observe()
    status = observed.status
    response = admin_pb2.ShowFiguresResponse(
        observed_seconds=observed.at,
        state=status.state,
        feeds=[_feed(feed, own=feed.origin == status.origin) for feed in status.feeds],
    )
    _add(response, gauges(observed), GAUGES, "")
    _add(response, counters(observed), COUNTERS, "_total")
    return response


def _add(
    response: admin_pb2.ShowFiguresResponse,
    figures: Iterable[Figure],
    named: Mapping[str, tuple[str, tuple[str, ...]]],
    suffix: str,
) -> None:
    """Add the series of these figures; a county's have ten thousand values."""
    by_name: dict[str, tuple[list[str], list[float]]] = {}
    for name, labels, value in figures:
        of_name = by_name.get(name)
        if of_name is None:
            of_name = by_name[name] = ([], [])
        of_name[0].extend(labels)
        of_name[1].append(value)
    for name, (labels_of_all, values) in by_name.items():
        response.series.add(
            name=f"huying_{name}{suffix}",
            labels=named[name][1],
            label_values=labels_of_all,
            values=values,
        )


def _feed(feed: FeedStatus, *, own: bool) -> admin_pb2.FigureFeed:
    view = admin_pb2.FigureFeed(
        origin=feed.origin,
        label=feed_label(feed.origin),
        name=feed.name,
        state=feed.health.value,
        reason=feed.reason,
        lag_known=feed.lag_seconds is not None,
        lag_seconds=feed.lag_seconds or 0.0,
        openings_held=feed.openings_held,
        openings_withheld=feed.openings_withheld,
        entries_hidden=feed.entries_hidden,
        own=own,
    )
    if feed.delay is not None and feed.delay.count:
        view.delay_count = feed.delay.count
        view.delay_p50_seconds = feed.delay.quantile(0.5) or 0.0
        view.delay_p99_seconds = feed.delay.quantile(0.99) or 0.0
    return view


async def show_history(
    node: AdminNode, request: admin_pb2.ShowHistoryRequest
) -> admin_pb2.ShowHistoryResponse:
    """Lag and disk of the last day. Raises HuyingError(UNREACHABLE) where no node runs."""
    if node.history is None:
        raise HuyingError(Code.UNREACHABLE, "a history is of a node that runs")
    points = min(request.points_max or HISTORY_SAMPLES, HISTORY_SAMPLES)
    found = node.history.timeline(points, tuple(request.origins))
    return admin_pb2.ShowHistoryResponse(
        ends_seconds=found.ends,
        samples=found.samples,
        interval_seconds=HISTORY_SECONDS,
        feeds=[
            admin_pb2.FeedHistory(
                origin=origin,
                lag_seconds_max=line.lag_seconds_max,
                unknown_samples=line.unknown_samples,
            )
            for origin, line in found.feeds.items()
        ],
        disk_free_bytes=found.disk_free,
        database_bytes=found.database,
        feeds_left_out=node.history.feeds_left_out,
        worst_lag_seconds_max=found.worst_lag_seconds_max,
        unknown_feeds_max=found.unknown_feeds_max,
        missed_samples=found.missed_samples,
    )
