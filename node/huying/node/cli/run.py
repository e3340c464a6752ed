"""`huying run`: the node itself, until a signal ends it."""

from __future__ import annotations

import typer

from huying.node.cli import context

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(run)


def run(ctx: typer.Context) -> None:
    """运行节点,直到收到停止信号 · Run the node until SIGTERM or SIGINT."""
    from huying.node.app import run as run_node

    code = run_node(context.config(ctx))
    raise typer.Exit(code)
