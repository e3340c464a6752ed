"""Whoever was erased stays erased when machines come back from yesterday's backup."""

from __future__ import annotations

import pytest

from tests.simulator import oracles
from tests.simulator.clerk import Clerk
from tests.simulator.restore import backup, restore
from tests.simulator.test_simulator import BUSY_SECONDS, SETTLE_SECONDS, a_world
from tests.simulator.tree import COUNTY, TOWNS, VILLAGES
from tests.simulator.workload import Workload

_LIVENESS_SECONDS_MAX = 240.0


@pytest.mark.parametrize("number", range(3_100_000, 3_100_006))
def test_nobody_comes_back_by_a_restored_machine(number: int) -> None:
    """A village, a town and the county restored from before the erasures, with their lists."""
    with a_world(number) as world:
        workload = Workload(world, seconds=BUSY_SECONDS)
        clerk = Clerk(workload, seconds=BUSY_SECONDS, people=8)
        world.boot()
        world.run_until(BUSY_SECONDS / 2)
        restored = [world.nodes[code] for code in (VILLAGES[0], TOWNS[0], COUNTY)]
        kept = [backup(node) for node in restored]
        world.run_until(2 * BUSY_SECONDS)
        for node, copy in zip(restored, kept, strict=True):
            restore(node, copy, node.mark.value)
            world.run_until(world.time + 40)
        started = world.time
        while not (clerk.is_done and oracles.is_level(world)):
            world.run_until(world.time + 2)
            took = world.time - started
            assert took <= _LIVENESS_SECONDS_MAX, oracles.unlevel(world)
        world.run_until(world.time + SETTLE_SECONDS)
        assert any(person.erased for person in clerk.people), "a run in which nobody was erased"
        clerk.check()
        oracles.check_feeds(world)
