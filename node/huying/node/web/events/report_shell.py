"""The report page for a handset that is offline: the service worker, the page's shell, its name.

These are public, since the browser fetches them for itself; nothing of a person or a record is in
them. The worker keeps the shell, its style, script and icon, and no other page. It is served from
the root, because a worker may not act above its own folder.
"""

from __future__ import annotations

import json
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from starlette.responses import JSONResponse, Response

from huying.common.codes import Level
from huying.node.version import own_version
from huying.node.web.events.report_event import FIELDS, REPORT_CHARACTERS_MAX
from huying.node.web.events.report_photos import PHOTOS_MAX
from huying.node.web.page import Ask, Page
from huying.node.web.render import TEMPLATES

__all__ = ["SHELL_FILES", "SHELL_PAGES", "worker_version"]

_STATIC: Final = Path(__file__).parents[1] / "static"
_SHELL: Final = "/report/offline"
# What the shell is made of, below /static/node/.
SHELL_FILES: Final = (
    "console.css",
    "village.css",
    "live.js",
    "sending.js",
    "outbox.js",
    "report.js",
    "icon.svg",
)
_SHELL_TEMPLATES: Final = ("base.html", "report.html", "report_icons.html", "outbox.html")
_VERSION_DIGITS: Final = 12


@cache
def worker_version() -> str:
    """The program's version and a digest of the shell: another shell is another cache."""
    digest = sha256()
    for path in (
        *(_STATIC / name for name in (*SHELL_FILES, "sw.js")),
        *(TEMPLATES / name for name in _SHELL_TEMPLATES),
    ):
        digest.update(path.read_bytes())
    return f"{own_version()}-{digest.hexdigest()[:_VERSION_DIGITS]}"


async def worker(_ask: Ask) -> Response:
    """The service worker, told its version and what to keep."""
    kept = [_SHELL, *(f"/static/node/{name}" for name in SHELL_FILES)]
    told = f"const VERSION = {json.dumps(worker_version())};\nconst KEPT = {json.dumps(kept)};\n"
    text = told + "".join((_STATIC / name).read_text("utf-8") for name in ("sending.js", "sw.js"))
    headers = {"Cache-Control": "no-cache", "Service-Worker-Allowed": "/"}
    return Response(text, media_type="text/javascript", headers=headers)


async def shell(ask: Ask) -> Response:
    """The form without a person, a matter or a grid: its script fills them in from the handset."""
    nobody: dict[str, Any] = {"person": None, "menu": [], "roles": [], "now": 0.0, "notice": ""}
    return await ask.render(
        "report.html",
        {
            **nobody,
            "matters": (),
            "grids": (),
            "typed": dict.fromkeys(FIELDS, ""),
            "photos_max": PHOTOS_MAX,
            "text_max": REPORT_CHARACTERS_MAX,
            "error": None,
            "is_village": ask.node.level is Level.VILLAGE,
            "shell": True,
        },
    )


async def manifest(ask: Ask) -> Response:
    """What the handset calls the page on its home screen."""
    return JSONResponse(
        {
            "name": f"呼应上报 · {ask.node.name}",
            "short_name": "上报",
            "lang": "zh-CN",
            "start_url": "/report",
            "scope": "/",
            "display": "standalone",
            "background_color": "#f4f6f9",
            "theme_color": "#123a63",
            "icons": [
                {"src": "/static/node/icon.svg", "sizes": "any", "type": "image/svg+xml"},
            ],
        },
        media_type="application/manifest+json",
    )


SHELL_PAGES: Final = (
    Page("/sw.js", "service-worker", worker, None),
    Page(_SHELL, "report-shell", shell, None),
    Page("/manifest.webmanifest", "manifest", manifest, None),
)
