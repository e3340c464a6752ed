"""What stirs is told to the pages that show it, and to no page too late; who else is there."""

from __future__ import annotations

import asyncio
import json

import pytest

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
