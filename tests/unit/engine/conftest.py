"""An engine by itself, and a feed made by hand to send it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.handmade import HandmadeFeed, Host
from tests.support.tiny_network import TOWN, VILLAGE


@pytest.fixture
def host() -> Iterator[Host]:
    """A town, whose village is the test."""
    host = Host(TOWN)
    yield host
    assert host.engine.next_wake() > host.clock.seconds, "a timer that stays due"
    host.store.close()  # type: ignore[attr-defined]


@pytest.fixture
def feed() -> HandmadeFeed:
    """Eight events of the village, in its own feed."""
    return HandmadeFeed(VILLAGE).put_many(8)
