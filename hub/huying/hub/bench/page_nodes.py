"""The bench's processes: nodes at the time of its calls, consoles, the rival; started and ended."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Final

from huying.hub.bench.page_process import serve_console, serve_plain
from huying.hub.bench.page_walk import Browser
from huying.hub.fleet import Fleet
from huying.node.config import Config

__all__ = [
    "console",
    "cpu_seconds_of",
    "fork_server",
    "plain",
    "running",
    "start_seconds",
]

_START_SECONDS: Final = 30.0
# What the console's process has loaded before its first request.
_PRELOADED: Final = (
    *("huying.hub.web.server", "huying.node.web.launcher", "huying.hub.bench.page_process"),
)


def fork_server() -> Any:
    """Makes processes that have loaded the program and done nothing else."""
    forks = multiprocessing.get_context("forkserver")
    forks.set_forkserver_preload(list(_PRELOADED))
    return forks


@contextlib.contextmanager
def running(fleet: Fleet, shift: float) -> Iterator[None]:
    """The nodes, at the time of the calls; without their consoles."""
    for member in fleet:
        with member.log_file.open("ab") as log:
            member.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "huying.hub.bench.page_process", repr(shift)),
                    *("--config", str(member.config_file), "run"),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
    try:
        for member in fleet:
            member.wait_ready()
        yield
    finally:
        fleet.stop()


@contextlib.contextmanager
def console(config: Config, shift: float, forks: Any) -> Iterator[BaseProcess]:
    """A process of its own that has answered nobody, taking connections."""
    assert config.console.listen is not None, "the bench's nodes have one"
    with _process(forks, serve_console, (config.file, shift), config.console.listen) as process:
        # It has the connection when it takes requests; a picture is no page.
        probe = Browser(config.console.listen)
        probe.get("/static/node/icon.svg")
        probe.close()
        yield process


@contextlib.contextmanager
def plain(database: Path, address: str, forks: Any) -> Iterator[BaseProcess]:
    """The rival's process, taking connections."""
    with _process(forks, serve_plain, (database, address), address) as process:
        yield process


@contextlib.contextmanager
def _process(
    forks: Any, serve: Callable[..., None], arguments: tuple[Any, ...], address: str
) -> Iterator[BaseProcess]:
    process: BaseProcess = forks.Process(target=serve, args=arguments, daemon=True)
    process.start()
    try:
        _await_listening(process, address)
        yield process
    finally:
        process.terminate()
        process.join()


def _await_listening(process: BaseProcess, address: str) -> None:
    host, _, port = address.rpartition(":")
    deadline = time.monotonic() + _START_SECONDS
    while True:
        with contextlib.suppress(OSError), socket.create_connection((host, int(port)), 1):
            return
        if not process.is_alive() or time.monotonic() > deadline:
            raise RuntimeError(f"nobody serves {address}")
        time.sleep(0.01)


def cpu_seconds_of(process: BaseProcess) -> float:
    """User and system time that a process has used, with that of threads that have ended."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def start_seconds(config: Config, shift: float) -> float:
    """From the start of the console's command until it answered its first request."""
    assert config.console.listen is not None, "the bench's nodes have one"
    started = time.perf_counter()
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "huying.hub.bench.page_process", repr(shift)),
            *("--config", str(config.file), "console", "serve"),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        browser = Browser(config.console.listen)
        while True:
            with contextlib.suppress(OSError):
                browser.get("/sign-in")
                return round(time.perf_counter() - started, 3)
            browser.close()
            time.sleep(0.01)
    finally:
        process.terminate()
        process.wait()
