"""Sealed copies: what a burnt village kept to itself comes back, and its town never reads it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from huying.common.codes import Origin
from huying.common.effects import (
    Alarm,
    Append,
    DraftEntry,
    Effect,
    Operate,
    Operated,
    Received,
    Send,
)
from huying.common.errors import Code, HuyingError
from huying.common.feed.hpke import SealKey
from huying.common.feed.leaf import pack_openings, unpack_openings
from huying.common.limits import SEALED_BYTES_MAX, SEALED_ENTRIES_MAX, SEALED_QUIET_SECONDS
from huying.common.sealed import CopyState, SealedCopy, open_sealed
from huying.common.sealing import PutBack, PutBackReport, Sealing
from huying.node.store.sealed_copies import SqlCopyShelf, read_copies, read_copy
from huying.wire.v1 import feed_pb2, sync_pb2, trust_pb2
from tests.unit.tiny_network import COUNTY, TOWN, VILLAGE, TinyNetwork, event, put, resident

KEY = SealKey(bytes(range(32)))
ORIGIN = f"wenshang.example/feed/{VILLAGE}/e1"
EVENT, RESIDENT = feed_pb2.RECORD_TYPE_EVENT, feed_pb2.RECORD_TYPE_RESIDENT


def switch_on(network: TinyNetwork, key: bytes = KEY.public_key) -> None:
    for code, engine in network.engines.items():
        shelf = SqlCopyShelf(network.stores[code])
        engine.sealing = Sealing(engine, shelf, key if code == VILLAGE else b"")
        for session in engine.sessions.values():
            engine.sealing.greeted(session)
    network.run()


def pass_time(network: TinyNetwork, seconds: float) -> None:
    """Second by second, since a node does one thing a second."""
    for _ in range(int(seconds)):
        network.clock.seconds += 1
        network.run()


def settle(network: TinyNetwork) -> None:
    pass_time(network, 2 * SEALED_QUIET_SECONDS)


@pytest.fixture
def network():
    made = TinyNetwork()
    yield made
    made.close()


def kept(network: TinyNetwork) -> list[SealedCopy]:
    return read_copies(network.stores[TOWN], VILLAGE)


def opened(network: TinyNetwork, key: SealKey = KEY) -> dict[int, feed_pb2.Entry]:
    found = {}
    for row in kept(network):
        copy = read_copy(network.stores[TOWN], row.origin, row.start)
        assert copy is not None
        for one in sync_pb2.Disclose.FromString(open_sealed(key, copy)).entries:
            found[one.index] = one.entry
    return found


def openings(network: TinyNetwork, code: str, index: int) -> list[bytes]:
    store = network.stores[code]
    feed = store.feed(ORIGIN)
    assert feed is not None
    return unpack_openings(store.entries(feed.feed_id, index, index + 1)[0].openings)


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


def erase(network: TinyNetwork, index: int) -> None:
    message = trust_pb2.Erasure(
        ranges=[trust_pb2.IndexRange(start=index, stop=index + 1)], reason="a test"
    )
    draft = DraftEntry(feed_pb2.KIND_ERASE, feed_pb2.RECORD_TYPE_ERASURE, message)
    network.append(VILLAGE, draft)


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


# The way back.


def burn(network: TinyNetwork, *indexes: int) -> dict[int, list[bytes]]:
    """The village loses the openings of these entries that its town does not hold; what it had."""
    store = network.stores[VILLAGE]
    replica = network.engines[VILLAGE].replica
    before = {}
    with store.transaction():
        for index in indexes:
            before[index] = openings(network, VILLAGE, index)
            left = openings(network, TOWN, index)
            entry = store.entries(replica.own.feed_id, index, index + 1)[0]
            store.set_entry(
                replica.own.feed_id, index, entry._replace(openings=pack_openings(left))
            )
            lost = len(before[index]) - len(left)
            own = replica.own
            replica.feeds[own.origin] = replace(
                own,
                openings_held=own.openings_held - lost,
                openings_withheld=own.openings_withheld + lost,
            )
        store.put_feed(replica.own)
        shelf = SqlCopyShelf(store)
        for row in read_copies(store, VILLAGE):
            shelf.delete_copy(row.origin, row.start)
    return before


def put_back(network: TinyNetwork, key: SealKey = KEY) -> PutBackReport:
    total = [0, 0, 0]
    store = network.stores[VILLAGE]
    for row in read_copies(store, VILLAGE):
        if row.state is not CopyState.FETCHED:
            continue
        copy = read_copy(store, row.origin, row.start)
        assert copy is not None
        operation = PutBack(row.origin, row.start, open_sealed(key, copy))
        effects = network.engines[VILLAGE].step([Operate(1, operation)])
        answer = next(one for one in effects if isinstance(one, Operated))
        assert answer.error is None, answer.error
        report = answer.result
        assert isinstance(report, PutBackReport)
        total = [total[0] + report.entries, total[1] + report.repeated, total[2] + report.refused]
    network.run()
    return PutBackReport(*total)


def test_what_was_lost_comes_back_with_the_operators_key(network):
    """A burnt PC loses nothing, and the town still knows nothing."""
    switch_on(network)
    network.append(VILLAGE, *(put(RESIDENT, resident(n)) for n in range(5)))
    settle(network)
    size = network.engines[VILLAGE].replica.own.size
    before = burn(network, *range(size))
    assert any(openings(network, VILLAGE, n) != before[n] for n in range(size))
    copies = kept(network)
    switch_on(network)
    settle(network)
    assert [(r.start, r.generation) for r in kept(network)] == [
        (r.start, r.generation) for r in copies
    ], "what it lost it does not overwrite at the town"
    report = put_back(network)
    assert report.entries > 0
    assert report.refused == 0
    for index in range(size):
        assert openings(network, VILLAGE, index) == before[index]
    settle(network)
    assert opened(network).keys() >= {n for n in range(size) if len(before[n]) > 1 and n > 1}
    assert len(network.stores[VILLAGE].feeds()) == 3


def test_a_copy_does_not_grow_at_the_price_of_what_is_in_it(network):
    """Openings went missing here and nobody noticed; the town's copy is the last there is."""
    switch_on(network)
    network.append(VILLAGE, *(put(RESIDENT, resident(n)) for n in range(3)))
    settle(network)
    size = network.engines[VILLAGE].replica.own.size
    rows = read_copies(network.stores[VILLAGE], VILLAGE)
    burn(network, *range(size))
    with network.stores[VILLAGE].transaction():
        for row in rows:  # this node remembers what it sealed
            SqlCopyShelf(network.stores[VILLAGE]).put_copy(row)
    switch_on(network)
    network.append(VILLAGE, put(RESIDENT, resident(3)))
    settle(network)
    sealed = b"".join(b"".join(entry.openings) for entry in opened(network).values())
    for name in (b"person 0", b"person 1", b"person 2", b"person 3"):
        assert name in sealed


def test_a_copy_opens_as_what_it_stands_for_alone(network):
    """A parent must not hand out an older copy, or one of other entries, under a newer name."""
    switch_on(network)
    network.append(VILLAGE, put(RESIDENT, resident(1)))
    settle(network)
    (row,) = kept(network)
    copy = read_copy(network.stores[TOWN], row.origin, row.start)
    assert copy is not None
    open_sealed(KEY, copy)
    for other in (
        replace(copy, stop=copy.stop + 1),
        replace(copy, generation=copy.generation + 1),
        replace(copy, origin=ORIGIN.replace("/e1", "/e2")),
    ):
        with pytest.raises(HuyingError):
            open_sealed(KEY, other)


def test_a_copy_that_holds_what_was_erased_goes_once_it_is_opened_without_a_key_too(network):
    """A rebuilt village that seals no more still owes the erasure to whom it concerns."""
    switch_on(network)
    network.append(VILLAGE, put(RESIDENT, resident(1)), put(RESIDENT, resident(2)))
    settle(network)
    size = network.engines[VILLAGE].replica.own.size
    burn(network, *range(size))
    switch_on(network, b"")
    settle(network)
    erase(network, size - 2)
    put_back(network)
    settle(network)
    assert kept(network) == []


def test_an_erased_entry_does_not_come_back_with_a_copy(network):
    """The copy is older than the erasure; the erasure stands."""
    switch_on(network)
    network.append(VILLAGE, put(RESIDENT, resident(1)), put(RESIDENT, resident(2)))
    settle(network)
    size = network.engines[VILLAGE].replica.own.size
    burn(network, *range(size))
    switch_on(network)
    settle(network)
    erase(network, size - 2)  # person 1, while its copy waits to be opened
    put_back(network)
    texts = b"".join(b"".join(openings(network, VILLAGE, n)) for n in range(size))
    assert b"person 1" not in texts
    assert b"person 2" in texts
    settle(network)
    sealed = b"".join(b"".join(entry.openings) for entry in opened(network).values())
    assert b"person 1" not in sealed
    assert b"person 2" in sealed


def test_a_forged_copy_brings_nothing(network):
    """The town knows the public key, so it can seal; it can't make the leaves fit."""
    switch_on(network)
    network.append(VILLAGE, put(RESIDENT, resident(1)))
    settle(network)
    size = network.engines[VILLAGE].replica.own.size
    before = burn(network, *range(size))
    (row,) = kept(network)
    copy = read_copy(network.stores[TOWN], row.origin, row.start)
    assert copy is not None
    forged = sync_pb2.Disclose.FromString(open_sealed(KEY, copy))
    for one in forged.entries:
        one.entry.openings[0] = one.entry.openings[0][:20] + b"forged"
    switch_on(network)
    settle(network)
    operation = PutBack(row.origin, row.start, forged.SerializeToString())
    effects = network.engines[VILLAGE].step([Operate(1, operation)])
    report = next(one for one in effects if isinstance(one, Operated)).result
    assert isinstance(report, PutBackReport)
    assert (report.entries, report.refused) == (0, len(forged.entries))
    assert any(openings(network, VILLAGE, n) != before[n] for n in range(size))


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
    monkeypatch.setattr("huying.common.copy_shelf.SEALED_CHILD_BYTES_MAX", 250)
    assert say(network, TOWN, VILLAGE, copy_of(ORIGIN, 100, 101)) == set()
    assert say(network, TOWN, VILLAGE, copy_of(ORIGIN, 101, 102)) == set()
    assert say(network, TOWN, VILLAGE, copy_of(ORIGIN, 102, 103)) == {Code.LIMIT_EXCEEDED}
    assert say(network, TOWN, VILLAGE, copy_of(ORIGIN, 100, 101, generation=2)) == set()
    monkeypatch.setattr("huying.common.copy_shelf.SEALED_CHILD_COPIES_MAX", 2)
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
