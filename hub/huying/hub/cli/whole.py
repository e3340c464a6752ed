"""The whole command line: the node's commands, and what a tier with children adds to them."""

from __future__ import annotations

import typer

from huying.hub.cli import additions
from huying.node.cli.main import build_app

__all__ = ["app"]


def app() -> typer.Typer:
    """The whole application."""
    from huying.hub.cli import call_centre, call_department, console, duty, hotline, measure, policy

    whole = build_app(
        commands={"call": (*call_centre.COMMANDS, *call_department.COMMANDS)},
        find_additions=additions,
    )
    whole.add_typer(duty.group(), name="duty")
    whole.add_typer(policy.policy_group(), name="policy")
    whole.add_typer(policy.calendar_group(), name="calendar")
    whole.add_typer(hotline.group(), name="hotline")
    whole.add_typer(console.group(), name="console")
    whole.command()(measure.measure)
    passed_on = {"allow_extra_args": True, "ignore_unknown_options": True}
    whole.command(context_settings=passed_on, add_help_option=False)(demo)
    whole.command(context_settings=passed_on, add_help_option=False)(bench)
    return whole


def demo(ctx: typer.Context) -> None:
    """演示网络:一县两乡镇四村 · A demo network of seven nodes (demo --help)."""
    from huying.hub.demo import run

    raise typer.Exit(run(ctx.args))


def bench(ctx: typer.Context) -> None:
    """性能测量:一跳、两跳追赶与稳态时延 · Measure catch-up and steady delay (bench --help)."""
    from huying.hub.bench import run

    raise typer.Exit(run(ctx.args))
