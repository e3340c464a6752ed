"""Honest misfortune: slow, lossy and cut lines, restarts, and power cuts at the worst moment.

Each run draws its weather from the seed, so that some runs are calm (and may raise no alarm at
all), some have one kind of trouble, and some have everything at once.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from huying.common.errors import Code
from huying.common.status import FeedHealth
from tests.simulator.lines import Line, Quality
from tests.simulator.machine import SimNode
from tests.simulator.world import World

# Lines that lose, repeat or reorder frames do what no TCP connection does. A Hello may then be
# lost or overtaken, and an old segment come after a newer one; both are refused by name. And pulses
# that arrive where segments don't are just what a relay that cuts the tail lets through.
_BAD_LINE_CODES = frozenset({Code.UNEXPECTED_FRAME, Code.STALE_SIZE, Code.TAIL_CUT})


@dataclass(frozen=True, slots=True)
class Weather:
    """Which kinds of trouble a run has."""

    slow: bool
    lossy: bool
    cuts: bool
    power_cuts: bool

    @property
    def tolerated(self) -> frozenset[Code]:
        """Alarms that honest nodes may raise in it."""
        return _BAD_LINE_CODES if self.lossy else frozenset()

    @property
    def tolerated_health(self) -> frozenset[FeedHealth]:
        """A lost cosignature is not sent again before the next Hello."""
        return frozenset({FeedHealth.UNWITNESSED}) if self.lossy else frozenset()

    @classmethod
    def draw(cls, chance: random.Random) -> Weather:
        return cls(*(chance.random() < 0.5 for _ in range(4)))


def brew(world: World, weather: Weather, *, seconds: float) -> None:
    """Plan the trouble of the first `seconds`."""
    chance = random.Random(f"weather {world.seed}")
    for line in world.lines:
        line.quality = _quality(weather, chance)
        if weather.cuts:
            for _ in range(chance.randint(0, 3)):
                _plan_cut(world, line, chance, seconds)
    if weather.power_cuts:
        for node in world.nodes.values():
            for _ in range(chance.randint(0, 3)):
                _plan_power_cut(world, node, chance, seconds)


def _quality(weather: Weather, chance: random.Random) -> Quality:
    quality = Quality(delay=chance.uniform(0.005, 0.1), jitter=chance.uniform(0, 0.05))
    if weather.slow:
        quality.delay = chance.uniform(0.1, 2.0)
        quality.jitter = chance.uniform(0, 1.0)
    if weather.lossy:
        quality.loss = chance.uniform(0, 0.15)
        quality.duplicate = chance.uniform(0, 0.15)
        quality.reorder = chance.uniform(0, 0.15)
    return quality


def _plan_cut(world: World, line: Line, chance: random.Random, seconds: float) -> None:
    world.at(chance.uniform(0, seconds), lambda: world.cut(line))
    world.at(chance.uniform(0, seconds), lambda: world.mend(line))


def _plan_power_cut(world: World, node: SimNode, chance: random.Random, seconds: float) -> None:
    """Between two steps, or in the middle of one: then after so many more writes."""
    when = chance.uniform(0, seconds)
    if chance.random() < 0.3:
        world.at(when, node.lose_power)
        return
    writes = chance.randint(1, 40)

    def arm() -> None:
        node.fuse.remaining = writes

    world.at(when, arm)
