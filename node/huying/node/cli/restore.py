"""`huying restore`: a node from its backup."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from huying.common.errors import HuyingError
from huying.node.cli import context
from huying.node.cli.context import JsonOption

if TYPE_CHECKING:
    from huying.node.backups.console_state import ConsoleReport
    from huying.node.backups.restore import RestoreReport

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(restore)


def restore(
    file: Annotated[Path, typer.Argument(help="备份文件 · The backup.")],
    data: Annotated[
        Path,
        typer.Option(metavar="DIR", help="新文件夹,或已停止的节点 · New, or a stopped node's."),
    ],
    keys: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="备份密钥所在文件夹 · Folder of the period keys."),
    ] = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """从备份恢复节点 · Restore a node from its backup.

    The node's next start asks its neighbours for what it wrote after the backup, and writes nothing
    before it has that. The key is looked for in --keys, in the folder that HUYING_BACKUP_KEYS
    names, where it lay at the time, and beside the backup.
    """
    from huying.node.backups.restore import restore as restore_node
    from huying.node.cli.output import print_json
    from huying.node.cli.progress import progress

    with progress("恢复 · restore") as advance:
        report = restore_node(file, data, keys_folder=keys, actor=_actor(), progress=advance)
    if as_json:
        print_json(
            {
                "config": str(report.config.file),
                "code": report.header.code,
                "origin": report.header.origin,
                "size": report.header.size,
                "created": report.header.created,
                "database_bytes": report.database_bytes,
                "aside": None if report.aside is None else str(report.aside),
                "kept": [str(path) for path in report.kept],
                "settings_changed": list(report.moved),
                "console": _console_word(report.console),
                "console_aside": None
                if report.console.aside is None
                else str(report.console.aside),
                "pictures": report.console.pictures,
            }
        )
    else:
        _print(report)
    _advise(report)


def _actor() -> str:
    """Who restores, for the audit trail; a rescue system may know nobody."""
    try:
        return f"cli:{context.acting('')}"
    except HuyingError:
        return "-"


def _console_word(console: ConsoleReport) -> str:
    return "restored" if console.is_restored else "kept" if console.is_kept else "none"


def _print(report: RestoreReport) -> None:
    from huying.node.cli.output import count, division, print_pairs, when

    pairs: list[tuple[str, object]] = [
        ("节点 · node", division(report.config.node.name, report.header.code)),
        ("备份时间 · backed up", when(report.header.created * 1_000_000)),
        ("数据流 · feed", f"{report.header.origin}, {count(report.header.size)}"),
        ("配置 · configuration", report.config.file),
    ]
    if report.aside is not None:
        pairs.append(("原数据库 · old database", report.aside))
    words = {"restored": "已恢复 restored", "kept": "保留现有的 kept", "none": "备份里没有 none"}
    pairs.append(("网页账号 · console", words[_console_word(report.console)]))
    if report.console.aside is not None:
        pairs.append(("原账号库 · old console.db", report.console.aside))
    if report.console.pictures:
        pairs.append(("照片 · pictures", count(report.console.pictures)))
    pairs += [("保留原件 · kept", path) for path in report.kept]
    pairs += [("改用默认值 · now the default", name) for name in report.moved]
    pairs.append(("下一步 · next", f"huying --config {report.config.file} run"))
    print_pairs(pairs)


def _advise(report: RestoreReport) -> None:
    from huying.node.cli.output import print_note

    if report.aside is not None:
        print_note(
            f"原数据库仍在 {report.aside},其中还有此后擦除的内容;确认无误后请删除",
            "the old database still holds what was erased since: delete it once all is well",
        )
    if report.console.is_restored:
        print_note(
            "网页账号回到备份时:所有登录已失效;此后停用的人、改过的密码和权限也回到了当时,请逐一核对",
            "the accounts are those of the backup: every session is void; who was disabled since,"
            " and passwords and rights, are as they were then: go through them (huying user list)",
        )
