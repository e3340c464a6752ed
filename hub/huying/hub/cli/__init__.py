"""The console command `huying`: the node's commands, and what a tier with children adds.

The answering side of a call, the demo network and the bench live here; the node's own commands know
nothing of them.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import typer

from huying.common.codes import Level, level
from huying.node.cli.main import build_app, execute, is_run

if TYPE_CHECKING:
    from huying.common.ports import Clock, Sequencer
    from huying.node.app import Additions
    from huying.node.services import Component, Node
    from huying.node.store.store import SqlStore

__all__ = ["additions", "app", "main"]


def main() -> None:
    """Entry point of the distribution's console script."""
    arguments = sys.argv[1:]
    chosen = build_app(find_additions=additions, only_run=True) if is_run(arguments) else app()
    sys.exit(execute(chosen, arguments))


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


def additions() -> Additions:
    """What a hub adds to a node: the sequencer, its timers, metrics and desk.

    Each is loaded where it is used: a village, which answers nobody, stays as small as it was.
    """
    from huying.hub.desk import HUB_TOPICS
    from huying.node.app import Additions

    return Additions(
        sequencer=_sequencer, components=(_timers, _call_metrics, _console), topics=HUB_TOPICS
    )


def _sequencer(code: str, store: SqlStore, clock: Clock) -> Sequencer | None:
    if level(code) is Level.VILLAGE:
        return None
    from huying.hub.sequencer import CallSequencer

    return CallSequencer(code, store, clock)


def _timers(node: Node) -> Component | None:
    if level(node.config.node.code) is Level.VILLAGE:
        return None
    from huying.hub.timers import timers_component

    return timers_component(node)


def _call_metrics(node: Node) -> Component | None:
    """What Prometheus scrapes of calls; its client is loaded just where metrics are served."""
    if node.config.metrics.listen is None:
        return None
    from huying.hub.call_metrics import call_metrics_component

    return call_metrics_component(node)


def _console(node: Node) -> Component | None:
    """The pages; nothing of them is loaded into this process."""
    if node.config.console.listen is None:
        return None
    from huying.node.web.launcher import console_component

    return console_component(node, "huying.hub.cli")


def demo(ctx: typer.Context) -> None:
    """演示网络:一县两乡镇四村 · A demo network of seven nodes (demo --help)."""
    from huying.hub.demo import run

    raise typer.Exit(run(ctx.args))


def bench(ctx: typer.Context) -> None:
    """性能测量:一跳、两跳追赶与稳态时延 · Measure catch-up and steady delay (bench --help)."""
    from huying.hub.bench import run

    raise typer.Exit(run(ctx.args))
