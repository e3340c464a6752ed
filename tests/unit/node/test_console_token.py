"""The console's own token: it opens what pages do, and can administer nothing."""

from __future__ import annotations

import ast
import asyncio
import importlib
import json
import stat
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
import pytest

from huying.common.errors import Code
from huying.common.records.registry import REGISTRY
from huying.hub.cli import app
from huying.hub.desk import HUB_TOPICS
from huying.node import keys, renewal
from huying.node.api.auth import TokenInterceptor, bearer
from huying.node.api.console_token import CONSOLE_METHODS, CONSOLE_RECORDS, keep_drawing
from huying.node.api.faults import from_rpc_error
from huying.node.cli.main import execute
from huying.node.desk import NODE_TOPICS
from huying.node.web.node_link import NodeLink
from huying.wire.v1 import admin_pb2, admin_pb2_grpc, api_pb2, api_pb2_grpc, feed_pb2
from tests.support.places import ROOT
from tests.support.served_network import ServedNetwork
from tests.support.tiny_network import TOWN


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedNetwork]:
    with pytest.MonkeyPatch.context() as patch:
        made = ServedNetwork(tmp_path_factory.mktemp("token"), patch)
        yield made
        made.close()


def ask(served: ServedNetwork, token: str, stub: Any, method: str, request: Any) -> Any:
    with grpc.insecure_channel(served.address(TOWN)) as channel:
        return getattr(stub(channel), method)(request, metadata=(bearer(token),), timeout=10)


def console_token_of(served: ServedNetwork) -> str:
    return keys.load_token(served.configs[TOWN].console_token_file)


@pytest.mark.parametrize(
    ("method", "request_"),
    [
        ("RotateKey", admin_pb2.RotateKeyRequest()),
        ("BeginEpoch", admin_pb2.BeginEpochRequest()),
        ("Revoke", admin_pb2.RevokeRequest()),
        ("Erase", admin_pb2.EraseRequest()),
        ("PutBack", admin_pb2.PutBackRequest()),
        ("ExportBundle", admin_pb2.ExportBundleRequest()),
        ("ShowRoster", admin_pb2.ShowRosterRequest()),
    ],
)
def test_what_faces_people_rotates_no_key_and_erases_nothing(
    served: ServedNetwork, method: str, request_: Any
) -> None:
    """Whatever a page is talked into, keys and the roster are not its business."""
    with pytest.raises(grpc.RpcError) as caught:
        ask(served, console_token_of(served), admin_pb2_grpc.AdminStub, method, request_)
    assert from_rpc_error(caught.value).code is Code.UNAUTHENTICATED


def test_what_pages_do_is_open(served: ServedNetwork) -> None:
    """Else nobody could work; and the command line's token opens it all as ever."""
    own, request = console_token_of(served), api_pb2.StatusRequest()
    assert own != served.token(TOWN)
    for token in (own, served.token(TOWN)):
        assert ask(served, token, api_pb2_grpc.NodeStub, "Status", request).state
    ask(served, own, admin_pb2_grpc.AdminStub, "ShowFigures", admin_pb2.ShowFiguresRequest())
    request_ = admin_pb2.RevokeRequest()
    with pytest.raises(grpc.RpcError) as caught:  # it was heard, and named nothing
        ask(served, served.token(TOWN), admin_pb2_grpc.AdminStub, "Revoke", request_)
    assert from_rpc_error(caught.value).code is not Code.UNAUTHENTICATED


def test_a_page_appends_what_pages_write_and_nothing_else(served: ServedNetwork) -> None:
    """A call or a town's word that goes by no method of its own passes over every stage."""

    def append(token: str, *types: int) -> Any:
        drafts = [
            api_pb2.Draft(kind=feed_pb2.KIND_PUT, type=one)  # type: ignore[arg-type]  # open enums
            for one in types
        ]
        request = api_pb2.AppendRequest(drafts=drafts)
        with pytest.raises(grpc.RpcError) as caught:
            ask(served, token, api_pb2_grpc.NodeStub, "Append", request)
        return from_rpc_error(caught.value)

    own, whole = console_token_of(served), served.token(TOWN)
    for type_ in set(REGISTRY) - CONSOLE_RECORDS:
        error = append(own, feed_pb2.RECORD_TYPE_EVENT, type_)
        assert error.code is Code.TYPE_NOT_ALLOWED
        assert error.detail == "type: draft 1 is no record that a page writes"
    for token, type_ in (
        (own, feed_pb2.RECORD_TYPE_EVENT),
        (whole, feed_pb2.RECORD_TYPE_GRID_WORKER),
    ):
        assert append(token, type_).code is Code.INVALID_ARGUMENT, "it was heard, and was empty"


def test_the_list_is_what_the_pages_ask_for_and_no_more() -> None:
    """A method that no page needs any more would stay open for years; a new page is named here."""
    open_ = {name.rpartition("/")[2] for name in CONSOLE_METHODS}
    assert len(open_) == len(CONSOLE_METHODS), "a method's name says which one it is"
    asked, said = set[str](), {"Status", "Watch"}  # those two are the link's own
    for folder in ("node/huying/node/web", "hub/huying/hub/web"):
        for file in (ROOT / folder).rglob("*.py"):
            for one in ast.walk(ast.parse(file.read_text("utf-8"))):
                if isinstance(one, ast.Constant) and isinstance(one.value, str):
                    said.add(one.value)
                if isinstance(one, ast.Call):
                    asked |= _method(one)
    assert asked <= open_, "a page asks for what the console's token does not open"
    assert open_ <= said, "no page asks for it any more"
    assert len(asked) > 15, "the calls were found"


def _method(call: ast.Call) -> set[str]:
    """The method that a page names where it asks its node."""
    places = {"ask": 0, "administer": 0, "desk": 1}
    place = places.get(call.func.attr) if isinstance(call.func, ast.Attribute) else None
    if place is None or len(call.args) <= place:
        return set()
    named = call.args[place]
    value = named.value if isinstance(named, ast.Constant) else None
    return {value} if isinstance(value, str) and value else set()


def test_every_method_is_one_that_there_is() -> None:
    """A name that was misspelt here would refuse a page of every console."""
    there = {
        f"/{service.full_name}/{method.name}"
        for name in {"admin", "api", *(topic.proto for topic in (*NODE_TOPICS, *HUB_TOPICS))}
        for service in importlib.import_module(
            f"huying.wire.v1.{name}_pb2"
        ).DESCRIPTOR.services_by_name.values()
        for method in service.methods
    }
    assert there >= CONSOLE_METHODS


def test_a_token_that_is_replaced_refuses_no_page(
    served: ServedNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The node draws another each day, and somebody always presses a button just then."""
    config = served.configs[TOWN]

    async def work() -> Any:
        link = NodeLink(config, served.network.clock, api_address=served.address(TOWN))
        await link.state()  # what it asks by itself, it has asked
        before = link._metadata()
        renewal.renew_console_token(config.console_token_file)
        shown = [before, link._metadata()]
        monkeypatch.setattr(link, "_metadata", lambda: shown.pop(0))
        try:
            return await link.administer("ShowFigures", admin_pb2.ShowFiguresRequest())
        finally:
            await link.close()
            assert shown == []

    assert asyncio.run(work()).ByteSize()


def test_beside_a_node_from_before_an_update_the_console_goes_on(served: ServedNetwork) -> None:
    """The node starts the new program's console by itself, and may run for weeks before it ends."""
    config = served.configs[TOWN]
    own = config.console_token_file.read_text("ascii")
    config.console_token_file.unlink()

    async def work() -> bool:
        link = NodeLink(config, served.network.clock, api_address=served.address(TOWN))
        try:
            return (await link.state()).is_up
        finally:
            await link.close()

    try:
        assert asyncio.run(work())
    finally:
        keys.write_private(config.console_token_file, own)


def passes(interceptor: TokenInterceptor, token: str, method: str) -> bool:
    """Whether a call that shows it reaches its method."""
    details: Any = SimpleNamespace(method=method, invocation_metadata=(bearer(token),))

    async def reached(_details: Any) -> str:
        return "reached"

    return asyncio.run(interceptor.intercept_service(reached, details)) == "reached"


STATUS, ERASE = "/huying.wire.v1.Node/Status", "/huying.wire.v1.Admin/Erase"


def test_a_node_of_before_has_no_such_token_and_refuses_an_empty_one(tmp_path: Path) -> None:
    """The file comes with the first start of the new program; until then nothing is it."""
    file, own = tmp_path / "console" / "api-console.token", keys.draw_token().strip()
    interceptor = TokenInterceptor(own, None, file)
    assert passes(interceptor, own, ERASE)
    for nothing in ("", "x" * 43):
        assert not passes(interceptor, nothing, STATUS)
    renewal.renew_console_token(file)
    first = keys.load_token(file)
    assert passes(interceptor, first, STATUS)
    assert not passes(interceptor, first, ERASE)
    renewal.renew_console_token(file)
    assert not passes(interceptor, first, STATUS)
    assert passes(interceptor, keys.load_token(file), STATUS)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_another_is_drawn_at_each_start_and_every_day(tmp_path: Path) -> None:
    """What somebody copied out of a backup, or once saw, opens nothing the day after."""
    file, drawn, slept = tmp_path / "api-console.token", list[str](), list[float]()

    async def sleep(seconds: float) -> None:
        drawn.append(keys.load_token(file))
        slept.append(seconds)
        if len(slept) == 3:
            raise EOFError

    with pytest.raises(EOFError):
        asyncio.run(keep_drawing(file, sleep))
    assert slept == [86_400.0] * 3
    assert len(set(drawn)) == 3


def test_the_command_replaces_both(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Who suspects that a token is known wants neither of them to go on."""
    folder = tmp_path / "n"
    made = ["init", str(folder), "--network", "example.cn", "--code", "370830000000"]
    assert execute(app(), [*made, "--name", "汶上县"]) == 0
    file = folder / "console" / "api-console.token"
    command = ["--config", str(folder / "node.toml"), "key", "token", "--json"]
    assert execute(app(), command) == 0
    assert not file.exists(), "there is no console that would need one"
    renewal.renew_console_token(file)
    before = keys.load_token(file)
    capsys.readouterr()
    assert execute(app(), command) == 0
    out = capsys.readouterr().out
    assert keys.load_token(file) not in (before, out)
    assert json.loads(out)["token_file"].endswith("api.token")
