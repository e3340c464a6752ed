"""The door over real sockets: what strangers can take, and whom they can keep out."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from huying.common.errors import Code, HuyingError
from huying.common.limits import ENROLMENTS_MAX
from huying.node import keys, tls
from huying.node.children import ChildRoster
from huying.node.membership.knocking import knocking_certificate, knocking_key
from huying.node.transport import door
from huying.node.transport.downlink import Downlink
from huying.node.transport.knock import knock
from huying.node.transport.link import METHOD, SERVICE
from tests.support.enrolled import make_node
from tests.support.tiny_network import COUNTY, TOWN


class Host:
    """A host whose links say nothing."""

    def number(self) -> int:
        return 1

    def opened(self, link: Any) -> None:
        pass

    async def received(self, link: Any, frame: bytes) -> None:
        pass

    def closed(self, link: Any) -> None:
        pass


@pytest.fixture(scope="module")
def nodes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("nodes")
    county = make_node(folder / "county", COUNTY, sync_listen="127.0.0.1:0")
    return county, make_node(folder / "town", TOWN, parent=county.config.file)


@contextlib.asynccontextmanager
async def serving(county, answer, children=()) -> AsyncIterator[tuple[Downlink, ChildRoster]]:
    own = keys.load_tls(county.config.keys_dir, COUNTY)
    roster = ChildRoster(children)
    downlink = Downlink(
        Host(),
        listen="127.0.0.1:0",
        own=lambda: (own.key_pem, own.certificate_pem),
        children=roster,
        answer=answer,
    )
    await downlink.start()
    try:
        yield downlink, roster
    finally:
        await downlink.stop(0.1)


def channel(county, port: int, number: int = 0, own: Any = None) -> Any:
    key, certificate = knocking_key(), knocking_certificate()
    if own is not None:
        key, certificate = own.key_pem, own.certificate_pem
    credentials = tls.channel_credentials(key, certificate, county.pin.certificate.encode())
    options = [
        ("grpc.ssl_target_name_override", tls.dns_name(COUNTY)),
        ("grpc.use_local_subchannel_pool", 1),
        ("number", number),
    ]
    return grpc.aio.secure_channel(f"127.0.0.1:{port}", credentials, options=options)


def enrol(one: Any) -> Any:
    return one.stream_unary(f"/{door.DOOR_SERVICE}/{door.DOOR_METHOD}")()


def run(scenario) -> None:
    async def limited() -> None:
        async with asyncio.timeout(60):
            await scenario

    asyncio.run(limited())


async def nobody(_request: bytes, _host: str) -> bytes:
    raise HuyingError(Code.JOIN_REFUSED)


def test_strangers_who_say_nothing_keep_no_child_out(nodes, monkeypatch):
    """Anybody may make the knocking certificate; a thousand silent calls must cost nothing."""
    county, town = nodes
    monkeypatch.setattr(door, "ENROL_SECONDS_MAX", 1.0)

    async def scenario() -> None:
        async with serving(county, nobody, [town.pin]) as (downlink, _):
            strangers = [channel(county, downlink.port, number) for number in range(40)]
            calls = [enrol(one) for one in strangers for _ in range(4)]
            ends = [asyncio.ensure_future(call.code()) for call in calls]
            own = keys.load_tls(town.config.keys_dir, TOWN)
            child = channel(county, downlink.port, own=own)
            session = child.stream_stream(f"/{SERVICE}/{METHOD}")()
            await asyncio.wait_for(session.wait_for_connection(), 20)
            codes = [await end for end in ends]
            assert codes.count(grpc.StatusCode.RESOURCE_EXHAUSTED) >= 160 - ENROLMENTS_MAX
            assert set(codes) <= {
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                grpc.StatusCode.PERMISSION_DENIED,  # it held a place, and was shown out of it
            }
            assert not session.done()
            session.cancel()
            for one in (*strangers, child):
                await one.close()

    run(scenario())


def test_a_fault_of_ours_tells_a_stranger_nothing(nodes):
    """An exception's text may hold a path, a name, or what was being compared."""
    county, _ = nodes

    async def faulty(_request: bytes, _host: str) -> bytes:
        raise RuntimeError("the secret is 0707")

    async def scenario() -> None:
        async with serving(county, faulty) as (downlink, _):
            address, pin = f"127.0.0.1:{downlink.port}", county.pin.certificate_sha256
            with pytest.raises(HuyingError) as caught:
                await asyncio.to_thread(knock, [address], pin, COUNTY, b"request")
            assert caught.value.code is Code.UNKNOWN
            assert "0707" not in str(caught.value)

    run(scenario())


def test_the_host_and_the_request_reach_the_parent_and_its_answer_the_child(nodes):
    """The address is what attempts are counted by."""
    county, _ = nodes
    seen = []

    async def answer(request: bytes, host: str) -> bytes:
        seen.append((request, host))
        return b"pins"

    async def scenario() -> None:
        async with serving(county, answer) as (downlink, _):
            address, pin = f"127.0.0.1:{downlink.port}", county.pin.certificate_sha256
            assert await asyncio.to_thread(knock, [address], pin, COUNTY, b"please") == b"pins"
            assert seen == [(b"please", "ipv4:127.0.0.1")]
            with pytest.raises(HuyingError) as caught:
                await asyncio.to_thread(knock, [address], b"\x00" * 32, COUNTY, b"please")
            assert caught.value.code is Code.KEY
            assert len(seen) == 1

    run(scenario())


def test_a_child_that_left_the_roster_loses_its_link_at_once(nodes):
    """A revoked key's stream may not outlive the revocation."""
    county, town = nodes

    async def scenario() -> None:
        async with serving(county, nobody, [town.pin]) as (downlink, roster):
            own = keys.load_tls(town.config.keys_dir, TOWN)
            child = channel(county, downlink.port, own=own)
            session = child.stream_stream(f"/{SERVICE}/{METHOD}")()
            await asyncio.wait_for(session.wait_for_connection(), 20)
            downlink.prune()
            await asyncio.sleep(0.2)
            assert not session.done()
            roster.set(())
            downlink.prune()
            await asyncio.wait_for(session.code(), 5)
            await child.close()

    run(scenario())
