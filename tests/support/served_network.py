"""The tiny network on disk, each node with its folder, its keys and its API on loopback.

The API's event loop has a thread of its own, as in production; the engines run on it, so that a
test talks to them through a client, as a person does.
"""

from __future__ import annotations

import asyncio
import functools
import threading
from collections import Counter
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest

from huying.common.effects import (
    Append,
    Appended,
    AppendReceipt,
    DraftEntry,
    Operate,
    Operated,
    Operation,
)
from huying.common.errors import Code
from huying.common.status import NodeStatus
from huying.hub.desk import HUB_TOPICS
from huying.node import config as node_config
from huying.node import keys, renewal
from huying.node.admin import AdminNode
from huying.node.api.calls import Calls
from huying.node.api.client import Client
from huying.node.api.ports import Facts
from huying.node.api.reads import StoreReads
from huying.node.api.server import ApiServer
from huying.node.api.service import NodeService
from huying.node.config import Config
from huying.node.monitoring.disk_use import disk_use
from huying.node.monitoring.figures import Observed
from huying.node.monitoring.history import History
from huying.node.store.database import sqlite_url
from huying.node.store.reader import FileReader
from tests.support import tiny_network
from tests.support.enrolled import make_node
from tests.support.tiny_network import COUNTY, NETWORK, TOWN, VILLAGE, TinyNetwork

T = TypeVar("T")

NAMES = {COUNTY: "汶上县", TOWN: "义桥镇", VILLAGE: "义桥村"}


class LoopThread:
    """An event loop on a thread; `run` waits for a coroutine on it."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(timeout=30)

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


class TinyRuntime:
    """`Runtime` over one engine of the tiny network. `state` overrides what the status says."""

    def __init__(self, served: ServedNetwork, code: str) -> None:
        self._served = served
        self._code = code
        self._engine = served.network.engines[code]
        self.state = ""
        self.append_error: Exception | None = None
        self.alarms: Counter[tuple[Code, str, str]] = Counter()

    def status(self) -> NodeStatus:
        import dataclasses

        status = self._engine.status()
        return dataclasses.replace(status, state=self.state) if self.state else status

    async def append(self, drafts: Sequence[DraftEntry]) -> tuple[AppendReceipt, ...]:
        if self.append_error is not None:
            raise self.append_error
        network = self._served.network
        network.clock.seconds += 1
        effects = self._engine.step([Append(object(), tuple(drafts))])
        (answer,) = (effect for effect in effects if isinstance(effect, Appended))
        network._effects(self._code, [each for each in effects if each is not answer])
        network.run()
        self._served.changed()
        if answer.error is not None:
            raise answer.error
        return answer.receipts

    async def operate(self, operation: Operation) -> Any:
        network = self._served.network
        network.clock.seconds += 1
        effects = self._engine.step([Operate(object(), operation)])
        (answer,) = (effect for effect in effects if isinstance(effect, Operated))
        network._effects(self._code, [each for each in effects if each is not answer])
        network.run()
        self._served.changed()
        if answer.error is not None:
            raise answer.error
        return answer.result

    async def wait_change(self, seen: int) -> int:
        while self._engine.change_count == seen:
            await self._served.change.wait()
        return self._engine.change_count


class ServedNetwork:
    """County, town and village, served. `settle` moves the clock and lets timers run."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.configs: dict[str, Config] = {}
        above: Path | None = None
        for code in (COUNTY, TOWN, VILLAGE):
            made = make_node(
                folder / code,
                code,
                network=NETWORK,
                name=NAMES[code],
                parent=above,
                sync_listen=None if code == VILLAGE else "127.0.0.1:1",
            )
            self.configs[code] = node_config.load(made.config.file, {})
            above = made.config.file
        patch.setattr(tiny_network, "identity", self._identity)
        self.network = TinyNetwork(lambda code: sqlite_url(self.configs[code].database_file))
        self.thread = LoopThread()
        self.runtimes = {code: TinyRuntime(self, code) for code in self.configs}
        self._readers: list[FileReader] = []
        self.readers: dict[str, FileReader] = {}
        self.servers: dict[str, ApiServer] = {}
        self.histories = {code: History() for code in self.configs}
        self.thread.run(self._start())

    def _identity(self, code: str) -> Any:
        return keys.load_identity(self.configs[code].keys_dir, NETWORK, code)

    async def _start(self) -> None:
        self.change = asyncio.Event()
        for code, config in self.configs.items():
            reader = FileReader(sqlite_url(config.database_file))
            self._readers.append(reader)
            self.readers[code] = reader
            reads = StoreReads(reader)
            identity = self._identity(code)
            service = NodeService(
                facts=Facts(
                    network=NETWORK,
                    code=code,
                    name=NAMES[code],
                    origin=identity.origin,
                    verifier_key=str(identity.feed_signer.key),
                    witness_key=str(identity.witness_signer.key),
                    version="0.1.0",
                    started=1_699_999_999.0,
                    names=NAMES,
                ),
                runtime=self.runtimes[code],
                reads=reads,
                calls=Calls(code, self.network.clock, reads),
                clock=self.network.clock,
                retry_next=lambda: {COUNTY: 1_700_000_100.0},
            )
            renewal.renew_console_token(config.console_token_file)
            self.servers[code] = ApiServer(
                host="127.0.0.1",
                port=0,
                token=self.token(code),
                console_token_file=config.console_token_file,
                runtime=self.runtimes[code],
                service=service,
                # Nobody joins here, so nothing asks for the enrolment.
                admin=AdminNode(
                    config,
                    self.runtimes[code],  # type: ignore[arg-type]
                    reader,
                    None,  # type: ignore[arg-type]
                    functools.partial(self.observe, code),
                    self.histories[code],
                ),
                topics=HUB_TOPICS,
            )
            await self.servers[code].start()

    def observe(self, code: str) -> Observed:
        """One look at a node, as its own process takes it."""
        now = self.network.clock.now()
        return Observed(
            self.runtimes[code].status(),
            {COUNTY: 1_700_000_100.0} if code == TOWN else {},
            {code: now + 40 * 86_400.0},
            disk=disk_use(self.configs[code]),
            last_backup=None,
            at=now,
        )

    def remember(self, code: str) -> None:
        """Take a sample of a node's lag and disk, as its process does each minute."""
        now = self.network.clock.now()
        status = self.runtimes[code].status()
        self.histories[code].add(now, status, disk_use(self.configs[code]))

    def token(self, code: str) -> str:
        return keys.load_token(self.configs[code].token_file)

    def changed(self) -> None:
        """Wake the watchers, on the loop's thread."""
        self.change.set()
        self.change = asyncio.Event()

    def address(self, code: str) -> str:
        return f"127.0.0.1:{self.servers[code].port}"

    def client(self, code: str) -> Client:
        return Client(self.address(code), self.token(code))

    def settle(self, seconds: float = 61.0) -> None:
        """Let pulses and cosignatures go round."""

        async def step() -> None:
            for _ in range(2):
                self.network.clock.seconds += seconds
                self.network.run()

        self.thread.run(step())

    async def _stop_all(self) -> None:
        for server in self.servers.values():
            await server.stop(0.1)

    def stop_servers(self) -> None:
        """As a node that goes down; its store stays."""
        self.thread.run(self._stop_all())
        self.servers.clear()

    def close(self) -> None:
        self.stop_servers()
        self.thread.stop()
        for reader in self._readers:
            reader.close()
        self.network.close()


@contextmanager
def serving(folder: Path) -> Iterator[ServedNetwork]:
    """The network, in a folder, for as long as the block runs."""
    with pytest.MonkeyPatch.context() as patch:
        network = ServedNetwork(folder, patch)
        try:
            yield network
        finally:
            network.close()
