"""`huying user`: people are entered where no page can be opened, and the trail says by whom."""

from __future__ import annotations

import getpass
import io
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from huying.hub.cli import app
from huying.node.cli.main import execute
from huying.node.web.access.accounts import Accounts
from huying.node.web.access.audit import Audit
from huying.node.web.access.roles import Role
from huying.node.web.access.sessions import Sessions
from huying.node.web.access.throttle import Throttle
from huying.node.web.store import ConsoleStore
from tests.support.console_people import CHEAP, PASSWORD
from tests.support.enrolled import make_node

COUNTY = "370830000000"
HERE = "10.0.0.1"
NOW = time.time()  # the commands have no other clock


class Result(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Result]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_node(tmp_path, COUNTY, name="汶上县")
    return tmp_path


@pytest.fixture
def user(folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr(getpass, "getuser", lambda: "jishu")
    monkeypatch.delenv("HUYING_ACTOR", raising=False)

    def run(*arguments: str, stdin: str = "") -> Result:
        monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        code = execute(app(), ["--config", str(folder / "node.toml"), "user", *arguments])
        return Result(code, *capsys.readouterr())

    return run


@pytest.fixture
def store(folder: Path) -> Any:
    """The console that runs at the same time."""
    opened = ConsoleStore.open(folder / "console")
    yield opened
    opened.close()


def add(user: Run, login: str, *more: str) -> Any:
    found = user("add", login, "--name", f"人{login}", "--role", "centre", *more, "--json")
    assert found.code == 0, found.err
    return found.json


def test_a_person_is_entered_with_a_password_for_one_time(user: Run, store: ConsoleStore) -> None:
    """The technician reads it out once; the person's own choice replaces it."""
    shown = user(
        *("add", "Zhang.San", "--name", "张三", "--role", "centre", "--role", "director"),
        *("--actor", "县-中心-1", "--area", "370830108000"),
    )
    assert shown.code == 0, shown.err
    password = next(line.split()[-1] for line in shown.out.splitlines() if "one-time" in line)
    assert "当面" in shown.err
    accounts = Accounts(store, CHEAP)
    person = accounts.check_password("zhang.san", password, NOW)
    assert person is not None
    assert (person.must_change, person.actor, person.area) == (True, "县-中心-1", "370830108000")
    (listed,) = user("list", "--json").json["users"]
    assert listed["roles"] == ["centre", "director"]
    assert password not in user("list").out + user("list", "--json").out


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("zhang", "--name", "张", "--role", "clerk"), "roles"),
        (("zhang", "--name", "张", "--role", "department"), "department"),
        (("zhang", "--name", "张", "--role", "centre", "--area", "370831000000"), "area"),
        (("z", "--name", "张", "--role", "centre"), "login"),
        (("zhang", "--name", "", "--role", "centre"), "name"),
        (("there", "--name", "张", "--role", "centre"), "login"),
    ],
)
def test_what_no_account_can_be_is_refused_and_nothing_written(
    user: Run, store: ConsoleStore, arguments: tuple[str, ...], named: str
) -> None:
    """A county has no town clerks; half an account is none."""
    add(user, "there")
    refused = user("add", *arguments)
    assert (refused.code, refused.out) == (2, "")
    assert f"{named}:" in refused.err
    assert Accounts(store, CHEAP).count() == 1


def test_a_lasting_password_comes_from_standard_input(user: Run, store: ConsoleStore) -> None:
    """An option would show it to everybody on the machine, and to the shell's history."""
    given = ("add", "zhang", "--name", "张", "--role", "admin", "--password-stdin")
    assert user(*given).code == 2
    weak = user(*given, stdin="password2026\n")
    assert (weak.code, "password2026" in weak.err) == (2, False)
    assert user(*given, stdin="汶上县汶上县汶上县2026\n").code == 2
    taken = user(*given, "--json", stdin=f"{PASSWORD}\r\n")
    assert taken.code == 0, taken.err
    assert "one_time_password" not in taken.json
    person = Accounts(store, CHEAP).check_password("zhang", PASSWORD, NOW)
    assert person is not None
    assert not person.must_change


def test_a_reset_ends_sessions_and_waits_and_drops_the_factor_when_asked(
    user: Run, store: ConsoleStore
) -> None:
    """The person stands at the counter without their handset and wants to work."""
    from huying.node.web.access.totp import SecondFactors
    from tests.unit.console.test_factor import confirmed

    add(user, "zhang")
    accounts, sessions = Accounts(store, CHEAP), Sessions(store)
    throttle, factors = Throttle(store), SecondFactors(store, "县", CHEAP)
    person = accounts.by_login("zhang")
    assert person is not None
    confirmed(factors, person)
    token = sessions.begin(person.id, NOW)
    while throttle.admit("zhang", HERE, NOW) == 0:
        pass
    password = user("reset", "ZHANG", "--json").json["one_time_password"]
    assert sessions.find(token, NOW) is None
    assert throttle.admit("zhang", HERE, NOW) == 0
    found = accounts.check_password("zhang", password, NOW)
    assert found is not None
    assert (found.must_change, found.has_second_factor) == (True, True)
    assert user("reset", "zhang", "--factor", "--json").json["second_factor"] is False
    assert accounts.check_password("zhang", password, NOW) is None


def test_a_disabled_person_is_out_at_once_and_may_come_back(user: Run, store: ConsoleStore) -> None:
    """Also the last administrator, here: a stolen account must be stopped by whoever can."""
    found = add(user, "zhang", "--role", "admin")
    sessions, accounts = Sessions(store), Accounts(store, CHEAP)
    person = accounts.by_login("zhang")
    assert person is not None
    token = sessions.begin(person.id, NOW)
    disabled = user("disable", "zhang")
    assert disabled.code == 0
    assert "no account administrator is left" in disabled.err
    assert sessions.find(token, NOW) is None
    assert accounts.check_password("zhang", found["one_time_password"], NOW) is None
    assert "disabled" in user("list").out
    assert user("enable", "zhang").code == 0
    assert accounts.check_password("zhang", found["one_time_password"], NOW) is not None


@pytest.mark.parametrize("command", ["reset", "disable", "enable"])
def test_nobody_of_that_name_is_not_found(user: Run, command: str) -> None:
    """A typo must not say that it worked."""
    refused = user(command, "nobody")
    assert (refused.code, refused.out) == (5, "")
    assert "NOT_FOUND" in refused.err


def test_every_deed_is_in_the_trail_under_the_systems_user(user: Run, store: ConsoleStore) -> None:
    """Whoever has the machine has the accounts; who it was must be there to read."""
    first = add(user, "zhang")["one_time_password"]
    second = user("reset", "zhang", "--factor", "--json").json["one_time_password"]
    user("disable", "zhang")
    user("enable", "zhang")
    rows = Audit(store).page()
    assert [row.action for row in reversed(rows)] == [
        "account-add", "account-reset", "account-disable", "account-enable"
    ]  # fmt: skip
    assert {row.actor for row in rows} == {"cli:jishu"}
    assert {row.object_ for row in rows} == {"account:zhang"}
    assert not any(word in str(rows) for word in (first, second))


def test_the_trail_is_verified_and_a_broken_one_exits_with_four(
    user: Run, store: ConsoleStore
) -> None:
    """A nightly script can watch the trail, with the row that was noted on paper."""
    from tests.unit.console.test_audit import tamper

    for login in ("one", "two", "three"):
        add(user, login)
    found = user("audit", "--json").json
    assert (found["holds"], found["last"]) == (True, 3)
    noted = f"{found['last']}:{found['head']}"
    assert noted in user("audit").out
    assert user("audit", "--noted", noted).code == 0
    assert user("audit", "--noted", f"3:{'0' * 64}").code == 4
    assert user("audit", "--noted", "three").code == 2
    tamper(store, "UPDATE audit SET actor = 'cli:somebody' WHERE number = 2")
    broken = user("audit", "--json")
    assert (broken.code, broken.json["broken_at"]) == (4, 2)


def test_a_damaged_file_is_named_by_the_command(user: Run, folder: Path) -> None:
    """The technician comes here when the pages say that something is wrong."""
    add(user, "zhang")
    (folder / "console/console.db").write_bytes(b"x" * 8192)
    refused = user("list")
    assert refused.code == 4
    assert "console.db" in refused.err


def test_nobody_yet_says_what_to_do(user: Run) -> None:
    """The first thing that a newcomer types."""
    shown = user("list")
    assert (shown.code, shown.out) == (0, "")
    assert "huying user add" in shown.err


def test_the_help_names_every_role(user: Run) -> None:
    """Who enters the first clerk has no other list at hand."""
    told = user("add", "--help").out
    assert [role.value for role in Role if role.value not in told] == []
