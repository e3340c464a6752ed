"""`huying call …`: what the answering node's centre does."""

from __future__ import annotations

from typing import Annotated

import typer

from huying.node.cli import call, context
from huying.node.cli.context import JsonOption

__all__ = ["COMMANDS"]


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


COMMANDS = (dispatch,)
