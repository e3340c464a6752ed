"""What people type after an option."""

from __future__ import annotations

import pytest

from huying.common.errors import Code, HuyingError
from huying.node.cli.typed import parse_page, parse_time


def test_a_time_with_a_zone_is_that_instant() -> None:
    """A deadline that moves by eight hours is another day."""
    assert parse_time("2026-01-31T08:00+08:00", "--since") == 1_769_817_600 * 10**6


@pytest.mark.parametrize(
    "text", ["", "tomorrow", "0001-01-01", "9999-12-31T23:59-14:00", "1969-12-31"]
)
def test_what_is_no_time_is_refused_with_its_option(text: str) -> None:
    """Also a year that a clock can't hold, which must not end in a traceback."""
    with pytest.raises(HuyingError, match="--since: a time as") as caught:
        parse_time(text, "--since")
    assert caught.value.code is Code.INVALID_ARGUMENT


def test_a_page_is_hex() -> None:
    """It is copied by hand from one command to the next."""
    assert parse_page("00ff") == b"\x00\xff"
    with pytest.raises(HuyingError, match="--page"):
        parse_page("next")
