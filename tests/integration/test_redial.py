"""Whatever ends a link or a dial, the child dials again, and nothing of the old attempt stays."""

from __future__ import annotations

import asyncio
import socket
import threading

import grpc
import pytest

from huying.common.effects import LinkDown, LinkUp
from huying.node.children import ChildRoster
from huying.node.clock import SystemClock, SystemEntropy
from huying.node.membership import enrol
from huying.node.transport.uplink import Uplink, was_of_use
from tests.integration.link_sides import COUNTY, TOWN, Side, make_nodes, run, until

FAILING_SECONDS = 1.5


LISTENING_SECONDS = 3.0  # a channel that is still alive tries again within about a second


@pytest.fixture(scope="module")
def nodes(tmp_path_factory) -> dict[str, enrol.Initialised]:
    return make_nodes(tmp_path_factory.mktemp("nodes"))


class Nobody:
    """A host that no link ever reaches."""

    def number(self) -> int:
        return 1

    def opened(self, link: object) -> None:
        raise AssertionError("nobody answers")

    def closed(self, link: object) -> None: ...

    async def received(self, link: object, frame: bytes) -> None: ...


class Port:
    """Hangs up on whoever dials; counts those who do once it is `watched`."""

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._server.getsockname()[1]}"
        self.watched = False
        self.dialled = 0
        self.counted = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._server.accept()
            except OSError:
                return
            self.dialled += 1
            self.counted += self.watched
            near.close()

    def close(self) -> None:
        self._server.close()


def test_a_dial_that_failed_leaves_nothing_behind_that_goes_on_dialling() -> None:
    """After a month offline each attempt would still be there, and all come back with the line."""
    port = Port()

    async def scenario() -> None:
        credentials = grpc.ssl_channel_credentials()
        uplink = Uplink(
            Nobody(),
            code="370830108000",
            address=port.address,
            credentials=lambda: credentials,
            clock=SystemClock(),
            entropy=SystemEntropy(),
            retry_seconds_min=0.05,
            retry_seconds_max=0.1,
            stream_age_seconds=3600.0,
        )
        await uplink.start()
        await asyncio.sleep(FAILING_SECONDS)
        await uplink.stop()
        assert port.dialled >= 3
        port.watched = True
        await asyncio.sleep(LISTENING_SECONDS)

    try:
        asyncio.run(scenario())
    finally:
        port.close()
    assert port.counted == 0, f"{port.counted} dials by nobody"


@pytest.mark.parametrize(
    ("frames", "seconds", "useful"),
    [
        (0, 60.0, False),  # it was up and said nothing
        (2, 0.2, False),  # a greeting and a refusal
        (2, 4.9, False),
        (1, 5.0, True),
        (3, 4.0, True),  # cut after a while, and it brought acknowledgements
        (9, 0.5, False),  # a peer that ends each link at once must not be stormed
    ],
)
def test_a_link_that_was_of_use_is_dialled_again_soon(
    frames: int, seconds: float, useful: bool
) -> None:
    """Else a line that is cut every five seconds would stand idle for half a minute each time."""
    assert was_of_use(frames, seconds) is useful


def test_the_child_dials_again_when_the_server_is_back(nodes):
    """The county is down at night; nobody presses a button in the morning."""

    async def scenario() -> None:
        county, town = Side(nodes[COUNTY]), Side(nodes[TOWN])
        await county.runtime.start()
        await town.runtime.start()
        roster = ChildRoster([town.pin])
        down = county.downlink(roster)
        await down.start()
        up = town.uplink(down.port, county.pin.certificate)
        await up.start()
        first = await town.engine.expect(LinkUp)
        await down.stop(0)
        assert await town.engine.expect(LinkDown) == LinkDown(first.link)
        again = county.downlink(roster, port=down.port)
        await again.start()
        assert (await town.engine.expect(LinkUp)).link > first.link
        await up.stop()
        await again.stop()
        await county.runtime.stop()
        await town.runtime.stop()

    run(scenario())


@pytest.mark.parametrize("is_silent", [True, False])
def test_the_fallback_address_is_dialled_in_turn_once_the_root_is_silent(nodes, is_silent):
    """The day the line to the town's office is cut, the other line is tried without anybody."""

    async def scenario() -> None:
        county, town = Side(nodes[COUNTY]), Side(nodes[TOWN])
        await county.runtime.start()
        await town.runtime.start()
        down = county.downlink(ChildRoster([town.pin]))
        await down.start()
        with socket.socket() as nobody:  # bound and not listening: refused at once
            nobody.bind(("127.0.0.1", 0))
            up = town.uplink(
                nobody.getsockname()[1],
                county.pin.certificate,
                fallback=f"127.0.0.1:{down.port}",
                fallback_due=lambda: is_silent,
            )
            await up.start()
            if is_silent:
                await town.engine.expect(LinkUp)
            else:
                await asyncio.sleep(1.0)
                assert town.engine.seen.empty()
            await up.stop()
        await down.stop()
        await county.runtime.stop()
        await town.runtime.stop()

    run(scenario())


def test_a_wake_dials_at_once(nodes):
    """Back-off without wake-up is a dead link: the wait may have grown to a minute."""

    async def scenario() -> None:
        county, town = Side(nodes[COUNTY]), Side(nodes[TOWN])
        await county.runtime.start()
        await town.runtime.start()
        roster = ChildRoster([town.pin])
        down = county.downlink(roster)
        await down.start()
        await down.stop(0)
        up = town.uplink(
            down.port, county.pin.certificate, retry_seconds_min=600.0, retry_seconds_max=600.0
        )
        await up.start()
        await until(lambda: up.retry_next is not None)
        again = county.downlink(roster, port=down.port)
        await again.start()
        up.wake()
        assert await town.engine.expect(LinkUp)
        assert up.retry_next is None
        await up.stop()
        await again.stop()
        await county.runtime.stop()
        await town.runtime.stop()

    run(scenario())


def test_a_stream_that_reached_its_age_is_dialled_anew(nodes):
    """No trust outlives the stream it was checked for by more than that."""

    async def scenario() -> None:
        county, town = Side(nodes[COUNTY]), Side(nodes[TOWN])
        await county.runtime.start()
        await town.runtime.start()
        down = county.downlink(ChildRoster([town.pin]))
        await down.start()
        up = town.uplink(down.port, county.pin.certificate, stream_age_seconds=0.05)
        await up.start()
        first = await town.engine.expect(LinkUp)
        assert await town.engine.expect(LinkDown) == LinkDown(first.link)
        assert (await town.engine.expect(LinkUp)).link > first.link
        await up.stop()
        await down.stop()
        await county.runtime.stop()
        await town.runtime.stop()

    run(scenario())


def test_a_child_that_is_enrolled_later_connects_without_a_restart(nodes):
    """A county with 25 towns is not restarted for the twenty-sixth."""

    async def scenario() -> None:
        county, town = Side(nodes[COUNTY]), Side(nodes[TOWN])
        await county.runtime.start()
        await town.runtime.start()
        roster = ChildRoster()
        down = county.downlink(roster)
        await down.start()
        up = town.uplink(down.port, county.pin.certificate)
        await up.start()
        roster.replace([town.pin])
        assert (await county.engine.expect(LinkUp)).code == TOWN
        await up.stop()
        await down.stop()
        await county.runtime.stop()
        await town.runtime.stop()

    run(scenario())


def test_a_newer_link_replaces_the_older(nodes):
    """A child whose network changed is back long before its old stream is seen to be dead."""

    async def scenario() -> None:
        county, town = Side(nodes[COUNTY]), Side(nodes[TOWN])
        await county.runtime.start()
        await town.runtime.start()
        down = county.downlink(ChildRoster([town.pin]))
        await down.start()
        first = town.uplink(down.port, county.pin.certificate, retry_seconds_min=60.0)
        await first.start()
        older = await county.engine.expect(LinkUp)
        second = town.uplink(down.port, county.pin.certificate)
        await second.start()
        assert await county.engine.expect(LinkDown) == LinkDown(older.link)
        assert (await county.engine.expect(LinkUp)).link != older.link
        await first.stop()
        await second.stop()
        await down.stop()
        await county.runtime.stop()
        await town.runtime.stop()

    run(scenario())
