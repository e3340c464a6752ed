"""The gRPC service of one topic of the desk, from its table of handlers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import grpc

from huying.node.admin import AdminNode
from huying.node.api.faults import guarded
from huying.node.desk import Topic

__all__ = ["add_to_server"]


def _serve(node: AdminNode, topic: Topic, method: str) -> Callable[..., Awaitable[Any]]:
    async def call(
        _self: object, request: Any, _context: grpc.aio.ServicerContext[Any, Any]
    ) -> Any:
        return await topic.handler(method)(node, request)

    call.__name__ = method
    return guarded(call)


def add_to_server(topic: Topic, node: AdminNode, server: grpc.aio.Server) -> None:
    """Serve the topic's methods; a handler is loaded when it is first asked for."""
    methods = {name: _serve(node, topic, name) for name in topic.methods()}
    stubs = topic.generated("_grpc")
    servicer: Any = type(topic.name, (getattr(stubs, f"{topic.name}Servicer"),), methods)
    getattr(stubs, f"add_{topic.name}Servicer_to_server")(servicer(), server)
