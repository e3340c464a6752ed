"""`huying doctor`: what may be wrong with this machine and this node, and what to do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import typer

from huying.node.cli import context
from huying.node.cli.context import JsonOption

if TYPE_CHECKING:
    from huying.node.cli.finding import Finding

__all__ = ["register"]

_MARKS: Final = {"ok": "正常 ok", "warn": "注意 warn", "fail": "故障 FAIL"}
_NAMES: Final = {
    "versions": "版本",
    "clock": "时钟",
    "disk": "磁盘",
    "keys": "密钥",
    "certificate": "证书",
    "store": "数据库",
    "sqlite": "数据库引擎",
    "mark": "高水位标记",
    "erasures": "删除清单",
    "backup": "备份",
    "ports": "端口",
    "parent": "上级",
    "node": "节点",
    "roster": "名册",
}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(doctor)


def doctor(ctx: typer.Context, *, as_json: JsonOption = False) -> None:
    """体检:时钟、磁盘、密钥、证书、上级、数据库 · Check clock, disk, keys, parent and store.

    It changes nothing. Warnings leave the exit code at 0; the first failure decides it.
    """
    from huying.node.cli.checks import examine
    from huying.node.cli.finding import Outcome, exit_code
    from huying.node.cli.output import print_json

    findings = examine(context.config(ctx))
    failed = any(finding.outcome is Outcome.FAIL for finding in findings)
    if as_json:
        print_json(
            {
                "ok": not failed,
                "checks": [
                    {
                        "name": finding.name,
                        "outcome": finding.outcome.value,
                        "detail": finding.detail,
                        "detail_zh": finding.detail_zh,
                        "advice_zh": finding.advice_zh,
                        "advice_en": finding.advice_en,
                    }
                    for finding in findings
                ],
            }
        )
    else:
        for finding in findings:
            _print(finding)
    if failed:
        raise typer.Exit(exit_code(findings))


def _print(finding: Finding) -> None:
    """A block of lines, which a narrow terminal breaks as it does a text: Chinese, then English."""
    from huying.node.cli.output import print_block

    name = f"{_NAMES.get(finding.name, '')} {finding.name}".strip()
    lines = [
        finding.detail_zh,
        finding.advice_zh and f"怎么办:{finding.advice_zh}",
        finding.detail,
        finding.advice_en and f"what to do: {finding.advice_en}",
    ]
    print_block(f"{_MARKS[finding.outcome.value]}  {name}", filter(None, lines))
