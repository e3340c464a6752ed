"""`huying user`: the people of the console, whether the node and its pages run or not.

The commands write console.db themselves. Whoever runs them may read the node's keys, so they ask
for no password; the audit trail names the system's user.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from huying.common.errors import Code, HuyingError
from huying.node.cli import context
from huying.node.cli.context import JsonOption

if TYPE_CHECKING:
    from huying.node.config import Config
    from huying.node.web.access.accounts import Accounts
    from huying.node.web.access.audit import Audit
    from huying.node.web.access.people import Person
    from huying.node.web.store import ConsoleStore

__all__ = ["group"]

_LoginArgument = Annotated[
    str, typer.Argument(metavar="LOGIN", help="登录名 · What the person signs in with.")
]
_PasswordOption = Annotated[
    bool,
    typer.Option(
        "--password-stdin",
        help="从标准输入读取密码,一行 · Read a lasting password, one line, from standard input.",
    ),
]


def group() -> typer.Typer:
    """The commands."""
    made = typer.Typer(no_args_is_help=True, help="网页控制台的账号 · The people of the console.")
    made.command()(add)
    made.command(name="list")(list_)
    made.command()(reset)
    made.command()(disable)
    made.command()(enable)
    made.command()(audit)
    return made


def add(
    ctx: typer.Context,
    login: _LoginArgument,
    name: Annotated[str, typer.Option(help="姓名 · The person's name.")],
    role: Annotated[
        list[str],
        typer.Option(
            help="角色,可多次 · A role; may be given several times. 县 county: centre, department,"
            " director; 镇 town: clerk, principal; 村 village: worker, village_clerk; 各级 any:"
            " technician, admin."
        ),
    ],
    department: Annotated[str, typer.Option(help="所属部门 · The department they act for.")] = "",
    area: Annotated[
        str, typer.Option(help="限于此区划或网格 · Limit them to a division or a grid.")
    ] = "",
    actor: Annotated[
        str, typer.Option(help="写入数据流的代号 · The pseudonym that stands in the feed.")
    ] = "",
    language: Annotated[
        str, typer.Option(help="网页语言 · The language of the pages: zh, en.")
    ] = "zh",
    *,
    password_stdin: _PasswordOption = False,
    as_json: JsonOption = False,
) -> None:
    """新增账号,显示一次性密码 · Enter a person; a one-time password is shown once.

    Hand it over in person. It works for three days, and must be changed at the first sign-in.
    """
    from huying.common.codes import level
    from huying.node.web.access.people import check_area
    from huying.node.web.access.roles import parse_roles

    with _opened(ctx) as console:
        code = console.config.node.code
        roles = parse_roles(role, level(code))
        password, one_time = _password(asked=password_stdin)
        person = console.accounts.add(
            login=login,
            name=name,
            roles=roles,
            department=department,
            area=check_area(area, code),
            actor=actor,
            language=language,
            password=password,
            one_time=one_time,
            now=time.time(),
        )
        roles_text = ",".join(one.value for one in roles)
        console.note("account-add", person, f"roles {roles_text}")
    _show(person, password if one_time else "", as_json=as_json)


def list_(ctx: typer.Context, *, as_json: JsonOption = False) -> None:
    """列出账号 · List the accounts."""
    from huying.node.cli.output import print_json, print_note, print_table

    with _opened(ctx) as console:
        people = console.accounts.list()
        logins = console.accounts.last_logins()
    found = [_document(one) | {"last_sign_in": _utc(logins[one.id])} for one in people]
    if as_json:
        print_json({"users": found})
        return
    if not found:
        print_note("还没有账号", "nobody has an account: huying user add, or huying console link")
        return
    print_table(
        (
            "=登录名 · login",
            "姓名 · name",
            "角色 · roles",
            "范围 · limited to",
            "=代号 · actor",
            "状态 · state",
            "最近登录 · last sign-in",
        ),
        [
            (
                one["login"],
                one["name"],
                ", ".join(one["roles"]),
                " ".join(filter(None, (one["department"], one["area"]))) or "—",
                one["actor"],
                _state(one),
                one["last_sign_in"] or "—",
            )
            for one in found
        ],
    )


def reset(
    ctx: typer.Context,
    login: _LoginArgument,
    *,
    factor: Annotated[
        bool, typer.Option("--factor", help="并去掉第二因素 · Take the second factor away too.")
    ] = False,
    password_stdin: _PasswordOption = False,
    as_json: JsonOption = False,
) -> None:
    """重置密码并注销全部会话 · Give a new one-time password, and end every session.

    Waits after wrong passwords are forgotten too.
    """
    from huying.node.web.access.passwords import Hashing
    from huying.node.web.access.throttle import Throttle
    from huying.node.web.access.totp import SecondFactors

    with _opened(ctx) as console:
        person = console.find(login)
        password, one_time = _password(asked=password_stdin)
        console.accounts.set_password(person.id, password, time.time(), one_time=one_time)
        if factor:
            SecondFactors(console.store, "", Hashing()).drop(person.id, time.time())
        Throttle(console.store).forget(person.login, person.id)
        console.note("account-reset", person, "second factor dropped" if factor else "")
        person = console.find(login)
    _show(person, password if one_time else "", as_json=as_json)


def disable(ctx: typer.Context, login: _LoginArgument, *, as_json: JsonOption = False) -> None:
    """停用账号并注销其会话 · Let a person sign in no more, and end their sessions."""
    from huying.node.cli.output import print_note
    from huying.node.web.access.roles import Permission

    with _opened(ctx) as console:
        person = console.find(login)
        console.accounts.disable(person.id, time.time(), keep_admin=False)
        console.note("account-disable", person)
        left = [one for one in console.accounts.list() if not one.disabled]
        person = console.find(login)
    _show(person, "", as_json=as_json)
    if not any(Permission.PEOPLE in one.permissions for one in left):
        print_note("已无可用的账号管理员", "no account administrator is left: huying user add")


def enable(ctx: typer.Context, login: _LoginArgument, *, as_json: JsonOption = False) -> None:
    """恢复账号 · Let a person sign in again, with the password they had."""
    with _opened(ctx) as console:
        person = console.find(login)
        console.accounts.enable(person.id, time.time())
        console.note("account-enable", person)
        person = console.find(login)
    _show(person, "", as_json=as_json)


def audit(
    ctx: typer.Context,
    noted: Annotated[
        str,
        typer.Option(
            metavar="NUMBER:HASH", help="与记下的一行比对 · Compare with a row that was noted."
        ),
    ] = "",
    *,
    as_json: JsonOption = False,
) -> None:
    """复核审计记录的哈希链 · Compute the chain of the audit trail anew.

    Note the number and the hash that it prints: they prove later that nobody rewrote the rows.
    """
    from huying.node.cli.output import print_json, print_pairs

    with _opened(ctx) as console:
        check = console.audit.verify(_parse_noted(noted))
    found = {
        "holds": check.holds,
        "first": check.first,
        "last": check.last,
        "head": check.head,
        "broken_at": check.broken_at or None,
        "why": check.why,
    }
    if as_json:
        print_json(found)
    else:
        print_pairs(
            [
                ("记录 · rows", f"{check.first} – {check.last}"),
                ("最新一行的哈希 · newest hash", f"{check.last}:{check.head}"),
                ("结论 · the chain", "完整 holds" if check.holds else "已断 broken"),
            ]
        )
    if not check.holds:
        raise HuyingError(Code.CORRUPT, f"the audit trail, row {check.broken_at}: {check.why}")


@dataclass(frozen=True, slots=True)
class _Console:
    config: Config
    store: ConsoleStore
    accounts: Accounts
    audit: Audit

    def find(self, login: str) -> Person:
        person = self.accounts.by_login(login)
        if person is None:
            raise HuyingError(Code.NOT_FOUND, "no account has that login: huying user list")
        return person

    def note(self, action: str, person: Person, detail: str = "") -> None:
        actor = f"cli:{context.acting('')}"
        self.audit.write(time.time(), actor, action, f"account:{person.login}", detail=detail)


@contextlib.contextmanager
def _opened(ctx: typer.Context) -> Iterator[_Console]:
    from huying.node.web.access.accounts import Accounts
    from huying.node.web.access.audit import Audit
    from huying.node.web.access.password_rules import place_words
    from huying.node.web.store import ConsoleStore

    config = context.config(ctx)
    store = ConsoleStore.open(config.console_dir)
    try:
        accounts = Accounts(store, words=place_words(config.node))
        yield _Console(config, store, accounts, Audit(store))
    finally:
        store.close()


def _password(*, asked: bool) -> tuple[str, bool]:
    """The password, and whether it is worth one time. Raises HuyingError(INVALID_ARGUMENT)."""
    from huying.node.web.access.passwords import draw_password

    if not asked:
        return draw_password(), True
    line = sys.stdin.readline().rstrip("\r\n")
    if not line:
        raise HuyingError(Code.INVALID_ARGUMENT, "--password-stdin: one line, not empty")
    return line, False


def _parse_noted(text: str) -> tuple[int, str] | None:
    if not text:
        return None
    number, _, digits = text.partition(":")
    if not number.isascii() or not number.isdecimal() or len(number) > 18:
        raise HuyingError(Code.INVALID_ARGUMENT, "--noted: a row's number, a colon, its hash")
    return int(number), context.parse_hex(digits, "--noted", 32).hex()


def _show(person: Person, password: str, *, as_json: bool) -> None:
    from huying.node.cli.output import print_json, print_note, print_pairs

    found = _document(person)
    if as_json:
        print_json(found | ({"one_time_password": password} if password else {}))
        return
    pairs = [
        ("登录名 · login", found["login"]),
        ("姓名 · name", found["name"]),
        ("角色 · roles", ", ".join(found["roles"])),
        ("范围 · limited to", " ".join(filter(None, (person.department, person.area))) or "—"),
        ("代号 · actor", found["actor"]),
        ("状态 · state", _state(found)),
    ]
    if password:
        pairs.append(("一次性密码 · one-time password", password))
    print_pairs(pairs)
    if password:
        print_note(
            "请当面交给本人;三天内有效,首次登录须更改,此处不再显示",
            "hand it over in person: valid for three days, changed at the first sign-in, not shown"
            " again",
        )


def _document(person: Person) -> dict[str, Any]:
    return {
        "login": person.login,
        "name": person.name,
        "roles": [role.value for role in person.roles],
        "department": person.department,
        "area": person.area,
        "actor": person.actor,
        "language": person.language,
        "disabled": person.disabled,
        "must_change": person.must_change,
        "second_factor": person.has_second_factor,
    }


def _state(found: dict[str, Any]) -> str:
    if found["disabled"]:
        return "已停用 disabled"
    words = ["可用 active"]
    if found["must_change"]:
        words.append("待改密码 to change the password")
    if found["second_factor"]:
        words.append("双因素 two factors")
    return ", ".join(words)


def _utc(seconds: float) -> str:
    from datetime import UTC, datetime

    if not seconds:
        return ""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
