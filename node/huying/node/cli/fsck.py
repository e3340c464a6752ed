"""`huying fsck`: rebuild every root from the entries, and compare with what was signed."""

from __future__ import annotations

import typer

from huying.node.cli.context import JsonOption

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(fsck)


def fsck(ctx: typer.Context, *, as_json: JsonOption = False) -> None:
    """核对数据库:逐条重算 · Check the store: every hash, proof, signature and number."""
    raise NotImplementedError
