"""`huying call …`: 乡呼县应 on the command line."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from huying.common.errors import Code, HuyingError
from huying.node.cli import context
from huying.node.cli.context import JsonOption

if TYPE_CHECKING:
    from huying.wire.v1 import api_pb2, calls_pb2

__all__ = [
    "ActorOption",
    "CallArgument",
    "RequestOption",
    "group",
    "parse_deadline",
    "take_step",
]


CallArgument = Annotated[
    str, typer.Argument(metavar="CALL", help="呼叫编号 · The call's id, hex or UUID.")
]
RequestOption = Annotated[
    str, typer.Option(metavar="HEX", help="请求编号,重发不会重复写入 · A repeat writes nothing.")
]
ActorOption = Annotated[str, typer.Option(help="经办人代号 · Who acts, a staff pseudonym.")]


def group() -> typer.Typer:
    """The group of commands."""
    made = typer.Typer(
        no_args_is_help=True, help="呼叫:发起、查看、确认 · Raise, show, confirm calls."
    )
    made.command(name="raise")(raise_)
    made.command()(confirm)
    made.command(name="list")(list_)
    made.command()(show)
    return made


def raise_(  # noqa: PLR0913 - an option for each field of a call
    ctx: typer.Context,
    title: Annotated[str, typer.Option(help="标题 · Title.")],
    category: Annotated[str, typer.Option(help="类别 · Category.")],
    description: Annotated[str, typer.Option(help="事由,不写个人信息 · What it is about.")] = "",
    village: Annotated[
        str, typer.Option(metavar="CODE", help="涉及的村 · The village concerned.")
    ] = "",
    grid: Annotated[str, typer.Option(metavar="CODE", help="涉及的网格 · The grid.")] = "",
    event: Annotated[
        str, typer.Option(metavar="HEX", help="村里的事件编号 · The village's event.")
    ] = "",
    sequencer: Annotated[
        str, typer.Option(metavar="CODE", help="应答节点,默认所属县 · Who answers; the county.")
    ] = "",
    contact_name: Annotated[str, typer.Option(help="联系人,只留在乡镇 · Stays in the town.")] = "",
    contact_phone: Annotated[
        str, typer.Option(help="联系电话,只留在乡镇 · Stays in the town.")
    ] = "",
    actor: ActorOption = "",
    request_id: RequestOption = "",
    *,
    as_json: JsonOption = False,
) -> None:
    """发起呼叫 · Raise a call (by a town)."""
    from huying.wire.v1 import api_pb2, calls_pb2

    call = calls_pb2.Call(
        sequencer=sequencer,
        category=category,
        title=title,
        description=description,
        grid=grid,
        village=village,
        event=context.parse_hex(event, "--event") if event else b"",
        actor=actor,
        contact_name=contact_name,
        contact_phone=contact_phone,
    )
    request = api_pb2.RaiseCallRequest(call=call, request_id=_request(request_id))
    with context.client(context.config(ctx)) as client:
        _print_step(client.raise_call(request), as_json=as_json)


def confirm(
    ctx: typer.Context,
    call: CallArgument,
    resolved: Annotated[
        bool, typer.Option("--resolved/--unresolved", help="是否已解决 · Whether it is settled.")
    ],
    satisfaction: Annotated[
        int, typer.Option(min=0, max=5, help="满意度 1 到 5,0 不评 · 1 to 5; 0: not rated.")
    ] = 0,
    comment: Annotated[str, typer.Option(help="意见 · A comment.")] = "",
    actor: ActorOption = "",
    request_id: RequestOption = "",
    *,
    as_json: JsonOption = False,
) -> None:
    """回访确认 · Confirm the answer (by the caller)."""
    from huying.wire.v1 import calls_pb2

    word = calls_pb2.Confirm(resolved=resolved, satisfaction=satisfaction, comment=comment)
    step = calls_pb2.CallStep(call=context.parse_hex(call, "CALL"), actor=actor, confirm=word)
    take_step(ctx, step, request_id, as_json=as_json)


def take_step(
    ctx: typer.Context, step: calls_pb2.CallStep, request_id: str, *, as_json: bool
) -> None:
    """Ask the node to write the step, and print where it stands."""
    from huying.wire.v1 import api_pb2

    request = api_pb2.TakeCallStepRequest(step=step, request_id=_request(request_id))
    with context.client(context.config(ctx)) as client:
        _print_step(client.take_call_step(request), as_json=as_json)


def _request(text: str) -> bytes:
    return context.parse_hex(text, "--request-id") if text else b""


def _print_step(response: api_pb2.CallStepResponse, *, as_json: bool) -> None:
    from huying.node.cli.output import print_json, print_pairs
    from huying.node.cli.render import receipt_document

    if as_json:
        receipt = receipt_document(response.receipt)
        print_json({"call": response.call.hex(), "receipt": receipt})
        return
    place = f"{response.receipt.origin} #{response.receipt.index}"
    print_pairs([("呼叫 · call", response.call.hex()), ("位置 · entry", place)])


def list_(
    ctx: typer.Context,
    department: Annotated[str, typer.Option(help="主办部门 · The lead department.")] = "",
    open_: Annotated[bool, typer.Option("--open", help="未办结 · Not confirmed yet.")] = False,
    stage: Annotated[
        str,
        typer.Option(help="环节 · raised, received, dispatched, answered, confirmed, unresolved."),
    ] = "",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="条数 · How many.")] = 100,
    page: Annotated[
        str, typer.Option(metavar="TOKEN", help="上一页给出的续页标记 · From the page before.")
    ] = "",
    *,
    as_json: JsonOption = False,
) -> None:
    """列出呼叫 · List calls, newest first. Works while the node is down."""
    from huying.node.cli.call_text import stage_text
    from huying.node.cli.offline import open_reads
    from huying.node.cli.output import print_block, print_json, print_note, when
    from huying.node.cli.render import call_document

    try:
        token = bytes.fromhex(page)
    except ValueError:
        raise HuyingError(Code.INVALID_ARGUMENT, "--page: hex") from None
    with open_reads(context.config(ctx)) as reads:
        found = reads.calls(
            department, open_only=open_, stage=_stage(stage), limit=limit, page_token=token
        )
    documents = [call_document(call) for call in found.calls]
    following = found.next_page_token.hex()
    if as_json:
        print_json({"calls": documents, "next_page": following or None})
        return
    for each in documents:
        stage = stage_text(each["stage"])
        title = each["content"].get("title", "")
        said = (when(each["raised_micros"]), each["department"], title)
        print_block(f"{each['call']}  {each['caller']}  {stage}", ["  ".join(filter(None, said))])
    if not documents:
        print_note("没有这样的呼叫", "no such call here")
    if following:
        print_note(f"还有更多:--page {following}", "there is more")


def _stage(name: str) -> int:
    from huying.wire.v1 import api_pb2

    if not name:
        return 0
    stages = {
        value.name.removeprefix("CALL_STAGE_").lower(): value.number
        for value in api_pb2.CallStage.DESCRIPTOR.values
        if value.number
    }
    if name not in stages:
        raise HuyingError(Code.INVALID_ARGUMENT, f"--stage: one of {', '.join(stages)}")
    return stages[name]


def show(ctx: typer.Context, call: CallArgument, *, as_json: JsonOption = False) -> None:
    """查看一件呼叫的全过程 · Show a call with every step. Works while the node is down."""
    from huying.node.cli.call_text import in_reading_order, stage_text
    from huying.node.cli.offline import open_reads
    from huying.node.cli.output import print_json, print_pairs, print_table, readable, when
    from huying.node.cli.render import call_document

    with open_reads(context.config(ctx)) as reads:
        found = reads.call(context.parse_hex(call, "CALL"))
    document = call_document(found)
    if as_json:
        print_json(document)
        return
    print_pairs(
        [
            ("呼叫 · call", document["call"]),
            ("呼叫方 · caller", document["caller"]),
            ("应答方 · sequencer", document["sequencer"]),
            ("环节 · stage", stage_text(document["stage"])),
            ("主办 · department", document["department"] or "—"),
            ("呼叫时间 · raised", when(found.raised_micros)),
            ("收到时间 · received", when(found.received_micros)),
            ("期限 · deadline", when(found.deadline_micros)),
            *readable(
                (name, value)
                for name, value in document["content"].items()
                if name not in ("sequencer", "raised_micros")
            ),
        ]
    )
    print_table(
        ("=节点 · origin", ">#", "时间 · time", "步骤 · step", "内容 · content"),
        [_step_row(step) for step in in_reading_order(document)],
    )


def _step_row(step: dict[str, Any]) -> tuple[Any, ...]:
    from huying.node.cli.call_text import step_name, step_text
    from huying.node.cli.output import when

    label = "/".join(step["origin"].split("/")[-2:])
    name = step_name(step["step"])
    return (label, step["index"], when(step["time_micros"]), name, step_text(step))


def parse_deadline(text: str) -> int:
    """Unix microseconds of an ISO 8601 time; without a zone it is this machine's.

    Raises HuyingError(INVALID_ARGUMENT).
    """
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise HuyingError(Code.INVALID_ARGUMENT, "--deadline: a time as 2026-01-31T17:00") from None
    return int(at.astimezone().timestamp() * 1e6)
