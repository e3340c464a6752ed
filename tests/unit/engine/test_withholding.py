"""What is kept back is shown under its own name, and an honest neighbour is accused of nothing."""

from __future__ import annotations

import pytest

from huying.common.errors import Code
from huying.common.state import ClassMark
from huying.common.status import FeedHealth
from huying.common.sync.outgoing import cut_segment
from huying.common.sync.pulse import make_pulse
from huying.common.sync.pulse_board import PulseBoard
from huying.wire.v1 import feed_pb2, sync_pb2
from tests.support.handmade import HandmadeFeed, Host, event_draft, refusals
from tests.support.tiny_network import TOWN, VILLAGE

KEPT_BACK = {Code.WITHHELD, Code.TAIL_CUT, Code.HEAD_REPLAYED, Code.FORK}
FOR_TOWN = b"\x00\x03\x04"
GRACE = 10.0


@pytest.fixture
def host() -> Host:
    return Host(TOWN)


@pytest.fixture
def feed() -> HandmadeFeed:
    return HandmadeFeed(VILLAGE).put_many(8)


def pulse(feed: HandmadeFeed, time: float, size: int | None = None) -> sync_pb2.Frame:
    """The origin's word to the town on its first `size` entries, each of them numbered for it."""
    size = len(feed.leaves) if size is None else size
    made = make_pulse(
        feed.identity.feed_signer, TOWN, size, feed.root(size), time, {TOWN: ClassMark(size, 0)}
    )
    return sync_pb2.Frame(pulse=made)


def offer(feed: HandmadeFeed, start: int, stop: int, size: int | None = None) -> feed_pb2.Segment:
    """Entries with what a town may read; under their own checkpoint, unless another is named."""
    return feed.segment(start, stop, size=size or stop, readable=FOR_TOWN)


def health(host: Host, feed: HandmadeFeed) -> FeedHealth:
    found = [one for one in host.engine.status().feeds if one.origin == feed.origin]
    return found[0].health


def named(host: Host) -> set[Code]:
    return host.codes() & KEPT_BACK


# --- a cut tail --------------------------------------------------------------------------------


def test_pulses_that_run_ahead_for_longer_than_the_grace_name_a_cut_tail(
    host: Host, feed: HandmadeFeed
) -> None:
    """The origin signed eight entries, and five arrive; that is no gap, so it has its own name."""
    link, _ = host.link(VILLAGE)
    host.hear(link, offer(feed, 0, 5))
    for _ in range(3):
        host.hear(link, pulse(feed, host.clock.seconds))
        host.wait(60)
    assert named(host) == {Code.TAIL_CUT}
    assert health(host, feed) is FeedHealth.TAIL_CUT
    assert host.engine.withheld_gaps == 0
    host.hear(link, offer(feed, 5, 8), pulse(feed, host.clock.seconds))
    assert health(host, feed) is FeedHealth.LIVE


def test_an_entry_withheld_whole_is_named_withheld_and_nothing_else(
    host: Host, feed: HandmadeFeed
) -> None:
    """A relay that answers, and gives nothing: three times, and longer than the grace."""
    link, _ = host.link(VILLAGE)
    hidden = feed_pb2.Segment(origin=feed.origin, checkpoint=feed.note())
    hidden.items.add(hidden=b"".join(feed.hashes))
    host.hear(link, hidden, pulse(feed, host.clock.seconds))
    for _ in range(6):
        answer = sync_pb2.Disclose(origin=feed.origin, start=0, stop=8, last=True)
        host.hear(link, sync_pb2.Frame(disclose=answer))
        host.wait(4)
    assert named(host) == {Code.WITHHELD}
    assert health(host, feed) is FeedHealth.WITHHELD


def answer_in_vain(host: Host, link: int, feed: HandmadeFeed) -> None:
    """Say to whatever is asked that there is no more, for longer than the grace."""
    for _ in range(6):
        for row in host.engine.replica.missing.get(feed.origin, ()):
            answer = sync_pb2.Disclose(
                origin=feed.origin, start=row.start, stop=row.stop, last=True
            )
            host.hear(link, sync_pb2.Frame(disclose=answer))
        host.clock.seconds += 4
        host.step()
        host.step()  # what was found out in a round is settled in the next transaction


def test_a_head_that_does_not_decode_explains_its_number_and_blames_no_relay(host: Host) -> None:
    """Its number can't be told, and that is its origin's doing: it is quarantined, and shown so."""
    feed = HandmadeFeed(VILLAGE).put_many(3)
    feed.put(head=b"\xff")
    feed.put_many(2)
    link, _ = host.link(VILLAGE)
    host.hear(link, offer(feed, 0, 6))
    assert host.engine.replica.missing[feed.origin]
    answer_in_vain(host, link, feed)
    assert not named(host)
    assert not host.engine.replica.missing
    host.hear(link, pulse(feed, host.clock.seconds))
    assert health(host, feed) is FeedHealth.LIVE
    assert [one.quarantined for one in host.engine.status().feeds if one.origin == feed.origin] == [
        1
    ]


def test_one_undecodable_head_does_not_explain_two_missing_numbers(host: Host) -> None:
    """Else a relay could hide an entry behind each fault of an origin."""
    feed = HandmadeFeed(VILLAGE).put_many(3)
    feed.put(head=b"\xff")
    feed.put_many(2)
    segment = offer(feed, 0, 6)
    segment.items[4].CopyFrom(feed_pb2.Item(hidden=feed.hashes[4]))
    link, _ = host.link(VILLAGE)
    host.hear(link, segment)
    answer_in_vain(host, link, feed)
    assert named(host) == {Code.WITHHELD}
    host.hear(link, feed.disclose(4, readable=FOR_TOWN))
    answer_in_vain(host, link, feed)
    assert health(host, feed) is not FeedHealth.WITHHELD


# --- a replayed head ---------------------------------------------------------------------------


def test_an_old_checkpoint_again_and_again_is_a_replayed_head(
    host: Host, feed: HandmadeFeed
) -> None:
    """Each is refused as stale; that it goes on, with nothing newer between, is the alarm."""
    link, _ = host.link(VILLAGE)
    host.hear(link, offer(feed, 0, 3), offer(feed, 3, 6))
    for number in range(3):
        assert refusals(host.hear(link, offer(feed, 0, 3))) == [Code.STALE_SIZE]
        assert (Code.HEAD_REPLAYED in host.codes()) == (number == 2)
        host.hear(link, pulse(feed, host.clock.seconds))  # it must pass these on, or look dead
        host.wait(GRACE / 2)
    assert named(host) == {Code.HEAD_REPLAYED}
    assert health(host, feed) is FeedHealth.REPLAYED
    host.hear(link, offer(feed, 6, 8), pulse(feed, host.clock.seconds))
    assert health(host, feed) is FeedHealth.LIVE


def test_a_replay_explains_the_tail_that_does_not_come(host: Host, feed: HandmadeFeed) -> None:
    """Pulses run ahead of it too, and one fault gets one name."""
    link, _ = host.link(VILLAGE)
    host.hear(link, offer(feed, 0, 3), offer(feed, 3, 6))
    for _ in range(12):
        host.hear(link, offer(feed, 0, 3), pulse(feed, host.clock.seconds))
        host.wait(15)
    assert named(host) == {Code.HEAD_REPLAYED}


def test_one_old_frame_does_not_hide_a_cut_tail(host: Host, feed: HandmadeFeed) -> None:
    """Else a relay could avoid both alarms by a single replay."""
    link, _ = host.link(VILLAGE)
    host.hear(link, offer(feed, 0, 3), offer(feed, 3, 6))
    host.hear(link, offer(feed, 0, 3))
    for _ in range(3):
        host.hear(link, pulse(feed, host.clock.seconds))
        host.wait(60)
    assert named(host) == {Code.TAIL_CUT}


@pytest.mark.parametrize("sizes", [(6, 5), (6, 6)], ids=["of fewer entries", "the same"])
def test_an_old_pulse_again_and_again_is_a_replayed_head(
    host: Host, feed: HandmadeFeed, sizes: tuple[int, int]
) -> None:
    """It says that nothing happened since; and it makes nothing look fresh."""
    newest, shown = sizes
    link, _ = host.link(VILLAGE)
    start = host.clock.seconds
    host.hear(link, offer(feed, 0, 6), pulse(feed, start, newest))
    assert health(host, feed) is FeedHealth.LIVE
    for _ in range(5):
        host.wait(60)
        host.hear(link, pulse(feed, start - (newest - shown), shown))
    assert named(host) == {Code.HEAD_REPLAYED}
    assert health(host, feed) is FeedHealth.REPLAYED
    host.hear(link, offer(feed, 6, 8), pulse(feed, host.clock.seconds))
    assert health(host, feed) is FeedHealth.LIVE


def test_an_origin_whose_pulses_stop_is_unknown_and_never_fresh(
    host: Host, feed: HandmadeFeed
) -> None:
    """A relay that drops pulses looks like an origin that is down: nobody can tell them apart."""
    link, _ = host.link(VILLAGE)
    host.hear(link, offer(feed, 0, 8), pulse(feed, host.clock.seconds))
    assert health(host, feed) is FeedHealth.LIVE
    host.wait(181)
    assert health(host, feed) is FeedHealth.UNKNOWN
    assert not named(host)


# --- what honest neighbours do -----------------------------------------------------------------


def test_the_newest_pulse_repeated_after_a_reconnect_accuses_nobody(
    host: Host, feed: HandmadeFeed
) -> None:
    """A relay shows a new link what it kept, which is one and a half intervals old at most."""
    start = host.clock.seconds
    link, _ = host.link(VILLAGE)
    host.hear(link, offer(feed, 0, 8))
    for _ in range(8):
        host.hear(link, pulse(feed, start), pulse(feed, start))
        host.wait(11)
        link, _ = host.link(VILLAGE)
    assert not named(host)


def test_a_peer_that_was_restored_and_catches_up_accuses_nobody(
    host: Host, feed: HandmadeFeed
) -> None:
    """On its new link it shows less than on the old one, and says so in its greeting."""
    link, _ = host.link(VILLAGE)
    host.hear(link, offer(feed, 0, 6), pulse(feed, host.clock.seconds, 6))
    held = sync_pb2.Held(origin=feed.origin, size=2, root=feed.root(2))
    for size in (2, 4, 6):
        host.wait(20)
        link, _ = host.link(VILLAGE, [held])
        host.hear(link, pulse(feed, host.clock.seconds - 500, size))
    host.hear(link, offer(feed, 6, 8), pulse(feed, host.clock.seconds))
    assert not named(host)
    assert health(host, feed) is FeedHealth.LIVE


def test_frames_that_overtake_each_other_accuse_nobody(host: Host, feed: HandmadeFeed) -> None:
    """Now and then an old one comes late; something newer always comes between two of them."""
    link, _ = host.link(VILLAGE)
    for size in range(1, 9):
        host.hear(link, offer(feed, size - 1, size), pulse(feed, host.clock.seconds, size))
        host.wait(6)
        host.hear(link, offer(feed, 0, max(1, size - 2)), pulse(feed, 0.0, max(1, size - 2)))
        host.wait(6)
    assert not named(host)


def test_a_clock_that_was_set_back_at_the_origin_accuses_nobody(
    host: Host, feed: HandmadeFeed
) -> None:
    """Its pulses carry earlier times, and are not old; they are not fresh either until it moves."""
    link, _ = host.link(VILLAGE)
    host.hear(link, offer(feed, 0, 7), pulse(feed, host.clock.seconds, 7))
    for minute in range(8):
        host.wait(60)
        host.hear(link, pulse(feed, host.clock.seconds - 3600 + minute, 7))
    assert not named(host)
    assert health(host, feed) is FeedHealth.UNKNOWN
    host.hear(link, offer(feed, 7, 8), pulse(feed, host.clock.seconds - 3600))
    assert health(host, feed) is FeedHealth.LIVE


def test_what_is_sent_again_shows_no_older_checkpoint_than_before(host: Host) -> None:
    """The rule that an honest sender keeps, so that its silence-driven repeats are no replays."""
    host.wait(11)  # nobody can be asked, so it writes
    for number in range(4):
        assert host.write(event_draft(number)).error is None
    own = host.engine.replica.own
    for announced in range(own.size + 1):
        cut = cut_segment(host.store, own, VILLAGE, 0, 1, announced=announced)
        assert cut is not None
        assert cut.stop == 1
        assert int(cut.segment.checkpoint.split(b"\n")[1]) == (1 if announced <= 1 else own.size)


def test_a_relay_passes_on_no_pulse_that_is_old(feed: HandmadeFeed) -> None:
    """Else an honest relay behind a cheating one would be accused in its place."""
    board = PulseBoard()
    first, second = pulse(feed, 10.0, 5).pulse, pulse(feed, 70.0, 6).pulse
    board.post(feed.origin, TOWN, 6, second, 0.0)
    board.post(feed.origin, TOWN, 5, first, 1.0)
    board.post(feed.origin, TOWN, 6, second, 80.0)
    board.forget_silent(before=50.0)
    board.link_opened([TOWN])
    assert not board.readers(), "a pulse grew young by coming twice"
