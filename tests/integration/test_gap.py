"""Two networks that share no socket: what passes between them lies in a folder.

The nodes are made, run and asked as an operator does it, through the command line.
"""

from __future__ import annotations

import contextlib
import io
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from huying.common.errors import ADVICE, Code
from huying.hub.cli import app
from huying.node.cli.main import execute
from tests.integration.test_process import free_address, running

COUNTY, TOWN, VILLAGE = "370830000000", "370830108000", "370830108201"
NAMES = {COUNTY: "汶上县", TOWN: "义桥镇", VILLAGE: "义桥村"}
GRID = VILLAGE + "001"
CONVERGE_SECONDS = 30.0


class Done(NamedTuple):
    code: int
    out: str
    err: str


class Site:
    """The nodes' folders, and the one that is carried about."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.gap = folder / "gap"
        self.gap.mkdir()
        self._files = 0

    def config(self, code: str) -> Path:
        return self.folder / code / "node.toml"

    def run(self, *words: str | Path) -> Done:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = execute(app(), [str(word) for word in words])
        return Done(code, out.getvalue(), err.getvalue())

    def huying(self, code: str, *words: str | Path) -> Any:
        """One command at a node; its JSON document."""
        done = self.run("--config", self.config(code), *words, "--json")
        assert done.code == 0, (words, done.err)
        return json.loads(done.out)

    def refusal(self, code: str, *words: str | Path) -> str:
        """The name under which a command is refused."""
        done = self.run("--config", self.config(code), *words, "--json")
        name = done.err.partition("error ")[2].partition(":")[0]
        assert done.code == ADVICE[Code[name]].exit_code, done.err
        return name

    def init(self) -> None:
        made = self.run(
            *("init", self.folder / COUNTY, "--network", "wenshang.example", "--code", COUNTY),
            *("--name", NAMES[COUNTY], "--sync-listen", free_address()),
            *("--api-listen", free_address()),
        )
        assert made.code == 0, made.err

    def join(self, code: str, parent: str, *, by_file: bool) -> None:
        """Enrol a node; by file no byte goes over a network. Else the parent must be running."""
        token = self.huying(parent, "roster", "invite", code, "--name", NAMES[code])["token"]
        words = ["join", token, "--data", self.folder / code, "--api-listen", free_address()]
        if code != VILLAGE:
            words += ["--listen", free_address()]
        request, response = self.gap / f"{code}.request", self.gap / f"{code}.response"
        made = self.run(*words, *(("--request", request) if by_file else ()))
        assert made.code == 0, made.err
        if by_file:
            self.huying(parent, "roster", "enrol", request, "-o", response)
            made = self.run("join", "--data", self.folder / code, "--response", response)
            assert made.code == 0, made.err

    def export(self, sender: str, recipient: str, *words: str) -> Path:
        self._files += 1
        file = self.gap / f"{self._files}.bundle"
        self.huying(sender, "bundle", "export", "--to", recipient, "-o", file, *words)
        return file

    def carry(self, sender: str, recipient: str) -> None:
        """A bundle there, and its receipt back."""
        file = self.export(sender, recipient)
        taken = self.huying(recipient, "bundle", "import", file)
        assert taken["skipped"] == []
        assert taken["receipt"] == f"{file}.receipt"
        self.huying(sender, "bundle", "receipt", taken["receipt"])

    def put(self, number: int) -> None:
        self.huying(
            *(VILLAGE, "record", "put", "event", "--field", "category=道路"),
            *("--field", "status=reported", "--field", f"grid={GRID}"),
            *("--field", f"reported_micros={number + 1}"),
            *("--field", f"description_full=event {number}"),
        )

    def sizes(self, code: str) -> dict[str, int]:
        feeds = self.huying(code, "feed", "list")["feeds"]
        return {feed["origin"]: feed["size"] for feed in feeds}


@pytest.fixture
def site(tmp_path: Path) -> Site:
    made = Site(tmp_path)
    made.init()
    return made


@contextlib.contextmanager
def all_running(site: Site, *codes: str) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for code in codes:
            stack.enter_context(running(site.config(code)))
        yield


def eventually(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + CONVERGE_SECONDS
    while not true():
        assert time.monotonic() < deadline, "the nodes never converge"
        time.sleep(0.2)


def test_a_running_village_behind_a_gap_converges_with_the_network_beyond(site: Site) -> None:
    """County and town are linked; the village shares a folder with them, and no socket."""
    with all_running(site, COUNTY):
        site.join(TOWN, COUNTY, by_file=False)
    site.join(VILLAGE, TOWN, by_file=True)
    with all_running(site, COUNTY, TOWN, VILLAGE):
        for number in range(3):
            site.put(number)
        site.carry(VILLAGE, TOWN)
        site.put(3)
        site.carry(VILLAGE, TOWN)
        site.carry(TOWN, VILLAGE)
        eventually(lambda: site.sizes(COUNTY) == site.sizes(VILLAGE) == site.sizes(TOWN))
        assert len(site.sizes(COUNTY)) == 3
        feeds = site.huying(VILLAGE, "status")["feeds"]
        own = next(feed for feed in feeds if VILLAGE in feed["origin"])
        assert int(own["cosigned_size"]) == int(own["size"]) >= 4


def test_nodes_that_are_stopped_converge_through_a_folder_and_short_codes(site: Site) -> None:
    """County | town | village: nobody dials anybody, and nothing goes back but a few words."""
    site.join(TOWN, COUNTY, by_file=True)
    site.join(VILLAGE, TOWN, by_file=True)
    with all_running(site, VILLAGE):
        for number in range(3):
            site.put(number)
    for sender, recipient in ((VILLAGE, TOWN), (TOWN, COUNTY), (COUNTY, TOWN), (TOWN, VILLAGE)):
        taken = site.huying(recipient, "bundle", "import", site.export(sender, recipient))
        told = ("--code", taken["code"].lower(), "--from", recipient)
        done = site.huying(sender, "bundle", "receipt", *told)
        assert done == {"recipient": recipient, "number": 1, "outstanding": 0}
    assert site.sizes(COUNTY) == site.sizes(TOWN) == site.sizes(VILLAGE)
    again = site.huying(TOWN, "bundle", "export", "--to", COUNTY, "-o", site.gap / "again")
    assert again["entries"] == 0
    with_town = ("bundle", "receipt", "--from", TOWN, "--code")
    assert site.refusal(VILLAGE, *with_town, "7K3D-9QXM-0VT0") in (
        Code.INVALID_ARGUMENT.name,
        Code.NOT_FOUND.name,
    )
    assert site.huying(VILLAGE, "fsck")["ok"]


def test_a_bundle_file_is_never_replaced_and_always_private(site: Site) -> None:
    """What lies on the stick may be the one copy of something."""
    site.join(TOWN, COUNTY, by_file=True)
    file = site.export(TOWN, COUNTY)
    content = file.read_bytes()
    assert file.stat().st_mode & 0o777 == 0o600
    again = ("bundle", "export", "--to", COUNTY, "-o", file)
    assert site.refusal(TOWN, *again) == Code.INVALID_ARGUMENT.name
    assert file.read_bytes() == content
    assert site.refusal(TOWN, "bundle", "import", file) == Code.BUNDLE_NOT_FOR_US.name
    site.huying(COUNTY, "bundle", "import", file)
    assert site.refusal(COUNTY, "bundle", "import", file) == Code.BUNDLE_REPEATED.name
    receipt = file.with_name(file.name + ".receipt")
    assert receipt.stat().st_mode & 0o777 == 0o600
    copy = site.gap / "copy"
    copy.write_bytes(site.export(TOWN, COUNTY).read_bytes()[:-1])
    assert site.refusal(COUNTY, "bundle", "import", copy) == Code.BUNDLE_TRUNCATED.name
    assert not [path for path in site.gap.iterdir() if path.name.endswith(".part")]
