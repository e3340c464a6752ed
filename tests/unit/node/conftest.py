"""Clients of the three nodes of the served network."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from huying.node.api.client import Client
from tests.support.served_network import ServedNetwork
from tests.support.tiny_network import COUNTY, TOWN, VILLAGE


@pytest.fixture
def village(served: ServedNetwork) -> Iterator[Client]:
    with served.client(VILLAGE) as client:
        yield client


@pytest.fixture
def town(served: ServedNetwork) -> Iterator[Client]:
    with served.client(TOWN) as client:
        yield client


@pytest.fixture
def county(served: ServedNetwork) -> Iterator[Client]:
    with served.client(COUNTY) as client:
        yield client
