"""`huying run`: the node itself, until a signal ends it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import typer

from huying.node.cli import context

if TYPE_CHECKING:
    from huying.node.app import Additions

__all__ = ["register"]


def register(
    app: typer.Typer, find_additions: Callable[[], Additions | None] = lambda: None
) -> None:
    """Add the command. `find_additions` is asked when it runs: a hub's answers calls."""

    @app.command()
    def run(ctx: typer.Context) -> None:
        """运行节点,直到收到停止信号 · Run the node until SIGTERM or SIGINT."""
        from huying.node.app import Additions
        from huying.node.app import run as run_node

        additions = find_additions() or Additions()
        raise typer.Exit(run_node(context.config(ctx), additions=additions))
