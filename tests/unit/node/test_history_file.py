"""A restart forgets no curve: what was remembered, where nobody watched, and files of no use."""

from __future__ import annotations

import asyncio
import math
import os
import stat
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from huying.common.limits import HISTORY_FEEDS_MAX, HISTORY_FILE_BYTES_MAX, HISTORY_SAMPLES
from huying.node import logs
from huying.node.monitoring import history_file
from huying.node.monitoring.disk_use import DiskUse
from huying.node.monitoring.history import History, HistoryKeeper
from tests.support.tiny_network import COUNTY, VILLAGE
from tests.unit.node.test_figures import COUNTY_FEED, VILLAGE_FEED, feed, status

NOON = 1_795_000_020.0
DAY = 86_400.0


def remembered(count: int = 30) -> History:
    """So many minutes until noon, with a lag that tells which minute it was."""
    history = History()
    for minute in range(count):
        at = NOON - (count - 1 - minute) * 60
        lags = feed(COUNTY, lag_seconds=float(minute)), feed(VILLAGE, lag_seconds=None)
        history.add(at, status(*lags), DiskUse(10**9 - minute, 5000 + minute, 0))
    return history


def kept_at(path: Path, history: History) -> Path:
    history_file.save(path, history_file.encode(history.kept()))
    return path


def test_what_was_remembered_comes_back_as_it_was(tmp_path):
    """A technician who restarts the node to mend it must still see what was wrong."""
    before = remembered()
    file = kept_at(tmp_path / "lag.history", before)
    found = history_file.load(file, NOON + 5)
    assert found is not None
    after = History()
    after.put_back(found)
    shown = COUNTY_FEED, VILLAGE_FEED
    assert repr(after.timeline(10, shown)) == repr(before.timeline(10, shown))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["lag.history"]


def test_the_minutes_without_a_node_are_unknown_and_said_to_be(tmp_path):
    """A line that is drawn over them would say that all was well."""
    kept = history_file.load(kept_at(tmp_path / "f", remembered(3)), NOON + 300)
    assert kept is not None
    history = History()
    history.put_back(kept)
    history.add(NOON + 300, status(feed(COUNTY, lag_seconds=1.0)), None)
    found = history.timeline(99, (COUNTY_FEED,))
    assert found.missed_samples == (0, 0, 0, 1, 1, 1, 1, 0)
    assert found.ends == tuple(NOON + 60 * minute for minute in range(-2, 6))
    lags = found.feeds[COUNTY_FEED].lag_seconds_max
    assert [math.isnan(lag) for lag in lags] == [False] * 3 + [True] * 4 + [False]
    assert math.isnan(found.disk_free[4])
    assert math.isnan(found.worst_lag_seconds_max[4])


def test_after_a_long_silence_nothing_is_older_than_a_day(tmp_path):
    """The page says "the last day"."""
    kept = history_file.load(kept_at(tmp_path / "f", remembered(1000)), NOON + DAY / 2)
    assert kept is not None
    history = History()
    history.put_back(kept)
    history.add(NOON + DAY / 2, status(), None)
    found = history.timeline(HISTORY_SAMPLES)
    assert len(found.ends) == HISTORY_SAMPLES
    assert found.ends[0] >= NOON - DAY / 2
    assert sum(found.missed_samples) == 719


def test_a_whole_day_comes_back_in_its_order(tmp_path):
    """The ring has then gone round, and begins somewhere in its middle."""
    before = remembered(HISTORY_SAMPLES + 7)
    kept = history_file.load(kept_at(tmp_path / "f", before), NOON)
    assert kept is not None
    after = History()
    after.put_back(kept)
    for history in (before, after):
        history.add(NOON + 60, status(feed(COUNTY, lag_seconds=9999.0)), None)
    shown = before.timeline(HISTORY_SAMPLES, (COUNTY_FEED,))
    assert repr(after.timeline(HISTORY_SAMPLES, (COUNTY_FEED,))) == repr(shown)
    assert shown.feeds[COUNTY_FEED].lag_seconds_max[-1] == 9999.0


@pytest.mark.parametrize("change", ["cut", "flipped", "junk", "empty", "too large", "a folder"])
def test_a_damaged_file_is_as_good_as_none(tmp_path, monkeypatch, change):
    """A curve is no reason for a node not to start."""
    said: list[str] = []
    monkeypatch.setattr(logs, "say", lambda event, **_: said.append(event))
    file = kept_at(tmp_path / "f", remembered())
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    small = {"cut": file.read_bytes()[:-5], "flipped": bytes(data), "junk": b"junk", "empty": b""}
    file.unlink()
    if change == "a folder":
        file.mkdir()
    else:
        file.write_bytes(small.get(change, b"x" * (HISTORY_FILE_BYTES_MAX + 1)))
    assert history_file.load(file, NOON) is None
    assert said == ["history_unread"]
    assert said[0] in logs.MESSAGES


@pytest.mark.parametrize("now", [NOON - 60, NOON + DAY + 1])
def test_a_file_from_the_future_or_from_before_yesterday_is_left_alone(tmp_path, now):
    """A clock that was wrong once must not put today's samples behind tomorrow's."""
    file = kept_at(tmp_path / "f", remembered())
    assert history_file.load(file, NOON) is not None
    assert history_file.load(file, now) is None
    assert history_file.load(tmp_path / "none", now) is None


def test_a_disk_without_room_keeps_the_file_before(tmp_path, monkeypatch):
    """Half a file in the place of a whole one is worth less than either."""
    file = kept_at(tmp_path / "f", remembered(3))
    before = file.read_bytes()

    def full(_descriptor: int) -> None:
        raise OSError(28, "full")

    monkeypatch.setattr(os, "fsync", full)
    history_file.save(file, history_file.encode(remembered(9).kept()))
    assert file.read_bytes() == before


def test_the_largest_history_fits_its_bound_and_a_villages_is_small():
    """Every ten minutes it is written, on a card that wears out."""
    history = History()
    many = [feed(f"37{number:010d}") for number in range(HISTORY_FEEDS_MAX)]
    for minute in range(HISTORY_SAMPLES):
        history.add(minute * 60.0, status(*many[: 5 if minute else None]), None)
    largest = len(history_file.encode(history.kept()))
    assert largest < HISTORY_FILE_BYTES_MAX
    village = History()
    for minute in range(HISTORY_SAMPLES):
        village.add(minute * 60.0, status(*many[:5]), None)
    assert len(history_file.encode(village.kept())) < 80_000


def test_a_node_that_stops_has_written_what_it_remembers(tmp_path):
    """Between two writes lie ten minutes; a stop that was asked for loses none of them."""
    now = [NOON]
    node: Any = SimpleNamespace(
        history=History(),
        clock=SimpleNamespace(now=lambda: now[0]),
        runtime=SimpleNamespace(status=lambda: status(feed(COUNTY, lag_seconds=2.0))),
        config=SimpleNamespace(
            history_file=tmp_path / "lag.history",
            database_file=tmp_path / "node.db",
            data_dir=tmp_path,
        ),
    )

    async def run() -> None:
        keeper = HistoryKeeper(node)
        await keeper.start()
        await asyncio.sleep(0)
        await keeper.stop()

    asyncio.run(run())
    now[0] += 180
    node.history = History()
    asyncio.run(run())
    found = node.history.timeline(99, (COUNTY_FEED,))
    assert found.ends == (NOON, NOON + 60, NOON + 120, NOON + 180)
    assert found.missed_samples == (0, 1, 1, 0)
