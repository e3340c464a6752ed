"""The server that children dial: who they are is read from their certificate, and from that alone.

One session per child. A newer link replaces the older, since a child that lost its network redials
long before this side notices that the old stream is dead.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NoReturn, Protocol

import grpc

from huying.common.effects import Direction
from huying.common.errors import Code, HuyingError
from huying.common.limits import CHILDREN_MAX
from huying.node import logs, tls
from huying.node.transport.link import CHANNEL_OPTIONS, METHOD, SERVICE, FrameTap, Host, Link

__all__ = ["Children", "Downlink"]

STREAMS_PER_CONNECTION_MAX: Final = 4  # one session, and one that is about to replace it


class Children(Protocol):
    """The roster of direct children, as the transport needs it. Called on any thread."""

    def certificates(self) -> Sequence[str]:
        """Every child's certificate, as PEM."""
        ...

    def code_of(self, certificate_sha256: bytes) -> str | None:
        """The code of the child with that certificate, or None where no child has it."""
        ...


class Downlink:
    """Serves `huying.wire.v1.Sync/Session` to the children at `listen`."""

    def __init__(
        self,
        host: Host,
        *,
        listen: str,
        key_pem: bytes,
        certificate_pem: bytes,
        children: Children,
        tap: FrameTap | None = None,
    ) -> None:
        self._host = host
        self._listen = listen
        self._key_pem = key_pem
        self._certificate_pem = certificate_pem
        self._children = children
        self._tap = tap
        self._links: dict[str, Link] = {}
        self._server: grpc.aio.Server | None = None
        self.port = 0  # where it listens, once started

    async def start(self) -> None:
        """Listen. Raises HuyingError(CONFIG) where the address can't be bound."""
        server = grpc.aio.server(
            options=(
                *CHANNEL_OPTIONS,
                ("grpc.max_concurrent_streams", STREAMS_PER_CONNECTION_MAX),
                ("grpc.so_reuseport", 0),
            ),
            maximum_concurrent_rpcs=CHILDREN_MAX,
        )
        handler: Any = grpc.stream_stream_rpc_method_handler(
            self._session, request_deserializer=None, response_serializer=None
        )
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(SERVICE, {METHOD: handler}),)
        )
        credentials = tls.server_credentials(
            self._key_pem, self._certificate_pem, self._children.certificates
        )
        try:
            self.port = server.add_secure_port(self._listen, credentials)
        except RuntimeError:
            raise HuyingError(
                Code.CONFIG, f"[sync] listen: {self._listen} can't be bound; is it in use?"
            ) from None
        await server.start()
        self._server = server
        logs.say("sync_listening", address=self._listen, port=self.port)

    async def stop(self, grace_seconds: float = 1.0) -> None:
        """Close every link after its last frame, then the server."""
        for link in self._links.values():
            link.close(Code.DRAINING, "the node is stopping")
        if self._server is not None:
            await self._server.stop(grace_seconds)

    async def _session(
        self, _requests: object, context: grpc.aio.ServicerContext[Any, Any]
    ) -> None:
        """One child's stream, from its authentication to its end."""
        try:
            code = self._authenticate(context.auth_context())
        except HuyingError as error:
            logs.say("downlink_refused", peer=context.peer(), reason=error.detail)
            await _abort(context, error)
        older = self._links.get(code)
        if older is not None:
            logs.say("downlink_replaced", peer=code)
            older.abort(Code.UNREACHABLE, "replaced by a newer link")
            await older.finished.wait()
        link = Link(self._host, code, Direction.DOWN, self._tap)
        self._links[code] = link
        logs.say("downlink_up", peer=code)
        try:
            await context.send_initial_metadata(())
            await link.run(context.read, context.write)
        except (grpc.aio.AbortError, grpc.aio.UsageError, grpc.aio.InternalError, TimeoutError):
            pass  # The stream broke; the child dials again.
        finally:
            # The stream ends with OK, also where this side closed it: at an error status gRPC
            # would drop the frames that the peer has not read yet, and the refusal among them.
            if self._links.get(code) is link:
                del self._links[code]
            logs.say("downlink_down", peer=code)

    def _authenticate(self, auth_context: Mapping[str, Iterable[bytes]]) -> str:
        code = self._children.code_of(tls.peer_certificate_sha256(auth_context))
        if code is None:
            raise HuyingError(Code.NOT_ENROLLED, "this certificate is not in the roster")
        return code


async def _abort(context: grpc.aio.ServicerContext[Any, Any], error: HuyingError) -> NoReturn:
    status = grpc.StatusCode[error.advice.grpc_status]
    await context.abort(status, f"{error.code.name}: {error.detail}")
    raise AssertionError("abort always raises")
