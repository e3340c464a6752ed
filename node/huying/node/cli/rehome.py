"""`huying rehome`: move this node under another parent."""

from __future__ import annotations

from typing import Annotated

import typer

from huying.node.cli import context
from huying.node.cli.context import JsonOption

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(rehome)


def rehome(
    ctx: typer.Context,
    token: Annotated[
        str,
        typer.Argument(
            metavar="TOKEN", help="新上级发的令牌;- 从标准输入读 · The new parent's; - reads stdin."
        ),
    ],
    *,
    as_json: JsonOption = False,
) -> None:
    """换上级,密钥与数据流不变 · Move under another parent; keys and feed stay as they are.

    The new parent issues a token for this node's code: roster invite. A node that runs goes on
    with its old parent until it is started again.
    """
    from huying.node.cli.join import read_token, say_waiting
    from huying.node.cli.output import division, print_json, print_note, print_pairs
    from huying.node.membership import rehoming
    from huying.node.transport.knock import knock

    config = context.config(ctx)
    _, parsed = read_token(token)
    request = rehoming.rehome_request(config, parsed)
    addresses = [one for one in (parsed.address, parsed.fallback_address) if one]
    sha256 = parsed.parent.certificate_sha256
    answer = knock(addresses, sha256, parsed.parent.code, request)
    moved = rehoming.rehome(config, parsed, request, answer)
    shown = {
        "code": config.node.code,
        "parent": moved.parent.code,
        "parent_before": moved.before or None,
        "state": moved.state,
        "roster_index": moved.roster_index,
        "root_changed": moved.root_changed,
    }
    if as_json:
        print_json(shown)
    else:
        print_pairs(
            [
                ("节点 · node", division(config.node.name, config.node.code)),
                ("原上级 · parent before", moved.before or "—"),
                ("新上级 · parent now", division(moved.parent.name, moved.parent.code)),
                ("状态 · state", moved.state),
            ]
        )
    if moved.root_changed:
        print_note(
            "根节点的公钥与以前不同,已按令牌更新",
            "the root's key is another than before; the token's was taken",
        )
    print_note("重新启动节点后生效", "takes effect when the node is started again")
    say_waiting(config.node.code, moved.state)
