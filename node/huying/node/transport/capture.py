"""Copies of every frame, for tests that look for what should not have travelled; off by default.

A file for each peer and direction of travel, `CODE-up.frames` or `CODE-down.frames`: each frame
behind its length as four bytes, big-endian.
"""

from __future__ import annotations

from io import FileIO
from pathlib import Path

from huying.common.effects import Direction

__all__ = ["Capture"]


class Capture:
    """A `FrameTap` into a folder."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        self._files: dict[str, FileIO] = {}

    def __call__(self, peer: str, direction: Direction, frame: bytes) -> None:
        """Append one frame. Nothing is buffered, so that a killed node leaves all it sent."""
        name = f"{peer}-{direction.value}.frames"
        file = self._files.get(name)
        if file is None:
            file = self._files[name] = (self._folder / name).open("ab", buffering=0)
        file.write(len(frame).to_bytes(4, "big") + frame)
