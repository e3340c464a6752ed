"""Whoever asks, or looks at what is a person's, is written down, named or not."""

from __future__ import annotations

import getpass
from typing import Any

import pytest

from huying.common.errors import Code, HuyingError
from huying.hub.cli import app
from huying.hub.cli import hotline as hub_hotline
from huying.node.cli import administer
from huying.node.cli import hotline as node_hotline
from huying.node.cli.main import execute

ORDER = "0f" * 16


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The requests that commands send; none is answered."""
    found: list[Any] = []

    def keep(_ctx: Any, _topic: Any, _method: str, request: Any) -> Any:
        found.append(request)
        raise HuyingError(Code.NOT_FOUND, "nobody is there")

    for module in (administer, node_hotline, hub_hotline):
        monkeypatch.setattr(module, "ask_desk", keep)
    return found


COMMANDS = (
    ("hotline", "show", ORDER),
    ("hotline", "take", ORDER),
    ("hotline", "settle", ORDER, "--text", "已修"),
    ("hotline", "return", ORDER, "--reason", "不在本村"),
    ("hotline", "assign", ORDER, "--to", "370830108201"),
    ("ask", "events-by-category", "--area", "370830000000"),
)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: " ".join(command[:2]))
def test_who_acts_is_written_down_though_nobody_named_them(
    asked: list[Any], monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    """A log that says that nobody looked at a caller's number is of no use to the caller."""
    monkeypatch.delenv("HUYING_ACTOR", raising=False)
    monkeypatch.setattr(getpass, "getuser", lambda: "wangwu")
    execute(app(), [*command])
    monkeypatch.setenv("HUYING_ACTOR", "p-201")
    execute(app(), [*command])
    execute(app(), [*command, "--actor", "p-7"])
    assert [one.actor for one in asked] == ["wangwu", "p-201", "p-7"]
