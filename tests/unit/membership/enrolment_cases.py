"""A county that is open for joins and a town that knocks: both sides of a join, no socket."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from huying.common.engine import Engine
from huying.common.errors import Code, HuyingError
from huying.common.membership.join_request import parse_request, parse_response, prove_request
from huying.common.membership.join_token import JoinToken, mac_key, parse_token
from huying.node import keys
from huying.node.app import open_engine
from huying.node.children import ReadRoster
from huying.node.config import Config
from huying.node.membership import joining
from huying.node.membership.enrolment import Enrolment
from huying.node.membership.invites import InviteFolder, issue
from huying.node.membership.offers import make_offer
from huying.node.runtime import Runtime
from huying.wire.v1 import enrol_pb2
from tests.support.enrolled import make_node
from tests.support.tiny_network import COUNTY, TOWN, StoppedClock

__all__ = ["DAY", "OTHER", "Parent", "begin", "changed", "county", "run", "serving"]

OTHER = "370830109000"
DAY = 86_400.0


class Parent:
    """A county that is open for joins, without a socket, at a time that the test says."""

    def __init__(self, config: Config, runtime: Runtime, clock: StoppedClock) -> None:
        self.config, self.runtime, self.clock = config, runtime, clock
        self.enrolment = Enrolment(config, runtime, clock)

    def invite(self, code: str = TOWN, hours: float = 1.0) -> tuple[str, JoinToken]:
        offer = make_offer(self.config, code, "义桥镇")
        folder = InviteFolder(self.config.invites_dir)
        text, _ = issue(folder, offer, hours, self.clock.now())
        return text, parse_token(text)

    async def knock(self, request: bytes, host: str = "10.0.0.9") -> enrol_pb2.EnrolResponse:
        return parse_response(await self.enrolment.knock(request, host))

    async def refused(self, request: bytes, host: str = "10.0.0.9") -> None:
        """It is refused, and nothing is said of why."""
        before = self.enrolment.refused_attempts
        with pytest.raises(HuyingError) as caught:
            await self.enrolment.knock(request, host)
        assert (caught.value.code, caught.value.detail) == (Code.JOIN_REFUSED, "")
        assert caught.value.__cause__ is None
        assert self.enrolment.refused_attempts == before + 1

    async def reason(self, request: bytes) -> str:
        """Why it is refused, which this node's own operator may know."""
        with pytest.raises(HuyingError) as caught:
            await self.enrolment.by_file(request)
        assert caught.value.code is Code.JOIN_REFUSED
        return caught.value.detail

    async def own_size(self) -> int:
        class Size:
            def run(self, engine: Engine) -> int:
                assert engine.replica.own.quarantined == 0
                return engine.replica.own.size

        size: int = await self.runtime.operate(Size())
        return size

    async def children(self) -> dict[str, str]:
        return dict((await self.runtime.operate(ReadRoster())).links)


@contextlib.asynccontextmanager
async def serving(config: Config, clock: StoppedClock) -> AsyncIterator[Parent]:
    store, engine = open_engine(config)
    engine.confirmed = True  # nobody above can be asked here
    runtime = Runtime(engine, clock)
    await runtime.start()
    try:
        yield Parent(config, runtime, clock)
    finally:
        await runtime.stop()
        store.close()


@contextlib.asynccontextmanager
async def county(folder: Path) -> AsyncIterator[Parent]:
    made = make_node(folder / "county", COUNTY, name="汶上县", sync_listen="10.0.0.1:7400")
    async with serving(made.config, StoppedClock()) as parent:
        yield parent


def run(folder: Path, scenario: Callable[[Parent], Coroutine[Any, Any, None]]) -> None:
    async def whole() -> None:
        async with asyncio.timeout(30), county(folder) as parent:
            await scenario(parent)

    asyncio.run(whole())


def begin(folder: Path, text: str, **wishes: Any) -> joining.Joining:
    return joining.begin(folder, parse_token(text), text, joining.Wishes(name="义桥镇", **wishes))


def changed(under_way: joining.Joining, key: bytes = b"", **fields: Any) -> bytes:
    """The request with other fields, all its proofs made anew by the keys at hand."""
    request = parse_request(under_way.request)
    for name, value in fields.items():
        setattr(request, name, value)
    made = under_way.keys
    prove_request(
        request,
        key or mac_key(under_way.token.secret),
        made.identity,
        lambda message: keys.sign_by_tls(made.tls, message),
    )
    return request.SerializeToString()
