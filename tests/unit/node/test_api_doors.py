"""The doors of the API: who is let in, and what a refusal says and keeps to itself.

A token opens every method but health and reflection. What goes wrong inside reaches the client as
one of the node's own codes, and never in the words of a foreign library, which may quote a record.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from huying.common.errors import ADVICE, Code, HuyingError
from huying.node.api.client import Client
from huying.node.api.faults import from_rpc_error
from huying.wire.v1 import api_pb2, api_pb2_grpc
from tests.support.drafts import draft, refusal, write
from tests.support.served_network import ServedNetwork
from tests.support.tiny_network import VILLAGE, event


@pytest.mark.parametrize("token", ["", "x" * 43, "Bearer"])
def test_without_the_token_nothing_is_answered(served: ServedNetwork, token: str) -> None:
    """Another user of the machine can reach loopback; the token file is what they can't read."""
    with Client(served.address(VILLAGE), token) as stranger:
        with refusal(Code.UNAUTHENTICATED) as caught:
            stranger.status()
        assert served.token(VILLAGE) not in str(caught.value)
        with refusal(Code.UNAUTHENTICATED):
            next(stranger.watch(api_pb2.WatchRequest()))
        with refusal(Code.UNAUTHENTICATED):
            write(stranger, draft(event(8)))


def test_no_method_of_the_service_is_open_by_accident(served: ServedNetwork) -> None:
    """A method added later must need the token without anybody thinking of it."""
    with grpc.insecure_channel(served.address(VILLAGE)) as channel:
        for method in api_pb2.DESCRIPTOR.services_by_name["Node"].methods:
            call: Any = channel.unary_unary(f"/huying.wire.v1.Node/{method.name}")
            with pytest.raises(grpc.RpcError) as caught:
                call(b"", timeout=5)
            assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED


def test_health_and_reflection_need_no_token(served: ServedNetwork) -> None:
    """A supervisor and a debugging tool say nothing of any record, so they may ask."""
    with grpc.insecure_channel(served.address(VILLAGE)) as channel:
        health: Any = health_pb2_grpc.HealthStub(channel)
        answer = health.Check(health_pb2.HealthCheckRequest(service="huying.wire.v1.Node"))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
        reflection: Any = reflection_pb2_grpc.ServerReflectionStub(channel)
        asked = reflection_pb2.ServerReflectionRequest(list_services="")
        (listed,) = reflection.ServerReflectionInfo(iter([asked]))
        names = {service.name for service in listed.list_services_response.service}
        assert "huying.wire.v1.Node" in names


def test_health_follows_the_nodes_state(served: ServedNetwork) -> None:
    """A node that is recovering writes nothing: nobody should be sent there."""
    with grpc.insecure_channel(served.address(VILLAGE)) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        watch = stub.Watch(health_pb2.HealthCheckRequest(), timeout=20)
        assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
        served.runtimes[VILLAGE].state = "recovering"
        try:
            assert next(watch).status == health_pb2.HealthCheckResponse.NOT_SERVING
        finally:
            served.runtimes[VILLAGE].state = ""
        assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
        watch.cancel()


@pytest.mark.parametrize("code", [Code.RECOVERING, Code.DRAINING, Code.DISK_FULL, Code.BUSY])
def test_the_nodes_refusals_reach_the_client_as_what_they_are(
    served: ServedNetwork, village: Client, code: Code
) -> None:
    """`UNAVAILABLE` alone would not tell a full disk from a restart."""
    served.runtimes[VILLAGE].append_error = HuyingError(code, "the reason")
    try:
        with refusal(code) as caught:
            write(village, draft(event(9)))
    finally:
        served.runtimes[VILLAGE].append_error = None
    assert caught.value.detail == "the reason"


def test_the_text_of_a_foreign_exception_never_leaves_the_node(
    served: ServedNetwork, village: Client
) -> None:
    """It may quote a record: a name, a number, a path."""
    served.runtimes[VILLAGE].append_error = ValueError("张三 13912345678")
    try:
        with refusal(Code.UNKNOWN) as caught:
            write(village, draft(event(10)))
    finally:
        served.runtimes[VILLAGE].append_error = None
    assert "张三" not in str(caught.value)
    assert "13912345678" not in str(caught.value)


def test_every_code_has_a_grpc_status_that_exists() -> None:
    """A code without one would turn a refusal into a crash of the server."""
    for advice in ADVICE.values():
        assert advice.grpc_status in grpc.StatusCode.__members__


def test_a_node_that_does_not_answer_is_unreachable_and_its_token_is_not_shown() -> None:
    """The command line falls back to the store on just this code."""
    with Client("127.0.0.1:1", "secret-token") as nobody, refusal(Code.UNREACHABLE) as caught:
        nobody.status()
    assert "secret" not in str(caught.value)


def test_a_foreign_servers_error_chooses_no_code_of_ours() -> None:
    """Words that a peer sends never choose a code path."""

    class Foreign(grpc.RpcError):
        def code(self) -> grpc.StatusCode:
            return grpc.StatusCode.INTERNAL

        def trailing_metadata(self) -> Any:
            return (("grpc-status-details-bin", b"\xff\xffnot a status"),)

    assert from_rpc_error(Foreign()).code is Code.UNKNOWN


def test_an_oversized_request_is_refused_before_it_is_parsed(served: ServedNetwork) -> None:
    """A limit on everything: one request must not fill the node's memory."""
    with served.client(VILLAGE) as client, refusal(Code.BUSY):
        client.append(api_pb2.AppendRequest(drafts=[api_pb2.Draft(message=bytes(70 * 2**20))]))
    with served.client(VILLAGE) as client, refusal(Code.LIMIT_EXCEEDED):
        client.append(api_pb2.AppendRequest(drafts=[api_pb2.Draft(message=bytes(9 * 2**20))]))
    with served.client(VILLAGE) as client, refusal(Code.INVALID_ARGUMENT):
        write(client, *[draft(event(11))] * 1025)


def test_the_servicer_serves_every_method_of_the_proto() -> None:
    """A method that is declared and not written would answer UNIMPLEMENTED."""
    from huying.node.api.service import NodeService

    for method in api_pb2.DESCRIPTOR.services_by_name["Node"].methods:
        own = getattr(NodeService, method.name)
        assert own is not getattr(api_pb2_grpc.NodeServicer, method.name)


def test_two_servers_never_share_an_address(served: ServedNetwork, tmp_path: Path) -> None:
    """SO_REUSEPORT would let a second node take half of the first one's requests."""
    from huying.node.api.server import ApiServer

    second = ApiServer(
        host="127.0.0.1",
        port=served.servers[VILLAGE].port,
        token="x" * 32,
        runtime=served.runtimes[VILLAGE],
        service=served.servers[VILLAGE]._service,
    )
    with refusal(Code.CONFIG):
        served.thread.run(second.start())
