"""What one hostile neighbour can cost a node: bounded memory, bounded work, and only its own link.

A neighbour is authenticated, and may hold valid keys of its own; it is not trusted with more.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from huying.common.errors import Code, HuyingError
from huying.common.feed.leaf import commitment, commitment_prefix, encode_leaf, make_opening
from huying.common.limits import (
    DEFERRED_EPOCHS_MAX,
    SEGMENT_BYTES_MAX,
    UNACKED_BYTES_MAX,
    WANTS_IN_FLIGHT_MAX,
)
from huying.common.state import ClassMark, Missing
from huying.common.sync.pulse import make_pulse
from huying.common.sync.wants import WantBook
from huying.wire.v1 import feed_pb2, records_pb2, sync_pb2, trust_pb2
from tests.support.handmade import MICROS, HandmadeFeed, Host, of_kind, refusals
from tests.support.tiny_network import (
    COUNTY,
    TOWN,
    VILLAGE,
    MemoryMark,
    SeededEntropy,
    identity,
)

TOWN_SLOTS = bytes((0, 3, 4))


@pytest.fixture
def host() -> Iterator[Host]:
    """A town, whose village and county are the test."""
    host = Host(TOWN)
    yield host
    host.store.close()  # type: ignore[attr-defined]


def offer(feed: HandmadeFeed, start: int, stop: int) -> feed_pb2.Segment:
    return feed.segment(start, stop, size=stop, readable=TOWN_SLOTS)


def made_up_origins(count: int) -> list[str]:
    """Names that could be feeds of the village, in epochs that never were."""
    return [f"wenshang.example/feed/{VILLAGE}/e{number + 2}" for number in range(count)]


def with_an_opening_of(feed: HandmadeFeed, size_bytes: int) -> int:
    """Add an entry whose leaf commits to an opening of that size."""
    names = [COUNTY, TOWN, "370800000000", "370000000000"]
    prefix = commitment_prefix(feed.origin)
    head = feed_pb2.Head(
        kind=feed_pb2.KIND_PUT,
        type=feed_pb2.RECORD_TYPE_EVENT,
        record=bytes(16),
        schema_version=1,
        time_micros=MICROS,
        seen=[1] * 2,
    ).SerializeToString()
    del names
    openings = [make_opening(0, bytes(16), head), make_opening(3, bytes(16), bytes(size_bytes))]
    leaf = encode_leaf(bytes((0, 3)), [commitment(prefix, one) for one in openings])
    return feed.add(leaf, openings)


def test_a_late_answer_over_the_limit_of_an_entry_is_refused_and_costs_nobody_a_link(
    host: Host,
) -> None:
    """An opening that could never have come in a segment does not come in by the back door."""
    above, _ = host.link(COUNTY)
    below, _ = host.link(VILLAGE)
    feed = HandmadeFeed(VILLAGE)
    index = with_an_opening_of(feed, 100_000)
    host.hear(below, feed.segment(0, 1, readable=b""))
    assert host.size(feed) == 1
    host.hear(below, feed.disclose(index))
    assert not [alarm for alarm in host.alarms if alarm.fault]
    assert above in host.engine.sessions
    assert Code.LIMIT_EXCEEDED in host.codes()


def test_the_first_key_of_a_node_stays_over_a_restart() -> None:
    """A second key in the same record is refused, now and at every later start."""
    host = Host(VILLAGE)
    link, _ = host.link(TOWN)
    town = HandmadeFeed(COUNTY)
    sibling = "370830102000"

    def member(seed: int) -> trust_pb2.Member:
        from huying.common.feed.note import KeyType, Signer

        first = identity(sibling)
        key = Signer.from_seed(first.origin, KeyType.ORIGIN, bytes([seed] * 32)).key
        return trust_pb2.Member(
            code=sibling, name="x", feed_key=str(key), witness_key=str(first.witness_signer.key)
        )

    for seed in (7, 8):
        town._entropy = SeededEntropy(99)  # the same record, twice
        town.put(
            member(seed),
            type_=feed_pb2.RECORD_TYPE_MEMBER,
            kind=feed_pb2.KIND_ROSTER,
            to=(f"{COUNTY}/*",),
        )
    host.hear(link, town.segment(0, 2))
    known = host.engine.roster.feed_key(identity(sibling).origin)
    assert known is not None
    assert host.engine.replica.feeds[town.origin].quarantined == 1
    again = Host(VILLAGE, store=host.store, mark=host.mark)
    assert again.engine.roster.feed_key(identity(sibling).origin) == known


def test_names_of_feeds_that_are_not_known_take_no_memory(host: Host) -> None:
    """A neighbour can make up as many names as it likes."""
    link, _ = host.link(VILLAGE, [sync_pb2.Held(origin=one, size=9) for one in made_up_origins(99)])
    for origin in made_up_origins(200):
        host.hear(link, feed_pb2.Segment(origin=origin))
        host.hear(link, sync_pb2.Frame(disclose=sync_pb2.Disclose(origin=origin, last=True)))
    host.hear(link, feed_pb2.Segment(origin="x" * 1_000_000))
    assert len(host.engine.observations) < 10
    assert len({alarm.feed for alarm in host.alarms}) < 10
    assert max(len(alarm.feed) for alarm in host.alarms) <= 200
    awaited = sum(map(len, host.engine.conversation._deferred.values()))
    assert awaited <= DEFERRED_EPOCHS_MAX, "of one village's made-up epochs"


def test_pulses_for_readers_that_do_not_exist_take_no_memory(host: Host) -> None:
    """A village signs pulses for whomever it likes; only its ancestors are its readers."""
    link, _ = host.link(VILLAGE)
    host.link(COUNTY)
    feed = HandmadeFeed(VILLAGE).put_many(1)
    host.hear(link, offer(feed, 0, 1))
    for number in range(200):
        reader = f"370830{number + 200:03d}000"
        pulse = make_pulse(feed.identity.feed_signer, reader, 1, feed.root(1), 1.7e9, {})
        host.hear(link, sync_pb2.Frame(pulse=pulse))
    assert len(host.engine.pulses._newest) < 20


def test_many_wants_in_one_breath_are_answered_within_bounds(host: Host) -> None:
    """What a small question makes a node hold in memory is bounded; the rest is asked again."""
    link, _ = host.link(VILLAGE)
    host.wait(11)
    for _ in range(20):
        host.write(*[division() for _ in range(10)])
    link, _ = host.link(VILLAGE)
    own = host.engine.replica.own
    want = sync_pb2.Frame(want=sync_pb2.Want(origin=own.origin, start=0, stop=own.size))
    answers = of_kind(host.hear(link, *[want] * 1000), "disclose")
    total = sum(frame.ByteSize() for frame in answers)
    assert answers
    assert total <= UNACKED_BYTES_MAX + SEGMENT_BYTES_MAX
    assert of_kind(host.hear(link, want), "disclose"), "asked again, it is answered"


def division():
    from huying.common.effects import DraftEntry

    message = records_pb2.Division(code=TOWN, name="义桥镇" * 60)
    return DraftEntry(feed_pb2.KIND_PUT, feed_pb2.RECORD_TYPE_DIVISION, message)


def test_a_pulse_that_waited_for_days_is_not_passed_on_as_if_it_were_new(host: Host) -> None:
    """A village that went silent long ago must not look alive because its county comes back."""
    link, _ = host.link(VILLAGE)
    feed = HandmadeFeed(VILLAGE).put_many(1)
    host.hear(link, offer(feed, 0, 1))
    marks = {COUNTY: ClassMark(1, 0)}
    pulse = make_pulse(feed.identity.feed_signer, COUNTY, 1, feed.root(1), host.clock.now(), marks)
    host.hear(link, sync_pb2.Frame(pulse=pulse))
    host.clock.seconds += 2 * 86400
    above, sent = host.link(COUNTY)
    sent += host.hear(above, sync_pb2.Frame())
    passed = [feed_pb2.PulseBody.FromString(f.pulse.body) for f in of_kind(sent, "pulse")]
    assert not [body for body in passed if body.origin == feed.origin]


class FullMark(MemoryMark):
    """A mark on a disk that is full for a while."""

    full = False

    def write(self, origin: str, size: int, root: bytes) -> None:
        if self.full:
            raise HuyingError(Code.DISK_FULL, "ENOSPC")
        super().write(origin, size, root)


def test_nothing_leaves_that_the_mark_does_not_cover_even_when_its_disk_is_full() -> None:
    """Else a store restored from before would be taken for the whole history."""
    mark = FullMark(identity(TOWN).origin)
    host = Host(TOWN, mark=mark)
    host.wait(11)
    host.write(division())
    mark.full = True
    try:
        answer = host.write(division())
    except HuyingError:
        return  # the node ends; its next start writes the mark
    assert answer.error is not None
    _, sent = host.link(COUNTY)
    sent += [frame for _, frame in host.wait(1)]
    covered = mark.read()
    assert covered is not None
    stops = [f.segment.start + len(f.segment.items) for f in of_kind(sent, "segment")]
    assert max(stops, default=0) <= covered[1]


def test_a_clock_set_back_does_not_make_lag_read_as_small(host: Host) -> None:
    """What was observed at a time still to come tells nothing of how old it is."""
    link, _ = host.link(VILLAGE)
    feed = HandmadeFeed(VILLAGE).put_many(1)
    host.hear(link, offer(feed, 0, 1))
    pulse = make_pulse(
        feed.identity.feed_signer,
        TOWN,
        1,
        feed.root(1),
        host.clock.now(),
        {TOWN: ClassMark(1, 0)},
    )
    host.hear(link, sync_pb2.Frame(pulse=pulse))
    seen = host.engine.observation(feed.origin)
    now = host.clock.now()
    assert seen.lag_seconds(1, True, now + 1, 180) == 1
    assert seen.lag_seconds(1, True, now - 3600, 180) is None


def test_hello_over_and_over_ends_the_link(host: Host) -> None:
    """A greeting costs its receiver a look at every feed, so there are few."""
    from tests.support.handmade import hello

    link, _ = host.link(VILLAGE)
    said = host.hear(link, *[hello(VILLAGE)] * 9)
    assert Code.UNEXPECTED_FRAME in refusals(said)
    assert link not in host.engine.sessions


def test_checkpoints_beyond_what_is_held_take_bounded_memory(host: Host) -> None:
    """An origin may sign a new size as often as it likes, and send not one entry."""
    link, _ = host.link(VILLAGE)
    feed = HandmadeFeed(VILLAGE).put_many(120)
    host.hear(link, *(feed.segment(0, 0, size=size) for size in range(1, 121)))
    ahead = host.engine.replica._ahead[feed.origin]
    assert len(ahead) <= 64
    assert (ahead[0].size, ahead[-1].size) == (1, 120)
    host.hear(link, offer(feed, 0, 120))
    assert host.size(feed) == 120
    assert host.engine.replica._ahead[feed.origin] == ()


def test_what_is_asked_for_in_vain_keeps_nothing_else_waiting() -> None:
    """A few entries that nobody can open must not hide that others could be had."""
    book = WantBook(1.0, 60.0)
    rows = [Missing(at, at + 1, b"\x03", "", 0, 0, 0.0) for at in range(100)]
    first = list(book.due("o", rows, 0.0))
    assert len(first) == WANTS_IN_FLIGHT_MAX
    assert not list(book.due("o", rows, 0.5))
    for want in first:
        book.answered("o", want.start, want.stop, 0.5)
    following = list(book.due("o", rows, 0.6))
    assert [want.start for want in following] == list(range(16, 32))


def test_a_million_missing_rows_cost_a_step_next_to_nothing() -> None:
    """Every step looks at what is missing; an origin chooses how much that is."""
    book = WantBook(1.0, 60.0)
    looked = 0

    def rows() -> Iterator[Missing]:
        nonlocal looked
        for at in range(1_000_000):
            looked += 1
            yield Missing(at, at + 1, b"\x03", "", 0, 0, 0.0)

    assert list(book.due("o", rows(), 0.0))
    assert looked <= 1000


def test_a_disk_that_is_full_only_at_the_commit_leaves_memory_as_the_store_is(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the next entry is signed behind some that were never stored."""
    host.wait(11)
    host.write(division())
    before = host.engine.replica.own
    honest = host.store.transaction

    @contextlib.contextmanager
    def transaction() -> Iterator[None]:
        with honest():
            yield
            raise HuyingError(Code.DISK_FULL, "at the commit")

    monkeypatch.setattr(host.store, "transaction", transaction)
    assert host.write(division()).error is not None
    assert host.engine.replica.own == before
    monkeypatch.undo()
    answer = host.write(division())
    assert answer.error is None
    assert answer.receipts[0].index == before.size
    assert len(host.store.entries(before.feed_id, 0, 99)) == before.size + 1


def test_a_loss_that_is_heard_again_after_a_failed_commit_excuses_no_more(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a full disk lets a relay withhold as many entries again as the village has lost."""
    feed = HandmadeFeed(VILLAGE).put_many(3)
    said = trust_pb2.Recovered(from_size=1, upto_size=3)
    said.lost.add(start=1, stop=2, slots=b"\x00")
    feed.put(said, type_=feed_pb2.RECORD_TYPE_RECOVERED, kind=feed_pb2.KIND_RECOVERED)
    link, _ = host.link(VILLAGE)
    honest = host.store.transaction

    @contextlib.contextmanager
    def transaction() -> Iterator[None]:
        with honest():
            yield
            raise HuyingError(Code.DISK_FULL, "at the commit")

    monkeypatch.setattr(host.store, "transaction", transaction)
    host.hear(link, feed.segment(0, 4))
    assert host.engine.losses.ranges(feed.origin) == ()
    monkeypatch.undo()
    link, _ = host.link(VILLAGE)
    host.hear(link, feed.segment(0, 4))
    assert len(host.engine.losses.ranges(feed.origin)) == 1
