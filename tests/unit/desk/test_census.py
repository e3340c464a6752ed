"""Templates as reviewed text, months, counting, and answers of many villages put together."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

from huying.common.census.counting import Counted, counter_for
from huying.common.census.tally import combine, counted_tally, tally_fault, tally_record
from huying.common.census.template import (
    Template,
    month_bounds,
    months_over,
    parse_template,
)
from huying.common.errors import Code, HuyingError
from huying.common.limits import ASK_CELLS_MAX, ASK_MONTHS_MAX, TEMPLATE_BYTES_MAX
from huying.common.months import is_month, last_day
from huying.node.census.census_templates import answered_names, shipped, template
from huying.node.cli import output
from huying.node.cli.ask_text import document, print_answer
from huying.node.settings import AskSection
from huying.node.store.projection_rebuild import rebuild
from huying.wire.v1 import census_pb2, feed_pb2, records_pb2
from tests.support.late_network import refusal
from tests.support.tiny_network import COUNTY, TOWN, VILLAGE, put
from tests.unit.desk.asking_network import BANDS, MONTH, TALLY, AskingNetwork, asking_network

TEXT = template(BANDS).text
NAMES = {
    "events-by-category",
    "households-by-key-population",
    "households-by-size",
    "residents-by-age-band",
}


@pytest.fixture
def network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AskingNetwork]:
    with asking_network(tmp_path, monkeypatch) as made:
        yield made


# --- templates -------------------------------------------------------------------------------


def test_the_shipped_templates_are_reviewed_and_none_cuts_what_another_cuts() -> None:
    """Two cuts of one thing could be subtracted from each other."""
    assert set(shipped()) == NAMES
    for one in shipped().values():
        assert one.reviewers
        assert (one.rounding_base, one.small_count) == (5, 10)
    counted = [(one.universe, one.counts) for one in shipped().values()]
    assert len(set(counted)) == len(counted)


def test_a_shipped_template_never_changes_under_its_version() -> None:
    """A home answers by digest: another text is another version, reviewed anew."""
    assert {one.name: (one.version, one.sha256.hex()[:16]) for one in shipped().values()} == {
        "events-by-category": (1, "194a85156bf2409f"),
        "households-by-key-population": (1, "e3e43fca909dee68"),
        "households-by-size": (1, "a33568f246e2c805"),
        "residents-by-age-band": (1, "4460cb8feab1b42a"),
    }


def test_the_templates_are_in_the_package() -> None:
    """An installed wheel has them, too."""
    folder = resources.files("huying.node") / "templates"
    assert {file.name for file in folder.iterdir()} >= {f"{name}.toml" for name in NAMES}


@pytest.mark.parametrize(
    ("before", "after", "named"),
    [
        ('name = "residents-by-age-band"', 'name = "Residents"', "name"),
        ('universe = "residents"', 'universe = "names"', "counts"),
        ('counts = "age"', 'counts = "health"', "counts"),
        ("rounding_base = 5", "rounding_base = 4", "rounding_base"),
        ("rounding_base = 5", "rounding_base = 1", "rounding_base"),
        ("small_count = 10", "small_count = 9", "rounding_base"),
        (", remainder = true", "", "cells"),
        (", otherwise = true", "", "cells.unknown"),
        ('key = "6-17"', 'key = "0-5"', "cells"),
        ("version = 1", 'version = "1"', "version"),
        ("version = 1", "version = 1\nnames = true", "names"),
        ("version = 1", "version = ", "template"),
        ("from = 6, upto = 17", "from = 17, upto = 6", "cells.6-17"),
        ("from = 6, upto = 17", 'values = ["x"]', "cells.6-17"),
        ("version = 1", "version = 1\n#" + "x" * TEMPLATE_BYTES_MAX, "template"),
        ('reviewers = ["本程序', 'reviewers = []\n# ["本程序', "reviewers"),
    ],
)
def test_a_template_that_protects_less_or_makes_no_sense_is_refused_by_name(
    before: str, after: str, named: str
) -> None:
    """Whoever writes one learns which key is wrong, before any home would answer it."""
    assert before in TEXT
    error = refusal(lambda: parse_template(TEXT.replace(before, after, 1)))
    assert error.code is Code.INVALID_ARGUMENT
    assert error.detail.startswith(f"{named}: ")


def test_a_template_with_too_many_cells_is_refused() -> None:
    """A tally is one entry."""
    cell = '{{ key = "k{}", zh = "x", en = "x", from = {}, upto = {} }},'
    many = "".join(cell.format(n, n, n) for n in range(1000, 1000 + ASK_CELLS_MAX))
    assert (
        refusal(lambda: parse_template(TEXT.replace("cells = [", "cells = [" + many))).code
        is Code.INVALID_ARGUMENT
    )


@pytest.mark.parametrize(
    ("answers", "names"),
    [
        ("all", NAMES),
        ("none", set()),
        ("households-by-size,residents-by-age-band,gone", {"households-by-size", BANDS}),
    ],
)
def test_a_home_answers_what_its_settings_say(answers: str, names: set[str]) -> None:
    """All shipped ones by default; a name that is not shipped is nothing to answer."""
    assert answered_names(AskSection(answers=answers)) == names


# --- months ----------------------------------------------------------------------------------


def test_months_that_are_over_end_with_the_last_one_in_beijing() -> None:
    """At 16:00 UTC on the last of October it is November there."""
    before, after = 1_698_767_999 * 10**6, 1_698_768_000 * 10**6
    assert months_over(before)[0] == "2023-09"
    assert months_over(after)[:2] == ("2023-10", "2023-09")
    assert len(months_over(after)) == ASK_MONTHS_MAX
    assert month_bounds("2023-10")[1] == after
    assert months_over(1_704_100_000 * 10**6)[:2] == ("2023-12", "2023-11")


def test_the_last_day_of_a_month_knows_leap_years() -> None:
    """Ages are taken on it."""
    assert last_day("2024-02") == date(2024, 2, 29)
    assert last_day("2023-12") == date(2023, 12, 31)


@pytest.mark.parametrize("text", ["2023-13", "2023-00", "23-10", "2023-1", "2023-10 ", "", "１０"])
def test_what_is_no_month_is_told(text: str) -> None:
    """It would become part of a record's id."""
    assert not is_month(text)


# --- counting --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("born", "key"),
    [
        ("1963-10-31", "60-79"),
        ("1963-11-01", "18-59"),
        ("2018-10-31", "0-5"),
        ("2017-10-31", "6-17"),
        ("1943-10-31", "80+"),
        ("2023-11-01", "unknown"),
        ("", "unknown"),
        ("1950", "unknown"),
    ],
)
def test_an_age_is_that_of_the_months_last_day(born: str, key: str) -> None:
    """And a date that is missing or yet to come is counted as such, not dropped."""
    counter = counter_for(template(BANDS), MONTH)
    counter.add(b"", records_pb2.Resident(birth_date=born))
    counts, universe = counter.counted()
    assert universe == 1
    assert [cell.key for cell, n in zip(template(BANDS).cells, counts, strict=True) if n] == [key]


# --- many villages ---------------------------------------------------------------------------


def answer(made: Template, home: str, *counts: int) -> census_pb2.Tally:
    counted = Counted(counts, sum(counts))
    return counted_tally(made, MONTH, home, counted, "x/feed/1/e1", 7)


def test_sums_carry_the_bounds_of_what_they_are_made_of() -> None:
    """Two villages, one of which has few old people: the sum says how little it knows."""
    made = template(BANDS)
    first = answer(made, "370830108201", 20, 50, 300, 61, 14, 0)
    second = answer(made, "370830108202", 20, 50, 300, 5, 14, 0)
    combined = combine(made, {"a": first, "b": second})
    assert (combined.cells[3].low, combined.cells[3].high) == (58, 62 + 12)
    assert (combined.cells[3].said, combined.cells[3].not_said) == (1, 1)
    assert combined.universe == 445 + 389
    assert combined.cells[2].low <= 600 <= combined.cells[2].high


def spoil(tally: census_pb2.Tally, how: str) -> None:
    if how == "cell":
        tally.cells[0].key = "names"
    elif how == "extra cell":
        tally.cells.add(key="names", word=census_pb2.CELL_WORD_SMALL)
    elif how == "not rounded":
        tally.cells[3].count = 61
    elif how == "too small":
        tally.cells[3].count = 5
    elif how == "word":
        tally.cells[3].word = 77  # type: ignore[assignment]
    elif how == "remainder":
        tally.cells[2].word, tally.cells[2].count = census_pb2.CELL_WORD_SAID, 300
    elif how == "universe":
        tally.universe = 2**40
    elif how == "digest":
        tally.template_sha256 = bytes(32)
    elif how == "base":
        tally.rounding_base = 1
    else:
        tally.month = "2023-09"


HOW = (
    *("cell", "extra cell", "not rounded", "too small", "word", "remainder", "universe"),
    *("digest", "base", "month"),
)


@pytest.mark.parametrize("how", HOW)
def test_an_answer_that_no_home_can_have_given_is_told(how: str) -> None:
    """A village may lie within the rules; outside them it is found out."""
    made = template(BANDS)
    tally = answer(made, VILLAGE, 20, 50, 300, 61, 14, 0)
    assert tally_fault(made, MONTH, VILLAGE, tally) is None
    spoil(tally, how)
    assert tally_fault(made, MONTH, VILLAGE, tally) is not None


def test_a_hostile_village_is_left_out_by_name(network: AskingNetwork) -> None:
    """The sum is of the others alone, and says who is not in it and why."""
    made = template(BANDS)
    tally = answer(made, VILLAGE, 20, 50, 300, 61, 14, 0)
    spoil(tally, "not rounded")
    network.append(VILLAGE, put(TALLY, tally, tally_record(BANDS, 1, MONTH)))
    response = network.ask(COUNTY)
    assert response.villages[0].state == census_pb2.ANSWER_STATE_IMPLAUSIBLE
    assert "rounded" in response.villages[0].detail
    assert response.universe == 0
    found = document(response)
    assert (found["asked"], found["answered"], found["villages"]) == (1, 0, [])
    assert found["missing"][0]["why"] == "implausible"


@pytest.mark.parametrize(
    ("at", "wishes", "code", "named"),
    [
        (VILLAGE, {}, Code.TYPE_NOT_ALLOWED, "a county or a town"),
        (TOWN, {"area": COUNTY}, Code.INVALID_ARGUMENT, "--area"),
        (COUNTY, {"area": "110000000000"}, Code.INVALID_ARGUMENT, "--area"),
        (COUNTY, {"area": "nowhere"}, Code.INVALID_ARGUMENT, "--area"),
        (COUNTY, {"name": "names"}, Code.INVALID_ARGUMENT, "TEMPLATE"),
        (COUNTY, {"month": "2023-11"}, Code.INVALID_ARGUMENT, "--month"),
        (COUNTY, {"month": "2019-01"}, Code.INVALID_ARGUMENT, "--month"),
        (COUNTY, {"area": "370830109000"}, Code.NOT_FOUND, "no village"),
        (COUNTY, {"purpose": "致电13812345678"}, Code.INVALID_ARGUMENT, "purpose"),
    ],
)
def test_a_question_that_can_not_be_asked_is_refused_where_it_is_asked(
    network: AskingNetwork, at: str, wishes: dict[str, Any], code: Code, named: str
) -> None:
    """Before anything is written; the message names what to change."""
    size = network.size(at)
    error = refusal(lambda: network.ask(at, **wishes))
    assert error.code is code
    assert error.detail.startswith(named)
    assert network.size(at) == size


def test_a_question_is_on_record_with_who_asked_and_what_for(network: AskingNetwork) -> None:
    """Once for each asker and purpose; the village reads it, too."""
    size = network.size(COUNTY)
    for purpose in ("规划", "规划", "核对"):
        network.ask(COUNTY, purpose=purpose, actor="统计科")
    assert network.size(COUNTY) == size + 2
    rows = network.stores[VILLAGE].list_records(feed_pb2.RECORD_TYPE_QUESTION).rows
    asked = [census_pb2.Question.FromString(row.message) for row in rows]
    assert {one.purpose for one in asked} == {"规划", "核对"}
    assert {one.actor for one in asked} == {"统计科"}


def test_answers_stand_after_every_projection_was_made_anew(network: AskingNetwork) -> None:
    """A restored node reads its own feed; nothing is counted a second time."""
    network.settle_people(*["1980-01-01"] * 62)
    network.ask(COUNTY)
    network.answer()
    before = network.tally(VILLAGE)
    network.settle_people(*["1950-01-01"] * 40)
    size = network.size()
    with network.stores[VILLAGE].transaction():
        rebuild(network.stores[VILLAGE])
    assert network.answer() == 0
    assert network.size() == size
    assert network.tally(VILLAGE) == before


# --- the command's output --------------------------------------------------------------------


def test_the_table_names_who_is_missing_and_fits_a_terminal(
    network: AskingNetwork, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Chinese first, 80 columns, and no village in silence."""
    monkeypatch.setattr(output, "PIPE_COLUMNS", 80)
    network.settle_people(*["1980-01-01"] * 62, *["1950-01-01"] * 23)
    response = network.ask(COUNTY)
    print_answer(response)
    assert "未计入(不作零计)" in capsys.readouterr().out
    network.answer()
    print_answer(network.ask(COUNTY))
    shown = capsys.readouterr().out
    assert "23 – 27" in shown
    assert "60至79岁" in shown
    assert max(cell_len(line.rstrip()) for line in shown.splitlines()) <= 80


def test_an_unknown_template_is_refused_with_the_names_there_are() -> None:
    """Nobody has to guess."""
    with pytest.raises(HuyingError, match="residents-by-age-band"):
        template("residents")
