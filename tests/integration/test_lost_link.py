"""However a link or a dial ends, it is seen within its time, and the child dials again."""

from __future__ import annotations

import asyncio
import itertools
import socket
from typing import Any

import pytest

from huying.common.effects import LinkDown, LinkUp, Received, Send
from huying.node import logs
from huying.node.children import ChildRoster
from huying.node.membership import enrol
from huying.node.transport import downlink as downlink_module
from huying.node.transport import uplink as uplink_module
from huying.node.transport.downlink import Downlink
from huying.node.transport.link import METHOD, SERVICE, Link, channel_options
from tests.integration.cut_link import CutLink
from tests.integration.link_sides import COUNTY, TOWN, Side, make_nodes, open_stream, run, until


@pytest.fixture(scope="module")
def nodes(tmp_path_factory) -> dict[str, enrol.Initialised]:
    return make_nodes(tmp_path_factory.mktemp("nodes"))


class Waiting:
    """A host that takes one frame and then has no room for the next, as a busy engine."""

    def __init__(self) -> None:
        self.links: list[Link] = []
        self.closed_count = 0
        self.took = asyncio.Event()
        self.has_room = asyncio.Event()
        self._numbers = itertools.count(1)

    def number(self) -> int:
        return next(self._numbers)

    def opened(self, link: Link) -> None:
        self.links.append(link)

    async def received(self, link: Link, frame: bytes) -> None:
        self.took.set()
        await self.has_room.wait()

    def closed(self, link: Link) -> None:
        self.closed_count += 1


def test_a_frame_for_a_stream_that_has_ended_does_not_end_the_dialling(nodes):
    """A parent is killed while its child writes: the child was an island until its own restart."""

    def greet(item: Any) -> list[Any]:
        return [Send(item.link, b"hello")] if isinstance(item, LinkUp) else []

    async def scenario() -> None:
        county, town = Side(nodes[COUNTY], greet), Side(nodes[TOWN])
        await county.runtime.start()
        roster = ChildRoster([town.pin])
        down = county.downlink(roster)
        await down.start()
        host = Waiting()
        town.runtime = host  # type: ignore[assignment]
        up = town.uplink(down.port, county.pin.certificate)
        await up.start()
        await host.took.wait()
        await down.stop(0)

        def is_closed() -> bool:
            if not host.closed_count:
                host.links[0].send(b"one more")
            return bool(host.closed_count)

        await until(is_closed)
        again = county.downlink(roster, port=down.port)
        await again.start()
        await until(lambda: len(host.links) > 1)
        host.has_room.set()
        await up.stop()
        await again.stop()
        await county.runtime.stop()

    run(scenario())


@pytest.mark.parametrize("faulty", ["credentials", "on_up", "opened", "received"])
def test_a_fault_in_a_dial_is_logged_and_the_parent_dialled_again(nodes, faulty, monkeypatch):
    """A full disk, or a defect nobody thought of, must not cut a town off until somebody looks."""
    said: list[tuple[str, object]] = []
    monkeypatch.setattr(logs, "say", lambda event, **values: said.append((event, values)))

    def greet(item: Any) -> list[Any]:
        return [Send(item.link, b"hello")] if isinstance(item, LinkUp) else []

    async def scenario() -> None:
        county, town = Side(nodes[COUNTY], greet), Side(nodes[TOWN])
        await county.runtime.start()
        await town.runtime.start()
        down = county.downlink(ChildRoster([town.pin]))
        await down.start()
        faults = [OSError("No space left on device: /srv/huying/pins")]

        def fault_once() -> None:
            if faults:
                raise faults.pop()

        owner = {"credentials": town, "on_up": None}.get(faulty, town.runtime)
        if owner is not None:
            sound = getattr(owner, faulty)

            def faulting(*values: Any) -> Any:
                fault_once()
                return sound(*values)

            monkeypatch.setattr(owner, faulty, faulting)
        up = town.uplink(down.port, county.pin.certificate)
        if faulty == "on_up":
            up.on_up = fault_once
        await up.start()
        await town.engine.expect(Received, (LinkUp, LinkDown))
        assert faults == []
        await up.stop()
        await down.stop()
        await county.runtime.stop()
        await town.runtime.stop()

    run(scenario())
    failed = [values for event, values in said if event == "uplink_failed"]
    assert failed == [{"peer": COUNTY, "kind": "OSError"}]


@pytest.mark.parametrize("stage", ["before it accepts", "before it serves"])
def test_a_parent_that_hangs_in_the_handshake_is_no_parent_within_the_dial_s_time(
    nodes, stage, monkeypatch
):
    """A kernel answers for a program that is stopped; only the program's own word counts."""
    said: list[str] = []
    monkeypatch.setattr(logs, "say", lambda event, **_: said.append(event))
    monkeypatch.setattr(uplink_module, "DIAL_SECONDS_MAX", 0.3)

    async def scenario() -> None:
        county, town = Side(nodes[COUNTY]), Side(nodes[TOWN])
        await county.runtime.start()
        await town.runtime.start()
        with socket.create_server(("127.0.0.1", 0)) as stopped:
            down = county.downlink(ChildRoster([town.pin]))
            never = asyncio.Event()

            async def hang(*_: object) -> None:
                await never.wait()

            monkeypatch.setattr(Downlink, "_session", hang)
            await down.start()
            port = stopped.getsockname()[1] if stage == "before it accepts" else down.port
            up = town.uplink(port, county.pin.certificate)
            await up.start()
            await until(lambda: said.count("uplink_unreached") >= 2)
            assert "uplink_up" not in said
            assert town.engine.seen.empty()
            await up.stop()
            never.set()
            await down.stop(0)
        await county.runtime.stop()
        await town.runtime.stop()

    run(scenario())


def test_a_peer_that_falls_silent_is_given_up_by_both_ends(nodes, monkeypatch):
    """A cable that was cut says no goodbye: a link must not count as up for the rest of the day."""
    for module in (uplink_module, downlink_module):
        monkeypatch.setattr(module, "CHANNEL_OPTIONS", channel_options(0.4, 0.4))

    def greet(item: Any) -> list[Any]:
        return [Send(item.link, b"hello")] if isinstance(item, LinkUp) else []

    async def scenario() -> None:
        county, town = Side(nodes[COUNTY], greet), Side(nodes[TOWN], greet)
        await county.runtime.start()
        await town.runtime.start()
        down = county.downlink(ChildRoster([town.pin]))
        await down.start()
        line = CutLink(f"127.0.0.1:{down.port}")
        up = town.uplink(int(line.address.rpartition(":")[2]), county.pin.certificate)
        await up.start()
        for side in (county, town):
            await side.engine.expect(Received, (LinkUp,))
        line.freeze()
        for side in (county, town):
            await side.engine.expect(LinkDown)
        line.heal()
        await town.engine.expect(LinkUp)
        await up.stop()
        line.close()
        await down.stop()
        await county.runtime.stop()
        await town.runtime.stop()

    run(scenario())


def test_of_several_dials_at_once_one_link_is_left(nodes):
    """A child that dials again and again over a bad line must not be heard twice over."""

    async def scenario() -> None:
        county, town = Side(nodes[COUNTY]), Side(nodes[TOWN])
        await county.runtime.start()
        down = county.downlink(ChildRoster([town.pin]))
        await down.start()
        channel, first = open_stream(town, county.pin.certificate, down.port)
        await first.initial_metadata()
        calls = [channel.stream_stream(f"/{SERVICE}/{METHOD}")() for _ in range(3)]
        ups = [await county.engine.expect(LinkUp, (LinkDown,)) for _ in range(4)]
        await until(lambda: sum(call.done() for call in (first, *calls)) == 3)
        assert list(county.runtime._links) == [ups[-1].link]
        await channel.close()
        await down.stop(0)
        await county.runtime.stop()

    run(scenario())
