"""The console's way to its node: opened once, and asked again soon where it was not there."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator

import pytest

from huying.common.errors import Code, HuyingError
from huying.node.store.reader import FileReader
from huying.node.web import node_link
from huying.node.web.node_link import NodeLink
from huying.wire.v1 import api_pb2
from tests.support.served_network import ServedNetwork
from tests.support.tiny_network import TOWN


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedNetwork]:
    with pytest.MonkeyPatch.context() as patch:
        network = ServedNetwork(tmp_path_factory.mktemp("net"), patch)
        yield network
        network.close()


def link(served: ServedNetwork) -> NodeLink:
    return NodeLink(served.configs[TOWN], served.network.clock, api_address=served.address(TOWN))


def test_two_first_queries_at_once_open_the_database_once(
    served: ServedNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other reader would hold its connections until the process ends."""
    opened: list[object] = []
    both = threading.Barrier(2, timeout=0.2)
    real = FileReader

    def slowly(url: str) -> object:
        with contextlib.suppress(threading.BrokenBarrierError):
            both.wait()  # the second query is here as well, unless it waits for the first
        opened.append(real(url))
        return opened[-1]

    monkeypatch.setattr(node_link, "FileReader", slowly)

    async def play() -> None:
        node = link(served)
        await asyncio.gather(*(node.read(lambda reader: reader.feeds()) for _ in range(2)))
        await node.close()

    asyncio.run(play())
    assert len(opened) == 1


def test_names_and_the_calendar_are_read_again_soon_after_the_database_was_away(
    served: ServedNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For a minute every time on every page would be told in UTC."""
    clock = served.network.clock

    async def play() -> None:
        node = link(served)

        def away(_reader: object) -> None:
            raise HuyingError(Code.STORE_FAILED, "the database is away")

        with monkeypatch.context() as patch:
            patch.setattr(node, "_facts", away)
            assert await node.offset_minutes() == 0
        clock.seconds += 3
        assert await node.offset_minutes() == 480
        assert TOWN in await node.names()
        await node.close()

    asyncio.run(play())


def test_no_page_waits_long_for_a_node_that_hangs(
    served: ServedNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes connections, and each page would take seconds, a form most of a minute."""
    clock = served.network.clock
    allowed: list[float] = []

    async def hang(_method: object, _request: object, seconds: float) -> None:
        allowed.append(seconds)
        await asyncio.sleep(seconds)
        raise HuyingError(Code.UNREACHABLE, "the node does not answer")

    async def play() -> None:
        node = link(served)
        monkeypatch.setattr(node, "_call", hang)
        monkeypatch.setattr(node_link, "_FIRST_STATUS_SECONDS", 0.0)
        assert not (await node.state()).is_up
        # What must not be waited for is far beyond the time that the test gives.
        monkeypatch.setattr(node_link, "_STATUS_SECONDS", 600.0)
        monkeypatch.setattr(node_link, "_SILENT_CALL_SECONDS", 0.5)
        clock.seconds += 2
        assert not (await asyncio.wait_for(node.state(), 30)).is_up
        with pytest.raises(HuyingError) as refused:
            await asyncio.wait_for(node.ask("Status", api_pb2.StatusRequest()), 30)
        assert refused.value.code is Code.UNREACHABLE
        await node.close()

    asyncio.run(play())
    assert allowed == [0.0, 600.0, 0.5]


def test_a_node_that_answers_again_is_found_by_the_next_page(served: ServedNetwork) -> None:
    """What a page says of it is never older than the last answer."""
    clock = served.network.clock

    async def play() -> None:
        node = link(served)
        right, node._address = node._address, "127.0.0.1:1"
        assert not (await node.state()).is_up
        assert node._channel is not None
        await node._channel.close()
        node._channel, node._address = None, right
        clock.seconds += 2
        await node.state()
        if node._asking is not None:
            await node._asking  # however long it takes on a busy machine
        assert (await node.state()).is_up
        await node.close()

    asyncio.run(play())
