"""`huying call …`: what the caller does with a call that is raised, to the rating."""

from __future__ import annotations

from typing import Annotated

import typer

from huying.common.errors import Code, HuyingError
from huying.node.cli import call_options
from huying.node.cli.call_options import (
    ActorOption,
    AttachOption,
    CallArgument,
    JsonOption,
    RequestOption,
    take_step,
)

__all__ = ["COMMANDS"]

_Stars = Annotated[int, typer.Option(min=0, max=5, help="1 到 5,0 不评 · 1 to 5; 0: not rated.")]
_Comment = Annotated[str, typer.Option(help="意见 · A comment.")]


def supplement(
    ctx: typer.Context,
    call: CallArgument,
    text: Annotated[str, typer.Option(help="补充内容 · What was asked for.")],
    attach: AttachOption = None,
    actor: ActorOption = "",
    request_id: RequestOption = "",
    *,
    as_json: JsonOption = False,
) -> None:
    """补充材料 · Give what the department asked for; its clock runs on."""
    from huying.wire.v1 import calls_pb2

    word = calls_pb2.Supplement(text=text, attachments=call_options.attachments(attach))
    take_step(ctx, call, actor, request_id, as_json=as_json, supplement=word)


def confirm(
    ctx: typer.Context,
    call: CallArgument,
    resolved: Annotated[
        bool, typer.Option("--resolved/--unresolved", help="是否已解决 · Whether it is settled.")
    ] = True,
    satisfaction: _Stars = 0,
    response: _Stars = 0,
    manner: _Stars = 0,
    comment: _Comment = "",
    actor: ActorOption = "",
    request_id: RequestOption = "",
    *,
    as_json: JsonOption = False,
) -> None:
    """回访确认 · Confirm the answer (by the caller): the matter is resolved."""
    from huying.wire.v1 import calls_pb2

    word = calls_pb2.Confirm(
        resolved=resolved,
        satisfaction=satisfaction,
        response=response,
        manner=manner,
        comment=comment,
    )
    take_step(ctx, call, actor, request_id, as_json=as_json, confirm=word)


def reject(
    ctx: typer.Context,
    call: CallArgument,
    satisfaction: _Stars = 0,
    response: _Stars = 0,
    manner: _Stars = 0,
    comment: _Comment = "",
    actor: ActorOption = "",
    request_id: RequestOption = "",
    *,
    as_json: JsonOption = False,
) -> None:
    """回访:未解决 · Say that the answer did not resolve it (by the caller)."""
    confirm(
        ctx,
        call,
        False,
        satisfaction,
        response,
        manner,
        comment,
        actor,
        request_id,
        as_json=as_json,
    )


def rate(
    ctx: typer.Context,
    call: CallArgument,
    satisfaction: _Stars = 0,
    response: _Stars = 0,
    manner: _Stars = 0,
    comment: _Comment = "",
    actor: ActorOption = "",
    request_id: RequestOption = "",
    *,
    as_json: JsonOption = False,
) -> None:
    """评价结果、响应与态度 · Rate result, response and manner (by the caller)."""
    from huying.wire.v1 import calls_pb2

    if not (satisfaction or response or manner):
        raise HuyingError(
            Code.INVALID_ARGUMENT, "--satisfaction: give stars for it, --response or --manner"
        )
    word = calls_pb2.Rate(
        satisfaction=satisfaction, response=response, manner=manner, comment=comment
    )
    take_step(ctx, call, actor, request_id, as_json=as_json, rate=word)


def reopen(
    ctx: typer.Context,
    call: CallArgument,
    reason: call_options.ReasonOption,
    actor: ActorOption = "",
    request_id: RequestOption = "",
    *,
    as_json: JsonOption = False,
) -> None:
    """期限内要求重办 · Reopen an ended call while its window is open (by the caller)."""
    from huying.wire.v1 import calls_pb2

    word = calls_pb2.Reopen(reason=reason)
    take_step(ctx, call, actor, request_id, as_json=as_json, reopen=word)


def withdraw(
    ctx: typer.Context,
    call: CallArgument,
    reason: call_options.ReasonOption = "",
    actor: ActorOption = "",
    request_id: RequestOption = "",
    *,
    as_json: JsonOption = False,
) -> None:
    """撤回呼叫 · Withdraw an open call (by the caller)."""
    from huying.wire.v1 import calls_pb2

    word = calls_pb2.Withdraw(reason=reason)
    take_step(ctx, call, actor, request_id, as_json=as_json, withdraw=word)


def urge(
    ctx: typer.Context,
    call: CallArgument,
    reason: call_options.ReasonOption = "",
    actor: ActorOption = "",
    request_id: RequestOption = "",
    *,
    as_json: JsonOption = False,
) -> None:
    """催办 · Urge (by the caller, or by the answering node's centre)."""
    from huying.wire.v1 import calls_pb2

    word = calls_pb2.Urge(reason=reason)
    take_step(ctx, call, actor, request_id, as_json=as_json, urge=word)


COMMANDS = (
    ("supplement", supplement),
    ("confirm", confirm),
    ("reject", reject),
    ("rate", rate),
    ("reopen", reopen),
    ("withdraw", withdraw),
    ("urge", urge),
)
