"""`huying backup`: the whole node in one encrypted file."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from huying.node.cli import context
from huying.node.cli.context import JsonOption

if TYPE_CHECKING:
    from huying.node.backups.backup import BackupReport


class ConsoleChoice(enum.StrEnum):
    """The values of --console, as `huying.node.backups.console_state.ConsoleShare`."""

    ALL = "all"
    ACCOUNTS = "accounts"
    NONE = "none"


__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(backup)


def backup(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="备份文件,不得已存在 · The file; must not exist.")],
    console: Annotated[
        ConsoleChoice,
        typer.Option(
            help="网页账号与照片:全部、不含照片、都不含"
            " · The console's state: all, without its pictures, none of it."
        ),
    ] = ConsoleChoice.ALL,
    *,
    as_json: JsonOption = False,
) -> None:
    """加密备份,节点可在运行 · Back the node up into one encrypted file, also while it runs.

    The month's key lies in the folder of the setting [backup] keys: keep a copy of it elsewhere.
    Whoever deletes every copy of a month's key makes that month's backups unreadable; what was
    erased since is then erased in them, too.
    """
    import time

    from huying.node.backups.backup import back_up
    from huying.node.backups.console_state import ConsoleShare
    from huying.node.cli.output import print_json
    from huying.node.cli.progress import progress

    loaded = context.config(ctx)
    with progress("备份 · backup") as advance:
        share = ConsoleShare(console.value)
        report = back_up(loaded, file, time.time(), advance, share=share)
    document = {
        "file": str(report.file),
        "bytes": report.file_bytes,
        "database_bytes": report.database_bytes,
        "console_bytes": report.console_bytes,
        "pictures": report.pictures,
        "picture_bytes": report.picture_bytes,
        "files": report.files,
        "network": report.header.network,
        "code": report.header.code,
        "origin": report.header.origin,
        "size": report.header.size,
        "created": report.header.created,
        "period": report.header.period,
        "key": str(report.key.path),
        "key_id": report.header.key_id,
        "key_made": report.key.made,
    }
    if as_json:
        print_json(document)
    else:
        _print(report)
    _advise(report)


def _print(report: BackupReport) -> None:
    from huying.node.cli.output import count, print_pairs

    console = "—" if report.console_bytes is None else count(report.console_bytes)
    print_pairs(
        [
            ("备份 · backup", report.file),
            ("大小 · bytes", count(report.file_bytes)),
            ("数据流 · feed", f"{report.header.origin}, {count(report.header.size)}"),
            ("数据库 · database", count(report.database_bytes)),
            ("网页账号 · console.db", console),
            ("照片 · pictures", f"{count(report.pictures)}, {count(report.picture_bytes)}"),
            ("密钥 · key", f"{report.key.path} ({report.header.key_id})"),
        ]
    )


def _advise(report: BackupReport) -> None:
    from huying.node.cli.output import print_note

    path = report.key.path
    if report.key.made:
        print_note(
            f"本月密钥新建于 {path},请另存一份到别处;没有它,备份无法恢复",
            "a new key for this month: keep a copy of it elsewhere, no backup opens without it",
        )
    print_note(
        f"删除 {path.name} 的所有副本即销毁当月备份,其中此后擦除的内容随之消失",
        "deleting every copy of that key destroys the month's backups, and what was erased since",
    )
