"""`huying init`: make the root of a network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from huying.node.cli.context import JsonOption

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(init)


def init(
    folder: Annotated[Path, typer.Argument(help="新节点的文件夹 · The new node's folder.")],
    network: Annotated[str, typer.Option(help="网络名 · The network, e.g. wenshang.example.")],
    code: Annotated[str, typer.Option(help="统计用区划代码,12 位 · Division code, 12 digits.")],
    name: Annotated[str, typer.Option(help="区划名称 · Name of the division.")],
    sync_listen: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT", help="供下级连接的地址;没有下级则不填 · Where children dial in."
        ),
    ] = None,
    sync_advertise: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="下级应拨的地址 · The address they are told."),
    ] = None,
    api_listen: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="本机接口地址 · The API, on loopback.")
    ] = "127.0.0.1:7401",
    metrics_listen: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="指标地址 · Where /metrics and /healthz listen."),
    ] = None,
    console_listen: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="网页控制台地址 · Where the pages are served."),
    ] = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """新建根节点(县):密钥、证书、配置 · Make a root node, the county's: keys and configuration.

    Every node below it joins with a token: roster invite there, join here.
    """
    from huying.node.cli.output import print_json, print_pairs
    from huying.node.membership.enrol import init_node

    made = init_node(
        folder,
        network=network,
        code=code,
        name=name,
        sync_listen=sync_listen,
        sync_advertise=sync_advertise,
        api_listen=api_listen,
        metrics_listen=metrics_listen,
        console_listen=console_listen,
    )
    shown = {
        "config": str(made.config.file),
        "code": made.pin.code,
        "name": made.pin.name,
        "verifier_key": made.pin.feed_key,
        "witness_key": made.pin.witness_key,
    }
    if as_json:
        print_json(shown)
        return
    print_pairs(
        [
            ("配置 · configuration", shown["config"]),
            ("节点 · node", f"{made.pin.name} {made.pin.code}"),
            ("公钥 · verifier key", shown["verifier_key"]),
            ("见证公钥 · witness key", shown["witness_key"]),
            ("下一步 · next", f"huying --config {shown['config']} run"),
        ]
    )
