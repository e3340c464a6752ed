"""`huying restore`: a node from its backup."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from huying.node.cli.context import JsonOption

if TYPE_CHECKING:
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
        report = restore_node(file, data, keys_folder=keys, progress=advance)
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
            }
        )
    else:
        _print(report)
    _advise(report)


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
