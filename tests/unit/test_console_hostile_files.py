"""Hostile files: what an address, a name or an upload might reach or fill."""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from huying.hub.web import server
from huying.node.web.ledger.sheet_jobs import Jobs
from tests.unit.console_town import Town
from tests.unit.hostile_town import hostile_town


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with hostile_town(tmp_path_factory.mktemp("hostile")) as made:
        yield made


@pytest.mark.parametrize(
    "path",
    [
        "/static/node/%2e%2e/app.py",
        "/static/node/..%2f..%2fapp.py",
        "/static/node/%2e%2e%5capp.py",
        "/static/node/%252e%252e/app.py",
        "/static/node//etc/passwd",
        "/static/node/",
        "/static/",
        "/static/hub/%2e%2e/site.py",
        "/media/..%2f..%2fconsole.db",
        "/media/%2e%2e",
        "/media/" + "0" * 64,
        "/.git/config",
        "/console.db",
        "/docs",
        "/openapi.json",
        "/metrics",
        "/debug",
    ],
)
def test_no_file_is_served_but_those_of_the_program(town: Town, path: str) -> None:
    """No way up, no listing, no metadata of a repository, no page for developers."""
    town.county.sign_in("centre")
    answer = town.county.get(path)
    assert answer.status_code == 404, path
    assert "import " not in answer.text
    assert "SQLite format" not in answer.text


def test_what_is_brought_lies_where_its_owner_alone_looks(tmp_path: Path) -> None:
    """A ledger on its way in has everybody's numbers; so has the folder above it."""
    folder = tmp_path / "console"
    folder.mkdir(mode=0o755)
    before = os.umask(0o022)
    try:
        job = Jobs(folder).begin("person", "台账.xlsx", ".xlsx", 0.0)
    finally:
        os.umask(before)
    for path in (folder / "imports", folder / "imports" / job.id):
        assert path.stat().st_mode & 0o077 == 0, path.name


def test_the_console_s_process_writes_for_its_owner_alone() -> None:
    """Also what a library or a table's errors open without saying a mode."""
    assert "os.umask(0o077)" in inspect.getsource(server.serve)
