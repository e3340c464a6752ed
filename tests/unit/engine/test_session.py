"""One link's side of the protocol: what goes out, when, and from where after a break."""

from __future__ import annotations

from itertools import pairwise

import pytest

from huying.common.effects import Append, DraftEntry, LinkDown
from huying.common.errors import Code
from huying.common.feed.segment import decode_segment, verify_segment
from huying.common.limits import (
    SEGMENT_BYTES_MAX,
    SEGMENT_BYTES_MIN,
    SEGMENT_ENTRIES_MAX,
    UNACKED_BYTES_MAX,
)
from huying.common.state import FeedState
from huying.wire.v1 import feed_pb2, records_pb2, sync_pb2
from tests.support.handmade import HandmadeFeed, Host, an_event, event_draft, of_kind
from tests.support.tiny_network import COUNTY, TOWN, VILLAGE, identity


@pytest.fixture
def village() -> Host:
    """A village, whose town is the test."""
    host = Host(VILLAGE)
    host.wait(11)
    return host


def origin_of(host: Host) -> str:
    return host.engine.identity.origin


def segments(frames: list[sync_pb2.Frame]) -> list[feed_pb2.Segment]:
    return [frame.segment for frame in of_kind(frames, "segment")]


def spans(frames: list[sync_pb2.Frame]) -> list[tuple[int, int]]:
    return [(s.start, decode_segment(s).stop) for s in segments(frames)]


def ack(host: Host, link: int, size: int, **more: object) -> list[sync_pb2.Frame]:
    message = sync_pb2.Ack(origin=origin_of(host), size=size, **more)  # type: ignore[arg-type]
    return host.hear(link, sync_pb2.Frame(ack=message))


def held(host: Host, size: int) -> sync_pb2.Held:
    """The peer holds so much of the host's own feed."""
    replica = host.engine.replica
    return sync_pb2.Held(origin=origin_of(host), size=size, root=replica.root_at(replica.own, size))


def write(host: Host, count: int) -> list[sync_pb2.Frame]:
    """Append in one commit; returns what goes out at once."""
    drafts = tuple(event_draft(number) for number in range(count))
    return [frame for _, frame in host.step(Append("test", drafts))]


def private_draft(number: int) -> DraftEntry:
    """A town's event: nothing of it is for the village below."""
    event = records_pb2.Event()
    event.CopyFrom(an_event(number))
    return DraftEntry(feed_pb2.KIND_PUT, feed_pb2.RECORD_TYPE_EVENT, event)


def test_a_stream_resumes_at_what_the_peer_durably_holds(village: Host) -> None:
    """The receiver's word wins, and nothing is sent twice."""
    write(village, 9)
    for size in (0, 4, 9):
        _, frames = village.link(TOWN, [held(village, size)])
        assert spans(frames) == ([(size, 9)] if size < 9 else [])


def test_an_entry_that_the_peer_may_read_goes_out_at_once(village: Host) -> None:
    """No timer stands between an event and its town."""
    village.link(TOWN, [])
    assert spans(write(village, 2)) == [(0, 2)]
    assert spans(write(village, 1)) == [(2, 3)]


def test_what_goes_out_verifies_and_opens_what_the_rule_allows(village: Host) -> None:
    """The sender filters, whatever the receiver would drop."""
    write(village, 3)
    _, frames = village.link(TOWN, [])
    (segment,) = segments(frames)
    state = FeedState(1, segment.origin)
    key = identity(VILLAGE).feed_signer.key
    accepted = verify_segment(state, key, decode_segment(segment))
    assert accepted is not None
    assert [bytes(o[0] for o in openings) for _, openings in accepted.entries] == [b"\0\3\4"] * 3


def test_commits_with_nothing_readable_wait_for_the_next_readable_entry_or_pulse() -> None:
    """A village is not told of every private entry of its town to the second."""
    town = Host(TOWN)
    town.link(COUNTY, [])
    link, _ = town.link(VILLAGE, [])
    size = town.engine.replica.own.size
    ack(town, link, size)
    for number in range(3):
        sent = town.step(Append("test", (private_draft(number),)))
        assert spans([frame for to, frame in sent if to == link]) == []
    late = [frame for to, frame in town.wait(70) if to == link]
    assert spans(late)[0] == (size, size + 3)
    (item,) = segments(late)[0].items
    assert len(item.hidden) == 3 * 32


def test_a_silent_peer_is_sent_the_same_again_and_no_more_than_the_window(village: Host) -> None:
    """Memory for a slow reader is bounded; a lost segment costs seconds, not the feed."""
    for _ in range(8):
        write(village, 500)
    _, frames = village.link(TOWN, [])
    first = sum(segment.ByteSize() for segment in segments(frames))
    assert SEGMENT_BYTES_MIN <= first <= UNACKED_BYTES_MAX
    assert first < 256 * 1024, "it starts small"
    again = segments([frame for _, frame in village.wait(30)])
    assert again[0] == segments(frames)[0]


def test_segments_grow_with_what_the_peer_takes_and_stay_within_the_limits(
    village: Host,
) -> None:
    """A thick link is kept busy, and still every frame is bounded."""
    for _ in range(8):
        write(village, 1000)
    link, frames = village.link(TOWN, [])
    sizes = []
    while sent := segments(frames):
        sizes += [segment.ByteSize() for segment in sent]
        stop = decode_segment(sent[-1]).stop
        village.clock.seconds += 0.01
        frames = ack(village, link, stop)
    assert stop == village.engine.replica.own.size
    assert sizes[0] <= 4 * SEGMENT_BYTES_MIN
    assert max(sizes) > 16 * SEGMENT_BYTES_MIN
    assert max(sizes) <= SEGMENT_BYTES_MAX + 64 * 1024
    assert all(b - a <= SEGMENT_ENTRIES_MAX for a, b in spans(frames))


def test_cuts_end_at_signed_checkpoints_so_that_each_can_be_cosigned(village: Host) -> None:
    """Only a checkpoint held whole is cosigned, and a busy feed wants witnesses, too."""
    for _ in range(20):
        write(village, 20)
    link, frames = village.link(TOWN, [])
    seen = 0
    while sent := segments(frames):
        seen += sum(not segment.rest for segment in sent)
        stop = decode_segment(sent[-1]).stop
        village.clock.seconds += 0.1
        frames = ack(village, link, stop)
    assert seen >= 5


def refuse(host: Host, link: int, code: Code) -> list[sync_pb2.Frame]:
    refusal = sync_pb2.Refusal(code=code, origin=origin_of(host))
    return host.hear(link, sync_pb2.Frame(refusal=refusal))


def test_a_refused_segment_is_offered_again_after_growing_pauses(village: Host) -> None:
    """A peer that can't take it now is not hammered, and never given up."""
    write(village, 2)
    link, frames = village.link(TOWN, [])
    assert spans(frames) == [(0, 2)]
    times: list[float] = []
    began = village.clock.seconds
    refuse(village, link, Code.BAD_PROOF)
    while len(times) < 8:
        sent = [frame for _, frame in village.wait(0.25)]
        if spans(sent):
            times.append(village.clock.seconds - began)
            refuse(village, link, Code.BAD_PROOF)
    pauses = [b - a for a, b in pairwise(times)]
    assert pauses == sorted(pauses)
    assert 55 <= pauses[-1] <= 61
    village.wait(61)
    ack(village, link, 2)
    assert village.wait(200), "pulses, and no timer that stays due"


def test_a_start_mismatch_is_mended_at_once(village: Host) -> None:
    """The receiver says what it holds; nobody is to blame."""
    write(village, 4)
    link, _ = village.link(TOWN, [held(village, 4)])
    assert spans(write(village, 1)) == [(4, 5)]
    assert spans(refuse(village, link, Code.START_MISMATCH)) == [(4, 5)]


def test_a_deferred_feed_waits_for_the_peer_s_word(village: Host) -> None:
    """The peer has not learnt the key yet; sending on would fill its link in vain."""
    write(village, 2)
    link, _ = village.link(TOWN, [])
    assert spans(ack(village, link, 0, deferred=True)) == []
    assert spans(write(village, 1)) == []
    assert spans([frame for _, frame in village.wait(50)]) == []
    assert spans(ack(village, link, 0)) == [(0, 3)]


def test_a_deferred_feed_is_offered_again_after_a_minute(village: Host) -> None:
    """The word may be lost."""
    write(village, 2)
    link, _ = village.link(TOWN, [])
    ack(village, link, 0, deferred=True)
    assert spans([frame for _, frame in village.wait(70)])[0] == (0, 2)


def test_a_peer_with_another_history_is_recognised_by_its_root(village: Host) -> None:
    """A size says nothing by itself: nothing is sent on top of what is not the same."""
    write(village, 4)
    claim = sync_pb2.Held(origin=origin_of(village), size=3, root=bytes(32))
    _, frames = village.link(TOWN, [claim])
    assert spans(frames) == []
    assert Code.BAD_PROOF in village.codes()


def test_a_new_link_replaces_the_old_one(village: Host) -> None:
    """A peer that dials again has lost the first; its frames are heard no more."""
    first, _ = village.link(TOWN, [])
    second, frames = village.link(TOWN, [])
    assert [close.link for close in village.closed] == [first]
    assert of_kind(frames, "hello")
    assert spans(write(village, 1)) == [(0, 1)]
    village.step(LinkDown(first))
    assert second in village.engine.sessions


def test_a_small_feed_is_not_kept_waiting_by_a_long_history() -> None:
    """Feeds take turns: a call never waits behind another feed's backlog."""
    town = Host(TOWN)
    town.link(COUNTY, [])
    village = HandmadeFeed(VILLAGE).put_many(900)
    below, _ = town.link(VILLAGE, [])
    for start in range(0, 900, 300):
        town.hear(below, village.segment(start, start + 300, readable=b"\0\3\4"))
    assert town.size(village) == 900
    county, frames = town.link(COUNTY, [])
    assert {segment.origin for segment in segments(frames)} >= {village.origin}
    town.write(event_draft())
    last = max(s for s in spans(frames))[1]
    word = sync_pb2.Ack(origin=village.origin, size=min(last, 900))
    frames = town.hear(county, sync_pb2.Frame(ack=word))
    assert origin_of(town) in [segment.origin for segment in segments(frames)][:2]
