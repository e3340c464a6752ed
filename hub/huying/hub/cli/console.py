"""`huying console`: the pages as a process, and the link that makes the first account."""

from __future__ import annotations

import socket
from typing import Annotated

import typer

from huying.node.cli import context
from huying.node.cli.output import print_pairs

__all__ = ["group"]


def group() -> typer.Typer:
    """The commands."""
    app = typer.Typer(no_args_is_help=True, help="网页控制台 · The console: pages in a browser.")
    app.command()(serve)
    app.command()(link)
    return app


def serve(
    ctx: typer.Context,
    fd: Annotated[
        int | None,
        typer.Option(help="节点交来的套接字 · A listening socket that the node passed on."),
    ] = None,
) -> None:
    """提供网页;通常由节点自行启动 · Serve the pages; the node starts this by itself.

    Run by hand, or as a service, with console.by_node = false.
    """
    from huying.hub.web.server import serve as serve_pages
    from huying.node.web.app import origin_of
    from huying.node.web.launcher import listen

    config = context.config(ctx)
    origin_of(config)  # refuses where there is no address
    if fd is not None:
        listener = socket.socket(fileno=fd)
    else:
        assert config.console.listen is not None, "an origin needs it"
        listener = listen(config.console.listen)
    raise typer.Exit(serve_pages(config, listener, with_parent=fd is not None))


def link(ctx: typer.Context) -> None:
    """首次设置的一次性链接 · A one-time link that makes the first account."""
    from pathlib import Path

    from huying.node.web.app import origin_of
    from huying.node.web.certificate import fingerprint, tls_files
    from huying.node.web.setup_link import issue_link

    config = context.config(ctx)
    origin = origin_of(config)
    pairs = [("打开 · open", issue_link(config, origin))]
    if origin.startswith("https://") and not config.console.proxied:
        pairs.append(("证书指纹 · certificate", fingerprint(Path(tls_files(config)[1]))))
    print_pairs(pairs)
