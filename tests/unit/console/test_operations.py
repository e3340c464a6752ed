"""The operations view: what a technician sees is what is so, and what they do is done once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from huying.common.integrity.evidence import ForkEvidence
from huying.node.monitoring.metrics import NodeMetrics
from huying.node.web.operations import runbook
from huying.node.web.operations.operations_lines import RUNBOOK, STATE_KINDS
from huying.wire.v1 import feed_pb2
from tests.support.console_site import ConsoleUnderTest, forms_of, text_of
from tests.support.handmade import HandmadeFeed
from tests.support.older_program import an_older_program
from tests.support.served_network import ServedNetwork
from tests.support.tiny_network import COUNTY, TOWN, VILLAGE, event, put

EVIL = "<script>alert(1)</script>"
HERE = f"/operations/quarantine/{VILLAGE}/e1"
SECRET = "13900009999"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedNetwork]:
    """The town's node, on which four entries of the village stand in quarantine."""
    with pytest.MonkeyPatch.context() as patch:
        network = ServedNetwork(tmp_path_factory.mktemp("net"), patch)

        async def write() -> None:
            tiny = network.network
            with an_older_program(lambda one: getattr(one, "category", "") == "道路", EVIL):
                drafts = [put(feed_pb2.RECORD_TYPE_EVENT, event(number)) for number in range(4)]
                tiny.append(VILLAGE, *drafts)
            for _ in range(5):
                tiny.clock.seconds += 61
                tiny.run()
                network.remember(TOWN)

        network.thread.run(write())
        yield network
        network.close()


@pytest.fixture(scope="module")
def console(served: ServedNetwork) -> Iterator[ConsoleUnderTest]:
    with ConsoleUnderTest(served, TOWN) as site:
        yield site


@pytest.fixture
def technician(console: ConsoleUnderTest) -> ConsoleUnderTest:
    console.sign_in("technician")
    return console


def indexes(served: ServedNetwork, waiting: bool | None = None) -> list[int]:
    """What is in quarantine at the town."""
    found = served.readers[TOWN].list_quarantined(waiting=waiting)
    return [one.index for one in found.rows]


def trail(console: ConsoleUnderTest) -> list[tuple[str, str, str, str]]:
    rows = console.site.audit.page(count=50)
    return [(row.action, row.object_, row.outcome, row.detail) for row in rows]


# The overview.


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


# One feed.


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


def test_who_is_bound_to_another_area_sees_no_feed_of_this_one(console: ConsoleUnderTest) -> None:
    """Scope holds for whoever looks after machines, too."""
    console.sign_in("technician", login="elsewhere", area="370830108202")
    assert f"{VILLAGE}/e1" not in text_of(console.get("/operations").text)
    assert console.get(f"/operations/feeds/{VILLAGE}/e1").status_code == 404
    assert f"{VILLAGE}/e1" not in text_of(console.get("/operations/quarantine").text)
    assert console.get(f"{HERE}/1").status_code == 404


def test_who_has_no_permission_reads_nothing_and_does_nothing(console: ConsoleUnderTest) -> None:
    """The pages are a technician's; an administrator of accounts may look, and not act."""
    console.sign_in("clerk")
    for path in ("/operations", "/operations/quarantine", "/operations/machine"):
        assert console.get(path).status_code == 403
    console.sign_in("admin")
    assert console.get("/operations").status_code == 200
    for deed in ("retry", "skip"):
        assert console.post(f"{HERE}/1/{deed}", {"reason": "x"}).status_code == 403
    assert console.post(HERE, {"index": "1"}).status_code == 403


# Quarantine.


def test_an_entry_is_shown_with_its_head_and_nobodys_data_until_it_is_asked_for(
    served: ServedNetwork, technician: ConsoleUnderTest
) -> None:
    """The bytes may be a person's: they are shown on purpose, and the trail says so."""
    index = indexes(served)[0]
    page = technician.get(f"{HERE}/{index}").text
    assert EVIL not in page
    assert "&lt;script&gt;" in page
    assert "未知的记录类型" in page
    assert "未显示" in page
    hidden = re.findall(r'class="hexdump">([0-9a-f]+)<', page)
    opened = technician.get(f"{HERE}/{index}?bytes=1").text
    assert len(re.findall(r'class="hexdump">([0-9a-f]+)<', opened)) > len(hidden) == 1
    shown = ("quarantine-bytes-shown", f"{VILLAGE}/e1#{index}", "done", "")
    assert trail(technician).count(shown) == 1
    technician.sign_in("admin")
    page = technician.get(f"{HERE}/{index}?bytes=1").text
    assert len(re.findall(r'class="hexdump">', page)) == 1, "an administrator may not"


def test_what_a_peer_or_a_person_wrote_is_text_on_every_page(
    served: ServedNetwork, technician: ConsoleUnderTest
) -> None:
    """A reason is read by whoever comes after; it must not run in their browser."""
    index = indexes(served, waiting=True)[-1]
    page = technician.get(f"{HERE}/{index}")
    answer = technician.fill(page, "/skip", reason=EVIL)
    assert answer.status_code == 303
    for path in (
        "/operations/quarantine?show=all",
        "/operations/quarantine?show=skipped",
        f"{HERE}/{index}",
    ):
        text = technician.get(path).text
        assert EVIL not in text
        assert "&lt;script&gt;" in text


def test_a_skip_is_done_once_says_who_and_why_and_ends_the_alert(
    served: ServedNetwork, technician: ConsoleUnderTest
) -> None:
    """A double click, and another technician with an old page, change nothing of the first word."""
    before = served.observe(TOWN).status
    (feed,) = [one for one in before.feeds if one.code == VILLAGE]
    index = indexes(served, waiting=True)[-1]
    page = technician.get(f"{HERE}/{index}")
    refused = technician.fill(page, "/skip", reason=" ")
    assert refused.status_code == 400
    assert "输入有误" in refused.text
    assert technician.fill(page, "/skip", reason="来源确认是测试数据").status_code == 303
    assert technician.fill(page, "/skip", reason="再点一次").status_code == 303
    (after,) = [one for one in served.observe(TOWN).status.feeds if one.code == VILLAGE]
    assert after.quarantined == feed.quarantined - 1
    text = text_of(technician.get("/operations/quarantine?show=skipped").text)
    assert "来源确认是测试数据" in text
    assert "测-technician" in text
    assert "再点一次" not in text
    told = [row[2:] for row in trail(technician) if row[1].endswith(f"#{index}")]
    assert told[:3] == [("done", "repeated"), ("done", "done"), ("refused", "INVALID_ARGUMENT")]


def test_a_retry_lets_the_entry_take_effect_once_and_a_second_click_finds_nothing(
    served: ServedNetwork, technician: ConsoleUnderTest
) -> None:
    """The upgrade has come; the village's event is there, one time."""
    index = indexes(served, waiting=True)[0]
    reader = served.readers[TOWN]
    count = len(reader.list_records(feed_pb2.RECORD_TYPE_EVENT).rows)
    page = technician.get(f"{HERE}/{index}")
    answer = technician.fill(page, "/retry")
    assert answer.status_code == 303
    assert "1 条已生效" in text_of(technician.get(answer.headers["location"]).text)
    again = technician.fill(page, "/retry")
    assert again.status_code == 303
    assert "没有变化" in technician.get(again.headers["location"]).text
    assert len(reader.list_records(feed_pb2.RECORD_TYPE_EVENT).rows) == count + 1
    assert index not in indexes(served)
    done = ("quarantine-retry", f"{VILLAGE}/e1#{index}", "done", "applied")
    assert trail(technician).count(done) == 1


def test_a_retry_that_is_refused_again_says_why_and_stays(
    served: ServedNetwork, technician: ConsoleUnderTest
) -> None:
    """The program is as old as before."""
    index = indexes(served, waiting=True)[0]
    with an_older_program(lambda one: getattr(one, "category", "") == "道路", EVIL):
        answer = technician.fill(technician.get(f"{HERE}/{index}"), "/retry")
        page = technician.get(answer.headers["location"]).text
    assert "仍不被接受" in page
    assert EVIL not in page
    assert index in indexes(served, waiting=True)
    assert trail(technician)[0][2:] == ("done", "refused UNKNOWN_TYPE")


def test_all_of_a_feed_are_judged_again_by_one_button(
    served: ServedNetwork, technician: ConsoleUnderTest
) -> None:
    """Nobody clicks a thousand times after an upgrade."""
    waiting = indexes(served, waiting=True)
    page = technician.get(f"/operations/quarantine?feed={VILLAGE}/e1")
    (form,) = [one for one in forms_of(page.text) if one.action == HERE]
    fields = {**form.fields, "index": [str(one) for one in (*waiting, 99_999)]}
    answer = technician.post(HERE, fields)
    assert answer.status_code == 303
    assert indexes(served, waiting=True) == []
    assert f"{len(waiting)} 条已生效" in text_of(technician.get(answer.headers["location"]).text)
    assert technician.post(HERE, fields).status_code == 303, "sent twice"


# Trouble.


def test_a_fork_is_shown_and_its_evidence_convinces_whoever_has_the_key(
    served: ServedNetwork, technician: ConsoleUnderTest
) -> None:
    """The file is what was signed, byte for byte."""
    assert "没有。" in technician.get("/operations/trouble").text
    tiny, patch = served.network, pytest.MonkeyPatch()
    engine = tiny.engines[TOWN]
    origin = f"wenshang.example/feed/{COUNTY}/e1"
    one, other = HandmadeFeed(COUNTY).put_many(1), HandmadeFeed(COUNTY).put_many(1)
    other._entropy.token(16)
    other.put()
    one.put()
    evidence = ForkEvidence(one.note(), other.note())
    kept = engine.replica.feeds[origin]

    async def freeze() -> None:
        engine.replica.begin()
        with tiny.stores[TOWN].transaction():
            engine.replica.freeze(origin, evidence)
            engine.replica.commit()

    async def thaw() -> None:
        with tiny.stores[TOWN].transaction():
            tiny.stores[TOWN].put_feed(kept)
        engine.replica.feeds[origin] = kept

    served.thread.run(freeze())
    try:
        page = technician.get("/operations/trouble").text
        assert origin in page
        path = f"/operations/trouble/evidence/{COUNTY}/e1"
        answer = technician.get(path)
        assert answer.headers["content-disposition"].startswith("attachment")
        assert answer.content == evidence.first + b"\n" + evidence.second
        told = technician.get(f"{path}?format=json").json()
        notes = [note.encode() for note in told["notes"]]
        ForkEvidence(*notes).verify(one.identity.feed_signer.key)
        overview = technician.get("/operations").text
        assert 'class="verdict bad"' in overview
        assert "签出了两份互相矛盾的历史" in overview
        assert trail(technician)[0][0] == "fork-evidence"
    finally:
        served.thread.run(thaw())
        patch.undo()


# The machine, and the runbook.


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
        assert technician.get(f"/help/runbook/{name}").status_code == 200
    assert set(RUNBOOK.values()) <= set(names)
    assert set(RUNBOOK) <= set(STATE_KINDS)
    page = technician.get("/help/runbook/HuyingQuarantineNotEmpty").text
    assert "<ol>" in page
    assert "<code>" in page
    assert "```" not in page


# The node away.


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
    served: ServedNetwork, console: ConsoleUnderTest
) -> None:
    """The figures are the last ones, with their time; what was never known stays unknown."""
    console.sign_in("technician")
    live = console.get("/operations").text
    assert "节点没有应答" not in live
    old = console.site.node

    class Away:
        """A node whose API is gone, and whose database is still there."""

        def __getattr__(self, name: str) -> Any:
            return getattr(old, name)

        async def administer(self, method: str, request: Any) -> Any:
            from huying.common.errors import Code, HuyingError

            raise HuyingError(Code.UNREACHABLE, "away")

    console.site.node = Away()  # type: ignore[assignment]
    try:
        kept = console.get("/operations").text
        assert "不是现在的" in text_of(kept)
        assert 'class="verdict bad"' in kept
        assert "badge good" not in kept, "what was live then may not be now"
        console.site.last_figures = None
        stored = console.get("/operations").text
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
            assert console.get(path).status_code == 200
        assert "未知" in text_of(console.get("/operations/machine").text)
    finally:
        console.site.node = old
