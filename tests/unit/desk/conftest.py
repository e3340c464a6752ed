"""A network over which hotline orders go."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.desk.hotline_network import HotlineNetwork


@pytest.fixture
def net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HotlineNetwork]:
    made = HotlineNetwork(tmp_path, monkeypatch)
    yield made
    made.close()
