"""Links over real sockets and real TLS, with an engine that records what reaches it."""

from __future__ import annotations

import asyncio
import itertools
import queue
import socket
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
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
from huying.common.status import NodeStatus
from huying.node import keys, tls
from huying.node.children import ChildRoster
from huying.node.clock import SystemClock, SystemEntropy
from huying.node.membership import enrol
from huying.node.runtime import Runtime
from huying.node.transport.downlink import Downlink
from huying.node.transport.link import METHOD, SERVICE
from huying.node.transport.uplink import Uplink
from tests.enrolled import make_node

NETWORK = "wenshang.example"
COUNTY, TOWN, OTHER = "370830000000", "370830108000", "370830109000"
WAIT_SECONDS = 10.0


class FakeEngine:
    """Records inputs; `react` makes effects of each."""

    def __init__(self, react: Callable[[Any], list[Any]] = lambda _: []) -> None:
        self.seen: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.react = react
        self.change_count = 0
        self.batches: list[int] = []

    def start(self):
        return []

    def step(self, inputs):
        self.batches.append(len(inputs))
        effects = []
        for item in inputs:
            self.seen.put(item)
            effects += self.react(item)
        return effects

    def next_wake(self):
        return SystemClock().monotonic() + 60

    def status(self):
        return NodeStatus(COUNTY, "origin", "live", (), ())

    async def expect(self, kind, among=()):
        """The next input of this kind; those of kinds in `among` may come before it."""
        while True:
            item = await asyncio.to_thread(self.seen.get, timeout=WAIT_SECONDS)
            if isinstance(item, kind):
                return item
            assert isinstance(item, among), f"{str(item)[:80]} came before {kind}"


class Side:
    """One node's keys, engine and runtime."""

    def __init__(self, made: enrol.Initialised, react=lambda _: []) -> None:
        self.pin = made.pin
        self.tls = keys.load_tls(made.config.keys_dir, made.pin.code)
        self.engine = FakeEngine(react)
        self.runtime = Runtime(self.engine, SystemClock())

    def downlink(self, children: ChildRoster, port: int = 0, tap=None) -> Downlink:
        return Downlink(
            self.runtime,
            listen=f"127.0.0.1:{port}",
            own=lambda: (self.tls.key_pem, self.tls.certificate_pem),
            children=children,
            tap=tap,
        )

    def credentials(self, parent: str) -> grpc.ChannelCredentials:
        return tls.channel_credentials(self.tls.key_pem, self.tls.certificate_pem, parent.encode())

    def uplink(self, port: int, parent: str, **options) -> Uplink:
        values: dict[str, Any] = {
            "code": COUNTY,
            "clock": SystemClock(),
            "entropy": SystemEntropy(),
            "retry_seconds_min": 0.02,
            "retry_seconds_max": 0.1,
            "stream_age_seconds": 3600.0,
        }
        return Uplink(
            self.runtime,
            address=f"127.0.0.1:{port}",
            credentials=lambda: self.credentials(parent),
            **(values | options),
        )


def open_stream(side: Side, parent: str, port: int, *options: tuple[str, Any]) -> tuple[Any, Any]:
    """A channel, and a session on it, without the uplink's manners."""
    channel: Any = grpc.aio.secure_channel(
        f"127.0.0.1:{port}",
        side.credentials(parent),
        options=[("grpc.ssl_target_name_override", tls.dns_name(COUNTY)), *options],
    )
    return channel, channel.stream_stream(f"/{SERVICE}/{METHOD}")()


@pytest.fixture(scope="module")
def nodes(tmp_path_factory) -> dict[str, enrol.Initialised]:
    folder: Path = tmp_path_factory.mktemp("nodes")
    county = make_node(folder / "county", COUNTY, sync_listen="127.0.0.1:0")
    made = {COUNTY: county}
    for code in (TOWN, OTHER):
        made[code] = make_node(folder / code, code, parent=county.config.file)
    return made


def anything(value: int) -> Any:
    """Drafts pass through the runtime unread."""
    return [value]


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop turn until something is so; `run` limits how long."""
    while not condition():  # noqa: ASYNC110  # what is waited for has no event
        await asyncio.sleep(0.001)


def run(scenario: Coroutine[Any, Any, None]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(30):
            await scenario

    asyncio.run(limited())


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
