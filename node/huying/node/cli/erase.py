"""`huying erase` and `huying disclose`: what becomes of a record that stands."""

from __future__ import annotations

from typing import Annotated

import typer

from huying.node.cli import context
from huying.node.cli.context import JsonOption
from huying.node.cli.typed import parse_time

__all__ = ["RecordArgument", "register"]

RecordArgument = Annotated[
    str, typer.Argument(metavar="RECORD_ID", help="记录编号 · The record's id, hex or UUID.")
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(erase)
    app.command()(disclose)


def erase(
    ctx: typer.Context,
    record: RecordArgument,
    field: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="只删这个字段,可多次 · Just this field; repeatable."),
    ] = None,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="理由 · Why.")] = "",
    *,
    as_json: JsonOption = False,
) -> None:
    """删除本节点的一条记录,各级随之删除 · Erase a record of this node, at every holder.

    Value and salt are deleted in all versions of the record; every proof still passes. A field that
    shares its compartment with others is refused, with their names.
    """
    from huying.node.cli.administer import administer
    from huying.node.cli.output import count, print_json, print_pairs
    from huying.wire.v1 import admin_pb2

    record_id = context.parse_hex(record, "RECORD_ID")
    request = admin_pb2.EraseRequest(record=record_id, fields=field or [], reason=reason)
    found = administer(ctx, "Erase", request)
    if as_json:
        print_json(
            {
                "record": record_id.hex(),
                "index": found.index,
                "entries": found.entries,
                "openings": found.openings,
                "holders": list(found.holders),
            }
        )
        return
    print_pairs(
        [
            (
                "已删除 · erased",
                f"{count(found.entries)} 条 entries, {count(found.openings)} 格 openings",
            ),
            ("删除令 · statement", f"#{found.index}"),
            ("待回执 · to confirm", " ".join(found.holders) or "—"),
        ]
    )


def disclose(
    ctx: typer.Context,
    record: RecordArgument,
    field: Annotated[list[str], typer.Option(metavar="NAME", help="字段,可多次 · Repeatable.")],
    to: Annotated[
        list[str],
        typer.Option(metavar="CODE", help="给哪些节点,可多次 · The reading nodes; repeatable."),
    ],
    purpose: Annotated[str, typer.Option(metavar="TEXT", help="用途 · What for.")],
    expires: Annotated[
        str,
        typer.Option(metavar="TIME", help="到期,如 2026-12-31 或带时分 · Until when; for ever."),
    ] = "",
    authority: Annotated[str, typer.Option(metavar="TEXT", help="依据 · By which decision.")] = "",
    *,
    as_json: JsonOption = False,
) -> None:
    """向上下级披露一条记录的字段 · Open fields of a record's newest version to other nodes.

    The readers, and the nodes on the way to them, fetch what is opened and drop it when it expires.
    """
    from huying.node.cli.administer import administer
    from huying.node.cli.output import print_json, print_pairs
    from huying.wire.v1 import admin_pb2

    record_id = context.parse_hex(record, "RECORD_ID")
    request = admin_pb2.DiscloseRequest(
        record=record_id,
        fields=field,
        readers=to,
        purpose=purpose,
        expires_micros=parse_time(expires, "--expires") if expires else 0,
        authority=authority,
    )
    found = administer(ctx, "Disclose", request)
    if as_json:
        print_json({"record": record_id.hex(), "origin": found.origin, "index": found.index})
        return
    print_pairs(
        [("披露令 · statement", f"{found.origin} #{found.index}"), ("给 · to", " ".join(to))]
    )
