"""`huying roster`: who belongs to the network, who is invited, who is let in by file."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from huying.common.errors import Code, HuyingError
from huying.node.cli import context, trust
from huying.node.cli.context import JsonOption

__all__ = ["group"]


def group() -> typer.Typer:
    """The commands."""
    app = typer.Typer(help="名册与邀请 · The roster, and invitations.", no_args_is_help=True)
    app.command()(invite)
    app.command(name="list")(list_)
    app.command()(enrol)
    for command in trust.ROSTER_COMMANDS:
        app.command()(command)
    return app


def invite(
    ctx: typer.Context,
    code: Annotated[str, typer.Argument(help="下级的区划代码 · The child's division code.")],
    name: Annotated[str, typer.Option(help="下级的名称 · What it is called.")] = "",
    hours: Annotated[float, typer.Option(help="有效小时数,至多 24 · Hours until it expires.")] = 24,
    fallback: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="备用地址 · Another address of this node.")
    ] = "",
    *,
    as_json: JsonOption = False,
) -> None:
    """签发加入令牌:一次有效 · Issue a join token: for one node, once, at most 24 hours.

    Whoever holds the token can enrol as that node: hand it over as you would a password.
    """
    from huying.node.cli.output import division, print_json, print_note, print_pairs
    from huying.node.membership.invites import InviteFolder, issue
    from huying.node.membership.offers import make_offer

    config = context.config(ctx)
    offer = make_offer(config, code, name, fallback)
    text, kept = issue(InviteFolder(config.invites_dir), offer, hours, time.time())
    expires = datetime.fromtimestamp(kept.expires_seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if as_json:
        print_json({"token": text, "expires": expires, "code": code, "name": kept.name})
        return
    print_pairs(
        [
            ("节点 · node", division(kept.name, kept.code)),
            ("有效至 · expires", expires),
            ("令牌 · token", text),
        ]
    )
    if not offer.address:
        print_note(
            "本节点没有 [sync] listen,只能用文件加入",
            "this node has no [sync] listen, so the child can join by file alone",
        )


def list_(ctx: typer.Context, *, as_json: JsonOption = False) -> None:
    """列出成员、邀请与被拒的尝试 · Members, invitations, refused attempts."""
    from huying.node.cli.administer import administer
    from huying.node.cli.output import print_json, print_pairs, print_table
    from huying.wire.v1 import admin_pb2

    found = administer(ctx, "ShowRoster", admin_pb2.ShowRosterRequest())
    if as_json:
        print_json(_document(found))
        return
    print_table(
        (
            "=代码 · code",
            "名称 · name",
            ">期 · epoch",
            "关系 · relation",
            "状态 · state",
            "说明 · detail",
        ),
        [(m.code, m.name, m.epoch, m.relation, m.state, m.detail) for m in found.members],
    )
    if found.invites:
        print_table(
            ("=代码 · code", "名称 · name", "状态 · state", "有效至 · expires", ">被拒 · refused"),
            [(i.code, i.name, i.state, _utc(i.expires_seconds), i.failures) for i in found.invites],
        )
    print_pairs([("启动以来被拒的加入 · joins refused since the start", found.refused_attempts)])


def enrol(
    ctx: typer.Context,
    request: Annotated[Path, typer.Argument(help="下级的申请文件 · The child's request.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="回执文件 · The response.")
    ],
    *,
    as_json: JsonOption = False,
) -> None:
    """按文件登记下级 · Enrol a child whose request came as a file.

    The request must have been made with a token that was issued here.
    """
    from huying.common.limits import ENROL_BYTES_MAX
    from huying.common.membership.join_request import parse_request, parse_response
    from huying.node.cli.administer import administer
    from huying.node.cli.join import say_waiting
    from huying.node.cli.output import print_json, print_pairs
    from huying.wire.v1 import admin_pb2

    try:
        with request.open("rb") as file:
            data = file.read(ENROL_BYTES_MAX + 1)
    except OSError as error:
        raise HuyingError(Code.INVALID_ARGUMENT, f"{request}: {error.strerror}") from None
    answer = administer(ctx, "EnrolByFile", admin_pb2.EnrolByFileRequest(request=data))
    output.write_bytes(answer.response)
    code, response = parse_request(data).code, parse_response(answer.response)
    shown = {
        "code": code,
        "state": response.state,
        "roster_index": response.roster_index,
        "response": str(output),
    }
    if as_json:
        print_json(shown)
    else:
        print_pairs(
            [
                ("节点 · node", code),
                ("状态 · state", response.state),
                ("回执 · response", str(output)),
            ]
        )
    say_waiting(code, response.state)


def _document(found: Any) -> dict[str, Any]:
    return {
        "members": [
            {
                "code": m.code,
                "name": m.name,
                "origin": m.origin,
                "epoch": m.epoch,
                "relation": m.relation,
                "state": m.state,
                "verifier_key": m.feed_key,
                "witness_key": m.witness_key,
                "certificate_expires": _utc(m.certificate_expires_seconds) or None,
                "closed_size": m.closed_size or None,
                "detail": m.detail,
            }
            for m in found.members
        ],
        "invites": [
            {
                "code": i.code,
                "name": i.name,
                "expires": _utc(i.expires_seconds),
                "state": i.state,
                "refused": i.failures,
            }
            for i in found.invites
        ],
        "refused_attempts": found.refused_attempts,
    }


def _utc(seconds: float) -> str:
    if not seconds:
        return ""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
