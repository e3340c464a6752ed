"""`huying call …`: what a department at the answering node does (部门)."""

from __future__ import annotations

from typing import Annotated

import typer

from huying.node.cli.call_options import (
    ActorOption,
    AttachOption,
    CallArgument,
    DepartmentOption,
    JsonOption,
    ReasonOption,
    RequestOption,
    attachments,
    take_step,
)

__all__ = ["COMMANDS"]


def accept(
    ctx: typer.Context,
    call: CallArgument,
    department: DepartmentOption = "",
    actor: ActorOption = "",
    request_id: RequestOption = "",
    *,
    as_json: JsonOption = False,
) -> None:
    """签收 · Accept a call (by the lead department)."""
    from huying.wire.v1 import calls_pb2

    word = calls_pb2.Accept(department=department)
    take_step(ctx, call, actor, request_id, as_json=as_json, accept=word)


def object_(
    ctx: typer.Context,
    call: CallArgument,
    reason: ReasonOption,
    department: DepartmentOption = "",
    actor: ActorOption = "",
    request_id: RequestOption = "",
    *,
    as_json: JsonOption = False,
) -> None:
    """提出异议,只有一次 · Object, once, to what is clearly not this department's duty."""
    from huying.wire.v1 import calls_pb2

    word = calls_pb2.Objection(department=department, reason=reason)
    take_step(ctx, call, actor, request_id, as_json=as_json, objection=word)


def note(
    ctx: typer.Context,
    call: CallArgument,
    text: Annotated[str, typer.Option(help="办理情况,当事方可见 · Shown to the parties.")],
    department: Annotated[
        str, typer.Option(help="部门,空为县中心 · The department; none: the centre.")
    ] = "",
    actor: ActorOption = "",
    request_id: RequestOption = "",
    *,
    as_json: JsonOption = False,
) -> None:
    """办理记录 · Say how it goes; changes no state."""
    from huying.wire.v1 import calls_pb2

    word = calls_pb2.Note(department=department, text=text)
    take_step(ctx, call, actor, request_id, as_json=as_json, note=word)


def ask_supplement(
    ctx: typer.Context,
    call: CallArgument,
    text: Annotated[str, typer.Option(help="需补充什么 · What is needed.")],
    department: DepartmentOption = "",
    actor: ActorOption = "",
    request_id: RequestOption = "",
    *,
    as_json: JsonOption = False,
) -> None:
    """请呼叫方补充,答复时限暂停 · Ask the caller for more; the answer clock stops."""
    from huying.wire.v1 import calls_pb2

    word = calls_pb2.SupplementRequest(department=department, text=text)
    take_step(ctx, call, actor, request_id, as_json=as_json, supplement_request=word)


def resume(
    ctx: typer.Context,
    call: CallArgument,
    department: DepartmentOption = "",
    actor: ActorOption = "",
    request_id: RequestOption = "",
    *,
    as_json: JsonOption = False,
) -> None:
    """不等补充,继续办理 · Go on without the supplement."""
    from huying.wire.v1 import calls_pb2

    word = calls_pb2.Resume(department=department)
    take_step(ctx, call, actor, request_id, as_json=as_json, resume=word)


def reply(
    ctx: typer.Context,
    call: CallArgument,
    text: Annotated[str, typer.Option(help="协办意见 · What the co-handler says.")],
    department: Annotated[str, typer.Option(help="协办部门 · The co-handler.")],
    actor: ActorOption = "",
    request_id: RequestOption = "",
    *,
    as_json: JsonOption = False,
) -> None:
    """协办回复主办 · Reply to the lead (by a co-handler)."""
    from huying.wire.v1 import calls_pb2

    word = calls_pb2.Reply(department=department, text=text)
    take_step(ctx, call, actor, request_id, as_json=as_json, reply=word)


def extend(
    ctx: typer.Context,
    call: CallArgument,
    reason: ReasonOption,
    department: DepartmentOption = "",
    actor: ActorOption = "",
    request_id: RequestOption = "",
    *,
    as_json: JsonOption = False,
) -> None:
    """申请延期 · Ask the centre for an extension."""
    from huying.wire.v1 import calls_pb2

    word = calls_pb2.ExtensionRequest(department=department, reason=reason)
    take_step(ctx, call, actor, request_id, as_json=as_json, extension_request=word)


def answer(
    ctx: typer.Context,
    call: CallArgument,
    text: Annotated[str, typer.Option(help="答复内容 · What was done.")],
    department: DepartmentOption = "",
    attach: AttachOption = None,
    actor: ActorOption = "",
    request_id: RequestOption = "",
    *,
    as_json: JsonOption = False,
) -> None:
    """答复 · Answer a call (by the lead department)."""
    from huying.wire.v1 import calls_pb2

    word = calls_pb2.Answer(department=department, text=text, attachments=attachments(attach))
    take_step(ctx, call, actor, request_id, as_json=as_json, answer=word)


COMMANDS = (
    ("accept", accept),
    ("object", object_),
    ("note", note),
    ("ask-supplement", ask_supplement),
    ("resume", resume),
    ("reply", reply),
    ("extend", extend),
    ("answer", answer),
)
