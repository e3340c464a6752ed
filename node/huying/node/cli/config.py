"""`huying config check|show`: whether the configuration is good, and what it comes to."""

from __future__ import annotations

import typer

from huying.node.cli import context
from huying.node.cli.context import JsonOption

__all__ = ["group"]


def group() -> typer.Typer:
    """The group of commands."""
    made = typer.Typer(
        no_args_is_help=True, help="配置检查与显示 · Check or show the configuration."
    )
    made.command()(check)
    made.command()(show)
    return made


def check(ctx: typer.Context, *, as_json: JsonOption = False) -> None:
    """检查配置文件 · Read the file and the environment, and say what is wrong."""
    from huying.node.cli.output import print_json, print_pairs

    loaded = context.config(ctx)
    if as_json:
        print_json({"file": str(loaded.file), "valid": True})
    else:
        print_pairs([("配置有效 · valid", loaded.file)])


def show(ctx: typer.Context, *, as_json: JsonOption = False) -> None:
    """显示生效的设置 · Show every setting in force; no secret is among them."""
    from huying.node import config as node_config
    from huying.node.cli.output import print_json, print_table

    loaded = context.config(ctx)
    shown = node_config.show(loaded)
    if as_json:
        print_json({"file": str(loaded.file), **shown})
        return
    rows = [
        (f"[{setting.section}] {setting.key}", shown[setting.section][setting.key], setting.help)
        for setting in node_config.settings()
        if setting.section in shown and shown[setting.section].get(setting.key) is not None
    ]
    print_table(("设置 · setting", "值 · value", "说明 · help"), rows)
