"""What a village answers: once, by reviewed templates, whatever is asked and whatever changes."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from huying.common.census.protection import Word
from huying.common.census.tally import tally_record
from huying.common.effects import DraftEntry
from huying.common.errors import Code
from huying.common.limits import ASK_MONTHS_MAX, ASK_REFUSALS_MAX
from huying.node.census import census_answers, census_count
from huying.node.census.census_answers import CensusAnswers
from huying.node.census.census_templates import shipped, template
from huying.node.integrity.fsck import check
from huying.wire.v1 import census_pb2, feed_pb2, records_pb2
from tests.support.late_network import CANARY, refusal
from tests.support.tiny_network import COUNTY, GRID, TOWN, VILLAGE, put
from tests.unit.desk.asking_network import (
    BANDS,
    EARLIER,
    EVENT,
    HOUSEHOLD,
    MONTH,
    RESIDENT,
    AskingNetwork,
    asking_network,
)

ADULT, OLD = "1980-01-01", "1950-01-01"


@pytest.fixture
def network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AskingNetwork]:
    with asking_network(tmp_path, monkeypatch) as made:
        yield made


def words(tally: census_pb2.Tally | None) -> dict[str, tuple[Word, int]]:
    assert tally is not None
    return {cell.key: (Word(cell.word), cell.count) for cell in tally.cells}


def test_a_question_travels_down_and_a_protected_count_comes_up(network: AskingNetwork) -> None:
    """62 adults, 23 old people, and nobody else: what leaves is 25, the rest by arithmetic."""
    network.settle_people(*[ADULT] * 62, *[OLD] * 23)
    network.wait(130.0)
    response = network.ask(COUNTY, purpose="养老服务规划")
    assert [one.state for one in response.villages] == [census_pb2.ANSWER_STATE_AWAITED]
    assert network.answer() == 1
    response = network.ask(COUNTY, purpose="养老服务规划")
    assert response.question_repeated
    assert response.universe == 85
    told = {cell.key: (cell.low, cell.high) for cell in response.cells}
    assert told["60-79"] == (23, 27)
    assert told["80+"] == (0, 12)
    assert told["18-59"][0] <= 62 <= told["18-59"][1]
    said = words(network.tally(TOWN))
    assert said["60-79"] == (Word.SAID, 25)
    assert said["80+"] == (Word.SMALL, 0)
    assert said["18-59"] == (Word.REMAINDER, 0)


def test_an_answer_is_frozen_whatever_changes_afterwards(network: AskingNetwork) -> None:
    """Asked again, by anybody, the same signed entry is the answer, and nothing is written."""
    network.settle_people(*[ADULT] * 62, *[OLD] * 23)
    network.ask(COUNTY)
    network.answer()
    before, size = network.tally(COUNTY), network.size()
    network.settle_people(*[OLD] * 40)
    grown = network.size()
    for asker in (COUNTY, TOWN):
        network.ask(asker, purpose="again")
        assert network.answer() == 0
    assert network.size() == grown
    assert network.tally(COUNTY) == before
    assert grown == size + 80


def test_a_second_component_and_a_rebuilt_projection_answer_nothing_twice(
    network: AskingNetwork,
) -> None:
    """A restart reads its own answers; where the table lost them, the request id knows."""
    network.settle_people(*[ADULT] * 62, *[OLD] * 23)
    network.ask(COUNTY)
    network.answer()
    before, size = network.tally(COUNTY), network.size()
    network.settle_people(*[OLD] * 40)
    network.stores[VILLAGE]._connection.exec_driver_sql("DELETE FROM tallies")
    network.stores[VILLAGE]._connection.commit()
    assert network.answer() == 0
    assert network.size() == size + 80
    assert network.tally(COUNTY) == before


def test_what_breaks_one_round_does_not_end_the_answers(
    network: AskingNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A village that went silent for good after one defect would look as if it were offline."""
    monkeypatch.setattr(census_answers, "GATHER_SECONDS", 0)
    rounds: list[int] = []

    async def broken_once(_self: CensusAnswers) -> int:
        rounds.append(1)
        if len(rounds) == 1:
            raise RuntimeError("a defect")
        done.set()
        return 0

    async def change(seen: int) -> int:
        await asyncio.sleep(0)
        return seen + 1

    async def follow() -> None:
        node = network.node(VILLAGE)
        node.runtime.wait_change = change
        component = CensusAnswers(node)
        await component.start()
        try:
            async with asyncio.timeout(10):
                await done.wait()
        finally:
            await component.stop()
            node.reader.close()

    done = asyncio.Event()
    monkeypatch.setattr(CensusAnswers, "run_once", broken_once)
    asyncio.run(follow())
    assert len(rounds) == 2


def test_a_register_that_hardly_changed_says_the_earlier_count_again(
    network: AskingNetwork,
) -> None:
    """Two fresh counts and one changed record would tell whose record it was."""
    network.settle_people(*[ADULT] * 62, *[OLD] * 22)
    network.ask(COUNTY, month=EARLIER)
    network.answer()
    network.settle_people(*[OLD] * 9)
    network.ask(COUNTY)
    network.answer()
    earlier, later = network.tally(COUNTY, month=EARLIER), network.tally(COUNTY)
    assert words(earlier) == words(later)
    assert later is not None
    assert (later.repeats, later.universe) == (EARLIER, 84)
    response = network.ask(COUNTY)
    assert response.villages[0].repeats == EARLIER


def test_a_register_that_changed_enough_is_counted_anew(network: AskingNetwork) -> None:
    """Otherwise answers would grow old for ever. Changes add up over the months repeated."""
    network.settle_people(*[ADULT] * 62, *[OLD] * 22)
    network.ask(COUNTY, month="2023-08")
    network.answer()
    network.settle_people(*[OLD] * 6)
    network.ask(COUNTY, month=EARLIER)
    network.answer()
    network.settle_people(*[OLD] * 6)
    network.ask(COUNTY)
    network.answer()
    assert words(network.tally(COUNTY, month=EARLIER))["60-79"] == (Word.SAID, 20)
    newest = network.tally(COUNTY)
    assert newest is not None
    assert words(newest)["60-79"] == (Word.SAID, 35)
    assert not newest.repeats


def test_nobody_has_a_thing_counted_oftener_than_templates_times_months(
    network: AskingNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Thousands of questions cost the village one look at each register, and few entries."""
    counts: list[object] = []
    inner = census_count._count

    def counted(*given: Any) -> census_pb2.Tally:
        counts.append(given)
        return inner(*given)

    monkeypatch.setattr(census_count, "_count", counted)
    network.settle_people(*[ADULT] * 62, *[OLD] * 22)
    asked = template(BANDS)
    made_up = [
        {
            "month": f"{2000 + number % 60}-{number % 12 + 1:02}",
            "template": (BANDS, f"made-up-{number}")[number % 3 == 0],
            "actor": f"somebody {number}",
        }
        for number in range(1500)
    ]
    network.question(COUNTY, asked, *made_up)
    network.question(TOWN, asked, *made_up)
    size = network.size()
    network.answer()
    network.answer()
    assert len(counts) == 1  # of the register; the other months repeat it
    assert network.size() - size <= ASK_MONTHS_MAX + ASK_REFUSALS_MAX


def test_a_template_the_home_does_not_know_or_has_in_other_words_is_not_answered(
    network: AskingNetwork,
) -> None:
    """A template is its reviewed text: whoever changes a cell of it gets no count."""
    network.settle_people(*[ADULT] * 62)
    asked = template(BANDS)
    network.question(COUNTY, asked, template_sha256=bytes(32))
    network.question(COUNTY, asked, template="names-of-everybody")
    network.question(COUNTY, asked, template_version=9)
    network.question(COUNTY, asked, template="../../etc/passwd\n")
    network.question(COUNTY, asked, month="2023-13")
    assert network.answer() == 3
    tally = network.tally(COUNTY)
    assert tally is not None
    assert tally.verdict == census_pb2.TALLY_VERDICT_OTHER_TEXT
    assert not tally.cells
    network.ask(COUNTY)
    assert network.answer() == 1  # the right text is answered all the same
    tally = network.tally(COUNTY)
    assert tally is not None
    assert tally.verdict == census_pb2.TALLY_VERDICT_COUNTED


def test_a_home_may_refuse_a_template_and_says_so(network: AskingNetwork) -> None:
    """The village decides what it answers; the asker reads a refusal, not a zero."""
    network.answers = "households-by-size"
    network.settle_people(*[ADULT] * 62)
    network.ask(COUNTY)
    network.answer()
    response = network.ask(COUNTY)
    assert response.villages[0].state == census_pb2.ANSWER_STATE_REFUSED
    assert response.universe == 0
    network.answers = "all"
    network.answer()
    assert network.ask(COUNTY).villages[0].state == census_pb2.ANSWER_STATE_COUNTED


def test_a_month_is_answered_when_it_is_over_and_not_before(network: AskingNetwork) -> None:
    """A count of half a month, and another of the whole, would tell about the days between."""
    network.settle_people(*[ADULT] * 62)
    network.question(COUNTY, template(BANDS), month="2023-11")
    network.answer()
    tally = network.tally(COUNTY, month="2023-11")
    assert tally is not None
    assert tally.verdict == census_pb2.TALLY_VERDICT_NOT_OVER
    network.clock.seconds += 20 * 86400
    assert network.answer() == 1
    tally = network.tally(COUNTY, month="2023-11")
    assert tally is not None
    assert tally.verdict == census_pb2.TALLY_VERDICT_COUNTED
    error = refusal(lambda: network.ask(COUNTY, month="2023-12"))
    assert error.code is Code.INVALID_ARGUMENT


def test_events_are_those_reported_in_the_month_by_beijing_time(network: AskingNetwork) -> None:
    """On the first of October at 00:30 in the village it is still September in UTC."""
    start = 1_696_089_600  # 2023-10-01 00:00 in Beijing
    drafts = [
        put(
            EVENT,
            records_pb2.Event(
                category=category,
                grid=GRID,
                status=records_pb2.EVENT_STATUS_REPORTED,
                reported_micros=(start + offset) * 10**6,
            ),
        )
        for offset, category, count in (
            (1800, "噪声扰民", 21),
            (86400, "绿化", 40),
            (-60, "噪声", 9),
        )
        for _ in range(count)
    ]
    network.append(VILLAGE, *drafts)
    network.ask(COUNTY, "events-by-category")
    network.answer()
    tally = network.tally(COUNTY, "events-by-category")
    assert tally is not None
    assert tally.universe == 61
    assert words(tally)["noise"] == (Word.SAID, 20)


def test_a_household_counts_in_every_group_that_somebody_of_it_is_in(
    network: AskingNetwork,
) -> None:
    """And once, however many of its people are; people without a household count nowhere."""
    homes = network.append(
        VILLAGE, *[put(HOUSEHOLD, records_pb2.Household(grid=GRID)) for _ in range(80)]
    )
    people = []
    for number, home in enumerate(homes):
        groups = "空巢老人、残疾人" if number < 20 else "低保" if number < 43 else ""
        person = network.resident(household=home.record, key_population=groups)
        people += [put(RESIDENT, person)] * 2
    people += [put(RESIDENT, network.resident(household=bytes(16), key_population="低保"))] * 9
    network.append(VILLAGE, *people)
    network.ask(COUNTY, "households-by-key-population")
    network.answer()
    tally = network.tally(COUNTY, "households-by-key-population")
    assert tally is not None
    assert tally.universe == 80
    said = words(tally)
    assert said["empty-nest"] == said["disabled"] == (Word.SAID, 20)
    assert said["minimum-living"] == (Word.SAID, 25)
    assert said["hard-to-employ"] == (Word.SMALL, 0)


def test_records_that_ended_are_not_counted(network: AskingNetwork) -> None:
    """Who moved away is no resident."""
    gone = network.settle_people(*[OLD] * 30)
    network.settle_people(*[ADULT] * 62)
    network.append(
        VILLAGE,
        *[
            DraftEntry(feed_pb2.KIND_DELETE, RESIDENT, records_pb2.Resident(), record)
            for record in gone
        ],
    )
    network.ask(COUNTY)
    network.answer()
    tally = network.tally(COUNTY)
    assert tally is not None
    assert tally.universe == 62
    assert words(tally)["60-79"] == (Word.SMALL, 0)


def test_another_version_of_a_template_can_not_be_played_against_the_first(
    network: AskingNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bands cut elsewhere, over the same people: the difference of the two would be a new count."""
    network.settle_people(*[ADULT] * 62, *[OLD] * 22)
    network.ask(COUNTY, month=EARLIER)
    network.answer()
    first = template(BANDS)
    second = dataclasses.replace(first, version=2, sha256=bytes(32))
    monkeypatch.setattr(census_answers, "shipped", lambda: {**shipped(), BANDS: second})
    for month in (EARLIER, MONTH):
        network.question(COUNTY, second, month=month)
    network.answer()
    for month in (EARLIER, MONTH):
        record = tally_record(BANDS, 2, month)
        row = network.stores[COUNTY].get_record(feed_pb2.RECORD_TYPE_TALLY, VILLAGE, record)
        assert row is not None
        tally = census_pb2.Tally.FromString(row.message)
        assert tally.verdict == census_pb2.TALLY_VERDICT_OTHER_VERSION


def test_a_month_of_events_is_counted_by_one_version_alone(
    network: AskingNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However much changed: the month and its events are the same."""
    first = template("events-by-category")
    network.ask(COUNTY, first.name)
    network.answer()
    second = dataclasses.replace(first, version=2, sha256=bytes(32))
    monkeypatch.setattr(census_answers, "shipped", lambda: {first.name: second})
    network.settle_people(*[OLD] * 30)
    network.question(COUNTY, second)
    network.answer()
    record = tally_record(first.name, 2, MONTH)
    row = network.stores[COUNTY].get_record(feed_pb2.RECORD_TYPE_TALLY, VILLAGE, record)
    assert row is not None
    tally = census_pb2.Tally.FromString(row.message)
    assert tally.verdict == census_pb2.TALLY_VERDICT_OTHER_VERSION


def test_a_count_is_not_taken_back_by_refusing_later(network: AskingNetwork) -> None:
    """What was said was said; the setting holds for what is asked from then on."""
    network.settle_people(*[ADULT] * 62)
    network.ask(COUNTY)
    network.answer()
    before = network.tally(COUNTY)
    network.answers = "none"
    network.ask(TOWN)
    assert network.answer() == 0
    assert network.tally(COUNTY) == before


def test_no_value_of_a_person_is_in_an_answer_or_above_the_village(
    network: AskingNetwork,
) -> None:
    """Names, groups and dates are read by the hundred, and only counts are written."""
    network.settle_people(*[OLD] * 62, key_population=f"空巢老人{CANARY}")
    for name in shipped():
        network.ask(COUNTY, name)
    network.answer()
    for name in shipped():
        tally = network.tally(VILLAGE, name)
        assert tally is not None
        assert CANARY.encode() not in tally.SerializeToString()
    assert network.on_disk(VILLAGE, CANARY)
    assert not network.on_disk(TOWN, CANARY)
    assert not network.on_disk(COUNTY, CANARY)
    assert check(network.stores[VILLAGE]).problems == []
