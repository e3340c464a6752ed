"""Sealed copies that are opened again after a loss: what comes back, and what must not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from huying.common.copies.sealed import CopyState, open_sealed
from huying.common.copies.sealing import PutBack, PutBackReport
from huying.common.effects import (
    Operate,
    Operated,
)
from huying.common.errors import HuyingError
from huying.common.feed.hpke import SealKey
from huying.common.feed.leaf import pack_openings
from huying.node.store.sealed_copies import SqlCopyShelf, read_copies, read_copy
from huying.wire.v1 import sync_pb2
from tests.support.tiny_network import TOWN, VILLAGE, TinyNetwork, put, resident
from tests.unit.integrity.sealed_cases import (
    KEY,
    ORIGIN,
    RESIDENT,
    erase,
    kept,
    opened,
    openings,
    settle,
    switch_on,
)


@pytest.fixture
def network():
    made = TinyNetwork()
    yield made
    made.close()


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
