"""The console command `huying`: the node's commands, and what a tier with children adds.

The answering side of a call, the demo network and the bench live here; the node's own commands know
nothing of them.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from huying.common.codes import Level, level
from huying.node.cli.direct_run import file_to_run, run_node

if TYPE_CHECKING:
    import typer

    from huying.common.ports import Clock, Sequencer
    from huying.node.app import Additions
    from huying.node.services import Component, Node
    from huying.node.store.store import SqlStore

__all__ = ["additions", "app", "main"]


def main() -> None:
    """Entry point of the distribution's console script."""
    arguments = sys.argv[1:]
    file = file_to_run(arguments, os.environ)
    if file is not None:
        sys.exit(run_node(file, additions()))
    from huying.node.cli.main import execute

    sys.exit(execute(app(), arguments))


def app() -> typer.Typer:
    """The whole application."""
    from huying.hub.cli import whole

    return whole.app()


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
