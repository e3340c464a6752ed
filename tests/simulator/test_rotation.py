"""Feed keys that change in the middle of everything: backlogs, cut lines, power cuts.

Whatever the weather, the epochs of a feed follow one another without a gap or a fork, every reader
comes to hold all of them, and what was acknowledged stands in one of them, once.
"""

from __future__ import annotations

import random
from functools import partial

from huying.common import codes
from huying.common.effects import Operate
from huying.common.feed.note import KeyType, Signer
from huying.common.membership.roster import EpochStatus, Identity
from huying.common.membership.succession import choose_epoch, held_epochs
from huying.common.membership.trust import RotateFeed
from huying.wire.v1 import feed_pb2
from tests.simulator import oracles
from tests.simulator.machine import SimNode
from tests.simulator.test_simulator import (
    BUSY_SECONDS,
    LIVENESS_SECONDS_MAX,
    SETTLE_SECONDS,
    a_world,
)
from tests.simulator.tree import NETWORK, PARENT
from tests.simulator.weather import Weather, brew
from tests.simulator.workload import Workload
from tests.simulator.world import World

ROTATIONS_MAX = 3
_ASK_SECONDS = 4.0


class Keyring:
    """The key files of one machine, which a power cut leaves as they are."""

    def __init__(self, node: SimNode, chance: random.Random) -> None:
        self._node = node
        self._chance = chance
        self._signers = {1: node.identity.feed_signer}
        self._first_boot = node.boot
        node.boot = self._boot  # type: ignore[method-assign]
        node.world.watchers.append(self._watch)

    def _boot(self) -> None:
        """As a process starts: the store and the mark decide which key goes on."""
        node = self._node
        held = held_epochs(node.store.inner.feeds(), node.mark.read(), node.code)
        epoch = choose_epoch(sorted(self._signers), *held)
        former = tuple(one.key for number, one in self._signers.items() if number < epoch)
        signer, witness = self._signers[epoch], node.identity.witness_signer
        node.identity = Identity(NETWORK, node.code, signer, witness, former)
        self._first_boot()

    def _watch(self, node: SimNode) -> None:
        """The desks look into the feed that the node writes now."""
        if node is self._node and node.engine is not None:
            node.identity = node.engine.identity

    def rotate(self, target: int) -> None:
        """Ask until the node writes epoch `target`; a key that was made is used again."""
        engine = self._node.engine
        if engine is not None and engine.identity.epoch < target:
            epoch = engine.identity.epoch + 1
            if epoch not in self._signers:
                name = codes.origin(NETWORK, self._node.code, epoch)
                seed = self._chance.randbytes(32)
                self._signers[epoch] = Signer.from_seed(name, KeyType.ORIGIN, seed)
            self._node.give(Operate(None, RotateFeed(self._signers[epoch])))
        if engine is None or engine.identity.epoch < target:
            self._node.world.after(_ASK_SECONDS, partial(self.rotate, target))


def origins(world: World, code: str) -> list[str]:
    """A node's epochs as its own store holds them, oldest first."""
    feeds = world.nodes[code].store.inner.feeds()
    own = [one.origin for one in feeds if codes.parse_origin(one.origin).code == code]
    return sorted(own, key=lambda one: codes.parse_origin(one).epoch)


def is_level(world: World) -> bool:
    """Whether every reader holds every epoch of every feed that it should."""
    for code in PARENT:
        for origin in origins(world, code):
            size = world.nodes[code].held(origin)
            readers = [one for one in PARENT if oracles.should_hold(one, code)]
            if any(world.nodes[reader].held(origin) != size for reader in readers):
                return False
    return True


def check_epochs(world: World) -> None:
    """Each epoch but the last ends in a Close, each but the first begins with an Open."""
    for code, node in world.nodes.items():
        own = origins(world, code)
        for number, origin in enumerate(own):
            types = [oracles.head_of(entry).type for entry in oracles.entries_of(node, origin)]
            ends = [at for at, type_ in enumerate(types) if type_ == feed_pb2.RECORD_TYPE_CLOSE]
            opens = [at for at, type_ in enumerate(types) if type_ == feed_pb2.RECORD_TYPE_OPEN]
            assert ends == ([len(types) - 1] if origin != own[-1] else []), origin
            assert opens == ([0] if number else []), origin
            for reader in PARENT:
                engine = world.nodes[reader].engine
                if engine is not None and oracles.should_hold(reader, code):
                    epoch = engine.roster.epoch(origin)
                    assert epoch is not None, f"{origin} at {reader}"
                    is_last = origin == own[-1]
                    assert (epoch.status is EpochStatus.ACTIVE) == is_last, f"{origin} at {reader}"


def check_acknowledged(workload: Workload) -> None:
    """Every draft that was acknowledged is in one epoch once, where its receipt says."""
    written: dict[str, dict[str, list[bytes]]] = {}
    for code, node in workload.world.nodes.items():
        written[code] = {
            origin: [oracles.head_of(entry).record for entry in oracles.entries_of(node, origin)]
            for origin in origins(workload.world, code)
        }
    for request in workload.requests:
        feeds = written[request.node.code]
        assert request.answered is not None
        if request.answered.error is not None:  # another's step came first
            continue
        for draft, receipt in zip(request.append.drafts, request.answered.receipts, strict=True):
            assert feeds[receipt.origin][receipt.index] == draft.record
            assert sum(records.count(draft.record) for records in feeds.values()) == 1


def test_epochs_follow_one_another_whatever_the_weather(rotation_seed: int) -> None:
    """Rotated while cut off, in a backlog, and with the power failing between any two writes."""
    with a_world(rotation_seed) as world:
        chance = random.Random(f"rotation {rotation_seed}")
        weather = Weather.draw(chance)
        brew(world, weather, seconds=BUSY_SECONDS)
        workload = Workload(world, seconds=BUSY_SECONDS)
        targets = {}
        for code, node in world.nodes.items():
            keyring = Keyring(node, chance)
            targets[code] = 1 + chance.randint(0, ROTATIONS_MAX)
            for target in range(2, targets[code] + 1):
                world.at(chance.uniform(5, BUSY_SECONDS), partial(keyring.rotate, target))
        world.boot()
        world.run_until(BUSY_SECONDS)
        world.heal()
        healed = world.time
        while True:
            done = all(len(origins(world, code)) == targets[code] for code in PARENT)
            if done and workload.is_done and is_level(world):
                break
            late = world.time - healed > LIVENESS_SECONDS_MAX
            assert not late, f"not level: {targets}, {workload.is_done}, {is_level(world)}"
            world.run_until(world.time + 2)
        world.run_until(world.time + SETTLE_SECONDS)
        check_epochs(world)
        check_acknowledged(workload)
        oracles.check_calls(workload)
        oracles.check_alarms(world, weather.tolerated)
