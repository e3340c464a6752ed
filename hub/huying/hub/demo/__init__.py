"""`huying demo`: seven nodes on one machine, real divisions and requests, generated people."""

from __future__ import annotations

__all__ = ["run"]


def run(args: list[str]) -> int:
    """The command. Its libraries are imported here, so that `huying --help` is quick."""
    from huying.hub.demo.command import run as run_command

    return run_command(args)
