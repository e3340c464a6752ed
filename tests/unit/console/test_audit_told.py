"""The audit trail on the log: each row once, from whoever wrote it, and nobody's name in it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from huying.common import limits
from huying.node import logs
from huying.node.web.access import audit_told
from huying.node.web.access.audit import Audit
from huying.node.web.access.audit_told import FILE_NAME, Told
from huying.node.web.store import ConsoleStore
from tests.support.console_people import NOW, cheap_accounts, enter

Lines = list[dict[str, Any]]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ConsoleStore]:
    opened = ConsoleStore.open(tmp_path / "console")
    yield opened
    opened.close()


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Lines:
    found: Lines = []

    def say(event: str, **values: object) -> None:
        assert event == "console_audit"
        assert event in logs.MESSAGES
        found.append(values)

    monkeypatch.setattr(logs, "say", say)
    return found


def told(store: ConsoleStore) -> Audit:
    """The trail as the console's process opens it."""
    return Audit(store, Told(store))


def test_each_row_is_said_with_the_hash_that_the_trail_has(store: ConsoleStore, lines: Lines):
    """A collector that kept the lines can tell later which row was altered, without the file."""
    audit = told(store)
    for number in range(3):
        audit.write(NOW + number, "-", "sign-in", f"page-{number}", outcome="refused")
    assert [line["number"] for line in lines] == [1, 2, 3]
    assert [line["object"] for line in lines] == ["page-0", "page-1", "page-2"]
    assert {line["outcome"] for line in lines} == {"refused"}
    assert lines[-1]["head"] == audit.verify().head
    assert audit.verify(noted=(2, lines[1]["head"])).holds
    assert lines[0]["at"].endswith("+00:00")


def test_people_are_named_by_their_pseudonym_alone(store: ConsoleStore, lines: Lines):
    """A log goes to more hands than the trail; a login is often somebody's name."""
    person = enter(cheap_accounts(store), "zhang.san", actor="县-民政局-11")
    audit = told(store)
    audit.write(NOW, person.login, "sign-in", f"account:{person.login}", detail="from 张三's desk")
    audit.write(NOW, "cli:wangwu", "account-reset", f"account:{person.login}")
    audit.write(NOW, person.login, "oidc-bind", person.login)
    audit.write(NOW, "gone.away", "sign-out", "account:gone.away")
    assert [(line["actor"], line["object"]) for line in lines] == [
        ("县-民政局-11", "account:县-民政局-11"),
        ("cli", "account:县-民政局-11"),
        ("县-民政局-11", "account:县-民政局-11"),
        ("?", "account:?"),
    ]
    text = str(lines)
    assert not any(word in text for word in ("zhang", "张三", "wangwu", "gone", "desk"))


def test_what_a_command_wrote_is_said_by_the_console(store: ConsoleStore, lines: Lines):
    """`huying user` writes beside the console, and its terminal is no collector."""
    audit = told(store)
    audit.write(NOW, "-", "one")
    Audit(store).write(NOW, "cli:root", "account-add", "account:zhang")
    assert len(lines) == 1
    audit.tell()
    audit.tell()
    assert [line["action"] for line in lines] == ["one", "account-add"]


def test_a_restart_says_no_row_twice_and_leaves_none_out(store: ConsoleStore, lines: Lines):
    """The console ends whenever nobody is there."""
    told(store).write(NOW, "-", "one")
    Audit(store).write(NOW, "cli:root", "two")
    told(store).write(NOW, "-", "three")
    assert [line["action"] for line in lines] == ["one", "two", "three"]
    assert stat.S_IMODE((store.folder / FILE_NAME).stat().st_mode) == 0o600


@pytest.mark.parametrize("kept", [None, "", "junk", "9 " + "0" * 64, "1 " + "0" * 64, "-1 x"])
def test_where_the_last_row_is_not_known_the_newest_are_said_again(
    store: ConsoleStore, lines: Lines, monkeypatch: pytest.MonkeyPatch, kept: str | None
):
    """Also after a restore: twice is better than never. But not a year of them."""
    monkeypatch.setattr(limits, "AUDIT_TOLD_AGAIN_ROWS", 2)
    for number in range(4):
        Audit(store).write(NOW, "-", f"deed-{number}")
    if kept is not None:
        (store.folder / FILE_NAME).write_text(kept)
    told(store).tell()
    assert [line["action"] for line in lines] == ["deed-2", "deed-3"]


def test_many_rows_are_said_by_pages(
    store: ConsoleStore, lines: Lines, monkeypatch: pytest.MonkeyPatch
):
    """A morning of `huying user add` must not be one list in memory."""
    monkeypatch.setattr(audit_told, "_PAGE_ROWS", 2)
    for number in range(5):
        Audit(store).write(NOW, "-", f"deed-{number}")
    told(store).tell()
    assert [line["number"] for line in lines] == [1, 2, 3, 4, 5]


def test_a_mark_that_can_not_be_kept_refuses_no_deed(
    store: ConsoleStore, lines: Lines, monkeypatch: pytest.MonkeyPatch
):
    """The trail has the row; that the log may have it twice is no reason to refuse anybody."""
    audit = told(store)
    monkeypatch.setattr(os, "open", lambda *_: (_ for _ in ()).throw(OSError(28, "full")))
    audit.write(NOW, "-", "one")
    audit.write(NOW, "-", "two")
    assert audit.verify().last == 2
    assert [line["action"] for line in lines] == ["one", "two"]
