"""`huying feed list|head|show|prove|verify|compare`: the signed feeds, read from the store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from huying.common.errors import Code, HuyingError
from huying.node.cli import context
from huying.node.cli.compare import compare
from huying.node.cli.context import JsonOption
from huying.node.cli.evidence import evidence

if TYPE_CHECKING:
    from huying.common.state import FeedState

__all__ = ["group"]


_FeedOption = Annotated[
    str,
    typer.Option("--feed", metavar="CODE", help="哪个节点的数据流,默认本节点 · Whose feed; own."),
]


def group() -> typer.Typer:
    """The group of commands."""
    made = typer.Typer(
        no_args_is_help=True,
        help="数据流:列出、头、条目、证明、验证 · The signed feeds and their proofs.",
    )
    made.command(name="list")(list_)
    made.command()(head)
    made.command()(show)
    made.command()(prove)
    made.command()(verify)
    made.command()(compare)
    made.command()(evidence)
    return made


def list_(ctx: typer.Context, *, as_json: JsonOption = False) -> None:
    """列出本节点持有的数据流 · List the feeds held here."""
    from huying.node.cli.offline import open_reader
    from huying.node.cli.output import count, print_json, print_table

    with open_reader(context.config(ctx)) as reader:
        documents = [_feed_document(feed) for feed in reader.feeds()]
    if as_json:
        print_json({"feeds": documents})
        return
    print_table(
        ("数据流 · feed", ">条目 · entries", ">已签 · signed", ">已见证 · cosigned", "根 · root"),
        [
            (
                each["origin"],
                count(each["size"]),
                count(each["head_size"]),
                count(each["cosigned_size"]) if each["cosigned_size"] else "—",
                "冻结 frozen" if each["frozen"] else each["root"][:16] + "…",
            )
            for each in documents
        ],
    )


def _feed_document(feed: FeedState) -> dict[str, Any]:
    from huying.common.codes import parse_origin
    from huying.common.feed.merkle import CompactRange, root

    cosigned = (point.size for point in (feed.witnessed, feed.cosigned) if point is not None)
    origin = parse_origin(feed.origin)
    return {
        "origin": feed.origin,
        "code": origin.code,
        "epoch": origin.epoch,
        "size": feed.size,
        "root": root(CompactRange(0, feed.size, feed.frontier)).hex(),
        "head_size": feed.head.size if feed.head is not None else 0,
        "cosigned_size": max(cosigned, default=0),
        "openings_held": feed.openings_held,
        "openings_withheld": feed.openings_withheld,
        "entries_hidden": feed.entries_hidden,
        "quarantined": feed.quarantined,
        "frozen": bool(feed.frozen),
    }


def head(
    ctx: typer.Context,
    feed: Annotated[
        str,
        typer.Argument(metavar="[ORIGIN|CODE]", help="哪个节点的数据流,默认本节点 · Whose; own."),
    ] = "",
    *,
    as_json: JsonOption = False,
) -> None:
    """打印最新检查点原文 · Print the newest checkpoint, a C2SP signed note, byte for byte."""
    from huying.node.cli.offline import open_reader
    from huying.node.cli.output import print_bytes, print_json, print_note
    from huying.node.cli.prove import find_feed, has_written, head_note

    loaded = context.config(ctx)
    with open_reader(loaded) as reader:
        if feed in ("", loaded.node.code) and not has_written(reader, loaded.node.code):
            print_note("还没有写过", "nothing written yet")
            raise HuyingError(Code.NOT_FOUND, f"{loaded.node.code}: nothing written yet")
        found = find_feed(reader, feed or loaded.node.code)
    note = head_note(found)
    if not as_json:
        print_bytes(note)
        return
    assert found.head is not None, "it has a note"
    print_json(
        {
            "origin": found.origin,
            "size": found.head.size,
            "root": found.head.root.hex(),
            "note": note.decode(),
        }
    )


def show(
    ctx: typer.Context,
    index: Annotated[int, typer.Argument(min=0, metavar="INDEX", help="条目序号 · From 0.")],
    feed: _FeedOption = "",
    *,
    as_json: JsonOption = False,
) -> None:
    """查看一个条目:头、可见字段、各分格 · Show an entry: head, visible fields, compartments."""
    from huying.common.feed.leaf import unpack_openings
    from huying.common.feed.merkle import leaf_hash
    from huying.node.api.entries import view_entry
    from huying.node.cli.entry_text import print_entry
    from huying.node.cli.offline import open_reader
    from huying.node.cli.output import print_json
    from huying.node.cli.prove import find_feed, read_entry
    from huying.node.cli.render import entry_document
    from huying.node.store.replay import erased_of

    loaded = context.config(ctx)
    with open_reader(loaded) as reader:
        found = find_feed(reader, feed or loaded.node.code)
        entry = read_entry(reader, found, index)
        faults = reader.quarantined(found.feed_id, index, index + 1)
        erased = erased_of(reader, found.origin).at(index)
    document: dict[str, Any] = {
        "origin": found.origin,
        "index": index,
        "leaf_hash": (leaf_hash(entry.leaf) if entry.leaf else entry.leaf_hash or b"").hex(),
        "withheld_whole": entry.leaf is None,
        "quarantined": [
            {"code": _code_name(code), "detail": detail} for _, code, detail, _ in faults
        ],
        "entry": None,
    }
    if entry.leaf is not None:
        try:
            openings = unpack_openings(entry.openings)
            view = view_entry(found.origin, entry.leaf, openings, erased)
            document["entry"] = entry_document(view)
        except HuyingError as error:
            if error.code is not Code.BAD_LEAF:
                raise
    if as_json:
        print_json(document)
    else:
        print_entry(document)


def _code_name(number: int) -> str:
    try:
        return Code(number).name
    except ValueError:
        return str(number)


def prove(
    ctx: typer.Context,
    index: Annotated[int, typer.Argument(min=0, metavar="INDEX", help="条目序号 · From 0.")],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FILE", help="证明文件,- 为标准输出 · Proof file."),
    ],
    feed: _FeedOption = "",
    open_: Annotated[
        list[str] | None,
        typer.Option(
            "--open",
            metavar="SLOT|FIELD|all",
            help="附上明文的分格;不写只附头 · A part to show; none: just the head.",
        ),
    ] = None,
) -> None:
    """出具证明文件 · Write a proof of one entry (c2sp.org/tlog-proof@v1), verifiable offline.

    Just the head is shown unless --open names more: whoever gets the file can pass it on, so a
    proof never discloses a field that nobody asked to disclose. The head tells type, id and time.
    """
    from huying.node.cli.offline import feed_key, open_reader
    from huying.node.cli.output import print_bytes, print_command, print_note
    from huying.node.cli.prove import find_feed, make_proof

    loaded = context.config(ctx)
    with open_reader(loaded) as reader:
        found = find_feed(reader, feed or loaded.node.code)
        data = make_proof(reader, found, index, open_ or [])
        key = feed_key(loaded, reader, found.origin)
    if str(output) == "-":
        print_bytes(data)
        return
    try:
        output.write_bytes(data)
    except OSError as error:
        raise HuyingError(Code.INVALID_ARGUMENT, f"{output}: {error.strerror}") from None
    print_note(f"已写入 {output},核对用", "verify it with:")
    print_command(("huying", "feed", "verify", str(output), "--key", key or "VKEY"))


def verify(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="证明文件 · The proof file.")],
    key: Annotated[
        str, typer.Option(metavar="VKEY", help="写入节点的公钥 · Verifier key of the origin.")
    ] = "",
    pin: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="或其登记文件 · Or its pin file, which holds the key."),
    ] = None,
    witness: Annotated[
        list[str] | None,
        typer.Option(
            metavar="VKEY|FILE",
            help="须有其见证,可多次 · Who must have cosigned: a key, or a pin file.",
        ),
    ] = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """离线验证证明文件 · Verify a proof file; needs no node, no database, no network."""
    from huying.node.cli.entry_text import print_verified
    from huying.node.cli.output import print_json
    from huying.node.cli.verify import read_keys, verify_file

    document = verify_file(file, *read_keys(key, pin, witness or []))
    if as_json:
        print_json(document)
    else:
        print_verified(document)
