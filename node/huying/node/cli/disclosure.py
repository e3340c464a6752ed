"""`huying disclosure …`: 数据提供申请, asking for a field that stays at home, and giving it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from huying.common.errors import Code, HuyingError
from huying.node.cli import context
from huying.node.cli.context import JsonOption
from huying.node.cli.typed import parse_page, parse_time

if TYPE_CHECKING:
    from collections.abc import Iterator

    from huying.node.desk import Topic

__all__ = ["group", "parse_until"]

_SECONDS: Final = {"m": 60, "h": 3600, "d": 86400}
_LASTS: Final = re.compile(r"([1-9][0-9]{0,4})([mhd])")

_IdArgument = Annotated[
    str, typer.Argument(metavar="ID", help="申请编号 · The request's id, hex or UUID.")
]
_ActorOption = Annotated[
    str,
    typer.Option(
        envvar=context.ACTOR_VARIABLE,
        help="经办人代号,默认登录名 · Who acts, written down; the login name by default.",
    ),
]
_DepartmentOption = Annotated[
    str,
    typer.Option(help="部门;本节点只有一个时可省 · May be left out where there is just one."),
]
_TextOption = Annotated[str, typer.Option(metavar="TEXT", help="说明 · What to add.")]


def group() -> typer.Typer:
    """The group of commands."""
    made = typer.Typer(
        no_args_is_help=True,
        help="数据提供申请:申请、同意、拒绝、查看 · Ask for a field that stays at home.",
    )
    made.command()(request)
    made.command()(approve)
    made.command()(deny)
    made.command()(withdraw)
    made.command(name="list")(list_)
    made.command()(show)
    made.command(name="open")(open_)
    made.command()(ledger)
    return made


def request(
    ctx: typer.Context,
    entry: Annotated[
        str,
        typer.Argument(
            metavar="ENTRY", help="ORIGIN#序号,或记录编号 · ORIGIN#INDEX, or a record id."
        ),
    ],
    field: Annotated[list[str], typer.Option(metavar="NAME", help="字段,可多次 · Repeatable.")],
    purpose: Annotated[str, typer.Option(metavar="TEXT", help="用途 · What for.")],
    expires: Annotated[
        str,
        typer.Option(
            metavar="TIME",
            help="期限:2d、6h,或时刻,至多 30 天 · 2d, 6h, or a time; 30 days at most.",
        ),
    ],
    department: _DepartmentOption = "",
    call: Annotated[str, typer.Option(metavar="ID", help="所办的呼叫 · The call it is for.")] = "",
    actor: _ActorOption = "",
    *,
    as_json: JsonOption = False,
) -> None:
    """申请查看下级保留的字段 · Ask the home of an entry for fields that are withheld here.

    The request travels to the home; `disclosure list` shows what became of it.
    """
    from huying.node.cli.disclosure_text import print_view
    from huying.wire.v1 import calls_pb2, provision_pb2

    until_micros, lasts_micros = parse_until(expires)
    origin, separator, index = entry.rpartition("#")
    if separator and not (index.isascii() and index.isdigit() and len(index) < 16):
        raise HuyingError(Code.INVALID_ARGUMENT, "ENTRY: ORIGIN#INDEX, or a record id")
    asked = provision_pb2.RequestProvisionRequest(
        entry=calls_pb2.EntryRef(origin=origin, index=int(index)) if separator else None,
        record=b"" if separator else context.parse_hex(entry, "ENTRY"),
        fields=field,
        purpose=purpose,
        department=department or _only_department(ctx),
        actor=context.acting(actor),
        expires_micros=until_micros,
        lasts_micros=lasts_micros,
        call=context.parse_hex(call, "--call") if call else b"",
    )
    print_view(_ask(ctx, "RequestProvision", asked), as_json=as_json)


def approve(
    ctx: typer.Context,
    record: _IdArgument,
    text: _TextOption = "",
    actor: _ActorOption = "",
    *,
    as_json: JsonOption = False,
) -> None:
    """同意提供 · Give what is asked for, sealed to the department alone, until the time is over."""
    from huying.wire.v1 import provision_pb2

    approved = provision_pb2.PROVISION_VERDICT_APPROVED
    _decide(ctx, record, {"verdict": approved, "text": text, "actor": actor}, as_json=as_json)


def deny(
    ctx: typer.Context,
    record: _IdArgument,
    reason: Annotated[
        str,
        typer.Option(
            help="理由 · not_needed, wrong_person, consent_refused, not_held, not_entitled, other."
        ),
    ] = "other",
    text: _TextOption = "",
    actor: _ActorOption = "",
    *,
    as_json: JsonOption = False,
) -> None:
    """拒绝提供 · Give nothing, and say why."""
    from huying.wire.v1 import provision_pb2

    reasons = {
        value.name.removeprefix("DENIAL_REASON_").lower(): value.number
        for value in provision_pb2.DenialReason.DESCRIPTOR.values
        if value.number
    }
    if reason not in reasons:
        raise HuyingError(Code.INVALID_ARGUMENT, f"--reason: one of {', '.join(reasons)}")
    denied = provision_pb2.PROVISION_VERDICT_DENIED
    given = {"verdict": denied, "reason": reasons[reason], "text": text, "actor": actor}
    _decide(ctx, record, given, as_json=as_json)


def _decide(ctx: typer.Context, record: str, given: dict[str, Any], *, as_json: bool) -> None:
    from huying.node.cli.disclosure_text import print_view
    from huying.wire.v1 import provision_pb2

    given["actor"] = context.acting(given["actor"])
    decided = provision_pb2.DecideProvisionRequest(record=context.parse_hex(record, "ID"), **given)
    print_view(_ask(ctx, "DecideProvision", decided), as_json=as_json)


def withdraw(
    ctx: typer.Context,
    record: _IdArgument,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="理由 · Why.")] = "",
    actor: _ActorOption = "",
    *,
    as_json: JsonOption = False,
) -> None:
    """撤回同意 · Take an approval back; what was sealed is erased everywhere."""
    from huying.node.cli.disclosure_text import print_view
    from huying.wire.v1 import provision_pb2

    taken = provision_pb2.WithdrawProvisionRequest(
        record=context.parse_hex(record, "ID"), text=reason, actor=context.acting(actor)
    )
    print_view(_ask(ctx, "WithdrawProvision", taken), as_json=as_json)


def list_(
    ctx: typer.Context,
    waiting: Annotated[bool, typer.Option("--waiting", help="未决定的 · Not decided yet.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="条数 · How many.")] = 100,
    page: Annotated[
        str, typer.Option(metavar="TOKEN", help="上一页给出的续页标记 · From the page before.")
    ] = "",
    *,
    as_json: JsonOption = False,
) -> None:
    """列出申请:谁要什么、做什么用、用多久 · Who asks for what, what for, for how long."""
    from huying.node.cli.disclosure_text import print_list
    from huying.wire.v1 import provision_pb2

    token = parse_page(page)
    asked = provision_pb2.ListProvisionsRequest(waiting=waiting, limit=limit, page_token=token)
    print_list(_ask(ctx, "ListProvisions", asked), as_json=as_json)


def show(ctx: typer.Context, record: _IdArgument, *, as_json: JsonOption = False) -> None:
    """查看一件申请;在提供方还显示是谁的数据 · One request; at the home, also whose data it is."""
    from huying.node.cli.disclosure_text import print_view
    from huying.wire.v1 import provision_pb2

    asked = provision_pb2.ShowProvisionRequest(record=context.parse_hex(record, "ID"))
    print_view(_ask(ctx, "ShowProvision", asked), as_json=as_json)


def open_(
    ctx: typer.Context,
    record: _IdArgument,
    department: _DepartmentOption = "",
    actor: _ActorOption = "",
    *,
    as_json: JsonOption = False,
) -> None:
    """查看获准提供的内容,先留痕再显示 · Look at what was given; the look is written down first.

    The value is printed and kept nowhere. Every look is told to the home.
    """
    from huying.node.cli.disclosure_text import print_opened
    from huying.wire.v1 import provision_pb2

    asked = provision_pb2.OpenProvisionRequest(
        record=context.parse_hex(record, "ID"),
        department=department or _only_department(ctx),
        actor=context.acting(actor),
    )
    print_opened(_ask(ctx, "OpenProvision", asked), as_json=as_json)


def ledger(
    ctx: typer.Context,
    since: Annotated[
        str, typer.Option(metavar="TIME", help="自何时起,如 2026-01-01 · From when on; all.")
    ] = "",
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="存为 .csv 或 .xlsx · Write a file."),
    ] = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """提供台账:申请、决定、查看、销毁,留存三年 · Every provision, kept for three years."""
    from huying.node.cli.disclosure_text import print_ledger

    print_ledger(_pages(ctx, parse_time(since, "--since") if since else 0), output, as_json=as_json)


def _pages(ctx: typer.Context, since_micros: int) -> Iterator[Any]:
    from huying.common.limits import LIST_ENTRIES_MAX
    from huying.wire.v1 import provision_pb2

    token = b""
    while True:
        asked = provision_pb2.ListProvisionsRequest(
            since_micros=since_micros, limit=LIST_ENTRIES_MAX, page_token=token
        )
        page = _ask(ctx, "ListProvisions", asked)
        yield from page.provisions
        token = page.next_page_token
        if not token:
            return


def parse_until(text: str) -> tuple[int, int]:
    """(unix microseconds, 0) of a time, or (0, microseconds from now) of 2d, 6h or 30m.

    Raises HuyingError(INVALID_ARGUMENT).
    """
    if found := _LASTS.fullmatch(text):
        return 0, int(found[1]) * _SECONDS[found[2]] * 1_000_000
    return parse_time(text, "--expires", ", or 2d, 6h, 30m"), 0


def _only_department(ctx: typer.Context) -> str:
    """The node's one department that has a key here. Raises HuyingError(INVALID_ARGUMENT)."""
    from huying.node.cli.department import departments

    names = [one.name for one in departments(ctx) if one.key_here]
    if len(names) != 1:
        what = f"one of {len(names)}" if names else "none is here: huying department add NAME"
        raise HuyingError(Code.INVALID_ARGUMENT, f"--department: name it; {what}")
    return str(names[0])


def _ask(ctx: typer.Context, method: str, asked: Any) -> Any:
    from huying.node.cli.administer import ask_desk

    return ask_desk(ctx, _topic(), method, asked)


def _topic() -> Topic:
    from huying.node.desk import NODE_TOPICS

    return next(topic for topic in NODE_TOPICS if topic.name == "Provisions")
