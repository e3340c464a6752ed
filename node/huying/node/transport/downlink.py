"""The server that children dial: who they are is read from their certificate, and from that alone.

One session per child. A newer link replaces the older, since a child that lost its network redials
long before this side notices that the old stream is dead. A stranger gets as far as the door.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final, NoReturn, Protocol

import grpc

from huying.common.effects import Direction
from huying.common.errors import Code, HuyingError
from huying.common.limits import CHILDREN_MAX, ENROL_SECONDS_MAX, ENROLMENTS_MAX
from huying.node import logs, tls
from huying.node.membership.knocking import knocking_certificate
from huying.node.transport.door import Answer, Door
from huying.node.transport.link import CHANNEL_OPTIONS, METHOD, SERVICE, FrameTap, Host, Link

__all__ = ["Children", "Downlink"]

STREAMS_PER_CONNECTION_MAX: Final = 4  # one session, and one that is about to replace it
IDLE_SECONDS_MAX: Final = 60.0  # a connection without a session: a stranger who lingers
REFUSED_LINE_SECONDS: Final = 10.0  # between two log lines of refused sessions


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
        own: Callable[[], tuple[bytes, bytes]],
        children: Children,
        answer: Answer | None = None,
        tap: FrameTap | None = None,
    ) -> None:
        """`own` gives the key and certificate to show, as PEM, at every handshake.

        `answer` enrols strangers; without it nobody but the children is let in at all.
        """
        self._host = host
        self._listen = listen
        self._own = own
        self._children = children
        self._tap = tap
        self._door = None if answer is None else Door(answer)
        self._links: dict[str, Link] = {}
        self._shown: dict[str, bytes] = {}  # by code: the certificate that its link was opened with
        self._refused_at, self._refused_unsaid = float("-inf"), 0
        self._server: grpc.aio.Server | None = None
        self.port = 0  # where it listens, once started

    async def start(self) -> None:
        """Listen. Raises HuyingError(CONFIG) where the address can't be bound."""
        server = grpc.aio.server(
            options=(
                *CHANNEL_OPTIONS,
                ("grpc.max_concurrent_streams", STREAMS_PER_CONNECTION_MAX),
                ("grpc.so_reuseport", 0),
                ("grpc.max_connection_idle_ms", int(IDLE_SECONDS_MAX * 1000)),
                ("grpc.server_handshake_timeout_ms", int(ENROL_SECONDS_MAX * 1000)),
            ),
            maximum_concurrent_rpcs=CHILDREN_MAX + 4 * ENROLMENTS_MAX,
        )
        handler: Any = grpc.stream_stream_rpc_method_handler(
            self._session, request_deserializer=None, response_serializer=None
        )
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(SERVICE, {METHOD: handler}),)
        )
        if self._door is not None:
            server.add_generic_rpc_handlers((self._door.handlers(),))
        credentials = tls.server_credentials(self._own, self._trusted)
        try:
            self.port = server.add_secure_port(self._listen, credentials)
        except RuntimeError:
            raise HuyingError(
                Code.CONFIG, f"[sync] listen: {self._listen} can't be bound; is it in use?"
            ) from None
        await server.start()
        self._server = server
        logs.say("sync_listening", address=self._listen, port=self.port)

    def _trusted(self) -> Sequence[str]:
        """Whom a handshake lets in, as PEM. Called on a thread of gRPC's."""
        known = self._children.certificates()
        return known if self._door is None else [*known, knocking_certificate().decode()]

    def prune(self) -> None:
        """End the links whose certificates are no child's any more."""
        for code, link in self._links.items():
            if self._children.code_of(self._shown[code]) != code:
                link.abort(Code.NOT_ENROLLED, "its certificate is in the roster no more")

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
            shown = tls.peer_certificate_sha256(context.auth_context())
            code = self._authenticate(shown)
        except HuyingError as error:
            self._say_refused(context.peer(), error)
            await _abort(context, error)
        while (older := self._links.get(code)) is not None:  # several may wait for the same one
            logs.say("downlink_replaced", peer=code)
            older.abort(Code.UNREACHABLE, "replaced by a newer link")
            await older.finished.wait()
        link = Link(self._host, code, Direction.DOWN, self._tap)
        self._links[code], self._shown[code] = link, shown
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
                del self._links[code], self._shown[code]
            link.finished.set()  # also where it never began
            logs.say("downlink_down", peer=code)

    def _say_refused(self, peer: str, error: HuyingError) -> None:
        """One line for all within a while: whoever reaches the port can cause any number."""
        now = asyncio.get_running_loop().time()
        if now - self._refused_at < REFUSED_LINE_SECONDS:
            self._refused_unsaid += 1
            return
        unsaid, self._refused_unsaid, self._refused_at = self._refused_unsaid, 0, now
        logs.say("downlink_refused", peer=peer, reason=error.detail, unsaid=unsaid)

    def _authenticate(self, certificate_sha256: bytes) -> str:
        code = self._children.code_of(certificate_sha256)
        if code is None:
            raise HuyingError(Code.NOT_ENROLLED, "this certificate is not in the roster")
        return code


async def _abort(context: grpc.aio.ServicerContext[Any, Any], error: HuyingError) -> NoReturn:
    status = grpc.StatusCode[error.advice.grpc_status]
    await context.abort(status, f"{error.code.name}: {error.detail}")
    raise AssertionError("abort always raises")
