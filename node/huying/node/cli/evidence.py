"""`huying feed evidence`: the two notes of one origin that can't both be true."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from huying.common.errors import Code, HuyingError
from huying.node.cli import context
from huying.node.cli.context import JsonOption

__all__ = ["evidence"]


def evidence(
    ctx: typer.Context,
    feed: Annotated[
        str,
        typer.Argument(metavar="[ORIGIN|CODE]", help="哪个节点的数据流,默认全部 · Whose; all."),
    ] = "",
    *,
    as_json: JsonOption = False,
) -> None:
    """打印分叉证据:两份互相矛盾的签名检查点 · Print the two signed notes that can't both be true.

    Byte for byte, the smaller first; where their sizes differ, --json adds the hashes that prove
    it. Reads the store, so it works while the node is down. Ends with FORK where there is any.
    """
    from huying.common.codes import parse_origin
    from huying.node.cli.offline import open_reader
    from huying.node.cli.output import print_bytes, print_json, print_note

    with open_reader(context.config(ctx)) as reader:
        named = [
            one for one in reader.feeds() if feed in ("", one.origin, parse_origin(one.origin).code)
        ]
        if feed and not named:
            raise HuyingError(Code.NOT_FOUND, f"no feed {feed[:128]} here; see: huying feed list")
        feeds = [one for one in named if one.frozen]
        found = [_document(one.origin, one.frozen) for one in feeds]
    if as_json:
        print_json({"forks": found})
    elif not found:
        print_note("没有分叉的数据流", "no feed here is forked")
    else:
        print_bytes(b"\n".join(_notes(one.frozen) for one in feeds))
    if found:
        raise HuyingError(Code.FORK, ", ".join(one["origin"] for one in found))


def _notes(frozen: bytes) -> bytes:
    from huying.common.integrity.evidence import ForkEvidence

    kept = ForkEvidence.decode(frozen)
    return kept.first + b"\n" + kept.second


def _document(origin: str, frozen: bytes) -> dict[str, Any]:
    from huying.common.feed.checkpoint import parse_checkpoint
    from huying.common.feed.note import parse_note
    from huying.common.integrity.evidence import ForkEvidence

    kept = ForkEvidence.decode(frozen)
    sizes = [parse_checkpoint(parse_note(note).text).size for note in (kept.first, kept.second)]
    return {
        "origin": origin,
        "sizes": sizes,
        "notes": [kept.first.decode(), kept.second.decode()],
        "prefix": kept.prefix.hex(),
        "suffix": kept.suffix.hex(),
    }
