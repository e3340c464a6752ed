"""What stirs is told to the pages that show it, and to no page too late; who else is there."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from types import SimpleNamespace

import pytest

from huying.common.errors import Code, HuyingError
from huying.node.background import end_task
from huying.node.web import live
from huying.node.web.live import LiveHub, Viewer

CALL = "ab" * 16


class NoNode:
    """Nothing is followed here."""


@pytest.fixture
def hub():
    return LiveHub(NoNode())  # type: ignore[arg-type]  # it is never followed


def topics_of(event: str) -> list[str]:
    return json.loads(event)["topics"]


def viewer(*topics: str, seen: int = 0, person: str = "p", call: str = "") -> Viewer:
    return Viewer(f"人-{person}", person, frozenset(topics), call, seen)


def test_a_page_hears_of_its_own_topics_alone(hub):
    async def play():
        mine, other = viewer("calls"), viewer("orders")
        stream, silent = hub.stream(mine), hub.stream(other)
        assert topics_of(await anext(stream)) == []
        assert topics_of(await anext(silent)) == []
        hub.stir(["calls", f"call:{CALL}"])
        hub.stir(["calls"])
        assert topics_of(await anext(stream)) == ["calls"]
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(silent), 0.01)

    asyncio.run(play())


def test_what_stirs_between_a_page_and_its_stream_is_not_lost(hub):
    """The step arrived while the browser was still drawing: without this it shows minutes later."""

    async def play():
        seen = hub.count
        hub.stir([f"call:{CALL}"])
        late = hub.stream(viewer(f"call:{CALL}", "orders", seen=seen))
        assert topics_of(await anext(late)) == [f"call:{CALL}"]
        fresh = hub.stream(viewer(f"call:{CALL}", seen=hub.count))
        assert topics_of(await anext(fresh)) == []

    asyncio.run(play())


@pytest.mark.parametrize("seen", [-1, 10**9])
def test_a_page_of_another_console_process_looks_again_at_all(hub, seen):
    """The process ended and another one counts from 0."""

    async def play():
        stream = hub.stream(viewer("calls", "orders", seen=seen))
        assert topics_of(await anext(stream)) == ["calls", "orders"]

    asyncio.run(play())


def test_what_was_forgotten_counts_as_stirred(hub):
    """Memory is bounded; a page that slept for a day looks again."""

    async def play():
        for number in range(5000):
            hub.stir([f"call:{number}"])
        stream = hub.stream(viewer("orders", seen=1))
        assert topics_of(await anext(stream)) == ["orders"]

    asyncio.run(play())


def test_two_people_on_one_call_know_of_each_other_until_one_leaves(hub):
    async def play():
        first = viewer(f"presence:{CALL}", person="a", call=CALL)
        second = viewer(f"presence:{CALL}", person="b", call=CALL)
        one, two = hub.stream(first), hub.stream(second)
        await anext(one)
        assert hub.others(CALL, "a") == []
        await anext(two)
        assert hub.others(CALL, "a") == ["人-b"]
        assert hub.others(CALL, "b") == ["人-a"]
        assert topics_of(await anext(one)) == [f"presence:{CALL}"]
        await two.aclose()
        assert hub.others(CALL, "a") == []
        assert hub.viewer_count == 1

    asyncio.run(play())


class Node:
    """A node that answers, may be cut off, and refuses to be followed."""

    def __init__(self) -> None:
        self.is_cut_off = False
        self.watched = 0

    async def state(self) -> SimpleNamespace:
        return SimpleNamespace(is_up=True, is_cut_off=self.is_cut_off)

    async def watch(self, *_types: int) -> AsyncIterator[None]:
        self.watched += 1
        assert self.watched < 100, "without a pause"
        if self.watched:
            raise HuyingError(Code.BUSY, "too many followers")
        yield


def _without_waiting(monkeypatch: pytest.MonkeyPatch, ticks: int) -> None:
    """Every sleep of the hub ends at once, `ticks` of them; then it sleeps for good."""
    left = [ticks]
    turn = asyncio.sleep

    async def sleep(_seconds: float) -> None:
        left[0] -= 1
        await (turn(0) if left[0] >= 0 else asyncio.Event().wait())

    monkeypatch.setattr(live, "asyncio", SimpleNamespace(**{**vars(asyncio), "sleep": sleep}))


def _ticked(monkeypatch: pytest.MonkeyPatch, hub: LiveHub, ticks: int) -> int:
    """How often a page that shows just the line on top is to load itself in so many ticks."""
    stirs: list[set[str]] = []
    _without_waiting(monkeypatch, ticks)
    monkeypatch.setattr(hub, "stir", lambda topics: stirs.append(set(topics)))

    async def play() -> None:
        task = asyncio.create_task(hub._tick())
        while len(stirs) < ticks:
            await asyncio.wait({task}, timeout=0)
        await end_task(task)

    asyncio.run(play())
    assert all("status" in one for one in stirs)
    return sum("link" in one for one in stirs)


def test_an_open_page_loads_itself_once_a_minute_and_not_at_each_tick(monkeypatch):
    """One open page would take a fifth of 64 kbit/s, for a line that stayed the same."""
    assert _ticked(monkeypatch, LiveHub(Node()), 24) == 2  # type: ignore[arg-type]


def test_a_page_hears_at_the_next_tick_that_the_parent_went(monkeypatch):
    node = Node()
    hub = LiveHub(node)  # type: ignore[arg-type]

    async def goes() -> tuple[bool, bool]:
        was = (True, node.is_cut_off)
        node.is_cut_off = True
        return was

    monkeypatch.setattr(hub, "_link", goes)
    assert _ticked(monkeypatch, hub, 3) == 1


def test_a_node_that_refuses_to_be_followed_is_not_asked_without_a_pause(monkeypatch):
    """It answers and has no room: without a pause every open page would load itself for ever."""
    node = Node()
    hub = LiveHub(node)  # type: ignore[arg-type]
    _without_waiting(monkeypatch, 3)

    async def play() -> None:
        task = asyncio.create_task(hub._follow())
        for _ in range(200):
            await asyncio.wait({task}, timeout=0)
        assert not task.done()
        await end_task(task)

    asyncio.run(play())
    assert node.watched == 4  # the first time, and once after each pause


def test_a_stream_without_news_is_heard_of_now_and_then(hub):
    """Each time the page asks whether its person is still signed in: docs/ACCOUNTS.md."""

    async def play():
        mine = viewer("calls")
        stream = hub.stream(mine)
        await anext(stream)
        mine.wake.set()
        assert topics_of(await anext(stream)) == []

    asyncio.run(play())
