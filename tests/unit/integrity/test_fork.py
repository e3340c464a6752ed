"""A node that signed two histories, in one machine or in two: caught, evidenced, halted."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from huying.common.effects import (
    Alarm,
    Append,
    Appended,
    Direction,
    LinkDown,
    LinkUp,
    Received,
    Send,
)
from huying.common.engine import Engine
from huying.common.errors import Code, HuyingError
from huying.common.feed.merkle import build
from huying.common.feed.note import KeyType, Signer
from huying.common.integrity.evidence import ForkEvidence
from huying.common.status import FeedHealth
from huying.node.store.store import SqlStore
from huying.wire.v1 import feed_pb2, sync_pb2
from tests.support.handmade import HandmadeFeed, Host, event_draft, of_kind
from tests.support.tiny_network import (
    COUNTY,
    TOWN,
    VILLAGE,
    MemoryMark,
    SeededEntropy,
    TinyNetwork,
    event,
    identity,
    pin,
    put,
)

TOWN_SLOTS = bytes((0, 3, 4))
KEY = identity(VILLAGE).feed_signer.key


def two_histories(common: int, first: int, second: int) -> tuple[HandmadeFeed, HandmadeFeed]:
    """Two feeds of the village that agree in `common` entries, and in no later one."""
    one, other = HandmadeFeed(VILLAGE).put_many(common), HandmadeFeed(VILLAGE).put_many(common)
    other._entropy.token(16)
    return one.put_many(first - common), other.put_many(second - common)


def evidence_of(one: HandmadeFeed, other: HandmadeFeed) -> ForkEvidence:
    """The proof from the notes of both, of which `other` is the longer or as long."""
    small, large = len(one.leaves), len(other.leaves)
    if small == large:
        return ForkEvidence(one.note(), other.note())
    prefix = build(0, other.hashes[:small]).hashes
    suffix = build(small, other.hashes[small:]).hashes
    return ForkEvidence(one.note(), other.note(), b"".join(prefix), b"".join(suffix))


# The evidence itself.


@pytest.mark.parametrize(("first", "second"), [(5, 5), (4, 5), (1, 9), (7, 8), (8, 9)])
def test_evidence_proves_itself_to_whoever_has_the_key(first: int, second: int) -> None:
    """Two notes of one size, or of two sizes with the ranges that show no common history."""
    one, other = two_histories(min(first, 3) if first > 1 else 0, first, second)
    evidence = evidence_of(one, other)
    assert [point.size for point in evidence.verify(KEY)] == [first, second]
    assert ForkEvidence.decode(evidence.encode(one.origin)) == evidence


def test_an_honest_history_can_not_be_made_to_look_like_a_fork() -> None:
    """Otherwise anybody could halt anybody."""
    feed = HandmadeFeed(VILLAGE).put_many(9)
    prefix = b"".join(build(0, feed.hashes[:4]).hashes)
    suffix = b"".join(build(4, feed.hashes[4:]).hashes)
    lies = [
        ForkEvidence(feed.note(9), feed.note(9)),
        ForkEvidence(feed.note(4), feed.note(9), prefix, suffix),
        ForkEvidence(feed.note(4), feed.note(9), suffix, prefix),
        ForkEvidence(feed.note(9), feed.note(4), prefix, suffix),
        ForkEvidence(feed.note(4), feed.note(9), bytes(32), suffix),
        ForkEvidence(feed.note(4), feed.note(9)),
        ForkEvidence(b"", feed.note(9)),
    ]
    for lie in lies:
        with pytest.raises(HuyingError) as caught:
            lie.verify(KEY)
        assert caught.value.code in (Code.BAD_PROOF, Code.BAD_NOTE)


def test_evidence_of_another_key_is_none() -> None:
    """A forger signs what it likes, but not with the origin's key."""
    one, other = two_histories(2, 5, 5)
    forger = Signer.from_seed(one.origin, KeyType.ORIGIN, b"f" * 32)
    with pytest.raises(HuyingError) as caught:
        ForkEvidence(one.note(), other.note(signer=forger)).verify(KEY)
    assert caught.value.code is Code.BAD_SIGNATURE


# Two copies of one machine, both running.


class Clones(TinyNetwork):
    """The three nodes, and a copy of the village that was taken while it ran."""

    def __init__(self) -> None:
        super().__init__()
        self.alarms: dict[str, list[Alarm]] = {}
        self.refused: list[Code] = []
        self.append(VILLAGE, put(feed_pb2.RECORD_TYPE_EVENT, event(1)))
        self.mark = MemoryMark(identity(VILLAGE).origin)
        self.stores["clone"] = SqlStore.open(template=self.stores[VILLAGE].image())
        own = self.engines[VILLAGE].replica.own
        assert own.head is not None
        self.mark.write(own.origin, own.size, own.head.root)
        self.engines["clone"] = self.clone_engine()
        self._link_number = 10

    def clone_engine(self) -> Engine:
        return Engine(
            identity=identity(VILLAGE),
            parent=TOWN,
            pins=[pin(TOWN), pin(COUNTY)],
            store=self.stores["clone"],
            clock=self.clock,
            entropy=SeededEntropy(99),
            mark=self.mark,
        )

    def connect(self, who: str) -> None:
        """This copy of the village takes the line to the town; the other one loses it."""
        self._link_number += 2
        number = self._link_number
        for link, (peer, _) in list(self._ends.items()):
            if peer in (VILLAGE, "clone"):
                end = self._ends.pop(link)
                self._ends.pop(end[1], None)
                self._effects(peer, self.engines[peer].step([LinkDown(end[1])]))
        self._ends[number], self._ends[number + 1] = (TOWN, number + 1), (who, number)
        self._inbox.append((TOWN, LinkUp(number + 1, VILLAGE, Direction.DOWN)))
        self._inbox.append((who, LinkUp(number, TOWN, Direction.UP)))
        self.run()

    def _effects(self, code: str, effects) -> None:
        for effect in effects:
            if isinstance(effect, Send) and effect.link in self._ends:
                peer, link = self._ends[effect.link]
                self._inbox.append((peer, Received(link, effect.frame)))
            elif isinstance(effect, Alarm) and hasattr(self, "alarms"):
                self.alarms.setdefault(code, []).append(effect)
            elif isinstance(effect, Appended) and effect.token is not None:
                if effect.error is not None:
                    self.refused.append(effect.error.code)
                self.receipts += effect.receipts

    def write(self, who: str, number: int) -> None:
        """An entry at one copy; it travels if that copy has the line."""
        self.clock.seconds += 1
        draft = put(feed_pb2.RECORD_TYPE_EVENT, event(number))
        self._effects(who, self.engines[who].step([Append(object(), (draft,))]))
        self.run()

    def codes(self, who: str) -> set[Code]:
        return {alarm.code for alarm in self.alarms.get(who, ())}

    def evidence(self, who: str) -> ForkEvidence:
        feed = self.engines[who].replica.feeds[identity(VILLAGE).origin]
        return ForkEvidence.decode(feed.frozen)


@pytest.fixture
def clones() -> Iterator[Clones]:
    network = Clones()
    network._effects("clone", network.engines["clone"].start())
    network.clock.seconds += 11  # nobody answers the copy, and it goes on as `unconfirmed`
    network.run()
    yield network
    network.close()


@pytest.mark.parametrize(("here", "there"), [(1, 1), (1, 4), (4, 1), (3, 3)])
def test_both_copies_of_a_cloned_node_halt_with_the_same_evidence(
    clones: Clones, here: int, there: int
) -> None:
    """Whichever wrote more, and whichever comes second: the parent sees it, and tells both."""
    for number in range(here):
        clones.write(VILLAGE, 100 + number)
    for number in range(there):
        clones.write("clone", 200 + number)
    clones.connect("clone")
    assert clones.engines["clone"].state == "forked"
    clones.connect(VILLAGE)
    assert clones.engines[VILLAGE].state == "forked"
    for who in (VILLAGE, "clone"):
        assert Code.FORKED in clones.codes(who)
    assert Code.FORK in clones.codes(TOWN)
    for who in (VILLAGE, "clone", TOWN):
        clones.evidence(who).verify(KEY)
    for who in (VILLAGE, "clone"):
        clones.refused.clear()
        clones.write(who, 300)
        assert clones.refused == [Code.FORKED]


def test_everybody_who_holds_the_feed_hears_of_the_fork(clones: Clones) -> None:
    """The county trusted the village's feed as the town relayed it."""
    clones.write(VILLAGE, 100)
    clones.write("clone", 200)
    clones.connect("clone")
    origin = identity(VILLAGE).origin
    assert clones.engines[COUNTY].replica.feeds[origin].frozen
    assert Code.FORK in clones.codes(COUNTY)
    shown = [feed for feed in clones.engines[COUNTY].status().feeds if feed.origin == origin]
    assert [feed.health for feed in shown] == [FeedHealth.FORKED]


def test_a_forked_node_stays_halted_over_a_restart(clones: Clones) -> None:
    """Whoever restarts it has not decided anything; the evidence is still there."""
    clones.write(VILLAGE, 100)
    clones.write("clone", 200)
    clones.connect("clone")
    clones.engines["clone"] = clones.clone_engine()
    clones._effects("clone", clones.engines["clone"].start())
    clones.clock.seconds += 60
    clones.run()
    assert clones.engines["clone"].state == "forked"
    clones.refused.clear()
    clones.write("clone", 300)
    assert clones.refused == [Code.FORKED]
    clones.evidence("clone").verify(KEY)


def test_a_copy_that_wrote_nothing_of_its_own_takes_over_without_a_fork(clones: Clones) -> None:
    """A machine that was moved, or a copy that lagged: it gets what it lacks, and goes on."""
    clones.write(VILLAGE, 100)
    clones.connect("clone")
    for _ in range(30):
        clones.clock.seconds += 1
        clones.run()
    assert clones.engines["clone"].state == "live"
    own = clones.engines["clone"].replica.own
    assert own.size == clones.engines[TOWN].replica.feeds[own.origin].size
    clones.write("clone", 200)
    assert clones.engines[TOWN].replica.feeds[own.origin].size == own.size + 1
    assert Code.FORK not in clones.codes(TOWN)


def test_of_two_copies_that_are_both_linked_the_one_that_had_written_halts(
    clones: Clones,
) -> None:
    """Each would take the other's entries for its own that were lost, and go on, for ever."""
    clones.connect(VILLAGE)
    clones.write(VILLAGE, 100)
    for who in ("clone", VILLAGE):
        clones.connect(who)
        for _ in range(30):
            clones.clock.seconds += 1
            clones.run()
    assert clones.engines["clone"].state == "live", "it had written nothing, and took over"
    assert clones.engines[VILLAGE].state == "forked"
    assert Code.FORKED in clones.codes(VILLAGE)
    assert "a copy of this node runs" in clones.engines[VILLAGE].recovery.reason
    size = clones.engines[VILLAGE].replica.own.size
    clones.write(VILLAGE, 101)
    assert clones.refused[-1] is Code.FORKED
    assert clones.engines[VILLAGE].replica.own.size == size


# What a neighbour claims.


def test_a_neighbour_can_not_halt_a_node_without_proof() -> None:
    """A child that sends made-up evidence is told so, and nothing halts."""
    host = Host(TOWN)
    host.wait(11)
    link, _ = host.link(VILLAGE)
    town = HandmadeFeed(TOWN).put_many(4)
    lie = ForkEvidence(town.note(3), town.note(4), bytes(64), bytes(32))
    host.hear(link, sync_pb2.Frame(refusal=lie.refusal(town.origin, "")))
    assert host.engine.state == "live"
    assert Code.BAD_PROOF in host.codes()
    assert host.write(event_draft()).error is None


def test_true_evidence_from_a_child_halts_its_parent() -> None:
    """It proves itself, so it does not matter who shows it."""
    host = Host(TOWN)
    link, _ = host.link(VILLAGE)
    one, other = HandmadeFeed(TOWN).put_many(4), HandmadeFeed(TOWN)
    other._entropy.token(16)
    other.put_many(4)
    evidence = ForkEvidence(one.note(), other.note())
    host.hear(link, sync_pb2.Frame(refusal=evidence.refusal(one.origin, "")))
    assert host.engine.state == "forked"
    refused = host.write(event_draft()).error
    assert refused is not None
    assert refused.code is Code.FORKED


def test_an_older_note_of_another_history_is_a_fork_and_not_just_stale() -> None:
    """The second writer is behind the first, and its checkpoint is no beginning of what is held."""
    one, other = two_histories(2, 8, 5)
    host = Host(TOWN)
    link, _ = host.link(VILLAGE)
    host.hear(link, one.segment(0, 8, readable=TOWN_SLOTS))
    replies = host.hear(link, other.segment(2, 5, readable=TOWN_SLOTS))
    (refusal,) = of_kind(replies, "refusal")
    assert Code(refusal.refusal.code) is Code.FORK
    sizes = [point.size for point in ForkEvidence.of(refusal.refusal).verify(KEY)]
    assert sizes == [5, 8]
    assert host.engine.replica.feeds[one.origin].frozen


def test_an_older_note_of_the_same_history_is_just_stale() -> None:
    """Whoever shows an old head is refused by name, and nothing freezes."""
    one, _ = two_histories(2, 8, 5)
    host = Host(TOWN)
    link, _ = host.link(VILLAGE)
    host.hear(link, one.segment(0, 8, readable=TOWN_SLOTS))
    replies = host.hear(link, one.segment(2, 5, size=5, readable=TOWN_SLOTS))
    assert [Code(f.refusal.code) for f in of_kind(replies, "refusal")] == [Code.STALE_SIZE]
    assert not host.engine.replica.feeds[one.origin].frozen
