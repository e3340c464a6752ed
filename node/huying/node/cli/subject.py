"""`huying subject show`: what is held of a person, where it went, under which decision."""

from __future__ import annotations

from typing import Any, Final

import typer

from huying.node.cli import context
from huying.node.cli.context import JsonOption
from huying.node.cli.erase import RecordArgument

__all__ = ["group"]

_STATES: Final = {
    "present": "在本节点 held",
    "withheld": "未授 withheld",
    "erased": "已删除 erased",
    "lost": "已丢失 lost",
}
_KINDS: Final = {
    "erase": "删除 erase",
    "disclose": "披露 disclose",
    "receipt": "回执 receipt",
    "provide_asked": "申请提供 asked for",
    "provide": "提供 provided",
    "provide_denied": "拒绝提供 denied",
    "provide_withdrawn": "撤回提供 withdrawn",
    "provide_ended": "提供已到期 ended",
    "look": "查看 looked at",
}


def group() -> typer.Typer:
    """The group of commands."""
    made = typer.Typer(no_args_is_help=True, help="当事人:持有什么、给过谁 · What is held of whom.")
    made.command()(show)
    return made


def show(ctx: typer.Context, record: RecordArgument, *, as_json: JsonOption = False) -> None:
    """持有某人的什么、谁能看、给过谁、凭什么 · What is held of a record, and where it went."""
    from huying.node.cli.administer import administer
    from huying.node.cli.output import print_json
    from huying.wire.v1 import admin_pb2

    request = admin_pb2.ShowSubjectRequest(record=context.parse_hex(record, "RECORD_ID"))
    document = _document(administer(ctx, "ShowSubject", request))
    if as_json:
        print_json(document)
    else:
        _print(document)


def _document(found: Any) -> dict[str, Any]:
    from huying.node.api.types import type_name

    return {
        "record": found.record.hex(),
        "type": type_name(found.type),
        "home": found.home,
        "entries": [
            {
                "origin": entry.origin,
                "index": entry.index,
                "time_micros": entry.time_micros,
                "fields": [
                    {
                        "name": one.name,
                        "state": one.state,
                        "slot": f"{one.slot:#04x}",
                        "readers": list(one.readers),
                        "disclosed": list(one.disclosed),
                    }
                    for one in entry.fields
                ],
            }
            for entry in found.entries
        ],
        "decisions": [
            {
                "kind": one.kind,
                "origin": one.origin,
                "index": one.index,
                "time_micros": one.time_micros,
                "reason": one.reason,
                "parties": list(one.parties),
                "expires_micros": one.expires_micros or None,
            }
            for one in found.decisions
        ],
        "receipts_pending": list(found.receipts_pending),
        "related": [
            {
                "type": type_name(one.type),
                "home": one.home,
                "record": one.record.hex(),
                "time_micros": one.time_micros,
            }
            for one in found.related
        ],
    }


def _print(document: dict[str, Any]) -> None:
    from huying.node.cli.output import print_pairs, print_table, when

    print_pairs(
        [
            ("记录 · record", f"{document['type']} {document['record']}"),
            ("属于 · home", document["home"]),
            ("未回执 · not confirmed by", " ".join(document["receipts_pending"]) or "—"),
        ]
    )
    for entry in document["entries"]:
        print_pairs(
            [
                (
                    "版本 · version",
                    f"{entry['origin']} #{entry['index']}  {when(entry['time_micros'])}",
                )
            ]
        )
        print_table(
            ("字段 · field", "状态 · state", "按规则可读 · by rule", "经披露 · by disclosure"),
            [
                (
                    one["name"],
                    _STATES[one["state"]],
                    " ".join(one["readers"]) or "—",
                    " ".join(one["disclosed"]) or "—",
                )
                for one in entry["fields"]
            ],
        )
    if document["related"]:
        print_table(
            ("相关记录 · related", "类型 · type", "属于 · home", "时间 · time"),
            [
                (one["record"], one["type"], one["home"], when(one["time_micros"]))
                for one in document["related"]
            ],
        )
    if document["decisions"]:
        print_table(
            ("决定 · decision", "位置 · entry", "时间 · time", "对象 · parties", "理由 · reason"),
            [
                (
                    _KINDS[one["kind"]],
                    f"{one['origin']} #{one['index']}",
                    when(one["time_micros"]),
                    " ".join(one["parties"]) or "—",
                    one["reason"] + _until(one["expires_micros"]),
                )
                for one in document["decisions"]
            ],
        )


def _until(micros: int | None) -> str:
    from huying.node.cli.output import when

    return f"(至 until {when(micros)})" if micros else ""
