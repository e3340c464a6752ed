"""An engine's own writing: its limits, its mark, and a store that fails."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import pytest

from huying.common.effects import Append, DraftEntry, Drain, Received
from huying.common.errors import Code, HuyingError
from huying.common.limits import ENTRY_BYTES_MAX
from huying.node.store.store import SqlStore
from huying.wire.v1 import calls_pb2, feed_pb2, records_pb2, sync_pb2
from tests.support.handmade import HandmadeFeed, Host, an_event, of_kind
from tests.support.tiny_network import COUNTY, TOWN, VILLAGE, MemoryMark
from tests.unit.engine.engine_cases import event_town, events, offer

# Writing.


def test_an_entry_over_16_kib_is_refused_where_it_is_written_and_names_the_limit(
    host: Host,
) -> None:
    """Whoever writes too much learns how much is allowed; nothing of the batch is written."""
    big = records_pb2.Event()
    big.CopyFrom(an_event())
    big.description_full = "长" * 4000
    big.description_public = "长" * 4000
    draft = DraftEntry(feed_pb2.KIND_PUT, feed_pb2.RECORD_TYPE_EVENT, big)
    before = host.engine.replica.own.size
    host.wait(11)
    answer = host.write(event_town(), draft)
    assert answer.error is not None
    assert answer.error.code is Code.ENTRY_TOO_LARGE
    assert str(ENTRY_BYTES_MAX) in answer.error.detail
    assert "draft 1" in answer.error.detail
    assert host.engine.replica.own.size <= before + 1  # the member entry alone
    assert host.write(event_town()).error is None


def test_a_request_written_before_gets_the_same_receipt_and_no_second_entry(host: Host) -> None:
    """Also within one batch, and after a restart."""
    host.link(COUNTY)
    draft = DraftEntry(
        feed_pb2.KIND_PUT, feed_pb2.RECORD_TYPE_EVENT, an_event(), request_id=b"r" * 16
    )
    first = host.write(draft, draft)
    size = host.engine.replica.own.size
    again = Host(TOWN, store=host.store, mark=host.mark)
    again.link(COUNTY)
    second = again.write(draft)
    assert [r.repeated for r in (*first.receipts, *second.receipts)] == [False, True, True]
    assert len({(r.index, r.record) for r in (*first.receipts, *second.receipts)}) == 1
    assert again.engine.replica.own.size == size


def test_writing_waits_until_the_parent_was_heard_or_could_not_be(host: Host) -> None:
    """A restored node asks first what others hold of its feed."""
    host.step(Append("early", (event_town(),)))
    assert not host.appended
    host.wait(9)
    assert not host.appended
    host.wait(2)
    assert [answer.token for answer in host.appended] == ["early"]
    linked = Host(TOWN)
    linked.step(Append("early", (event_town(),)))
    linked.link(COUNTY)
    assert [answer.token for answer in linked.appended] == ["early"]


def test_a_store_behind_its_mark_is_not_written_to(feed: HandmadeFeed) -> None:
    """A restored backup must not sign what was signed before; it follows and relays."""
    mark = MemoryMark(f"wenshang.example/feed/{TOWN}/e1")
    mark.write(f"wenshang.example/feed/{TOWN}/e1", 5, bytes(32))
    host = Host(TOWN, mark=mark)
    assert host.engine.state == "recovering"
    assert Code.RECOVERING in host.codes()
    answer = host.write(event_town())
    assert answer.error is not None
    assert answer.error.code is Code.RECOVERING
    link, _ = host.link(VILLAGE)
    host.hear(link, offer(feed, 0, 8))
    assert host.size(feed) == 8
    assert mark.read() == (f"wenshang.example/feed/{TOWN}/e1", 5, bytes(32))


def test_the_mark_is_written_after_the_commit_and_before_anything_leaves() -> None:
    """In any other order a crash leaves something outside that the node does not remember."""
    order: list[str] = []

    class Mark(MemoryMark):
        def write(self, origin: str, size: int, root: bytes) -> None:
            assert store.feed(origin).size >= size if size else True  # type: ignore[union-attr]
            order.append(f"mark {size}")
            super().write(origin, size, root)

    store = SqlStore.open()
    host = Host(COUNTY, store=store, mark=Mark(f"wenshang.example/feed/{COUNTY}/e1"))
    host.link(TOWN)
    order.clear()
    effects = host.engine.step([Append("x", (division(),))])
    assert order == [f"mark {host.engine.replica.own.size}"]
    assert effects


def division() -> DraftEntry:
    message = records_pb2.Division(code=COUNTY, name="汶上县")
    return DraftEntry(feed_pb2.KIND_PUT, feed_pb2.RECORD_TYPE_DIVISION, message)


def test_a_draining_node_says_goodbye_and_refuses_to_write(host: Host) -> None:
    """A stop loses nothing and answers everybody."""
    link, _ = host.link(COUNTY)
    sent = host.step(Drain(1.5))
    (frame,) = of_kind([frame for to, frame in sent if to == link], "drain")
    assert frame.drain.retry_after_milliseconds == 1500
    answer = host.write(event_town())
    assert answer.error is not None
    assert answer.error.code is Code.DRAINING


# Our own faults.


class FaultyStore:
    """A store whose named method fails, when told to, after it was called so often."""

    def __init__(self, inner: SqlStore) -> None:
        self.inner = inner
        self.fails: dict[str, Exception] = {}

    def __getattr__(self, name: str):
        failure = self.fails.get(name)
        if failure is None:
            return getattr(self.inner, name)

        def fail(*args: object) -> None:
            raise failure

        return fail


@contextlib.contextmanager
def failing(store: FaultyStore, method: str, error: Exception) -> Iterator[None]:
    store.fails[method] = error
    yield
    store.fails.clear()


WRITES = ["add_entries", "add_subtrees", "put_checkpoint", "put_feed", "apply"]


@pytest.mark.parametrize("method", WRITES)
def test_a_store_that_fails_in_mid_segment_leaves_nothing_half_written(
    feed: HandmadeFeed, method: str
) -> None:
    """It is never answered as the peer's fault, and a retry finds the store as it was."""
    store = FaultyStore(SqlStore.open())
    host = Host(TOWN, store=store)
    link, _ = host.link(VILLAGE)
    host.hear(link, offer(feed, 0, 2, size=2))
    before = store.inner.feeds(), store.inner.entries(2, 0, 99), store.inner.entries(1, 0, 99)
    with (
        failing(store, method, HuyingError(Code.STORE_FAILED, "disk")),
        pytest.raises(HuyingError) as caught,
    ):
        host.hear(link, offer(feed, 2, 8))
    assert caught.value.code is Code.STORE_FAILED
    after = store.inner.feeds(), store.inner.entries(2, 0, 99), store.inner.entries(1, 0, 99)
    assert after == before
    again = Host(TOWN, store=store, mark=host.mark)
    link, _ = again.link(VILLAGE)
    again.hear(link, offer(feed, 2, 8))
    assert again.size(feed) == 8
    assert len(events(again)) == 8


@pytest.mark.parametrize("method", ["add_request", *WRITES])
def test_a_full_disk_answers_everybody_who_waits_and_the_node_goes_on(method: str) -> None:
    """Nothing half written, nobody left without an answer, the same request counted once."""
    store = FaultyStore(SqlStore.open())
    host = Host(TOWN, store=store)
    draft = DraftEntry(
        feed_pb2.KIND_PUT, feed_pb2.RECORD_TYPE_EVENT, an_event(), request_id=b"r" * 16
    )
    host.step(Append("waiting", (draft,)))
    with failing(store, method, HuyingError(Code.DISK_FULL, "full")):
        host.wait(11)
    assert [(a.token, a.error.code if a.error else None) for a in host.appended] == [
        ("waiting", Code.DISK_FULL)
    ]
    answer = host.write(draft)
    assert answer.error is None
    assert not answer.receipts[0].repeated
    assert events(host) == {"event 0"}
    (durable,) = store.inner.feeds()
    assert durable == host.engine.replica.own, "memory and database disagree"
    assert answer.receipts[0].index == 0
    # The roster's own entry waited for room, too, and was not forgotten.
    assert len(store.inner.entries(1, 0, 99)) == durable.size == 2


def test_a_fault_of_our_own_costs_its_input_alone(
    host: Host, feed: HandmadeFeed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A defect met by one frame must not take the others of its batch, or the node, with it."""
    link, _ = host.link(VILLAGE)
    honest = host.engine.replica.receive

    def receive(segment):
        if segment.start == 3:
            raise ZeroDivisionError
        return honest(segment)

    monkeypatch.setattr(host.engine.replica, "receive", receive)
    host.wait(11)
    host.step(
        Received(link, sync_pb2.Frame(segment=offer(feed, 0, 3, size=3)).SerializeToString()),
        Append("test", (event_town(),)),
        Received(link, sync_pb2.Frame(segment=offer(feed, 3, 8)).SerializeToString()),
    )
    assert host.appended[-1].error is None
    assert len(host.appended) == 1
    assert host.size(feed) == 3
    (fault,) = [alarm for alarm in host.alarms if alarm.fault]
    assert fault.code is Code.UNKNOWN
    monkeypatch.undo()
    link, _ = host.link(VILLAGE)
    host.hear(link, offer(feed, 3, 8))
    assert host.size(feed) == 8


def test_a_took_that_cannot_be_written_is_an_alarm_and_stops_nothing() -> None:
    """A proposal can't take the county down, nor keep the other proposals waiting."""
    bad = calls_pb2.CallStep(call=b"short", caller=TOWN)
    good = calls_pb2.CallStep(call=b"c" * 16, caller=TOWN, internal_note="note")

    class Sequencer:
        def __init__(self) -> None:
            self.steps = [bad, good]

        def take(self, limit: int) -> list[DraftEntry]:
            made, self.steps = self.steps, []
            return [
                DraftEntry(feed_pb2.KIND_STEP, feed_pb2.RECORD_TYPE_CALL_STEP, step)
                for step in made
            ]

        def complete(
            self, draft: DraftEntry, before: Sequence[DraftEntry] = ()
        ) -> Sequence[DraftEntry]:
            return (draft,)

    host = Host(COUNTY, sequencer=Sequencer())
    host.link(TOWN)  # whom a root asks what has left it
    assert Code.INVALID_ARGUMENT in host.codes()
    assert host.engine.replica.own.size == 2  # the member, and the step that can be written
