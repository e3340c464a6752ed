"""Figures, their history, and what is wrong: what pages get of the node is what a scrape gets."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from huying.common.effects import Direction
from huying.common.errors import Code, HuyingError
from huying.common.limits import HISTORY_FEEDS_MAX, HISTORY_SAMPLES, HISTORY_SECONDS
from huying.common.status import DelayHistogram, FeedHealth, FeedStatus, NodeStatus, PeerStatus
from huying.node.admin import AdminNode
from huying.node.admin.figures import show_figures, show_history
from huying.node.monitoring.disk_use import DiskUse
from huying.node.monitoring.figures import Observed
from huying.node.monitoring.history import History
from huying.node.monitoring.metrics import NodeMetrics
from huying.node.web.operations.operations_source import Figures
from huying.wire.v1 import admin_pb2
from tests.support.tiny_network import COUNTY, TOWN, VILLAGE

OWN = f"wenshang.example/feed/{TOWN}/e1"
COUNTY_FEED = f"wenshang.example/feed/{COUNTY}/e1"
VILLAGE_FEED = f"wenshang.example/feed/{VILLAGE}/e1"


def feed(code: str, **changes: Any) -> FeedStatus:
    delay = DelayHistogram()
    delay.observe([0.2, 3.0])
    values: dict[str, Any] = {
        "origin": f"wenshang.example/feed/{code}/e1",
        "code": code,
        "size": 10,
        "root": bytes(32),
        "health": FeedHealth.CATCHING_UP,
        "reason": "",
        "remote_head_size": 13,
        "remote_head_observed": 1000.5,
        "lag_seconds": 2.5,
        "oldest_unapplied": 998.0,
        "last_success": 990.0,
        "cosigned_size": 9,
        "openings_held": 20,
        "openings_withheld": 5,
        "entries_hidden": 1,
        "quarantined": 2,
        "missing": 3,
        "delay": delay,
    }
    return FeedStatus(**{**values, **changes})


def status(*feeds: FeedStatus) -> NodeStatus:
    return NodeStatus(
        code=TOWN,
        origin=OWN,
        state="live",
        feeds=feeds,
        peers=(PeerStatus(COUNTY, Direction.UP, True, 1000.0, 0.25, 100, 200),),
        failures={(COUNTY, Code.BAD_PROOF): 4, ("", Code.FORK): 1},
        withheld_gaps=2,
        breaches=1,
        erasures_pending=1,
        erasure_oldest=900.0,
    )


def looked_at() -> Observed:
    lost = feed(VILLAGE, lag_seconds=None, oldest_unapplied=None, health=FeedHealth.UNKNOWN)
    return Observed(
        status(feed(TOWN, delay=None, quarantined=0), feed(COUNTY), lost),
        {COUNTY: 1234.0},
        {TOWN: 5e9, COUNTY: 6e9},
        disk=DiskUse(10**9, 5 * 10**6, 4096),
        last_backup=77.0,
        offline_window=(100.0, 200.0),
        refused_attempts=3,
        provisions_waiting=0,
        at=1001.0,
    )


def node(observed: Observed | None = None, history: History | None = None) -> AdminNode:
    observe = None if observed is None else lambda: observed
    parts: Any = (None, None, None, None, observe, history)
    return AdminNode(*parts)


def test_the_figures_that_a_page_gets_are_those_of_a_scrape_one_for_one() -> None:
    """Two ways of reckoning one number would some day differ, and nobody would know."""
    observed = looked_at()
    scraped = {}
    text = generate_latest(NodeMetrics(lambda: observed, "0.1.0", TOWN).registry).decode()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            scraped[sample.name, frozenset(sample.labels.items())] = sample.value
    given = asyncio.run(show_figures(node(observed), admin_pb2.ShowFiguresRequest()))
    pages = {
        (f"huying_{name}", frozenset(labels.items())): value
        for name in (one.name.removeprefix("huying_") for one in given.series)
        for labels, value in Figures(given.series).all(name)
    }
    beside = ("process_", "huying_replication_", "huying_append_", "huying_commit_", "huying_build")
    assert pages == {key: value for key, value in scraped.items() if not key[0].startswith(beside)}
    assert len(pages) > 60


def test_unknown_lag_is_said_to_be_unknown() -> None:
    """The page must be able to tell it from zero."""
    given = asyncio.run(show_figures(node(looked_at()), admin_pb2.ShowFiguresRequest()))
    lags = {one.label: (one.lag_known, one.lag_seconds, one.own) for one in given.feeds}
    assert lags[f"{VILLAGE}/e1"] == (False, 0.0, False)
    assert lags[f"{COUNTY}/e1"] == (True, 2.5, False)
    assert lags[f"{TOWN}/e1"][2]
    assert given.observed_seconds == 1001.0


@pytest.mark.parametrize("show", [show_figures, show_history])
def test_a_command_that_stands_in_for_the_node_has_no_figures(show: Any) -> None:
    """Zeros of a node that does not run would look like a node that is well."""
    with pytest.raises(HuyingError, match="UNREACHABLE"):
        asyncio.run(show(node(), admin_pb2.ShowHistoryRequest()))


# History.


def test_history_keeps_a_day_and_no_more() -> None:
    """It must cost the same after a year as after a day."""
    history = History()
    for minute in range(HISTORY_SAMPLES + 100):
        lag = float(minute) if minute % 10 else None
        at = 1e9 + minute * HISTORY_SECONDS
        history.add(at, status(feed(COUNTY, lag_seconds=lag)), DiskUse(5, minute, 0))
    found = history.timeline(HISTORY_SAMPLES, (COUNTY_FEED,))
    line = found.feeds[COUNTY_FEED]
    assert len(found.ends) == len(line.lag_seconds_max) == HISTORY_SAMPLES
    assert found.ends[0] == 1e9 + 100 * HISTORY_SECONDS
    assert found.ends[-1] == 1e9 + (HISTORY_SAMPLES + 99) * HISTORY_SECONDS
    assert found.database[-1] == HISTORY_SAMPLES + 99
    assert math.isnan(line.lag_seconds_max[0]), "nobody knew"
    assert line.lag_seconds_max[1] == 101.0


def test_points_show_the_worst_that_was_known_and_how_often_nothing_was() -> None:
    """A mean would hide the ten minutes in which a village was cut off."""
    history = History()
    lags = [None, 1.0, 9.0, 2.0, None, None, 3.0]
    for minute, lag in enumerate(lags):
        history.add(float(minute), status(feed(COUNTY, lag_seconds=lag)), None)
    found = history.timeline(3, (COUNTY_FEED,))
    (line,) = found.feeds.values()
    assert found.samples == (1, 3, 3)
    assert found.ends == (0.0, 3.0, 6.0)
    assert math.isnan(line.lag_seconds_max[0])
    assert line.lag_seconds_max[1:] == (9.0, 3.0)
    assert line.unknown_samples == (1, 0, 2)
    assert found.worst_lag_seconds_max[1:] == (9.0, 3.0)
    assert found.unknown_feeds_max == (1, 0, 1)
    assert all(math.isnan(value) for value in found.disk_free)


def test_a_feed_that_comes_later_or_goes_is_unknown_where_it_was_not_there() -> None:
    """A gap in what is known must look like one."""
    history = History()
    history.add(0.0, status(feed(COUNTY)), None)
    history.add(60.0, status(feed(COUNTY), feed(VILLAGE)), None)
    history.add(120.0, status(feed(VILLAGE)), None)
    found = history.timeline(99, (COUNTY_FEED, VILLAGE_FEED))
    county, village = found.feeds.values()
    assert county.unknown_samples == (0, 0, 1)
    assert village.unknown_samples == (1, 0, 0)
    one = history.timeline(99, (VILLAGE_FEED, "nonsense"))
    assert list(one.feeds) == [VILLAGE_FEED]


def test_the_own_feed_has_no_lag_and_too_many_feeds_are_left_out_and_counted() -> None:
    """The roster bounds the feeds; a bound of its own holds where a roster does not."""
    history = History()
    many = [feed(f"37{number:010d}") for number in range(HISTORY_FEEDS_MAX + 5)]
    history.add(0.0, status(feed(TOWN), *many), None)
    origins = [one.origin for one in many]
    assert len(history.timeline(9, origins).feeds) == HISTORY_FEEDS_MAX
    assert history.feeds_left_out == 5


def test_a_node_that_has_just_started_shows_an_empty_history() -> None:
    """The first page may be opened before the first sample."""
    given = asyncio.run(show_history(node(history=History()), admin_pb2.ShowHistoryRequest()))
    assert list(given.ends_seconds) == []
    assert given.interval_seconds == HISTORY_SECONDS
