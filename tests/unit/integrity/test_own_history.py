"""A node that may have forgotten part of its own feed signs nothing, and only proof tells it so."""

from __future__ import annotations

from huying.common.errors import Code
from huying.common.feed.merkle import EMPTY_ROOT
from huying.common.feed.note import KeyType, Signer
from huying.common.membership.roster import Pin
from huying.common.records.registry import member_record
from huying.wire.v1 import feed_pb2, sync_pb2, trust_pb2
from tests.support.handmade import HandmadeFeed, Host, event_draft
from tests.support.tiny_network import COUNTY, TOWN, VILLAGE, MemoryMark, identity, pin


def own_feed(code: str, count: int) -> HandmadeFeed:
    """A history of the node that its store does not hold."""
    return HandmadeFeed(code).put_many(count)


def held(feed: HandmadeFeed, note: bytes = b"") -> sync_pb2.Held:
    size = len(feed.leaves)
    return sync_pb2.Held(origin=feed.origin, size=size, root=feed.root(size), newest=note)


def test_a_node_without_its_mark_writes_nothing() -> None:
    """A missing mark is a lost disk or another machine: what had left this node is unknown."""
    mark = MemoryMark(identity(VILLAGE).origin)
    mark._mark = None
    host = Host(VILLAGE, mark=mark)
    host.wait(60)
    answer = host.write(event_draft())
    assert host.engine.state == "recovering"
    assert answer.error is not None
    assert answer.error.code is Code.RECOVERING


def test_a_store_behind_its_mark_writes_nothing() -> None:
    """An old backup: the entries between are with others, and would be signed a second time."""
    mark = MemoryMark(identity(VILLAGE).origin)
    mark.write(identity(VILLAGE).origin, 5, b"r" * 32)
    host = Host(VILLAGE, mark=mark)
    host.link(TOWN)
    assert host.write(event_draft()).error is not None
    assert host.engine.replica.own.size == 0


def test_a_store_ahead_of_its_mark_goes_on() -> None:
    """The power failed between the commit and the mark: nothing had left the node."""
    mark = MemoryMark(identity(COUNTY).origin)
    host = Host(COUNTY, mark=mark)
    size = host.engine.replica.own.size  # its roster's entries
    assert size > 0
    mark.write(identity(COUNTY).origin, 0, EMPTY_ROOT)
    again = Host(COUNTY, store=host.store, mark=mark)
    assert again.engine.state == "live"
    read = mark.read()
    assert read is not None
    assert read[1] == again.engine.replica.own.size == size


def test_a_signed_checkpoint_of_more_than_is_held_stops_the_node() -> None:
    """The peer shows the node's own signature on a history that the store has lost."""
    feed = own_feed(VILLAGE, 3)
    host = Host(VILLAGE)
    host.link(TOWN, [held(feed, feed.note())])
    assert host.engine.state == "recovering"
    assert host.write(event_draft()).error is not None


def test_a_mere_claim_to_hold_more_stops_nobody() -> None:
    """Otherwise any child could stop its parent from writing, by one number in its greeting."""
    feed = own_feed(TOWN, 3)
    host = Host(TOWN)
    host.link(VILLAGE, [held(feed)])
    host.link(COUNTY)
    assert host.engine.state == "live"


def test_a_checkpoint_that_somebody_else_signed_stops_nobody() -> None:
    """A forged note is reported, and the node goes on."""
    feed = own_feed(TOWN, 3)
    stranger = Signer.from_seed(feed.origin, KeyType.ORIGIN, b"s" * 32)
    host = Host(TOWN)
    host.link(VILLAGE, [held(feed, feed.note(signer=stranger))])
    assert host.engine.state == "live"
    assert Code.BAD_SIGNATURE in host.codes()


def test_a_recovering_node_cosigns_nothing() -> None:
    """What it witnessed may be forgotten too, and a second cosignature could back a fork."""
    mark = MemoryMark(identity(TOWN).origin)
    mark._mark = None
    host = Host(TOWN, mark=mark)
    feed = HandmadeFeed(VILLAGE).put_many(2)
    link, _ = host.link(VILLAGE)
    host.hear(link, feed.segment(0, 2, readable=b"\x00\x03\x04"))
    assert host.size(feed) == 2
    assert host.engine.replica.feeds[feed.origin].cosigned is None


def test_a_later_epoch_of_a_known_node_is_not_taken_from_a_roster() -> None:
    """Whoever stands above a node could name a key of its own, and write as that node."""
    county = HandmadeFeed(COUNTY)
    origin = f"{identity(VILLAGE).network}/feed/{VILLAGE}/e2"
    forged = Signer.from_seed(origin, KeyType.ORIGIN, b"f" * 32)
    honest: Pin = pin(VILLAGE)
    member = trust_pb2.Member(
        code=VILLAGE,
        name="义桥村",
        feed_key=str(forged.key),
        witness_key=honest.witness_key,
        certificate_sha256=honest.certificate_sha256,
    )
    county.put(
        member,
        type_=feed_pb2.RECORD_TYPE_MEMBER,
        kind=feed_pb2.KIND_ROSTER,
        to=(f"{COUNTY}/*",),
    )
    host = Host(TOWN)
    link, _ = host.link(COUNTY)
    host.hear(link, county.segment(0, 1))
    assert host.size(county) == 1
    assert host.engine.roster.feed_key(origin) is None


def put_member(feed: HandmadeFeed, code: str, witness: str, record: bytes | None = None) -> None:
    """A roster entry that names the keys of `code`, with the witness key of `witness`."""
    member = trust_pb2.Member(
        code=code,
        name="村",
        feed_key=str(identity(code).feed_signer.key),
        witness_key=str(identity(witness).witness_signer.key),
    )
    feed.put(
        member,
        type_=feed_pb2.RECORD_TYPE_MEMBER,
        kind=feed_pb2.KIND_ROSTER,
        to=(f"{feed.code}/*",),
        record=record,
    )


def test_a_record_of_one_member_never_replaces_another_members_keys() -> None:
    """A roster entry under a used record id would make a restarted node forget the first key."""
    first, second = "370830102000", "370830103000"
    county = HandmadeFeed(COUNTY)
    put_member(county, first, first)
    put_member(county, second, second, record=member_record(first))
    host = Host(TOWN)
    link, _ = host.link(COUNTY)
    host.hear(link, county.segment(0, 2))
    again = Host(TOWN, store=host.store, mark=host.mark)
    assert again.engine.roster.feed_key(identity(first).origin) is not None
    assert again.engine.roster.feed_key(identity(second).origin) is None
    assert host.engine.replica.feeds[county.origin].quarantined == 1


def test_a_witness_key_in_another_nodes_name_is_refused() -> None:
    """A town could else have a third node's cosignature count as its child's."""
    code = "370830108202"
    county = HandmadeFeed(COUNTY)
    put_member(county, code, VILLAGE)
    host = Host(TOWN)
    link, _ = host.link(COUNTY)
    host.hear(link, county.segment(0, 1))
    assert host.engine.roster.feed_key(identity(code).origin) is None
