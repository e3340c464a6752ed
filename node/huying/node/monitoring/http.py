"""/metrics and /healthz over plain HTTP on loopback, for Prometheus and for supervisors.

The standard library's threading server carries prometheus_client's WSGI application: no
web framework, no thread beyond this one and those of the requests it is answering.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any, Final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app

from huying.common.errors import Code, HuyingError

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["MetricsServer"]

REQUEST_SECONDS_MAX: Final = 10.0  # a client that sends nothing does not hold a thread for long
REQUESTS_MAX: Final = 8  # answered at one time; more wait in the listen queue


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._slots = threading.BoundedSemaphore(REQUESTS_MAX)
        super().__init__(*args, **kwargs)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._slots.acquire()
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._slots.release()

    def server_bind(self) -> None:
        """As the parent's, without its reverse look-up of the host's name, which may hang."""
        import socketserver

        socketserver.TCPServer.server_bind(self)
        host, port = self.server_address[:2]
        self.server_name = str(host)
        self.server_port = int(port)
        self.setup_environ()


class _QuietHandler(WSGIRequestHandler):
    timeout = REQUEST_SECONDS_MAX

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the parent's name
        """A scrape every few seconds is not news."""


class MetricsServer:
    """Serves until `stop`. `port` is the bound one, also where 0 was asked for."""

    def __init__(
        self, host: str, port: int, registry: CollectorRegistry, state: Callable[[], str]
    ) -> None:
        """Binds at once.

        `state` names the node's state; `live` answers 200 on /healthz, anything else 503.
        Raises HuyingError(CONFIG) where the address can't be bound.
        """
        try:
            self._server = make_server(
                host, port, _application(registry, state), _Server, _QuietHandler
            )
        except OSError as error:
            reason = error.strerror or "unknown reason"
            raise HuyingError(
                Code.CONFIG, f"metrics.listen: {host}:{port} can't be bound: {reason}"
            ) from error
        self.host = host
        self.port = int(self._server.server_port)
        self._thread = threading.Thread(
            target=self._server.serve_forever, name="huying-metrics", daemon=True
        )

    def start(self) -> None:
        """Begin to answer, on a thread of its own."""
        self._thread.start()

    def stop(self) -> None:
        """Stop answering and free the address."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()


def _application(registry: CollectorRegistry, state: Callable[[], str]) -> WSGIApplication:
    metrics = make_wsgi_app(registry)

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if environ.get("REQUEST_METHOD") not in ("GET", "HEAD"):
            return _answer(start_response, "405 Method Not Allowed", {"error": "GET only"})
        if path == "/metrics":
            exposition: Iterable[bytes] = metrics(environ, start_response)
            return exposition
        if path == "/healthz":
            now = state()
            status = "200 OK" if now == "live" else "503 Service Unavailable"
            return _answer(start_response, status, {"state": now})
        return _answer(start_response, "404 Not Found", {"error": "/metrics or /healthz"})

    return application


def _answer(start_response: StartResponse, status: str, body: dict[str, str]) -> Iterable[bytes]:
    data = json.dumps(body).encode()
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(data)))]
    start_response(status, headers)
    return [data]
