"""The operations view: what a technician sees is what is so, also while the node is away."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from huying.node.monitoring.metrics import NodeMetrics
from huying.node.web.operations import runbook
from huying.node.web.operations.operations_lines import RUNBOOK, STATE_KINDS
from tests.support.console_site import ConsoleUnderTest, text_of
from tests.support.served_network import ServedNetwork
from tests.support.tiny_network import COUNTY, TOWN, VILLAGE
from tests.unit.console.operations_desk import HERE, quarantined_town


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedNetwork]:
    with quarantined_town(tmp_path_factory.mktemp("network")) as network:
        yield network


def test_the_numbers_on_the_page_are_those_of_a_scrape(
    served: ServedNetwork, technician: ConsoleUnderTest
) -> None:
    """A technician on the telephone reads from the page what the other reads from a dashboard."""
    metrics = NodeMetrics(lambda: served.observe(TOWN), "0.1.0", TOWN)
    scraped: dict[str, dict[str, float]] = {}
    for family in text_string_to_metric_families(generate_latest(metrics.registry).decode()):
        for sample in family.samples:
            key = sample.labels.get("feed") or sample.labels.get("peer", "")
            scraped.setdefault(sample.name, {})[key] = sample.value
    page = technician.get("/operations").text
    rows = {
        label: re.findall(r"<td.*?>(.*?)</td>", row, re.DOTALL)
        for row in re.findall(r"<tr data-row>.*?</tr>", page, re.DOTALL)
        for label in re.findall(r"\d{12}/e1", text_of(row))[:1]
    }
    assert set(rows) == set(scraped["huying_feed_size"])
    for label, cells in rows.items():
        size, behind, quarantined, missing = (
            text_of(cells[at]).replace(",", "") for at in (2, 3, 7, 8)
        )
        assert float(size) == scraped["huying_feed_size"][label]
        assert float(quarantined) == scraped["huying_quarantined_entries"][label]
        assert float(missing) == scraped["huying_missing_openings"][label]
        known = scraped["huying_entries_behind"].get(label)
        assert behind == ("—" if label.startswith(TOWN) else f"{known:.0f}")


def test_one_sentence_says_whether_data_flows_before_any_number(
    technician: ConsoleUnderTest,
) -> None:
    """In words that need no manual; what else there is to know follows, with what to do."""
    page = technician.get("/operations").text
    verdict = re.search(r'<div class="verdict (\w+)">(.*?)</div>', page, re.DOTALL)
    assert verdict is not None
    assert verdict[1] == "good"
    assert "数据在流动:2 个数据流都是最新的" in verdict[2]
    assert page.index('class="verdict') < page.index("<table")
    text = text_of(page)
    assert "条内容不合规" in text
    assert 'href="/help/runbook/HuyingQuarantineNotEmpty"' in page


def test_every_page_lives_by_the_status_topic_and_has_no_inline_style(
    technician: ConsoleUnderTest,
) -> None:
    """The policy of the console forbids it, and a page that stands still lies after a minute."""
    for path in (
        "/operations",
        f"/operations/feeds/{VILLAGE}/e1",
        "/operations/quarantine",
        f"{HERE}/{0}",
        "/operations/trouble",
        "/operations/machine",
    ):
        answer = technician.get(path)
        if path.endswith("/0"):
            assert answer.status_code in (200, 404)
            continue
        assert answer.status_code == 200, path
        assert 'data-live="status"' in answer.text, path
        assert "style=" not in answer.text, path
        assert "<script>" not in answer.text, path


def test_the_chart_has_a_table_of_the_same_numbers(technician: ConsoleUnderTest) -> None:
    """A picture tells nothing to whoever can't see it."""
    for path in ("/operations", f"/operations/feeds/{COUNTY}/e1"):
        page = technician.get(path).text
        points = re.findall(r'class="lag-line" fill="none" points="([^"]+)"', page)
        table = page[page.index('id="lag-table"') :]
        shown = re.findall(r'<tr><td>[^<]+</td><td class="number">([^<]+)</td>', table)
        assert sum(len(run.split()) for run in points) == len(
            [one for one in shown if one != "未知"]
        )
        assert len(shown) == 5


def test_feeds_are_found_by_name_and_state(technician: ConsoleUnderTest) -> None:
    """A county has hundreds."""
    page = text_of(technician.get(f"/operations?q={VILLAGE}").text)
    assert f"{VILLAGE}/e1" in page
    assert f"{COUNTY}/e1" not in page
    assert "没有符合的数据流" in technician.get("/operations?state=forked").text
    assert technician.get("/operations?from=99999999999999999999").status_code == 200


def test_a_feed_shows_its_head_and_who_signed_it(technician: ConsoleUnderTest) -> None:
    """What two operators compare on the telephone."""
    page = technician.get(f"/operations/feeds/{VILLAGE}/e1").text
    text = text_of(page)
    assert f"wenshang.example/feed/{VILLAGE}/e1" in text
    assert f"wenshang.example/witness/{TOWN}" in text
    assert re.search(r"[0-9a-f]{64}", text)


@pytest.mark.parametrize(
    "path",
    [
        "/operations/feeds/370830108202/e1",
        f"/operations/feeds/{VILLAGE}/e9",
        "/operations/feeds/x/y",
        f"{HERE}/99999999999999999999999",
        f"{HERE}/x",
        "/operations/quarantine/x/y/0",
        "/help/runbook/..%2F..%2FREADME",
        "/help/runbook/nothing",
        f"/operations/trouble/evidence/{VILLAGE}/e1",
    ],
)
def test_what_is_not_here_is_not_found(technician: ConsoleUnderTest, path: str) -> None:
    """Hand-made addresses get a page that says so, and no defect."""
    assert technician.get(path).status_code == 404


def test_who_is_bound_to_another_area_sees_no_feed_of_this_one(town_site: ConsoleUnderTest) -> None:
    """Scope holds for whoever looks after machines, too."""
    town_site.sign_in("technician", login="elsewhere", area="370830108202")
    assert f"{VILLAGE}/e1" not in text_of(town_site.get("/operations").text)
    assert town_site.get(f"/operations/feeds/{VILLAGE}/e1").status_code == 404
    assert f"{VILLAGE}/e1" not in text_of(town_site.get("/operations/quarantine").text)
    assert town_site.get(f"{HERE}/1").status_code == 404


def test_who_has_no_permission_reads_nothing_and_does_nothing(town_site: ConsoleUnderTest) -> None:
    """The pages are a technician's; an administrator of accounts may look, and not act."""
    town_site.sign_in("clerk")
    for path in ("/operations", "/operations/quarantine", "/operations/machine"):
        assert town_site.get(path).status_code == 403
    town_site.sign_in("admin")
    assert town_site.get("/operations").status_code == 200
    for deed in ("retry", "skip"):
        assert town_site.post(f"{HERE}/1/{deed}", {"reason": "x"}).status_code == 403
    assert town_site.post(HERE, {"index": "1"}).status_code == 403


def test_certificates_disk_and_backup_are_shown(technician: ConsoleUnderTest) -> None:
    """What ends a node by itself, some day, if nobody looks."""
    text = text_of(technician.get("/operations/machine").text)
    assert "40 天" in text or "39 天" in text
    assert "本机还没有做过备份" in text
    assert re.search(r"[\d.]+ GB 磁盘剩余", text)
    assert re.search(r"[\d.]+ [KM]B 数据库", text)


def test_every_page_of_the_runbook_is_there_without_a_network(
    technician: ConsoleUnderTest,
) -> None:
    """It is read when the line is down; and every link from a state leads to a page."""
    index = technician.get("/help/runbook").text
    names = runbook.names()
    assert len(names) > 25
    for name in names:
        assert f'href="/help/runbook/{name}"' in index
        told = technician.get(f"/help/runbook/{name}")
        assert told.status_code == 200
        # A reader of the page by ear is told what a table is about before its cells.
        assert told.text.count("<table") == told.text.count("<caption"), name
    assert set(RUNBOOK.values()) <= set(names)
    assert set(RUNBOOK) <= set(STATE_KINDS)
    page = technician.get("/help/runbook/HuyingQuarantineNotEmpty").text
    assert "<ol>" in page
    assert "<code>" in page
    assert "```" not in page


def test_the_time_in_which_the_node_did_not_run_is_said(
    served: ServedNetwork, technician: ConsoleUnderTest
) -> None:
    """A restart keeps the curve; a line drawn over the hours between would be a lie."""
    tiny = served.network

    async def restart() -> None:
        tiny.clock.seconds += 21 * 60
        served.remember(TOWN)

    served.thread.run(restart())
    page = technician.get("/operations").text
    assert "其中节点没有运行" in text_of(page)
    assert "(共 20 分钟)" in text_of(page)
    assert text_of(page).count("节点未运行") == 20
    of_feed = technician.get(f"/operations/feeds/{VILLAGE}/e1").text
    assert "(共 20 分钟)" in text_of(of_feed)


def test_a_node_that_is_away_is_said_to_be_and_nothing_unknown_is_shown_as_zero(
    served: ServedNetwork, town_site: ConsoleUnderTest
) -> None:
    """The figures are the last ones, with their time; what was never known stays unknown."""
    town_site.sign_in("technician")
    live = town_site.get("/operations").text
    assert "节点没有应答" not in live
    old = town_site.site.node

    class Away:
        """A node whose API is gone, and whose database is still there."""

        def __getattr__(self, name: str) -> Any:
            return getattr(old, name)

        async def administer(self, method: str, request: Any) -> Any:
            from huying.common.errors import Code, HuyingError

            raise HuyingError(Code.UNREACHABLE, "away")

    town_site.site.node = Away()  # type: ignore[assignment]
    try:
        kept = town_site.get("/operations").text
        assert "不是现在的" in text_of(kept)
        assert 'class="verdict bad"' in kept
        assert "badge good" not in kept, "what was live then may not be now"
        town_site.site.last_figures = None
        stored = town_site.get("/operations").text
        assert "数据是否在流动,现在未知" in text_of(stored)
        for row in re.findall(r"<tr data-row>.*?</tr>", stored, re.DOTALL):
            cells = [text_of(one) for one in re.findall(r"<td.*?>(.*?)</td>", row, re.DOTALL)]
            assert cells[3] == cells[4] == "未知", "neither behind nor lag is known"
        for path in (
            f"/operations/feeds/{VILLAGE}/e1",
            "/operations/quarantine",
            "/operations/trouble",
            "/operations/machine",
        ):
            assert town_site.get(path).status_code == 200
        assert "未知" in text_of(town_site.get("/operations/machine").text)
    finally:
        town_site.site.node = old
