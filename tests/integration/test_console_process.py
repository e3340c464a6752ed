"""The console's process: started by the first visitor, gone with its node, started again."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress

import psutil
import pytest

from huying.hub.fleet import Fleet, Member, Place
from huying.node.config import load
from huying.node.web.access.accounts import Accounts
from huying.node.web.access.roles import Role
from huying.node.web.app import origin_of
from huying.node.web.store import ConsoleStore

pytestmark = pytest.mark.slow
COUNTY = "370830000000"
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Member]:
    with Fleet(tmp_path_factory.mktemp("net"), "wenshang.example") as fleet:
        fleet.make([Place(COUNTY, "汶上县", None)], timing={"confirm_seconds": 0.5})
        fleet.start()
        yield fleet[COUNTY]


@pytest.fixture
def member(made: Member) -> Member:
    """The node, running, whatever became of it before."""
    assert made.process is not None
    if made.process.poll() is not None:
        made.start()
        made.wait_ready()
    return made


def ask(member: Member, path: str = "/healthz") -> tuple[int, str]:
    origin = origin_of(load(member.config_file))
    try:
        with _OPENER.open(origin + path, timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def consoles(member: Member) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if str(member.config_file) in words and "serve" in words:
            found.append(process)
    return found


def until(true: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "did not come about"
        time.sleep(0.05)


def test_nothing_of_the_console_runs_until_somebody_asks_for_a_page(member):
    """A village's PC pays for pages when they are looked at, not for months."""
    assert consoles(member) == []
    assert ask(member) == (200, '{"state":"live"}')
    (process,) = consoles(member)
    assert process.ppid() == member.process.pid


def test_a_console_that_was_killed_is_back_for_the_next_visitor(member):
    ask(member)
    (first,) = consoles(member)
    first.send_signal(signal.SIGKILL)
    until(lambda: not first.is_running() or first.status() == psutil.STATUS_ZOMBIE)
    assert ask(member)[0] == 200
    assert [one.pid for one in consoles(member)] != [first.pid]


def test_a_console_does_not_outlive_its_node(member):
    """It holds the node's listening socket: the next start could not bind."""
    ask(member)
    (process,) = consoles(member)
    member.kill()
    until(lambda: not process.is_running())
    member.start()
    member.wait_ready()
    assert ask(member)[0] == 200


def test_a_stopped_node_leaves_no_console_behind(member):
    ask(member)
    (process,) = consoles(member)
    assert member.stop() == 0
    assert not process.is_running()


def test_a_console_by_itself_says_that_its_node_is_away(member):
    """As a service of its own it reads on while the node is down, and says since when."""
    config = load(member.config_file)
    member.stop()
    command = [sys.executable, "-m", "huying.hub.cli", "--config", str(member.config_file)]
    process = subprocess.Popen([*command, "console", "serve"])
    try:

        def answers() -> bool:
            with suppress(OSError):
                return ask(member)[0] == 503
            return False

        until(answers)
        assert ask(member)[1] == '{"state":"node_down"}'
        assert "sign-in" in ask(member, "/")[1] or ask(member, "/")[0] == 200
    finally:
        process.terminate()
        assert process.wait(10) == 0
    assert config.console.listen is not None


def test_the_first_start_says_how_to_make_an_account_and_logs_no_link(member):
    """The token opens everything: it is told on a terminal, or to who asks, and in no log."""
    log = member.log_file.read_text(encoding="utf-8")
    assert "console_new" in log
    assert "set-up" not in log
    command = [sys.executable, "-m", "huying.hub.cli", "--config", str(member.config_file)]
    done = subprocess.run([*command, "console", "link"], capture_output=True, text=True, check=True)
    config = load(member.config_file)
    assert origin_of(config) in done.stdout
    for file in (config.console_dir, config.console_dir / "console.db"):
        assert stat.S_IMODE(file.stat().st_mode) & 0o077 == 0


def test_pages_show_nothing_to_who_is_not_signed_in(member):
    """Every page but the public ones leads to the sign-in page."""
    config = load(member.config_file)
    store = ConsoleStore.open(config.console_dir)
    Accounts(store).add(
        login="admin",
        name="管理员",
        roles=(Role.ADMIN,),
        password="correct-horse-battery-9",
        one_time=False,
        now=time.time(),
    )
    store.close()
    status, page = ask(member, "/people")
    assert status == 200
    assert "admin" not in page
    assert "password" in page


def test_the_console_port_taken_is_said_at_the_start(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        fleet = Fleet(tmp_path, "wenshang.example")
        fleet.make([Place(COUNTY, "汶上县", None)])
        command = [sys.executable, "-m", "huying.hub.cli", "--config"]
        done = subprocess.run(
            [*command, str(fleet[COUNTY].config_file), "run"],
            env={**os.environ, "HUYING_CONSOLE__LISTEN": f"127.0.0.1:{port}"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 2
    assert f"console.listen: 127.0.0.1:{port}" in done.stderr
