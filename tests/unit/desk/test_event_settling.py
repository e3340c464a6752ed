"""A village's node settles what its town settled: once, whole, and never over a later reopening.

The village may be away, be restarted, lose its tables or write the event itself at that moment.
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
from huying.node import background
from huying.node.app import SERVICES
from huying.node.events import event_keeper, later_ends
from huying.node.events.event_ends import reopened_event, settled_by_town, settled_event
from huying.node.services import event_component
from huying.wire.v1 import api_pb2, records_pb2
from tests.support.late_network import refusal
from tests.support.tiny_network import COUNTY, TOWN, VILLAGE, identity, put
from tests.unit.desk.event_network import (
    ENDED,
    EVENT,
    HANDLING,
    OTHER,
    PHONE,
    REPORTED,
    SETTLED,
    EventNetwork,
    handling,
    version,
)


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Iterator[EventNetwork]:
    made = EventNetwork(monkeypatch)
    yield made
    made.close()


def test_a_restart_and_a_word_that_comes_again_settle_nothing_twice(network: EventNetwork) -> None:
    """And a settled event that the village opened again stays open until the town's next word."""
    record = network.report()
    network.say(record, SETTLED, "已修")
    assert network.settle() == 1
    word = network.row(record)
    assert word is not None
    request_id = event_keeper.acted_request(word.origin, word.index, record)
    written = network.stores[VILLAGE].request(request_id)
    assert written == (identity(VILLAGE).origin, network.size() - 1, record)
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
    drafts = [put(EVENT, version(network, record, status), record) for status in (ENDED, REPORTED)]
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
        [Append(object(), (put(EVENT, version(network, record, REPORTED), record),))]
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
        "huying.node.events.event_keeper.settled_by_town",
        lambda event, done, now: (
            records_pb2.Event() if not network.said else settled_by_town(event, done, now)
        ),
    )
    assert network.settle() == 1
    assert network.said == ["event_not_settled", "event_settled_by_town"]
    assert network.event(wrong).status == REPORTED


def test_an_event_of_which_a_part_is_lost_at_home_is_left_to_a_person(
    network: EventNetwork,
) -> None:
    """Written back by the program it would be lost for good, and look as if it never was."""
    record = network.report()
    network.say(record, SETTLED, "已修")
    with network.stores[VILLAGE].reading() as connection:
        (slots,) = connection.exec_driver_sql("SELECT slots FROM events").one()
        lost = slots[:-1] + bytes((api_pb2.SLOT_STATE_WITHHELD,))
        connection.exec_driver_sql("UPDATE events SET slots = ?", (lost,))
    size = network.size()
    assert network.settle() == 0
    assert network.size() == size
    assert network.said == ["event_not_settled"]


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


def test_a_word_that_comes_before_the_event_is_back_is_acted_on_then(
    network: EventNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a village gets its own feed back from its town, the town's words come as well."""
    record = network.report()
    word = handling(record, version_index=network.size())  # a version that is not back yet
    network.append(TOWN, put(HANDLING, word, record, (f"={VILLAGE}",)))

    def recovering(_engine: Any) -> None:
        raise HuyingError(Code.RECOVERING, VILLAGE)

    with monkeypatch.context() as patch:
        patch.setattr(event_keeper, "check_may_write", recovering)
        assert refusal(network.settle).code is Code.RECOVERING
    network.report(record=record)
    assert network.settle() == 1
    assert network.event(record).status == ENDED


def test_a_town_that_counts_from_one_again_is_heard(network: EventNetwork) -> None:
    """Its feed was lost and begun anew, so it knows nothing of its earlier words."""
    record = network.report()
    for index in (0, 2):
        word = handling(record, number=1, version_index=index)
        network.append(TOWN, put(HANDLING, word, record, (f"={VILLAGE}",)))
        assert network.settle() == 1
        network.report(record=record)


def test_an_event_whose_past_cannot_be_read_does_not_hold_up_the_others(
    network: EventNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One damaged entry, and no end of any event would be written again."""
    first, second = network.report(), network.report()
    for record in (first, second):
        network.say(record, SETTLED, "已修")
    wrong, since = min(first, second), later_ends.LaterEnds.since

    def damaged(self: Any, reader: Any, row: Any, word: Any) -> bool | None:
        if row.record == wrong:
            raise HuyingError(Code.CORRUPT, "a stored event does not parse")
        return since(self, reader, row, word)

    monkeypatch.setattr(later_ends.LaterEnds, "since", damaged)
    assert network.settle() == 1
    assert network.said == ["event_not_settled", "event_settled_by_town"]


def test_the_component_acts_when_a_word_arrives_and_survives_a_refusal(
    network: EventNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is woken by what comes in, looks once at its start, and goes on after a fault."""
    monkeypatch.setattr(event_keeper, "GATHER_SECONDS", 0.0)
    monkeypatch.setattr(event_keeper, "RETRY_SECONDS", 0.0)
    monkeypatch.setattr(background, "AGAIN_SECONDS", 0.0)
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
    assert network.said.count("events_wait") == network.said.count("part_failed") == 1


def test_just_a_village_runs_the_component() -> None:
    """A town's or a county's node has no event that a town above it settles."""
    for code, runs in ((COUNTY, False), (TOWN, False), (VILLAGE, True)):
        config = SimpleNamespace(node=SimpleNamespace(code=code))
        node: Any = SimpleNamespace(config=config, reader=None, runtime=None)
        assert (event_component(node) is not None) is runs
    assert event_component in SERVICES


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


@pytest.mark.parametrize("taken", [3000, 3990, 3993, 3994, 4000])
def test_a_town_that_fills_the_text_leaves_nobody_unable_to_open_the_event_again(
    taken: int,
) -> None:
    """The village has the last word on its own event, whether or not a reason still fits in."""
    event = records_pb2.Event(description_full="报" * taken, description_public="报" * taken)
    after = reopened_event(settled_by_town(event, "已修" * 1000, 5.0), "没修")
    assert (after.status, after.settled_micros) == (REPORTED, 0)
    assert len(after.description_full) <= TEXT_CHARACTERS_MAX


def test_a_reason_that_may_be_shorter_is_asked_for_again() -> None:
    """What a person says is not cut behind their back."""
    event = records_pb2.Event(description_full="报" * 3990)
    assert reopened_event(event, "没修").description_full.endswith("\n重新打开:没修")
    with pytest.raises(HuyingError) as caught:
        reopened_event(event, "没修好没修好")
    assert caught.value.code is Code.INVALID_ARGUMENT


def test_a_person_of_the_village_is_asked_to_say_less() -> None:
    """They can; and a number in their words stays in the village."""
    event = records_pb2.Event(description_full="报", description_public="报")
    after = settled_event(event, f"打 {PHONE}", 1.0)
    assert after.description_full == f"报\n办结:打 {PHONE}"
    assert after.description_public == "报\n办结:打 〔手机号〕"
    with pytest.raises(HuyingError) as caught:
        settled_event(event, "长" * TEXT_CHARACTERS_MAX, 1.0)
    assert caught.value.code is Code.INVALID_ARGUMENT
