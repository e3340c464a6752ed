"""`huying recover`: what a node that does not write waits for, and the last resort."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from huying.common.errors import Code, HuyingError
from huying.node.cli.context import JsonOption

if TYPE_CHECKING:
    from huying.wire.v1 import admin_pb2

__all__ = ["register"]

_STATES = {"live": "正常", "recovering": "正在恢复", "forked": "已分叉", "draining": "正在退出"}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(recover)


def recover(
    ctx: typer.Context,
    *,
    new_epoch: Annotated[
        bool,
        typer.Option("--new-epoch", help="放弃本期,换新密钥另起一期(最后手段) · The last resort."),
    ] = False,
    reason: Annotated[
        str, typer.Option("--reason", metavar="TEXT", help="原因,写入数据流 · Why; it is signed.")
    ] = "",
    as_json: JsonOption = False,
) -> None:
    """恢复进度:缺什么、问过谁 · What a recovering node lacks, whom it asked, what nobody held.

    It recovers by itself as soon as a neighbour shows what it needs. Where nobody ever will, or
    after a fork, --new-epoch goes on under another key; the parent's operator must accept that with
    huying roster accept.
    """
    from huying.node.cli.administer import administer
    from huying.wire.v1 import admin_pb2

    if new_epoch:
        _begin(ctx, reason, as_json)
        return
    if reason:
        raise HuyingError(Code.INVALID_ARGUMENT, "--reason: goes with --new-epoch")
    _show(administer(ctx, "ShowRecovery", admin_pb2.ShowRecoveryRequest()), as_json)


def _begin(ctx: typer.Context, reason: str, as_json: bool) -> None:
    from huying.node.cli.administer import administer
    from huying.node.cli.output import print_json, print_note, print_pairs
    from huying.wire.v1 import admin_pb2

    if not reason.strip():
        raise HuyingError(Code.INVALID_ARGUMENT, "--reason: missing; it is signed, for all to read")
    done = administer(ctx, "BeginEpoch", admin_pb2.BeginEpochRequest(reason=reason))
    if as_json:
        print_json(
            {
                "state": done.state,
                "origin": done.origin,
                "closed_origin": done.closed_origin,
                "closed_size": done.closed_size,
            }
        )
        return
    print_pairs(
        [
            ("新数据流 · feed", done.origin),
            ("已放弃 · given up", f"{done.closed_origin} ({done.closed_size})"),
            ("状态 · state", done.state),
        ]
    )
    if done.state == "waiting":
        print_note(
            "请上级管理员核实后执行 huying roster accept",
            "ask the parent's operator to run huying roster accept",
        )


def _show(found: admin_pb2.ShowRecoveryResponse, as_json: bool) -> None:
    from huying.node.cli.output import print_json, print_note, print_pairs, print_table

    document = _document(found)
    if as_json:
        print_json(document)
        return
    print_pairs(
        [
            ("数据流 · feed", found.origin),
            ("状态 · state", f"{_STATES.get(found.state, '')} {found.state}".strip()),
            *([("原因 · reason", found.reason)] if found.reason else []),
            ("持有 · held", found.held_size),
            ("水位 · mark", found.mark_size if found.has_mark else "缺失 missing"),
            ("至少需要 · needed", found.needed_size),
        ]
    )
    print_table(
        ("上下级 · neighbour", "在线 · linked", "已答 · heard", ">出示 · shows", "已补 · gave"),
        [
            (
                one.code,
                _yes(one.connected),
                _yes(one.heard),
                one.shown_size if one.heard else "—",
                _yes(one.answered),
            )
            for one in found.neighbours
        ],
    )
    if document["unreachable"]:
        start, stop = document["unreachable"]
        print_note(
            f"条目 {start} 至 {stop - 1} 可能已发出,目前无人出示",
            f"entries {start} to {stop - 1} may have left this node, and nobody shows them",
        )
    if found.lost:
        print_table(
            ("丢失的条目 · lost entries", "格 · slots"),
            [
                (f"{one['start']}–{one['stop'] - 1}", one["slots"] or "全部 all")
                for one in document["lost"]
            ],
        )


def _document(found: admin_pb2.ShowRecoveryResponse) -> dict[str, Any]:
    gap = found.unreachable
    return {
        "origin": found.origin,
        "state": found.state,
        "reason": found.reason,
        "held_size": found.held_size,
        "mark_size": found.mark_size if found.has_mark else None,
        "needed_size": found.needed_size,
        "neighbours": [
            {
                "code": one.code,
                "connected": one.connected,
                "heard": one.heard,
                "shown_size": one.shown_size,
                "answered": one.answered,
            }
            for one in found.neighbours
        ],
        "unreachable": [gap.start, gap.stop] if found.HasField("unreachable") else None,
        "lost": [
            {
                "start": one.start,
                "stop": one.stop,
                "slots": " ".join(f"0x{slot:02x}" for slot in one.slots if slot),
                "head": 0 in one.slots,
            }
            for one in found.lost
        ],
    }


def _yes(value: bool) -> str:
    return "是 yes" if value else "否 no"
