"""Starts the console's process when somebody asks for a page, and again after it has ended.

The node holds the listening socket and passes it on, as systemd does with socket activation: until
the first connection the console costs nothing, and while it starts the browser waits in the
socket's queue. The child ends by itself when nobody asked for a while, or when the node has gone:
its standard input is a pipe that closes then.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from huying.common.errors import Code, HuyingError
from huying.node import logs
from huying.node.background import end_task, keep_up
from huying.node.config import split_address
from huying.node.services import Component, Node

__all__ = ["Launcher", "console_component", "listen"]

_BACKLOG: Final = 128
_STOP_SECONDS: Final = 10.0
_RETRY_SECONDS_MIN: Final = 1.0
_RETRY_SECONDS_MAX: Final = 60.0
_HEALTHY_SECONDS: Final = 20.0  # a child that lived so long starts anew at once


def listen(address: str) -> socket.socket:
    """A listening socket at HOST:PORT. Raises HuyingError(CONFIG) where it can't be bound."""
    host, port = split_address(address)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, place = found[0]
        server = socket.socket(family, kind, protocol)
        try:
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            server.bind(place)
            server.listen(_BACKLOG)
        except OSError:
            server.close()
            raise
    except OSError as error:
        reason = error.strerror or "unknown reason"
        raise HuyingError(
            Code.CONFIG, f"console.listen: {address} can't be bound: {reason}"
        ) from error
    server.setblocking(False)
    return server


class Launcher:
    """The console of one node, as a component of it."""

    def __init__(
        self, config_file: Path, address: str, program: str, *, is_new: bool = False
    ) -> None:
        """Binds at once. `program` is the module of the console command.

        With `is_new` nobody has an account yet, and the link that makes the first one is told at
        the start. Raises as `listen`.
        """
        self._command = [sys.executable, "-m", program, "--config", str(config_file)]
        self._socket = listen(address)
        self._is_new = is_new
        self._child: subprocess.Popen[bytes] | None = None
        self._link: subprocess.Popen[bytes] | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Wait for the first connection."""
        self._task = asyncio.create_task(keep_up("console", self._keep))
        if self._is_new and not sys.stderr.isatty():
            logs.say("console_new")  # a log is no place for a link that opens everything
        elif self._is_new:
            self._link = subprocess.Popen(  # noqa: ASYNC220  # returns at once
                [*self._command, "console", "link", "--first"],
                stdin=subprocess.DEVNULL,
                stdout=sys.stderr.fileno(),
            )

    async def stop(self) -> None:
        """End the child, and close the socket."""
        await end_task(self._task)
        if self._link is not None:
            await asyncio.to_thread(self._link.wait)
        child = self._child
        if child is not None and child.poll() is None:
            child.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                await asyncio.to_thread(child.wait, _STOP_SECONDS)
            if child.poll() is None:
                child.kill()
                await asyncio.to_thread(child.wait)
        self._socket.close()

    async def _keep(self) -> None:
        wait_seconds = _RETRY_SECONDS_MIN
        while True:
            await self._somebody()
            began = time.monotonic()
            code = await self._run_child()
            if code == 0 or time.monotonic() - began >= _HEALTHY_SECONDS:
                wait_seconds = _RETRY_SECONDS_MIN
                continue
            logs.say("console_failed", exit_code=code, retry_seconds=wait_seconds)
            await asyncio.sleep(wait_seconds)
            wait_seconds = min(2 * wait_seconds, _RETRY_SECONDS_MAX)

    async def _somebody(self) -> None:
        """Until somebody connects; the connection stays in the queue, for the child to take."""
        loop = asyncio.get_running_loop()
        asked: asyncio.Future[None] = loop.create_future()

        def heard() -> None:
            loop.remove_reader(self._socket)
            if not asked.done():
                asked.set_result(None)

        loop.add_reader(self._socket, heard)
        try:
            await asked
        finally:
            loop.remove_reader(self._socket)

    async def _run_child(self) -> int:
        number = self._socket.fileno()
        self._child = subprocess.Popen(  # noqa: ASYNC220  # returns at once
            [*self._command, "console", "serve", "--fd", str(number)],
            stdin=subprocess.PIPE,
            stdout=sys.stderr.fileno(),
            pass_fds=(number,),
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        logs.say("console_started", process=self._child.pid)
        try:
            return await asyncio.to_thread(self._child.wait)
        finally:
            if self._child.stdin is not None and self._child.poll() is not None:
                self._child.stdin.close()


def console_component(node: Node, program: str) -> Component | None:
    """The console of a node, or None where its configuration asks for none. Raises as `listen`."""
    section = node.config.console
    if section.listen is None or not section.by_node:
        return None
    is_new = not (node.config.console_dir / "console.db").exists()
    return Launcher(node.config.file, section.listen, program, is_new=is_new)
