"""Several node processes on one machine, for the demo, the benchmark and tests.

Each node has a folder of its own with its keys, its store and its log, and listens on loopback
ports that were free when the folder was made. The processes are ordinary `huying run` ones.
`make` enrols by file, all at rest; `grow` as operators do, with tokens and one tier after another.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from huying.common.errors import Code, HuyingError
from huying.common.membership.join_token import parse_token
from huying.node.api.client import Client
from huying.node.config import Config, load
from huying.node.membership.enrol import init_node
from huying.node.membership.invites import InviteFolder, issue
from huying.node.membership.joining import Wishes, begin, finish, join_beside
from huying.node.membership.offers import make_offer
from huying.node.transport.knock import knock

__all__ = ["Fleet", "Member", "Place", "cpu_seconds", "free_addresses"]

READY_SECONDS_MAX: Final = 60.0
STOP_SECONDS_MAX: Final = 15.0
INVITE_HOURS: Final = 1.0
_POLL_SECONDS: Final = 0.05
_PORTS: Final = range(20_000, 32_768)
_reserved: list[socket.socket] = []  # open for as long as the process lives


@dataclass(frozen=True, slots=True)
class Place:
    """A node to be made. `parent` is the code of a place listed before it, or None."""

    code: str
    name: str
    parent: str | None


def free_addresses(count: int) -> list[str]:
    """`count` loopback addresses that nobody listens on, reserved until this process ends.

    They lie below the ports that the system gives to whoever dials out: one of those may be taken
    between its choice here and the node's own start. Raises HuyingError(BUSY) where all are taken.
    """
    found: list[str] = []
    for port in random.sample(_PORTS, len(_PORTS)):
        if len(found) == count:
            return found
        if _reserve(port):
            found.append(f"127.0.0.1:{port}")
    raise HuyingError(Code.BUSY, f"no {count} ports are free in {_PORTS.start}-{_PORTS.stop - 1}")


def _reserve(port: int) -> bool:
    """Whether the port is now this process's among all that choose here, and nobody listens."""
    name = socket.socket(socket.AF_UNIX)
    try:
        # An abstract name: it goes with the process, however that ends.
        name.bind(f"\0huying-port-{port}")
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", port))
    except OSError:
        name.close()
        return False
    _reserved.append(name)
    return True


@dataclass(slots=True)
class Member:
    """One node of the fleet: its folder, and its process while it runs."""

    place: Place
    folder: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def code(self) -> str:
        """Division code."""
        return self.place.code

    @property
    def config_file(self) -> Path:
        """The node's node.toml."""
        return self.folder / "node.toml"

    @property
    def log_file(self) -> Path:
        """What the process printed."""
        return self.folder / "node.log"

    def start(self) -> None:
        """Start the process; `wait_ready` says when it answers."""
        assert self.process is None or self.process.poll() is not None, "still running"
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "huying.hub.cli", "--config", str(self.config_file), "run"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # A fleet is a demo or a test: nobody there has an authenticator app at hand.
                env={"HUYING_CONSOLE__SECOND_FACTOR": "optional", **os.environ},
                start_new_session=True,  # a Ctrl-C at the terminal is the fleet's to handle
            )

    def client(self) -> Client:
        """A client of the node's API."""
        config = load(self.config_file)
        return Client(config.api.listen, config.token_file.read_text().strip())

    def wait_ready(self) -> None:
        """Until the API answers. Raises HuyingError(UNREACHABLE) with the end of the log."""
        deadline = time.monotonic() + READY_SECONDS_MAX
        while True:
            assert self.process is not None
            if self.process.poll() is not None or time.monotonic() > deadline:
                tail = self.log_file.read_text(errors="replace")[-2000:]
                raise HuyingError(Code.UNREACHABLE, f"{self.code} did not start:\n{tail}")
            with contextlib.suppress(HuyingError, OSError), self.client() as client:
                client.status()
                return
            time.sleep(_POLL_SECONDS)

    def kill(self) -> None:
        """Send SIGKILL: no goodbye, no flush."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()

    def terminate(self) -> None:
        """Ask the process to drain and stop."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()

    def wait(self) -> int:
        """The exit code, after at most STOP_SECONDS_MAX, and kill -9 then."""
        if self.process is None:
            return 0
        try:
            code = self.process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self.kill()
            code = self.process.wait()
        return code

    def stop(self) -> int:
        """Drain and stop; the exit code."""
        self.terminate()
        return self.wait()


@dataclass(frozen=True, slots=True)
class _Listen:
    """Where a node listens."""

    sync: str | None
    api: str
    metrics: str
    console: str


def _wishes(
    place: Place, listen: _Listen, timing: dict[str, float] | None, capture: bool
) -> Wishes:
    return Wishes(
        name=place.name,
        sync_listen=listen.sync,
        api_listen=listen.api,
        metrics_listen=listen.metrics,
        console_listen=listen.console,
        timing=timing,
        capture_dir="capture" if capture else None,
    )


class Fleet:
    """The nodes of one network under one folder, parents before children."""

    def __init__(self, folder: Path, network: str) -> None:
        self.folder = folder
        self.network = network
        self.members: dict[str, Member] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def __getitem__(self, code: str) -> Member:
        return self.members[code]

    def __iter__(self) -> Iterator[Member]:
        return iter(self.members.values())

    def make(
        self,
        places: Sequence[Place],
        *,
        timing: dict[str, float] | None = None,
        capture: bool = False,
    ) -> None:
        """Make every node, and enrol it at its parent by file; none of them may run."""
        for place, listen in self._listening(places):
            wishes = _wishes(place, listen, timing, capture)
            if place.parent is None:
                self._root(place, wishes)
            else:
                join_beside(self._config(place.parent), self._folder(place), place.code, wishes)
            self.members[place.code] = Member(place, self.folder / place.code)

    def grow(
        self,
        places: Sequence[Place],
        *,
        timing: dict[str, float] | None = None,
        capture: bool = False,
        told: Callable[[Place], None] = lambda _place: None,
    ) -> None:
        """Make and start every node, each below a parent that runs, with a join token over TLS.

        `told` hears of each node that is up. Raises as `issue`, `begin`, `knock` and `finish`.
        """
        listening = list(self._listening(places))
        while listening:
            tier = [one for one in listening if one[0].parent in {None, *self.members}]
            assert tier, "parents are listed before their children"
            listening = [one for one in listening if one not in tier]
            for place, listen in tier:
                wishes = _wishes(place, listen, timing, capture)
                if place.parent is None:
                    self._root(place, wishes)
                else:
                    self._join(place, wishes)
            for place, _ in tier:
                self.members[place.code] = Member(place, self.folder / place.code)
                self.members[place.code].start()
            for place, _ in tier:
                self.members[place.code].wait_ready()
                told(place)

    def _root(self, place: Place, wishes: Wishes) -> None:
        init_node(
            self._folder(place),
            network=self.network,
            code=place.code,
            name=place.name,
            sync_listen=wishes.sync_listen,
            api_listen=wishes.api_listen,
            metrics_listen=wishes.metrics_listen,
            console_listen=wishes.console_listen,
            timing=wishes.timing,
            capture_dir=wishes.capture_dir,
        )

    def _join(self, place: Place, wishes: Wishes) -> None:
        """As `huying roster invite` at the parent, then `huying join` here."""
        assert place.parent is not None, "a root joins nobody"
        above = self._config(place.parent)
        offer = make_offer(above, place.code, place.name)
        text, _ = issue(InviteFolder(above.invites_dir), offer, INVITE_HOURS, time.time())
        token = parse_token(text)
        joining = begin(self._folder(place), token, text, wishes)
        sha256 = token.parent.certificate_sha256
        finish(joining, knock([token.address], sha256, token.parent.code, joining.request))

    def _folder(self, place: Place) -> Path:
        folder = self.folder / place.code
        folder.mkdir(parents=True, mode=0o700)
        return folder

    def _config(self, code: str) -> Config:
        return load(self.members[code].config_file)

    def _listening(self, places: Sequence[Place]) -> Iterator[tuple[Place, _Listen]]:
        """Each place with addresses of its own; who is nobody's parent takes no children."""
        parents = {place.parent for place in places}
        addresses = iter(free_addresses(4 * len(places)))
        for place in places:
            sync, api, metrics, console = (next(addresses) for _ in range(4))
            yield place, _Listen(sync if place.code in parents else None, api, metrics, console)

    def start(self, codes: Sequence[str] | None = None) -> None:
        """Start the processes, all or those named, and wait until they answer."""
        chosen = [self.members[code] for code in codes] if codes is not None else list(self)
        for member in chosen:
            member.start()
        for member in chosen:
            member.wait_ready()

    def stop(self) -> dict[str, int]:
        """Drain and stop every process, children first; exit codes by division code."""
        for member in reversed(list(self)):
            member.terminate()
        return {member.code: member.wait() for member in self}


def cpu_seconds(member: Member) -> float:
    """User and system time that a running node has used."""
    assert member.process is not None
    fields = Path(f"/proc/{member.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
