"""A node as its operator meets it: a process that starts, refuses a second self, and stops."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from huying.common.errors import ADVICE, Code
from huying.hub.fleet import free_addresses
from huying.node import config
from huying.node.membership import enrol

COUNTY = "370830000000"
START_SECONDS = 30.0
RESIDENT_BYTES_MAX = 100e6


def free_address() -> str:
    return free_addresses(1)[0]


@pytest.fixture
def node(tmp_path) -> Path:
    made = enrol.init_node(
        tmp_path / COUNTY,
        network="wenshang.example",
        code=COUNTY,
        name="汶上县",
        sync_listen=free_address(),
        api_listen=free_address(),
        metrics_listen=free_address(),
    )
    return made.config.file


def spawn(file: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "huying.hub.cli", "--config", str(file), "run"]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environ)


def wait_for(process: subprocess.Popen[str], event: str) -> None:
    assert process.stderr is not None
    seen = []
    for line in process.stderr:
        seen.append(line)
        if f'"event": "{event}"' in line:
            return
    pytest.fail(f"{event} never came:\n{''.join(seen)}")


@contextlib.contextmanager
def running(file: Path) -> Iterator[subprocess.Popen[str]]:
    with spawn(file) as process:
        try:
            wait_for(process, "node_running")
            yield process
        finally:
            process.kill()


def test_a_node_stops_cleanly_at_a_signal_and_starts_again(node):
    """Supervisors send SIGTERM; a zero tells them that nothing is wrong."""
    for number in (signal.SIGTERM, signal.SIGINT):
        with running(node) as process:
            process.send_signal(number)
            assert process.wait(START_SECONDS) == 0
    assert not config.load(node, {}).database_file.with_name("node.db-wal").exists()


def test_two_processes_never_run_on_one_folder(node):
    """Two writers on one feed would sign two histories."""
    with running(node):
        second = spawn(node)
        _, errors = second.communicate(timeout=START_SECONDS)
        assert second.returncode == ADVICE[Code.NODE_RUNNING].exit_code
        assert Code.NODE_RUNNING.name in errors


def test_an_idle_node_stays_small_and_tells_its_health(node):
    """Villages run it on a machine that does other work."""
    with running(node) as process:
        listen = config.load(node, {}).metrics.listen
        with urllib.request.urlopen(f"http://{listen}/healthz", timeout=5) as health:
            assert b"live" in health.read()
        assert psutil.Process(process.pid).memory_info().rss < RESIDENT_BYTES_MAX


def test_an_address_in_use_ends_the_start_with_the_setting_s_name(node):
    """Two nodes on one machine, one setting copied: the message must name it."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        file = node.read_text(encoding="utf-8").replace(
            config.load(node, {}).sync.listen or "", f"127.0.0.1:{taken.getsockname()[1]}"
        )
        node.write_text(file, encoding="utf-8")
        process = spawn(node)
        _, errors = process.communicate(timeout=START_SECONDS)
    assert process.returncode == ADVICE[Code.CONFIG].exit_code
    assert "[sync] listen" in errors


def test_a_key_that_others_may_read_ends_the_start(node):
    """Starting with a key that leaked would hide that it did."""
    key = config.load(node, {}).keys_dir / "feed-e1.key"
    key.chmod(0o644)
    process = spawn(node)
    _, errors = process.communicate(timeout=START_SECONDS)
    assert process.returncode == ADVICE[Code.KEY].exit_code
    assert f"chmod 600 {key}" in errors
