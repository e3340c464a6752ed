"""Processes of the page bench, which live at the time of its calls.

    python -m huying.hub.bench.page_process SECONDS --config node.toml run

is `huying` with its clock put SECONDS ahead (or back): what is due and overdue is then what it was
when the calls were made, on any day. `serve_console` and `serve_plain` are what a fork server calls
for each page's first request: a process that has loaded the program and answered nobody.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path
from typing import Final

from huying.node.clock import SystemClock

__all__ = ["serve_console", "serve_plain"]

_ENVIRONMENT: Final = {"HUYING_CONSOLE__SECOND_FACTOR": "optional"}


def live_at(shift_seconds: float) -> None:
    """Have this process's clock that much ahead."""

    def now(_self: SystemClock) -> float:
        return time.time() + shift_seconds

    setattr(SystemClock, "now", now)  # noqa: B010  # the one place that puts a clock forward


def serve_console(config_file: Path, shift_seconds: float) -> None:
    """The console's own process, as `huying console serve` runs it; until it is terminated."""
    from huying.hub.web.server import serve
    from huying.node.config import load
    from huying.node.web.launcher import listen

    os.environ.update(_ENVIRONMENT)
    live_at(shift_seconds)
    _say_nothing()
    config = load(config_file)
    assert config.console.listen is not None, "the bench's nodes have one"
    sys.exit(serve(config, listen(config.console.listen), with_parent=False))


def _say_nothing() -> None:
    """The console logs each row of the audit trail; the bench's own words go to the same place."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.dup2(nowhere, sys.stderr.fileno())


def serve_plain(database: Path, address: str) -> None:
    """The rival's process; until it is terminated."""
    import uvicorn

    from huying.hub.bench.page_rival import application

    host, _, port = address.rpartition(":")
    settings = uvicorn.Config(
        application(database),
        host=host,
        port=int(port),
        http="h11",
        loop="asyncio",
        log_config=None,
    )
    asyncio.run(uvicorn.Server(settings).serve())


if __name__ == "__main__":
    from huying.hub.cli import main

    live_at(float(sys.argv[1]))
    os.environ.update(_ENVIRONMENT)
    sys.argv[1:] = sys.argv[2:]
    main()
