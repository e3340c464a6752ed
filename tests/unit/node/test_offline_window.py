"""A silence that was planned is no incident: the window that is open now, or the next one."""

from __future__ import annotations

from datetime import datetime

import pytest

from huying.node.offline_window import OfflineWindow


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


@pytest.mark.parametrize(
    ("now", "start", "end"),
    [
        ("2026-11-22 12:00", "2026-11-22 22:00", "2026-11-23 06:00"),
        ("2026-11-22 22:00", "2026-11-22 22:00", "2026-11-23 06:00"),
        ("2026-11-23 05:59", "2026-11-22 22:00", "2026-11-23 06:00"),
        ("2026-11-23 06:00", "2026-11-23 22:00", "2026-11-24 06:00"),
    ],
    ids=["before", "as it opens", "past midnight", "as it closes"],
)
def test_a_window_over_midnight(now: str, start: str, end: str) -> None:
    """An office that is switched off at night."""
    window = OfflineWindow.parse("22:00-06:00")
    assert window.around(at(now)) == (at(start), at(end))


def test_a_window_within_a_day() -> None:
    """A line that is lent to somebody else at noon."""
    window = OfflineWindow.parse("12:00-13:30")
    assert window.around(at("2026-11-22 11:00"))[0] == at("2026-11-22 12:00")
    assert window.around(at("2026-11-22 13:00"))[0] == at("2026-11-22 12:00")
    assert window.around(at("2026-11-22 14:00"))[0] == at("2026-11-23 12:00")


@pytest.mark.parametrize("text", ["22-6", "22:00-22:00", "24:00-06:00", "22:00–06:00", ""])
def test_what_is_no_window_is_refused_with_what_to_write(text: str) -> None:
    """A misspelt window would silence nothing, or everything."""
    with pytest.raises(ValueError, match=r"22:00-06:00"):
        OfflineWindow.parse(text)
