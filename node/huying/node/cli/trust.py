"""Changing keys, and ending them: what `huying key` and `huying roster` offer for it."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from huying.node.cli.context import JsonOption

if TYPE_CHECKING:
    from huying.wire.v1 import admin_pb2

__all__ = ["ROSTER_COMMANDS", "rotate"]

CodeArgument = Annotated[str, typer.Argument(help="区划代码 · The division's code.")]
ReasonOption = Annotated[
    str, typer.Option("--reason", metavar="TEXT", help="原因,写入数据流 · Why; it is signed.")
]


class KeyName(enum.StrEnum):
    """What a key is for."""

    FEED = "feed"
    TLS = "tls"
    DISCLOSURE = "disclosure"


def rotate(
    ctx: typer.Context,
    use: Annotated[
        KeyName, typer.Argument(help="数据流、链路或封装的密钥 · Which key is to be replaced.")
    ],
    *,
    as_json: JsonOption = False,
) -> None:
    """更换密钥:离线也可以 · Replace a key of this node; works offline.

    A feed key ends its epoch: the feed is closed and goes on as the next epoch, at once. A TLS or
    disclosure key is announced; "waiting" until the neighbours have taken it over.
    """
    from huying.node.cli.administer import administer
    from huying.node.cli.output import print_json, print_note, print_pairs
    from huying.wire.v1 import admin_pb2

    number = {
        KeyName.FEED: admin_pb2.KEY_USE_FEED,
        KeyName.TLS: admin_pb2.KEY_USE_TLS,
        KeyName.DISCLOSURE: admin_pb2.KEY_USE_DISCLOSURE,
    }[use]
    done = administer(ctx, "RotateKey", admin_pb2.RotateKeyRequest(use=number))
    if as_json:
        print_json(
            {
                "key": use.value,
                "state": done.state,
                "origin": done.origin,
                "closed_origin": done.closed_origin or None,
                "closed_size": done.closed_size if done.closed_origin else None,
            }
        )
        return
    shown: list[tuple[str, Any]] = [
        ("密钥 · key", use.value),
        ("状态 · state", done.state),
        ("数据流 · feed", done.origin),
    ]
    if done.closed_origin:
        shown.append(("已结束 · closed", f"{done.closed_origin} ({done.closed_size})"))
    print_pairs(shown)
    if done.state == "waiting":
        print_note(
            "上下级接受后自动启用;用 huying roster list 查看",
            "it comes into use by itself once parent and children have taken it over",
        )


def revoke(
    ctx: typer.Context, code: CodeArgument, reason: ReasonOption, *, as_json: JsonOption = False
) -> None:
    """吊销下级的密钥,链路立即中断 · End a child's key where this node stands with it.

    Entries that are held here stand, later ones are refused everywhere; the child's link ends now.
    """
    from huying.wire.v1 import admin_pb2

    request = admin_pb2.RevokeRequest(code=code, reason=reason)
    _show(ctx, "Revoke", request, code, as_json)


def confirm(
    ctx: typer.Context, code: CodeArgument, reason: ReasonOption, *, as_json: JsonOption = False
) -> None:
    """确认下级登记的新密钥 · Confirm a key that a node below enrolled without the old key's word.

    Telephone first: whoever holds the new key writes in the name of CODE from now on.
    """
    from huying.wire.v1 import admin_pb2

    request = admin_pb2.ConfirmRequest(code=code, reason=reason)
    _show(ctx, "Confirm", request, code, as_json)


def accept(ctx: typer.Context, code: CodeArgument, *, as_json: JsonOption = False) -> None:
    """接受下级声明的新纪元 · Accept the epoch that a child claims after a loss or a fork.

    Ask the child's operator first whether it was begun there.
    """
    from huying.wire.v1 import admin_pb2

    _show(ctx, "Accept", admin_pb2.AcceptRequest(code=code), code, as_json)


def stranded(
    ctx: typer.Context,
    *,
    reenter: Annotated[
        bool, typer.Option("--reenter", help="在本纪元重新写入 · Write them again, once each.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """列出吊销点之后的条目 · Entries behind a revocation: refused elsewhere, held here."""
    from huying.node.api.types import type_name
    from huying.node.cli.administer import administer
    from huying.node.cli.output import print_json, print_table
    from huying.wire.v1 import admin_pb2

    found = administer(ctx, "ListStranded", admin_pb2.ListStrandedRequest(reenter=reenter))
    entries = [
        (one.origin, one.index, type_name(one.type), one.record.hex(), one.reentered)
        for one in found.entries
    ]
    if as_json:
        fields = ("origin", "index", "type", "record", "reentered")
        print_json({"entries": [dict(zip(fields, one, strict=True)) for one in entries]})
        return
    headings = (
        "数据流 · feed",
        ">序号 · index",
        "类型 · type",
        "=记录 · record",
        "已重写 · re-entered",
    )
    print_table(headings, [(*one[:-1], "是 yes" if one[-1] else "") for one in entries])


ROSTER_COMMANDS: Final[tuple[Callable[..., None], ...]] = (revoke, confirm, accept, stranded)


def _show(ctx: typer.Context, method: str, request: Any, code: str, as_json: bool) -> None:
    """Carry out a request, and say where its entry stands."""
    from huying.node.cli.administer import administer
    from huying.node.cli.output import print_json, print_pairs

    done: admin_pb2.OperationResponse = administer(ctx, method, request)
    if as_json:
        print_json({"code": code, "state": done.state, "origin": done.origin, "index": done.index})
        return
    print_pairs(
        [
            ("节点 · node", code),
            ("状态 · state", done.state),
            ("条目 · entry", f"{done.origin} #{done.index}"),
        ]
    )
