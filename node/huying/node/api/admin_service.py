"""The service `huying.wire.v1.Admin`: the operator's requests, over the API's port and token."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

import grpc

from huying.node.admin import METHODS, AdminNode, handler
from huying.node.api.faults import guarded
from huying.wire.v1 import admin_pb2, admin_pb2_grpc

__all__ = ["SERVICE_NAME", "add_to_server"]

SERVICE_NAME: Final = admin_pb2.DESCRIPTOR.services_by_name["Admin"].full_name


def _serve(node: AdminNode, method: str) -> Callable[..., Awaitable[Any]]:
    async def call(
        _self: object, request: Any, _context: grpc.aio.ServicerContext[Any, Any]
    ) -> Any:
        return await handler(method)(node, request)

    call.__name__ = method
    return guarded(call)


def add_to_server(node: AdminNode, server: grpc.aio.Server) -> None:
    """Serve the operator's requests; a handler is loaded when it is first asked for."""
    methods = {method: _serve(node, method) for method in METHODS}
    servicer: Any = type("AdminService", (admin_pb2_grpc.AdminServicer,), methods)
    admin_pb2_grpc.add_AdminServicer_to_server(servicer(), server)
