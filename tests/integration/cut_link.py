"""A TCP relay between a child and its parent, which can be cut and healed."""

from __future__ import annotations

import contextlib
import socket
import threading

__all__ = ["CutLink"]


class CutLink:
    """Listens at `address` and passes bytes on to `target`, both HOST:PORT, until it is cut."""

    def __init__(self, target: str) -> None:
        host, _, port = target.rpartition(":")
        self._target = (host, int(port))
        self._server = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._server.getsockname()[1]}"
        self._open = True
        self._flows = threading.Event()
        self._flows.set()
        self._sockets: set[socket.socket] = set()
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """End every connection; those that are dialled from now on are closed at once."""
        with self._lock:
            self._open = False
            for one in self._sockets:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
            self._sockets.clear()

    def freeze(self) -> None:
        """Pass nothing on, and tell nobody: as a cable that was cut."""
        self._flows.clear()

    def heal(self) -> None:
        """Pass bytes on again."""
        with self._lock:
            self._open = True
        self._flows.set()

    def close(self) -> None:
        """Cut for good."""
        self.cut()
        self._flows.set()
        self._server.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._server.accept()
            except OSError:
                return
            with self._lock:
                if not self._open:
                    near.close()
                    continue
                try:
                    far = socket.create_connection(self._target)
                except OSError:
                    near.close()
                    continue
                self._sockets |= {near, far}
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._pass_on, args=(source, sink), daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self._flows.wait()
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_RDWR)
        source.close()  # The other direction's thread closes the other one.
