"""`huying call …`: what the answering node's centre does (县中心)."""

from __future__ import annotations

from typing import Annotated

import typer

from huying.common.errors import Code, HuyingError
from huying.node.cli import context
from huying.node.cli.call_options import (
    ActorOption,
    CallArgument,
    JsonOption,
    ReasonOption,
    RequestOption,
    UrgencyOption,
    choose,
    take_step,
)
from huying.node.cli.typed import parse_time

__all__ = ["COMMANDS"]

_Note = Annotated[str, typer.Option(help="说明 · A remark.")]


def admit(
    ctx: typer.Context,
    call: CallArgument,
    note: _Note = "",
    actor: ActorOption = "",
    request_id: RequestOption = "",
    *,
    as_json: JsonOption = False,
) -> None:
    """受理 · Admit a call."""
    from huying.wire.v1 import calls_pb2

    take_step(ctx, call, actor, request_id, as_json=as_json, admit=calls_pb2.Admit(note=note))


def decline(
    ctx: typer.Context,
    call: CallArgument,
    reason: Annotated[
        str,
        typer.Option(
            help="legal-route, emergency, duplicate, secret, beyond-duty, unlawful · 清单所列理由."
        ),
    ],
    text: _Note = "",
    actor: ActorOption = "",
    request_id: RequestOption = "",
    *,
    as_json: JsonOption = False,
) -> None:
    """不予受理 · Decline a call for a listed reason."""
    from huying.wire.v1 import calls_pb2

    word = calls_pb2.Decline(reason=choose(calls_pb2.DeclineReason, reason, "--reason"), text=text)
    take_step(ctx, call, actor, request_id, as_json=as_json, decline=word)


def off_list(
    ctx: typer.Context,
    call: CallArgument,
    approved_by: Annotated[str, typer.Option(help="批准人代号 · The leader who approves.")],
    reason: ReasonOption,
    actor: ActorOption = "",
    request_id: RequestOption = "",
    *,
    as_json: JsonOption = False,
) -> None:
    """清单外准入审批 · Let a task through that is on no list."""
    from huying.wire.v1 import calls_pb2

    word = calls_pb2.OffList(approved_by=approved_by, reason=reason)
    take_step(ctx, call, actor, request_id, as_json=as_json, off_list=word)


def dispatch(
    ctx: typer.Context,
    call: CallArgument,
    department: Annotated[
        str, typer.Option(help="主办部门,默认清单所列 · The lead; by default the item's.")
    ] = "",
    co_handler: Annotated[
        list[str] | None, typer.Option(help="协办部门,可多次 · A co-handler; repeat for more.")
    ] = None,
    item: Annotated[
        str, typer.Option(metavar="NUMBER", help="职责清单事项 · The item of the duty list.")
    ] = "",
    suggested: Annotated[
        bool, typer.Option("--suggested", help="按清单建议的第一项 · By the item suggested first.")
    ] = False,
    urgency: UrgencyOption = "",
    deadline: Annotated[
        str, typer.Option(metavar="TIME", help="答复期限 · When to answer, 2026-01-31T17:00.")
    ] = "",
    actor: ActorOption = "",
    request_id: RequestOption = "",
    *,
    as_json: JsonOption = False,
) -> None:
    """派单 · Dispatch a call to a lead department and its co-handlers."""
    from huying.hub.cli.duty_cited import cited_item
    from huying.wire.v1 import calls_pb2, policy_pb2

    if not (department or item or suggested):
        raise HuyingError(
            Code.INVALID_ARGUMENT, "--department: name the lead, or --item NUMBER, or --suggested"
        )
    if item or suggested:
        item = cited_item(ctx, call, item, department)
    word = calls_pb2.Dispatch(
        department=department,
        co_handlers=co_handler or [],
        deadline_micros=parse_time(deadline, "--deadline") if deadline else 0,
        urgency=choose(policy_pb2.Urgency, urgency, "--urgency"),
        duty_item=item,
    )
    take_step(ctx, call, actor, request_id, as_json=as_json, dispatch=word)


def rule(
    ctx: typer.Context,
    call: CallArgument,
    uphold: Annotated[
        bool, typer.Option("--uphold", help="异议成立 · Upheld: to be dispatched anew.")
    ] = False,
    assign: Annotated[
        str, typer.Option(metavar="DEPARTMENT", help="指定部门,不得退回 · Not to be returned.")
    ] = "",
    reason: ReasonOption = "",
    actor: ActorOption = "",
    request_id: RequestOption = "",
    *,
    as_json: JsonOption = False,
) -> None:
    """裁决异议 · Rule on an objection: uphold it, or assign a department."""
    from huying.wire.v1 import calls_pb2

    if uphold == bool(assign):
        raise HuyingError(Code.INVALID_ARGUMENT, "--uphold: either it or --assign DEPARTMENT")
    word = calls_pb2.Ruling(upheld=uphold, department=assign, reason=reason)
    take_step(ctx, call, actor, request_id, as_json=as_json, ruling=word)


def grant(
    ctx: typer.Context,
    call: CallArgument,
    reason: ReasonOption = "",
    actor: ActorOption = "",
    request_id: RequestOption = "",
    *,
    as_json: JsonOption = False,
) -> None:
    """同意延期 · Grant the extension that was asked for."""
    from huying.wire.v1 import calls_pb2

    word = calls_pb2.ExtensionDecision(granted=True, reason=reason)
    take_step(ctx, call, actor, request_id, as_json=as_json, extension_decision=word)


def refuse_extension(
    ctx: typer.Context,
    call: CallArgument,
    reason: ReasonOption = "",
    actor: ActorOption = "",
    request_id: RequestOption = "",
    *,
    as_json: JsonOption = False,
) -> None:
    """不同意延期 · Refuse the extension that was asked for."""
    from huying.wire.v1 import calls_pb2

    word = calls_pb2.ExtensionDecision(granted=False, reason=reason)
    take_step(ctx, call, actor, request_id, as_json=as_json, extension_decision=word)


def review(
    ctx: typer.Context,
    call: CallArgument,
    send: Annotated[
        bool, typer.Option("--send/--return", help="发出或退回重办 · Send it, or back for rework.")
    ],
    text: Annotated[
        str, typer.Option(help="发出的文字,默认原文 · As it is sent; by default as answered.")
    ] = "",
    reason: ReasonOption = "",
    actor: ActorOption = "",
    request_id: RequestOption = "",
    *,
    as_json: JsonOption = False,
) -> None:
    """审核答复 · Review an answer: send it to the caller, or return it."""
    from huying.wire.v1 import calls_pb2

    word = calls_pb2.Review(sent=send, text=text, reason=reason)
    take_step(ctx, call, actor, request_id, as_json=as_json, review=word)


def close(
    ctx: typer.Context,
    call: CallArgument,
    reason: Annotated[
        str, typer.Option(help="confirmed 或 exhausted,默认依环节 · By default by the stage.")
    ] = "",
    text: _Note = "",
    actor: ActorOption = "",
    request_id: RequestOption = "",
    *,
    as_json: JsonOption = False,
) -> None:
    """办结 · Close a call."""
    from huying.wire.v1 import calls_pb2

    word = calls_pb2.Closure(reason=choose(calls_pb2.ClosureReason, reason, "--reason"), text=text)
    take_step(ctx, call, actor, request_id, as_json=as_json, closure=word)


def merge(
    ctx: typer.Context,
    call: CallArgument,
    into: Annotated[str, typer.Option(metavar="CALL", help="并入哪件 · Which call goes on.")],
    reason: ReasonOption = "",
    actor: ActorOption = "",
    request_id: RequestOption = "",
    *,
    as_json: JsonOption = False,
) -> None:
    """并案 · Merge a duplicate into another call; its clock stops."""
    from huying.wire.v1 import calls_pb2

    word = calls_pb2.Merge(into=context.parse_hex(into, "--into"), reason=reason)
    take_step(ctx, call, actor, request_id, as_json=as_json, merge=word)


def supervise(
    ctx: typer.Context,
    call: CallArgument,
    level: Annotated[str, typer.Option(help="日常 routine,挂牌 listed,约谈 interview.")],
    reason: ReasonOption = "",
    actor: ActorOption = "",
    request_id: RequestOption = "",
    *,
    as_json: JsonOption = False,
) -> None:
    """督办 · Supervise a call, at one of three levels."""
    from huying.wire.v1 import calls_pb2

    found = choose(calls_pb2.SupervisionLevel, level, "--level")
    word = calls_pb2.Supervise(supervision_level=found, reason=reason)
    take_step(ctx, call, actor, request_id, as_json=as_json, supervise=word)


def card(
    ctx: typer.Context,
    call: CallArgument,
    colour: Annotated[str, typer.Option(help="黄牌 yellow 或红牌 red · Which card.")],
    department: Annotated[
        str, typer.Option(help="部门,默认主办 · To whom; by default the lead.")
    ] = "",
    reason: ReasonOption = "",
    actor: ActorOption = "",
    request_id: RequestOption = "",
    *,
    as_json: JsonOption = False,
) -> None:
    """亮牌 · Show a department a yellow or red card."""
    from huying.wire.v1 import calls_pb2

    found = choose(calls_pb2.CardColour, colour, "--colour")
    word = calls_pb2.Card(colour=found, department=department, reason=reason)
    take_step(ctx, call, actor, request_id, as_json=as_json, card=word)


def party(
    ctx: typer.Context,
    call: CallArgument,
    code: Annotated[str, typer.Option(metavar="CODE", help="加入的乡镇或村 · Who joins.")],
    role: Annotated[
        str, typer.Option(help="co-handler 或 merged-caller · What for.")
    ] = "co-handler",
    actor: ActorOption = "",
    request_id: RequestOption = "",
    *,
    as_json: JsonOption = False,
) -> None:
    """加入当事方 · Let a town or village join; the earlier steps are opened to it."""
    from huying.wire.v1 import calls_pb2

    word = calls_pb2.Party(code=code, role=choose(calls_pb2.PartyRole, role, "--role"))
    take_step(ctx, call, actor, request_id, as_json=as_json, party=word)


COMMANDS = (
    ("admit", admit),
    ("decline", decline),
    ("off-list", off_list),
    ("dispatch", dispatch),
    ("rule", rule),
    ("grant", grant),
    ("refuse-extension", refuse_extension),
    ("review", review),
    ("close", close),
    ("merge", merge),
    ("supervise", supervise),
    ("card", card),
    ("party", party),
)
