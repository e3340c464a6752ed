"""A TCP relay like a bad line: so many bits a second each way, and cut every few seconds."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from dataclasses import dataclass, field

__all__ = ["Connection", "ThinLink"]

_SLICES_PER_SECOND = 50


@dataclass(slots=True, eq=False)
class Connection:
    """One that was dialled through the relay. Times are monotonic seconds."""

    sockets: tuple[socket.socket, socket.socket]
    opened: float
    closed: float = 0.0
    carried_bytes: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def end(self) -> None:
        """Break it, with whatever is on its way; both ends notice."""
        with self.lock:
            if not self.closed:
                self.closed = time.monotonic()
            for one in self.sockets:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)


class ThinLink:
    """Listens at `address` and passes bytes on to `target`, both HOST:PORT, while `is_up`."""

    def __init__(self, target: str, bits_per_second: float, cut_seconds: float) -> None:
        host, _, port = target.rpartition(":")
        self._target = (host, int(port))
        self._slice_bytes = max(1, int(bits_per_second / 8 / _SLICES_PER_SECOND))
        self._cut_seconds = cut_seconds
        self._server = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._server.getsockname()[1]}"
        self.is_up = False
        self.connections: list[Connection] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Carry nothing any more."""
        self.is_up = False
        self._server.close()
        for one in self.connections:
            one.end()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._server.accept()
            except OSError:
                return
            if not self.is_up:
                near.close()
                continue
            try:
                far = socket.create_connection(self._target)
            except OSError:
                near.close()
                continue
            for one in (near, far):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            made = Connection((near, far), time.monotonic())
            self.connections.append(made)
            for source, sink in ((near, far), (far, near)):
                threading.Thread(
                    target=self._pass_on, args=(made, source, sink), daemon=True
                ).start()
            cutter = threading.Timer(self._cut_seconds, made.end)
            cutter.daemon = True
            cutter.start()

    def _pass_on(self, made: Connection, source: socket.socket, sink: socket.socket) -> None:
        """A slice at a time, and no more of them a second than the line takes."""
        with contextlib.suppress(OSError):
            while data := source.recv(self._slice_bytes):
                sink.sendall(data)
                made.carried_bytes += len(data)
                time.sleep(len(data) / self._slice_bytes / _SLICES_PER_SECOND)
        made.end()
        source.close()
