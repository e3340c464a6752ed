"""The API's gRPC server on loopback: the node's service, health, reflection.

Loopback TCP with a bearer token, so that a program of another user on this machine gets nothing;
what leaves the machine goes over the sync link, never here.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from huying.common.errors import Code, HuyingError
from huying.common.limits import BUNDLE_BYTES_MAX, MIB
from huying.node.admin import AdminNode
from huying.node.api import admin_service, topic_service
from huying.node.api.auth import TokenInterceptor
from huying.node.api.ports import Runtime
from huying.node.api.service import NodeService
from huying.node.background import end_task, keep_up
from huying.node.desk import NODE_TOPICS, Topic
from huying.wire.v1 import api_pb2, api_pb2_grpc

__all__ = ["SERVICE_NAME", "ApiServer"]

SERVICE_NAME: Final = api_pb2.DESCRIPTOR.services_by_name["Node"].full_name
RPCS_MAX: Final = 256  # at one time; more are refused at once, as BUSY
MESSAGE_BYTES_MAX: Final = BUNDLE_BYTES_MAX + MIB  # read just from who shows the token
HEALTH_SECONDS: Final = 0.5  # between two looks at the node's state

_OPTIONS: Final = (
    ("grpc.so_reuseport", 0),  # a second node on the same address must fail, not share it
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_concurrent_streams", RPCS_MAX),
    ("grpc.max_metadata_size", 16 * 1024),
)


class ApiServer:
    """Serves `service` until `stop`. `port` is the bound one, also where 0 was asked for."""

    def __init__(
        self,
        *,
        host: str,
        port: int,
        token: str,
        token_file: Path | None = None,
        console_token_file: Path | None = None,
        runtime: Runtime,
        service: NodeService,
        admin: AdminNode | None = None,
        topics: tuple[Topic, ...] = (),
    ) -> None:
        self._host = host
        self.port = port
        self._token = token
        self._token_file = token_file
        self._console_token_file = console_token_file
        self._runtime = runtime
        self._service = service
        self._admin = admin
        self._topics = (*NODE_TOPICS, *topics)
        self._health = health.aio.HealthServicer()
        self._server: grpc.aio.Server | None = None
        self._follower: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Bind and serve. Raises HuyingError(CONFIG) where the address can't be bound."""
        server = grpc.aio.server(
            interceptors=(
                TokenInterceptor(self._token, self._token_file, self._console_token_file),
            ),
            options=_OPTIONS,
            maximum_concurrent_rpcs=RPCS_MAX,
        )
        api_pb2_grpc.add_NodeServicer_to_server(self._service, server)
        if self._admin is not None:
            admin_service.add_to_server(self._admin, server)
            for topic in self._topics:
                topic_service.add_to_server(topic, self._admin, server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        reflection.enable_server_reflection(
            (
                SERVICE_NAME,
                *([admin_service.SERVICE_NAME] if self._admin is not None else []),
                *(topic.service for topic in self._topics if self._admin is not None),
                health.SERVICE_NAME,
                reflection.SERVICE_NAME,
            ),
            server,
        )
        host = f"[{self._host}]" if ":" in self._host else self._host
        try:
            self.port = server.add_insecure_port(f"{host}:{self.port}")
        except RuntimeError:
            raise HuyingError(
                Code.CONFIG, f"api.listen: {host}:{self.port} can't be bound; is it in use?"
            ) from None
        await self._tell_health()
        await server.start()
        self._server = server
        self._follower = asyncio.create_task(keep_up("health", self._follow_state))

    async def stop(self, grace_seconds: float) -> None:
        """Say NOT_SERVING, end the watches, let unary calls finish, free the address."""
        await end_task(self._follower)
        await self._health.enter_graceful_shutdown()
        self._service.close()
        if self._server is not None:
            await self._server.stop(grace_seconds)

    async def _follow_state(self) -> None:
        while True:
            await asyncio.sleep(HEALTH_SECONDS)
            await self._tell_health()

    async def _tell_health(self) -> None:
        live = self._runtime.status().state == "live"
        response = health_pb2.HealthCheckResponse
        status = response.SERVING if live else response.NOT_SERVING
        for name in ("", SERVICE_NAME):
            await self._health.set(name, status)
