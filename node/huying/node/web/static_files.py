"""Styles, scripts and pictures that come with the program: kept by browsers for good.

Where a template names one, its address gets a digest of the file, so that a browser never asks
again for what it has, and never shows a new page in an old style after an upgrade. Without the
digest, or with an older one, a file is kept for an hour.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment
from jinja2.ext import Extension
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

__all__ = ["StaticFolder", "add_versions", "version_of"]

_FOR_AN_HOUR: Final = "public, max-age=3600"
_FOR_GOOD: Final = "public, max-age=31536000, immutable"
_ADDRESS: Final = re.compile(r'"/static/(\w+)/([\w.-]+)"')
_DIGITS: Final = 10


@cache
def version_of(file: Path) -> str:
    """A digest of a file as it was when it was first asked for; files change with the program."""
    return sha256(file.read_bytes()).hexdigest()[:_DIGITS]


class StaticFolder(StaticFiles):
    """One folder of files."""

    def file_response(
        self, full_path: Any, stat_result: Any, scope: Any, status_code: int = 200
    ) -> Response:
        """The file, with how long it may be kept."""
        response = super().file_response(full_path, stat_result, scope, status_code)
        current = f"v={version_of(Path(full_path))}".encode()
        kept = _FOR_GOOD if scope.get("query_string") == current else _FOR_AN_HOUR
        response.headers["Cache-Control"] = kept
        return response


class _Versioned(Extension):
    """Gives every address of a static file in a template its digest: see `add_versions`."""

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        """The template's source with whole addresses."""
        del name, filename
        folders: Mapping[str, Path] = self.environment.static_folders  # type: ignore[attr-defined]

        def address(found: re.Match[str]) -> str:
            folder, file = found.groups()
            path = folders[folder] / file
            return f'"/static/{folder}/{file}?v={version_of(path)}"'

        return _ADDRESS.sub(address, source)


def add_versions(made: Environment, folders: Mapping[str, Path]) -> None:
    """Have the environment's templates name the files of these folders with their digests."""
    made.extend(static_folders=dict(folders))
    made.add_extension(_Versioned)
