"""`huying call …`: raising a call, at once or by a draft that the town principal approves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from huying.node.cli import call_options, context
from huying.node.cli.call_options import (
    ActorOption,
    AttachOption,
    JsonOption,
    RequestOption,
    UrgencyOption,
)

if TYPE_CHECKING:
    from huying.wire.v1 import calls_pb2

__all__ = ["COMMANDS"]

_Title = Annotated[str, typer.Option(help="标题 · Title.")]
_Category = Annotated[str, typer.Option(help="类别 · Category.")]
_Description = Annotated[str, typer.Option(help="事由,不写个人信息 · What it is about.")]
_Village = Annotated[
    str,
    typer.Option(metavar="CODE", help="涉及的村,默认事件所在村 · The village; that of the event."),
]
_Grid = Annotated[str, typer.Option(metavar="CODE", help="涉及的网格 · The grid.")]
_Event = Annotated[str, typer.Option(metavar="HEX", help="村里的事件编号 · The village's event.")]
_Sequencer = Annotated[
    str, typer.Option(metavar="CODE", help="应答节点,默认所属县 · Who answers; the county.")
]
_ContactName = Annotated[str, typer.Option(help="联系人,只留在乡镇 · Stays in the town.")]
_ContactPhone = Annotated[str, typer.Option(help="联系电话,只留在乡镇 · Stays in the town.")]
_DraftArgument = Annotated[
    str, typer.Argument(metavar="DRAFT", help="草稿编号,即呼叫编号 · Its id becomes the call's.")
]
_By = Annotated[str, typer.Option("--by", help="主要负责人代号 · The town principal's pseudonym.")]


def _content(urgency: str, event: str, **fields: Any) -> dict[str, Any]:
    """The fields that a call and its draft share, as the messages take them."""
    from huying.wire.v1 import policy_pb2

    return {
        **fields,
        "urgency": call_options.choose(policy_pb2.Urgency, urgency, "--urgency"),
        "event": context.parse_hex(event, "--event") if event else b"",
    }


def raise_(  # noqa: PLR0913, PLR0917 - an option for each field of a call
    ctx: typer.Context,
    title: _Title,
    category: _Category,
    description: _Description = "",
    village: _Village = "",
    grid: _Grid = "",
    event: _Event = "",
    urgency: UrgencyOption = "",
    attach: AttachOption = None,
    approved_by: Annotated[
        str, typer.Option(help="审签人代号 · The principal who approved it.")
    ] = "",
    sequencer: _Sequencer = "",
    contact_name: _ContactName = "",
    contact_phone: _ContactPhone = "",
    actor: ActorOption = "",
    request_id: RequestOption = "",
    *,
    as_json: JsonOption = False,
) -> None:
    """发起呼叫 · Raise a call at once (by a town)."""
    from huying.wire.v1 import api_pb2, calls_pb2

    content = _content(
        urgency,
        event,
        title=title,
        category=category,
        description=description,
        village=village,
        grid=grid,
        sequencer=sequencer,
        contact_name=contact_name,
        contact_phone=contact_phone,
        actor=actor,
    )
    attached = call_options.attachments(attach)
    call = calls_pb2.Call(approved_by=approved_by, attachments=attached, **content)
    request = api_pb2.RaiseCallRequest(call=call, request_id=call_options.request_bytes(request_id))
    with context.client(context.config(ctx)) as client:
        call_options.print_step(client.raise_call(request), as_json=as_json, proposed=True)


def draft(  # noqa: PLR0913, PLR0917 - an option for each field of a call
    ctx: typer.Context,
    title: _Title,
    category: _Category,
    description: _Description = "",
    village: _Village = "",
    grid: _Grid = "",
    event: _Event = "",
    urgency: UrgencyOption = "",
    attach: AttachOption = None,
    sequencer: _Sequencer = "",
    contact_name: _ContactName = "",
    contact_phone: _ContactPhone = "",
    actor: ActorOption = "",
    request_id: RequestOption = "",
    *,
    as_json: JsonOption = False,
) -> None:
    """起草呼叫,待主要负责人审签 · Draft a call; the town principal approves it."""
    from huying.wire.v1 import api_pb2, calls_pb2

    content = _content(
        urgency,
        event,
        title=title,
        category=category,
        description=description,
        village=village,
        grid=grid,
        sequencer=sequencer,
        contact_name=contact_name,
        contact_phone=contact_phone,
        actor=actor,
    )
    message = calls_pb2.CallDraft(attachments=call_options.attachments(attach), **content)
    request = api_pb2.DraftCallRequest(
        draft=message, request_id=call_options.request_bytes(request_id)
    )
    with context.client(context.config(ctx)) as client:
        call_options.print_step(client.draft_call(request), as_json=as_json)


def drafts(
    ctx: typer.Context,
    all_: Annotated[
        bool, typer.Option("--all", help="含已审签和退回的 · Also those decided.")
    ] = False,
    *,
    as_json: JsonOption = False,
) -> None:
    """列出待审签的草稿 · List the drafts that wait. Works while the node is down."""
    from huying.node.cli.call_text import DRAFT_STATES, said
    from huying.node.cli.offline import open_reads
    from huying.node.cli.output import print_block, print_json, print_note
    from huying.wire.v1 import calls_pb2, feed_pb2

    loaded = context.config(ctx)
    documents = []
    token = b""
    with open_reads(loaded) as reads:
        while True:
            page = reads.records(feed_pb2.RECORD_TYPE_CALL_DRAFT, loaded.node.code, "", 1000, token)
            for each in page.records:
                message = calls_pb2.CallDraft.FromString(each.message)
                if all_ or message.state == calls_pb2.DRAFT_STATE_WAITING:
                    documents.append(_draft_document(each.record, each.time_micros, message))
            token = page.next_page_token
            if not token:
                break
    documents.sort(key=lambda one: (-one["time_micros"], one["draft"]))
    if as_json:
        print_json({"drafts": documents})
        return
    for one in documents:
        print_block(f"{one['draft']}  {said(DRAFT_STATES, one['state'])}", _draft_lines(one))
    if not documents:
        print_note("没有待审签的草稿", "no draft waits")


def _draft_document(record: bytes, time_micros: int, message: calls_pb2.CallDraft) -> Any:
    from huying.node.cli.plain import enum_name, to_plain
    from huying.wire.v1 import calls_pb2

    return {
        "draft": record.hex(),
        "state": enum_name(calls_pb2.DraftState.DESCRIPTOR, message.state),
        "time_micros": time_micros,
        "decided_by": message.decided_by or None,
        "reason": message.reason or None,
        "content": {
            name: value
            for name, value in to_plain(message).items()
            if name not in ("state", "decided_by", "reason")
        },
    }


def _draft_lines(document: dict[str, Any]) -> list[str]:
    from huying.node.cli.call_text import URGENCIES, said
    from huying.node.cli.output import when

    content = document["content"]
    lines = [
        "  ".join(
            filter(
                None,
                [when(document["time_micros"]), content.get("category"), content.get("title")],
            )
        )
    ]
    # The principal decides by this list: the whole of what would be raised is in it.
    if about := content.get("description"):
        lines.append(f"事由 about {' '.join(about.split())}")
    told = [
        f"{label} {content[name]}"
        for name, label in (
            ("village", "村 village"),
            ("grid", "网格 grid"),
            ("event", "事件 event"),
            ("actor", "经办 drafted by"),
            ("contact_name", "联系人 contact"),
            ("contact_phone", "电话 phone"),
        )
        if content.get(name)
    ]
    told += [f"附件 attached {each['name']}" for each in content.get("attachments", ())]
    if urgency := content.get("urgency"):
        told.insert(0, f"紧急 urgency {said(URGENCIES, urgency)}")
    lines += told
    if document["decided_by"]:
        lines.append(
            f"审签 decided by {document['decided_by']} {document['reason'] or ''}".rstrip()
        )
    return lines


def approve(
    ctx: typer.Context,
    draft_id: _DraftArgument,
    by: _By,
    request_id: RequestOption = "",
    *,
    as_json: JsonOption = False,
) -> None:
    """审签草稿并发出呼叫 · Approve a draft, which raises the call."""
    _decide(ctx, draft_id, by, "", request_id, approved=True, as_json=as_json)


def refuse(
    ctx: typer.Context,
    draft_id: _DraftArgument,
    by: _By,
    reason: call_options.ReasonOption = "",
    request_id: RequestOption = "",
    *,
    as_json: JsonOption = False,
) -> None:
    """退回草稿 · Refuse a draft; it is not raised."""
    _decide(ctx, draft_id, by, reason, request_id, approved=False, as_json=as_json)


def _decide(
    ctx: typer.Context,
    draft_id: str,
    by: str,
    reason: str,
    request_id: str,
    *,
    approved: bool,
    as_json: bool,
) -> None:
    from huying.wire.v1 import api_pb2

    request = api_pb2.DecideDraftRequest(
        draft=context.parse_hex(draft_id, "DRAFT"),
        approved=approved,
        decided_by=by,
        reason=reason,
        request_id=call_options.request_bytes(request_id),
    )
    with context.client(context.config(ctx)) as client:
        call_options.print_step(client.decide_draft(request), as_json=as_json)


COMMANDS = (
    ("draft", draft),
    ("drafts", drafts),
    ("approve", approve),
    ("refuse", refuse),
    ("raise", raise_),
)
