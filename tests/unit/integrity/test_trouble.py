"""What is wrong with feeds and keys, as an operator is told: with the evidence, and no more."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from huying.common.effects import Operate
from huying.common.errors import Code
from huying.common.integrity.evidence import ForkEvidence
from huying.common.integrity.lost import LostRange
from huying.common.state import DAMAGED, ClassMark, FeedState, Missing
from huying.common.sync.pulse import make_pulse
from huying.node.admin import AdminNode
from huying.node.admin.trouble import show_trouble
from huying.node.monitoring.trouble import stored_trouble
from huying.wire.v1 import admin_pb2, feed_pb2, sync_pb2
from tests.support.handmade import HandmadeFeed, Host
from tests.support.tiny_network import TOWN, VILLAGE, identity, pin
from tests.support.trusted_network import signer

TOWN_SLOTS = bytes((0, 3, 4))
FEED = identity(VILLAGE).origin


class Shell:
    """What of a runtime the handler asks."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self.alarms: Counter[tuple[Code, str, str]] = Counter(
            (one.code, one.feed, one.peer) for one in host.alarms
        )

    async def operate(self, operation: Any) -> Any:
        self._host.step(Operate("test", operation))
        done = self._host.operated[-1]
        assert done.error is None, done.error
        return done.result


def trouble(host: Host) -> admin_pb2.ShowTroubleResponse:
    parts: Any = (None, Shell(host), None, None)
    return asyncio.run(show_trouble(AdminNode(*parts), admin_pb2.ShowTroubleRequest()))


@pytest.fixture
def host() -> Host:
    return Host(TOWN)


def test_a_node_that_is_well_has_no_trouble(host: Host) -> None:
    """An empty page must mean that there is nothing."""
    link, _ = host.link(VILLAGE)
    host.hear(link, HandmadeFeed(VILLAGE).put_many(3).segment(0, 3, readable=TOWN_SLOTS))
    assert trouble(host) == admin_pb2.ShowTroubleResponse()


def test_a_fork_comes_with_both_notes_that_anybody_can_check(host: Host) -> None:
    """What an operator hands to the county must convince it without this node's word."""
    one, other = HandmadeFeed(VILLAGE).put_many(2), HandmadeFeed(VILLAGE).put_many(2)
    other._entropy.token(16)
    one.put_many(6)
    other.put_many(3)
    link, _ = host.link(VILLAGE)
    host.hear(link, one.segment(0, 8, readable=TOWN_SLOTS))
    host.hear(link, other.segment(2, 5, readable=TOWN_SLOTS))
    (fork,) = trouble(host).forks
    assert (fork.origin, fork.first_size, fork.second_size) == (FEED, 5, 8)
    kept = ForkEvidence(fork.first, fork.second, fork.prefix, fork.suffix)
    assert [point.size for point in kept.verify(one.identity.feed_signer.key)] == [5, 8]
    assert [alarm.code for alarm in trouble(host).alarms] == [Code.FORK]


def test_what_is_withheld_is_told_apart_from_what_is_just_missing(host: Host) -> None:
    """A gap that is asked for right now accuses nobody."""
    feed = HandmadeFeed(VILLAGE).put_many(8)
    link, _ = host.link(VILLAGE)
    hidden = feed_pb2.Segment(origin=FEED, checkpoint=feed.note())
    hidden.items.add(hidden=b"".join(feed.hashes))
    pulse = make_pulse(
        feed.identity.feed_signer,
        TOWN,
        8,
        feed.root(8),
        host.clock.seconds,
        {TOWN: ClassMark(8, 0)},
    )
    host.hear(link, hidden, sync_pb2.Frame(pulse=pulse))
    (gap,) = trouble(host).missing
    assert (gap.kind, gap.class_name, gap.first, gap.last) == ("numbers", TOWN, 1, 8)
    assert not gap.withheld
    since = gap.since_seconds
    for _ in range(6):
        answer = sync_pb2.Disclose(origin=FEED, start=0, stop=8, last=True)
        host.hear(link, sync_pb2.Frame(disclose=answer))
        host.wait(4)
    (gap,) = trouble(host).missing
    assert gap.withheld
    assert gap.since_seconds == since


def test_a_cut_tail_and_what_is_lost_are_named(host: Host) -> None:
    """No gap shows either: the one is known by pulses, the other by the origin's own word."""
    feed = HandmadeFeed(VILLAGE).put_many(8)
    link, _ = host.link(VILLAGE)
    host.hear(link, feed.segment(0, 5, size=5, readable=TOWN_SLOTS))
    for _ in range(3):
        marks = {TOWN: ClassMark(8, 0)}
        pulse = make_pulse(
            feed.identity.feed_signer, TOWN, 8, feed.root(8), host.clock.seconds, marks
        )
        host.hear(link, sync_pb2.Frame(pulse=pulse))
        host.wait(60)
    host.engine.losses._ranges[FEED] = (LostRange(1, 3, b"\x04"),)
    found = trouble(host)
    assert [(one.origin, one.state) for one in found.feeds] == [(FEED, "tail_cut")]
    assert "8" in found.feeds[0].detail
    assert found.feeds[0].since_seconds > 0
    assert [(one.origin, one.range.start, one.range.stop) for one in found.lost] == [(FEED, 1, 3)]


def test_a_key_that_waits_for_a_word_is_listed(host: Host) -> None:
    """Nothing of the new key is taken until somebody above confirms it; so somebody must see it."""
    later = replace(pin(VILLAGE), feed_key=str(signer(VILLAGE, 2).key))
    host.engine.roster.hold(later, "370830000000")
    (waiting,) = trouble(host).waiting_keys
    assert (waiting.code, waiting.feed_key, waiting.state) == (
        VILLAGE,
        later.feed_key,
        "waiting",
    )


def test_a_long_list_is_cut_and_says_how_much_was_left_out() -> None:
    """A hostile origin may leave a million gaps."""
    rows = [Missing(at, at + 1, b"\x03", "", 0, 0, 1.0) for at in range(1500)]
    found = stored_trouble([], {FEED: [*rows, Missing(0, 9, b"", DAMAGED, 0, 0, 1.0)]})
    assert (len(found.missing), found.missing_left_out) == (1000, 501)
    assert found.missing[0].kind == "slots"


def test_evidence_that_does_not_parse_is_shown_and_stops_nothing() -> None:
    """A damaged row must not hide the other feeds' trouble."""
    broken = FeedState(1, FEED, frozen=b"\xff\xff nonsense")
    (fork,) = stored_trouble([broken], {}).forks
    assert fork.first == broken.frozen
