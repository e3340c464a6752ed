"""`huying measure`: the measures of a month as a table, as JSON, and as a file."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

from huying.common.errors import EXIT_USAGE
from huying.hub.cli import app
from huying.node.cli import output
from huying.node.cli.main import execute
from huying.node.sheets import read_sheet
from tests.support.served_network import ServedNetwork
from tests.support.tiny_network import COUNTY, TOWN, raise_call, step

RATES = ("response", "on_time", "resolved", "satisfied", "returned", "reworked", "reopened")


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServedNetwork]:
    """A county that was called in October 2026, dispatched the call, and got it accepted."""
    network = ServedNetwork(tmp_path, monkeypatch)
    try:
        network.network.clock.seconds = datetime(2026, 10, 12, 2, tzinfo=UTC).timestamp()

        async def write() -> None:
            call = raise_call(network.network)
            for kind in ("dispatch", "accept"):
                network.network.append(COUNTY, step(call, **{kind: {"department": "住建局"}}))

        network.thread.run(write())
        yield network
    finally:
        network.close()


@pytest.fixture
def measure(
    served: ServedNetwork, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, str, str]]:
    """Runs the command at the county."""

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setenv("HUYING_API__LISTEN", served.address(COUNTY))
        capsys.readouterr()
        config = str(served.configs[COUNTY].file)
        code = execute(app(), ["--config", config, "measure", "--month", *arguments])
        return (code, *capsys.readouterr())

    return run


def ratio(numerator: int, denominator: int) -> dict[str, Any]:
    rate = numerator / denominator if denominator else None
    return {"rate": rate, "numerator": numerator, "denominator": denominator}


def test_json_has_every_measure_with_what_it_comes_from(measure):
    """A county's own program reads it; a rate of nothing is null."""
    code, out, _ = measure("2026-10", "--by", "department", "--json")
    assert code == 0
    found = json.loads(out)
    rows = found.pop("rows")
    assert found == {
        "month": "2026-10",
        "by": "department",
        "sequencer": COUNTY,
        "policy_version": 0,
        "satisfied_stars_min": 4,
        "rating_weight_percent": 30,
        "utc_offset_minutes": 480,
    }
    nothing = {name: ratio(0, 0) for name in RATES}
    counts = dict.fromkeys(("returned_upheld", "yellow_cards", "red_cards"), 0)
    assert rows == [
        {
            "department": "住建局",
            "duties": 1,
            "undecided": 1,
            **nothing,
            **counts,
            "response": ratio(1, 1),
            "returned": ratio(0, 1),
            "score": None,
        }
    ]


def test_a_table_says_what_it_was_counted_by(measure):
    """Rates beside what they come from; a dash where there is none."""
    code, out, err = measure("2026-10")
    assert code == 0
    assert "100.0% (1/1)" in out
    assert "—" in out
    assert "评价占 30%" in err


@pytest.mark.parametrize("by", ["department", "town", "category", "month"])
def test_a_table_is_read_on_eighty_columns(measure, monkeypatch, by):
    """Nine rates are wider than a terminal: whose they are must stand beside each of them."""
    monkeypatch.setattr(output, "PIPE_COLUMNS", 80)
    key = {"department": "住建局", "town": TOWN, "category": "道路", "month": "2026-10"}[by]
    out = measure("2026-10", "--by", by)[1]
    assert all(cell_len(line) <= 80 for line in out.splitlines())
    tables = out.count("───\n")
    assert tables > 1
    assert out.count(f"\n{key} ") == tables
    assert "100.0% (1/1)" in out


def test_a_month_without_calls_says_so(measure):
    """An empty table reads like a failure."""
    code, out, err = measure("2020-10")
    assert (code, out) == (0, "")
    assert f"{COUNTY} 在 2020-10 没有可计的呼叫" in err


def test_towns_have_names_and_the_callers_measures(measure):
    """The other side of the same calls."""
    found = json.loads(measure("2026-10", "--by", "town", "--json")[1])["rows"]
    assert [(row["town"], row["calls"], row["declined"]) for row in found] == [
        (TOWN, 1, ratio(0, 1))
    ]
    assert found[0]["name"]
    assert found[0]["calls_per_10000"] is None
    assert "score" not in found[0]


def test_by_month_shows_the_year_up_to_it(measure):
    """Nothing of a month without calls is a rate."""
    rows = json.loads(measure("2026-11", "--by", "month", "--json")[1])["rows"]
    assert [row["month"] for row in rows][-3:] == ["2026-09", "2026-10", "2026-11"]
    assert len(rows) == 12
    assert [row["calls"] for row in rows][-3:] == [0, 1, 0]


@pytest.mark.parametrize("ending", ["csv", "xlsx"])
def test_a_file_holds_the_rates_and_their_numbers(measure, tmp_path, ending):
    """It is opened in a spreadsheet, and reckoned with there."""
    file = tmp_path / f"out.{ending}"
    code, out, err = measure("2026-10", "-o", str(file))
    assert "已写入" in err
    assert (code, out) == (0, "")
    rows = [dict(row.cells) for row in read_sheet(file).rows]
    assert len(rows) == 1
    assert rows[0]["部门 · department"] == "住建局"
    assert float(rows[0]["响应率 · response"]) == 1.0
    assert rows[0]["响应率 · response 分母 · of all"] == "1"
    assert rows[0]["满意率 · satisfied"] == "—"
    assert rows[0]["满意率 · satisfied 分母 · of all"] == "0"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("2026-1",), "2026-10"),
        (("2026-10", "-o", "/nowhere/here.csv"), "can't be written"),
        (("2026-10", "-o", "table.pdf"), ".xlsx"),
        (("2026-10", "--by", "village"), "department"),
    ],
)
def test_a_mistake_is_told_with_what_to_do(measure, arguments, says):
    """Before anything is written anywhere."""
    code, out, err = measure(*arguments)
    assert (code, out) == (EXIT_USAGE, "")
    assert says in err
