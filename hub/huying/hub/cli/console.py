"""`huying console`: the pages as a process, and the link that makes the first account."""

from __future__ import annotations

import socket
import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from huying.common.errors import Code, HuyingError
from huying.common.limits import SETUP_LINK_SECONDS
from huying.node.cli import context
from huying.node.cli.output import print_pairs

if TYPE_CHECKING:
    from huying.node.config import Config

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


def link(
    ctx: typer.Context,
    *,
    first: Annotated[bool, typer.Option("--first", hidden=True)] = False,
) -> None:
    """首次设置的一次性链接 · A one-time link that makes the first account."""
    from pathlib import Path

    from huying.node.web.app import origin_of
    from huying.node.web.certificate import fingerprint, tls_files

    config = context.config(ctx)
    hours = round(SETUP_LINK_SECONDS / 3600)
    address = _set_up_address(config)
    if address is None:
        raise HuyingError(
            Code.INVALID_ARGUMENT, "an administrator's account is there already: huying user list"
        )
    pairs = [
        ("首次设置 · set up", address),
        ("有效 · valid", f"一次,{hours} 小时内 · once, within {hours} hours"),
    ]
    if origin_of(config).startswith("https://") and not config.console.proxied:
        pairs.append(("证书指纹 · certificate", fingerprint(Path(tls_files(config)[1]))))
    if first:
        for name, value in pairs:
            print(f"{name}: {value}", file=sys.stderr)
    else:
        print_pairs(pairs)


def _set_up_address(config: Config) -> str | None:
    from huying.hub.web.site import PAGES
    from huying.node.web.access.setup_link import SetupLink
    from huying.node.web.app import origin_of
    from huying.node.web.store import ConsoleStore

    store = ConsoleStore.open(config.console_dir)
    try:
        token = SetupLink(store).issue(time.time())
    finally:
        store.close()
    if token is None:
        return None
    path = next(page.path for page in PAGES if page.name == "set-up")
    return origin_of(config) + path.replace("{token}", token)
