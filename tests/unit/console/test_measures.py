"""The measures view: the same figures as the command's, down to the calls, for whom they are."""

from __future__ import annotations

import asyncio
import csv
import io
import re
import time
from datetime import UTC, datetime

import pytest

from huying.common.errors import Code, HuyingError
from huying.hub.measure_table import By, columns_of
from huying.hub.web import charts, measure_order
from huying.node.web.shelf import Shelf
from huying.wire.v1 import measures_pb2
from tests.support.console_site import ConsoleUnderTest, text_of
from tests.support.served_network import ServedNetwork
from tests.support.tiny_network import COUNTY, TOWN, StoppedClock, raise_call, step

EVIL = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def console(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        network = ServedNetwork(tmp_path_factory.mktemp("net"), patch)
        network.network.clock.seconds = datetime(2026, 10, 12, 2, tzinfo=UTC).timestamp()

        async def write() -> None:
            for department in ("住建局", EVIL):
                call = raise_call(network.network, title=f"漏水 {EVIL}")
                for kind in ("dispatch", "accept"):
                    taken = step(call, **{kind: {"department": department}})
                    network.network.append(COUNTY, taken)

        network.thread.run(write())
        with ConsoleUnderTest(network, COUNTY) as site:
            yield site
        network.close()


@pytest.fixture
def director(console):
    console.sign_in("director")
    return console


def counted(console, path):
    """The page once its figures stand on the shelf; until then it says that they are counted."""
    deadline = time.monotonic() + 30
    while True:
        page = console.get(path)
        if "正在清点" not in page.text:
            return page
        assert time.monotonic() < deadline, "counting did not end"
        time.sleep(0.02)  # polled, as the page's own refresh does


def test_a_month_by_department_shows_what_the_command_counts(director):
    page = counted(director, "/measures?month=2026-10").text
    text = text_of(page)
    assert "住建局" in text
    assert re.search(r"住建局 1 100\.0% 1/1", text)  # one duty, accepted in time
    assert EVIL not in page


@pytest.mark.parametrize("by", ["department", "town", "category", "month"])
def test_every_grouping_has_a_page_and_a_file(director, by):
    assert director.get(f"/measures?month=2026-10&by={by}").status_code == 200
    answer = director.get(f"/measures/export?month=2026-10&by={by}&format=csv")
    rows = list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert len(rows) > 1
    assert all(len(row) == len(rows[0]) for row in rows)
    assert "attachment" in answer.headers["content-disposition"]


def test_a_figure_leads_to_its_calls(director):
    page = counted(director, "/measures?month=2026-10").text
    link = re.search(r'href="(/measures/turns[^"]*measure=duties[^"]*)"', page)
    assert link is not None
    calls = counted(director, link[1].replace("&amp;", "&")).text
    assert "漏水" in calls
    assert EVIL not in calls


def test_a_heading_orders_the_table_and_names_the_chart(director):
    """Of sixty departments, the one that needs somebody must not be looked for."""
    page = counted(director, "/measures?month=2026-10").text
    assert "sort=satisfied" in page
    ordered = counted(director, "/measures?month=2026-10&sort=returned").text
    assert "<figcaption>退单率" in ordered
    assert 'aria-sort="other"' in ordered
    assert director.get("/measures?month=2026-10&sort=nothing").status_code == 400
    assert director.get("/measures?month=2026-10&by=town&sort=score").status_code == 400


def row_of(name, **ratios):
    row = measures_pb2.MeasureRow(key=name)
    for field, (numerator, denominator) in ratios.items():
        ratio = getattr(row.service, field)
        ratio.numerator, ratio.denominator = numerator, denominator
    return row


def test_what_needs_somebody_stands_first():
    """Low where more is better, high where less is; of two alike the larger, and nothing last."""
    rows = [
        row_of("none", on_time=(0, 0), returned=(0, 0)),
        row_of("few", on_time=(1, 2), returned=(1, 2)),
        row_of("good", on_time=(9, 9), returned=(0, 9)),
        row_of("many", on_time=(10, 20), returned=(10, 20)),
    ]
    columns = {one.name: one for one in columns_of(By.DEPARTMENT, brief=True)}
    by_good = [row.key for row in measure_order.ranked(rows, columns["on_time"])]
    assert by_good == ["many", "few", "good", "none"]
    by_bad = [row.key for row in measure_order.ranked(rows, columns["returned"])]
    assert by_bad == ["many", "few", "good", "none"]


def test_a_figure_leads_to_those_calls_alone_that_failed(director):
    """Five late ones of two thousand are not on the first page of all."""
    turns = "/measures/turns?month=2026-10&by=department&key=住建局&measure=response"
    everything = counted(director, turns).text
    assert "only=unmet" in everything
    assert everything.count("漏水") == counted(director, f"{turns}&only=met").text.count("漏水") > 0
    assert "漏水" not in counted(director, f"{turns}&only=unmet").text
    assert director.get(f"{turns}&only=some").status_code == 400


def test_a_department_sees_its_own_figures_alone(console):
    """Others' are for the centre to show; and no hand-made address shows them."""
    console.sign_in("department", login="zj", department="住建局")
    page = counted(console, "/measures?month=2026-10").text
    assert "住建局" in page
    assert "alert(1)" not in page
    turns = "/measures/turns?month=2026-10&by=department&measure=duties&key="
    assert console.get(turns + "住建局").status_code == 200
    assert console.get(turns + "水务局").status_code == 404
    assert console.get("/measures?month=2026-10&by=town").status_code == 400
    exported = console.get("/measures/export?month=2026-10&format=csv").content.decode("utf-8-sig")
    assert "住建局" in exported
    assert "script" not in exported


def test_a_person_of_another_area_sees_no_calls_of_this_one(console):
    console.sign_in("director", login="far", area="370830101000")
    page = counted(console, "/measures?month=2026-10")
    assert TOWN not in text_of(page.text)
    turns = f"/measures/turns?month=2026-10&by=town&measure=duties&key={TOWN}"
    assert console.get(turns).status_code == 404


@pytest.mark.parametrize(
    "query", ["month=2026-13", "month=x", "by=grid", "month=9999-12", f"by={EVIL}"]
)
def test_what_is_no_month_or_grouping_is_refused(director, query):
    answer = director.get(f"/measures?{query}")
    assert answer.status_code == 400
    assert EVIL not in answer.text


def test_an_export_is_in_the_audit_trail(director):
    director.get("/measures/export?month=2026-10&format=xlsx")
    rows = director.site.audit.page()
    assert any(row.action == "measures-export" for row in rows)


def test_a_line_breaks_where_a_value_is_not_known():
    (line,) = charts.lines([("on time", [1.0, None, 0.5, 0.25])])
    assert len(line.runs) == 2
    assert [point[2] for point in line.points] == [1.0, 0.5, 0.25]


def test_the_shelf_counts_once_for_all_who_ask_and_says_when():
    """Ten people open the page: one counting, and nobody waits for it."""

    async def play() -> None:
        clock = StoppedClock()
        shelf = Shelf(clock)
        counted = 0
        go = asyncio.Event()

        async def count() -> int:
            nonlocal counted
            await go.wait()
            counted += 1
            return counted

        first = await asyncio.gather(*(shelf.get("k", count) for _ in range(10)))
        assert first == [None] * 10
        go.set()
        while (found := await shelf.get("k", count)) is None:  # noqa: ASYNC110
            await asyncio.sleep(0)
        assert (found.value, found.at, counted) == (1, clock.now(), 1)
        clock.seconds += 61
        stale = await shelf.get("k", count)
        assert stale == found, "what is old is shown while it is counted again"
        while (await shelf.get("k", count)) == found:  # noqa: ASYNC110
            await asyncio.sleep(0)
        assert counted == 2

        async def refuse() -> int:
            raise HuyingError(Code.LIMIT_EXCEEDED, "too many rows")

        with pytest.raises(HuyingError, match="too many rows"):
            await shelf.get("other", refuse)

        async def defect() -> int:
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):  # else the page says for ever that it is counted
            await shelf.get("broken", defect)
        for number in range(200):
            await shelf._count(number, defect)
        assert len(shelf._failed) <= 64, "nobody asks for them again"

    asyncio.run(play())
