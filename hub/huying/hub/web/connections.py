"""Connections that take their time, and what the server itself has to say of them.

uvicorn waits for ever for the head of a request, so whoever opens all connections there are and
says nothing would keep everybody out; here such a connection ends. It also writes a line for each
malformed request, and the text of an exception: here the first fills no log, and the second, which
may be anybody's data, stays out of it.
"""

from __future__ import annotations

import asyncio
import logging
import traceback
from pathlib import Path
from typing import Final

from uvicorn.protocols.http.h11_impl import H11Protocol

from huying.node import logs

__all__ = ["PromptConnection", "take_over_log"]

HEAD_SECONDS: Final = 30.0  # for a request's head, from the connection or the answer before it
_LOGGER: Final = "uvicorn.error"
_ENDING: Final = "Cancel %s running task"  # uvicorn's, where it gave the last answers their time


class PromptConnection(H11Protocol):
    """A connection that ends where no request came in half a minute."""

    _waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as its base
        """Begin to wait."""
        super().connection_made(transport)
        self._wait()

    def on_response_complete(self) -> None:
        """Begin to wait for the next request."""
        super().on_response_complete()
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        if self._waiting is not None:
            self._waiting.cancel()
        super().connection_lost(exc)

    def _wait(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
        self._waiting = self.loop.call_later(HEAD_SECONDS, self._end_if_idle)

    def _end_if_idle(self) -> None:
        # A request that is being answered has its own times, and waits anew at its end.
        if getattr(self.cycle, "response_complete", True):  # there may be no request yet
            self.timeout_keep_alive_handler()


class _ServersLog(logging.Handler):
    """Says of the server's errors where they were, and nothing of what it warns of."""

    def emit(self, record: logging.LogRecord) -> None:
        """Say a defect without its text."""
        if record.levelno < logging.ERROR:
            return
        kind, _, trace = (None, None, None) if record.exc_info is None else record.exc_info
        # Pages that keep themselves fresh are open when the process is told to end, and are cut.
        if str(record.msg).startswith(_ENDING) or kind is asyncio.CancelledError:
            return
        frames = traceback.extract_tb(trace)
        logs.say(
            "console_defect",
            page="server",
            kind=kind.__name__ if kind is not None else "error",
            place=f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "",
        )


def take_over_log() -> None:
    """From now on the server says what it has to say in our log, and without anybody's data."""
    logger = logging.getLogger(_LOGGER)
    logger.handlers = [_ServersLog()]
    logger.propagate = False
