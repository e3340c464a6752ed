"""Two sides of a link in one process: real sockets, real TLS, and engines that record."""

from __future__ import annotations

import asyncio
import queue
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import grpc

from huying.common.status import NodeStatus
from huying.node import keys, tls
from huying.node.children import ChildRoster
from huying.node.clock import SystemClock, SystemEntropy
from huying.node.membership import enrol
from huying.node.runtime import Runtime
from huying.node.transport.downlink import Downlink
from huying.node.transport.link import METHOD, SERVICE
from huying.node.transport.uplink import Uplink
from tests.support.enrolled import make_node

__all__ = [
    "COUNTY",
    "NETWORK",
    "OTHER",
    "TOWN",
    "WAIT_SECONDS",
    "FakeEngine",
    "Side",
    "make_nodes",
    "open_stream",
    "run",
    "until",
]

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


def make_nodes(folder: Path) -> dict[str, enrol.Initialised]:
    """A county and two towns that are enrolled at it, by code."""
    county = make_node(folder / "county", COUNTY, sync_listen="127.0.0.1:0")
    made = {COUNTY: county}
    for code in (TOWN, OTHER):
        made[code] = make_node(folder / code, code, parent=county.config.file)
    return made


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop turn until something is so; `run` limits how long."""
    while not condition():  # noqa: ASYNC110  # what is waited for has no event
        await asyncio.sleep(0.001)


def run(scenario: Coroutine[Any, Any, None]) -> None:
    """A whole scenario, within half a minute."""

    async def limited() -> None:
        async with asyncio.timeout(30):
            await scenario

    asyncio.run(limited())
