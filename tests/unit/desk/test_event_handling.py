"""A town handles a village's event: who may say what when, who reads it, and that it counts once.

The event stays the village's record, so the town's word must neither overwrite what the town can't
see nor undo what the village wrote after it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from huying.common.errors import Code
from huying.common.limits import TEXT_CHARACTERS_MAX
from tests.support.late_network import refusal
from tests.support.tiny_network import COUNTY, TOWN, VILLAGE
from tests.unit.desk.event_network import (
    ASSIGNED,
    CALLED,
    ENDED,
    FAR,
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
    assert network.stores[COUNTY].event_handlings([(VILLAGE, far), (FAR, first)]) == {}
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
    values: dict[str, Any] = {"record": network.report(), "status": TAKEN} | fields
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
