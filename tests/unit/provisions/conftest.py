"""A provision's three nodes over stores on disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.late_network import late_network
from tests.unit.provisions.provision_desk import Desk


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with late_network(tmp_path) as network:
        yield Desk(network)
