"""What must hold in every run, said independently of the code that should make it so.

Stored entries are taken apart by hand, roots are computed by the recursion of RFC 6962, and who may
read what comes from `rule.py`. Two oracles watch all along: the wire, and what is cosigned; the
others look at the end.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256

from huying.common.errors import Code
from huying.common.state import FeedState, Missing, StoredEntry
from huying.common.status import FeedHealth
from huying.wire.v1 import feed_pb2, trust_pb2
from tests.simulator import rule
from tests.simulator.desks import COUNTY_CANARY, call_state
from tests.simulator.machine import SimNode
from tests.simulator.tree import COUNTY, LEVEL, PARENT, TOWNS, VILLAGES
from tests.simulator.workload import (
    TOWN_CANARY,
    TOWN_PHONE,
    VILLAGE_CANARY,
    VILLAGE_PHONE,
    Workload,
)
from tests.simulator.world import World

_COUNTY_ONLY = (COUNTY_CANARY.encode(),)
_TOWN_ONLY = (TOWN_CANARY.encode(), TOWN_PHONE.encode())
_VILLAGE_ONLY = (VILLAGE_CANARY.encode(), VILLAGE_PHONE.encode())


# The bytes, read by hand.


def slots_of(leaf: bytes) -> bytes:
    """0x01, count, then 33 bytes each: the slot and its commitment."""
    return bytes(leaf[2 + 33 * i] for i in range(leaf[1]))


def openings_of(entry: StoredEntry) -> dict[int, bytes]:
    """Each is stored behind its length in two bytes, and begins with its slot."""
    found = {}
    rest = entry.openings
    while rest:
        length = rest[0] * 256 + rest[1]
        opening, rest = rest[2 : 2 + length], rest[2 + length :]
        found[opening[0]] = opening
    return found


def head_of(entry: StoredEntry) -> feed_pb2.Head:
    return feed_pb2.Head.FromString(openings_of(entry)[0][17:])


def hash_of(entry: StoredEntry) -> bytes:
    if entry.leaf is None:
        assert entry.leaf_hash is not None
        return entry.leaf_hash
    return sha256(b"\x00" + entry.leaf).digest()


def tree_root(hashes: list[bytes]) -> bytes:
    """RFC 6962, 2.1: MTH over leaf hashes."""
    if not hashes:
        return sha256(b"").digest()
    if len(hashes) == 1:
        return hashes[0]
    split = 1
    while split * 2 < len(hashes):
        split *= 2
    return sha256(b"\x01" + tree_root(hashes[:split]) + tree_root(hashes[split:])).digest()


def should_hold(reader: str, origin: str) -> bool:
    """Feeds travel along the line of the tree: up to every ancestor, down to every descendant."""
    return (
        reader == origin
        or origin in rule.above(PARENT, reader)
        or reader in rule.above(PARENT, origin)
    )


def held_feed(node: SimNode, origin: str) -> FeedState | None:
    """What is durable, not what an engine remembers."""
    return node.store.inner.feed(origin)


def entries_of(node: SimNode, origin: str) -> list[StoredEntry]:
    feed = held_feed(node, origin)
    return node.store.inner.entries(feed.feed_id, 0, feed.size) if feed is not None else []


class Watch:
    """The oracles that look at every frame and after every step."""

    def __init__(self, world: World) -> None:
        self.cosigned: dict[tuple[str, str], dict[int, bytes]] = {}  # size -> root
        self.cosignatures = 0
        world.wiretaps.append(self._tap)
        world.watchers.append(self._after_step)

    def _tap(self, sender: str, receiver: str, frame: bytes) -> None:
        """A canary on the wire has left its home, even where the receiver would drop it."""
        banned: tuple[bytes, ...] = _VILLAGE_ONLY + _COUNTY_ONLY
        back = f"/feed/{receiver}/".encode() in frame[:64]  # what a village lost, and a town holds
        if not (sender in VILLAGES and receiver in TOWNS) and not (back and receiver in VILLAGES):
            banned += _TOWN_ONLY
        for canary in banned:
            assert canary not in frame, f"{canary!r} on the wire from {sender} to {receiver}"

    def _after_step(self, node: SimNode) -> None:
        """Whatever was cosigned is held whole, goes forward, and is what the origin signed."""
        assert node.engine is not None
        for feed in node.engine.replica.feeds.values():
            signed = feed.cosigned
            given = self.cosigned.setdefault((node.code, feed.origin), {})
            if signed is None or given.get(signed.size) == signed.root:
                continue  # given before, maybe by a machine that was restored since
            self.cosignatures += 1
            code = feed.origin.split("/")[2]
            assert PARENT[node.code] == code or PARENT[code] == node.code
            assert max(given, default=-1) < signed.size, "a cosignature went back"
            held = node.store.inner.entries(feed.feed_id, 0, signed.size)
            assert len(held) == signed.size, "cosigned more than is held"
            assert tree_root([hash_of(entry) for entry in held]) == signed.root
            given[signed.size] = signed.root


# The end of a run.


def is_level(world: World) -> bool:
    """Whether every node holds what it should, with nothing missing; quick, for waiting."""
    heads = {}
    for node in world.nodes.values():
        engine = node.engine
        if engine is None or engine.state != "live" or not engine.confirmed_by_parent:
            return False
        heads[node.origin] = engine.replica.own.size
    for node in world.nodes.values():
        assert node.engine is not None
        replica = node.engine.replica
        seen = node.engine.observations.values()
        if _lasting_wants(node) or replica.erasures.owes or replica.erasures.pending():
            return False
        if replica.missing or any(one.withheld or one.tail_cut or one.replayed for one in seen):
            return False
        for other in world.nodes.values():
            if should_hold(node.code, other.code):
                feed = replica.feeds.get(other.origin)
                if feed is None or feed.size != heads[other.origin] or feed.rest:
                    return False
    return True


def _lasting_wants(node: SimNode) -> list[Missing]:
    """What is granted for ever and not here. A giver's clock may have ended the others already."""
    assert node.engine is not None
    grants = node.engine.replica.grants
    return [
        row
        for origin, rows in grants.wants.items()
        for row in rows
        if any(
            grant.expires == float("inf") and grant.is_for(node.code)
            for grant in grants.of(origin, row.start, row.stop)
        )
    ]


def unlevel(world: World) -> str:
    """What keeps the network from being level, for a failure's message."""
    found = []
    for node in world.nodes.values():
        engine = node.engine
        if engine is None or engine.state != "live":
            found.append(f"{node.code} is {engine.state if engine else 'down'}")
            continue
        for other in world.nodes.values():
            own = held_feed(other, other.origin)
            feed = engine.replica.feeds.get(other.origin)
            if not should_hold(node.code, other.code) or own is None:
                continue
            missing = engine.replica.missing.get(other.origin, ())
            size = feed.size if feed is not None else None
            if size != own.size or missing or engine.observation(other.origin).withheld:
                found.append(f"{node.code} holds {size} of {own.size} of {other.code}, {missing}")
        if wants := _lasting_wants(node):
            found.append(f"{node.code} wants {wants}")
        if engine.replica.erasures.owes or engine.replica.erasures.pending():
            found.append(f"{node.code} owes or awaits {engine.replica.erasures.pending()}")
    return "; ".join(found)


# What was decided about entries, read from the feed itself.


@dataclass(slots=True)
class Decisions:
    """The erasures and disclosures of one feed, by index of the entry they speak of."""

    erased: dict[int, set[int]]
    granted: dict[int, list[trust_pb2.Disclosure]]

    def without_erased(self, index: int, entry: StoredEntry, slots: bytes) -> bytes:
        """Of these slots what stands: heads, statements, and what a call's parties share."""
        gone = self.erased.get(index, set())
        kind = head_of(entry).type
        if kind >= feed_pb2.RECORD_TYPE_MEMBER:
            return slots
        if kind in (feed_pb2.RECORD_TYPE_CALL, feed_pb2.RECORD_TYPE_CALL_STEP):
            gone = {slot for slot in gone if slot < 128}
        return bytes(slot for slot in slots if slot not in gone)

    def opened(self, index: int, origin: str, code: str) -> tuple[set[int], set[int]]:
        """Slots that `code` must hold by disclosure, and those that it may, for a time."""
        must: set[int] = set()
        may: set[int] = set()
        for one in self.granted.get(index, ()):
            line = set(one.readers)
            for reader in one.readers:
                line.update(rule.between(PARENT, reader, origin))
                line.update(rule.between(PARENT, origin, reader))
            if code in line:
                slots = {s for r in one.ranges if r.start <= index < r.stop for s in r.slots}
                (may if one.expires_micros else must).update(slots | {0})
        return must, may


def decisions_of(written: list[StoredEntry]) -> Decisions:
    found = Decisions({}, {})
    for entry in written:
        openings = openings_of(entry)
        kind = head_of(entry).type if 0 in openings else 0
        body = b"".join(opening[17:] for slot, opening in openings.items() if slot)
        if kind == feed_pb2.RECORD_TYPE_ERASURE:
            for one in trust_pb2.Erasure.FromString(body).ranges:
                for index in range(one.start, one.stop):
                    found.erased.setdefault(index, set()).update(one.slots or range(1, 256))
        elif kind == feed_pb2.RECORD_TYPE_DISCLOSURE:
            disclosure = trust_pb2.Disclosure.FromString(body)
            for one in disclosure.ranges:
                for index in range(one.start, one.stop):
                    found.granted.setdefault(index, []).append(disclosure)
    return found


def check_feeds(world: World) -> None:
    """Same size, same root, computed anew from what each database holds."""
    for origin_node in world.nodes.values():
        origin = origin_node.origin
        own = held_feed(origin_node, origin)
        assert own is not None
        for node in world.nodes.values():
            feed = held_feed(node, origin)
            if not should_hold(node.code, origin_node.code):
                assert feed is None, f"{node.code} holds the feed of {origin_node.code}"
                continue
            assert feed is not None
            entries = entries_of(node, origin)
            assert feed.size == own.size == len(entries), f"{origin} at {node.code}"
            assert feed.head is not None
            assert own.head is not None
            assert feed.head.root == own.head.root == tree_root([hash_of(e) for e in entries])


def check_openings(world: World) -> None:
    """Exactly what the rule and the disclosures allow, less what was erased: no more, no less."""
    for origin_node in world.nodes.values():
        written = entries_of(origin_node, origin_node.origin)
        decided = decisions_of(written)
        allowed = []
        for index, entry in enumerate(written):
            assert entry.leaf is not None
            slots = slots_of(entry.leaf)
            own = decided.without_erased(index, entry, slots)
            assert bytes(openings_of(entry)) == own, "the origin holds all its own"
            to = tuple(head_of(entry).to)
            allowed.append(rule.readers(PARENT, LEVEL, origin_node.code, slots, to))
        for node in world.nodes.values():
            for index, entry in enumerate(entries_of(node, origin_node.origin)):
                must, may = decided.opened(index, origin_node.code, node.code)
                if node is origin_node:
                    must = may = set()
                if not decided.without_erased(index, written[index], bytes(sorted(must - {0}))):
                    must, may = set(), may | must  # its head may have come before the erasure
                by_rule = {*allowed[index][node.code], *must}
                source = written[index]
                expected = decided.without_erased(index, source, bytes(sorted(by_rule)))
                held = openings_of(entry)
                for_a_time = {*decided.without_erased(index, source, bytes(sorted(may)))}
                where = f"entry {index} of {origin_node.code} at {node.code}"
                excess = {*held} - {*expected}
                assert excess <= for_a_time, f"{where}: {list(held)}, not {list(expected)}"
                assert {*held} >= {*expected}, f"{where}: {list(held)}, not {list(expected)}"
                truth = openings_of(written[index])
                assert all(held[slot] == truth[slot] for slot in held), where


def check_canaries(world: World) -> None:
    """No page of any database holds what was not meant for it, not even in an index."""
    for code, node in world.nodes.items():
        image = node.store.inner.image()
        banned: tuple[bytes, ...] = ()
        if code != COUNTY:
            banned += _COUNTY_ONLY
        else:
            banned += _TOWN_ONLY
        if code not in VILLAGES:
            banned += _VILLAGE_ONLY
        assert not [canary for canary in banned if canary in image], code


def check_acknowledged(workload: Workload) -> None:
    """Every draft that was acknowledged is in its feed once, where its receipt says."""
    records = {
        code: [head_of(entry).record for entry in entries_of(node, node.origin)]
        for code, node in workload.world.nodes.items()
    }
    for node, index, record in workload.acknowledged():
        assert records[node.code][index] == record, f"entry {index} of {node.code}"
    for request in workload.requests:
        for draft in request.append.drafts:
            times = records[request.node.code].count(draft.record)
            assert times <= 1, f"written {times} times at {request.node.code}"
            if request.answered is not None:
                assert times == (request.answered.error is None)


def check_calls(workload: Workload) -> None:
    """Whoever is party to a call sees the same state, and the same row in the list of calls."""
    nodes = workload.world.nodes
    for call, known in workload.desks.calls.items():
        county = call_state(nodes[COUNTY], call, known.caller)
        assert county.missing_count == 0
        rows = []
        for code in (COUNTY, *county.parties):
            state = call_state(nodes[code], call, known.caller)
            assert state == county, f"a call has two states: {code} sees {state}, not {county}"
            found = nodes[code].store.inner.get_call(call, known.caller)
            assert found is not None, f"{code} does not know the call"
            rows.append((found[0].stage, found[0].department, found[0].satisfaction))
        assert len(set(rows)) == 1
        assert rows[0][0] == int(county.stage)


def check_health(world: World, tolerated: frozenset[FeedHealth] = frozenset()) -> None:
    """Nobody believes that anything is wrong, and everybody knows how far behind it is."""
    for node in world.nodes.values():
        assert node.engine is not None
        for feed in node.engine.status().feeds:
            healthy = feed.health is FeedHealth.LIVE or feed.health in tolerated
            assert healthy, f"{feed.origin} at {node.code}: {feed}"
            assert feed.lag_seconds is not None
            assert feed.lag_seconds < 100
            assert feed.quarantined == 0
            assert feed.missing == 0


def check_all(workload: Workload) -> None:
    check_feeds(workload.world)
    check_openings(workload.world)
    check_canaries(workload.world)
    check_acknowledged(workload)
    check_calls(workload)


def check_alarms(
    world: World, tolerated: frozenset[Code], codes: Iterable[str] = tuple(PARENT)
) -> None:
    """Honest nodes accuse nobody. What bad lines may cause is `tolerated`."""
    for node in (world.nodes[code] for code in codes):
        accused = [alarm for alarm in node.alarms if alarm.code not in tolerated]
        assert not accused, f"{node.code}: {accused[:3]}"
