"""The console's process: everything put together, and served until nobody asks any more.

uvicorn serves the socket that the node passed on (`--fd`), or one of its own. The process ends at
SIGTERM, when its standard input closes (the node has gone), or when it was idle for
`console.stay_minutes`; sessions and drafts are in the database, so nobody notices.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import signal
import socket
import ssl
import sys
from collections.abc import Iterator
from typing import Final

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from huying.common.codes import Level
from huying.common.errors import EXIT_OK
from huying.common.ports import Clock
from huying.hub.web.connections import PromptConnection, take_over_log
from huying.hub.web.listener import CONNECTIONS_MAX, SharedListener
from huying.hub.web.order_runs import runs_of
from huying.hub.web.site import PAGES, STATIC, TEMPLATES
from huying.node import logs, memory
from huying.node.background import end_task
from huying.node.clock import SystemClock
from huying.node.config import Config
from huying.node.web.app import Site, build
from huying.node.web.certificate import tls_files
from huying.node.web.node_link import NodeLink
from huying.node.web.ready import get_ready, prepare_templates
from huying.node.web.store import ConsoleStore

__all__ = ["TLS_CIPHERS", "is_idle", "make_app", "make_site", "restrict", "serve"]

_LOOK_SECONDS: Final = 5.0
_GRACE_SECONDS: Final = 2
_KEEP_ALIVE_SECONDS: Final = 15
_OTHER_FILES_MAX: Final = 512  # that are open beside the connections
_HEADER_BYTES_MAX: Final = 32 * 1024
# Of TLS 1.2, which old handsets still speak: forward secrecy and authenticated encryption alone.
TLS_CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"


def make_site(
    config: Config, store: ConsoleStore, *, clock: Clock, api_address: str | None = None
) -> Site:
    """The site of a node, with every page there is. Raises HuyingError(CONFIG)."""
    site = Site(
        config,
        pages=PAGES,
        clock=clock,
        node=NodeLink(config, clock, api_address=api_address),
        console=store,
        template_folders=(TEMPLATES,),
    )
    if site.node.level is not Level.VILLAGE:  # whose imports are its ledger's, for a day
        site.forgetting.append(runs_of(site).jobs.forget_old)
    return site


def make_app(site: Site) -> ASGIApp:
    """The application of a site."""
    return build(site, {"hub": STATIC})


def serve(config: Config, listener: socket.socket, *, with_parent: bool) -> int:
    """Serve `listener` until there is nothing more to do; the process's exit code.

    `with_parent`: end when standard input closes. Raises HuyingError(CONFIG, KEY, STORE_FAILED,
    CORRUPT or DISK_FULL).
    """
    logs.configure(config.log.level, config.log.format)
    os.umask(0o077)  # whatever it writes, a file of errors as well, is its owner's alone
    _make_room()
    if not config.console.proxied:  # behind a proxy all come from one address: it divides them
        listener = SharedListener(listener)
    store = ConsoleStore.open(config.console_dir)
    try:
        return asyncio.run(_serve(config, store, listener, with_parent=with_parent))
    finally:
        store.close()


async def _serve(
    config: Config, store: ConsoleStore, listener: socket.socket, *, with_parent: bool
) -> int:
    site = make_site(config, store, clock=SystemClock())
    activity = _Activity(make_app(site))
    key, certificate = (
        tls_files(config) if site.is_tls and not config.console.proxied else (None, None)
    )
    settings = uvicorn.Config(
        activity,
        log_config=None,
        access_log=False,
        http=PromptConnection,
        loop="asyncio",
        lifespan="on",
        limit_concurrency=CONNECTIONS_MAX,
        h11_max_incomplete_event_size=_HEADER_BYTES_MAX,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=_GRACE_SECONDS,
        server_header=False,
        proxy_headers=config.console.proxied,
        forwarded_allow_ips="127.0.0.1,::1",
        ssl_keyfile=key,
        ssl_certfile=certificate,
        ssl_ciphers=TLS_CIPHERS,
    )
    settings.load()
    take_over_log()
    if settings.ssl is not None:
        restrict(settings.ssl)
    server = _Server(settings)
    await get_ready(site)
    memory.set_start_aside()
    watching = asyncio.create_task(_until_over(config, server, activity, site, with_parent))
    preparing = asyncio.create_task(
        # An open stream is a request that never ends, and no work.
        prepare_templates(site, lambda: activity.running <= site.live.viewer_count)
    )
    logs.say("console_serving", origin=site.origin)
    try:
        await server.serve(sockets=[listener])
    finally:
        await end_task(preparing)
        await end_task(watching)
    return EXIT_OK


def _make_room() -> None:
    """Let this process have as many descriptors as its connections need, if the machine does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = CONNECTIONS_MAX + _OTHER_FILES_MAX
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))


def restrict(context: ssl.SSLContext) -> None:
    """TLS 1.2 and 1.3 alone, whatever the machine's own default is."""
    context.minimum_version = ssl.TLSVersion.TLSv1_2


class _Server(uvicorn.Server):
    """Ends with the code of a process that was asked to, in place of the signal's."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()

        def asked() -> None:
            self.should_exit = True

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, asked)
        yield


class _Activity:
    """Counts requests, so that an idle process can end."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.running = 0
        self.last = 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        self.running += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self.running -= 1
            self.last = asyncio.get_running_loop().time()


def is_idle(running: int, site: Site) -> bool:
    """Whether nobody would miss the process: no request, no open page, no table being imported."""
    return not running and not site.live.viewer_count and not runs_of(site).jobs.busy


async def _until_over(
    config: Config, server: uvicorn.Server, activity: _Activity, site: Site, with_parent: bool
) -> None:
    loop = asyncio.get_running_loop()
    activity.last = loop.time()
    parent_gone = asyncio.Event()
    if with_parent:
        loop.add_reader(sys.stdin.fileno(), _at_end_of_input, parent_gone)
    while not parent_gone.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(parent_gone.wait(), _LOOK_SECONDS)
        quiet_seconds = loop.time() - activity.last
        is_over = quiet_seconds > config.console.stay_minutes * 60
        if with_parent and is_over and is_idle(activity.running, site):
            break
    server.should_exit = True


def _at_end_of_input(gone: asyncio.Event) -> None:
    if not os.read(sys.stdin.fileno(), 1024):
        asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
        gone.set()
