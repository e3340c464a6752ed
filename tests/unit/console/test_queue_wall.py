"""The wall: its numbers are those of the metrics, and what is not known is not green."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from huying.common.calls.call_state import CallStage
from huying.hub.call_metrics import CallCollector
from huying.hub.web.wall_pages import STUCK_SHOWN, by_department, by_stage
from huying.hub.web.wall_tree import Lag, NodeOnWall, branch_counts, tree
from huying.node.store.call_queries import CallLoad
from huying.wire.v1 import api_pb2
from tests.support.console_site import ConsoleUnderTest, text_of
from tests.support.tiny_network import COUNTY, TOWN, VILLAGE
from tests.unit.console.call_console import LEAD, SECOND
from tests.unit.console.queue_desk import QueueDesk, dispatch, queue_desk

HOSTILE = "<script>alert(1)</script>\"'>{{7*7}}"
OTHER_TOWN = "370830101000"
NAMES = {COUNTY: "汶上县", TOWN: "义桥镇", VILLAGE: "义桥村"}


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[QueueDesk]:
    with queue_desk(tmp_path_factory.mktemp("network")) as found:
        for at in range(4):
            found.raise_call(f"call {at}", dispatch(LEAD if at else SECOND))
        found.raise_call("received")
        found.raise_call("answered", dispatch(LEAD), {"accept": {"department": LEAD}},
                         {"answer": {"department": LEAD, "text": "好"}})  # fmt: skip
        yield found


def wall(desk: QueueDesk) -> Any:
    site = desk.consoles.county
    site.sign_in("director")
    page = site.get("/wall")
    assert page.status_code == 200, text_of(page.text)[:400]
    return page


def rows(page: Any, key: str) -> dict[str, tuple[int, int]]:
    """The table of a panel: open and overdue by its first column."""
    section = page.text.split(f'id="{key}"')[1].split("</section>")[0]
    found = re.findall(
        r'<th scope="row"[^>]*>([^<]+)</th>.*?<td class="number">(?:<a [^>]*>)?([\d,]+)[^\d]*'
        r'<td class="number[^"]*">(?:<a [^>]*>)?([\d,]+)<',
        section,
        re.DOTALL,
    )
    return {name: (int(opened), int(overdue)) for name, opened, overdue in found}


def test_the_numbers_are_those_of_the_metrics(desk: QueueDesk) -> None:
    """Two screens that contradict one another are worse than one."""
    page = wall(desk)
    reader = desk.served.readers[COUNTY]
    origin = next(feed.origin for feed in reader.feeds() if COUNTY in feed.origin)
    families = {f.name: f for f in CallCollector(COUNTY, origin, reader, 0).collect()}
    samples = families["huying_calls_open"].samples
    by_name: dict[str, float] = {}
    for sample in samples:
        name = sample.labels["department"].replace("(none)", "未派单")
        by_name[name] = by_name.get(name, 0) + sample.value
    departments = rows(page, "w-department")
    assert {name: opened for name, (opened, _) in departments.items()} == by_name
    stages = rows(page, "w-stage")
    assert sum(opened for opened, _ in stages.values()) == sum(by_name.values()) == 6
    assert stages["已派单"][0] == 4
    text = text_of(page.text)
    assert "6 未办结" in text
    assert "6 今日收到" in text
    assert "1 今日答复" in text


def test_a_figure_of_the_wall_leads_to_just_its_calls(desk: QueueDesk) -> None:
    """A director who sees what is stuck asks which calls these are."""
    page = wall(desk).text
    links = [link.replace("&amp;", "&") for link in re.findall(r'href="(/calls\?[^"]+)"', page)]
    site = desk.consoles.county
    shown = {link: len(re.findall("<tr [^>]*data-row", site.get(link).text)) for link in links}
    assert shown["/calls?order=deadline"] == 6
    assert shown["/calls?order=deadline&stage=dispatched"] == 4
    assert {count for link, count in shown.items() if "department=" in link} == {1, 4}
    assert not any("overdue" in link for link in links)  # nothing is


def test_the_wall_names_what_is_nearest_to_its_deadline(desk: QueueDesk) -> None:
    """A number says how many are stuck, and nobody can go after a number."""
    page = wall(desk).text
    stuck = page.split('class="stuck"')[1].split("</ol>")[0]
    assert stuck.count("<li>") == STUCK_SHOWN
    assert "answered" not in stuck  # with the caller
    assert re.search(r"剩 \d+", text_of(stuck))


def test_bars_and_curves_are_drawn_by_attributes(desk: QueueDesk) -> None:
    """The pages' policy lets no style and no script stand in them."""
    page = wall(desk)
    assert re.search(r'<rect class="rest" x="[\d.]+" y="0" height="10" width="100.0"', page.text)
    curves = re.findall(r'<polyline class="\w+" fill="none" points="([^"]+)"', page.text)
    assert len(curves) == 2
    assert "style=" not in page.text
    assert "<script>" not in page.text
    hours = page.text.split("<caption>")[1].split("</table>")[0]
    assert sum(map(int, re.findall(r"<td>(\d+)</td><td>", hours))) == 6


def test_the_pages_of_the_wall_load_themselves_again(desk: QueueDesk) -> None:
    """Nobody touches it."""
    assert re.search(r'id="wall" data-live="calls status"', wall(desk).text)


def test_an_unknown_lag_is_grey_and_says_so(desk: QueueDesk) -> None:
    """A village that was cut off an hour ago must not look well."""
    desk.served.settle()
    page = wall(desk)
    assert re.search(r'class="node fresh-node"><span class="name">' + TOWN, page.text)
    link = desk.consoles.county.site.node
    node = tree(COUNTY, (), NAMES, [TOWN, VILLAGE], is_up=True)
    assert {one.lag for one in walk(node)} == {Lag.UNKNOWN}
    assert link.code == COUNTY


def test_nothing_is_known_where_the_node_itself_is_away(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """What it said last is no news; the calls are read from its database."""
    with queue_desk(tmp_path_factory.mktemp("away")) as away:
        away.raise_call("kept")
        away.served.settle()
        assert 'fresh-node"><span' in wall(away).text
        away.served.stop_servers()
        away.served.network.clock.seconds += 5
        page = wall(away)
        assert 'fresh-node"><span' not in page.text
        assert re.search(r'class="node unknown-node"><span class="name">' + TOWN, page.text)
        assert "节点未应答" in text_of(page.text)
        assert "1 未办结" in text_of(page.text)


# --- the tree ---------------------------------------------------------------------------------


def walk(node: NodeOnWall) -> list[NodeOnWall]:
    return [each for child in node.below for each in (child, *walk(child))]


def feed(code: str, epoch: int = 1, **fields: Any) -> api_pb2.FeedStatus:
    return api_pb2.FeedStatus(
        origin=f"wenshang.example/feed/{code}/e{epoch}", **{"state": "live", **fields}
    )


@pytest.mark.parametrize(
    ("fields", "lag"),
    [
        ({"lag_known": True, "lag_seconds": 3.0}, Lag.FRESH),
        ({"lag_known": True, "lag_seconds": 121.0}, Lag.BEHIND),
        ({"lag_known": True, "lag_seconds": 901.0}, Lag.FAR),
        ({"lag_known": False, "lag_seconds": 0.0}, Lag.UNKNOWN),
        ({"lag_known": True, "lag_seconds": 3.0, "state": "forked"}, Lag.FAR),
        ({"lag_known": True, "lag_seconds": 3.0, "state": "tail_cut"}, Lag.FAR),
        ({"lag_known": False, "state": "unknown"}, Lag.UNKNOWN),
    ],
)
def test_the_colour_says_how_far_behind(fields: dict[str, Any], lag: Lag) -> None:
    """A feed that lies is never well, however fresh."""
    root = tree(COUNTY, [feed(TOWN, **fields)], NAMES, [], is_up=True)
    assert [node.lag for node in root.below] == [lag]


def test_the_newest_epoch_of_a_node_counts() -> None:
    """The feed of its lost key is closed, and says nothing of it."""
    feeds = [
        feed(TOWN, 2, lag_known=True, lag_seconds=1.0),
        feed(TOWN, 1, lag_known=False, state="closed"),
        feed("nonsense"),
        api_pb2.FeedStatus(origin="no origin"),
    ]
    root = tree(COUNTY, feeds, NAMES, [], is_up=True)
    assert [(node.code, node.lag) for node in root.below] == [(TOWN, Lag.FRESH)]


def test_a_node_that_was_never_heard_is_in_the_tree() -> None:
    """The roster says that it should be there."""
    root = tree(COUNTY, [feed(TOWN, lag_known=True)], NAMES, [VILLAGE, OTHER_TOWN], is_up=True)
    assert [(node.code, node.lag) for node in root.below] == [
        (OTHER_TOWN, Lag.UNKNOWN),
        (TOWN, Lag.FRESH),
    ]
    assert [node.code for node in root.below[1].below] == [VILLAGE]
    assert branch_counts(root) == {Lag.FRESH: 1, Lag.BEHIND: 0, Lag.FAR: 0, Lag.UNKNOWN: 2}


# --- bars -------------------------------------------------------------------------------------


def test_every_open_stage_has_a_bar_and_no_call_is_lost() -> None:
    """A stage that has no call says 0."""
    loads = [
        CallLoad("甲", int(CallStage.HANDLING), 5, 2),
        CallLoad("乙", int(CallStage.HANDLING), 1, 0),
        CallLoad("", int(CallStage.RECEIVED), 4, 1),
    ]
    bars = by_stage(loads)
    assert [bar.open for bar in bars if bar.open] == [4, 6]
    assert sum(bar.overdue for bar in bars) == 3


def test_the_departments_beyond_the_screen_are_summed() -> None:
    """Sixty do not fit; what they have still counts."""
    loads = [CallLoad(f"第{at:02d}局", 9, at, at % 3) for at in range(1, 61)]
    bars = by_department(loads, 9)
    assert len(bars) == 9
    assert sum(bar.open for bar in bars) == sum(load.open for load in loads)
    assert sum(bar.overdue for bar in bars) == sum(load.overdue for load in loads)
    assert bars[-1].merged_count == 52
    assert [bar.overdue for bar in bars[:-1]] == [2] * 8
    assert [bar.open for bar in bars[:2]] == [59, 56]


def test_a_hostile_name_is_text_on_the_wall(desk: QueueDesk) -> None:
    """A department's name is typed by people, too."""
    call = desk.raise_call(HOSTILE, dispatch(f"局{HOSTILE}"[:40]))
    site: ConsoleUnderTest = desk.consoles.county
    page = wall(desk)
    assert "<script>alert" not in page.text
    assert "&lt;script&gt;" in page.text
    assert site.get(f"/calls?q={call}").status_code == 200
