"""Erased means gone: from every holder, every file, by every path back; and every proof stays."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from huying.common.errors import Code
from huying.common.feed.audience import slot_of
from huying.common.feed.leaf import unpack_openings
from huying.common.feed.segment import decode_segment
from huying.common.late.requests import EraseRecord
from huying.common.late.spans import Span
from huying.common.limits import LATE_RANGES_MAX
from huying.common.membership.trust import RotateFeed
from huying.common.state import FeedState
from huying.node.integrity.fsck import check
from huying.node.store.store import SqlStore
from huying.wire.v1 import api_pb2, feed_pb2, records_pb2, trust_pb2
from tests.support.carried_network import Archipelago, Far
from tests.support.handmade import HandmadeFeed, Host
from tests.support.late_network import CANARY, EVERYBODY, PHONE, LateNetwork, late_network, refusal
from tests.support.tiny_network import COUNTY, GRID, TOWN, VILLAGE, identity, put, raise_call
from tests.support.trusted_network import signer

ORIGIN = identity(VILLAGE).origin
RESIDENT = records_pb2.Resident.DESCRIPTOR
PHONE_SLOT = slot_of(RESIDENT, 5, "phone")
NAME_SLOT = slot_of(RESIDENT, 5, "name")


@pytest.fixture
def network(tmp_path: Path):
    with late_network(tmp_path) as made:
        yield made


def states(network: LateNetwork, code: str, record: bytes) -> dict[int, int]:
    row = network.stores[code].get_record(feed_pb2.RECORD_TYPE_RESIDENT, VILLAGE, record)
    assert row is not None
    return dict(zip(row.slots[::2], row.slots[1::2], strict=True))


def test_an_erased_record_is_gone_from_every_holder_and_every_root_stands(network):
    """The promise to the person; and the reason why a leaf holds no plaintext."""
    index, record = network.write()
    network.write()
    size = network.stores[COUNTY].feed(ORIGIN).size
    roots = {code: network.stores[code].feed(ORIGIN).head.root for code in EVERYBODY}
    erased = network.erase(record)
    network.wait()
    assert (erased.entries, erased.openings, erased.holders) == (1, 6, (COUNTY, TOWN))
    for code in EVERYBODY:
        assert network.slots(code, index) == [0]
        assert len(network.slots(code, index + 1)) > 1, "the next person stands"
        feed = network.stores[code].feed(ORIGIN)
        assert network.engines[code].replica.root_at(feed, size) == roots[code]
    network.check()


@pytest.mark.parametrize("code", EVERYBODY)
def test_nothing_of_the_erased_is_left_in_database_or_log(network, code):
    """A page that was freed, or a log that was not emptied, is a copy."""
    _, record = network.write()
    if code == VILLAGE:
        assert network.on_disk(code, CANARY)
    else:  # the town and the county were given the grid, which a projection shows as a column
        assert network.on_disk(code, GRID)
    network.erase(record)
    network.wait()
    for text in (CANARY, PHONE, GRID):
        assert network.on_disk(code, text) == []


def test_every_version_of_a_record_is_erased(network):
    """An old version names the same person."""
    first, record = network.write()
    draft = put(feed_pb2.RECORD_TYPE_RESIDENT, records_pb2.Resident(grid=GRID, name=CANARY), record)
    (receipt,) = network.append(VILLAGE, draft)
    assert network.erase(record).entries == 2
    network.wait()
    for code in EVERYBODY:
        assert network.slots(code, first) == network.slots(code, receipt.index) == [0]
    network.check()


def test_a_field_alone_goes_alone(network):
    """A phone number withdrawn does not cost the record."""
    index, record = network.write()
    network.erase(record, "phone")
    network.wait()
    assert PHONE_SLOT not in network.slots(VILLAGE, index)
    assert NAME_SLOT in network.slots(VILLAGE, index)
    assert network.on_disk(VILLAGE, PHONE) == []
    for code in EVERYBODY:
        assert states(network, code, record)[PHONE_SLOT] == api_pb2.SLOT_STATE_ERASED
    assert states(network, TOWN, record)[NAME_SLOT] == api_pb2.SLOT_STATE_WITHHELD
    network.check()


def test_a_field_that_is_not_alone_is_refused_with_those_beside_it(network):
    """Erasing the compartment would take more than was asked for, silently."""
    _, record = network.write()
    error = refusal(lambda: network.erase(record, "name"))
    assert error.code is Code.NOT_ALONE
    assert error.detail == "name shares its compartment with household, birth_date, sex"
    together = ("name", "household", "birth_date", "sex")
    assert network.erase(record, *together).openings == 1


@pytest.mark.parametrize(
    ("fields", "code"), [(("nonsense",), Code.INVALID_ARGUMENT), ((), Code.NOT_FOUND)]
)
def test_what_is_not_there_is_refused(network, fields, code):
    """An operator who mistyped must not believe that it is done."""
    _, record = network.write()
    wanted = record if fields else bytes(16)
    assert refusal(lambda: network.erase(wanted, *fields)).code is code
    network.erase(record)
    assert refusal(lambda: network.erase(record)).code is Code.NOT_FOUND


def test_only_its_home_erases_a_record(network):
    """The town holds a part of the village's record; it is not the town's to erase."""
    _, record = network.write()
    assert refusal(lambda: network.erase(record, at=TOWN)).code is Code.NOT_FOUND


def test_every_holder_confirms_and_the_pending_fall_to_none(network):
    """What nobody confirmed is work for somebody."""
    _, record = network.write()
    network.erase(record)
    assert network.engines[VILLAGE].status().erasures_pending == 1
    sizes = {code: network.engines[code].replica.own.size for code in (TOWN, COUNTY)}
    network.wait()
    assert network.engines[VILLAGE].status().erasures_pending == 0
    for code, size in sizes.items():
        assert network.engines[code].replica.own.size == size + 1
    network.check()


def test_erasures_of_a_night_are_confirmed_by_one_entry(network):
    """A receipt per record would be a second feed."""
    records = [network.write()[1] for _ in range(5)]
    size = network.engines[TOWN].replica.own.size
    for record in records:
        network.erase(record)
    network.wait()
    assert network.engines[TOWN].replica.own.size <= size + 2
    assert network.engines[VILLAGE].status().erasures_pending == 0


def test_the_record_of_an_upper_node_is_erased_at_those_it_was_addressed_to(network):
    """An erasure reaches at least whom its target reached: here, downwards."""
    division = records_pb2.Division(code=COUNTY, name=CANARY)
    draft = put(feed_pb2.RECORD_TYPE_DIVISION, division, to=(f"={VILLAGE}",))
    (receipt,) = network.append(COUNTY, draft)
    assert len(network.slots(VILLAGE, receipt.index, COUNTY)) == 2
    erased = network.erase(receipt.record, at=COUNTY)
    network.wait()
    assert erased.holders == (TOWN, VILLAGE)
    for code in EVERYBODY:
        assert network.slots(code, receipt.index, COUNTY) == [0]
        assert network.on_disk(code, CANARY) == []
    assert network.engines[COUNTY].status().erasures_pending == 0
    network.check()


def test_a_call_stands_but_for_what_is_the_writers_own(network):
    """The state of a call follows from its steps, at every party; its contact is personal."""
    call = raise_call(network)
    found = [
        (index, entry)
        for index, entry in network.stores[TOWN].find_record(
            network.stores[TOWN].feed(identity(TOWN).origin).feed_id, call
        )
    ]
    error = refusal(lambda: network.erase(call, "title", at=TOWN))
    assert error.code is Code.NOT_ALONE
    network.erase(call, at=TOWN)
    network.wait()
    (place, _) = found[0]
    assert 0x83 in network.slots(TOWN, place, TOWN)
    assert 4 not in network.slots(TOWN, place, TOWN)
    network.check()


def test_a_later_epoch_erases_what_an_earlier_one_wrote(network):
    """Keys change every year; the people in the feed of last year have the same right."""
    index, record = network.write()
    network.operate(VILLAGE, RotateFeed(signer(VILLAGE, 2)))
    (second,) = network.append(
        VILLAGE, put(feed_pb2.RECORD_TYPE_RESIDENT, network.resident(), record)
    )
    assert second.origin == ORIGIN.replace("/e1", "/e2")
    assert network.erase(record).entries == 2
    network.wait()
    for code in EVERYBODY:
        assert network.slots(code, index) == [0]
        assert network.on_disk(code, GRID) == []
    assert network.engines[VILLAGE].status().erasures_pending == 0
    network.check()


def test_a_later_epoch_discloses_what_an_earlier_one_wrote(network):
    """The reader fetches it from the feed that it stands in."""
    index, record = network.write()
    network.operate(VILLAGE, RotateFeed(signer(VILLAGE, 2)))
    network.disclose(record, "phone", to=COUNTY)
    network.wait()
    assert network.slots(COUNTY, index) == [0, 3, PHONE_SLOT]
    network.check()


# What comes back.


class MemoryList:
    """A list of erasures that outlives a store."""

    def __init__(self, *spans: Span) -> None:
        self.spans = list(spans)

    def read(self) -> list[Span]:
        return list(self.spans)

    def append(self, spans: Sequence[Span]) -> None:
        self.spans += spans


def resident_feed() -> HandmadeFeed:
    """A village's feed with one resident in it."""
    feed = HandmadeFeed(VILLAGE)
    feed.put(records_pb2.Resident(grid=GRID, name=CANARY), type_=feed_pb2.RECORD_TYPE_RESIDENT)
    return feed


def erase_in(feed: HandmadeFeed, erasure: trust_pb2.Erasure | None = None) -> int:
    """The village erases its first entry, or what it is made to say."""
    erasure = erasure or trust_pb2.Erasure(ranges=[trust_pb2.IndexRange(start=0, stop=1)])
    return feed.put(erasure, type_=feed_pb2.RECORD_TYPE_ERASURE, kind=feed_pb2.KIND_ERASE)


def held_slots(host: Host | Far, index: int = 0) -> list[int]:
    entry = host.store.entries(held_feed(host).feed_id, index, index + 1)[0]
    return [opening[0] for opening in unpack_openings(entry.openings)]


def held_feed(host: Host | Far) -> FeedState:
    (held,) = (feed for feed in host.store.feeds() if feed.origin == ORIGIN)
    return held


def problems(host: Host) -> list[str]:
    """What fsck finds wrong."""
    assert isinstance(host.store, SqlStore)
    return check(host.store).problems


def test_an_erased_resident_does_not_come_back_by_backfill() -> None:
    """A peer that missed the erasure, or keeps a copy, answers an old question."""
    feed = resident_feed()
    erase_in(feed)
    host = Host(TOWN)
    link, _ = host.link(VILLAGE)
    host.hear(link, feed.segment(0, 2, readable=bytes((0, 3, 0x81))))
    assert held_slots(host) == [0]
    host.hear(link, feed.disclose(0, readable=b"\0\3"))
    assert held_slots(host) == [0]
    assert host.alarms == [], "the peer did not know better"
    assert problems(host) == []


def test_an_erased_resident_does_not_come_back_by_a_segment_from_before() -> None:
    """A stick found in a drawer, or a relay that sends a feed again to one who lost it."""
    feed = resident_feed()
    host = Host(TOWN, erasure_list=MemoryList(Span(ORIGIN, 0, 1, b"")))
    link, _ = host.link(VILLAGE)
    host.hear(link, feed.segment(0, 1, readable=b"\0\3"))
    assert held_slots(host) == [0]
    assert host.engine.replica.missing == {}, "what is erased is not missed"
    assert host.alarms == []
    assert problems(host) == []


def test_an_erased_resident_does_not_come_back_by_restore() -> None:
    """Yesterday's database still holds them; the list beside the mark knows better."""
    feed = resident_feed()
    listed = MemoryList()
    host = Host(TOWN, erasure_list=listed)
    link, _ = host.link(VILLAGE)
    host.hear(link, feed.segment(0, 1, readable=b"\0\3"))
    assert isinstance(host.store, SqlStore)
    yesterday = host.store.image()
    erase_in(feed)
    host.hear(link, feed.segment(1, 2))
    assert listed.spans == [Span(ORIGIN, 0, 1, b"")]
    restored = Host(TOWN, store=SqlStore.open(template=yesterday), erasure_list=listed)
    assert held_slots(restored) == [0]
    assert problems(restored) == []
    link, _ = restored.link(VILLAGE)
    restored.hear(link, feed.segment(1, 2))
    assert restored.codes() <= {Code.RECOVERING}


def test_an_erased_resident_does_not_come_back_by_bundle() -> None:
    """A stick from before the erasure, read at a node that was restored from before it."""
    islands = Archipelago()
    village, listed = islands.village, MemoryList()
    town = Far(TOWN, islands.clock, erasure_list=listed)
    empty = town.store.image()
    resident = records_pb2.Resident(grid=GRID, name=CANARY)
    record = village.write(put(feed_pb2.RECORD_TYPE_RESIDENT, resident)).receipts[0].record
    old_stick = village.export(TOWN).data
    town.take_bundle(old_stick)
    assert GRID.encode() in town.store.image()
    village.operate(EraseRecord(record))
    town.take_bundle(village.export(TOWN, after_last=True).data)
    assert GRID.encode() not in town.store.image()
    restored = Far(TOWN, islands.clock, empty, listed)
    restored.take_bundle(old_stick)
    assert held_slots(restored) == [0]
    assert GRID.encode() not in restored.store.image()
    assert restored.codes() <= {Code.RECOVERING}
    assert check(restored.store).problems == []


def test_a_bundle_carries_nothing_that_was_erased() -> None:
    """A node that never heard of the person is sent just the leaf."""
    islands = Archipelago()
    village = islands.village
    resident = records_pb2.Resident(grid=GRID, name=CANARY)
    record = village.write(put(feed_pb2.RECORD_TYPE_RESIDENT, resident)).receipts[0].record
    village.operate(EraseRecord(record))
    islands.town.take_bundle(village.export(TOWN).data)
    assert held_slots(islands.town) == [0]
    assert GRID.encode() not in islands.town.store.image()


def test_the_list_is_completed_at_a_start_from_what_the_store_knows() -> None:
    """A power cut between the commit and the list must not leave a gap in it."""
    feed = resident_feed()
    erase_in(feed)
    host = Host(TOWN)
    link, _ = host.link(VILLAGE)
    host.hear(link, feed.segment(0, 2, readable=bytes((0, 3, 0x81))))
    listed = MemoryList()
    Host(TOWN, store=host.store, mark=host.mark, erasure_list=listed)
    assert listed.spans == [Span(ORIGIN, 0, 1, b"")]


def test_what_a_relay_erased_first_is_not_missed() -> None:
    """The opening never came, and the erasure behind it explains why."""
    feed = resident_feed()
    erase_in(feed)
    host = Host(TOWN)
    link, _ = host.link(VILLAGE)
    host.hear(link, feed.segment(0, 1, readable=b"\0", size=2))
    assert host.engine.replica.missing != {}
    host.hear(link, feed.segment(1, 2))
    assert host.engine.replica.missing == {}
    assert host.store.missing(held_feed(host).feed_id) == []
    assert problems(host) == []


def test_a_rollback_takes_an_erasure_back() -> None:
    """What the store forgot the memory must forget, or openings are dropped for nothing."""
    feed = resident_feed()
    erase_in(feed)
    host = Host(TOWN)
    link, _ = host.link(VILLAGE)
    host.hear(link, feed.segment(0, 1, readable=b"\0\3"))
    replica = host.engine.replica
    replica.begin()
    with host.store.transaction():
        replica.receive(decode_segment(feed.segment(1, 2)))
        replica.commit()
        replica.rollback()
    assert replica.erasures.of(ORIGIN).at(0) == b""
    assert not replica.erasures.owes


_ONE = [trust_pb2.IndexRange(start=0, stop=1)]
_MANY = [trust_pb2.IndexRange(start=0, stop=1)] * (LATE_RANGES_MAX + 1)


@pytest.mark.parametrize(
    "erasure",
    [
        trust_pb2.Erasure(ranges=[trust_pb2.IndexRange(start=0, stop=2)]),
        trust_pb2.Erasure(ranges=[trust_pb2.IndexRange(start=1, stop=1)]),
        trust_pb2.Erasure(ranges=[trust_pb2.IndexRange(start=0, stop=1, slots=b"\0\3")]),
        trust_pb2.Erasure(ranges=_ONE, origin=identity(TOWN).origin),
        trust_pb2.Erasure(ranges=_ONE, origin=ORIGIN.replace("/e1", "/e2")),
        trust_pb2.Erasure(ranges=_ONE, origin="nonsense"),
        trust_pb2.Erasure(ranges=_MANY),
    ],
    ids=["its future", "nothing", "a head", "another's", "a later epoch", "no feed", "too many"],
)
def test_an_erasure_that_is_not_the_writers_does_nothing(erasure: trust_pb2.Erasure) -> None:
    """Or anybody could delete anybody's past. It is kept opaque, and the feed goes on."""
    feed = resident_feed()
    index = erase_in(feed, erasure)
    host = Host(TOWN)
    link, _ = host.link(VILLAGE)
    host.hear(link, feed.segment(0, 2, readable=bytes((0, 3, 0x81))))
    assert held_slots(host) == [0, 3]
    assert host.store.erased() == []
    held = held_feed(host)
    assert held.quarantined == 1
    assert isinstance(host.store, SqlStore)
    ((at, code, _, _),) = host.store.quarantined(held.feed_id, 0, 2)
    assert (at, Code(code)) == (index, Code.BAD_RECORD)


def test_a_statement_is_not_erased() -> None:
    """A village that erased what its keys said would be another village after a restart."""
    feed = resident_feed()
    erase_in(feed)
    erase_in(feed, trust_pb2.Erasure(ranges=[trust_pb2.IndexRange(start=1, stop=2)]))
    host = Host(TOWN)
    link, _ = host.link(VILLAGE)
    host.hear(link, feed.segment(0, 3, readable=bytes((0, 3, 0x81))))
    assert held_slots(host, 1) == [0, 0x81]
    assert problems(host) == []
    again = Host(TOWN, store=host.store, mark=host.mark)
    assert again.engine.replica.erasures.of(ORIGIN).at(0)
