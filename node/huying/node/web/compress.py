"""Smaller answers: pages, styles and scripts go out gzipped, since a village's line is thin.

A page is packed just where nobody beyond this site chose its address. A page that repeats words of
its address beside something secret tells somebody who sees its size on the wire, and who can have
the browser ask for it again and again, letter by letter what the secret is (BREACH, CVE-2013-3587).
So over TLS a page is packed where the browser says that one of our own pages, or the person, asked
for it (Sec-Fetch-Site); one that another site opened, and one of a browser that does not say, goes
out as it is. No page holds a password, a token or a session's id, and the id of each form's request
is drawn anew for every page. Without TLS there is nothing that the size could tell.
"""

from __future__ import annotations

import gzip
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["Compress"]

_BYTES_MIN: Final = 1024  # less than this fits a packet as it is
_BYTES_MAX: Final = 4 * 1024 * 1024  # of what is held back to be packed
_LEVEL: Final = 5
_KINDS: Final = (
    *("text/html", "text/css", "text/javascript", "text/plain", "text/csv"),
    *("application/json", "application/javascript", "application/manifest+json", "image/svg+xml"),
)
_OURS: Final = frozenset({"same-origin", "none"})  # "none": typed, or from a bookmark


class Compress:
    """Wraps the site."""

    def __init__(self, app: ASGIApp, *, is_tls: bool) -> None:
        self._app = app
        self._is_tls = is_tls

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, packed where that is of use and safe."""
        if scope["type"] != "http" or not self._may(scope):
            await self._app(scope, receive, send)
        else:
            await self._app(scope, receive, _Packer(send).send)

    def _may(self, scope: Scope) -> bool:
        headers = Headers(scope=scope)
        if "gzip" not in headers.get("accept-encoding", "") or scope["method"] == "HEAD":
            return False
        if not self._is_tls or scope["path"].startswith("/static/"):
            return True
        return headers.get("sec-fetch-site", "") in _OURS


class _Packer:
    """Holds one answer back until it is whole."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._start: Message | None = None  # that is held back
        self._body: list[bytes] = []

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start" and _is_packed(message):
            self._start = message
        elif self._start is None or message["type"] != "http.response.body":
            await self._send(message)
        else:
            self._body.append(message.get("body", b""))
            if not message.get("more_body", False):
                await self._finish(self._start)

    async def _finish(self, start: Message) -> None:
        body = gzip.compress(b"".join(self._body), _LEVEL, mtime=0)
        headers = MutableHeaders(scope=start)
        headers["Content-Encoding"] = "gzip"
        headers["Content-Length"] = str(len(body))
        headers.add_vary_header("Accept-Encoding")
        etag = headers.get("etag", "")
        if etag and not etag.startswith("W/"):
            headers["ETag"] = f"W/{etag}"  # the same file, and not the same bytes
        await self._send(start)
        await self._send({"type": "http.response.body", "body": body})


def _is_packed(start: Message) -> bool:
    """Whether an answer is text, whole, of a known length, and neither short nor huge.

    A stream says no length: what it has goes out at once.
    """
    headers = Headers(raw=start["headers"])
    length = headers.get("content-length", "")
    kind = headers.get("content-type", "").partition(";")[0]
    is_text = kind in _KINDS and "content-encoding" not in headers
    fits = length.isdecimal() and _BYTES_MIN <= int(length) <= _BYTES_MAX
    return start["status"] == 200 and is_text and fits
