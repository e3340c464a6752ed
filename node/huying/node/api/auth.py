"""The API's bearer tokens: secrets in files, compared in constant time.

Everything needs one but health and reflection, which say nothing of any record. A method added
later needs it too: the list names what is open, not what is closed. The console's own token opens
what a page does (`console_token`), and no other method.
"""

from __future__ import annotations

import contextlib
import hmac
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import grpc

from huying.common.errors import Code, HuyingError
from huying.node.api.console_token import CONSOLE_METHODS, narrowed
from huying.node.api.faults import abort
from huying.node.keys import load_token

__all__ = ["TokenInterceptor", "bearer"]

_OPEN: Final = (
    "/grpc.health.v1.Health/",
    "/grpc.reflection.v1alpha.ServerReflection/",
    "/grpc.reflection.v1.ServerReflection/",
)


def bearer(token: str) -> tuple[str, str]:
    """The metadata pair that shows the token."""
    return ("authorization", f"Bearer {token}")


class TokenInterceptor(grpc.aio.ServerInterceptor):
    """Ends every call without a token that opens it as UNAUTHENTICATED, its request unread."""

    def __init__(
        self, token: str, file: Path | None = None, console_file: Path | None = None
    ) -> None:
        """Where a `file` is named, its token counts as soon as it is there, and no other.

        `console_file` holds the console's, which may not be there yet.
        """
        self._whole = _Followed(file, token)
        self._console = _Followed(console_file)
        self._refusal: grpc.RpcMethodHandler[Any, Any] = grpc.unary_unary_rpc_method_handler(
            _refuse
        )

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """The method's own handler, or one that refuses."""
        method = handler_call_details.method
        if not method.startswith(_OPEN):
            shown = b""
            for key, value in handler_call_details.invocation_metadata or ():
                if key == "authorization":
                    shown = value.encode() if isinstance(value, str) else value
            if not self._whole.is_shown(shown):
                if method not in CONSOLE_METHODS or not self._console.is_shown(shown):
                    return self._refusal
                return narrowed(method, await continuation(handler_call_details))
        return await continuation(handler_call_details)


class _Followed:
    """The token of a file, and of the one that is put in its place."""

    def __init__(self, file: Path | None, token: str = "") -> None:
        """Without a token, nothing is it until the file is there."""
        self._wanted = bearer(token)[1].encode("ascii") if token else b""
        self._file = file
        self._seen = _mark(file) if token else None

    def is_shown(self, shown: bytes) -> bool:
        """Whether that is the token, as metadata shows it."""
        self._follow()
        return bool(self._wanted) and hmac.compare_digest(shown, self._wanted)

    def _follow(self) -> None:
        mark = _mark(self._file)
        if self._file is None or mark is None or mark == self._seen:
            return
        with contextlib.suppress(HuyingError):  # what can't be read changes nothing
            self._wanted = bearer(load_token(self._file))[1].encode("ascii")
            self._seen = mark


def _mark(file: Path | None) -> tuple[int, int] | None:
    """What another file of that name would have differently; None where there is none."""
    try:
        found = None if file is None else file.stat()
    except OSError:
        return None
    return None if found is None else (found.st_ino, found.st_mtime_ns)


async def _refuse(_request: bytes, context: Any) -> bytes:
    detail = "authorization: Bearer TOKEN is needed, one that opens this method"
    await abort(context, HuyingError(Code.UNAUTHENTICATED, detail))
