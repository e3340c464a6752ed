"""`huying call …`: 乡呼县应 on the command line: the group, and reading calls."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from huying.node.cli import call_export, call_raise, call_town, context
from huying.node.cli.call_options import CallArgument, JsonOption
from huying.node.cli.typed import parse_page

if TYPE_CHECKING:
    from huying.wire.v1 import api_pb2

__all__ = ["group"]


def group() -> typer.Typer:
    """The group of commands."""
    made = typer.Typer(
        no_args_is_help=True,
        help="乡呼县应:呼叫的一生 · A call, from draft to close.",
    )
    made.command(name="list")(list_)
    made.command()(show)
    for name, command in (*call_raise.COMMANDS, *call_town.COMMANDS, *call_export.COMMANDS):
        made.command(name=name)(command)
    return made


def list_(
    ctx: typer.Context,
    department: Annotated[str, typer.Option(help="主办部门 · The lead department.")] = "",
    open_: Annotated[bool, typer.Option("--open", help="未办结 · Somebody has to act.")] = False,
    stage: Annotated[
        str, typer.Option(help="环节 · raised, received, admitted, dispatched, handling …")
    ] = "",
    caller: Annotated[str, typer.Option(metavar="CODE", help="呼叫方 · The caller.")] = "",
    category: Annotated[str, typer.Option(help="类别 · The category.")] = "",
    overdue: Annotated[bool, typer.Option("--overdue", help="已超时 · What ran out.")] = False,
    by: Annotated[
        str, typer.Option("--by", help="排序 · newest, or deadline: open ones, as due.")
    ] = "newest",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="条数 · How many.")] = 100,
    page: Annotated[
        str, typer.Option(metavar="TOKEN", help="上一页给出的续页标记 · From the page before.")
    ] = "",
    *,
    as_json: JsonOption = False,
) -> None:
    """列出呼叫 · List calls. Works while the node is down."""
    from huying.node.cli.call_document import listed_document
    from huying.node.cli.call_show import print_listed
    from huying.node.cli.offline import open_reads
    from huying.node.cli.output import print_json, print_note
    from huying.wire.v1 import api_pb2

    wanted = api_pb2.ListCallsRequest(
        department=department,
        open=open_,
        stage=_named(api_pb2.CallStage, stage, "--stage"),
        caller=caller,
        category=category,
        overdue=overdue,
        order=_named(api_pb2.CallOrder, by, "--by"),
        page_token=parse_page(page),
    )
    now_micros = time.time_ns() // 1000
    with open_reads(context.config(ctx)) as reads:
        found = reads.calls(wanted, limit, now_micros)
    documents = [listed_document(call, now_micros) for call in found.calls]
    following = found.next_page_token.hex()
    if as_json:
        print_json({"calls": documents, "next_page": following or None})
        return
    print_listed(documents)
    if not documents:
        print_note("没有符合条件的呼叫", "no call here is like that")
    if following:
        print_note(f"还有更多:--page {following}", "there is more")


def _named(enum: Any, name: str, option: str) -> Any:
    from huying.node.cli.call_options import choose

    return choose(enum, name, option)


def show(ctx: typer.Context, call: CallArgument, *, as_json: JsonOption = False) -> None:
    """查看一件呼叫的全过程 · Show a call with every step. Works while the node is down."""
    from huying.node.cli.call_document import call_document
    from huying.node.cli.call_show import print_call
    from huying.node.cli.offline import known_names, open_reader
    from huying.node.cli.output import print_json

    now_micros = time.time_ns() // 1000
    loaded = context.config(ctx)
    with open_reader(loaded) as reader:
        found = _read(reader, context.parse_hex(call, "CALL"))
        names = {} if as_json else known_names(loaded, reader)
    document = call_document(found, now_micros)
    if as_json:
        print_json(document)
    else:
        print_call(document, names)


def _read(reader: Any, call: bytes) -> api_pb2.CallView:
    from huying.node.api.reads import StoreReads

    return StoreReads(reader).call(call)
