"""Lag is measured, never assumed: without contact it is unknown, and never zero."""

from __future__ import annotations

from huying.common.sync.observation import Observation
from huying.common.sync.pulse import Pulse

ORIGIN = "wenshang.example/feed/370830108201/e1"
STALE = 180.0


def pulse(size: int, time: float) -> Pulse:
    return Pulse(ORIGIN, "370830108000", size, bytes(32), time, {})


def lag(seen: Observation, held: int, now: float, *, connected: bool = True) -> float | None:
    return seen.lag_seconds(held, connected, now, STALE)


def test_a_feed_of_which_nothing_was_heard_has_no_lag_at_all() -> None:
    """Zero would say that all is well."""
    assert lag(Observation(), 0, 1000.0) is None


def test_without_contact_lag_is_unknown_whatever_was_known() -> None:
    """The last good value would be a lie that grows."""
    seen = Observation()
    seen.heard(pulse(5, 1000.0), 5, 1000.0, 10.0)
    assert lag(seen, 5, 1001.0) == 1.0
    assert lag(seen, 5, 1001.0, connected=False) is None


def test_pulses_keep_the_lag_of_an_idle_feed_small() -> None:
    """Nothing happens, and that is known."""
    seen = Observation()
    for minute in range(10):
        now = 60.0 * minute
        seen.heard(pulse(5, now), 5, now, 10.0)
        assert lag(seen, 5, now + 59.0) == 59.0


def test_an_old_pulse_speaks_for_nothing() -> None:
    """After three intervals the origin is stale, never fresh."""
    seen = Observation()
    seen.heard(pulse(5, 0.0), 5, 0.0, 10.0)
    assert lag(seen, 5, STALE) == STALE
    assert lag(seen, 5, STALE + 0.1) is None


def test_a_feed_that_is_behind_lags_since_the_oldest_announcement_not_applied() -> None:
    """A newer announcement does not make it younger; the next entry applied does not, either."""
    seen = Observation()
    seen.announced(10, 5, 100.0)
    seen.announced(20, 5, 150.0)
    assert lag(seen, 5, 160.0) == 60.0
    seen.applied(15, [90.0], 170.0)
    assert lag(seen, 15, 175.0) == 75.0
    seen.applied(20, [], 180.0)
    seen.heard(pulse(20, 181.0), 20, 181.0, 10.0)
    assert lag(seen, 20, 182.0) == 1.0


def test_a_pulse_that_came_before_tells_nothing_new() -> None:
    """Replayed pulses don't make an origin fresh."""
    seen = Observation()
    assert seen.heard(pulse(5, 100.0), 5, 100.0, 10.0)
    assert not seen.heard(pulse(5, 100.0), 5, 500.0, 10.0)
    assert not seen.heard(pulse(4, 90.0), 5, 500.0, 10.0)
    assert lag(seen, 5, 500.0) is None


def test_pulses_that_keep_running_ahead_of_a_feed_that_stands_show_a_cut_tail() -> None:
    """One may overtake an entry; a second, after the grace, with nothing in between, may not."""
    seen = Observation()
    seen.heard(pulse(9, 0.0), 5, 0.0, 10.0)
    seen.heard(pulse(9, 5.0), 5, 5.0, 10.0)
    assert not seen.tail_is_cut()
    seen.heard(pulse(9, 60.0), 5, 60.0, 10.0)
    assert seen.tail_is_cut()
    seen.applied(9, [], 61.0)
    assert not seen.tail_is_cut()


def test_a_feed_that_moves_is_slow_and_not_cut() -> None:
    """Behind a backlog pulses run ahead for long."""
    seen = Observation()
    for minute in range(10):
        now = 60.0 * minute
        seen.heard(pulse(1000, now), 10 * minute, now, 10.0)
        seen.applied(10 * minute + 5, [], now + 30)
    assert not seen.tail_is_cut()
