"""A town handles a village's event: who may say what when, who reads it, and that it counts once.

The event stays the village's record, so the town's word must neither overwrite what the town can't
see nor undo what the village wrote after it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from huying.common.effects import Append
from huying.common.errors import Code, HuyingError
from huying.common.limits import TEXT_CHARACTERS_MAX
from huying.node import event_keeper
from huying.node.app import SERVICES
from huying.node.event_ends import settled_by_town, settled_event
from huying.node.integrity.fsck import check
from huying.node.services import event_component
from huying.node.store.projection_rebuild import rebuild
from huying.node.store.store import SqlStore
from huying.wire.v1 import events_pb2, records_pb2
from tests.support.handmade import HandmadeFeed, Host
from tests.support.late_network import refusal
from tests.support.tiny_network import COUNTY, TOWN, VILLAGE, identity, put
from tests.unit.desk.event_network import (
    ASSIGNED,
    CALLED,
    ENDED,
    EVENT,
    EVERYBODY,
    FAR,
    HANDLING,
    OTHER,
    PHONE,
    REPORTED,
    SECOND_TOWN,
    SETTLED,
    TAKEN,
    EventNetwork,
)


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Iterator[EventNetwork]:
    made = EventNetwork(monkeypatch)
    yield made
    made.close()


# --- the whole way ----------------------------------------------------------------------------


def test_a_town_assigns_takes_and_settles_and_the_village_writes_the_end(
    network: EventNetwork,
) -> None:
    """Nothing of the event that the town can't see is lost by its settling."""
    record = network.report()
    assigned = network.say(record, ASSIGNED, "请村里先看一看")
    assert (assigned.handling.handling.number, assigned.unchanged) == (1, False)
    assert assigned.handling.home == TOWN
    taken = network.say(record, TAKEN)
    assert taken.handling.handling.number == 2
    assert network.settle() == 0
    settled = network.say(record, SETTLED, f"已换灯泡,师傅 {PHONE}")
    assert settled.masked
    assert PHONE not in settled.handling.handling.text
    assert network.event(record).status == REPORTED
    assert network.settle() == 1
    event = network.event(record)
    assert (event.status, event.reporter_phone) == (ENDED, PHONE)
    assert event.settled_micros > 0
    assert event.description_full == f"路灯不亮 {PHONE}\n镇办结:已换灯泡,师傅 〔手机号〕"
    assert event.description_public == "路灯不亮 〔手机号〕\n镇办结:已换灯泡,师傅 〔手机号〕"
    at_town = network.event(record, at=TOWN)
    assert (at_town.status, at_town.reporter_phone) == (ENDED, "")
    assert network.said == ["event_settled_by_town"]


def test_the_village_and_those_above_read_the_word_and_nobody_else(network: EventNetwork) -> None:
    """A sibling village and another town hold not a byte of what was said."""
    record = network.report()
    network.say(record, ASSIGNED, "只给义桥村看的话")
    for code in (COUNTY, TOWN, VILLAGE):
        found = network.word(record, at=code)
        assert found is not None
        assert found.text == "只给义桥村看的话"
    for code in (OTHER, SECOND_TOWN, FAR):
        assert network.row(record, at=code) is None
        with network.stores[code].reading() as connection:
            rows = connection.exec_driver_sql("SELECT openings FROM entries").fetchall()
        assert not any("只给义桥村看的话".encode() in row[0] for row in rows if row[0])


def test_a_page_of_events_asks_for_its_words_at_once(network: EventNetwork) -> None:
    """By the event's home and id: the same id at another village is another event."""
    first, second = network.report(), network.report()
    far = network.report(FAR)
    network.say(first, TAKEN)
    network.say(far, ASSIGNED, "去看", at=SECOND_TOWN, home=FAR)
    keys = [(VILLAGE, first), (VILLAGE, second), (FAR, far), (OTHER, first), (FAR, first)]
    found = network.stores[COUNTY].event_handlings(keys)
    assert {key: row.handling.status for key, row in found.items()} == {
        (VILLAGE, first): TAKEN,
        (FAR, far): ASSIGNED,
    }
    assert found[FAR, far].home == SECOND_TOWN
    assert network.stores[COUNTY].event_handlings([]) == {}


# --- who may say what when --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at", "home"),
    [(COUNTY, VILLAGE), (VILLAGE, VILLAGE), (OTHER, VILLAGE), (SECOND_TOWN, VILLAGE), (TOWN, TOWN)],
)
def test_nobody_but_the_town_above_may_handle_it(network: EventNetwork, at: str, home: str) -> None:
    """The county sees the event, and its own desk is the call; another town is none of its own."""
    record = network.report()
    size = network.size(at)
    error = refusal(lambda: network.say(record, TAKEN, at=at, home=home))
    assert error.code is Code.NOT_A_PARTY
    assert network.size(at) == size


@pytest.mark.parametrize(
    ("fields", "code", "says"),
    [
        ({"record": b"\x07" * 16}, Code.NOT_FOUND, "no event"),
        ({"record": b"short"}, Code.INVALID_ARGUMENT, "record"),
        ({"home": "1"}, Code.INVALID_ARGUMENT, "home"),
        ({"status": 0, "text": "说"}, Code.INVALID_ARGUMENT, "status"),
        ({"status": 9, "text": "说"}, Code.INVALID_ARGUMENT, "status"),
        ({"status": SETTLED, "text": "  "}, Code.INVALID_ARGUMENT, "text"),
        ({"status": ASSIGNED}, Code.INVALID_ARGUMENT, "text"),
        ({"text": "长" * (TEXT_CHARACTERS_MAX + 1)}, Code.INVALID_ARGUMENT, "text"),
        ({"request_id": b"short"}, Code.INVALID_ARGUMENT, "request_id"),
        ({"seen_number": 1}, Code.WRONG_STAGE, "seen_number"),
    ],
)
def test_a_word_that_cannot_stand_is_refused_and_nothing_is_written(
    network: EventNetwork, fields: dict[str, Any], code: Code, says: str
) -> None:
    """What was done, and what is to be done, must be said in words."""
    values = {"record": network.report(), "status": TAKEN} | fields
    size = network.size(TOWN)
    error = refusal(lambda: network.say(values.pop("record"), values.pop("status"), **values))
    assert error.code is code
    assert says in error.detail
    assert network.size(TOWN) == size


def test_of_two_who_write_at_once_the_second_is_told(network: EventNetwork) -> None:
    """Each saw the event without a word; the first one's is not covered up unread."""
    record = network.report()
    network.say(record, TAKEN)
    error = refusal(lambda: network.say(record, ASSIGNED, "去看", seen_number=0))
    assert error.code is Code.WRONG_STAGE
    assert network.word(record, at=TOWN) is not None
    assert network.say(record, TAKEN, seen_number=0).unchanged


def test_a_request_that_is_sent_again_is_written_once(network: EventNetwork) -> None:
    """Also after another word came; and its id serves for nothing else."""
    record, other, request = network.report(), network.report(), b"\x05" * 16
    network.say(record, ASSIGNED, "去看", request_id=request)
    size = network.size(TOWN)
    again = network.say(record, ASSIGNED, "去看", request_id=request, seen_number=0)
    assert (again.handling.handling.number, again.unchanged) == (1, False)
    network.say(record, TAKEN)
    again = network.say(record, ASSIGNED, "去看", request_id=request, seen_number=0)
    assert again.handling.handling.status == TAKEN
    assert network.size(TOWN) == size + 1
    error = refusal(lambda: network.say(other, TAKEN, request_id=request))
    assert error.code is Code.INVALID_ARGUMENT
    assert network.say(record, TAKEN).unchanged


def test_what_the_village_settled_itself_is_not_handled(network: EventNetwork) -> None:
    """There is nothing to do; opened again, there is."""
    record = network.report(status=ENDED)
    error = refusal(lambda: network.say(record, TAKEN))
    assert error.code is Code.WRONG_STAGE
    network.report(record=record)
    assert network.say(record, TAKEN).handling.handling.number == 1


def test_after_the_town_settled_just_its_words_may_be_corrected(network: EventNetwork) -> None:
    """Before the village's node heard of it, and after; the event is settled once."""
    record = network.report()
    network.say(record, SETTLED, "已修")
    for status, text in ((TAKEN, ""), (ASSIGNED, "去看")):
        error = refusal(lambda s=status, t=text: network.say(record, s, t))
        assert error.code is Code.WRONG_STAGE
        assert "settled" in error.detail
    assert network.say(record, SETTLED, "已修好").handling.handling.number == 2
    assert network.settle() == 1
    assert network.event(record).description_full.endswith("\n镇办结:已修好")
    error = refusal(lambda: network.say(record, TAKEN))
    assert error.code is Code.WRONG_STAGE
    assert network.say(record, SETTLED, "已修好,换了灯").handling.handling.number == 3
    assert network.settle() == 0
    assert network.event(record).description_full.count("镇办结") == 1


def test_a_village_may_correct_its_report_before_it_hears_of_the_end(network: EventNetwork) -> None:
    """A version more is no reopening: the village's node settles that one, too."""
    record = network.report()
    network.away.add(VILLAGE)
    network.say(record, SETTLED, "已修")
    network.away.clear()
    network.run()
    network.report(record=record, description_full="两盏路灯不亮", status=CALLED)
    assert refusal(lambda: network.say(record, TAKEN)).code is Code.WRONG_STAGE
    assert network.settle() == 1
    assert network.event(record).description_full == "两盏路灯不亮\n镇办结:已修"


# --- once, whatever happens -------------------------------------------------------------------


def test_a_restart_and_a_word_that_comes_again_settle_nothing_twice(network: EventNetwork) -> None:
    """And a settled event that the village opened again stays open until the town's next word."""
    record = network.report()
    network.say(record, SETTLED, "已修")
    assert network.settle() == 1
    size = network.size()
    network.settlers[VILLAGE] = network.settler(VILLAGE)
    assert network.settle() == 0
    network.report(record=record, description_full="又坏了")
    for _ in range(2):
        network.settlers[VILLAGE] = network.settler(VILLAGE)
        assert network.settle() == 0
    assert network.size() == size + 1
    assert network.event(record).status == REPORTED
    network.say(record, SETTLED, "又修好了")
    assert network.settle() == 1
    assert network.event(record).description_full == "又坏了\n镇办结:又修好了"


def test_the_feed_alone_tells_what_was_acted_on(network: EventNetwork) -> None:
    """A store made anew from the neighbours' copies has no request ids, and undoes nothing."""
    record = network.report()
    network.say(record, SETTLED, "已修")
    network.settle()
    network.report(record=record)
    with network.stores[VILLAGE].reading() as connection:
        connection.exec_driver_sql("DELETE FROM requests")
    network.settlers[VILLAGE] = network.settler(VILLAGE)
    assert network.settle() == 0
    assert network.event(record).status == REPORTED


def test_a_village_that_was_away_keeps_what_it_settled_and_opened_again(
    network: EventNetwork,
) -> None:
    """The town's word knew of neither: whenever it arrives, the village's reopening stands."""
    record = network.report()
    network.away.add(VILLAGE)
    network.say(record, SETTLED, "已修")
    drafts = [put(EVENT, _version(network, record, status), record) for status in (ENDED, REPORTED)]
    network.engines[VILLAGE].step([Append(object(), tuple(drafts))])
    network.away.clear()
    network.run()
    network.report(OTHER)  # what the village wrote aside travels with what comes next
    assert network.word(record) is not None
    assert network.settle() == 0
    assert network.event(record).status == REPORTED


def test_words_that_are_corrected_do_not_undo_a_reopening_that_they_did_not_see(
    network: EventNetwork,
) -> None:
    """The town corrects what it said of an end; the village, unheard, opened the event again."""
    record = network.report()
    network.say(record, SETTLED, "已修")
    network.settle()
    network.away.add(TOWN)
    network.engines[VILLAGE].step(
        [Append(object(), (put(EVENT, _version(network, record, REPORTED), record),))]
    )
    network.away.clear()
    assert network.event(record, at=TOWN).status == ENDED
    network.say(record, SETTLED, "已修好")
    network.run()
    assert network.settle() == 0
    assert network.event(record).status == REPORTED


def test_a_reopened_event_may_be_settled_with_the_same_words(network: EventNetwork) -> None:
    """The same sentence about another repair is another word."""
    record = network.report()
    network.say(record, SETTLED, "已修")
    network.settle()
    network.report(record=record)
    assert not network.say(record, SETTLED, "已修").unchanged
    assert network.settle() == 1


def test_a_deleted_event_is_not_brought_back(network: EventNetwork) -> None:
    """Nor one that was deleted and reported again under its id."""
    record = network.report()
    network.say(record, SETTLED, "已修")
    network.drop(record)
    assert network.settle() == 0
    network.report(record=record)
    network.settlers[VILLAGE] = network.settler(VILLAGE)
    assert network.settle() == 0


def test_a_villager_who_writes_in_between_loses_nothing(network: EventNetwork) -> None:
    """The version is made again from what stands then; whoever settled first stays first."""
    first, second = network.report(), network.report()
    network.say(first, SETTLED, "已修")
    network.runtimes[VILLAGE].between.append(
        lambda: network.report(record=first, description_full="改过的话")
    )
    assert network.settle() == 1
    assert network.event(first).description_full == "改过的话\n镇办结:已修"
    network.say(second, SETTLED, "已修")
    network.runtimes[VILLAGE].between.append(
        lambda: network.report(record=second, status=ENDED, description_full="村里办的")
    )
    assert network.settle() == 0
    assert network.event(second).description_full == "村里办的"


def test_one_event_that_cannot_be_written_does_not_hold_up_the_others(
    network: EventNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is said in the log, without a word of the event."""
    first, second = network.report(), network.report()
    for record in (first, second):
        network.say(record, SETTLED, "已修")
    wrong = min(first, second)
    monkeypatch.setattr(
        "huying.node.event_keeper.settled_by_town",
        lambda event, done, now: (
            records_pb2.Event() if not network.said else settled_by_town(event, done, now)
        ),
    )
    assert network.settle() == 1
    assert network.said == ["event_not_settled", "event_settled_by_town"]
    assert network.event(wrong).status == REPORTED


def test_a_node_that_may_not_write_yet_settles_later(network: EventNetwork) -> None:
    """Nothing is marked as done that was not."""
    record = network.report()
    network.say(record, SETTLED, "已修")

    def away() -> None:
        raise HuyingError(Code.BUSY, "the parent has not confirmed")

    network.runtimes[VILLAGE].between.append(away)
    assert refusal(network.settle).code is Code.BUSY
    assert network.settle() == 1
    assert network.event(record).status == ENDED


def test_the_component_acts_when_a_word_arrives_and_survives_a_refusal(
    network: EventNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is woken by what comes in, looks once at its start, and goes on after a fault."""
    monkeypatch.setattr(event_keeper, "GATHER_SECONDS", 0.0)
    monkeypatch.setattr(event_keeper, "RETRY_SECONDS", 0.0)
    first, second, third = network.report(), network.report(), network.report()
    network.say(first, SETTLED, "已修")

    def fail(error: Exception) -> None:
        raise error

    async def until_settled(record: bytes) -> None:
        async with asyncio.timeout(20):
            while network.event(record).status != ENDED:  # noqa: ASYNC110  # a row in a store
                await asyncio.sleep(0)

    async def serve() -> None:
        node: Any = SimpleNamespace(
            **vars(network.desks[VILLAGE]), clock=network.engines[VILLAGE].clock
        )
        keeper = event_keeper.EventKeeper(node)
        await keeper.start()
        await until_settled(first)
        await network.saying(second, SETTLED, "已修")
        await until_settled(second)
        for error in (HuyingError(Code.RECOVERING, VILLAGE), ValueError("a defect")):
            network.runtimes[VILLAGE].between.append(lambda e=error: fail(e))
        await network.saying(third, SETTLED, "已修")
        await until_settled(third)
        await keeper.stop()

    asyncio.run(serve())
    assert network.said.count("event_settled_by_town") == 3
    assert network.said.count("events_wait") == 2


def test_just_a_village_runs_the_component() -> None:
    """A town's or a county's node has no event that a town above it settles."""
    for code, runs in ((COUNTY, False), (TOWN, False), (VILLAGE, True)):
        config = SimpleNamespace(node=SimpleNamespace(code=code))
        node: Any = SimpleNamespace(config=config, reader=None, runtime=None)
        assert (event_component(node) is not None) is runs
    assert event_component in SERVICES


# --- others' entries --------------------------------------------------------------------------


def _handling(record: bytes, **fields: Any) -> events_pb2.EventHandling:
    values = {
        "event": record, "event_home": VILLAGE, "status": SETTLED, "text": "已修", "number": 1,
        "version_origin": identity(VILLAGE).origin,
    } | fields  # fmt: skip
    return events_pb2.EventHandling(**values)


def _version(network: EventNetwork, record: bytes, status: int) -> records_pb2.Event:
    event = records_pb2.Event()
    event.CopyFrom(network.event(record))
    event.status = status  # type: ignore[assignment]
    return event


RECORD = b"\x01" * 16


@pytest.mark.parametrize(
    ("writer", "fields", "code"),
    [
        (COUNTY, {}, Code.TYPE_NOT_ALLOWED),
        (TOWN, {"event_home": FAR}, Code.WRONG_REGION),
        (TOWN, {"event_home": TOWN}, Code.WRONG_REGION),
        (TOWN, {"event_home": COUNTY}, Code.WRONG_REGION),
        (TOWN, {"event": b"\x02" * 16}, Code.BAD_RECORD),
        (TOWN, {"event": b"short"}, Code.BAD_RECORD),
        (TOWN, {"version_index": 2**64 - 1}, Code.BAD_RECORD),
    ],
)
def test_a_hostile_word_is_quarantined(writer: str, fields: dict[str, Any], code: Code) -> None:
    """At the village, whoever above it wrote it: no row, no end of an event."""
    store = SqlStore.open()
    host, feed = Host(VILLAGE, store=store), HandmadeFeed(writer)
    message = _handling(RECORD, **fields)
    # As at any tier that may write it, where the writer may not.
    bodies = [(0x83, message.SerializeToString())]
    feed.put(message, type_=HANDLING, record=RECORD, to=(f"={VILLAGE}",), bodies=bodies)
    link, _ = host.link(TOWN)
    host.hear(link, feed.segment(0, 1))
    assert host.size(feed) == 1
    held = host.engine.replica.feeds[feed.origin]
    assert [row[1] for row in host.store.quarantined(held.feed_id, 0, 1)] == [code]
    assert store.event_handling(VILLAGE, RECORD) is None


def test_a_word_that_names_no_version_of_the_event_settles_nothing(network: EventNetwork) -> None:
    """A place that is yet to come would undo every reopening that follows."""
    record, other = network.report(), network.report()
    places = [
        {"version_index": 10_000},
        {"version_origin": identity(TOWN).origin},
        {"version_origin": "not an origin"},
        {"version_index": network.size() - 1},  # the other event's
    ]
    for number, place in enumerate(places, 1):
        draft = put(HANDLING, _handling(record, number=number, **place), record, (f"={VILLAGE}",))
        network.append(TOWN, draft)
        assert network.settle() == 0
    assert network.event(record).status == network.event(other).status == REPORTED


def test_the_id_of_a_siblings_event_serves_nobody(network: EventNetwork) -> None:
    """A village that reports another one's id can't push the town's word about that aside."""
    record = network.report()
    network.say(record, ASSIGNED, "去看")
    network.report(OTHER, record)
    error = refusal(lambda: network.say(record, TAKEN, home=OTHER))
    assert error.code is Code.INVALID_ARGUMENT
    found = network.word(record, at=COUNTY)
    assert found is not None
    assert found.text == "去看"


def test_the_table_is_the_same_when_it_is_made_again_from_the_entries(
    network: EventNetwork,
) -> None:
    """A repair of a store loses no word, and the check of a store sees one that was altered."""
    first, second = network.report(), network.report()
    network.say(first, TAKEN)
    network.say(second, SETTLED, "已修")
    network.settle()
    for code in EVERYBODY:
        store = network.stores[code]
        keys = [(VILLAGE, first), (VILLAGE, second)]
        before = store.event_handlings(keys)
        assert len(before) == (2 if code in (COUNTY, TOWN, VILLAGE) else 0)
        with store.transaction():
            rebuild(store)
        assert store.event_handlings(keys) == before
        assert check(store).problems == []
    town = network.stores[TOWN]
    with town.reading() as connection:
        connection.exec_driver_sql("UPDATE event_handlings SET number = 7")
    assert any("event_handlings" in str(one) for one in check(town).problems)


# --- the words --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("taken", "added"),
    [
        (0, "镇办结:已修已修"),
        (3991, "\n镇办结:已修已修"),
        (3992, "\n镇办结:已修…"),
        (3995, "\n镇办结…"),
        (3998, "\n…"),
        (3999, ""),
        (4000, ""),
    ],
)
def test_words_that_do_not_fit_in_are_cut_and_the_event_is_settled(taken: int, added: str) -> None:
    """Whoever reported at length is not left with an event that nobody can end."""
    said = "报" * taken
    event = records_pb2.Event(description_full=said, description_public=said[1:])
    after = settled_by_town(event, "已修已修", 5.0)
    assert (after.status, after.settled_micros) == (ENDED, 5_000_000)
    assert after.description_full == said + added
    assert len(after.description_full) <= TEXT_CHARACTERS_MAX
    assert after.description_public == (said[1:] + added).strip()


def test_a_person_of_the_village_is_asked_to_say_less() -> None:
    """They can; and a number in their words stays in the village."""
    event = records_pb2.Event(description_full="报", description_public="报")
    after = settled_event(event, f"打 {PHONE}", 1.0)
    assert after.description_full == f"报\n办结:打 {PHONE}"
    assert after.description_public == "报\n办结:打 〔手机号〕"
    with pytest.raises(HuyingError) as caught:
        settled_event(event, "长" * TEXT_CHARACTERS_MAX, 1.0)
    assert caught.value.code is Code.INVALID_ARGUMENT
