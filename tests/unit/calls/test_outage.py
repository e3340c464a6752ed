"""The two files by which a county knows that it was away."""

from __future__ import annotations

import pytest

from huying.common.errors import Code, HuyingError
from huying.common.limits import HEARTBEAT_SECONDS, OUTAGE_DAYS_MAX
from huying.hub.outage import HEARTBEAT_FILE, OUTAGE_FILE, Outage, OutageLog

MINUTE = 60_000_000
NOW = 1_780_000_000_000_000
THRESHOLD_SECONDS = 1800.0


@pytest.fixture
def log(tmp_path) -> OutageLog:
    return OutageLog(tmp_path, THRESHOLD_SECONDS)


def test_the_first_start_knows_of_no_outage(log, tmp_path):
    """Nobody can be told to have been away before there was anything to be away from."""
    assert log.due(NOW) is None
    beat = tmp_path / HEARTBEAT_FILE
    assert beat.stat().st_mtime_ns // 1000 == NOW
    assert beat.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(("minutes", "away"), [(1, False), (29.9, False), (30, True), (999, True)])
def test_a_gap_is_an_outage_from_the_threshold_on(log, minutes, away):
    """A restart for an update costs nobody anything."""
    log.beat(NOW)
    until = NOW + int(minutes * MINUTE)
    assert log.due(until) == (Outage(NOW, until) if away else None)


def test_the_same_outage_is_given_until_it_is_settled(tmp_path):
    """Whatever crashes in between: the same stretch, so the same request ids."""
    OutageLog(tmp_path, THRESHOLD_SECONDS).beat(NOW)
    found = OutageLog(tmp_path, THRESHOLD_SECONDS).due(NOW + 60 * MINUTE)
    again = OutageLog(tmp_path, THRESHOLD_SECONDS)
    assert again.due(NOW + 70 * MINUTE) == found == Outage(NOW, NOW + 60 * MINUTE)
    assert (tmp_path / OUTAGE_FILE).stat().st_mode & 0o777 == 0o600
    again.settled()
    # The heartbeat went on when the outage was written down: the next gap begins there.
    assert again.due(NOW + 100 * MINUTE) == Outage(NOW + 60 * MINUTE, NOW + 100 * MINUTE)


def test_the_heartbeat_is_touched_now_and_then(log, tmp_path):
    """A look every two seconds is no reason to write every two seconds."""
    log.due(NOW)
    log.due(NOW + int(HEARTBEAT_SECONDS * 1e6) - 1)
    assert (tmp_path / HEARTBEAT_FILE).stat().st_mtime_ns // 1000 == NOW
    log.due(NOW + int(HEARTBEAT_SECONDS * 1e6))
    assert (tmp_path / HEARTBEAT_FILE).stat().st_mtime_ns // 1000 > NOW


def test_a_clock_that_was_set_back_is_no_outage(log):
    """The heartbeat of the future is taken back to now, and goes on from there."""
    log.beat(NOW)
    assert log.due(NOW - 60 * MINUTE) is None
    assert log.due(NOW - 31 * MINUTE) is None
    assert log.due(NOW) == Outage(NOW - 31 * MINUTE, NOW)


@pytest.mark.parametrize("days", [9_000, OUTAGE_DAYS_MAX + 1, -9_000])
def test_a_clock_that_is_years_off_ends_and_extends_nothing(log, days):
    """A machine whose battery is empty starts in another year, and is set right a minute later."""
    log.due(NOW)
    with pytest.raises(HuyingError, match="set the clock") as caught:
        log.due(NOW + days * 24 * 60 * MINUTE)
    assert caught.value.code is Code.CONFIG
    assert log.due(NOW + MINUTE) is None
    assert log.due(NOW + 31 * MINUTE) == Outage(NOW + MINUTE, NOW + 31 * MINUTE)


def test_a_note_of_an_outage_that_does_not_read_stops_the_timers_and_says_so(log, tmp_path):
    """Guessing would extend somebody's deadline, or not; the file says what was under way."""
    log.due(NOW)
    for text in ("", "huying/outage/v1 1", "huying/outage/v2 1 2\n", "x" * 5000):
        (tmp_path / OUTAGE_FILE).write_text(text)
        with pytest.raises(HuyingError) as caught:
            log.due(NOW)
        assert caught.value.code is Code.CORRUPT
        assert OUTAGE_FILE in caught.value.detail


def test_a_folder_that_can_not_be_written_is_a_fault_of_the_store(tmp_path):
    """The timers wait and say so; nothing runs out unannounced."""
    with pytest.raises(HuyingError) as caught:
        OutageLog(tmp_path / "gone", THRESHOLD_SECONDS).due(NOW)
    assert caught.value.code is Code.STORE_FAILED
