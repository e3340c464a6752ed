"""Every case of C2SP tlog-witness, against the engine that cosigns: P4.

A witness answers a checkpoint with a cosignature or with a named refusal, and never signs a fork or
a rollback: whoever asks, in whichever order, and wherever the power goes.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from huying.common.errors import Code
from huying.common.feed.checkpoint import cosign, cosignatures, open_checkpoint
from huying.common.feed.note import KeyType, Signer, parse_note
from huying.node.store.store import SqlStore
from huying.wire.v1 import feed_pb2, sync_pb2
from tests.simulator.hardware import FragileStore, Fuse, PowerCutError
from tests.support.handmade import HandmadeFeed, Host, of_kind, refusals
from tests.support.tiny_network import COUNTY, TOWN, VILLAGE, identity

SLOTS = bytes((0, 3, 4))  # that the town may read
OTHER_VILLAGE = "370830108202"
WITNESS = identity(TOWN).witness_signer


@pytest.fixture
def host() -> Iterator[Host]:
    """A town, the witness of its village, which is the test."""
    host = Host(TOWN)
    yield host
    host.store.close()  # type: ignore[attr-defined]


def a_feed(count: int, *, other: bool = False) -> HandmadeFeed:
    """The village's feed; or another history that agrees with it in no entry."""
    feed = HandmadeFeed(VILLAGE)
    if other:
        feed._entropy.token(16)
    return feed.put_many(count)


def offer(feed: HandmadeFeed, start: int, stop: int, size: int | None = None) -> feed_pb2.Segment:
    return feed.segment(start, stop, size=size or stop, readable=SLOTS)


def cosigned_size(frames: list[sync_pb2.Frame], feed: HandmadeFeed) -> int | None:
    """The size of the checkpoint that an answer cosigns, both of whose signatures verify."""
    for frame in of_kind(frames, "ack"):
        if frame.ack.cosigned:
            opened = open_checkpoint(
                frame.ack.cosigned, feed.identity.feed_signer.key, (WITNESS.key,)
            )
            assert [name for name, _ in cosignatures(opened.note, [WITNESS.key])] == [WITNESS.name]
            return opened.checkpoint.size
    return None


def signed(host: Host, feed: HandmadeFeed) -> int:
    """What the witness durably signed last."""
    held = host.store.feed(feed.origin)  # type: ignore[attr-defined]
    return held.cosigned.size if held is not None and held.cosigned is not None else 0


def test_an_extension_is_cosigned_with_both_signatures(host: Host) -> None:
    """The good case: 200 of the HTTP protocol."""
    feed = a_feed(5)
    link, _ = host.link(VILLAGE)
    assert cosigned_size(host.hear(link, offer(feed, 0, 3)), feed) == 3
    assert cosigned_size(host.hear(link, offer(feed, 3, 5)), feed) == 5
    assert signed(host, feed) == 5


def test_unknown_origin_is_deferred_and_not_cosigned(host: Host) -> None:
    """404: a log that no roster names."""
    feed = HandmadeFeed(OTHER_VILLAGE).put_many(3)
    link, _ = host.link(VILLAGE)
    frames = host.hear(link, feed.segment(0, 3))
    assert refusals(frames) == [Code.NOT_SERVED]  # this child is not the way to that village
    later = HandmadeFeed(VILLAGE)
    later.origin = later.origin.replace("/e1", "/e9")
    frames = host.hear(link, feed_pb2.Segment(origin=later.origin, checkpoint=b"x"))
    assert [frame.ack.deferred for frame in of_kind(frames, "ack")] == [True]
    assert later.origin not in host.engine.replica.feeds


def test_bad_signature_is_refused(host: Host) -> None:
    """403: no signature of a trusted key, or one that does not verify."""
    feed = a_feed(3)
    link, _ = host.link(VILLAGE)
    forged = offer(feed, 0, 3)
    forged.checkpoint = feed.note(3, Signer.from_seed(feed.origin, KeyType.ORIGIN, b"f" * 32))
    assert refusals(host.hear(link, forged)) == [Code.BAD_SIGNATURE]
    altered = offer(feed, 0, 3)
    altered.checkpoint = altered.checkpoint.replace(b"\n3\n", b"\n2\n")
    assert refusals(host.hear(link, altered)) == [Code.BAD_SIGNATURE]
    assert signed(host, feed) == 0


def test_stale_size_is_refused_and_the_newest_stays_signed(host: Host) -> None:
    """409: the log shows less than the witness has signed."""
    feed = a_feed(8)
    link, _ = host.link(VILLAGE)
    host.hear(link, offer(feed, 0, 8))
    frames = host.hear(link, offer(feed, 2, 5))
    assert refusals(frames) == [Code.STALE_SIZE]
    assert cosigned_size(frames, feed) is None
    assert signed(host, feed) == 8


def test_a_gap_is_told_with_the_size_that_is_held(host: Host) -> None:
    """409 again: the old size does not match; the answer says what does."""
    feed = a_feed(8)
    link, _ = host.link(VILLAGE)
    host.hear(link, offer(feed, 0, 3))
    frames = host.hear(link, offer(feed, 5, 8))
    assert refusals(frames) == [Code.START_MISMATCH]
    assert [frame.ack.size for frame in of_kind(frames, "ack")] == [3]
    assert cosigned_size(frames, feed) is None


def test_bad_proof_is_refused(host: Host) -> None:
    """422: what was sent does not lead from what is held to what was signed."""
    feed, other = a_feed(8), a_feed(8, other=True)
    link, _ = host.link(VILLAGE)
    host.hear(link, offer(feed, 0, 3))
    frames = host.hear(link, offer(other, 3, 8))
    assert refusals(frames) == [Code.BAD_PROOF]
    assert signed(host, feed) == 3
    assert not host.engine.replica.feeds[feed.origin].frozen  # the peer's fault, till shown more


def test_the_same_size_with_another_root_is_a_fork_with_evidence(host: Host) -> None:
    """409 of tlog-witness; here it also freezes the feed, and both notes go back."""
    feed, other = a_feed(5), a_feed(5, other=True)
    link, _ = host.link(VILLAGE)
    host.hear(link, offer(feed, 0, 5))
    frames = host.hear(link, offer(other, 0, 5))
    assert refusals(frames) == [Code.FORK]
    (refusal,) = of_kind(frames, "refusal")
    texts = {parse_note(refusal.refusal.first).text, parse_note(refusal.refusal.second).text}
    assert texts == {parse_note(feed.note(5)).text, parse_note(other.note(5)).text}
    assert signed(host, feed) == 5
    assert refusals(host.hear(link, offer(feed, 5, 5))) == [Code.FEED_FROZEN]


def test_the_same_checkpoint_again_is_answered_and_not_signed_anew(host: Host) -> None:
    """Repeating is harmless: the log may have missed the answer, and the greeting brings it."""
    feed = a_feed(5)
    link, _ = host.link(VILLAGE)
    host.hear(link, offer(feed, 0, 5))
    frames = host.hear(link, offer(feed, 0, 5))
    assert refusals(frames) == []
    assert signed(host, feed) == 5
    held = sync_pb2.Held(origin=feed.origin, size=5, root=feed.root(5))
    _, frames = host.link(VILLAGE, [held])
    (greeting,) = of_kind(frames, "hello")
    (own,) = [one for one in greeting.hello.held if one.origin == feed.origin]
    assert open_checkpoint(own.cosigned, feed.identity.feed_signer.key).checkpoint.size == 5


def test_a_checkpoint_ahead_of_what_is_held_is_not_cosigned(host: Host) -> None:
    """A fork might hide in the span that `rest` skips."""
    feed = a_feed(8)
    link, _ = host.link(VILLAGE)
    frames = host.hear(link, offer(feed, 0, 3, size=8))
    assert cosigned_size(frames, feed) is None
    assert signed(host, feed) == 0
    assert cosigned_size(host.hear(link, offer(feed, 3, 8)), feed) == 8


@pytest.mark.parametrize("order", [(6, 9), (9, 6)])
def test_two_requests_at_once_are_signed_in_one_order_or_the_other(
    host: Host, order: tuple[int, int]
) -> None:
    """N and N+K in one step: never the smaller after the larger."""
    feed = a_feed(9)
    link, _ = host.link(VILLAGE)
    host.hear(link, offer(feed, 0, 4))
    frames = host.hear(link, *(offer(feed, 4, size) for size in order))
    assert signed(host, feed) == 9
    assert cosigned_size(frames, feed) == 9
    assert refusals(frames) == ([] if order == (6, 9) else [Code.STALE_SIZE])


def test_of_two_histories_at_once_one_is_signed_and_the_other_is_the_fork(host: Host) -> None:
    """Two writers with one key, in one step: compare and store are one transaction."""
    feed, other = a_feed(6), a_feed(6, other=True)
    link, _ = host.link(VILLAGE)
    frames = host.hear(link, offer(feed, 0, 6), offer(other, 0, 6))
    assert refusals(frames) == [Code.FORK]
    held = host.store.feed(feed.origin)  # type: ignore[attr-defined]
    assert held.cosigned is None or held.cosigned.root == feed.root(6)
    assert held.frozen


@pytest.mark.parametrize("touches", range(1, 9))
def test_a_cosignature_is_persisted_before_it_is_given(touches: int) -> None:
    """The power goes anywhere between; then another history must not find the place free."""
    fuse = Fuse()
    inner = SqlStore.open()
    feed, other = a_feed(4), a_feed(6, other=True)
    host = Host(TOWN, store=FragileStore(inner, fuse))
    link, _ = host.link(VILLAGE)
    fuse.remaining = touches
    given = None
    with contextlib.suppress(PowerCutError):
        given = cosigned_size(host.hear(link, offer(feed, 0, 4)), feed)
    fuse.remaining = None
    again = Host(TOWN, store=inner, mark=host.mark)
    stored = signed(again, feed)
    assert given is None or stored == given
    link, _ = again.link(VILLAGE)
    frames = again.hear(link, offer(other, 0, 4))
    if stored:
        assert refusals(frames) == [Code.FORK]
        assert signed(again, feed) == stored
    else:
        assert cosigned_size(frames, other) == 4
    inner.close()


def forgotten(feed: HandmadeFeed, size: int) -> sync_pb2.Held:
    """What the village shows of its own feed: the town cosigned that size once."""
    note = cosign(WITNESS, feed.note(size), 1_700_000_000)
    size = len(feed.leaves)
    return sync_pb2.Held(
        origin=feed.origin, size=size, root=feed.root(size), newest=feed.note(), witnessed=note
    )


def test_a_restored_witness_signs_nothing_below_its_largest_cosignature(host: Host) -> None:
    """The child shows it in its greeting; the witness had forgotten."""
    feed = a_feed(9)
    link, _ = host.link(VILLAGE, [forgotten(feed, 7)])
    assert signed(host, feed) == 7
    frames = host.hear(link, offer(feed, 0, 4), offer(feed, 4, 6))
    assert cosigned_size(frames, feed) is None
    assert signed(host, feed) == 7
    assert cosigned_size(host.hear(link, offer(feed, 6, 9)), feed) == 9


def test_a_restored_witness_does_not_take_another_history_to_its_old_size(host: Host) -> None:
    """Its own cosignature is one of the two notes then."""
    feed, other = a_feed(9), a_feed(9, other=True)
    link, _ = host.link(VILLAGE, [forgotten(feed, 7)])
    frames = host.hear(link, offer(other, 0, 9))
    assert refusals(frames) == [Code.FORK]
    assert signed(host, feed) == 7


def test_a_made_up_cosignature_raises_no_floor(host: Host) -> None:
    """A child could else keep its parent from ever signing for it, or for a sibling."""
    feed = a_feed(5)
    held = forgotten(feed, 5)
    held.witnessed = cosign(
        Signer.from_seed(WITNESS.name, KeyType.COSIGNATURE, b"x" * 32), feed.note(5), 1
    )
    link, _ = host.link(VILLAGE, [held])
    assert Code.BAD_SIGNATURE in host.codes()
    assert cosigned_size(host.hear(link, offer(feed, 0, 5)), feed) == 5


def test_a_child_witnesses_its_parent_by_the_same_rules() -> None:
    """So the root's feed has witnesses, too."""
    host = Host(TOWN)
    county = HandmadeFeed(COUNTY)
    for number in range(4):
        county.add(bytes((7, number)), [])
    link, _ = host.link(COUNTY)
    frames = host.hear(link, county.segment(0, 4))
    assert cosigned_size(frames, county) == 4
    assert refusals(host.hear(link, county.segment(0, 2, size=2))) == [Code.STALE_SIZE]
