"""`huying call export` and `huying call verify`: a call as files that prove themselves."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from huying.node.cli import context
from huying.node.cli.call_options import CallArgument, JsonOption

__all__ = ["COMMANDS"]


def export(
    ctx: typer.Context,
    call: CallArgument,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="DIR", help="新文件夹 · A folder to be made."),
    ],
    all_: Annotated[
        bool,
        typer.Option("--all", help="附上本节点持有的全部字段 · Every field that is held here."),
    ] = False,
    *,
    as_json: JsonOption = False,
) -> None:
    """导出一件呼叫的全部证明 · Export a call as proof files that verify offline.

    What all parties may read is shown; the caller's contact and internal notes are not, unless
    --all is given. Works while the node is down.
    """
    from huying.node.cli.call_folder import collect, write_folder
    from huying.node.cli.offline import feed_key, open_reader
    from huying.node.cli.output import print_command, print_json, print_note

    loaded = context.config(ctx)
    with open_reader(loaded) as reader:
        folder = collect(
            reader,
            context.parse_hex(call, "CALL"),
            by=loaded.node.code,
            now_micros=time.time_ns() // 1000,
            everything=all_,
        )
        keys = {origin: feed_key(loaded, reader, origin) for origin in folder.origins}
    write_folder(folder, output)
    if as_json:
        print_json({"call": call, "folder": str(output), "files": sorted(folder.files)})
        return
    if folder.missing:
        print_note(
            f"本节点缺步骤 {folder.missing},核对会指出",
            "steps are missing here, and verifying will say so",
        )
    print_note(f"已写入 {output},{len(folder.files)} 个文件;核对用", "written; verify it with:")
    options = [part for key in keys.values() for part in ("--key", key or "VKEY")]
    print_command(("huying", "call", "verify", str(output), *options))


def verify(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="导出的文件夹 · The folder.")],
    key: Annotated[
        list[str] | None,
        typer.Option(
            metavar="VKEY|FILE",
            help="写入节点的公钥或登记文件,至少应答方的 · Keys, at least the answering node's.",
        ),
    ] = None,
    witness: Annotated[
        list[str] | None,
        typer.Option(metavar="VKEY|FILE", help="须有其见证,可多次 · Who must have cosigned."),
    ] = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """离线核对导出的呼叫 · Verify an exported call; needs no node and no network."""
    from huying.node.cli.call_verify import print_report, verify_folder
    from huying.node.cli.output import print_json
    from huying.node.cli.verify import read_feed_keys, read_witnesses

    report = verify_folder(folder, read_feed_keys(key or []), read_witnesses(witness or []))
    if as_json:
        print_json(report)
    else:
        print_report(report)


COMMANDS = (("export", export), ("verify", verify))
