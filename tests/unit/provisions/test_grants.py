"""Late disclosure: to whom it was granted, from whom it may come, until when; and nobody else."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from huying.common.effects import DraftEntry
from huying.common.engine import Engine
from huying.common.errors import Code
from huying.common.feed.audience import slot_of
from huying.common.feed.leaf import unpack_openings
from huying.common.late.requests import DiscloseRecord
from huying.common.limits import DISCLOSURE_READERS_MAX
from huying.common.membership.trust import RotateFeed
from huying.common.state import FeedState
from huying.wire.v1 import feed_pb2, records_pb2, sync_pb2, trust_pb2
from tests.support.handmade import HandmadeFeed, Host, of_kind
from tests.support.late_network import EVERYBODY, PHONE, late_network, refusal
from tests.support.tiny_network import COUNTY, GRID, TOWN, VILLAGE, identity, put
from tests.support.trusted_network import Network, signer

ORIGIN = identity(VILLAGE).origin
RESIDENT = records_pb2.Resident.DESCRIPTOR
PHONE_SLOT = slot_of(RESIDENT, 5, "phone")
HEALTH_SLOT = slot_of(RESIDENT, 5, "health")


@pytest.fixture
def network(tmp_path: Path):
    with late_network(tmp_path) as made:
        yield made


def phones(network, record: bytes) -> dict[str, str]:
    """What each node's projection shows as the person's phone."""
    shown = {}
    for code in EVERYBODY:
        row = network.stores[code].get_record(feed_pb2.RECORD_TYPE_RESIDENT, VILLAGE, record)
        shown[code] = records_pb2.Resident.FromString(row.message).phone
    return shown


def test_a_disclosed_field_comes_to_the_reader_by_way_of_the_town_and_nothing_else(network):
    """One field, for one purpose; checked against the leaf that was signed long before."""
    index, record = network.write()
    root = network.stores[COUNTY].feed(ORIGIN).head.root
    network.disclose(record, "phone", to=COUNTY)
    network.wait()
    assert phones(network, record) == dict.fromkeys(EVERYBODY, PHONE)
    for code in (TOWN, COUNTY):
        assert network.slots(code, index) == [0, 3, PHONE_SLOT]
        assert network.engines[code].replica.grants.wants == {}
    assert network.engines[COUNTY].replica.root_at(network.stores[COUNTY].feed(ORIGIN), 1) == root
    network.check()


def test_a_disclosure_to_the_town_stays_in_the_town(network):
    """Whoever stands above the reader hears of the decision, and gets nothing."""
    index, record = network.write()
    network.disclose(record, "phone", to=TOWN)
    network.wait()
    assert network.slots(TOWN, index) == [0, 3, PHONE_SLOT]
    assert network.slots(COUNTY, index) == [0, 3]
    assert network.on_disk(COUNTY, PHONE) == []
    network.check()


def test_what_was_disclosed_is_dropped_when_it_runs_out(network):
    """For a time means for a time, also in the files."""
    index, record = network.write()
    network.disclose(record, "phone", to=COUNTY, seconds=60)
    network.wait()
    assert network.slots(COUNTY, index) == [0, 3, PHONE_SLOT]
    network.wait(60)
    for code in (TOWN, COUNTY):
        assert network.slots(code, index) == [0, 3]
        assert network.on_disk(code, PHONE) == []
    assert PHONE_SLOT in network.slots(VILLAGE, index)
    network.check()


def test_a_longer_disclosure_keeps_what_a_shorter_one_drops(network):
    """Two decisions about one field: the field goes with the last of them."""
    index, record = network.write()
    network.disclose(record, "phone", to=COUNTY, seconds=30)
    network.disclose(record, "phone", to=COUNTY, seconds=300)
    network.wait()
    network.wait(60)
    assert network.slots(COUNTY, index) == [0, 3, PHONE_SLOT]
    network.wait(300)
    assert network.slots(COUNTY, index) == [0, 3]
    network.check()


def test_an_erasure_takes_what_was_disclosed_too(network):
    """It reaches every reader that any disclosure reached."""
    index, record = network.write()
    network.disclose(record, "phone", to=COUNTY)
    network.wait()
    network.erase(record)
    network.wait()
    for code in EVERYBODY:
        assert network.slots(code, index) == [0]
        assert network.on_disk(code, PHONE) == []
    network.check()


def test_a_disclosure_downward_reaches_the_reader_and_an_erasure_follows_it(network):
    """A county's record, addressed to nobody, opened to one village: the town carries it."""
    division = records_pb2.Division(code=COUNTY, name="KANARI")
    (receipt,) = network.append(
        COUNTY, put(feed_pb2.RECORD_TYPE_DIVISION, division, to=(f"={TOWN}",))
    )
    index, record = receipt.index, receipt.record
    fields = ("code", "name", "urban_rural_code")
    network.operate(COUNTY, DiscloseRecord(record, fields, (VILLAGE,), "a purpose"))
    network.wait()
    assert len(network.slots(VILLAGE, index, COUNTY)) == 2
    assert network.on_disk(VILLAGE, "KANARI")
    assert network.erase(record, at=COUNTY).holders == (TOWN, VILLAGE)
    network.wait()
    for code in EVERYBODY:
        assert network.slots(code, index, COUNTY) == [0]
        assert network.on_disk(code, "KANARI") == []
    network.check()


@pytest.mark.parametrize(
    ("fields", "readers", "expires", "code"),
    [
        (("name",), (COUNTY,), 0, Code.NOT_ALONE),
        ((), (COUNTY,), 0, Code.INVALID_ARGUMENT),
        (("phone",), (VILLAGE,), 0, Code.INVALID_ARGUMENT),
        (("phone",), ("370830101000",), 0, Code.INVALID_ARGUMENT),
        (("phone",), (COUNTY,), 1, Code.INVALID_ARGUMENT),
    ],
    ids=["shared", "nothing", "itself", "off the line", "past"],
)
def test_what_can_not_be_disclosed_is_refused(network, fields, readers, expires, code):
    """An operator hears why, before anything is written."""
    _, record = network.write()
    size = network.engines[VILLAGE].replica.own.size
    request = DiscloseRecord(record, fields, readers, "a purpose", expires)
    assert refusal(lambda: network.operate(VILLAGE, request)).code is code
    assert network.engines[VILLAGE].replica.own.size == size


def test_what_is_erased_can_not_be_disclosed(network):
    """There is nothing left to open."""
    _, record = network.write()
    network.erase(record, "phone")
    assert refusal(lambda: network.disclose(record, "phone", to=COUNTY)).code is Code.NOT_FOUND


# Peers that do otherwise.


def feed_with(disclosure: trust_pb2.Disclosure | None) -> HandmadeFeed:
    """A village with a resident, and what it discloses of them."""
    feed = HandmadeFeed(VILLAGE)
    resident = records_pb2.Resident(grid=GRID, name="x", phone=PHONE, health="y")
    feed.put(resident, type_=feed_pb2.RECORD_TYPE_RESIDENT)
    if disclosure is not None:
        kind, type_ = feed_pb2.KIND_DISCLOSE, feed_pb2.RECORD_TYPE_DISCLOSURE
        feed.put(disclosure, type_=type_, kind=kind)
    return feed


def a_disclosure(*readers: str, expires: float = 0.0, slots: bytes = b"") -> trust_pb2.Disclosure:
    return trust_pb2.Disclosure(
        ranges=[trust_pb2.IndexRange(start=0, stop=1, slots=slots or bytes((PHONE_SLOT,)))],
        readers=readers or (TOWN,),
        purpose="a purpose",
        expires_micros=int(expires * 1e6),
    )


def town_with(feed: HandmadeFeed) -> tuple[Host, int]:
    """A town that holds the feed as far as the rule goes, and its link to the village."""
    host = Host(TOWN)
    link, _ = host.link(VILLAGE)
    readable = bytes((0, 3, 0x81))
    host.hear(link, feed.segment(0, len(feed.leaves), readable=readable))
    return host, link


def held_slots(host: Host) -> list[int]:
    entry = host.store.entries(held_feed(host).feed_id, 0, 1)[0]
    return [opening[0] for opening in unpack_openings(entry.openings)]


def held_feed(host: Host) -> FeedState:
    (held,) = (feed for feed in host.store.feeds() if feed.origin == ORIGIN)
    return held


def test_nothing_comes_without_a_disclosure() -> None:
    """A village that just sends what it should not is a breach, and it is not stored."""
    feed = feed_with(None)
    host, link = town_with(feed)
    host.hear(link, feed.disclose(0, readable=bytes((PHONE_SLOT,))))
    assert held_slots(host) == [0, 3]
    assert host.codes() == {Code.BREACH}


def test_more_than_was_disclosed_is_a_breach() -> None:
    """The phone was granted; the health note beside it was not."""
    feed = feed_with(a_disclosure())
    host, link = town_with(feed)
    host.hear(link, feed.disclose(0, readable=bytes((PHONE_SLOT, HEALTH_SLOT))))
    assert held_slots(host) == [0, 3]
    assert host.codes() == {Code.BREACH}


def test_a_segment_never_applies_a_grant() -> None:
    """Disclosure is pulled: what is pushed by a segment is a breach, granted or not."""
    feed = HandmadeFeed(VILLAGE)
    feed = feed_with(a_disclosure())
    host = Host(TOWN)
    link, _ = host.link(VILLAGE)
    host.hear(link, feed.segment(0, 2, readable=bytes((0, 3, PHONE_SLOT, 0x81))))
    assert held_slots(host) == [0, 3]
    assert host.codes() == {Code.BREACH}


def test_a_forged_value_is_refused_against_the_old_leaf() -> None:
    """What is disclosed years later is what was signed then."""
    feed = feed_with(a_disclosure())
    host, link = town_with(feed)
    frame = feed.disclose(0, readable=bytes((PHONE_SLOT,)))
    frame.disclose.entries[0].entry.openings[0] += b"1"
    host.hear(link, frame)
    assert held_slots(host) == [0, 3]
    assert host.codes() == {Code.OPENING_MISMATCH}


def test_the_town_asks_its_village_for_just_what_it_was_granted() -> None:
    """A Want names the slots, so an honest giver gives no more."""
    feed = feed_with(a_disclosure())
    host = Host(TOWN)
    link, _ = host.link(VILLAGE)
    sent = host.hear(link, feed.segment(0, 2, readable=bytes((0, 3, 0x81))))
    (want,) = of_kind(sent, "want")
    assert want.want == sync_pb2.Want(origin=ORIGIN, start=0, stop=1, slots=bytes((PHONE_SLOT,)))


def test_nobody_is_accused_while_a_grant_is_not_served() -> None:
    """The village may be offline for a week; that is no withholding."""
    feed = feed_with(a_disclosure())
    host, link = town_with(feed)
    for _ in range(20):
        answer = sync_pb2.Disclose(origin=ORIGIN, start=0, stop=1, last=True)
        host.hear(link, sync_pb2.Frame(disclose=answer))
        host.wait(30)
    assert Code.WITHHELD not in host.codes()
    assert host.engine.replica.grants.wants


def ask(host: Host, link: int, slots: bytes) -> list[int]:
    """The slots that a peer is given when it wants these."""
    want = sync_pb2.Want(origin=ORIGIN, start=0, stop=1, slots=slots)
    return [
        opening[0]
        for frame in of_kind(host.hear(link, sync_pb2.Frame(want=want)), "disclose")
        for entry in frame.disclose.entries
        for opening in entry.entry.openings
    ]


def test_the_town_checks_the_authority_before_it_passes_anything_on() -> None:
    """The town has the phone for itself; the county asks, and is nobody's reader."""
    feed = feed_with(a_disclosure(TOWN))
    host, link = town_with(feed)
    host.hear(link, feed.disclose(0, readable=bytes((PHONE_SLOT,))))
    assert held_slots(host) == [0, 3, PHONE_SLOT]
    above, _ = host.link(COUNTY)
    assert ask(host, above, bytes((PHONE_SLOT,))) == []


def test_whoever_asks_for_whatever_it_lacks_is_given_nothing_by_disclosure() -> None:
    """A restored node may not hold the statement yet, and would accuse an honest giver."""
    feed = feed_with(a_disclosure(COUNTY))
    host, link = town_with(feed)
    host.hear(link, feed.disclose(0, readable=bytes((PHONE_SLOT,))))
    above, _ = host.link(COUNTY)
    assert PHONE_SLOT in ask(host, above, bytes((PHONE_SLOT,)))
    given = ask(host, above, b"")
    assert given
    assert PHONE_SLOT not in given


def test_the_town_passes_on_what_was_disclosed_to_the_county() -> None:
    """And nothing beside it, whatever is asked for."""
    feed = feed_with(a_disclosure(COUNTY))
    host, link = town_with(feed)
    host.hear(link, feed.disclose(0, readable=bytes((PHONE_SLOT,))))
    above, _ = host.link(COUNTY)
    assert ask(host, above, bytes((3, PHONE_SLOT, HEALTH_SLOT))) == [3, PHONE_SLOT]


def test_a_grant_that_ran_out_gives_nothing() -> None:
    """By the giver's own clock, whatever the asker's shows."""
    clock = Host(TOWN).clock.seconds
    feed = feed_with(a_disclosure(COUNTY, expires=clock + 100))
    host, link = town_with(feed)
    host.hear(link, feed.disclose(0, readable=bytes((PHONE_SLOT,))))
    above, _ = host.link(COUNTY)
    assert ask(host, above, bytes((PHONE_SLOT,))) == [PHONE_SLOT]
    host.clock.seconds += 200
    assert ask(host, above, bytes((PHONE_SLOT,))) == []
    assert held_slots(host) == [0, 3]
    host.hear(link, feed.disclose(0, readable=bytes((PHONE_SLOT,))))
    assert held_slots(host) == [0, 3], "late is not a breach, and not stored"
    assert Code.BREACH not in host.codes()


def test_grants_are_known_again_after_a_start() -> None:
    """A town that was switched off in between fetches what it was granted before."""
    feed = feed_with(a_disclosure(TOWN))
    host, _ = town_with(feed)
    again = Host(TOWN, store=host.store, mark=host.mark)
    link, _ = again.link(VILLAGE)
    again.hear(link, feed.disclose(0, readable=bytes((PHONE_SLOT,))))
    assert held_slots(again) == [0, 3, PHONE_SLOT]


_ONE = [trust_pb2.IndexRange(start=0, stop=1)]


@pytest.mark.parametrize(
    "disclosure",
    [
        a_disclosure(VILLAGE),
        a_disclosure("370830101000"),
        a_disclosure("nonsense"),
        a_disclosure(*[f"3708301{number:02d}000" for number in range(DISCLOSURE_READERS_MAX + 1)]),
        trust_pb2.Disclosure(
            ranges=_ONE, purpose="x", readers=[TOWN], origin=identity(TOWN).origin
        ),
        trust_pb2.Disclosure(
            ranges=[trust_pb2.IndexRange(start=0, stop=9)], purpose="x", readers=[TOWN]
        ),
    ],
    ids=["itself", "off the line", "no code", "too many", "another's entries", "its future"],
)
def test_a_disclosure_that_is_not_the_writers_opens_nothing(disclosure) -> None:
    """Only the origin of an entry opens it, and only along its own line."""
    feed = feed_with(disclosure)
    host, link = town_with(feed)
    assert held_feed(host).quarantined == 1
    assert host.engine.replica.grants.wants == {}
    host.hear(link, feed.disclose(0, readable=bytes((PHONE_SLOT,))))
    assert held_slots(host) == [0, 3]


def test_a_step_is_not_slower_for_disclosures_of_what_never_comes() -> None:
    """A village may name any number of entries of an epoch that ended before them."""
    network = Network()
    try:
        network.operate(VILLAGE, RotateFeed(signer(VILLAGE, 2)))
        town, held = network.engine(TOWN), ORIGIN
        before = idle_seconds(town)
        for number in range(30):
            message = trust_pb2.Disclosure(
                readers=[TOWN], purpose="none", origin=held, expires_micros=2**60
            )
            for start in range(1000 * number, 1000 * number + 500):
                message.ranges.add(start=10_000 + start, stop=10_001 + start, slots=b"\x05")
            kind, type_ = feed_pb2.KIND_DISCLOSE, feed_pb2.RECORD_TYPE_DISCLOSURE
            network.write(VILLAGE, DraftEntry(kind, type_, message))
        assert sum(1 for _ in town.replica.grants.of(held, 10_100, 10_200)) == 100
        assert idle_seconds(town) < before + 0.3
    finally:
        network.close()


def idle_seconds(engine: Engine) -> float:
    """The time of 300 steps in which nothing comes."""
    began = time.process_time()
    for _ in range(300):
        engine.step([])
    return time.process_time() - began
