"""What stands before every page: headers, the host, the origin, the size of what is sent.

An ASGI middleware, so that it also covers what no page answers. Unsafe requests must come from our
own pages: the browser says so in Sec-Fetch-Site and Origin (OWASP, "Cross-Site Request Forgery
Prevention": Fetch Metadata), so forms carry no token that could leak; a browser that sends neither
is refused.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from huying.node import logs

__all__ = ["BODY_BYTES_MAX", "CONTENT_SECURITY_POLICY", "Guard", "TooLargeError", "too_large_text"]

BODY_BYTES_MAX: Final = 64 * 1024 * 1024  # of any request; each page has its own, smaller limit
CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:;"
    " font-src 'self'; connect-src 'self'; manifest-src 'self'; worker-src 'self';"
    " object-src 'none'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
_HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), geolocation=(self), microphone=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
BODY_SECONDS: Final = 60.0  # for what is sent, and as many more as it takes a very slow link
_BODY_BYTES_A_SECOND: Final = 2048
_HSTS: Final = "max-age=31536000; includeSubDomains"
_SAY_SECONDS: Final = 10.0  # a flood of refusals fills no log
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class TooLargeError(Exception):
    """The body has more bytes than the page takes; its text is for the person."""


class Guard:
    """Wraps the site. `origin` is scheme://host[:port] as browsers send it."""

    def __init__(self, app: ASGIApp, origin: str, body_bytes_max: Callable[[str], int]) -> None:
        """`body_bytes_max` tells the limit of a path."""
        self._app = app
        self._origin = origin
        self._host = urlsplit(origin).netloc
        self._is_tls = origin.startswith("https://")
        self._body_bytes_max = body_bytes_max
        self._refused = 0  # not logged yet
        self._said = float("-inf")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                if self._is_tls:
                    headers.setdefault("Strict-Transport-Security", _HSTS)
            await send(message)

        refusal = self._refusal(scope)
        if refusal is not None:
            self._say(refusal[0], scope["path"])
            await PlainTextResponse(refusal[1], status_code=refusal[0])(scope, receive, sending)
            return
        limit = self._body_bytes_max(scope["path"])
        received, is_whole, began = 0, False, time.monotonic()

        async def receiving() -> Message:
            nonlocal received, is_whole
            until = None if is_whole else began + BODY_SECONDS + received / _BODY_BYTES_A_SECOND
            try:
                async with asyncio.timeout(until and max(0.0, until - time.monotonic())):
                    message = await receive()
            except TimeoutError:  # somebody sends a byte now and then, to keep a place for ever
                return {"type": "http.disconnect"}
            received += len(message.get("body", b""))
            is_whole = not message.get("more_body", False)
            if received > limit:
                raise TooLargeError(too_large_text(limit))
            return message

        await self._app(scope, receiving, sending)

    def _say(self, status: int, path: str) -> None:
        """Log a refusal; of many the first, and then how many there were, each ten seconds."""
        self._refused += 1
        now = time.monotonic()
        if now - self._said >= _SAY_SECONDS:
            # The rest of a path may be a secret, as that of a set-up link is.
            first = "/" + path.removeprefix("/").partition("/")[0][:100]
            logs.say("console_refused", status=status, path=first, count=self._refused)
            self._said, self._refused = now, 0

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        """Status and text where the request is not taken."""
        headers = Headers(scope=scope)
        # A name that somebody else's DNS points here (DNS rebinding) is not ours.
        if headers.get("host", "") != self._host:
            return 421, f"请使用 {self._origin} 访问 · this is {self._origin}"
        if scope["method"] in _SAFE:
            return None
        site = headers.get("sec-fetch-site")
        origin = headers.get("origin")
        if site not in (None, "same-origin") or (origin or self._origin) != self._origin:
            return 403, "拒绝:请求来自别的网站 · refused: the request comes from another site"
        if site is None and origin is None:
            return 403, "拒绝:浏览器未说明请求来源 · refused: the browser names no origin"
        length = headers.get("content-length", "0")
        limit = self._body_bytes_max(scope["path"])
        if not length.isdecimal() or int(length) > limit:
            return 413, too_large_text(limit)
        return None


def too_large_text(limit: int) -> str:
    """What to say of a body beyond its limit."""
    size = f"{limit // (1024 * 1024)} MiB" if limit >= 1024 * 1024 else f"{limit // 1024} KiB"
    return f"内容过大,上限 {size} · too large: at most {size}"
