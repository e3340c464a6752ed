"""`huying call …`: what a department at the answering node does."""

from __future__ import annotations

from typing import Annotated

import typer

from huying.node.cli import call, context
from huying.node.cli.context import JsonOption

__all__ = ["COMMANDS"]


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


COMMANDS = (answer,)
