"""A demo ends when it is told to, whoever started it."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from huying.hub.demo.command import _heed_signals


@pytest.fixture
def background() -> Iterator[None]:
    """As in a job that a script put into the background: the shell has it ignore SIGINT."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("background")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_demo_in_the_background_ends_by_either_signal(number: signal.Signals) -> None:
    """Else kill -9 alone ends it, and leaves seven nodes behind."""
    _heed_signals()
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(number)
