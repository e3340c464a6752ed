"""`huying key`: the node's keys, and the key that its operator takes away."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from huying.node.cli import context, trust
from huying.node.cli.context import JsonOption

__all__ = ["group"]


def group() -> typer.Typer:
    """The commands."""
    app = typer.Typer(help="密钥 · Keys.", no_args_is_help=True)
    app.command()(recovery)
    app.command()(trust.rotate)
    app.command()(token)
    return app


def recovery(
    ctx: typer.Context,
    file: Annotated[
        Path,
        typer.Option("--to", metavar="FILE", help="私钥写到哪里 · Where its private half goes."),
    ] = Path("huying-recovery.key"),
    replace: Annotated[
        bool,
        typer.Option("--replace", help="换一把新的 · Make another in place of the present one."),
    ] = False,
    *,
    as_json: JsonOption = False,
) -> None:
    """新建恢复密钥,开启密封副本 · Make a recovery key, and switch the sealed copies on.

    From its next start the node seals what its parent may not read to this key, and leaves it with
    the parent, who can't open it. Take the file away from this machine: whoever has it can open the
    copies, and without it nobody can.
    """
    from huying.node.backups import recovery_key
    from huying.node.cli.output import print_json, print_note, print_pairs

    made = recovery_key.create(context.config(ctx), file, replace=replace)
    if as_json:
        print_json(
            {
                "private": str(made.private_file.absolute()),
                "public": str(made.public_file),
                "key_id": made.key_id,
                "replaced": made.replaced or None,
            }
        )
    else:
        print_pairs(
            [
                ("恢复私钥 · private half", made.private_file.absolute()),
                ("公钥 · public half", made.public_file),
                ("编号 · id", made.key_id),
            ]
        )
    print_note(
        "请把私钥文件带离本机并妥善保管,然后从本机删除;重启节点后生效",
        "take the private half away and delete it here; it takes effect when the node is restarted",
    )


def token(ctx: typer.Context, *, as_json: JsonOption = False) -> None:
    """更换 API 访问令牌,无需重启 · Replace the API's token; no restart is needed.

    A running node takes the new one at once, and so do the commands; the console's own token is
    replaced with it. Other programs that read the file when they started must read it again.
    """
    from huying.node import renewal
    from huying.node.cli.output import print_json, print_note, print_pairs

    config = context.config(ctx)
    path = config.token_file
    renewal.renew_token(path)
    if config.console_token_file.exists():
        renewal.renew_console_token(config.console_token_file)
    if as_json:
        print_json({"token_file": str(path)})
    else:
        print_pairs([("令牌文件 · token file", path)])
    print_note(
        "旧令牌已失效;使用它的其他程序须重新读取文件",
        "the one before is void; other programs that use it must read the file again",
    )
