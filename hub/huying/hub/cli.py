"""The console command `huying`: the node's commands, and what a tier with children adds.

The answering side of a call (dispatch, answer), the demo network and the bench live here; the
node's own commands know nothing of them.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from huying.node.cli import call, context
from huying.node.cli.context import JsonOption
from huying.node.cli.main import build_app, execute

if TYPE_CHECKING:
    from huying.node.app import Additions

__all__ = ["app", "main"]


def main() -> None:
    """Entry point of the distribution's console script."""
    sys.exit(execute(app(), sys.argv[1:]))


def app() -> typer.Typer:
    """The whole application."""
    whole = build_app(commands={"call": (dispatch, answer)}, find_additions=_additions)
    passed_on = {"allow_extra_args": True, "ignore_unknown_options": True}
    whole.command(context_settings=passed_on, add_help_option=False)(demo)
    whole.command(context_settings=passed_on, add_help_option=False)(bench)
    return whole


def _additions() -> Additions:
    from huying.hub.desk import HUB_TOPICS
    from huying.hub.sequencer import CallSequencer
    from huying.node.app import Additions

    return Additions(sequencer=CallSequencer, topics=HUB_TOPICS)


def dispatch(
    ctx: typer.Context,
    call_id: call.CallArgument,
    department: Annotated[str, typer.Option(help="主办部门 · The lead department.")],
    co_handler: Annotated[
        list[str] | None, typer.Option(help="协办部门,可多次 · A co-handler; repeat for more.")
    ] = None,
    deadline: Annotated[
        str, typer.Option(metavar="TIME", help="答复期限 · When to answer, 2026-01-31T17:00.")
    ] = "",
    actor: call.ActorOption = "",
    request_id: call.RequestOption = "",
    *,
    as_json: JsonOption = False,
) -> None:
    """派单 · Dispatch a call to a department (by the answering node)."""
    from huying.wire.v1 import calls_pb2

    step = calls_pb2.CallStep(
        call=context.parse_hex(call_id, "CALL"),
        actor=actor,
        dispatch=calls_pb2.Dispatch(
            department=department,
            co_handlers=co_handler or [],
            deadline_micros=call.parse_deadline(deadline) if deadline else 0,
        ),
    )
    call.take_step(ctx, step, request_id, as_json=as_json)


def answer(
    ctx: typer.Context,
    call_id: call.CallArgument,
    text: Annotated[str, typer.Option(help="答复内容 · The answer.")],
    department: Annotated[
        str, typer.Option(help="答复部门,默认主办 · Who answers; the lead department.")
    ] = "",
    actor: call.ActorOption = "",
    request_id: call.RequestOption = "",
    *,
    as_json: JsonOption = False,
) -> None:
    """答复 · Answer a call (by the lead department, at the answering node)."""
    from huying.wire.v1 import calls_pb2

    step = calls_pb2.CallStep(
        call=context.parse_hex(call_id, "CALL"),
        actor=actor,
        answer=calls_pb2.Answer(department=department, text=text),
    )
    call.take_step(ctx, step, request_id, as_json=as_json)


def demo(ctx: typer.Context) -> None:
    """演示网络:一县两乡镇四村 · A demo network of seven nodes (demo --help)."""
    from huying.hub.demo import run

    raise typer.Exit(run(ctx.args))


def bench(ctx: typer.Context) -> None:
    """性能测量:一跳、两跳追赶与稳态时延 · Measure catch-up and steady delay (bench --help)."""
    from huying.hub.bench import run

    raise typer.Exit(run(ctx.args))


if __name__ == "__main__":
    main()
