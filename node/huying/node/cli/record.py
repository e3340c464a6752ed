"""`huying record put|get|list`: the node's own records, and what it may read of others'."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from huying.common.errors import Code, HuyingError
from huying.node.cli import context
from huying.node.cli.context import JsonOption
from huying.node.cli.typed import parse_page

if TYPE_CHECKING:
    from google.protobuf.message import Message

__all__ = ["group"]


_TypeArgument = Annotated[
    str,
    typer.Argument(
        metavar="TYPE",
        help="类型 · division, grid, grid_worker, household, resident, visit, event, …",
    ),
]
_HomeOption = Annotated[
    str, typer.Option(metavar="CODE", help="记录所属节点的区划代码 · The node it belongs to.")
]


def group() -> typer.Typer:
    """The group of commands."""
    made = typer.Typer(
        no_args_is_help=True, help="记录:写入、查看、列出 · Write, show, list records."
    )
    made.command()(put)
    made.command()(get)
    made.command(name="list")(list_)
    return made


def put(
    ctx: typer.Context,
    type_: _TypeArgument,
    json_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="JSON 文件,- 为标准输入 · The fields as a JSON object."),
    ] = None,
    field: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="一个字段,可多次 · One field; repeat for more."),
    ] = None,
    record: Annotated[
        str, typer.Option(metavar="HEX", help="已有记录的编号;新记录不填 · Id; none: a new one.")
    ] = "",
    request_id: Annotated[
        str,
        typer.Option(metavar="HEX", help="请求编号,重发不会重复写入 · A repeat writes nothing."),
    ] = "",
    delete: Annotated[bool, typer.Option("--delete", help="终结该记录 · End the record.")] = False,
    *,
    as_json: JsonOption = False,
) -> None:
    """写入一条记录,返回时已落盘 · Write one record; it is durable when this returns.

    A put replaces the record's whole state. Values: text, whole numbers, true or false, hex for
    bytes, and short names (reported, settled, called) where the field is one of a list.
    """
    from huying.node.api.types import message_class, type_number
    from huying.node.cli.output import print_json, print_pairs
    from huying.node.cli.render import receipt_document
    from huying.wire.v1 import api_pb2, feed_pb2

    number = type_number(type_)
    known = message_class(number)
    assert known is not None, "type_number knows just what has a message"
    message = _message(known, json_file, field or [])
    draft = api_pb2.Draft(
        kind=feed_pb2.KIND_DELETE if delete else feed_pb2.KIND_PUT,
        type=number,
        record=context.parse_hex(record, "--record") if record else b"",
        message=message.SerializeToString(),
        request_id=context.parse_hex(request_id, "--request-id") if request_id else b"",
    )
    with context.client(context.config(ctx)) as client:
        try:
            (receipt,) = client.append(api_pb2.AppendRequest(drafts=[draft])).receipts
        except HuyingError as error:
            if error.code is not Code.TYPE_NOT_ALLOWED:
                raise
            # In a feed that is a fault of its writer's; here nothing was written, and the request
            # is at fault.
            detail = f"TYPE: {error.detail}; {_writers(number)}"
            raise HuyingError(Code.INVALID_ARGUMENT, detail) from None
    if as_json:
        print_json(receipt_document(receipt))
        return
    print_pairs(
        [
            ("记录 · record", receipt.record.hex()),
            ("位置 · entry", f"{receipt.origin} #{receipt.index}"),
            *(
                [("重复请求 · repeated", "已写过 written before")]
                if receipt.repeated_request
                else []
            ),
        ]
    )


def _writers(number: int) -> str:
    """Who writes records of this type, and with which command."""
    from huying.common.codes import Level
    from huying.common.records.registry import REGISTRY
    from huying.wire.v1 import feed_pb2

    commands: dict[int, str] = {
        feed_pb2.RECORD_TYPE_MEMBER: "write one with: huying init",
        feed_pb2.RECORD_TYPE_CALL_STEP: "write one with: huying call",
        feed_pb2.RECORD_TYPE_CALL: "write one at a town with: huying call raise",
    }
    levels = (Level(level).name.lower() for level in sorted(REGISTRY[number].levels))
    return commands.get(number, f"nodes that write it: {', '.join(levels)}")


def _message(known: type[Message], json_file: Path | None, pairs: list[str]) -> Message:
    """The record from a file and from fields, which come last. Raises INVALID_ARGUMENT."""
    from huying.common.records.registry import with_public_text
    from huying.node.cli.output import print_note
    from huying.node.cli.plain import from_plain, parse_fields
    from huying.wire.v1 import records_pb2

    plain: dict[str, Any] = {} if json_file is None else _read_json(json_file)
    plain.update(parse_fields(known, pairs))
    message = from_plain(known, plain)
    if isinstance(message, records_pb2.Event) and message.description_full:
        masked = with_public_text(message)
        if masked.description_public != message.description_public:
            # The writer sees what will travel before anybody else does.
            print_note(
                f"对外文字(已遮蔽号码):{masked.description_public}", "the text that travels, masked"
            )
        return masked
    return message


def _read_json(path: Path) -> dict[str, Any]:
    import json

    from huying.common.limits import ENTRY_BYTES_MAX

    # Escapes make JSON longer than what it says; four times the entry's limit is ample.
    bytes_max = 4 * ENTRY_BYTES_MAX
    try:
        if str(path) == "-":
            data = sys.stdin.buffer.read(bytes_max + 1)
        else:
            with path.open("rb") as file:
                data = file.read(bytes_max + 1)
    except OSError as error:
        raise HuyingError(Code.INVALID_ARGUMENT, f"--json-file: {error.strerror}") from None
    if len(data) > bytes_max:
        raise HuyingError(Code.ENTRY_TOO_LARGE, f"--json-file: over {bytes_max} bytes")
    try:
        plain = json.loads(data)
    except (ValueError, RecursionError):
        raise HuyingError(Code.INVALID_ARGUMENT, "--json-file: not JSON in UTF-8") from None
    if not isinstance(plain, dict):
        raise HuyingError(Code.INVALID_ARGUMENT, "--json-file: one JSON object")
    return plain


def get(
    ctx: typer.Context,
    type_: _TypeArgument,
    record: Annotated[str, typer.Argument(metavar="ID", help="记录编号 · Its id, hex or UUID.")],
    home: _HomeOption = "",
    *,
    as_json: JsonOption = False,
) -> None:
    """查看一条记录 · Show one record as far as this node holds it.

    Reads the store, so it works while the node is down. What is withheld is named.
    """
    from huying.node.api.types import type_number
    from huying.node.cli.offline import open_reads
    from huying.node.cli.output import print_json, print_pairs, readable, when
    from huying.node.cli.render import record_document

    loaded = context.config(ctx)
    with open_reads(loaded) as reads:
        found = reads.record(
            type_number(type_), home or loaded.node.code, context.parse_hex(record, "ID")
        )
    document = record_document(found)
    if as_json:
        print_json(document)
        return
    print_pairs(
        [
            ("记录 · record", f"{document['type']} {document['record']}"),
            ("属于 · home", document["home"]),
            ("位置 · entry", f"{found.origin} #{found.index}"),
            ("写入 · written", when(found.time_micros)),
            *readable((document["fields"] or {}).items()),
            *((name, "〔未授予 withheld〕") for name in document["withheld"]),
            *((name, "〔已删除 erased〕") for name in document["erased"]),
            *((name, "〔已丢失 lost〕") for name in document["lost"]),
        ]
    )


def list_(
    ctx: typer.Context,
    type_: _TypeArgument,
    home: _HomeOption = "",
    grid: Annotated[
        str, typer.Option(metavar="CODE", help="网格代码,15 位 · A grid, 15 digits.")
    ] = "",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="条数 · How many.")] = 100,
    page: Annotated[
        str, typer.Option(metavar="TOKEN", help="上一页给出的续页标记 · From the page before.")
    ] = "",
    *,
    as_json: JsonOption = False,
) -> None:
    """列出记录 · List records, a page at a time. Works while the node is down."""
    from huying.common.codes import parse_code, parse_grid
    from huying.node.api.types import type_number
    from huying.node.cli.offline import open_reads
    from huying.node.cli.output import print_json, print_note
    from huying.node.cli.render import record_document

    if home:
        parse_code(home, "--home")
    if grid:
        parse_grid(grid, "--grid")
    token = parse_page(page)
    with open_reads(context.config(ctx)) as reads:
        found = reads.records(type_number(type_), home, grid, limit, token)
    documents = [record_document(record) for record in found.records]
    following = found.next_page_token.hex()
    if as_json:
        print_json({"records": documents, "next_page": following or None})
        return
    for each in documents:
        _print_listed(each)
    if not documents:
        print_note("没有这样的记录", "no such record here")
    if following:
        print_note(f"还有更多:--page {following}", "there is more")


def _print_listed(document: dict[str, Any]) -> None:
    from huying.node.cli.output import print_block, readable

    fields = "  ".join(f"{n}={v}" for n, v in readable((document["fields"] or {}).items()))
    withheld = " ".join(document["withheld"])
    erased = " ".join(document["erased"])
    print_block(
        f"{document['record']}  {document['home']} #{document['index']}",
        [
            *filter(
                None,
                [
                    fields,
                    withheld and f"未授 withheld: {withheld}",
                    erased and f"已删除 erased: {erased}",
                ],
            )
        ],
    )
