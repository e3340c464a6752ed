"""Addresses of our own that came from elsewhere: where to go after signing in, for one."""

from __future__ import annotations

from urllib.parse import quote, urlsplit

from starlette.requests import Request

__all__ = ["asked_path", "came_from", "local_path", "next_path"]

_CHARACTERS_MAX = 1000


def local_path(text: str, default: str = "/") -> str:
    r"""`text` itself, if it is a path on this site, with its query; else `default`.

    Browsers read `//host`, `/\host` and a path with a tab or a newline in it as another site's
    address, so none of them is a path of ours.
    """
    plain = text.isascii() and text.isprintable() and "\\" not in text and " " not in text
    if not plain or len(text) > _CHARACTERS_MAX or not text.startswith("/"):
        return default
    if text.startswith("//"):
        return default
    parts = urlsplit(text)
    return default if parts.scheme or parts.netloc or parts.fragment else text


def next_path(request: Request, default: str = "/") -> str:
    """Where to go on afterwards, as the address says: its `next`, if that is a path of ours."""
    return local_path(request.query_params.get("next", ""), default)


def came_from(request: Request) -> str:
    """The path of the page that the browser came from, with its query; `/` where none is named."""
    try:
        parts = urlsplit(request.headers.get("referer", ""))
    except ValueError:  # no address at all
        return "/"
    return local_path(f"{parts.path}?{parts.query}" if parts.query else parts.path)


def asked_path(request: Request) -> str:
    """The path that was asked for, with its query."""
    query = request.url.query
    return local_path(quote(request.url.path) + (f"?{query}" if query else ""))
