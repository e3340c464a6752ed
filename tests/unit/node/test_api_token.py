"""The API's token: another one counts at once, in a node that runs, and the one before no more."""

from __future__ import annotations

import asyncio
import json
import stat
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from huying.common.errors import Code, HuyingError
from huying.hub.cli import app
from huying.node import keys, renewal
from huying.node.api.auth import TokenInterceptor, bearer
from huying.node.cli.main import execute


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "api.token"
    keys.write_private(path, keys.draw_token())
    return path


def passes(interceptor: TokenInterceptor, token: str) -> bool:
    """Whether a call that shows it reaches its method."""
    details: Any = SimpleNamespace(
        method="/huying.wire.v1.Node/Status", invocation_metadata=(bearer(token),)
    )

    async def method(_details: Any) -> str:
        return "reached"

    return asyncio.run(interceptor.intercept_service(method, details)) == "reached"


def test_another_token_counts_at_once_and_the_one_before_no_more(file: Path) -> None:
    """A node that must be restarted for it keeps the old one for years."""
    old = keys.load_token(file)
    interceptor = TokenInterceptor(old, file)
    assert passes(interceptor, old)
    renewal.renew_token(file)
    new = keys.load_token(file)
    assert new != old
    assert not passes(interceptor, old)
    assert passes(interceptor, new)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [one.name for one in file.parent.iterdir()] == ["api.token"]


@pytest.mark.parametrize("text", [None, "", "short", "x" * 30 + "\n"])
def test_a_file_that_holds_no_token_changes_nothing(file: Path, text: str | None) -> None:
    """Half a file, or none, must neither open the API nor shut it."""
    old = keys.load_token(file)
    interceptor = TokenInterceptor(old, file)
    file.unlink()
    if text is not None:
        keys.write_private(file, text)
    assert passes(interceptor, old)
    assert not passes(interceptor, text or "x")


def test_a_file_that_others_may_read_is_no_token(file: Path) -> None:
    """Whoever could put it there is not the node's user."""
    old = keys.load_token(file)
    interceptor = TokenInterceptor(old, file)
    renewal.renew_token(file)
    file.chmod(0o644)
    assert passes(interceptor, old)
    with pytest.raises(HuyingError) as caught:
        renewal.renew_token(file)
    assert caught.value.code is Code.KEY


def test_an_attempt_that_was_cut_short_is_no_hindrance(file: Path) -> None:
    """A crash between writing and renaming leaves a file beside it."""
    file.with_name("api.token.next").write_text("half")
    renewal.renew_token(file)
    assert len(keys.load_token(file)) >= 32


def test_the_command_replaces_the_token(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An operator ends a program's access without ending the node's."""
    folder = tmp_path / "n"
    made = ["init", str(folder), "--network", "example.cn", "--code", "370830000000"]
    assert execute(app(), [*made, "--name", "汶上县"]) == 0
    before = keys.load_token(folder / "keys" / "api.token")
    capsys.readouterr()
    assert execute(app(), ["--config", str(folder / "node.toml"), "key", "token", "--json"]) == 0
    out = capsys.readouterr().out
    after = keys.load_token(folder / "keys" / "api.token")
    assert after != before
    assert after not in out
    assert json.loads(out)["token_file"].endswith("api.token")
