"""`huying quarantine`: entries that were kept opaque; judged again, or acknowledged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from huying.common.errors import Code, HuyingError
from huying.node.cli import context
from huying.node.cli.context import JsonOption

if TYPE_CHECKING:
    from huying.node.store.quarantine_queries import Quarantined
    from huying.node.store.reader import FileReader

__all__ = ["group"]

_OUTCOMES: Final = {
    "applied": "已生效 applied",
    "refused": "仍不合规 refused again",
    "bare": "只有叶子,无从判定 just its leaf is here",
}

FeedArgument = Annotated[
    str, typer.Argument(metavar="ORIGIN|CODE", help="哪个节点的数据流 · Whose feed.")
]
IndexArgument = Annotated[
    int, typer.Argument(min=0, metavar="INDEX", help="条目序号,从 0 起 · From 0.")
]


def group() -> typer.Typer:
    """The commands."""
    app = typer.Typer(help="被隔离的条目 · Entries kept opaque.", no_args_is_help=True)
    app.command(name="list")(list_)
    for command in (show, retry, skip):
        app.command()(command)
    return app


def list_(
    ctx: typer.Context,
    feed: Annotated[
        str, typer.Argument(metavar="[ORIGIN|CODE]", help="默认全部 · Whose feed; all.")
    ] = "",
    *,
    every: Annotated[
        bool, typer.Option("--all", help="连同已确认的 · Those that were acknowledged, too.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, help="至多多少条 · How many at most.")] = 100,
    page: Annotated[
        str, typer.Option("--page", metavar="TOKEN", help="上一页给出的 · Where to go on.")
    ] = "",
    as_json: JsonOption = False,
) -> None:
    """列出被隔离的条目及原因 · What is in quarantine, and why. Works while the node is down."""
    from huying.node.cli.offline import open_reader
    from huying.node.cli.output import print_json, print_note, print_table, when
    from huying.node.cli.prove import find_feed
    from huying.node.cli.typed import parse_page
    from huying.node.quarantine_view import fault_name, type_of

    with open_reader(context.config(ctx)) as reader:
        origin = find_feed(reader, feed).origin if feed else ""
        found = reader.list_quarantined(
            origin, waiting=None if every else True, token=parse_page(page), limit=limit
        )
    if as_json:
        entries = [_document(one) for one in found.rows]
        print_json({"entries": entries, "next_page": found.next_token.hex() or None})
        return
    if not found.rows:
        print_note("没有等待处理的隔离条目", "nothing in quarantine waits for anybody")
        return
    print_table(
        (
            "数据流 · feed",
            ">序号 · index",
            "类型 · type",
            "原因 · reason",
            "自 · since",
            "跳过 · skip",
        ),
        [
            (
                one.origin,
                one.index,
                type_of(one) or "—",
                " ".join(fault_name(fault.code) for fault in one.faults),
                when(round(one.faults[0].since * 1e6)),
                f"{one.skip.actor}: {one.skip.reason}" if one.skip else "",
            )
            for one in found.rows
        ],
    )
    if found.next_token:
        print_note("还有更多", f"more: --page {found.next_token.hex()}")


def show(
    ctx: typer.Context,
    feed: FeedArgument,
    index: IndexArgument,
    *,
    with_bytes: Annotated[
        bool,
        typer.Option(
            "--bytes", help="显示明文字节,可能含个人信息 · Openings too: may be personal."
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """查看一个被隔离的条目 · One entry in quarantine: reasons, what to do, head, compartments."""
    from huying.node.cli.offline import open_reader
    from huying.node.cli.output import print_json, print_pairs, print_table, when

    with open_reader(context.config(ctx)) as reader:
        found = _find(reader, feed, index)
    document = _document(found, with_bytes=with_bytes)
    if as_json:
        print_json(document)
        return
    pairs: list[tuple[str, object]] = [
        ("条目 · entry", f"{found.origin} #{index}"),
        ("叶子哈希 · leaf hash", document["leaf_hash"]),
        ("类型 · type", document["type"] or "—"),
    ]
    for fault in document["faults"]:
        pairs.append((fault["code"], fault["detail"] or "—"))
        pairs.append(("怎么办 · what to do", f"{fault['advice_zh']} · {fault['advice_en']}"))
    if found.skip is not None:
        at = when(round(found.skip.at * 1e6))
        pairs.append(("已确认 · skipped", f"{at} {found.skip.actor}: {found.skip.reason}"))
    print_pairs(pairs)
    if document["slots"]:
        print_table(
            ("分格 · slot", ">字节 · bytes", "内容 · hex"),
            [
                (one["slot"], "—" if one["bytes"] is None else one["bytes"], one["hex"] or "")
                for one in document["slots"]
            ],
        )


def retry(
    ctx: typer.Context,
    feed: FeedArgument,
    index: Annotated[
        int | None, typer.Argument(min=0, metavar="INDEX", help="默认全部 · Which; all of them.")
    ] = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """重新判定:按现在的程序、密钥与删除 · Judge again with the program and keys as they are now.

    What passes takes effect, once. What does not stays, and waits again even where it was skipped.
    Without INDEX, all of the feed that nobody has acknowledged.
    """
    from huying.common.limits import RETRIED_ENTRIES_MAX
    from huying.node.cli.administer import administer
    from huying.node.cli.output import print_json, print_note, print_table
    from huying.node.quarantine_view import fault_name
    from huying.wire.v1 import admin_pb2

    origin, indexes = _waiting(ctx, feed, index)
    entries: list[admin_pb2.RetriedEntry] = []
    for start in range(0, len(indexes), RETRIED_ENTRIES_MAX):
        batch = indexes[start : start + RETRIED_ENTRIES_MAX]
        request = admin_pb2.RetryQuarantinedRequest(origin=origin, indexes=batch)
        entries += administer(ctx, "RetryQuarantined", request).entries
    rows = [
        {
            "index": one.index,
            "state": one.state,
            "faults": [
                {"code": fault_name(each.code), "detail": each.detail} for each in one.faults
            ],
        }
        for one in entries
    ]
    if as_json:
        print_json({"origin": origin, "entries": rows})
    elif not rows:
        print_note("没有等待处理的隔离条目", "nothing in quarantine waits for anybody")
    else:
        print_table(
            (">序号 · index", "结果 · outcome", "原因 · reason"),
            [
                (
                    one.index,
                    _OUTCOMES.get(one.state, one.state),
                    "; ".join(f"{fault_name(each.code)} {each.detail}" for each in one.faults),
                )
                for one in entries
            ],
        )


def skip(
    ctx: typer.Context,
    feed: FeedArgument,
    index: IndexArgument,
    reason: Annotated[
        str, typer.Option("--reason", metavar="TEXT", help="为什么可以跳过 · Why; it is kept.")
    ],
    actor: Annotated[
        str, typer.Option(metavar="NAME", help="经办人代号 · Who says so; this account.")
    ] = "",
    *,
    as_json: JsonOption = False,
) -> None:
    """确认并跳过:条目原样保留,不再计为等待 · Acknowledge one: it stays, and waits no more."""
    from huying.node.cli.administer import administer
    from huying.node.cli.offline import open_reader
    from huying.node.cli.output import print_json, print_pairs
    from huying.wire.v1 import admin_pb2

    with open_reader(context.config(ctx)) as reader:
        origin = _find(reader, feed, index).origin
    request = admin_pb2.SkipQuarantinedRequest(
        origin=origin, index=index, reason=reason, actor=context.acting(actor)
    )
    done = administer(ctx, "SkipQuarantined", request)
    if as_json:
        print_json({"origin": origin, "index": index, "state": done.state})
        return
    print_pairs([("条目 · entry", f"{origin} #{index}"), ("状态 · state", done.state)])


def _find(reader: FileReader, feed: str, index: int) -> Quarantined:
    """Raises HuyingError(NOT_FOUND)."""
    from huying.node.cli.prove import find_feed

    origin = find_feed(reader, feed).origin
    found = reader.find_quarantined(origin, index)
    if found is None:
        raise HuyingError(Code.NOT_FOUND, f"entry {index} of {origin} is not in quarantine")
    return found


def _waiting(ctx: typer.Context, feed: str, index: int | None) -> tuple[str, list[int]]:
    """The feed's origin, and the one entry named or all that wait."""
    from huying.common.limits import LIST_ENTRIES_MAX
    from huying.node.cli.offline import open_reader
    from huying.node.cli.prove import find_feed

    with open_reader(context.config(ctx)) as reader:
        origin = find_feed(reader, feed).origin
        if index is not None:
            return origin, [index]
        indexes: list[int] = []
        token = b""
        while True:
            page = reader.list_quarantined(
                origin, waiting=True, token=token, limit=LIST_ENTRIES_MAX
            )
            indexes += [one.index for one in page.rows]
            token = page.next_token
            if not token:
                return origin, indexes


def _document(found: Quarantined, *, with_bytes: bool = False) -> dict[str, Any]:
    from huying.node.quarantine_view import advice_of, fault_name, hash_of, slots_of, type_of

    return {
        "origin": found.origin,
        "index": found.index,
        "type": type_of(found) or None,
        "leaf_hash": hash_of(found).hex(),
        "faults": [
            {
                "code": fault_name(one.code),
                "detail": one.detail,
                "since": one.since,
                "advice_zh": advice_of(one.code).zh,
                "advice_en": advice_of(one.code).en,
            }
            for one in found.faults
        ],
        "skipped": None
        if found.skip is None
        else {"at": found.skip.at, "actor": found.skip.actor, "reason": found.skip.reason},
        "slots": [
            {
                "slot": f"{one.slot:#04x}",
                "bytes": None if one.opening is None else len(one.opening),
                "hex": one.opening.hex()
                if one.opening is not None and (with_bytes or one.is_head)
                else None,
            }
            for one in slots_of(found)
        ],
    }
