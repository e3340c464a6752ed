"""Machines that are restored from yesterday's backup, or copied, and what must still hold then.

A backup is the database, with or without the high-water mark beside it. What the others held of a
machine's feed at the moment of its loss is what it must get back; what nobody held it must list.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from huying.common.errors import Code
from huying.node.store.store import SqlStore
from tests.simulator import oracles, rule
from tests.simulator.hardware import FragileStore
from tests.simulator.machine import SimNode
from tests.simulator.tree import LEVEL, PARENT
from tests.simulator.workload import Workload
from tests.simulator.world import World

Mark = tuple[str, int, bytes] | None

# A restored node says so, and so does whoever hears what it lost.
TOLERATED = frozenset({Code.RECOVERING, Code.LOST})


@dataclass(frozen=True, slots=True)
class Backup:
    """One machine's database, and the mark as it stood beside it."""

    image: bytes
    mark: Mark
    size: int


def backup(node: SimNode) -> Backup:
    feed = oracles.held_feed(node, node.origin)
    assert feed is not None
    return Backup(node.store.inner.image(), node.mark.value, feed.size)


def restore(node: SimNode, kept: Backup, mark: Mark, *, seconds: float = 3.0) -> None:
    """The machine dies; it comes back with the older database, and with that mark."""
    node.lose_power(seconds=seconds)
    node.store.inner.close()
    node.store = FragileStore(SqlStore.open(template=kept.image), node.fuse)
    node.mark.value = mark


@dataclass(slots=True)
class Ledger:
    """What each origin signed, all along: a second history would show in any of its sizes."""

    world: World
    signed: dict[str, dict[int, bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.world.watchers.append(self._after_step)

    def _after_step(self, node: SimNode) -> None:
        assert node.engine is not None
        head = node.engine.replica.own.head
        if head is not None:
            roots = self.signed.setdefault(node.origin, {})
            assert roots.setdefault(head.size, head.root) == head.root, f"{node.code} forked"

    def check(self) -> None:
        """Whatever was signed is a beginning of what the origin holds now."""
        for node in self.world.nodes.values():
            hashes = [oracles.hash_of(entry) for entry in oracles.entries_of(node, node.origin)]
            for size, root in self.signed.get(node.origin, {}).items():
                assert size <= len(hashes), f"{node.code} signed {size}, and holds {len(hashes)}"
                assert oracles.tree_root(hashes[:size]) == root, f"{node.code} forked at {size}"


@dataclass(slots=True)
class Loss:
    """What the others held of some machines' feeds when those were lost."""

    world: World
    lost: tuple[str, ...]  # the machines that are restored
    kept: dict[str, Backup]
    sizes: dict[str, int] = field(default_factory=dict)
    held: dict[tuple[str, int], set[int]] = field(default_factory=dict)  # slots, by origin, index

    def __post_init__(self) -> None:
        for code in self.lost:
            origin = self.world.nodes[code].origin
            self.sizes[origin] = self.kept[code].size
            for other in self.world.nodes.values():
                entries = oracles.entries_of(other, origin)
                if other.code in self.lost:  # what its own backup holds
                    entries = entries[: self._backed_up(other, origin)]
                self.sizes[origin] = max(self.sizes[origin], len(entries))
                for index, entry in enumerate(entries):
                    slots = self.held.setdefault((origin, index), set())
                    slots.update(oracles.openings_of(entry))

    def _backed_up(self, node: SimNode, origin: str) -> int:
        store = SqlStore.open(template=self.kept[node.code].image)
        try:
            feed = store.feed(origin)
            return feed.size if feed is not None else 0
        finally:
            store.close()

    def check(self) -> None:
        """All that anybody held is back; all that is not is listed, by the feed itself."""
        for code in self.lost:
            node = self.world.nodes[code]
            assert node.engine is not None
            entries = oracles.entries_of(node, node.origin)
            assert len(entries) >= self.sizes[node.origin]
            ranges = node.engine.losses.ranges(node.origin)
            for index, entry in enumerate(entries):
                have = oracles.openings_of(entry)
                before = self.held.get((node.origin, index), set())
                assert before <= set(have), f"entry {index} of {code}: {before - set(have)}"
                shown = oracles.slots_of(entry.leaf) if entry.leaf is not None else b"\0"
                for slot in set(shown) - set(have):
                    listed = any(
                        one.start <= index < one.stop and (slot in one.slots or 0 in one.slots)
                        for one in ranges
                    )
                    assert listed, f"slot {slot} of entry {index} of {code} is gone and not listed"


def check_openings(world: World, lost: tuple[str, ...]) -> None:
    """Exactly what rule and disclosures allow, but for what the restored machines lost."""
    for origin_node in world.nodes.values():
        written = oracles.entries_of(origin_node, origin_node.origin)
        decided = oracles.decisions_of(written)  # to parties that joined a call late
        for index, entry in enumerate(written):
            held = oracles.openings_of(entry)
            if entry.leaf is None or 0 not in held:
                assert origin_node.code in lost
                continue
            slots, to = oracles.slots_of(entry.leaf), tuple(oracles.head_of(entry).to)
            if origin_node.code not in lost:
                assert bytes(held) == slots
            allowed = rule.readers(PARENT, LEVEL, origin_node.code, slots, to)
            for node in world.nodes.values():
                if node is origin_node:
                    continue
                there = oracles.entries_of(node, origin_node.origin)
                have = set(oracles.openings_of(there[index])) if index < len(there) else set()
                where = f"entry {index} of {origin_node.code} at {node.code}"
                must, _ = decided.opened(index, origin_node.code, node.code)
                expected = {*allowed[node.code], *must}
                assert have <= expected, where
                missing = expected - have
                assert not missing or missing.isdisjoint(held), f"{where} lacks {missing}"


def check_acknowledged(workload: Workload) -> None:
    """Every entry that was acknowledged is in its place, if its head is not among what was lost."""
    for node, index, record in workload.acknowledged():
        entries = oracles.entries_of(node, node.origin)
        held = oracles.openings_of(entries[index])
        assert 0 not in held or oracles.head_of(entries[index]).record == record


def check_all(
    workload: Workload, ledger: Ledger, loss: Loss, tolerated: frozenset[Code] = frozenset()
) -> None:
    world = workload.world
    ledger.check()
    loss.check()
    oracles.check_feeds(world)
    check_openings(world, loss.lost)
    check_acknowledged(workload)
    oracles.check_canaries(world)
    oracles.check_alarms(world, TOLERATED | tolerated)
