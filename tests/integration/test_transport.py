"""Links over real sockets and real TLS, with an engine that records what reaches it."""

from __future__ import annotations

import asyncio
import itertools
import threading
from typing import Any

import grpc
import pytest

from huying.common.effects import (
    Append,
    Appended,
    AppendReceipt,
    Close,
    Direction,
    Drain,
    LinkDown,
    LinkUp,
    Received,
    Send,
)
from huying.common.errors import Code, HuyingError
from huying.common.limits import (
    INPUT_QUEUE_BYTES_MAX,
    LINK_QUEUE_BYTES_MAX,
    MIB,
    TRANSPORT_BYTES_MAX,
)
from huying.node import keys
from huying.node.children import ChildRoster
from huying.node.clock import SystemEntropy
from huying.node.membership import enrol
from tests.integration.link_sides import (
    COUNTY,
    NETWORK,
    OTHER,
    TOWN,
    WAIT_SECONDS,
    Side,
    make_nodes,
    open_stream,
    run,
    until,
)


@pytest.fixture(scope="module")
def nodes(tmp_path_factory) -> dict[str, enrol.Initialised]:
    return make_nodes(tmp_path_factory.mktemp("nodes"))


def anything(value: int) -> Any:
    """Drafts pass through the runtime unread."""
    return [value]


def test_a_frame_of_5_mib_reaches_the_engine_and_one_of_9_mib_is_cut(nodes):
    """Over the frame limit the engine refuses by name; the transport's limit bounds memory."""

    async def scenario() -> None:
        county, town = Side(nodes[COUNTY]), Side(nodes[TOWN])
        await county.runtime.start()
        down = county.downlink(ChildRoster([town.pin]))
        await down.start()
        unbounded = ("grpc.max_send_message_length", -1)
        channel, call = open_stream(town, county.pin.certificate, down.port, unbounded)
        await call.write(b"\xab" * (5 * MIB))
        up = await county.engine.expect(LinkUp)
        assert (up.code, up.direction) == (TOWN, Direction.DOWN)
        received = await county.engine.expect(Received)
        assert received.link == up.link
        assert received.frame == b"\xab" * (5 * MIB)
        await call.write(b"\xab" * (9 * MIB))
        assert 5 * MIB < TRANSPORT_BYTES_MAX < 9 * MIB
        assert await call.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert (await county.engine.expect(LinkDown)).link == up.link
        await channel.close()
        await down.stop()
        await county.runtime.stop()

    run(scenario())


def test_frames_go_both_ways_and_are_tapped_as_they_travel(nodes):
    """A test that looks for leaks must see every byte that left or entered a node."""
    tapped = []

    def echo(item):
        return [Send(item.link, item.frame * 2)] if isinstance(item, Received) else []

    def greet(item):
        return [Send(item.link, b"hello")] if isinstance(item, LinkUp) else []

    async def scenario() -> None:
        county, town = Side(nodes[COUNTY], echo), Side(nodes[TOWN], greet)
        await county.runtime.start()
        await town.runtime.start()
        down = county.downlink(ChildRoster([town.pin]), tap=lambda *frame: tapped.append(frame))
        await down.start()
        up = town.uplink(down.port, county.pin.certificate)
        await up.start()
        assert (await town.engine.expect(LinkUp)).direction is Direction.UP
        assert (await town.engine.expect(Received)).frame == b"hellohello"
        await up.stop()
        await county.engine.expect(LinkDown, (LinkUp, Received))
        await down.stop()
        await county.runtime.stop()
        await town.runtime.stop()

    run(scenario())
    assert tapped == [
        (TOWN, Direction.UP, b"hello"),
        (TOWN, Direction.DOWN, b"hellohello"),
    ]


@pytest.mark.parametrize("case", ["stranger", "impostor", "wrong parent", "wrong name"])
def test_a_certificate_that_was_not_pinned_opens_no_link(nodes, case, tmp_path):
    """Neither end talks to whom its operator did not name."""

    async def scenario() -> None:
        county, town, other = Side(nodes[COUNTY]), Side(nodes[TOWN]), Side(nodes[OTHER])
        await county.runtime.start()
        await town.runtime.start()
        roster = ChildRoster([other.pin] if case == "stranger" else [town.pin])
        down = county.downlink(roster)
        await down.start()
        parent = county.pin.certificate
        options: dict[str, Any] = {}
        if case == "impostor":  # the right name, another key
            forged = tmp_path / "forged"
            keys.create_keys(forged, forged / "api.token", NETWORK, TOWN)
            town.tls = keys.load_tls(forged, TOWN)
        if case == "wrong parent":
            parent = other.pin.certificate
        if case == "wrong name":
            options["code"] = OTHER
        attempts = itertools.count()
        tried = asyncio.Event()

        class Counting(SystemEntropy):
            def uniform(self, low: float, high: float) -> float:
                if next(attempts) == 2:
                    tried.set()
                return 0.0

        up = town.uplink(down.port, parent, entropy=Counting(), **options)
        await up.start()
        await tried.wait()
        await up.stop()
        await down.stop()
        assert county.engine.seen.empty()
        assert town.engine.seen.empty()
        await county.runtime.stop()
        await town.runtime.stop()

    run(scenario())


def test_a_certificate_trusted_by_tls_but_not_in_the_roster_is_refused_by_name(nodes):
    """The handshake proves a key; the roster decides who that is."""

    class Half(ChildRoster):
        def code_of(self, certificate_sha256: bytes) -> str | None:
            return None

    async def scenario() -> None:
        county, town = Side(nodes[COUNTY]), Side(nodes[TOWN])
        await county.runtime.start()
        down = county.downlink(Half([town.pin]))
        await down.start()
        channel, call = open_stream(town, county.pin.certificate, down.port)
        assert await call.code() is grpc.StatusCode.UNAUTHENTICATED
        assert (await call.details()).startswith(Code.NOT_ENROLLED.name)
        assert county.engine.seen.empty()
        await channel.close()
        await down.stop()
        await county.runtime.stop()

    run(scenario())


@pytest.mark.parametrize("closer", [COUNTY, TOWN])
def test_a_link_that_an_engine_closes_sends_its_last_frames_first(nodes, closer):
    """The refusal names the reason; cutting the stream before it would hide it."""

    def refuse(item):
        if isinstance(item, LinkUp):
            refusals = [Send(item.link, bytes([n]) * 1000) for n in range(20)]
            return [*refusals, Close(item.link, Code.VERSION_MISMATCH, "version: no common one")]
        return []

    async def scenario() -> None:
        county, town = (
            Side(nodes[code], refuse if code == closer else lambda _: []) for code in (COUNTY, TOWN)
        )
        await county.runtime.start()
        await town.runtime.start()
        down = county.downlink(ChildRoster([town.pin]))
        await down.start()
        up = town.uplink(
            down.port, county.pin.certificate, retry_seconds_min=60.0, retry_seconds_max=60.0
        )
        await up.start()
        reader = (town if closer == COUNTY else county).engine
        link = await reader.expect(LinkUp)
        for n in range(20):
            assert await reader.expect(Received) == Received(link.link, bytes([n]) * 1000)
        assert await reader.expect(LinkDown) == LinkDown(link.link)
        await up.stop()
        await down.stop()
        await county.runtime.stop()
        await town.runtime.stop()

    run(scenario())


def test_a_peer_that_does_not_read_is_cut_and_costs_bounded_memory(nodes):
    """A slow reader slows only itself."""
    frame = bytes(MIB)

    def flood(item):
        if isinstance(item, LinkUp):
            return [Send(item.link, frame)] * (2 * LINK_QUEUE_BYTES_MAX // MIB)
        return []

    async def scenario() -> None:
        county, town = Side(nodes[COUNTY], flood), Side(nodes[TOWN])
        await county.runtime.start()
        down = county.downlink(ChildRoster([town.pin]))
        await down.start()
        channel, call = open_stream(town, county.pin.certificate, down.port)
        await call.wait_for_connection()
        up = await county.engine.expect(LinkUp)
        assert await county.engine.expect(LinkDown) == LinkDown(up.link)
        await channel.close()
        await down.stop(0)
        await county.runtime.stop()

    run(scenario())


def test_a_full_input_queue_stops_the_reading_and_loses_nothing(nodes):
    """A sender that is faster than this node's disk waits; memory stays bounded."""
    gate = threading.Event()
    size = MIB

    def block(item):
        if isinstance(item, LinkUp):
            gate.wait(WAIT_SECONDS)
        return []

    def flood(item):
        if isinstance(item, LinkUp):
            return [Send(item.link, bytes([n]) * size) for n in range(30)]
        return []

    async def scenario() -> None:
        county, town = Side(nodes[COUNTY], block), Side(nodes[TOWN], flood)
        await county.runtime.start()
        await town.runtime.start()
        down = county.downlink(ChildRoster([town.pin]))
        await down.start()
        up = town.uplink(down.port, county.pin.certificate)
        await up.start()
        await town.engine.expect(LinkUp)
        await until(lambda: bool(county.runtime._queue._room))
        assert county.runtime._queue._bytes <= INPUT_QUEUE_BYTES_MAX
        gate.set()
        await county.engine.expect(LinkUp)
        for n in range(30):
            assert (await county.engine.expect(Received)).frame[0] == n
        await up.stop()
        await down.stop()
        await county.runtime.stop()
        await town.runtime.stop()

    run(scenario())


def test_appends_are_grouped_and_answered_each_with_its_own(nodes):
    """One durable transaction carries whatever waited: that is the group commit."""
    gate = threading.Event()

    def answer(item: Any) -> list[Any]:
        if isinstance(item, Append):
            gate.wait(WAIT_SECONDS)
            number: Any = item.drafts[0]
            return [Appended(item.token, receipts=(AppendReceipt("o", number, b"", False),))]
        return []

    async def scenario() -> None:
        county = Side(nodes[COUNTY], answer)
        await county.runtime.start()
        waiting = [asyncio.create_task(county.runtime.append(anything(n))) for n in range(50)]
        await asyncio.sleep(0)
        gate.set()
        answers = await asyncio.gather(*waiting)
        assert [receipt.index for (receipt,) in answers] == list(range(50))
        assert len(county.engine.batches) < 10
        await county.runtime.stop()
        with pytest.raises(HuyingError) as caught:
            await county.runtime.append(anything(1))
        assert caught.value.code is Code.DRAINING

    run(scenario())


def test_a_failed_store_ends_the_runtime_and_answers_who_waits(nodes):
    """A write that may be half done is verified at the next start, never retried."""

    def fail(item):
        if isinstance(item, Append):
            raise HuyingError(Code.STORE_FAILED, "disk I/O error")
        return []

    async def scenario() -> None:
        county = Side(nodes[COUNTY], fail)
        await county.runtime.start()
        with pytest.raises(HuyingError) as caught:
            await county.runtime.append(anything(1))
        assert caught.value.code is Code.STORE_FAILED
        await county.runtime.ended
        assert county.runtime.failure is not None
        assert county.runtime.failure.code is Code.STORE_FAILED
        await county.runtime.stop()

    run(scenario())


def test_a_drain_waits_for_the_last_acknowledgement(nodes):
    """What the parent had not confirmed before the stop would be sent again after it."""

    def acknowledge(item):
        return [Send(item.link, b"ack")] if isinstance(item, Received) else []

    def goodbye(item):
        return [Send(link.link, b"last") for link in ups] if isinstance(item, Drain) else []

    ups: list[LinkUp] = []

    async def scenario() -> None:
        county, town = Side(nodes[COUNTY], acknowledge), Side(nodes[TOWN], goodbye)
        await county.runtime.start()
        await town.runtime.start()
        down = county.downlink(ChildRoster([town.pin]))
        await down.start()
        up = town.uplink(down.port, county.pin.certificate)
        await up.start()
        ups.append(await town.engine.expect(LinkUp))
        await town.runtime.drain(5.0)
        assert await town.engine.expect(Drain)
        assert (await town.engine.expect(Received)).frame == b"ack"
        await up.stop()
        await down.stop()
        await town.runtime.stop()
        await county.runtime.stop()

    run(scenario())
