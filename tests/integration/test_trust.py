"""Keys that change and end while nodes run, over real links."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from huying.common.effects import DraftEntry
from huying.hub.fleet import free_addresses
from huying.node import keys, pins
from huying.node.admin import AdminNode, handler
from huying.node.app import serve
from huying.node.config import Config
from huying.node.services import Node, api_component
from huying.node.store.database import sqlite_url
from huying.node.store.reader import FileReader
from huying.wire.v1 import admin_pb2, feed_pb2, records_pb2
from tests.support.enrolled import make_node

COUNTY, TOWN = "370830000000", "370830108000"
WAIT_SECONDS = 30.0
LATER_SECONDS = 3.0  # what a revoked node keeps trying for


def free_address() -> str:
    return free_addresses(1)[0]


@pytest.fixture
def line(tmp_path: Path) -> tuple[Config, Config]:
    """A county and its town."""
    county = make_node(
        tmp_path / "county", COUNTY, sync_listen=free_address(), api_listen=free_address()
    )
    town = make_node(
        tmp_path / "town",
        TOWN,
        parent=county.config.file,
        sync_listen=free_address(),
        api_listen=free_address(),
    )
    return county.config, town.config


@contextlib.asynccontextmanager
async def both(line: tuple[Config, Config]) -> AsyncIterator[tuple[Node, Node]]:
    async with (
        serve(line[0], components=(api_component,)) as county,
        serve(line[1], components=(api_component,)) as town,
    ):
        await until(lambda: connected(county, TOWN))
        yield county, town


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAIT_SECONDS):
        while not true():  # noqa: ASYNC110  # nothing tells of a snapshot
            await asyncio.sleep(0.02)


def connected(node: Node, code: str) -> bool:
    return any(peer.code == code and peer.connected for peer in node.runtime.status().peers)


def size(node: Node, origin: str) -> int:
    return next((f.size for f in node.runtime.status().feeds if f.origin == origin), 0)


def certificate(config: Config) -> str:
    """The certificate that a node shows, as PEM."""
    return (config.keys_dir / "tls.crt").read_text("ascii")


def event(number: int) -> DraftEntry:
    message = records_pb2.Event(
        category="道路", status=records_pb2.EVENT_STATUS_REPORTED, reported_micros=number + 1
    )
    return DraftEntry(feed_pb2.KIND_PUT, feed_pb2.RECORD_TYPE_EVENT, message)


async def ask(node: Node, method: str, request: object) -> Any:
    """What the operator's command asks of the running node."""
    reader = FileReader(sqlite_url(node.config.database_file))
    try:
        admin = AdminNode(node.config, node.runtime, reader, node.enrolment)
        return await handler(method)(admin, request)
    finally:
        reader.close()


def test_a_revoked_nodes_live_stream_ends_and_nothing_later_counts(line) -> None:
    """P12: revoked in mid-stream; from then on not one message of it has an effect."""

    async def scenario() -> None:
        async with both(line) as (county, town):
            origin = town.facts.origin
            stop = asyncio.Event()

            async def write() -> None:
                number = 0
                while not stop.is_set():
                    await town.runtime.append([event(number)])
                    number += 1
                    await asyncio.sleep(0.005)

            writing = asyncio.create_task(write())
            await until(lambda: size(county, origin) > 20)
            await ask(county, "Revoke", admin_pb2.RevokeRequest(code=TOWN, reason="stolen"))
            await until(lambda: not connected(county, TOWN))
            held = size(county, origin)
            await asyncio.sleep(LATER_SECONDS)
            assert not connected(county, TOWN)
            assert size(county, origin) == held
            feed = next(f for f in county.runtime.status().feeds if f.origin == origin)
            assert feed.health.value == "revoked"
            stop.set()
            await writing
            assert size(town, origin) > held  # it works on for itself, and is heard by nobody

    asyncio.run(scenario())


def test_a_certificate_is_renewed_under_a_live_link(line) -> None:
    """Both ends change theirs, the link is dialled anew, and no restart is needed."""

    async def scenario() -> None:
        async with both(line) as (county, town):
            shown = [certificate(one) for one in line]
            for node in (county, town):
                request = admin_pb2.RotateKeyRequest(use=admin_pb2.KEY_USE_TLS)
                done = await ask(node, "RotateKey", request)
                assert done.state == "waiting"
            await until(lambda: all(certificate(one) not in shown for one in line))
        async with both(line) as (county, town):
            await until(lambda: connected(town, COUNTY))
            pinned = line[1].pins_dir / f"{COUNTY}.toml"
            await until(lambda: pins.read(pinned).certificate == certificate(line[0]))
            assert pins.read(pinned).certificate not in shown

    asyncio.run(scenario())


def test_an_expired_certificate_never_stops_local_writes(line, monkeypatch) -> None:
    """The village goes on working; just its link has to wait for a new certificate."""
    for name in ("tls.key", "tls.crt"):
        (line[1].keys_dir / name).unlink()
    monkeypatch.setattr(keys, "CERTIFICATE_DAYS", 0)
    keys.create_tls(line[1].keys_dir, TOWN)

    async def scenario() -> None:
        async with serve(line[1], components=()) as town:
            async with asyncio.timeout(WAIT_SECONDS):
                (receipt,) = await town.runtime.append([event(1)])
            assert not receipt.repeated
            assert town.facts.certificates[TOWN] < town.clock.now() + 1

    asyncio.run(scenario())


def test_a_feed_key_is_rotated_by_the_running_node(line) -> None:
    """The old private key is gone from the disk, its public half stays, and status shows e2."""

    async def scenario() -> None:
        async with both(line) as (county, town):
            await town.runtime.append([event(1)])
            request = admin_pb2.RotateKeyRequest(use=admin_pb2.KEY_USE_FEED)
            done = await ask(town, "RotateKey", request)
            assert done.origin.endswith("/e2")
            await town.runtime.append([event(2)])
            await until(lambda: size(county, done.origin) == 2)
            await until(lambda: town.runtime.status().origin.endswith("/e2"))
        folder = line[1].keys_dir
        assert not (folder / "feed-e1.key").exists()
        assert (folder / "feed-e1.vkey").exists()
        async with serve(line[1], components=()) as town:
            assert town.runtime.status().origin.endswith("/e2")
            assert town.runtime.status().state == "live"

    asyncio.run(scenario())


def test_a_key_made_for_a_rotation_that_never_happened_changes_nothing(line) -> None:
    """The power failed between the key's file and the commit: the node goes on in its epoch."""
    folder = line[1].keys_dir
    keys.create_feed_key(folder, "wenshang.example", TOWN, 2)

    async def scenario() -> None:
        async with serve(line[1], components=()) as town:
            assert town.runtime.status().origin.endswith("/e1")
            assert town.runtime.status().state == "live"

    asyncio.run(scenario())
    assert keys.feed_epochs(folder) == [1, 2]
