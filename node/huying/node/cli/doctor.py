"""`huying doctor`: what may be wrong with this machine and this node, and what to do about it."""

from __future__ import annotations

import typer

from huying.common.errors import ADVICE, Code
from huying.node.cli import context
from huying.node.cli.context import JsonOption

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(doctor)


def doctor(ctx: typer.Context, *, as_json: JsonOption = False) -> None:
    """体检:时钟、磁盘、密钥、证书、上级、数据库 · Check clock, disk, keys, parent and store."""
    from huying.node.cli.checks import Outcome, examine
    from huying.node.cli.output import print_json, print_table

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
                        "advice_zh": finding.advice_zh,
                        "advice_en": finding.advice_en,
                    }
                    for finding in findings
                ],
            }
        )
    else:
        marks = {Outcome.OK: "正常 ok", Outcome.WARN: "注意 warn", Outcome.FAIL: "故障 FAIL"}
        print_table(
            ("项目 · check", "结果 · outcome", "情况 · finding", "怎么办 · what to do"),
            [
                (
                    finding.name,
                    marks[finding.outcome],
                    finding.detail,
                    f"{finding.advice_zh} {finding.advice_en}".strip(),
                )
                for finding in findings
            ],
        )
    if failed:
        raise typer.Exit(ADVICE[Code.STORE_FAILED].exit_code)
