"""The way back of a node that lost the end of its own feed: what it waits for, and what it says."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from huying.common.effects import DraftEntry, Operate, Operated, Received
from huying.common.errors import Code, HuyingError
from huying.common.feed.leaf import unpack_openings
from huying.common.feed.note import KeyType, Signer
from huying.common.integrity.last_resort import BeginEpoch, RecoveryView, ShowRecovery
from huying.common.integrity.lost import ANY_CLASS, LostRange, coalesced
from huying.common.membership.succession import make_succession
from huying.common.state import ClassMark, Missing
from huying.common.writer import Writer
from huying.node.store.store import SqlStore
from huying.wire.v1 import feed_pb2, records_pb2, sync_pb2, trust_pb2
from tests.support.handmade import HandmadeFeed, Host, event_draft, of_kind
from tests.support.tiny_network import COUNTY, TOWN, VILLAGE, MemoryMark, SeededEntropy, identity

TOWN_SLOTS = bytes((0, 3, 4))
ORIGIN = identity(VILLAGE).origin


def own_feed(count: int) -> HandmadeFeed:
    """What the village wrote before it lost its disk."""
    return HandmadeFeed(VILLAGE).put_many(count)


def marked(feed: HandmadeFeed, size: int) -> MemoryMark:
    mark = MemoryMark(feed.origin)
    mark.write(feed.origin, size, feed.root(size))
    return mark


def held(feed: HandmadeFeed, size: int) -> sync_pb2.Held:
    return sync_pb2.Held(
        origin=feed.origin, size=size, root=feed.root(size), newest=feed.note(size)
    )


def look(host: Host) -> RecoveryView:
    (answer,) = [
        one
        for one in host.engine.step([Operate("look", ShowRecovery())])
        if isinstance(one, Operated)
    ]
    assert isinstance(answer.result, RecoveryView)
    return answer.result


def operate(host: Host, operation: object) -> Operated:
    effects = host.engine.step([Operate("operator", operation)])  # type: ignore[arg-type]
    host.take(one for one in effects if not isinstance(one, Operated))
    (answer,) = [one for one in effects if isinstance(one, Operated)]
    return answer


def give_back(host: Host, link: int, feed: HandmadeFeed, stop: int, slots: bytes) -> None:
    """The town gives back what it holds, and has nothing more to say."""
    host.hear(link, feed.segment(0, stop, size=stop, readable=slots))
    answer_wants(host, link)


def answer_wants(host: Host, link: int, entries: Iterable[sync_pb2.DisclosedEntry] = ()) -> None:
    for _ in range(20):
        wants = [frame.want for to, frame in host.step() if to == link and frame.HasField("want")]
        wants += [frame.want for _, frame in host.wait(1) if frame.HasField("want")]
        for want in wants:
            answer = sync_pb2.Disclose(
                origin=want.origin, start=want.start, stop=want.stop, last=True, entries=entries
            )
            host.hear(link, sync_pb2.Frame(disclose=answer))


def recovered(host: Host) -> trust_pb2.Recovered:
    """The last entry of the own feed, which says what the recovery brought."""
    own = host.engine.replica.own
    (entry,) = host.store.entries(own.feed_id, own.size - 1, own.size)
    head, *bodies = unpack_openings(entry.openings)
    assert feed_pb2.Head.FromString(head[17:]).type == feed_pb2.RECORD_TYPE_RECOVERED
    return trust_pb2.Recovered.FromString(b"".join(body[17:] for body in bodies))


# The way back.


def test_a_node_gets_its_entries_back_and_goes_on_in_the_same_epoch() -> None:
    """Nothing is signed before; then one entry says what was lost, and writing goes on."""
    feed = own_feed(6)
    host = Host(VILLAGE, mark=marked(feed, 6))
    assert host.engine.state == "recovering"
    link, frames = host.link(TOWN, [held(feed, 6)])
    (greeting,) = of_kind(frames, "hello")
    assert greeting.hello.recovering
    give_back(host, link, feed, 6, TOWN_SLOTS)
    assert host.engine.state == "live"
    message = recovered(host)
    assert (message.from_size, message.upto_size) == (0, 6)
    assert [(one.start, one.stop, one.slots) for one in message.lost] == [(0, 6, b"\x05\x0d")]
    assert host.mark.read() == (ORIGIN, 7, host.engine.replica.root_at(host.engine.replica.own, 7))
    written = host.write(event_draft())
    assert written.error is None
    assert written.receipts[0].index == 7


def test_an_answer_below_the_mark_is_not_enough() -> None:
    """The mark knows that more has left the node than the parent holds."""
    feed = own_feed(6)
    host = Host(VILLAGE, mark=marked(feed, 6))
    link, _ = host.link(TOWN, [held(feed, 4)])
    give_back(host, link, feed, 4, TOWN_SLOTS)
    host.wait(300)
    assert host.engine.state == "recovering"
    view = look(host)
    assert (view.held_size, view.needed_size, view.unreachable) == (4, 6, (4, 6))
    assert "4 entries are held, 6 needed" in view.reason
    refused = host.write(event_draft()).error
    assert refused is not None
    assert refused.code is Code.RECOVERING


def test_without_a_mark_nobody_but_the_parent_can_say_that_all_is_back() -> None:
    """A node whose mark is missing can't know what left it; alone it waits for ever."""
    feed = own_feed(3)
    mark = MemoryMark(feed.origin)
    mark._mark = None
    host = Host(VILLAGE, mark=mark)
    host.wait(600)
    assert host.engine.state == "recovering"
    link, _ = host.link(TOWN, [held(feed, 3)])
    give_back(host, link, feed, 3, TOWN_SLOTS)
    assert host.engine.state == "live"


def test_a_parent_that_is_recovering_itself_gives_no_last_word() -> None:
    """Both were restored: what the parent shows now may be less than it held yesterday."""
    feed = own_feed(5)
    mark = MemoryMark(feed.origin)
    mark._mark = None
    host = Host(VILLAGE, mark=mark)
    link, _ = host.link(TOWN, greet=False)
    hello = sync_pb2.Hello(
        version_min=1,
        version_max=1,
        network="wenshang.example",
        code=TOWN,
        held=[held(feed, 3)],
        recovering=True,
    )
    host.hear(link, sync_pb2.Frame(hello=hello))
    give_back(host, link, feed, 3, TOWN_SLOTS)
    host.wait(120)
    assert host.engine.state == "recovering"
    hello.recovering = False
    del hello.held[:]
    hello.held.append(held(feed, 5))
    host.hear(link, sync_pb2.Frame(hello=hello))
    give_back(host, link, feed, 5, TOWN_SLOTS)
    assert host.engine.state == "live"
    assert host.engine.replica.own.size == 6


def test_a_note_that_was_shown_is_not_forgotten_over_a_restart() -> None:
    """The mark was restored, too; the parent showed more, and then the power went."""
    feed = own_feed(5)
    host = Host(VILLAGE)
    link, _ = host.link(TOWN, [held(feed, 5)])
    assert host.engine.state == "recovering"
    host.hear(link, feed.segment(0, 2, readable=TOWN_SLOTS))
    again = Host(VILLAGE, store=host.store, mark=host.mark)
    again.wait(60)
    assert again.engine.state == "recovering"
    link, _ = again.link(TOWN, [held(feed, 5)])
    give_back(again, link, feed, 5, TOWN_SLOTS)
    assert again.engine.state == "live"
    assert recovered(again).upto_size == 5
    assert [one.stop for one in recovered(again).lost] == [5]


def test_each_neighbour_is_asked_for_what_it_may_hold() -> None:
    """The county may not read what a town says to itself, so it is not even asked."""
    feed = HandmadeFeed(TOWN).put_many(4)
    host = Host(TOWN, mark=marked(feed, 4))
    up, _ = host.link(COUNTY, [held(feed, 4)])
    down, _ = host.link(VILLAGE, [held(feed, 4)])
    segment = feed.segment(0, 4, size=4, readable=b"\x00")
    sent = host.step(Received(up, sync_pb2.Frame(segment=segment).SerializeToString()))
    sent += host.wait(1)
    asked = {to: set(frame.want.slots) for to, frame in sent if frame.HasField("want")}
    assert asked[up] == {3}
    assert down not in asked  # nothing of these was addressed to the village


def test_a_neighbour_that_comes_later_still_gives_back_what_it_has() -> None:
    """It was away while the node recovered; what was listed as lost is not lost after all."""
    feed = own_feed(3)
    host = Host(VILLAGE, mark=marked(feed, 3))
    link, _ = host.link(TOWN, [held(feed, 3)])
    host.hear(link, feed.segment(0, 3, readable=b"\x00"))  # it just has the heads now
    host.wait(20)
    assert host.engine.state == "live"
    assert any(3 in one.slots for one in recovered(host).lost)
    link, frames = host.link(TOWN, [held(feed, 3)])
    (want,) = of_kind(frames, "want")
    assert (want.want.origin, want.want.start, want.want.stop) == (ORIGIN, 0, 3)
    host.hear(link, feed.disclose(0, 1, 2, readable=TOWN_SLOTS))
    own = host.engine.replica.own
    for entry in host.store.entries(own.feed_id, 0, 3):
        assert {one[0] for one in unpack_openings(entry.openings)} == set(TOWN_SLOTS)
    assert [(one.start, one.stop, one.slots) for one in look(host).lost] == [(0, 3, b"\x05\x0d")]


def test_the_own_history_that_somebody_else_continued_is_not_taken_from_a_stranger() -> None:
    """What comes back is verified by this node's own key, like anybody's feed."""
    feed = own_feed(4)
    host = Host(VILLAGE, mark=marked(feed, 4))
    link, _ = host.link(TOWN, [held(feed, 4)])
    forged = feed.segment(0, 4, readable=TOWN_SLOTS)
    forger = Signer.from_seed(feed.origin, KeyType.ORIGIN, b"f" * 32)
    forged.checkpoint = feed.note(4, forger)
    host.hear(link, forged)
    assert host.engine.replica.own.size == 0
    assert Code.BAD_SIGNATURE in host.codes()


def test_a_node_whose_epoch_was_closed_does_not_write_behind_the_end() -> None:
    """Restored from before a rotation: nobody would take it, and the next key is not here."""
    feed = own_feed(3)
    reason = trust_pb2.SUCCESSION_REASON_ROTATED
    old = feed.identity.feed_signer
    close = trust_pb2.Close(
        succession=make_succession(ORIGIN, 3, feed.root(3), next_signer(), old, reason)
    )
    feed.put(close, type_=feed_pb2.RECORD_TYPE_CLOSE, kind=feed_pb2.KIND_CLOSE)
    host = Host(VILLAGE, mark=marked(feed, 4))
    link, _ = host.link(TOWN, [held(feed, 4)])
    give_back(host, link, feed, 4, bytes(range(256)))
    assert host.engine.replica.own.size == 4
    assert host.engine.state == "recovering"
    assert "this epoch is closed" in look(host).reason
    written = host.write(event_draft())
    assert written.error is not None
    assert written.error.code is Code.RECOVERING
    begun = operate(host, BeginEpoch(next_signer(), "why not"))
    assert begun.error is not None
    assert begun.error.code is Code.WRONG_STAGE


# The last resort.


def next_signer() -> Signer:
    return Signer.from_seed(ORIGIN.replace("/e1", "/e2"), KeyType.ORIGIN, b"2" * 32)


def test_a_new_epoch_says_what_it_follows_and_what_nobody_had() -> None:
    """The old key signs for it, so that the parent can tell it from a thief's."""
    feed = own_feed(6)
    host = Host(VILLAGE, mark=marked(feed, 6))
    link, _ = host.link(TOWN, [held(feed, 4)])
    give_back(host, link, feed, 4, TOWN_SLOTS)
    answer = operate(host, BeginEpoch(next_signer(), "the disk is gone"))
    assert answer.error is None
    own = host.engine.replica.own
    assert own.origin == next_signer().name
    assert host.engine.state == "live"
    (entry,) = host.store.entries(own.feed_id, 0, 1)
    opened = trust_pb2.Open.FromString(
        b"".join(body[17:] for body in unpack_openings(entry.openings)[1:])
    )
    assert (opened.succession.origin, opened.succession.size) == (ORIGIN, 4)
    assert opened.succession.old_signature
    assert opened.succession.reason == trust_pb2.SUCCESSION_REASON_LOST
    assert [(one.start, one.stop) for one in opened.lost] == [(4, 6)]
    assert host.write(event_draft()).error is None
    mark = host.mark.read()
    assert mark is not None
    assert mark[0] == own.origin


def test_a_new_epoch_is_refused_where_nothing_is_wrong() -> None:
    """The last resort is not for impatience: a rotation keeps the whole feed."""
    host = Host(VILLAGE)
    host.link(TOWN)
    answer = operate(host, BeginEpoch(next_signer(), "why not"))
    assert answer.error is not None
    assert answer.error.code is Code.WRONG_STAGE
    assert host.engine.replica.own.origin == ORIGIN


# What a loss excuses at the readers.


def losses(host: Host, ranges: list[LostRange], numbers: dict[str, int], upto: int) -> None:
    """The village says that it lost this."""
    message = trust_pb2.Recovered(from_size=2, upto_size=upto)
    for one in ranges:
        message.lost.add(start=one.start, stop=one.stop, slots=one.slots)
    for name, number in numbers.items():
        message.numbers.add(name=name, number=number)
    feed = HandmadeFeed(VILLAGE).put_many(upto)
    feed.numbers[TOWN] = feed.numbers[COUNTY] = upto
    feed.put(message, type_=feed_pb2.RECORD_TYPE_RECOVERED, kind=feed_pb2.KIND_RECOVERED)
    link, _ = host.link(VILLAGE)
    host.hear(link, feed.segment(0, upto + 1))


def a_row(start: int, stop: int, first: int, last: int, slots: bytes = b"") -> Missing:
    return Missing(start, stop, slots, "" if slots else TOWN, first, last, 0.0)


@pytest.mark.parametrize(
    ("row", "explained"),
    [
        (a_row(3, 4, 0, 0, b"\x04"), True),
        (a_row(3, 4, 0, 0, b"\x03\x04"), False),
        (a_row(5, 6, 0, 0, b"\x03\x04"), True),  # its head is lost, and so all of it
        (a_row(1, 2, 0, 0, b"\x04"), False),
        (a_row(4, 8, 5, 6), True),
        (a_row(4, 8, 5, 7), True),  # the writer could have given out as many
        (a_row(4, 8, 5, 8), False),
        (a_row(0, 3, 1, 1), False),  # before anything was lost
    ],
)
def test_a_loss_excuses_what_it_may_have_taken_and_nothing_else(
    row: Missing, explained: bool
) -> None:
    """Otherwise whoever wants to withhold would just claim to have lost it."""
    host = Host(TOWN)
    ranges = [LostRange(3, 4, b"\x04"), LostRange(5, 7, b"\x00")]
    losses(host, ranges, {TOWN: 7}, 8)
    assert Code.LOST in host.codes()
    assert host.engine.losses.explains(ORIGIN, row) is explained


def test_a_loss_of_what_comes_later_is_no_excuse() -> None:
    """An origin can't announce today what it will lose tomorrow."""
    host = Host(TOWN)
    losses(host, [LostRange(3, 99, b"\x00")], {}, 8)
    assert not host.engine.losses.ranges(ORIGIN)
    assert host.engine.replica.feeds[ORIGIN].quarantined == 1


def test_too_many_ranges_are_merged_and_still_cover_everything() -> None:
    """One entry must hold them; it may name too much, never too little."""
    lost = [LostRange(at, at + 1, bytes((3 + at % 3,))) for at in range(0, 3000, 3)]
    merged = coalesced(lost)
    assert len(merged) <= 64
    for one in lost:
        assert any(
            each.start <= one.start < each.stop and set(one.slots) <= set(each.slots)
            for each in merged
        )


def test_running_numbers_go_on_behind_every_head_that_was_lost() -> None:
    """A number used twice would look like a forgery; a gap is explained by the entry itself."""
    feed = own_feed(5)
    host = Host(VILLAGE, mark=marked(feed, 5))
    link, _ = host.link(TOWN, [held(feed, 5)])
    segment = feed.segment(0, 5)
    for item in list(segment.items)[2:4]:
        item.CopyFrom(feed_pb2.Item(hidden=feed.hashes[2]))
    segment.items[2].hidden = feed.hashes[2]
    segment.items[3].hidden = feed.hashes[3]
    del segment.items[4].entry.openings[:]  # and of the last just the leaf
    host.hear(link, segment)
    for _ in range(20):
        host.wait(1)
    assert host.engine.state == "live"
    message = recovered(host)
    numbers = {one.name: one.number for one in message.numbers}
    assert numbers[TOWN] == numbers[COUNTY] == 5  # 2 were seen, 3 may have been given
    assert host.engine.replica.own.classes[TOWN] == ClassMark(6, 5)


def test_a_class_of_which_nothing_is_known_begins_behind_every_head_that_was_lost() -> None:
    """Its readers may remember numbers that the node itself does not."""
    division = records_pb2.Division(code=COUNTY, name="县")
    draft = DraftEntry(feed_pb2.KIND_PUT, feed_pb2.RECORD_TYPE_DIVISION, division, to=(f"={TOWN}",))
    writer = Writer(identity(COUNTY).origin, 1, SeededEntropy(1))
    marks = {ANY_CLASS: ClassMark(3, 7), f"{COUNTY}/*": ClassMark(5, 7)}
    assert writer.compose(draft, 8, 0, marks)[1] == {TOWN: ClassMark(4, 8)}
    assert writer.compose(draft, 0, 0, {})[1] == {TOWN: ClassMark(1, 0)}


def test_evidence_of_a_damaged_store_is_named() -> None:
    """Nobody reads a blob that is none."""
    from huying.common.integrity.evidence import ForkEvidence

    with pytest.raises(HuyingError) as caught:
        ForkEvidence.decode(b"\xff\xff\xff")
    assert caught.value.code is Code.CORRUPT


def test_a_lost_compartment_reads_as_lost_and_not_as_withheld() -> None:
    """The home's own fields are withheld by nobody; a reader must know that asking is of no use."""
    from huying.node.api.reads import StoreReads
    from huying.wire.v1 import api_pb2

    feed = own_feed(3)
    host = Host(VILLAGE, mark=marked(feed, 3))
    link, _ = host.link(TOWN, [held(feed, 3)])
    give_back(host, link, feed, 3, TOWN_SLOTS)
    reads = StoreReads(host.store)  # type: ignore[arg-type]
    page = reads.records(feed_pb2.RECORD_TYPE_EVENT, VILLAGE, "", 10, b"")
    assert len(page.records) == 3
    for view in page.records:
        states = {slot.slot: slot.state for slot in view.slots}
        assert states[3] == states[4] == api_pb2.SLOT_STATE_PRESENT
        assert states[5] == states[0x0D] == api_pb2.SLOT_STATE_LOST


def test_a_restored_witness_whose_own_feed_was_quiet_asks_before_it_cosigns() -> None:
    """Its mark agrees, and what it had cosigned is forgotten all the same."""
    feed, mark = HandmadeFeed(VILLAGE).put_many(2), MemoryMark(identity(TOWN).origin)
    host = Host(TOWN, mark=mark)
    host.wait(11)
    link, _ = host.link(VILLAGE)
    host.hear(link, feed.segment(0, 2))
    host.wait(5)
    restored_store = SqlStore.open(template=host.store.image())  # type: ignore[attr-defined]
    mark.replaced = True
    restored = Host(TOWN, store=restored_store, mark=mark)
    assert restored.engine.state == "recovering"
    feed.put_many(3)
    link, _ = restored.link(VILLAGE)
    restored.hear(link, feed.segment(2, 5))
    restored.wait(15)
    cosigned = restored.engine.replica.feeds[feed.origin].cosigned
    assert cosigned is None or cosigned.size <= 2
    assert restored.engine.state == "recovering", "the county has not been heard"
    restored.link(COUNTY)
    restored.wait(15)
    assert restored.engine.state == "live"
    assert not mark.replaced
