"""`huying demo`: the command line, the folder and its lock, the order of things, the exit code."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import fcntl
import json
import os
import shutil
import signal
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from rich.console import Console

from huying.common.errors import EXIT_OK, Code, HuyingError
from huying.hub.demo.canary import Canaries, Scan, scan_bytes, scan_node
from huying.hub.demo.outcome import Outcome
from huying.hub.demo.plan import NETWORK, TIMING, Sizes, places
from huying.hub.demo.play import Play
from huying.hub.demo.report import print_accounts, print_examples, print_report
from huying.hub.demo.screen import LiveScreen, PlainScreen, Screen
from huying.hub.fleet import Fleet, Member, Place
from huying.node.config import load

__all__ = ["run", "scan_fleet"]

_FREE_BYTES_MIN: Final = 500_000_000
_TICK_SECONDS: Final = 0.25
_MARKER: Final = "这是演示数据,随时可删 · demo data, delete at will\n"
_MARKER_FILE: Final = "DEMO"
_WIDTH: Final = 100
_METRICS_SECONDS: Final = 5.0


def run(args: list[str]) -> int:
    """The command; with --json the last line of stdout is one JSON object. Raises HuyingError."""
    options = _parse(args)
    sizes = Sizes(options.households, options.requests, options.rate)
    console = _console(stderr=options.json)
    folder: Path = options.folder.absolute()
    _heed_signals()
    with _lock(folder):
        _clear(folder)
        fleet = Fleet(folder, NETWORK)
        with _running(fleet, console):
            screen: Screen
            screen = (
                LiveScreen(console, places())
                if console.is_terminal
                else (PlainScreen(console, places()))
            )
            with screen:
                _start(fleet, screen)
                outcome = _play(fleet, sizes, screen)
            print_report(console, outcome)
            if options.json:
                sys.stdout.write(json.dumps(outcome.document(), ensure_ascii=False) + "\n")
                sys.stdout.flush()
            else:
                print_examples(console, options.folder, outcome)
            if not options.once:
                _open_pages(fleet, console)
                _stay(fleet, console)
    if not outcome.sound:
        code = Code.BREACH if outcome.scan.leaks else Code.CORRUPT
        raise HuyingError(code, "the demo did not keep its promises; see the table above")
    return EXIT_OK


def _parse(args: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="huying demo",
        description="一县两镇四村,七个进程,真实诉求回放 · "
        "A county, two towns and four villages as seven processes; real requests are replayed.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    defaults = Sizes()
    parser.add_argument("--once", action="store_true", help="演示完即退出 · exit at the end")
    parser.add_argument(
        "--json",
        action="store_true",
        help="末行为 JSON,进度走标准错误 · one JSON object as the last line; progress on stderr",
    )
    parser.add_argument(
        "--folder", type=Path, default=Path(".demo"), help="每次清空 · emptied at each start"
    )
    parser.add_argument(
        "--households",
        type=_number(1, 5000),
        default=defaults.households,
        help="每村户数 · households in each village",
    )
    parser.add_argument(
        "--requests",
        type=_number(1, 1000),
        default=defaults.requests,
        help="诉求件数 · requests in all",
    )
    parser.add_argument(
        "--rate",
        type=_number(1, 1000),
        default=int(defaults.requests_per_second),
        help="每秒件数 · requests a second",
    )
    return parser.parse_args(args)


def _number(least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        value = int(text)
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"{least} to {most}")
        return value

    return parse


def _console(*, stderr: bool) -> Console:
    console = Console(stderr=stderr, markup=False, highlight=False)
    return (
        console
        if console.is_terminal
        else Console(stderr=stderr, markup=False, highlight=False, width=_WIDTH)
    )


@contextlib.contextmanager
def _lock(folder: Path) -> Iterator[None]:
    """One demo per folder. Raises HuyingError(NODE_RUNNING), or CONFIG for a folder not ours."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise HuyingError(Code.CONFIG, f"--folder: {folder}: {error.strerror}") from None
    known = {_MARKER_FILE, *(place.code for place in places())}
    strangers = sorted(path.name for path in folder.iterdir() if path.name not in known)
    if strangers and not (folder / _MARKER_FILE).exists():
        raise HuyingError(
            Code.CONFIG,
            f"--folder: {folder} holds {strangers[0]}, which no demo made; name an empty folder",
        )
    with (folder / _MARKER_FILE).open("a+", encoding="utf-8") as marker:
        try:
            fcntl.flock(marker, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise HuyingError(
                Code.NODE_RUNNING, f"{folder}: a demo is running here; Ctrl-C it, or use --folder"
            ) from None
        marker.truncate(0)
        marker.write(_MARKER)
        marker.flush()
        yield


def _clear(folder: Path) -> None:
    """Start from scratch: end what a killed demo left running, and remove what it left behind."""
    free_bytes = shutil.disk_usage(folder).free
    if free_bytes < _FREE_BYTES_MIN:
        raise HuyingError(
            Code.DISK_FULL,
            f"{folder}: {free_bytes // 10**6} MB free, {_FREE_BYTES_MIN // 10**6} MB are needed",
        )
    _end_orphans(folder)
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name != _MARKER_FILE:
            path.unlink()


def _end_orphans(folder: Path) -> None:
    """End nodes of this very folder whose demo was killed before it could."""
    ours = {str(folder / place.code / "node.toml").encode() for place in places()}
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = entry.read_bytes().split(b"\0")
            if ours & set(words) and b"run" in words:
                os.kill(int(entry.parent.name), signal.SIGKILL)


def _heed_signals() -> None:
    """SIGINT and SIGTERM end the demo alike, also where a script started it in the background.

    A shell makes such a job ignore SIGINT, and Python leaves it so.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@contextlib.contextmanager
def _running(fleet: Fleet, console: Console) -> Iterator[None]:
    """Drain and stop every node in the end; a second Ctrl-C kills them."""
    try:
        yield
    finally:
        console.print("正在退出,等待各节点收尾 draining the nodes …")
        try:
            ended = fleet.stop()
        except KeyboardInterrupt:
            for member in fleet:
                member.kill()
            raise
        for code, exit_code in ended.items():
            if exit_code != EXIT_OK:
                console.print(f"{code}: 退出码 exit code {exit_code}")


def _start(fleet: Fleet, screen: Screen) -> None:
    """Make and start the nodes; ports that were free a moment ago may be taken by now."""
    screen.phase("自上而下:签发令牌,节点加入,启动 from the top: a token each, join, start")

    def told(_place: Place) -> None:
        screen.tick()

    fleet.grow(places(), timing=dict(TIMING), capture=True, told=told)


def _play(fleet: Fleet, sizes: Sizes, screen: Screen) -> Outcome:
    play = Play(fleet, sizes)
    screen.watch(play)
    screen.phase("村装载台账,诉求逐件回放 registers are loaded, then requests come one by one")

    async def main() -> None:
        async def tick() -> None:
            while True:
                screen.tick()
                await asyncio.sleep(_TICK_SECONDS)

        ticking = asyncio.create_task(tick())
        try:
            await play.run()
        finally:
            ticking.cancel()

    asyncio.run(main())
    screen.phase("查找外泄的标记 searching for canaries where they may not be")
    order = [place.code for place in places()]
    return Outcome(
        statuses={code: play.statuses[code] for code in order},
        counts=play.story.counts,
        delays=play.delays,
        live_delays=play.live_delays,
        stream_seconds=play.stream_seconds,
        scan=scan_fleet(fleet, play.canaries),
        planted=play.canaries.planted,
        roots_equal=play.agreed,
    )


def scan_fleet(fleet: Fleet, canaries: Canaries) -> Scan:
    """Search every file of every node, and the metrics of those that run."""
    total = Scan()
    for member in fleet:
        config = load(member.config_file)
        total.add(
            scan_node(
                canaries,
                member.code,
                member.folder,
                data=config.data_dir,
                capture=config.capture_dir,
            )
        )
        if member.process is not None and member.process.poll() is None:
            page = _metrics(member)
            total.add(scan_bytes(canaries, page, f"{member.code} /metrics", lambda _mark: False))
    return total


def _metrics(member: Member) -> bytes:
    listen = load(member.config_file).metrics.listen
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://{listen}/metrics", timeout=_METRICS_SECONDS) as response:
        page: bytes = response.read()
        return page


def _open_pages(fleet: Fleet, console: Console) -> None:
    """Leave something to do at every desk, and tell who may sign in where."""
    from huying.hub.demo.accounts import make_accounts
    from huying.hub.demo.morning import leave_work

    console.print("\n正在准备网页账号和待办 accounts for the pages, and work that waits …")
    accounts = make_accounts(fleet)
    leave_work(fleet)
    print_accounts(console, accounts)


def _stay(fleet: Fleet, console: Console) -> None:
    """Until Ctrl-C; a node that ends meanwhile is told of, and the others go on."""
    console.print("\n网络保持运行,Ctrl-C 结束 the network stays up; Ctrl-C ends it")
    told: set[str] = set()
    with contextlib.suppress(KeyboardInterrupt):
        while len(told) < len(fleet.members):
            for member in fleet:
                dead = member.process is not None and member.process.poll() is not None
                if dead and member.code not in told:
                    told.add(member.code)
                    console.print(
                        f"{member.place.name} {member.code} 已停止 has stopped; 重新启动 restart: "
                        f"{Path(sys.argv[0])} --config {member.config_file} run",
                        soft_wrap=True,
                    )
            time.sleep(_TICK_SECONDS)
