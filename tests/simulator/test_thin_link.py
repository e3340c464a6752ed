"""Thirty days cut off, and then a link of 64 kbit/s that breaks every five seconds.

Everything that was written comes up, in order, a piece with every connection that lasts long enough
for one; nothing that was held is ever given up, and nobody is accused of anything.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

from huying.common.effects import Append
from huying.common.engine import Settings
from huying.common.status import FeedHealth
from tests.simulator import oracles
from tests.simulator.machine import Request, SimNode
from tests.simulator.tree import TOWNS, VILLAGES
from tests.simulator.world import World
from tests.support.handmade import event_draft

DAY = 86400.0
ENTRIES = 10_000
WRITTEN_TOGETHER = 4
LINK_BYTES_PER_SECOND = 64_000 / 8
CUT_SECONDS = 5.0
# One segment is 16 KiB at first, two seconds of such a link, behind what the greeting costs.
LONG_ENOUGH_SECONDS = 3.5
CATCHING_UP_SECONDS_MAX = 1800.0
# As in production, but for the pulses: a month of one a minute would be most of the run.
SETTINGS = Settings(pulse_seconds=600.0)


@dataclass(slots=True)
class Progress:
    """The town's durable size of the village's feed, after each of its steps, and at each cut."""

    town: SimNode
    origin: str
    size: int = 0
    connections: list[tuple[float, int]] = field(default_factory=list)  # seconds, entries gained

    def watch(self, node: SimNode) -> None:
        if node is self.town:
            feed = oracles.held_feed(node, self.origin)
            size = feed.size if feed is not None else 0
            assert size >= self.size, f"the town went back from {self.size} to {size}"
            self.size = size


def write(node: SimNode, number: int) -> None:
    drafts = tuple(event_draft(number + k) for k in range(WRITTEN_TOGETHER))
    request = Request(node, Append(None, drafts))
    request.append = Append(request, drafts)
    node.give(request.append)


def test_a_month_of_entries_comes_up_a_thin_link_that_is_cut_every_five_seconds() -> None:
    """P10: a village that was away for a month must not need a good line to come back."""
    world = World(30, SETTINGS)
    town, village = world.nodes[TOWNS[0]], world.nodes[VILLAGES[0]]
    progress = Progress(town, village.origin)
    world.watchers.append(progress.watch)
    line = world.line(village.code)
    for one in world.lines_of(town.code):
        one.pause_seconds_max = 3600.0  # nobody answers; a month of attempts is no part of it
    try:
        world.cut(line)
        town.boot()
        village.boot()
        for number in range(0, ENTRIES, WRITTEN_TOGETHER):
            world.at(60 + number * 30 * DAY / ENTRIES, partial(write, village, number))
        world.run_until(30 * DAY + 60)
        assert village.held(village.origin) >= ENTRIES
        assert progress.size == 0

        line.quality.rate = LINK_BYTES_PER_SECOND
        line.pause_seconds_max = 3.0
        line.dialling = False  # the attempt that was an hour away is made now
        world.mend(line)
        world.dial_soon(line)
        catch_up(world, progress)
        everything = village.held(village.origin)
        assert progress.size == everything
        long = [gained for seconds, gained in progress.connections if seconds > LONG_ENOUGH_SECONDS]
        assert len(long) > 50, "the link was not cut as it should have been"
        # The last ones find nothing left.
        assert all(gained > 0 for gained in long[:-2]), f"a connection brought nothing: {long}"

        line.quality.rate = 0.0
        world.run_until(world.time + 2 * SETTINGS.pulse_seconds)
        assert [alarm for node in (town, village) for alarm in node.alarms] == []
        assert town.engine is not None
        health = {feed.origin: feed.health for feed in town.engine.status().feeds}
        assert health[village.origin] is FeedHealth.LIVE
        oracles_agree(town, village)
    finally:
        world.close()


def catch_up(world: World, progress: Progress) -> None:
    """Cut the link every few seconds until everything is there."""
    line = world.line(VILLAGES[0])
    began = world.time
    village = world.nodes[VILLAGES[0]]
    while progress.size < village.held(village.origin):
        assert world.time - began < CATCHING_UP_SECONDS_MAX, f"stuck at {progress.size}"
        known = line.link
        while line.link is known or line.link is None:
            world.run_until(world.time + 0.1)
        opened, size = world.time, progress.size
        world.run_until(opened + CUT_SECONDS)
        progress.connections.append((world.time - opened, progress.size - size))
        world.snap(line)


def oracles_agree(town: SimNode, village: SimNode) -> None:
    """The town holds what the village signed, root by root."""
    held, own = (oracles.held_feed(node, village.origin) for node in (town, village))
    assert held is not None
    assert own is not None
    assert held.head is not None
    assert own.head is not None
    assert (held.size, held.head.root) == (own.size, own.head.root)
    hashes = [oracles.hash_of(entry) for entry in oracles.entries_of(town, village.origin)]
    assert oracles.tree_root(hashes) == held.head.root
