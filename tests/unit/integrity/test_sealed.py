"""Sealed copies: what a burnt village kept to itself comes back, and its town never reads it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from huying.common.codes import Origin
from huying.common.effects import (
    Alarm,
    Append,
    Effect,
    Received,
    Send,
)
from huying.common.errors import Code, HuyingError
from huying.common.feed.hpke import SealKey
from huying.common.limits import SEALED_BYTES_MAX, SEALED_ENTRIES_MAX, SEALED_QUIET_SECONDS
from huying.node.store.sealed_copies import SqlCopyShelf, read_copy
from huying.wire.v1 import sync_pb2
from tests.support.tiny_network import COUNTY, TOWN, VILLAGE, TinyNetwork, event, put, resident
from tests.unit.integrity.sealed_cases import (
    EVENT,
    KEY,
    ORIGIN,
    RESIDENT,
    erase,
    kept,
    opened,
    openings,
    pass_time,
    settle,
    switch_on,
)


@pytest.fixture
def network():
    made = TinyNetwork()
    yield made
    made.close()


def test_the_parent_keeps_just_what_it_may_not_read(network):
    """Copy and feed together are the whole entry, and nothing is there twice."""
    switch_on(network)
    network.append(VILLAGE, put(EVENT, event(1)), put(RESIDENT, resident(2)))
    settle(network)
    size = network.engines[VILLAGE].replica.own.size
    copies = opened(network)
    for index in range(size):
        whole = openings(network, VILLAGE, index)
        shown = openings(network, TOWN, index)
        sealed = list(copies[index].openings) if index in copies else []
        assert sorted(shown + sealed) == sorted(whole)
    assert any(copies)


def test_the_town_can_not_read_a_copy(network, monkeypatch):
    """Neither its database nor the wire may hold what stays in the village."""
    switch_on(network)
    secrets = ("full 7", "person 8", "13800000000")
    seen: list[bytes] = []
    deliver = network._effects

    def watch(code: str, effects: Sequence[Effect]) -> None:
        seen.extend(one.frame for one in effects if isinstance(one, Send))
        deliver(code, effects)

    monkeypatch.setattr(network, "_effects", watch)
    network.append(VILLAGE, put(EVENT, event(7)), put(RESIDENT, resident(8)))
    settle(network)
    assert kept(network)
    image = network.stores[TOWN].image()
    own = network.stores[VILLAGE].image()
    for secret in secrets:
        assert secret.encode() in own
        hidden = secret.encode() not in image
        assert hidden or secret in _readable(network, TOWN)
        assert not any(secret.encode() in frame for frame in seen) or not hidden
    assert b"person 8" not in image, "a resident's name stays in the village"
    with pytest.raises(HuyingError):
        opened(network, SealKey(b"t" * 32))


def _readable(network: TinyNetwork, code: str) -> str:
    size = network.engines[VILLAGE].replica.own.size
    found = [one for index in range(size) for one in openings(network, code, index)]
    return b"".join(found).decode("utf-8", "replace")


def test_it_is_off_without_a_key(network):
    """Nobody's village is sealed up to its town unasked."""
    switch_on(network, b"")
    network.append(VILLAGE, put(RESIDENT, resident(1)))
    settle(network)
    assert kept(network) == []


def test_a_few_entries_wait_and_share_a_copy_and_many_do_not(network):
    """A thin link must not carry a copy for every entry, nor a burnt PC lose a busy day."""
    switch_on(network)
    settle(network)
    before = {row.start: row.generation for row in kept(network)}
    network.append(VILLAGE, put(RESIDENT, resident(1)))
    pass_time(network, SEALED_QUIET_SECONDS - 5)
    assert {row.start: row.generation for row in kept(network)} == before
    settle(network)
    first = kept(network)
    network.append(VILLAGE, put(RESIDENT, resident(2)))
    settle(network)
    second = kept(network)
    assert len(first) == len(second) == 1, "it grew, and was not joined by another"
    assert (second[0].stop, second[0].generation) == (first[0].stop + 1, first[0].generation + 1)
    network.append(VILLAGE, *(put(RESIDENT, resident(n)) for n in range(3 * SEALED_ENTRIES_MAX)))
    pass_time(network, 8)
    rows = kept(network)
    covered = sum(row.stop - row.start for row in rows)
    assert network.engines[VILLAGE].replica.own.size - covered < SEALED_ENTRIES_MAX
    assert all(row.stop - row.start <= SEALED_ENTRIES_MAX for row in rows)
    settle(network)
    ranges = [(row.start, row.stop) for row in kept(network)]
    assert [start for start, _ in ranges] == [0, *(stop for _, stop in ranges[:-1])]
    assert ranges[-1][1] == network.engines[VILLAGE].replica.own.size
    assert len(opened(network)) >= 3 * SEALED_ENTRIES_MAX


def test_a_parent_that_lost_its_copies_gets_them_again(network):
    """The town was restored from a backup of before: what it says it holds is what counts."""
    switch_on(network)
    network.append(VILLAGE, put(RESIDENT, resident(1)))
    settle(network)
    before = kept(network)
    with network.stores[TOWN].transaction():
        for row in before:
            SqlCopyShelf(network.stores[TOWN]).delete_copy(row.origin, row.start)
    switch_on(network)
    settle(network)
    assert [(r.start, r.stop, r.generation) for r in kept(network)] == [
        (r.start, r.stop, r.generation) for r in before
    ]


def test_what_is_erased_goes_from_the_copies_too(network):
    """An erased resident must not come back from the town's cellar."""
    switch_on(network)
    network.append(VILLAGE, put(RESIDENT, resident(1)), put(RESIDENT, resident(2)))
    settle(network)
    (before,) = kept(network)
    old = read_copy(network.stores[TOWN], before.origin, before.start)
    erased = next(i for i, e in opened(network).items() if b"person 1" in b"".join(e.openings))
    erase(network, erased)
    settle(network)
    (after,) = kept(network)
    assert after.generation > before.generation
    texts = b"".join(b"".join(entry.openings) for entry in opened(network).values())
    assert b"person 1" not in texts
    assert b"person 2" in texts
    assert old is not None
    assert old.sealed not in network.stores[TOWN].image()


def test_another_recovery_key_seals_everything_anew(network):
    """A key that may have been seen is of no more use a minute later."""
    switch_on(network)
    network.append(VILLAGE, put(RESIDENT, resident(1)))
    settle(network)
    other = SealKey(b"o" * 32)
    switch_on(network, other.public_key)
    settle(network)
    assert opened(network, other)
    with pytest.raises(HuyingError):
        opened(network, KEY)


def test_a_key_that_is_taken_away_takes_erased_copies_with_it(network):
    """Without a key nothing is sealed; an erasure still has to reach the town."""
    switch_on(network)
    network.append(VILLAGE, put(RESIDENT, resident(1)))
    settle(network)
    index = max(opened(network))
    switch_on(network, b"")
    settle(network)
    assert kept(network), "nothing is deleted unasked"
    erase(network, index)
    settle(network)
    assert kept(network) == []


# What a peer may not do.


def say(network: TinyNetwork, code: str, peer: str, frame: sync_pb2.Frame) -> set[Code]:
    """`peer` sends a frame to `code`; the alarms it causes there."""
    engine = network.engines[code]
    session = next(one for one in engine.sessions.values() if one.peer == peer)
    effects = engine.step([Received(session.link, frame.SerializeToString())])
    network._effects(code, effects)
    network.run()
    return {one.code for one in effects if isinstance(one, Alarm)}


def copy_of(origin: str, start: int = 0, stop: int = 1, **more) -> sync_pb2.Frame:
    fields = {"sealed": b"s" * 100, "generation": 1, **more}
    return sync_pb2.Frame(
        sealed_copy=sync_pb2.SealedCopy(origin=origin, start=start, stop=stop, **fields)
    )


def test_a_parent_takes_copies_of_the_childs_own_feed_alone(network):
    """Else one village could fill or replace another's."""
    switch_on(network)
    other = str(Origin("wenshang.example", "370830108202", 1))
    town = str(Origin("wenshang.example", TOWN, 1))
    for origin in (other, town, "x.example/feed/370830108201/e1"):
        assert say(network, TOWN, VILLAGE, copy_of(origin)) == {Code.NOT_SERVED}
    for frame in (
        copy_of(ORIGIN, 5, 5),
        copy_of(ORIGIN, generation=0),
        copy_of(ORIGIN, 2**60, 2**60 + 1),
    ):
        assert say(network, TOWN, VILLAGE, frame) == {Code.INVALID_ARGUMENT}
    for frame in (
        copy_of(ORIGIN, 0, SEALED_ENTRIES_MAX + 1),
        copy_of(ORIGIN, sealed=b"s" * (SEALED_BYTES_MAX + 1)),
    ):
        assert say(network, TOWN, VILLAGE, frame) == {Code.LIMIT_EXCEEDED}
    assert kept(network) == []


def test_what_a_child_may_leave_is_bounded(network, monkeypatch):
    """A child must not fill its parent's disk."""
    switch_on(network)
    monkeypatch.setattr("huying.common.copies.copy_shelf.SEALED_CHILD_BYTES_MAX", 250)
    assert say(network, TOWN, VILLAGE, copy_of(ORIGIN, 100, 101)) == set()
    assert say(network, TOWN, VILLAGE, copy_of(ORIGIN, 101, 102)) == set()
    assert say(network, TOWN, VILLAGE, copy_of(ORIGIN, 102, 103)) == {Code.LIMIT_EXCEEDED}
    assert say(network, TOWN, VILLAGE, copy_of(ORIGIN, 100, 101, generation=2)) == set()
    monkeypatch.setattr("huying.common.copies.copy_shelf.SEALED_CHILD_COPIES_MAX", 2)
    assert say(network, TOWN, VILLAGE, copy_of(ORIGIN, 103, 104, sealed=b"x")) == {
        Code.LIMIT_EXCEEDED
    }


def test_an_earlier_generation_replaces_nothing(network):
    """A copy from before an erasure, sent late or again, must not undo it."""
    switch_on(network)
    say(network, TOWN, VILLAGE, copy_of(ORIGIN, 100, 101, generation=5, sealed=b"newer"))
    say(network, TOWN, VILLAGE, copy_of(ORIGIN, 100, 101, generation=4, sealed=b"older"))
    copy = read_copy(network.stores[TOWN], ORIGIN, 100)
    assert copy is not None
    assert (copy.generation, copy.sealed) == (5, b"newer")


def test_copies_are_given_back_to_their_own_node_alone(network):
    """The county is not the village, nor is the town's other child."""
    switch_on(network)
    network.append(VILLAGE, put(RESIDENT, resident(1)))
    settle(network)
    want = sync_pb2.Frame(sealed_want=sync_pb2.SealedWant(origin=ORIGIN, start=0))
    assert say(network, TOWN, COUNTY, want) == {Code.NOT_SERVED}
    assert say(network, COUNTY, TOWN, want) == {Code.NOT_SERVED}
    assert say(network, TOWN, VILLAGE, want) == set()
    everything = sync_pb2.Frame(sealed_want=sync_pb2.SealedWant(list=True))
    assert say(network, TOWN, COUNTY, everything) == {Code.NOT_SERVED}


def test_a_parent_that_claims_copies_that_can_not_be_stops_nothing(network):
    """It could keep all copies back anyway; it must not do more than that."""
    switch_on(network)
    held = sync_pb2.SealedHeld(
        origin=ORIGIN, starts=[0, 50_000], stops=[200, 50_010], generations=[9, 9]
    )
    say(network, VILLAGE, TOWN, sync_pb2.Frame(sealed_held=held))
    network.append(VILLAGE, put(RESIDENT, resident(1)))
    settle(network)
    assert b"person 1" in b"".join(b"".join(e.openings) for e in opened(network).values())
    uneven = sync_pb2.SealedHeld(origin=ORIGIN, starts=[1], stops=[2])
    assert say(network, VILLAGE, TOWN, sync_pb2.Frame(sealed_held=uneven)) == {Code.LIMIT_EXCEEDED}


def test_sealing_never_delays_an_entry(network):
    """It is a background task: an append is answered in its own step, whatever is being sealed."""
    switch_on(network)
    network.append(VILLAGE, *(put(RESIDENT, resident(n)) for n in range(600)))
    network.clock.seconds += 1
    effects = network.engines[VILLAGE].step([Append(1, (put(RESIDENT, resident(7)),))])
    copies = [
        one
        for one in effects
        if hasattr(one, "frame") and sync_pb2.Frame.FromString(one.frame).HasField("sealed_copy")
    ]
    assert len(copies) <= 1
