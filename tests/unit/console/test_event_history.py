"""The history of an event as a page: each version in words, and no more than a reader may see.

A version that was withheld, or was another grid's at the time, must tell nothing by what changed.
"""

from __future__ import annotations

from typing import Any

import pytest

from huying.node.store import feed_walk
from huying.node.web.events import event_versions
from huying.node.web.events.event_turns import turns_of
from huying.wire.v1 import feed_pb2
from tests.support.console_site import text_of
from tests.support.tiny_network import GRID, TOWN, VILLAGE, put
from tests.unit.console.event_pages import stored
from tests.unit.console.town_desk import REPORTER, Town


def history(town: Town, code: str, event: bytes, query: str = "", status: int = 200) -> str:
    answer = town.consoles[code].get(f"/events/{VILLAGE}/{event.hex()}/history{query}")
    assert answer.status_code == status
    return text_of(answer.text)


def changed(town: Town, event: bytes, **fields: Any) -> None:
    """The event's next version."""
    message = stored(town, event)
    for name, value in fields.items():
        setattr(message, name, value)
    town.append(VILLAGE, put(feed_pb2.RECORD_TYPE_EVENT, message, record=event))


def test_the_history_tells_each_version_in_words_and_who_wrote_it(town: Town) -> None:
    """A dispute about who said what and when is settled by the record, by anybody who looks."""
    event = town.event()
    changed(town, event, category="路灯", address="")
    changed(town, event, description_public="村口路灯不亮\n又坏了一盏")
    town.village.sign_in("worker")
    page = town.village.get(f"/events/{VILLAGE}/{event.hex()}")
    assert "/history" in page.text
    town.village.fill(page, "/settle")
    told = history(town, VILLAGE, event)
    places = [
        told.index(words)
        for words in ("上报 义桥村", "类别 道路 → 路灯", "加上 又坏了一盏", "办结 义桥村")
    ]
    assert places == sorted(places)
    assert "地点 村口 → (空)" in told
    assert "办结 义桥村 · 测试worker" in told
    assert "状态" not in told  # what the turn is called says it


def test_the_history_tells_a_town_just_what_it_sees(town: Town) -> None:
    """An earlier version is withheld as the newest is: nothing comes out by its history."""
    event = town.event()
    changed(town, event, reporter_phone="16011112222", description_full="改了")
    town.town.sign_in("clerk")
    told = history(town, TOWN, event)
    assert "看得到的内容没有改动" in told
    assert "看不出改没改过的:详细情况、反映人、反映人电话" in told
    for hidden in (REPORTER, "16011112222", "改了", "张生成"):
        assert hidden not in told
    town.village.sign_in("worker")
    assert f"反映人电话 {REPORTER} → 16011112222" in history(town, VILLAGE, event)


def test_what_one_version_withholds_is_no_change_of_the_other(town: Town) -> None:
    """A field that is here of one version alone was provided or erased; nobody rewrote it."""
    event = town.event()
    changed(town, event, category="路灯")
    found = {}
    for code in (TOWN, VILLAGE):
        row = town.served.readers[code].get_event(VILLAGE, event)
        assert row is not None
        found[code] = event_versions.versions_of(town.served.readers[code], row).found
    mixed = (found[VILLAGE][0], found[TOWN][1])
    turns = turns_of(VILLAGE, mixed, (), (), is_whole=True, sees=lambda _: True)
    assert [change.zh for change in turns[-1].changes] == ["类别"]


def test_a_history_goes_on_where_its_bound_cut_it(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A long feed is read a piece at a time, and a page that was cut says how far it came."""
    event = town.event()
    changed(town, event, category="甲")
    town.event()
    changed(town, event, category="乙")
    town.town.sign_in("clerk")
    monkeypatch.setattr(event_versions, "HISTORY_SCAN_SECONDS_MAX", 0.0)
    monkeypatch.setattr(feed_walk, "CHUNK", 2)
    reader = town.served.readers[TOWN]
    row = reader.get_event(VILLAGE, event)
    assert row is not None
    first = event_versions.versions_of(reader, row)
    assert [one.message.category for one in first.found] == ["乙"]
    assert "再往前看" in history(town, TOWN, event)
    rest = event_versions.versions_of(reader, row, first.before)
    # The last one comes again, since what it changed shows just beside the one before it.
    assert [one.message.category for one in rest.found] == ["乙", "甲", "道路"]
    older = history(town, TOWN, event, f"?before={first.before}")
    assert "道路 → 甲" in older
    assert "甲 → 乙" in older
    history(town, TOWN, event, "?before=x", status=400)


def test_a_version_of_another_grid_tells_nothing_of_itself(town: Town) -> None:
    """An event that came to a worker's grid says nothing of what it was in a colleague's."""
    event = town.event(grid=GRID[:-1] + "9", category="别处的事")
    changed(town, event, grid=GRID, category="这里的事")
    town.village.sign_in("worker", login="one-grid", area=GRID)
    told = history(town, VILLAGE, event)
    assert "不归你看" in told
    assert "别处的事" not in told
